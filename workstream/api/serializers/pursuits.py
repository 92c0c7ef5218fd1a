"""Pursuits, their checklists, gates, proposals and costs."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from flowledger.api.fields import DayField, MoneyField
from flowledger.api.serializers import Body, OrgSerializer
from workstream.api.serializers.items import BadgeField, TagNamesField
from workstream.machines import PursuitStage
from workstream.models import ChecklistItem, CostEntry, Engagement, GateCheck, Proposal, Pursuit
from workstream.models.checklists import ChecklistKind
from workstream.models.proposals import ProposalDelivery

_COUNTS = {
    "type": "object",
    "required": ["done", "required", "percent"],
    "properties": {
        "done": {"type": "integer"},
        "required": {"type": "integer"},
        "percent": {"type": "integer", "minimum": 0, "maximum": 100},
    },
}
PROGRESS_SCHEMA = {
    "type": "object",
    "required": ["pink", "red"],
    "properties": {"pink": _COUNTS, "red": _COUNTS},
}


@extend_schema_field(PROGRESS_SCHEMA)
class ProgressField(serializers.ReadOnlyField):
    """Required checklist items per review: done, required, percent."""


class PursuitSerializer(OrgSerializer):
    """An active opportunity; its stage moves through its verbs only."""

    tags = TagNamesField(source="tag_links", required=False)
    sla_badge = BadgeField()
    checklist = ProgressField(source="checklist_progress")

    class Meta:
        model = Pursuit
        resource = "pursuit"
        fields = (
            "candidate_id",
            "client_id",
            "contact_id",
            "title",
            "due_date",
            "owner_user_id",
            "capture_lead_user_id",
            "proposal_manager_user_id",
            "stage",
            "forecast_value",
            "currency",
            "probability",
            "compliance_score",
            "checklist",
            "sla_badge",
            "cost_hours",
            "cost_amount",
            "tags",
            "submitted_at",
            "closed_at",
            "outcome_reason",
            "last_touch_at",
        )
        read_only_fields = ("candidate_id", "stage")
        extra_kwargs = {"forecast_value": {"min_value": 0}, "probability": {"min_value": 0, "max_value": 1}}


class MovedPursuitSerializer(PursuitSerializer):
    """A pursuit after a move, with where it came from."""

    previous_stage = serializers.ChoiceField(
        choices=PursuitStage.choices, source="previous_state", read_only=True, allow_null=True
    )

    class Meta(PursuitSerializer.Meta):
        fields = (*PursuitSerializer.Meta.fields, "previous_stage")  # type: ignore[assignment]


class StageBody(Body):
    """The stage to move to; a loss also needs its reason."""

    stage = serializers.ChoiceField(choices=PursuitStage.choices)
    reason = serializers.CharField(max_length=1000, required=False, allow_blank=True, default="")


class OutcomeBody(Body):
    """Why it ended this way; the gate asks for it on a loss."""

    reason = serializers.CharField(max_length=1000, required=False, allow_blank=True, default="")


class ChecklistItemSerializer(OrgSerializer):
    """One point of a review."""

    waived = serializers.BooleanField(source="is_waived", read_only=True)

    class Meta:
        model = ChecklistItem
        resource = "checklist_item"
        fields = (
            "pursuit_id",
            "kind",
            "name",
            "position",
            "is_required",
            "is_done",
            "done_at",
            "done_by_user_id",
            "evidence",
            "waived",
            "waived_at",
            "waived_by_user_id",
            "waive_reason",
        )


class NewChecklistItemBody(Body):
    """A point to add to a review."""

    kind = serializers.ChoiceField(choices=ChecklistKind.choices)
    name = serializers.CharField(max_length=200)
    is_required = serializers.BooleanField(default=True)


class ChecklistItemBody(Body):
    """Completion and evidence of a point."""

    is_done = serializers.BooleanField(required=False)
    evidence = serializers.CharField(max_length=2000, required=False, allow_blank=True)


class _UnmetSerializer(serializers.Serializer[Any]):
    requirement = serializers.CharField()
    name = serializers.CharField()
    missing = serializers.CharField()
    how = serializers.CharField()
    checklist_item_id = serializers.IntegerField(allow_null=True)


class _RequiredSerializer(serializers.Serializer[Any]):
    requirement = serializers.CharField()
    name = serializers.CharField()
    is_met = serializers.BooleanField()
    waived = serializers.CharField(allow_null=True)


class GateSerializer(serializers.Serializer[Any]):
    """One gate of a pursuit as it stands now."""

    gate = serializers.CharField()
    passed = serializers.BooleanField()
    required_items = _RequiredSerializer(many=True)
    missing_items = _UnmetSerializer(many=True)


class GatesSerializer(serializers.Serializer[Any]):
    """Every gate of a pursuit, in the order of its way."""

    gates = GateSerializer(many=True)


class GateCheckSerializer(OrgSerializer):
    """One look of the gate engine, kept for ever."""

    unmet = _UnmetSerializer(many=True, read_only=True)

    class Meta:
        model = GateCheck
        resource = "gate_check"
        fields = ("pursuit_id", "gate", "from_stage", "passed", "unmet", "actor_kind", "actor_label", "checked_at")


class ProposalSerializer(OrgSerializer):
    """One version of a proposal."""

    delivery = serializers.ChoiceField(choices=[("", "Not sent"), *ProposalDelivery.choices], read_only=True)

    class Meta:
        model = Proposal
        resource = "proposal"
        fields = (
            "pursuit_id",
            "version",
            "status",
            "title",
            "body",
            "amount",
            "currency",
            "recipients",
            "delivery",
            "sent_at",
            "signed_at",
            "voided_at",
        )
        read_only_fields = ("pursuit_id", "status", "recipients")


class ProposalBody(Body):
    """What a version says; what is left out comes from the version before or the template."""

    title = serializers.CharField(max_length=200, required=False)
    body = serializers.CharField(max_length=200_000, required=False)
    amount = MoneyField(required=False, min_value=Decimal(0))
    currency = serializers.RegexField(r"^[A-Z]{3}$", required=False)


class CostEntrySerializer(OrgSerializer):
    """What a role spent on the sale."""

    hours = serializers.FloatField(read_only=True)

    class Meta:
        model = CostEntry
        resource = "cost_entry"
        fields = ("pursuit_id", "role", "hours", "amount", "note", "spent_on", "recorded_by_user_id")


class CostBody(Body):
    """Hours and money to book on a pursuit."""

    role = serializers.CharField(max_length=100)
    hours = serializers.DecimalField(8, 2, required=False, default=Decimal(0), min_value=Decimal(0))
    amount = MoneyField(required=False, default=Decimal(0), min_value=Decimal(0))
    note = serializers.CharField(max_length=300, required=False, allow_blank=True, default="")
    spent_on = DayField(required=False)


class EngagementSerializer(OrgSerializer):
    """What a won pursuit became."""

    class Meta:
        model = Engagement
        resource = "engagement"
        fields = ("pursuit_id", "client_id", "title", "owner_user_id", "value", "currency", "started_on")
