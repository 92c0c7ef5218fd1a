"""Atoms as they travel: what is known, of what, since when, and from where."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import OpenApiExample, extend_schema_serializer
from rest_framework import serializers

from flowledger.api.converters import MAX_ID
from flowledger.api.fields import InstantField
from flowledger.api.serializers import Body, OrgSerializer
from memory.machines import AtomState
from memory.models import ENTITY_MODELS, Atom, AtomVersion, Audience, Kind
from memory.services.atoms import LONGEST_TAG, MOST_TAGS, MOST_TEXT
from memory.services.reasons import MOST_REASON

ENTITY_TYPES = tuple(ENTITY_MODELS)


class AtomSourceSerializer(serializers.Serializer[Any]):
    """Where an atom comes from; a span counts characters of the source's field."""

    system = serializers.CharField()
    source_type = serializers.CharField()
    source_id = serializers.IntegerField(allow_null=True)
    source_field = serializers.CharField(allow_blank=True)
    origin_id = serializers.CharField(allow_blank=True)
    url = serializers.CharField(allow_blank=True)
    event_name = serializers.CharField(allow_blank=True)
    span_start = serializers.IntegerField(allow_null=True)
    span_end = serializers.IntegerField(allow_null=True)
    extractor = serializers.CharField(help_text="`hand` for what a person wrote.")
    actor_label = serializers.CharField(allow_blank=True, help_text="Who said or did it.")
    occurred_at = InstantField()


class AtomLinkSerializer(serializers.Serializer[Any]):
    """An entity that an atom is visible from."""

    entity_type = serializers.ChoiceField(choices=ENTITY_TYPES)
    entity_id = serializers.IntegerField(min_value=1)
    role = serializers.ChoiceField(choices=["subject", "through", "mention"])


class AtomSerializer(OrgSerializer):
    """One thing that is known of an entity, with its sources, the first one first.

    `content` is empty once it is redacted. `is_locked`: a person put it right, and no extraction changes it again.
    """

    entity_type = serializers.ChoiceField(choices=ENTITY_TYPES, read_only=True)
    entity_id = serializers.IntegerField(min_value=1, read_only=True)
    atom_type = serializers.ChoiceField(choices=Kind.choices, source="kind", read_only=True)
    is_redacted = serializers.SerializerMethodField()
    sources = AtomSourceSerializer(many=True, read_only=True)

    class Meta:
        model = Atom
        resource = "atom"
        fields: tuple[str, ...] = (
            *("entity_type", "entity_id", "atom_type", "content", "language", "tags", "audience", "state"),
            *("author_user_id", "thread_key", "occurred_at", "valid_from", "valid_until", "superseded_by_id"),
            *("confidence", "base_score", "content_hash", "version", "seen_count", "last_seen_at", "expires_at"),
            *("is_pinned", "is_locked", "is_redacted", "archived_at", "redacted_at", "sources"),
        )
        read_only_fields = fields

    def get_is_redacted(self, atom: Atom) -> bool:
        return bool(atom.state == AtomState.REDACTED)


class AtomDetailSerializer(AtomSerializer):
    """One atom with all that it is visible from."""

    links = AtomLinkSerializer(many=True, read_only=True)

    class Meta(AtomSerializer.Meta):
        fields = (*AtomSerializer.Meta.fields, "links")
        read_only_fields = fields


class SaidSerializer(serializers.Serializer[Any]):
    """What an atom said at a moment, in the place of what it says now."""

    content = serializers.CharField()
    version = serializers.IntegerField(min_value=1)
    valid_from = InstantField()
    valid_until = InstantField(allow_null=True)


class TagField(serializers.CharField):
    """A free word by which atoms are found again."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(max_length=LONGEST_TAG, **kwargs)


@extend_schema_serializer(
    examples=[
        OpenApiExample(
            "What a contact prefers",
            value={
                "entity_type": "contact",
                "entity_id": 12,
                "atom_type": "preference",
                "content": "Prefers a call before nine in the morning.",
            },
        )
    ]
)
class AtomBody(Body):
    """What is to be remembered, and of what."""

    entity_type = serializers.ChoiceField(choices=ENTITY_TYPES)
    entity_id = serializers.IntegerField(min_value=1, max_value=MAX_ID)
    atom_type = serializers.ChoiceField(choices=Kind.choices, source="kind")
    content = serializers.CharField(max_length=MOST_TEXT)
    tags = serializers.ListField(child=TagField(), max_length=MOST_TAGS, required=False)
    audience = serializers.ChoiceField(choices=Audience.choices, required=False)
    occurred_at = InstantField(required=False, help_text="When it was said or seen; now, unless given.")
    valid_from = InstantField(required=False, help_text="Since when it holds; since it occurred, unless given.")
    valid_until = InstantField(required=False, allow_null=True)


class CorrectionBody(Body):
    """What the atom should say, and why; `expected_version` refuses when somebody was faster."""

    content = serializers.CharField(max_length=MOST_TEXT)
    because = serializers.ChoiceField(
        choices=[("error", "It was wrong"), ("change", "The fact changed")], required=False
    )
    reason = serializers.CharField(max_length=MOST_REASON)
    expected_version = serializers.IntegerField(min_value=1, max_value=2**31 - 1, required=False)
    valid_from = InstantField(required=False, help_text="When the fact changed; now, unless given.")
    valid_until = InstantField(required=False, allow_null=True)


class AtomVersionSerializer(OrgSerializer):
    """What an atom said from one change to the next, with its link in the chain of digests."""

    atom_type = serializers.ChoiceField(choices=Kind.choices, source="kind", read_only=True)

    class Meta:
        model = AtomVersion
        resource = "atom_version"
        fields = (
            *("atom_id", "version", "atom_type", "content", "because", "reason", "actor_kind", "actor_label", "at"),
            *("valid_from", "valid_until", "content_hash", "previous_digest", "digest"),
        )
        read_only_fields = fields


class BreakSerializer(serializers.Serializer[Any]):
    """A link of the chain that is not what was written."""

    version = serializers.IntegerField(min_value=1)
    what = serializers.CharField()
