"""`/api/memory/holds`: what is kept for a legal reason."""

from __future__ import annotations

from typing import Any

from django.utils.timezone import now
from drf_spectacular.utils import extend_schema
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response

from flowledger.api.mixins import ListModelMixin
from flowledger.api.viewsets import OrgViewSet
from flowledger.tenancy.actors import Role
from memory import services
from memory.api.filters import HoldFilters
from memory.api.serializers.holds import LegalHoldBody, LegalHoldReleaseBody, LegalHoldSerializer
from memory.models import LegalHold


class LegalHoldViewSet(OrgViewSet, ListModelMixin):
    """Legal holds, newest first, for administrators."""

    model = LegalHold
    resource = "legal_hold"
    scope = "memory"
    serializer_class = LegalHoldSerializer
    filterset_class = HoldFilters
    action_roles = {"list": Role.ADMIN, "create": Role.ADMIN, "release": Role.ADMIN}
    body_classes = {"create": LegalHoldBody, "release": LegalHoldReleaseBody}

    def scoped_queryset(self, rows: Any) -> Any:
        return rows.order_by("-pk")

    @extend_schema(responses={201: LegalHoldSerializer})
    def create(self, request: Request) -> Response:
        """Keep all that is visible from an entity: it neither expires nor is it redacted until the hold is released."""
        hold = services.place_hold(org=self.org, **self.body(), actor=self.actor, at=now())
        return self.reply(hold, status=201)

    @action(detail=True, methods=["post"])
    def release(self, request: Request, pk: int) -> Response:
        """End the hold; what it kept expires again."""
        return self.reply(services.release_hold(org=self.org, hold_id=pk, **self.body(), actor=self.actor, at=now()))
