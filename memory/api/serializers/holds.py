"""Legal holds as they travel."""

from __future__ import annotations

from rest_framework import serializers

from flowledger.api.converters import MAX_ID
from flowledger.api.serializers import Body, OrgSerializer
from memory.api.serializers.atoms import ENTITY_TYPES
from memory.models import LegalHold
from memory.services.reasons import MOST_REASON


class LegalHoldSerializer(OrgSerializer):
    """What is remembered of an entity is kept for a legal reason; it stands while `released_at` is null."""

    entity_type = serializers.ChoiceField(choices=ENTITY_TYPES, read_only=True)
    entity_id = serializers.IntegerField(min_value=1, read_only=True)

    class Meta:
        model = LegalHold
        resource = "legal_hold"
        fields = (
            *("entity_type", "entity_id", "reason", "placed_at", "placed_by_user_id"),
            *("released_at", "released_by_user_id", "release_reason"),
        )
        read_only_fields = fields


class LegalHoldBody(Body):
    """The entity whose memory is to be kept, and why."""

    entity_type = serializers.ChoiceField(choices=ENTITY_TYPES)
    entity_id = serializers.IntegerField(min_value=1, max_value=MAX_ID)
    reason = serializers.CharField(max_length=MOST_REASON)


class LegalHoldReleaseBody(Body):
    """Why the hold ends."""

    reason = serializers.CharField(max_length=MOST_REASON)
