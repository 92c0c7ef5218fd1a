"""`/api/memory/erasures`: a person goes; `/api/memory/export`: what is held about one."""

from __future__ import annotations

from typing import Any

from django.utils.timezone import now
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from flowledger.api.base import OrgAPIView
from flowledger.api.converters import MAX_ID
from flowledger.api.filters import refuse_unknown
from flowledger.api.mixins import ListModelMixin
from flowledger.api.viewsets import OrgViewSet
from flowledger.errors import InvalidInput
from flowledger.tenancy.actors import Role
from memory import services
from memory.api.serializers.redactions import (
    DryRunSerializer,
    ErasureBody,
    ExportSerializer,
    RedactionSerializer,
)
from memory.models import Redaction
from memory.services.redaction import DryRun


class ErasureViewSet(OrgViewSet, ListModelMixin):
    """Erasures of people, newest first, for administrators."""

    model = Redaction
    resource = "redaction"
    scope = "memory"
    serializer_class = RedactionSerializer
    action_roles = {"list": Role.ADMIN, "create": Role.ADMIN}
    body_classes = {"create": ErasureBody}
    # The body names a row.
    more_statuses = (404, 409)

    def scoped_queryset(self, rows: Any) -> Any:
        return rows.filter(target=Redaction.Target.PERSON).order_by("-pk")

    @extend_schema(responses={200: DryRunSerializer, 201: RedactionSerializer})
    def create(self, request: Request) -> Response:
        """Redact all about a contact and leave it as nobody's row; the answer says what was touched."""
        found = services.erase_person(org=self.org, **self.body(), actor=self.actor, at=now())
        return Response(DryRunSerializer(found).data) if isinstance(found, DryRun) else self.reply(found, status=201)


class PersonExportView(OrgAPIView):
    """All that is held about a contact, for administrators."""

    scope = "memory"
    action_roles = {"get": Role.ADMIN}
    # The query names a row.
    more_statuses = (404, 409)

    @extend_schema(
        parameters=[OpenApiParameter("contact_id", OpenApiTypes.INT64, required=True)], responses=ExportSerializer
    )
    def get(self, request: Request) -> Response:
        """What is remembered of the person, archived atoms with it, and every row that is about or names them."""
        params = request.query_params
        fields = refuse_unknown(params, ["contact_id", "org_id"])
        text = params.get("contact_id", "")
        if not (text.isascii() and text.isdigit() and len(text) <= 19 and 1 <= int(text) <= MAX_ID):
            fields["contact_id"] = ["This must be the id of a contact."]
        if fields:
            name, sentences = next(iter(fields.items()))
            raise InvalidInput(f"{name}: {sentences[0]}", fields=fields)
        found: Any = services.export_person(org=self.org, contact_id=int(text), actor=self.actor, at=now())
        return Response(ExportSerializer(found).data, headers={"Cache-Control": "no-store"})
