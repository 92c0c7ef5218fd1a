"""Rows of the Today panel."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import extend_schema_serializer
from rest_framework import serializers

from flowledger.api.fields import DayField, InstantField
from flowledger.api.serializers import Body
from workstream.models.sla import SlaMetric
from workstream.models.today import Badge, NextVerb, Tier
from workstream.services.today import LISTED_MODELS

ITEM_TYPES = tuple(LISTED_MODELS)


class ReasonSerializer(serializers.Serializer[Any]):
    """One term of the priority score."""

    code = serializers.ChoiceField(choices=["urgency", "value", "icp", "stage", "workload"])
    points = serializers.IntegerField()
    sentence = serializers.CharField()


class NextActionSerializer(serializers.Serializer[Any]):
    """The request that does what the item wants next: `body` is always sent, `needs` is to be asked for."""

    verb = serializers.ChoiceField(choices=NextVerb.choices)
    label = serializers.CharField()  # type: ignore[assignment]
    method = serializers.ChoiceField(choices=["GET", "POST"])
    url = serializers.CharField()
    body = serializers.DictField()
    needs = serializers.ListField(child=serializers.CharField())


class TodayRowSerializer(serializers.Serializer[Any]):
    """One item of the panel, with what puts it where it stands."""

    item_type = serializers.ChoiceField(choices=ITEM_TYPES)
    item_id = serializers.IntegerField()
    label = serializers.CharField()  # type: ignore[assignment]
    client_name = serializers.CharField(allow_blank=True)
    state = serializers.CharField()
    last_touch_at = InstantField()
    hours_since_touch = serializers.IntegerField(min_value=0)
    due_date = DayField(allow_null=True)
    sla_metric = serializers.ChoiceField(choices=SlaMetric.choices, allow_blank=True)
    sla_due_at = InstantField(allow_null=True)
    badge = serializers.ChoiceField(choices=[badge.label for badge in Badge])
    owner_user_id = serializers.IntegerField(source="owner_id", allow_null=True)
    owner_name = serializers.CharField(allow_blank=True)
    tags = serializers.ListField(child=serializers.CharField())
    icp_band = serializers.CharField(allow_blank=True)
    value_band = serializers.CharField(allow_blank=True)
    priority_score = serializers.IntegerField()
    priority_tier = serializers.ChoiceField(choices=[tier.label for tier in Tier])
    reasons = ReasonSerializer(many=True)
    next_action = NextActionSerializer(allow_null=True)


class BadgeCountsSerializer(serializers.Serializer[Any]):
    red = serializers.IntegerField()
    amber = serializers.IntegerField()
    green = serializers.IntegerField()


class TierCountsSerializer(serializers.Serializer[Any]):
    urgent = serializers.IntegerField()
    high = serializers.IntegerField()
    medium = serializers.IntegerField()
    low = serializers.IntegerField()


class TodayCountsSerializer(serializers.Serializer[Any]):
    """Shown rows per badge and per tier, as the other filters leave them."""

    badges = BadgeCountsSerializer()
    tiers = TierCountsSerializer()


class _PaginationSerializer(serializers.Serializer[Any]):
    page = serializers.IntegerField()
    limit = serializers.IntegerField()
    total = serializers.IntegerField()
    total_is_estimate = serializers.BooleanField(required=False)
    next_cursor = serializers.CharField(allow_null=True)

    sometimes_absent = ("total_is_estimate",)


@extend_schema_serializer(many=False)
class TodayPageSerializer(serializers.Serializer[Any]):
    """A page of the panel."""

    data = TodayRowSerializer(many=True)  # type: ignore[assignment]
    pagination = _PaginationSerializer()
    counts = TodayCountsSerializer()


class SnoozeBody(Body):
    """Which item to put off until when; null brings it back."""

    item_type = serializers.ChoiceField(choices=ITEM_TYPES)
    item_id = serializers.IntegerField(min_value=1, max_value=2**63 - 1)
    until = InstantField(allow_null=True)


class SnoozeSerializer(serializers.Serializer[Any]):
    """An item and until when it is off the panel."""

    item_type = serializers.ChoiceField(choices=ITEM_TYPES)
    item_id = serializers.IntegerField()
    snoozed_until = InstantField(allow_null=True)
