"""`/api/signals`."""

from __future__ import annotations

from typing import Any

from django.utils.timezone import now
from drf_spectacular.utils import extend_schema
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response

from flowledger.api.mixins import ListModelMixin, RetrieveModelMixin
from flowledger.api.viewsets import OrgViewSet
from workstream import services
from workstream.api.filters import SignalFilters
from workstream.api.serializers.items import ReasonBody
from workstream.api.serializers.signals import LinkSignalBody, SignalSerializer
from workstream.api.views.items import ActivitiesMixin
from workstream.models import Signal
from workstream.services.signals import RawPayload


class SignalViewSet(OrgViewSet, ListModelMixin, RetrieveModelMixin, ActivitiesMixin):
    """Raw signs of interest: kept as received, newest first."""

    model = Signal
    resource = "signal"
    scope = "signals"
    serializer_class = SignalSerializer
    filterset_class = SignalFilters
    search = OrgViewSet.search_words
    ordering_fields = ("ts", "created_at", "urgency_score")
    body_classes = {**ActivitiesMixin.body_classes, "link": LinkSignalBody, "reject": ReasonBody}

    def scoped_queryset(self, rows: Any) -> Any:
        return rows.order_by("-ts", "-pk")

    @extend_schema(responses={200: SignalSerializer, 201: SignalSerializer})
    def create(self, request: Request) -> Response:
        """Keep a signal; a repeated natural key answers 200 with the first one."""
        fields = self.body()
        received = services.create_signal(
            org=self.org,
            dedupe_key=fields.pop("dedupe_key", None) or "",
            fields=fields,
            payload=RawPayload(getattr(request, "raw_body", b""), request.content_type or "application/json"),
            sender=f"{self.actor.label} from {request.META.get('REMOTE_ADDR') or 'a local socket'}",
            actor=self.actor,
            at=now(),
        )
        return self.reply(received.signal, status=201 if received.created else 200)

    def partial_update(self, request: Request, pk: int) -> Response:
        """Change who works on it; what it said stays as received."""
        signal = services.update_signal(org=self.org, signal_id=pk, fields=self.body(), actor=self.actor, at=now())
        return self.reply(signal)

    @action(detail=True, methods=["post"])
    def link(self, request: Request, pk: int) -> Response:
        """Put the signal behind a candidate."""
        body = self.body()
        candidate_id = body.pop("candidate").pk
        signal = services.link_signal(
            org=self.org, signal_id=pk, candidate_id=candidate_id, **body, actor=self.actor, at=now()
        )
        return self.reply(signal)

    @action(detail=True, methods=["post"])
    def reject(self, request: Request, pk: int) -> Response:
        """Put the signal aside with a reason."""
        signal = services.reject_signal(org=self.org, signal_id=pk, **self.body(), actor=self.actor, at=now())
        return self.reply(signal)
