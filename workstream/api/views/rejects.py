"""`/api/intake/rejects`: what could not become a signal, to be fixed, replayed or discarded."""

from __future__ import annotations

from typing import Any

from django.utils.timezone import now
from drf_spectacular.utils import extend_schema
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response

from flowledger.api.filters import ChoicesFilter, IdsFilter, InstantFilter, OrgFilterSet, TextsFilter
from flowledger.api.mixins import ListModelMixin, RetrieveModelMixin
from flowledger.api.viewsets import OrgViewSet
from workstream import services
from workstream.api.serializers.intake import (
    DiscardRejectBody,
    RejectDetailSerializer,
    RejectSerializer,
    ReplayedSerializer,
    ReplayManyBody,
    ReplaysSerializer,
)
from workstream.machines import RejectStatus
from workstream.models.intake import IntakeReject
from workstream.models.signals import Channel


class RejectFilters(OrgFilterSet):
    """`status=open` is what waits to be fixed."""

    status = ChoicesFilter(choices=RejectStatus.choices)
    channel = ChoicesFilter(choices=Channel.choices)
    source_id = IdsFilter("source_id")
    signal_id = IdsFilter("signal_id")
    code = TextsFilter("code")
    received_from = InstantFilter("last_received_at", lookup_expr="gte")
    received_to = InstantFilter("last_received_at", lookup_expr="lt")


class RejectViewSet(OrgViewSet, ListModelMixin, RetrieveModelMixin):
    """What came in and could not become a signal, the last received first."""

    model = IntakeReject
    resource = "reject"
    scope = "signals"
    serializer_class = RejectSerializer
    filterset_class = RejectFilters
    ordering_fields = ("last_received_at", "received_at", "occurrences")
    body_classes = {"discard": DiscardRejectBody, "replay_many": ReplayManyBody}

    def scoped_queryset(self, rows: Any) -> Any:
        rows = rows.defer("body") if self.action == "list" else rows
        return rows.order_by("-last_received_at", "-pk")

    def get_serializer_class(self) -> Any:
        """What came in is shown with one reject only."""
        return RejectDetailSerializer if self.action == "retrieve" else RejectSerializer

    def partial_update(self, request: Request, pk: int) -> Response:
        """Set fields that were missing or wrong; null takes one away. `errors` says what is still wrong."""
        fields = self.body().get("fields", {})
        reject = services.fix_reject(org=self.org, reject_id=pk, fields=fields, actor=self.actor, at=now())
        return self.reply(reject)

    @extend_schema(responses=ReplayedSerializer)
    @action(detail=True, methods=["post"])
    def replay(self, request: Request, pk: int) -> Response:
        """Make it a signal by its fields as they are now; 400 says what is still wrong."""
        replayed = services.replay_reject(org=self.org, reject_id=pk, actor=self.actor, at=now())
        return Response(ReplayedSerializer(replayed).data)

    @extend_schema(responses=ReplaysSerializer)
    @action(detail=False, methods=["post"], url_path="replay")
    def replay_many(self, request: Request) -> Response:
        """Replay several; one that is still wrong stays open and costs the others nothing."""
        results = services.replay_rejects(org=self.org, **self.body(), actor=self.actor, at=now())
        return Response(ReplaysSerializer({"results": results}).data)

    @action(detail=True, methods=["post"])
    def discard(self, request: Request, pk: int) -> Response:
        """Put it aside for good; the row stays."""
        reject = services.discard_reject(org=self.org, reject_id=pk, **self.body(), actor=self.actor, at=now())
        return self.reply(reject)
