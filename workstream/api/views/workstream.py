"""`/api/workstream`: counts and the event trail of an item."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django.utils.timezone import now
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from flowledger.api.base import OrgAPIView
from flowledger.api.filters import ChoicesFilter, IdsFilter, OrgFilterSet, TextsFilter
from flowledger.api.mixins import ListModelMixin
from flowledger.api.viewsets import OrgViewSet
from flowledger.outbox.models import WorkEvent
from workstream import reports

RECENT = timedelta(days=7)


class _CountsSerializer(serializers.Serializer[Any]):
    total = serializers.IntegerField()
    recent = serializers.IntegerField(help_text="Created in the last 7 days.")


class StatsSerializer(serializers.Serializer[Any]):
    """How much there is."""

    signals = _CountsSerializer()
    candidates = _CountsSerializer()
    pursuits = _CountsSerializer()


class StatsView(OrgAPIView):
    """Exact counts of the pipeline, in one statement."""

    scope = "workstream"

    @extend_schema(responses=StatsSerializer)
    def get(self, request: Request) -> Response:
        """Totals, and how many are of the last seven days."""
        return Response(reports.pipeline_counts(org=self.org, since=now() - RECENT))


class WorkEventSerializer(serializers.ModelSerializer[WorkEvent]):
    """One event of an item's trail."""

    event_id = serializers.IntegerField(source="pk")
    payload = serializers.DictField()
    org_id = serializers.IntegerField()

    class Meta:
        model = WorkEvent
        fields = (
            "event_id",
            "event_name",
            "item_type",
            "item_id",
            "payload",
            "actor_kind",
            "actor_id",
            "actor_label",
            "origin",
            "occurred_at",
            "recorded_at",
            "correlation_id",
            "causation_id",
            "org_id",
        )
        read_only_fields = fields


class WorkEventFilters(OrgFilterSet):
    """`item_type` and `item_id` together are the trail of one item."""

    item_type = TextsFilter("item_type")
    item_id = IdsFilter("item_id")
    event_name = TextsFilter("event_name")
    origin = ChoicesFilter(choices=WorkEvent._meta.get_field("origin").choices or ())

    def filter_queryset(self, queryset: Any) -> Any:
        """As django-filter does; one item is asked for in the way that its index serves."""
        types, ids = self.form.cleaned_data["item_type"], self.form.cleaned_data["item_id"]
        if len(types) == len(ids) == 1 and ids[0] is not None:
            queryset = queryset.of_item(types[0], ids[0])
        return super().filter_queryset(queryset)


class WorkEventViewSet(OrgViewSet, ListModelMixin):
    """The event trail, newest first; `item_type` and `item_id` give that of one item."""

    model = WorkEvent
    resource = "event"
    scope = "workstream"
    serializer_class = WorkEventSerializer
    filterset_class = WorkEventFilters

    def scoped_queryset(self, rows: Any) -> Any:
        return rows.order_by("-pk")
