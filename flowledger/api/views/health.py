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
from flowledger.outbox.health import outbox_health, services_health


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
    """Events that wait, and for how long the one that is due longest has been due."""

    depth = serializers.IntegerField(min_value=0)
    oldest_age_s = serializers.FloatField(min_value=0)


class HealthSerializer(serializers.Serializer[object]):
    """`degraded` while any part is missing."""

    status = serializers.ChoiceField(choices=["healthy", "degraded"])
    timestamp = InstantField()
    services = ServicesSerializer()
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
        parts = services_health()
        outbox = None
        if parts["database"]:
            try:
                outbox = outbox_health()
            except (DatabaseError, InterfaceError):
                parts["database"] = False
        body: dict[str, Any] = {
            "status": "healthy" if all(parts.values()) else "degraded",
            "timestamp": now(),
            "services": {part: "up" if answers else "down" for part, answers in parts.items()},
            "outbox": outbox,
        }
        if not parts["database"]:
            body |= {"error": "The database is not reachable.", "code": CODES[503]}
            return Response(body, status=503, headers={"Retry-After": str(RETRY_SECONDS), "Cache-Control": "no-store"})
        return Response(body, headers={"Cache-Control": "no-store"})
