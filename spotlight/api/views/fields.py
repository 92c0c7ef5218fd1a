"""`/api/spotlights/fields`, `/criteria` and `/rules`: what profiles are made of, one by one."""

from __future__ import annotations

from typing import Any

from django.utils.timezone import now
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from flowledger.api.base import Target
from flowledger.api.mixins import ListModelMixin, RetrieveModelMixin
from flowledger.api.viewsets import OrgViewSet
from flowledger.tenancy.actors import Role
from spotlight import services
from spotlight.api.filters import CriterionFilters, FieldRuleFilters, SpotlightFieldFilters
from spotlight.api.serializers.profiles import (
    CriterionChangeBody,
    CriterionSerializer,
    FieldRuleSerializer,
    NewCriterionBody,
    SpotlightFieldSerializer,
)
from spotlight.models import FieldRule, SpotlightCriterion, SpotlightField
from spotlight.services.criteria import lock_profile_of

MANAGERS = {"create": Role.MANAGER, "partial_update": Role.MANAGER, "destroy": Role.MANAGER}


class SpotlightFieldViewSet(OrgViewSet, ListModelMixin, RetrieveModelMixin):
    """The fields of each domain, in the order of forms."""

    model = SpotlightField
    resource = "field"
    scope = "workstream"
    serializer_class = SpotlightFieldSerializer
    filterset_class = SpotlightFieldFilters
    action_roles = MANAGERS

    def scoped_queryset(self, rows: Any) -> Any:
        return rows.order_by("domain", "display_order", "field_name", "pk")

    @extend_schema(responses={201: SpotlightFieldSerializer})
    def create(self, request: Request) -> Response:
        """Add a field to a domain."""
        field = services.create_field(org=self.org, fields=self.body(), actor=self.actor, at=now())
        return self.reply(field, status=201)

    def partial_update(self, request: Request, pk: int) -> Response:
        """Change a field; the profiles that look at it get their next version."""
        field = services.update_field(org=self.org, field_id=pk, fields=self.body(), actor=self.actor, at=now())
        return self.reply(field)

    def destroy(self, request: Request, pk: int) -> Response:
        """Delete a field; refused while criteria or rules name it."""
        services.delete_field(org=self.org, field_id=pk, actor=self.actor, at=now())
        return Response(status=204)


class CriterionViewSet(OrgViewSet, ListModelMixin, RetrieveModelMixin):
    """The criteria of all profiles; each change makes the next version of its profile."""

    model = SpotlightCriterion
    resource = "criterion"
    scope = "workstream"
    serializer_class = CriterionSerializer
    filterset_class = CriterionFilters
    action_roles = MANAGERS
    body_classes = {"create": NewCriterionBody, "partial_update": CriterionChangeBody}

    def scoped_queryset(self, rows: Any) -> Any:
        return rows.select_related("field").order_by("spotlight_id", "position", "pk")

    def target(self) -> Target | None:
        """The criterion; for a change on If-Match its profile is locked before it, as everybody does."""
        if "pk" in self.kwargs and "If-Match" in self.request.headers:
            lock_profile_of(self.org, self.kwargs["pk"])
        return super().target()

    @extend_schema(responses={201: CriterionSerializer})
    def create(self, request: Request) -> Response:
        """Add a criterion to a profile."""
        fields = self.body()
        pk = fields.pop("spotlight").pk
        criterion = services.create_criterion(org=self.org, spotlight_id=pk, fields=fields, actor=self.actor, at=now())
        return self.reply(criterion, status=201)

    def partial_update(self, request: Request, pk: int) -> Response:
        """Change a criterion."""
        criterion = services.update_criterion(
            org=self.org, criterion_id=pk, fields=self.body(), actor=self.actor, at=now()
        )
        return self.reply(criterion)

    def destroy(self, request: Request, pk: int) -> Response:
        """Take a criterion out of its profile."""
        services.delete_criterion(org=self.org, criterion_id=pk, actor=self.actor, at=now())
        return Response(status=204)


class FieldRuleViewSet(OrgViewSet, ListModelMixin, RetrieveModelMixin):
    """What shows, requires and hides the fields of forms."""

    model = FieldRule
    resource = "rule"
    scope = "workstream"
    serializer_class = FieldRuleSerializer
    filterset_class = FieldRuleFilters
    action_roles = MANAGERS

    def scoped_queryset(self, rows: Any) -> Any:
        return rows.order_by("pk")

    @extend_schema(responses={201: FieldRuleSerializer})
    def create(self, request: Request) -> Response:
        """Make a field depend on another one of its domain."""
        rule = services.create_rule(org=self.org, fields=self.body(), actor=self.actor, at=now())
        return self.reply(rule, status=201)

    def partial_update(self, request: Request, pk: int) -> Response:
        """Change a rule."""
        rule = services.update_rule(org=self.org, rule_id=pk, fields=self.body(), actor=self.actor, at=now())
        return self.reply(rule)

    def destroy(self, request: Request, pk: int) -> Response:
        """Delete a rule."""
        services.delete_rule(org=self.org, rule_id=pk, actor=self.actor, at=now())
        return Response(status=204)
