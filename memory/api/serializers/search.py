"""Answers of search: atoms with their passages and the parts of their score."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers

from memory.api.serializers.atoms import AtomSerializer
from memory.search.types import MAX_LIMIT, MOST_RESULTS

_SHARE: dict[str, Any] = {"min_value": 0}


class ScorePartsSerializer(serializers.Serializer[Any]):
    """What a score adds up from; `meaning` is 0 unless embeddings took part."""

    words = serializers.FloatField(help_text="Words shared with the question, by how much each tells.", **_SHARE)
    meaning = serializers.FloatField(help_text="Likeness of the embeddings.", **_SHARE)
    entity = serializers.FloatField(help_text="Linked to somebody or something that the question names.", **_SHARE)
    thread = serializers.FloatField(help_text="What its neighbours in the conversation add.", **_SHARE)
    recency = serializers.FloatField(**_SHARE)
    kind = serializers.FloatField(help_text="What atoms of its kind are worth.", **_SHARE)


class HighlightSerializer(serializers.Serializer[Any]):
    """Characters of a passage, the end not included."""

    start = serializers.IntegerField(min_value=0)
    end = serializers.IntegerField(min_value=1)


class PassageSerializer(serializers.Serializer[Any]):
    """A piece of the text as it stands there, and where words of the question stand in it."""

    text = serializers.CharField()
    highlights = HighlightSerializer(many=True)
    is_cut_before = serializers.BooleanField()
    is_cut_after = serializers.BooleanField()

    def to_representation(self, passage: Any) -> dict[str, Any]:
        return {
            "text": passage.text,
            "highlights": [{"start": start, "end": end} for start, end in passage.highlights],
            "is_cut_before": passage.is_cut_before,
            "is_cut_after": passage.is_cut_after,
        }


class HitSerializer(serializers.Serializer[Any]):
    """An atom that answers, with its sources."""

    atom = AtomSerializer()
    score = serializers.FloatField(**_SHARE)
    parts = ScorePartsSerializer()
    matched = serializers.ListField(child=serializers.CharField(), help_text="Its words that answer the question's.")
    passages = PassageSerializer(many=True)


class NamedSerializer(serializers.Serializer[Any]):
    """Somebody or something that the question names."""

    entity_type = serializers.CharField()
    entity_id = serializers.IntegerField(min_value=1)
    name = serializers.CharField()
    words = serializers.CharField(help_text="The words that name it.")


class SearchPageSerializer(serializers.Serializer[Any]):
    """Where this page is in the order of its first page."""

    page = serializers.IntegerField(min_value=1)
    limit = serializers.IntegerField(min_value=1, max_value=MAX_LIMIT)
    total = serializers.IntegerField(min_value=0, max_value=MOST_RESULTS, help_text="What was ranked.")
    next_cursor = serializers.CharField(allow_null=True)


class SearchSerializer(serializers.Serializer[Any]):
    """The best answers first. `mode`: `hybrid` when embeddings took part, else `lexical`."""

    mode = serializers.ChoiceField(choices=["lexical", "hybrid"])
    named = NamedSerializer(many=True)
    data = HitSerializer(many=True, source="hits")  # type: ignore[assignment]
    pagination = SearchPageSerializer(source="*")
