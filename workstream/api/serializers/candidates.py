"""Candidates."""

from __future__ import annotations

from typing import Any

from django.utils import timezone
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from flowledger.api.fields import ID_SCHEMA, DayField, InstantField, MemberField, MoneyField
from flowledger.api.serializers import Body, OrgSerializer
from workstream.api.serializers.items import BadgeField, LinkedSignalsField, TagNamesField
from workstream.machines import CandidateStatus
from workstream.models import Candidate, Signal

SCORES_SCHEMA = {
    "type": "object",
    "required": ["confidence", "icp_score", "icp_band"],
    "properties": {
        "confidence": {"type": "number", "minimum": 0, "maximum": 1},
        "icp_score": {"type": ["number", "null"], "minimum": 0, "maximum": 1},
        "icp_band": {"type": ["string", "null"]},
    },
}


class CandidateSerializer(OrgSerializer):
    """A qualified lead; status moves through its verbs only."""

    sla_badge = BadgeField()
    signal_ids = LinkedSignalsField(model=Signal, source="signal_links", required=False)
    tags = TagNamesField(source="tag_links", required=False)
    days_since_touch = serializers.SerializerMethodField()
    scores = serializers.SerializerMethodField()
    pursuit_id = serializers.SerializerMethodField()

    class Meta:
        model = Candidate
        resource = "candidate"
        fields = (
            "client_id",
            "contact_id",
            "title",
            "one_liner_scope",
            "problem_id",
            "solution_id",
            "confidence",
            "value_band",
            "estimated_value",
            "currency",
            "next_step",
            "next_step_due",
            "owner_user_id",
            "status",
            "hold_reason",
            "resume_at",
            "archive_reason",
            "signal_ids",
            "tags",
            "last_touch_at",
            "days_since_touch",
            "scores",
            "sla_badge",
            "pursuit_id",
            "promoted_at",
        )
        read_only_fields = ("status",)
        extra_kwargs = {
            "title": {"required": False},  # the first signal can give it
            "confidence": {"min_value": 0, "max_value": 1},
            "estimated_value": {"min_value": 0},
        }

    def get_days_since_touch(self, row: Candidate) -> int:
        """Whole days since the last touch."""
        return max((timezone.now() - row.last_touch_at).days, 0)

    @extend_schema_field(SCORES_SCHEMA)
    def get_scores(self, row: Candidate) -> dict[str, Any]:
        return {
            "confidence": float(row.confidence),
            "icp_score": None if row.icp_score is None else float(row.icp_score),
            "icp_band": row.icp_band or None,
        }

    @extend_schema_field({"anyOf": [ID_SCHEMA, {"type": "null"}]})
    def get_pursuit_id(self, row: Candidate) -> int | None:
        if row.status != CandidateStatus.PROMOTED:
            return None
        known: int | None = getattr(row, "promoted_pursuit_id", None)
        return known or row.pursuits.values_list("pk", flat=True).get()


class HoldBody(Body):
    """Why a candidate is put on hold, and when it comes back by itself."""

    reason = serializers.CharField(max_length=500)
    resume_at = InstantField(required=False, allow_null=True)


class PromoteBody(Body):
    """What a promotion may set apart from what it copies."""

    title = serializers.CharField(max_length=200, required=False)
    due_date = DayField(required=False)
    forecast_value = MoneyField(required=False, min_value=0)
    currency = serializers.RegexField(r"^[A-Z]{3}$", required=False)
    probability = serializers.DecimalField(3, 2, required=False, min_value=0, max_value=1)
    capture_lead_user_id = MemberField(source="capture_lead", required=False, allow_null=True)
    proposal_manager_user_id = MemberField(source="proposal_manager", required=False, allow_null=True)


class PromotionSerializer(serializers.Serializer[Any]):
    """The one pursuit of a candidate; `created` is false for whoever came second."""

    pursuit_id = serializers.IntegerField(source="pursuit.pk")
    candidate_id = serializers.IntegerField(source="candidate.pk")
    created = serializers.BooleanField()
