"""`/api/pursuits` and what hangs below: checklist, gates, proposals, costs."""

from __future__ import annotations

from typing import Any

from django.utils.timezone import now
from drf_spectacular.utils import extend_schema
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response

from flowledger.api.base import Target
from flowledger.api.mixins import ListModelMixin, RetrieveModelMixin
from flowledger.api.viewsets import OrgViewSet
from flowledger.tenancy.actors import Role
from workstream import gates, services
from workstream.api.filters import PursuitFilters
from workstream.api.serializers.bulk import MovesSerializer, PursuitsMoveBody, moves
from workstream.api.serializers.items import EmptyBody, ReasonBody, StayInStateSerializer, aspect_of
from workstream.api.serializers.pursuits import (
    ChecklistItemBody,
    ChecklistItemSerializer,
    CostBody,
    CostEntrySerializer,
    GateCheckSerializer,
    GatesSerializer,
    MovedPursuitSerializer,
    NewChecklistItemBody,
    OutcomeBody,
    ProposalBody,
    ProposalSerializer,
    PursuitSerializer,
    StageBody,
)
from workstream.api.views.items import WorkMixin
from workstream.models import ChecklistItem, CostEntry, GateCheck, Proposal, Pursuit
from workstream.rules import rules_for


class PursuitViewSet(OrgViewSet, ListModelMixin, RetrieveModelMixin, WorkMixin):
    """Active opportunities, soonest due first; their stage moves through verbs and gates."""

    model = Pursuit
    resource = "pursuit"
    scope = "workstream"
    serializer_class = PursuitSerializer
    filterset_class = PursuitFilters
    search = OrgViewSet.search_words
    ordering_fields = {
        "due_date": "due_date",
        "created_at": "created_at",
        "last_touch_at": "last_touch_at",
        "forecast_value": "forecast_value",
        "pursuit_id": "pk",
    }
    action_roles = {"waive_item": Role.MANAGER}
    body_classes = {
        **WorkMixin.body_classes,
        "stage": StageBody,
        "submit": EmptyBody,
        "won": OutcomeBody,
        "lost": OutcomeBody,
        "add_item": NewChecklistItemBody,
        "update_item": ChecklistItemBody,
        "waive_item": ReasonBody,
        "create_proposal": ProposalBody,
        "record_cost": CostBody,
        "move_many": PursuitsMoveBody,
    }

    def scoped_queryset(self, rows: Any) -> Any:
        return rows.for_list().order_by("due_date", "pk")

    def etag_aspect(self, row: Pursuit) -> str | None:
        """The badge follows the clocks, which leave the pursuit's version as it is."""
        return aspect_of(row)

    def target(self) -> Target | None:
        """A checklist item where the address names one, else the pursuit."""
        if "item_id" not in self.kwargs:
            return super().target()
        items = ChecklistItem.objects.for_org(self.org)
        return Target("checklist_item", items.filter(pk=self.kwargs["item_id"], pursuit_id=self.kwargs["pk"]))

    def partial_update(self, request: Request, pk: int) -> Response:
        """Change plain fields and tags."""
        fields = self.body()
        tags = fields.pop("tag_links", None)
        pursuit = services.update_pursuit(
            org=self.org, pursuit_id=pk, fields=fields, tags=tags, actor=self.actor, at=now()
        )
        return self.reply(pursuit)

    @extend_schema(responses=MovedPursuitSerializer)
    @action(detail=True, methods=["post"])
    def stage(self, request: Request, pk: int) -> Response:
        """Move to a stage; submit, won and lost are the same use cases as their own verbs."""
        return self._moved(
            services.move_pursuit(org=self.org, pursuit_id=pk, **self.body(), actor=self.actor, at=now())
        )

    @extend_schema(responses=MovedPursuitSerializer)
    @action(detail=True, methods=["post"])
    def submit(self, request: Request, pk: int) -> Response:
        """Submit; the newest draft goes to the contact."""
        self.body()
        return self._moved(services.submit_pursuit(org=self.org, pursuit_id=pk, actor=self.actor, at=now()))

    @extend_schema(responses=MovedPursuitSerializer)
    @action(detail=True, methods=["post"])
    def won(self, request: Request, pk: int) -> Response:
        """Close as won; the engagement follows."""
        return self._moved(services.win_pursuit(org=self.org, pursuit_id=pk, **self.body(), actor=self.actor, at=now()))

    @extend_schema(responses=MovedPursuitSerializer)
    @action(detail=True, methods=["post"])
    def lost(self, request: Request, pk: int) -> Response:
        """Close as lost, with the reason."""
        body = {"reason": "", **self.body()}
        return self._moved(services.lose_pursuit(org=self.org, pursuit_id=pk, **body, actor=self.actor, at=now()))

    @extend_schema(responses=MovesSerializer)
    @action(detail=False, methods=["post"], url_path="bulk/transition")
    def move_many(self, request: Request) -> Response:
        """Move up to 500 pursuits, each through its own gate; a result per row."""
        body = self.body()
        results = services.move_pursuits(org=self.org, pursuit_ids=body.pop("ids"), **body, actor=self.actor, at=now())
        return Response(moves(results))

    @extend_schema(responses=GatesSerializer)
    @action(detail=True, methods=["get"])
    def gates(self, request: Request, pk: int) -> Response:
        """Every gate with what it requires and what is unmet."""
        found = gates.progress(self.get_object(), rules=rules_for(self.org))
        return Response(GatesSerializer({"gates": found}).data)

    @extend_schema(responses=GateCheckSerializer(many=True))
    @action(detail=True, methods=["get"], url_path="gate-checks")
    def gate_checks(self, request: Request, pk: int) -> Response:
        """The ledger of gate checks, newest first."""
        self.require_exists()
        return self.reply_list(self._below(GateCheck).order_by("-checked_at", "-pk"), GateCheckSerializer)

    @extend_schema(responses=StayInStateSerializer(many=True))
    @action(detail=True, methods=["get"])
    def history(self, request: Request, pk: int) -> Response:
        """Which stage it was in, from when to when."""
        self.require_exists()
        rows = self.get_object().stage_history.order_by("entered_at", "pk")
        return self.reply_list(rows, StayInStateSerializer)

    @extend_schema(responses=ChecklistItemSerializer(many=True))
    @action(detail=True, methods=["get"])
    def checklist(self, request: Request, pk: int) -> Response:
        """The points of both reviews."""
        self.require_exists()
        return self.reply_list(self._below(ChecklistItem).order_by("kind", "position", "pk"), ChecklistItemSerializer)

    @extend_schema(responses={201: ChecklistItemSerializer})
    @checklist.mapping.post
    def add_item(self, request: Request, pk: int) -> Response:
        """Add a point to a review."""
        item = services.add_checklist_item(org=self.org, pursuit_id=pk, **self.body(), actor=self.actor, at=now())
        return self.reply(item, status=201, serializer_class=ChecklistItemSerializer, resource="checklist_item")

    @extend_schema(responses=ChecklistItemSerializer)
    @action(detail=True, methods=["patch"], url_path="checklist/<id:item_id>")
    def update_item(self, request: Request, pk: int, item_id: int) -> Response:
        """Complete or reopen a point, or change its evidence."""
        item = services.update_checklist_item(
            org=self.org, pursuit_id=pk, item_id=item_id, **self.body(), actor=self.actor, at=now()
        )
        return self.reply(item, serializer_class=ChecklistItemSerializer, resource="checklist_item")

    @extend_schema(responses=ChecklistItemSerializer)
    @action(detail=True, methods=["post"], url_path="checklist/<id:item_id>/waive")
    def waive_item(self, request: Request, pk: int, item_id: int) -> Response:
        """Let the gates pass without this point, with a written reason."""
        item = services.waive_checklist_item(
            org=self.org, pursuit_id=pk, item_id=item_id, **self.body(), actor=self.actor, at=now()
        )
        return self.reply(item, serializer_class=ChecklistItemSerializer, resource="checklist_item")

    @extend_schema(responses=ProposalSerializer(many=True))
    @action(detail=True, methods=["get"])
    def proposals(self, request: Request, pk: int) -> Response:
        """Every version, newest first."""
        self.require_exists()
        return self.reply_list(self._below(Proposal).order_by("-version", "-pk"), ProposalSerializer)

    @extend_schema(responses={201: ProposalSerializer})
    @proposals.mapping.post
    def create_proposal(self, request: Request, pk: int) -> Response:
        """Draft the next version."""
        proposal = services.create_proposal(org=self.org, pursuit_id=pk, fields=self.body(), actor=self.actor, at=now())
        return self.reply(proposal, status=201, serializer_class=ProposalSerializer, resource="proposal")

    @extend_schema(responses=CostEntrySerializer(many=True))
    @action(detail=True, methods=["get"])
    def costs(self, request: Request, pk: int) -> Response:
        """What the sale itself cost, newest first."""
        self.require_exists()
        return self.reply_list(self._below(CostEntry).order_by("-spent_on", "-pk"), CostEntrySerializer)

    @extend_schema(responses={201: CostEntrySerializer})
    @costs.mapping.post
    def record_cost(self, request: Request, pk: int) -> Response:
        """Book hours or money of a role."""
        body = {"spent_on": now().date(), **self.body()}
        entry = services.record_cost(org=self.org, pursuit_id=pk, **body, actor=self.actor, at=now())
        return self.reply(entry, status=201, serializer_class=CostEntrySerializer, resource="cost_entry")

    def _moved(self, pursuit: Pursuit) -> Response:
        return self.reply(pursuit, serializer_class=MovedPursuitSerializer)
