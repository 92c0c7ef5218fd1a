"""`/api/sla/explain`: why the clocks of an item stand as they do."""

from __future__ import annotations

from typing import Any

from django.utils.timezone import now
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from flowledger.api.base import OrgAPIView
from flowledger.api.converters import MAX_ID
from flowledger.api.fields import InstantField
from flowledger.api.filters import refuse_unknown
from flowledger.errors import InvalidInput
from workstream.models.sla import SlaItem, SlaMetric
from workstream.services.sla_explain import explain

STATES = ("running", "paused", "met", "breached", "cancelled")


class PauseSerializer(serializers.Serializer[Any]):
    """One time on hold; `seconds` of the rule's own time were not counted."""

    since = InstantField()
    until = InstantField(allow_null=True)
    by = serializers.CharField(allow_blank=True)
    seconds = serializers.FloatField()


class ClockStorySerializer(serializers.Serializer[Any]):
    """One clock; seconds are open time under a calendar, else those of the wall clock."""

    clock_id = serializers.IntegerField()
    metric = serializers.ChoiceField(choices=SlaMetric.choices)
    state = serializers.ChoiceField(choices=STATES)
    rule_id = serializers.IntegerField(allow_null=True)
    rule_version = serializers.IntegerField()
    rule = serializers.CharField(allow_blank=True)
    calendar = serializers.CharField(allow_blank=True)
    calendar_version = serializers.IntegerField()
    started_at = InstantField()
    warn_at = InstantField(allow_null=True)
    due_at = InstantField(allow_null=True)
    warned_at = InstantField(allow_null=True)
    breached_at = InstantField(allow_null=True)
    paused_at = InstantField(allow_null=True)
    stopped_at = InstantField(allow_null=True)
    stopped_by = serializers.CharField(allow_blank=True)
    outcome = serializers.CharField(allow_blank=True)
    elapsed_seconds = serializers.FloatField()
    remaining_seconds = serializers.FloatField(allow_null=True)
    paused_seconds = serializers.FloatField()
    pauses = PauseSerializer(many=True)
    sentences = serializers.ListField(child=serializers.CharField())


class ExplanationSerializer(serializers.Serializer[Any]):
    """The clocks of one item, running ones first."""

    item_type = serializers.ChoiceField(choices=SlaItem.choices)
    item_id = serializers.IntegerField()
    clocks = ClockStorySerializer(many=True)


class SlaExplainView(OrgAPIView):
    """Why the clocks of an item stand as they do, in numbers and in sentences."""

    scope = "workstream"
    # The query names a row.
    more_statuses = (404,)

    @extend_schema(
        parameters=[
            OpenApiParameter("item_type", OpenApiTypes.STR, required=True, enum=SlaItem.values),
            OpenApiParameter("item_id", OpenApiTypes.INT64, required=True),
        ],
        responses=ExplanationSerializer,
    )
    def get(self, request: Request) -> Response:
        """Each clock: since when, by which rule, what paused it, when it warns and is due, and how it ended."""
        item_type, item_id = _item(request)
        stories = explain(org=self.org, item_type=item_type, item_id=item_id, at=now())
        return Response(ExplanationSerializer({"item_type": item_type, "item_id": item_id, "clocks": stories}).data)


def _item(request: Request) -> tuple[str, int]:
    """The item that the query names. Raises InvalidInput."""
    params = request.query_params
    fields = refuse_unknown(params, ["item_type", "item_id", "org_id"])
    item_type, text = params.get("item_type", ""), params.get("item_id", "")
    if item_type not in SlaItem.values:
        fields["item_type"] = [f"Choose from: {', '.join(SlaItem.values)}."]
    if not (text.isascii() and text.isdigit() and len(text) <= 19 and 1 <= int(text) <= MAX_ID):
        fields["item_id"] = ["This must be the id of the item."]
    if fields:
        name, sentences = next(iter(fields.items()))
        raise InvalidInput(f"{name}: {sentences[0]}", fields=fields)
    return item_type, int(text)
