"""`/api/problems`, `/api/solutions`, `/api/tags` and the templates."""

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
from workstream.api.serializers.setup import (
    ChecklistTemplateBody,
    ChecklistTemplateSerializer,
    ProblemSerializer,
    ProposalTemplateBody,
    ProposalTemplateSerializer,
    SolutionSerializer,
    TagSerializer,
)
from workstream.models import ChecklistTemplate, Problem, ProposalTemplate, Solution, Tag

MANAGED = {"create": Role.MANAGER, "partial_update": Role.MANAGER}


class ProblemViewSet(OrgViewSet, ListModelMixin, RetrieveModelMixin):
    """The problem taxonomy, by name."""

    model = Problem
    resource = "problem"
    scope = "workstream"
    serializer_class = ProblemSerializer
    action_roles = MANAGED

    def scoped_queryset(self, rows: Any) -> Any:
        return rows.order_by("name", "pk")

    @extend_schema(responses={201: ProblemSerializer})
    def create(self, request: Request) -> Response:
        """Add an entry."""
        row = services.save_problem(org=self.org, problem_id=None, fields=self.body(), actor=self.actor, at=now())
        return self.reply(row, status=201)

    def partial_update(self, request: Request, pk: int) -> Response:
        """Change an entry."""
        row = services.save_problem(org=self.org, problem_id=pk, fields=self.body(), actor=self.actor, at=now())
        return self.reply(row)


class SolutionViewSet(OrgViewSet, ListModelMixin, RetrieveModelMixin):
    """The solution catalogue, by name."""

    model = Solution
    resource = "solution"
    scope = "workstream"
    serializer_class = SolutionSerializer
    action_roles = MANAGED

    def scoped_queryset(self, rows: Any) -> Any:
        return rows.order_by("name", "pk")

    @extend_schema(responses={201: SolutionSerializer})
    def create(self, request: Request) -> Response:
        """Add an entry."""
        row = services.save_solution(org=self.org, solution_id=None, fields=self.body(), actor=self.actor, at=now())
        return self.reply(row, status=201)

    def partial_update(self, request: Request, pk: int) -> Response:
        """Change an entry."""
        row = services.save_solution(org=self.org, solution_id=pk, fields=self.body(), actor=self.actor, at=now())
        return self.reply(row)


class TagViewSet(OrgViewSet, ListModelMixin, RetrieveModelMixin):
    """The organisation's tags, by name; they come into being on the items that carry them."""

    model = Tag
    resource = "tag"
    scope = "workstream"
    serializer_class = TagSerializer

    def scoped_queryset(self, rows: Any) -> Any:
        return rows.order_by("name", "pk")


class ChecklistTemplateViewSet(OrgViewSet, ListModelMixin, RetrieveModelMixin):
    """Versions of checklist and kickoff templates, newest first."""

    model = ChecklistTemplate
    resource = "checklist_template"
    scope = "workstream"
    serializer_class = ChecklistTemplateSerializer
    action_roles = MANAGED
    body_classes = {"create": ChecklistTemplateBody}

    def scoped_queryset(self, rows: Any) -> Any:
        return rows.order_by("-pk")

    @extend_schema(responses={201: ChecklistTemplateSerializer})
    def create(self, request: Request) -> Response:
        """Publish the next version; pursuits that have their items keep them."""
        row = services.publish_checklist_template(org=self.org, **self.body(), actor=self.actor, at=now())
        return self.reply(row, status=201)


class ProposalTemplateViewSet(OrgViewSet, ListModelMixin, RetrieveModelMixin):
    """Versions of the template of first drafts, newest first."""

    model = ProposalTemplate
    resource = "proposal_template"
    scope = "workstream"
    serializer_class = ProposalTemplateSerializer
    action_roles = MANAGED
    body_classes = {"create": ProposalTemplateBody}

    def scoped_queryset(self, rows: Any) -> Any:
        return rows.order_by("-pk")

    @extend_schema(responses={201: ProposalTemplateSerializer})
    def create(self, request: Request) -> Response:
        """Publish the next version."""
        row = services.publish_proposal_template(org=self.org, **self.body(), actor=self.actor, at=now())
        return self.reply(row, status=201)
