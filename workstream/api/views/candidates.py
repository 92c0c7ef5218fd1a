"""`/api/candidates`."""

from __future__ import annotations

from typing import Any

from django.utils.timezone import now
from drf_spectacular.utils import extend_schema
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response

from flowledger.api.mixins import ListModelMixin, RetrieveModelMixin
from flowledger.api.viewsets import OrgViewSet
from flowledger.errors import InvalidInput
from workstream import services
from workstream.api.filters import CandidateFilters
from workstream.api.serializers.bulk import CandidatesMoveBody, MovesSerializer, moves
from workstream.api.serializers.candidates import CandidateSerializer, HoldBody, PromoteBody, PromotionSerializer
from workstream.api.serializers.items import EmptyBody, ReasonBody, StayInStateSerializer, aspect_of
from workstream.api.views.items import WorkMixin
from workstream.models import Candidate


class CandidateViewSet(OrgViewSet, ListModelMixin, RetrieveModelMixin, WorkMixin):
    """Qualified leads; their status moves through verbs."""

    model = Candidate
    resource = "candidate"
    scope = "workstream"
    serializer_class = CandidateSerializer
    filterset_class = CandidateFilters
    search = OrgViewSet.search_words
    ordering_fields = {
        "created_at": "created_at",
        "last_touch_at": "last_touch_at",
        "next_step_due": "next_step_due",
        "candidate_id": "pk",
    }
    body_classes = {
        **WorkMixin.body_classes,
        "triage": EmptyBody,
        "nurture": EmptyBody,
        "hold": HoldBody,
        "archive": ReasonBody,
        "promote": PromoteBody,
        "move_many": CandidatesMoveBody,
    }

    def scoped_queryset(self, rows: Any) -> Any:
        return rows.for_list().order_by("-pk")

    def etag_aspect(self, row: Candidate) -> str | None:
        """The badge follows the clocks, which leave the candidate's version as it is."""
        return aspect_of(row)

    @extend_schema(responses={201: CandidateSerializer})
    def create(self, request: Request) -> Response:
        """Open a candidate, from signals or by hand."""
        fields = self.body()
        candidate = services.create_candidate(
            org=self.org,
            signal_ids=[signal.pk for signal in fields.pop("signal_links", [])],
            tags=fields.pop("tag_links", []),
            fields=fields,
            actor=self.actor,
            at=now(),
        )
        return self.reply(candidate, status=201)

    def partial_update(self, request: Request, pk: int) -> Response:
        """Change plain fields and tags."""
        fields = self.body()
        if "signal_links" in fields:
            sentence = "Signals are linked through POST /api/signals/{signal_id}/link."
            raise InvalidInput(sentence, fields={"signal_ids": [sentence]})
        tags = fields.pop("tag_links", None)
        candidate = services.update_candidate(
            org=self.org, candidate_id=pk, fields=fields, tags=tags, actor=self.actor, at=now()
        )
        return self.reply(candidate)

    @action(detail=True, methods=["post"])
    def triage(self, request: Request, pk: int) -> Response:
        """Judge worth work, or take back from nurture or hold."""
        self.body()
        return self.reply(services.triage_candidate(org=self.org, candidate_id=pk, actor=self.actor, at=now()))

    @action(detail=True, methods=["post"])
    def nurture(self, request: Request, pk: int) -> Response:
        """Put into nurture."""
        self.body()
        return self.reply(services.nurture_candidate(org=self.org, candidate_id=pk, actor=self.actor, at=now()))

    @action(detail=True, methods=["post"])
    def hold(self, request: Request, pk: int) -> Response:
        """Put on hold with a reason, perhaps until a time."""
        held = services.hold_candidate(org=self.org, candidate_id=pk, **self.body(), actor=self.actor, at=now())
        return self.reply(held)

    @action(detail=True, methods=["post"])
    def archive(self, request: Request, pk: int) -> Response:
        """Close without a pursuit, with a reason."""
        archived = services.archive_candidate(org=self.org, candidate_id=pk, **self.body(), actor=self.actor, at=now())
        return self.reply(archived)

    @extend_schema(responses={200: PromotionSerializer, 201: PromotionSerializer})
    @action(detail=True, methods=["post"])
    def promote(self, request: Request, pk: int) -> Response:
        """Open the candidate's one pursuit; again answers with the same one."""
        promotion = services.promote_candidate(
            org=self.org, candidate_id=pk, fields=self.body(), actor=self.actor, at=now()
        )
        return Response(PromotionSerializer(promotion).data, status=201 if promotion.created else 200)

    @extend_schema(responses=MovesSerializer)
    @action(detail=False, methods=["post"], url_path="bulk/transition")
    def move_many(self, request: Request) -> Response:
        """Move up to 500 candidates, each as its own verb would; a result per row."""
        body = self.body()
        results = services.move_candidates(
            org=self.org, candidate_ids=body.pop("ids"), **body, actor=self.actor, at=now()
        )
        return Response(moves(results))

    @extend_schema(responses=StayInStateSerializer(many=True))
    @action(detail=True, methods=["get"])
    def history(self, request: Request, pk: int) -> Response:
        """Which status it was in, from when to when."""
        self.require_exists()
        rows = self.get_object().stage_history.order_by("entered_at", "pk")
        return self.reply_list(rows, StayInStateSerializer)
