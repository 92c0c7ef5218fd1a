"""Similar deals as they travel."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from flowledger.api.fields import ID_SCHEMA, InstantField, MoneyField, NumberField
from memory.deals import FEATURES
from memory.models import Kind
from memory.services.similar import DealLessons, Lesson
from workstream.machines import PursuitStage


class DealTraitSerializer(serializers.Serializer[Any]):
    """Something that both deals have."""

    feature = serializers.ChoiceField(choices=FEATURES)
    value = serializers.CharField()
    label = serializers.CharField()  # type: ignore[assignment]  # a field named label


class DealLessonSourceSerializer(serializers.Serializer[Any]):
    """Where it was read."""

    source_type = serializers.CharField()
    source_id = serializers.IntegerField(allow_null=True)
    url = serializers.CharField()


class DealLessonSerializer(serializers.Serializer[Any]):
    """A decision or a risk that is remembered of a deal."""

    atom_id = serializers.IntegerField(source="atom.pk")
    kind = serializers.ChoiceField(choices=Kind.values, source="atom.kind")
    content = serializers.CharField(source="atom.content")
    occurred_at = InstantField(source="atom.occurred_at")
    relevance = NumberField(max_digits=6, decimal_places=2, help_text="Points by kind, age, confidence and repetition.")
    sources = serializers.SerializerMethodField()

    @extend_schema_field(DealLessonSourceSerializer(many=True))
    def get_sources(self, lesson: Lesson) -> Any:
        """Every source, the first that said it first."""
        rows = sorted(lesson.atom.sources.all(), key=lambda source: source.pk)
        return DealLessonSourceSerializer(rows, many=True).data


class SimilarDealSerializer(serializers.Serializer[DealLessons]):
    """A closed deal: how much it is like the one that was asked about, why, and what is remembered of it."""

    pursuit_id = serializers.IntegerField(source="similar.deal.pursuit_id")
    title = serializers.CharField(source="similar.deal.title")
    outcome = serializers.ChoiceField(
        choices=[PursuitStage.WON.value, PursuitStage.LOST.value], source="similar.deal.stage"
    )
    client_id = serializers.SerializerMethodField()
    client_name = serializers.CharField(source="similar.deal.client_name")
    forecast_value = MoneyField(source="similar.deal.forecast_value")
    currency = serializers.CharField(source="similar.deal.currency")
    closed_at = InstantField(source="similar.deal.closed_at")
    likeness = NumberField(
        max_digits=5, decimal_places=4, source="similar.likeness.score", help_text="0…1; the weighted share of traits."
    )
    shared = DealTraitSerializer(source="similar.likeness.shared", many=True)
    different = serializers.ListField(
        child=serializers.ChoiceField(choices=FEATURES),
        source="similar.likeness.different",
        help_text="Traits that are known of both and differ.",
    )
    explanation = serializers.CharField(source="similar.likeness.sentence")
    lessons = DealLessonSerializer(many=True)

    @extend_schema_field({**ID_SCHEMA, "type": ["integer", "null"]})
    def get_client_id(self, found: DealLessons) -> int | None:
        return found.similar.deal.client_id


class SimilarDealsSerializer(serializers.Serializer[Any]):
    """The most alike first."""

    data = SimilarDealSerializer(many=True)  # type: ignore[assignment]  # a field named data
