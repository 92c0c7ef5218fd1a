"""SLA rules and breaches."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from flowledger.api.serializers import OrgSerializer
from workstream.models import SlaBreach, SlaRule
from workstream.models.sla import METRIC_ALIASES, RULED_METRICS, SlaItem, metric_named

_METRICS = [metric.value for metric in RULED_METRICS]


@extend_schema_field({"type": "string", "enum": [*_METRICS, *METRIC_ALIASES]})
class MetricField(serializers.Field[Any, Any, Any, Any]):
    """A metric that rules measure; an alias is taken and answered under the metric's own name."""

    def to_internal_value(self, data: Any) -> str:
        if not isinstance(data, str) or metric_named(data) not in _METRICS:
            raise serializers.ValidationError(f"Choose from: {', '.join([*_METRICS, *METRIC_ALIASES])}.")
        return metric_named(data)

    def to_representation(self, value: Any) -> str:
        return str(value)


class SlaRuleSerializer(OrgSerializer):
    """How long a metric may take; `version` counts the edits."""

    metric = MetricField()

    class Meta:
        model = SlaRule
        resource = "rule"
        fields = (
            "item_type",
            "stage",
            "metric",
            "threshold_hours",
            "warn_before_hours",
            "calendar_id",
            "active_from",
            "active_to",
            "is_active",
            "version",
        )
        read_only_fields = ("version",)


class SlaBreachSerializer(OrgSerializer):
    """An item that missed its time; open until `resolved_at`, `resolved_by` names the event."""

    item_type = serializers.ChoiceField(choices=SlaItem.choices, read_only=True)
    item_id = serializers.IntegerField(read_only=True, min_value=1)

    class Meta:
        model = SlaBreach
        resource = "breach"
        fields = (
            "item_type",
            "item_id",
            "clock_id",
            "rule_id",
            "metric",
            "reason_code",
            "breached_at",
            "resolved_at",
            "resolved_by",
        )
