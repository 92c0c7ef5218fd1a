"""The scores of one item with their explanations, what was set by hand, and how they moved."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import OpenApiExample, extend_schema_field, extend_schema_serializer
from rest_framework import serializers

from flowledger.api.fields import InstantField
from flowledger.api.serializers import Body, OrgSerializer
from spotlight.api.serializers.explanations import FitExplanationSerializer, SeenField
from spotlight.models import SCORED_MODELS, Recommendation, ScoreOverride, SpotlightScoreChange
from spotlight.services.stories import ScoreStory, move_of

_SHARE: dict[str, Any] = {"min_value": 0, "max_value": 1}


class OverrideSerializer(OrgSerializer):
    """A score that somebody set by hand; it ends by itself at `expires_at`."""

    class Meta:
        model = ScoreOverride
        resource = "override"
        fields = (
            "override_id",
            "spotlight_id",
            "match_score",
            "recommendation",
            "reason",
            "set_at",
            "set_by_user_id",
            "set_by_label",
            "expires_at",
            "ended_at",
            "ended_by_label",
        )
        read_only_fields = fields


@extend_schema_serializer(
    examples=[
        OpenApiExample(
            "By the band",
            value={"spotlight_id": 4, "recommendation": "high_match", "reason": "The board has approved the budget"},
        )
    ]
)
class OverrideBody(Body):
    """What the score is to be: `match_score`, `recommendation`, or both; and until when."""

    spotlight_id = serializers.IntegerField(min_value=1, max_value=2**63 - 1)
    match_score = serializers.DecimalField(max_digits=5, decimal_places=4, required=False, allow_null=True, **_SHARE)
    recommendation = serializers.ChoiceField(choices=Recommendation.choices, required=False)
    reason = serializers.CharField(max_length=500)
    expires_at = InstantField(
        required=False, allow_null=True, help_text="Without it the rule spotlight_rule/override_days decides."
    )


class CountingSerializer(serializers.Serializer[Any]):
    """The score that counts: the one set by hand while it stands, else the computed one."""

    match_score = serializers.FloatField(**_SHARE)
    recommendation = serializers.ChoiceField(choices=Recommendation.choices)


class ScoreSerializer(FitExplanationSerializer):
    """The computed score against one profile, explained, and what counts in its place."""

    evaluated_at = InstantField()
    counts = CountingSerializer()
    override = OverrideSerializer(allow_null=True)


class FitSerializer(CountingSerializer):
    """The best of the active profiles, scores set by hand included."""

    spotlight_id = serializers.IntegerField(min_value=1)
    coverage = serializers.FloatField(**_SHARE)
    is_override = serializers.BooleanField()


class ItemScoresSerializer(serializers.Serializer[Any]):
    """All that a signal or candidate scores, the best first; `best` is null before it was scored."""

    item_type = serializers.ChoiceField(choices=list(SCORED_MODELS))
    item_id = serializers.IntegerField(min_value=1)
    best = FitSerializer(allow_null=True)
    scores = ScoreSerializer(many=True)


class RescoredSerializer(ItemScoresSerializer):
    """The same, and whether scoring it anew moved anything."""

    changed = serializers.BooleanField()


class MovedComponentSerializer(serializers.Serializer[Any]):
    """A criterion that moved a score; null where it was not part of the profile, or nothing was known."""

    criterion_id = serializers.IntegerField(min_value=1)
    field_name = serializers.CharField(allow_blank=True)  # type: ignore[assignment]
    credit_before = serializers.FloatField(allow_null=True, **_SHARE)
    credit_after = serializers.FloatField(allow_null=True, **_SHARE)
    seen_before = SeenField(allow_null=True)
    seen_after = SeenField(allow_null=True)
    source = serializers.CharField(allow_blank=True)  # type: ignore[assignment]


class ScoreChangeSerializer(OrgSerializer):
    """One move of a score, and why."""

    delta = serializers.SerializerMethodField(help_text="How far the score moved.")
    components = serializers.SerializerMethodField()
    sentences = serializers.SerializerMethodField()

    class Meta:
        model = SpotlightScoreChange
        resource = "change"
        fields = (
            "change_id",
            "spotlight_id",
            "happened_at",
            "cause",
            "previous_score",
            "match_score",
            "delta",
            "previous_recommendation",
            "recommendation",
            "previous_version",
            "spotlight_version",
            "components",
            "sentences",
        )
        read_only_fields = fields

    def get_delta(self, change: SpotlightScoreChange) -> float:
        return float(change.match_score - change.previous_score)

    @extend_schema_field(MovedComponentSerializer(many=True))
    def get_components(self, change: SpotlightScoreChange) -> list[dict[str, Any]]:
        names = list(MovedComponentSerializer().fields)
        return [dict(zip(names, component, strict=True)) for component in change.components]

    def get_sentences(self, change: SpotlightScoreChange) -> list[str]:
        return move_of(change).sentences


def score_of(story: ScoreStory) -> dict[str, Any]:
    """A story in the form of ScoreSerializer."""
    counts = story.counts
    return {
        **story.explanation.as_dict(),
        "evaluated_at": story.score.evaluated_at,
        "counts": {"match_score": float(counts.match_score), "recommendation": counts.recommendation},
        "override": story.override,
    }
