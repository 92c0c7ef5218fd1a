"""Routes that exist in tests only: views that fail, refuse, and break in every way that the kernel must answer."""

from __future__ import annotations

from typing import Any

from django.db import connection
from django.urls import include, path
from django.utils.timezone import now
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from flowledger.api.base import OrgAPIView
from flowledger.api.permissions import ANY_KEY
from flowledger.api.serializers import Body
from flowledger.errors import Conflict
from flowledger.tenancy.actors import Role
from flowledger.tenancy.models import ApiKey
from flowledger.tenancy.services import issue_api_key
from flowledger.tenancy.usecases import use_case


class ProbeBody(Body):
    how = serializers.CharField(default="", allow_blank=True)
    number = serializers.IntegerField(required=False)
    attributes = serializers.JSONField(required=False)


class RefusedWithEvidence(Conflict):
    """Leaves a key named "evidence", as a gate leaves its ledger row."""

    def __init__(self, org: Any) -> None:
        super().__init__("Refused.")
        self.org = org

    def keep(self) -> None:
        ApiKey(org=self.org, name="evidence", scopes=["signals:read"]).save()


@use_case
def refuse(*, org: Any) -> None:
    ApiKey(org=org, name="undone", scopes=["signals:read"]).save()
    raise RefusedWithEvidence(org)


class ProbeView(OrgAPIView):
    """Writes a key, then ends as the body asks."""

    scope = ANY_KEY
    body_classes = {"post": ProbeBody}

    def post(self, request: Request) -> Any:
        given = self.body()
        how = given["how"]
        if how == "refuse":
            refuse(org=self.org)
        key, _ = issue_api_key(
            org=self.org,
            name=f"probe {how}",
            role=Role.REP,
            scopes=["signals:read"],
            expires_at=None,
            actor=self.actor,
            at=now(),
        )
        ways = {
            "fail": self._fail,
            "unserialisable": lambda: Response({"value": object()}),
            "database error": self._database_error,
            "commit error": self._commit_error,
            "cross": lambda: Response({"seen": list(ApiKey.all_orgs.values_list("org_id", flat=True))}),
        }
        if how in ways:
            return ways[how]()
        return Response({"api_key_id": key.pk, "number": given.get("number")}, status=201)

    def _fail(self) -> None:
        raise RuntimeError("secret detail")

    def _database_error(self) -> None:
        with connection.cursor() as cursor:
            cursor.execute("SELECT %s::int", ["99999999999999"])

    def _commit_error(self) -> Response:
        """A deferred constraint speaks up when the transaction ends."""
        with connection.cursor() as cursor:
            cursor.execute("RESET ROLE")
            cursor.execute("CREATE TEMP TABLE IF NOT EXISTS late (x int UNIQUE DEFERRABLE INITIALLY DEFERRED)")
            cursor.execute("INSERT INTO late VALUES (1), (1)")
        return Response({"done": True})


urlpatterns = [path("probe", ProbeView.as_view()), path("", include("flowledger.urls"))]
