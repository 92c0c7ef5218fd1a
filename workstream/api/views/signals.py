"""`/api/signals`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.core.exceptions import RequestDataTooBig
from django.http.request import RawPostDataException
from django.utils.timezone import now
from drf_spectacular.utils import extend_schema
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response

from flowledger.api.base import OrgAPIView
from flowledger.api.mixins import ListModelMixin, RetrieveModelMixin
from flowledger.api.viewsets import OrgViewSet
from workstream import services
from workstream.api.filters import SignalFilters
from workstream.api.serializers.items import ReasonBody
from workstream.api.serializers.signals import SignalSerializer
from workstream.api.views.clusters import ClusterMixin
from workstream.api.views.items import ActivitiesMixin
from workstream.intake.fields import readable_fields
from workstream.models import Signal
from workstream.models.intake import IntakeReject
from workstream.models.signals import Channel
from workstream.services.signals import RawPayload


class SignalViewSet(OrgViewSet, ListModelMixin, RetrieveModelMixin, ActivitiesMixin, ClusterMixin):
    """Raw signs of interest: kept as received, newest first."""

    model = Signal
    resource = "signal"
    scope = "signals"
    serializer_class = SignalSerializer
    filterset_class = SignalFilters
    search = OrgViewSet.search_words
    ordering_fields = ("ts", "created_at", "urgency_score")
    body_classes = {**ActivitiesMixin.body_classes, **ClusterMixin.body_classes, "reject": ReasonBody}

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
            sender=sender_of(self),
            channel=Channel.REST,
            actor=self.actor,
            at=now(),
        )
        return self.reply(received.signal, status=201 if received.created else 200)

    def answer_refusal(self, error: Exception, response: Response) -> None:
        """What came in and cannot be a signal is kept; the answer names it."""
        if self.action == "create" and isinstance(response.data, dict):
            reject = _keep(self, self.request, response.data)
            response.data.update({"reject_id": reject.pk} if reject is not None else {})

    def partial_update(self, request: Request, pk: int) -> Response:
        """Change who works on it; what it said stays as received."""
        signal = services.update_signal(org=self.org, signal_id=pk, fields=self.body(), actor=self.actor, at=now())
        return self.reply(signal)

    @action(detail=True, methods=["post"])
    def reject(self, request: Request, pk: int) -> Response:
        """Put the signal aside with a reason."""
        signal = services.reject_signal(org=self.org, signal_id=pk, **self.body(), actor=self.actor, at=now())
        return self.reply(signal)


def sender_of(view: OrgAPIView) -> str:
    """Who delivers, and from where."""
    return f"{view.actor.label} from {view.request.META.get('REMOTE_ADDR') or 'a local socket'}"


def _keep(view: OrgAPIView, request: Request, refusal: Mapping[str, Any]) -> IntakeReject | None:
    """The refused body as a reject; none where there is no body, or one that is larger than is read."""
    try:
        body: bytes = request.raw_body if hasattr(request, "raw_body") else request._request.body
    except (RequestDataTooBig, RawPostDataException):
        return None
    if not body:
        return None
    return services.keep_reject(
        org=view.org,
        channel=Channel.REST,
        body=body,
        content_type=request.content_type or "",
        sender=sender_of(view),
        code=refusal["code"],
        reason=refusal["error"],
        errors=refusal.get("fields", {}),
        fields=readable_fields(body),
        actor=view.actor,
        at=now(),
    )
