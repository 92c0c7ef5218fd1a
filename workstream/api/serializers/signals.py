"""Signals."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from flowledger.api.fields import ID_SCHEMA, OrgRelatedField
from flowledger.api.serializers import Body, OrgSerializer
from workstream.models import Candidate, Signal

IDENTITY_SCHEMA = {
    "type": "object",
    "required": ["status", "contact_id", "client_id", "confidence_score", "rules"],
    "properties": {
        "status": {"type": "string"},
        "contact_id": {"anyOf": [ID_SCHEMA, {"type": "null"}]},
        "client_id": {"anyOf": [ID_SCHEMA, {"type": "null"}]},
        "confidence_score": {"type": "number", "minimum": 0, "maximum": 1},
        "rules": {"type": "array", "items": {}},
        "conflict_ids": {"type": "array", "items": ID_SCHEMA},
    },
}


@extend_schema_field(IDENTITY_SCHEMA)
class IdentityField(serializers.ReadOnlyField):
    """How the sender was recognised. Imported signals never were: their source said who they are from."""

    def to_representation(self, value: Signal) -> dict[str, Any]:
        if value.identity_resolution:
            return dict(value.identity_resolution)
        is_linked = value.contact_id is not None or value.client_id is not None
        return {
            "status": "linked" if is_linked else "unresolved",
            "contact_id": value.contact_id,
            "client_id": value.client_id,
            "confidence_score": 1.0 if is_linked else 0.0,
            "rules": [],
        }


@extend_schema_field({"type": "object", "additionalProperties": True})
class AttributesField(serializers.JSONField):
    """A JSON object of facts."""

    def to_internal_value(self, data: Any) -> Any:
        value = super().to_internal_value(data)
        if not isinstance(value, dict):
            raise serializers.ValidationError("This is a JSON object.")
        return value


class SignalSerializer(OrgSerializer):
    """One raw sign of interest."""

    dedupe_key = serializers.CharField(max_length=250, required=False, allow_null=True)
    attributes = AttributesField(required=False)
    identity_resolution = IdentityField(source="*")

    class Meta:
        model = Signal
        resource = "signal"
        fields = (
            "source_type",
            "source_ref",
            "ts",
            "snippet",
            "problem_phrase",
            "solution_hint",
            "urgency_score",
            "contact_email",
            "contact_phone",
            "contact_name",
            "company_name",
            "company_domain",
            "attributes",
            "contact_id",
            "client_id",
            "cluster_id",
            "dedupe_key",
            "owner_user_id",
            "disposition",
            "reject_reason",
            "first_touch_at",
            "identity_resolution",
        )
        read_only_fields = ("contact_id", "client_id", "cluster_id", "disposition")
        extra_kwargs = {"ts": {"required": False}, "urgency_score": {"min_value": 0, "max_value": 1}}


class LinkSignalBody(Body):
    """The candidate to put a signal behind, and why."""

    candidate_id = OrgRelatedField(model=Candidate, source="candidate")
    reason = serializers.CharField(max_length=300, required=False, allow_blank=True, default="")
