"""`/api/sla/rules` and `/api/sla/breaches`."""

from __future__ import annotations

from typing import Any

from django.utils.timezone import now
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from flowledger.api.mixins import ListModelMixin, RetrieveModelMixin
from flowledger.api.viewsets import OrgViewSet
from flowledger.tenancy.actors import Role
from workstream import services
from workstream.api.filters import SlaBreachFilters, SlaRuleFilters
from workstream.api.serializers.sla import SlaBreachSerializer, SlaRuleSerializer
from workstream.models import SlaBreach, SlaRule


class SlaRuleViewSet(OrgViewSet, ListModelMixin, RetrieveModelMixin):
    """How long each metric may take; the first look gives a new organisation the default rules."""

    model = SlaRule
    resource = "rule"
    scope = "workstream"
    serializer_class = SlaRuleSerializer
    filterset_class = SlaRuleFilters
    action_roles = {"create": Role.MANAGER, "partial_update": Role.MANAGER, "destroy": Role.MANAGER}

    def scoped_queryset(self, rows: Any) -> Any:
        return rows.order_by("pk")

    def list(self, request: Request) -> Response:
        """Every rule, the ones that are off too."""
        services.ensure_default_rules(org=self.org, actor=self.actor, at=now())
        return super().list(request)

    @extend_schema(responses={201: SlaRuleSerializer})
    def create(self, request: Request) -> Response:
        """Add a rule; it measures what starts from now on."""
        rule = services.create_rule(org=self.org, fields=self.body(), actor=self.actor, at=now())
        return self.reply(rule, status=201)

    def partial_update(self, request: Request, pk: int) -> Response:
        """Change a rule; its running clocks follow. What it measures stays."""
        rule = services.update_rule(org=self.org, rule_id=pk, fields=self.body(), actor=self.actor, at=now())
        return self.reply(rule)

    def destroy(self, request: Request, pk: int) -> Response:
        """Switch a rule off; its running clocks are cancelled, the ended ones stay with it."""
        services.deactivate_rule(org=self.org, rule_id=pk, actor=self.actor, at=now())
        return Response(status=204)


class SlaBreachViewSet(OrgViewSet, ListModelMixin, RetrieveModelMixin):
    """Items that missed their time, newest first."""

    model = SlaBreach
    resource = "breach"
    scope = "workstream"
    serializer_class = SlaBreachSerializer
    filterset_class = SlaBreachFilters
    ordering_fields = {"breached_at": "breached_at", "resolved_at": "resolved_at", "breach_id": "pk"}

    def scoped_queryset(self, rows: Any) -> Any:
        return rows.order_by("-breached_at", "-pk")
