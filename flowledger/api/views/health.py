"""Whether the process lives (GET /healthz) and whether the whole works (GET /api/health)."""

from __future__ import annotations

from typing import Any

from django.db import DatabaseError, InterfaceError
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.utils.timezone import now
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from flowledger.api.errors import CODES, RETRY_SECONDS
from flowledger.api.fields import InstantField
from flowledger.api.views.public import PublicAPIView
from flowledger.outbox.health import MOST_DEAD, OutboxHealth, database_answers, heartbeats, recent_outbox_health

PARTS = ["database", "broker", "workers", "beat"]


@never_cache
@require_safe
def liveness(request: HttpRequest) -> HttpResponse:
    """The process answers; it asks nobody else."""
    return JsonResponse({"status": "alive"})


class ServicesSerializer(serializers.Serializer[object]):
    """The parts behind the service; workers and beat show themselves every few seconds."""

    database = serializers.ChoiceField(choices=["up", "down"])
    broker = serializers.ChoiceField(choices=["up", "down"])
    workers = serializers.ChoiceField(choices=["up", "down"])
    beat = serializers.ChoiceField(choices=["up", "down"])


class OutboxHealthSerializer(serializers.Serializer[object]):
    """Events that wait, at most two seconds ago, and for how long the one that is due longest has been due."""

    depth = serializers.IntegerField(min_value=0, help_text="Counted up to some ten thousands, an estimate beyond.")
    depth_is_estimate = serializers.BooleanField()
    oldest_age_s = serializers.FloatField(min_value=0)
    dead_letters = serializers.IntegerField(min_value=0, max_value=MOST_DEAD, help_text="Counted no further.")


class HealthSerializer(serializers.Serializer[object]):
    """`degraded` while any part is missing; `failed` names the parts. The last beat is known for a week."""

    status = serializers.ChoiceField(choices=["healthy", "degraded"])
    timestamp = InstantField()
    services = ServicesSerializer()
    failed = serializers.ListField(child=serializers.ChoiceField(choices=PARTS))
    live_workers = serializers.IntegerField(min_value=0)
    last_beat_at = InstantField(allow_null=True)
    outbox = OutboxHealthSerializer(allow_null=True)


class UnhealthySerializer(HealthSerializer):
    """Without the database nothing else works; the refusal says so and still lists the parts."""

    error = serializers.CharField()
    code = serializers.ChoiceField(choices=["unavailable"])


class HealthView(PublicAPIView):
    """Health of the service and the parts behind it."""

    @extend_schema(responses={200: HealthSerializer, 503: UnhealthySerializer})
    def get(self, request: Request) -> Response:
        """Anonymous: whether database, broker, workers and beat answer, and how far the outbox is behind."""
        outbox = _outbox()
        seen = heartbeats()
        up = {
            "database": outbox is not None,
            "broker": seen.broker,
            "workers": bool(seen.live_workers),
            "beat": seen.beat_is_alive,
        }
        body: dict[str, Any] = {
            "status": "healthy" if all(up.values()) else "degraded",
            "timestamp": now(),
            "services": {part: "up" if answers else "down" for part, answers in up.items()},
            "failed": [part for part, answers in up.items() if not answers],
            "live_workers": len(seen.live_workers),
            "last_beat_at": seen.beat.at if seen.beat else None,
            "outbox": outbox,
        }
        if outbox is None:
            body |= {"error": "The database is not reachable.", "code": CODES[503]}
            return Response(body, status=503, headers={"Retry-After": str(RETRY_SECONDS), "Cache-Control": "no-store"})
        return Response(body, headers={"Cache-Control": "no-store"})


def _outbox() -> OutboxHealth | None:
    """The backlog, or None when the database does not answer within its two seconds."""
    if not database_answers():
        return None
    try:
        return recent_outbox_health()
    except (DatabaseError, InterfaceError):
        return None
