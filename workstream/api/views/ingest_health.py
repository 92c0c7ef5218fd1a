"""`/api/intake/health`: how every way in is doing."""

from __future__ import annotations

from typing import Any

from django.utils.timezone import now
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from flowledger.api.base import OrgAPIView
from flowledger.api.fields import InstantField
from workstream.models.signals import Channel
from workstream.reports.ingest import LAG_OF, Standing, ingest_health


class CountsSerializer(serializers.Serializer[Any]):
    """In the last hour, day and week."""

    hour = serializers.IntegerField()
    day = serializers.IntegerField()
    week = serializers.IntegerField()


class WayInSerializer(serializers.Serializer[Any]):
    """One channel, or one configured source of it (`source_id`)."""

    channel = serializers.ChoiceField(choices=Channel.choices)
    source_id = serializers.IntegerField(allow_null=True)
    name = serializers.CharField()
    standing = serializers.ChoiceField(
        choices=[each.value for each in Standing], help_text="`failing`: the newest thing that happened was a failure."
    )
    is_active = serializers.BooleanField()
    last_success_at = InstantField(allow_null=True)
    last_error_at = InstantField(allow_null=True)
    last_error = serializers.CharField(allow_blank=True)
    received = CountsSerializer(help_text="New signals.")
    repeated = CountsSerializer(help_text="Deliveries of signals that were there already.")
    rejected = CountsSerializer(help_text="What could not become a signal.")
    open_rejects = serializers.IntegerField()
    lag_seconds = serializers.FloatField(
        allow_null=True, help_text=f"Median time from happening to being received, of the {LAG_OF} newest signals."
    )
    polled_at = InstantField(allow_null=True)


class IngestHealthSerializer(serializers.Serializer[Any]):
    """Every channel, then every configured source by name."""

    data = WayInSerializer(many=True)  # type: ignore[assignment]  # a field named data


class IngestHealthView(OrgAPIView):
    """How every way in is doing."""

    scope = "signals"

    @extend_schema(responses=IngestHealthSerializer)
    def get(self, request: Request) -> Response:
        """Last success, last error, counts, repeats, open rejects and lag of every channel and source."""
        ways = ingest_health(org=self.org, at=now())
        return Response({"data": WayInSerializer(ways, many=True).data})
