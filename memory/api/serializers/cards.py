"""Memory cards: what is known of an entity at a glance."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers

from flowledger.api.fields import InstantField
from memory.cards.composing import SECTIONS
from memory.deals import FEATURES
from memory.models import ENTITY_MODELS, AtomLink, Kind
from memory.services.cards import NEW_COUNTED, NEW_SHOWN, Card
from workstream.machines import PursuitStage

_ENTITIES = list(ENTITY_MODELS)


class _AtomLineSerializer(serializers.Serializer[Any]):
    """An atom on one line."""

    atom_id = serializers.IntegerField(min_value=1)
    text = serializers.CharField()
    occurred_at = InstantField()


class CardLineSerializer(_AtomLineSerializer):
    """One line of a summary: the entity that it was said of, and an open conflict that it is part of."""

    entity_type = serializers.ChoiceField(choices=_ENTITIES)
    entity_id = serializers.IntegerField(min_value=1)
    conflict_id = serializers.IntegerField(min_value=1, allow_null=True)


class CardSourceSerializer(serializers.Serializer[Any]):
    """The source that an atom was first read from; `source_type` is blank where it is not known."""

    source_type = serializers.CharField(allow_blank=True)
    source_id = serializers.IntegerField(allow_null=True)
    event_name = serializers.CharField(allow_blank=True)
    url = serializers.CharField(allow_blank=True)
    occurred_at = InstantField()


class CardAtomSerializer(CardLineSerializer):
    """An atom with its score: its relevance when the card was built."""

    atom_type = serializers.ChoiceField(choices=Kind.choices)
    score = serializers.FloatField(min_value=0)
    seen_count = serializers.IntegerField(min_value=1)
    is_pinned = serializers.BooleanField()
    role = serializers.ChoiceField(choices=AtomLink.Role.choices)
    source = CardSourceSerializer()  # type: ignore[assignment]


class LessonAtomSerializer(_AtomLineSerializer):
    """A decision or risk of a similar deal."""

    atom_type = serializers.ChoiceField(choices=Kind.choices)


class LessonSerializer(serializers.Serializer[Any]):
    """A lost deal that is like this one: how much (0…1), in what, and what is remembered of it."""

    pursuit_id = serializers.IntegerField(min_value=1)
    title = serializers.CharField()
    stage = serializers.ChoiceField(choices=PursuitStage.choices)
    likeness = serializers.FloatField(min_value=0, max_value=1)
    alike = serializers.ListField(child=serializers.ChoiceField(choices=FEATURES))
    atoms = LessonAtomSerializer(many=True)


class NewAtomSerializer(LessonAtomSerializer):
    """An atom that was written since the caller last looked."""

    entity_type = serializers.ChoiceField(choices=_ENTITIES)
    entity_id = serializers.IntegerField(min_value=1)


class SinceSerializer(serializers.Serializer[Any]):
    """What is new since the caller's last visit; `looked_at` is null when this is the first."""

    looked_at = InstantField(allow_null=True)
    new_count = serializers.IntegerField(min_value=0, help_text=f"Counted to {NEW_COUNTED}, but for the first visit.")
    new_atoms = NewAtomSerializer(many=True, help_text=f"The latest {NEW_SHOWN}.")


class CardSummarySerializer(serializers.Serializer[Any]):
    """A few lines of every kind, at most 4 KB."""

    key_facts = CardLineSerializer(many=True)
    recent_activity = CardLineSerializer(many=True)
    decisions = CardLineSerializer(many=True)
    risks = CardLineSerializer(many=True)
    preferences = CardLineSerializer(many=True)


class MemoryCardSerializer(serializers.Serializer[Any]):
    """What is known of an entity. `stale`: something changed since, and the card is about to be built anew.

    `since_last_look` is null for API keys. `lessons` are there on open pursuits.
    """

    entity_type = serializers.ChoiceField(choices=_ENTITIES)
    entity_id = serializers.IntegerField(min_value=1)
    empty = serializers.BooleanField()
    stale = serializers.BooleanField()
    last_built_at = InstantField()
    etag = serializers.CharField()
    atom_count = serializers.IntegerField(min_value=0, help_text="Counted to 1,000.")
    summary = CardSummarySerializer()
    top_atoms = CardAtomSerializer(many=True)
    lessons = LessonSerializer(many=True)
    since_last_look = SinceSerializer(allow_null=True)


def body_of(card: Card) -> dict[str, Any]:
    """A card as the API answers it; texts and times of the stored parts are in the API's form already."""
    since = card.since
    return {
        "entity_type": card.entity_type,
        "entity_id": card.entity_id,
        "empty": card.is_empty,
        "stale": card.is_stale,
        "last_built_at": InstantField().to_representation(card.last_built_at),
        "etag": card.etag,
        "atom_count": card.atom_count,
        "summary": {name: card.summary[name] for name in sorted(SECTIONS)},
        "top_atoms": card.top_atoms,
        "lessons": card.lessons,
        "since_last_look": None
        if since is None
        else {
            "looked_at": since.looked_at and InstantField().to_representation(since.looked_at),
            "new_count": since.new_count,
            "new_atoms": since.new_atoms,
        },
    }
