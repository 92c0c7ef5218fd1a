"""A score that anyone can read, as evaluation, scores and previews answer it."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from flowledger.api.fields import ID_SCHEMA
from flowledger.api.serializers import Body
from spotlight.api.serializers.profiles import ProfileCriterionSerializer, ValueField
from spotlight.evaluation.explaining import MET, PARTIAL, UNKNOWN, UNMET
from spotlight.models import Operator, Recommendation
from spotlight.services.criteria import MOST_CRITERIA
from spotlight.services.previews import MOST_SIGNALS

_SHARE: dict[str, Any] = {"min_value": 0, "max_value": 1}
_ANYTHING = {"description": "Any JSON value.", "type": ["string", "number", "boolean", "array", "object"]}


@extend_schema_field(_ANYTHING)
class SeenField(serializers.JSONField):
    """A value as it came in."""


class FitComponentSerializer(serializers.Serializer[Any]):
    """One criterion: what it wanted, what it saw, and what that is worth; score parts sum to the score.

    `contribution` goes from −1 (not met) to 1 (met), 0 for unknown; `points` is that times the weight.
    """

    criterion_id = serializers.IntegerField(min_value=1)
    field_name = serializers.CharField()  # type: ignore[assignment]
    label = serializers.CharField()  # type: ignore[assignment]
    operator = serializers.ChoiceField(choices=Operator.choices)
    value = ValueField()
    wanted = serializers.CharField()
    weight = serializers.FloatField(min_value=0)
    required = serializers.BooleanField()  # type: ignore[assignment]
    status = serializers.ChoiceField(choices=[MET, PARTIAL, UNMET, UNKNOWN])
    credit = serializers.FloatField(allow_null=True, **_SHARE)
    seen = SeenField(allow_null=True)
    source = serializers.CharField(help_text="signal, client, contact, enrichment; blank for unknown.")  # type: ignore[assignment]
    contribution = serializers.FloatField(min_value=-1, max_value=1)
    points = serializers.FloatField()
    score_part = serializers.FloatField(**_SHARE)
    sentence = serializers.CharField()


class FitChangeSerializer(serializers.Serializer[Any]):
    """One field told otherwise, and what the score came to."""

    field_name = serializers.CharField()  # type: ignore[assignment]
    criterion_ids = serializers.ListField(child=serializers.IntegerField())
    value = SeenField(allow_null=True)
    match_score = serializers.FloatField(**_SHARE)
    recommendation = serializers.ChoiceField(choices=Recommendation.choices)
    coverage = serializers.FloatField(**_SHARE)
    delta = serializers.FloatField()
    sentence = serializers.CharField()


@extend_schema_field(ID_SCHEMA)
class CriterionIdField(serializers.IntegerField):
    """The criterion that caps; null where the coverage does."""


class FitCapSerializer(serializers.Serializer[Any]):
    """Why a recommendation is lower than its score."""

    reason = serializers.ChoiceField(choices=["coverage", "required_unknown", "required_unmet"])
    criterion_id = CriterionIdField(allow_null=True)
    sentence = serializers.CharField()


class FitExplanationSerializer(serializers.Serializer[Any]):
    """A score against a version of a profile: components with sentences, tops, what would change it, what caps it."""

    spotlight_id = serializers.IntegerField(min_value=1)
    name = serializers.CharField()
    version = serializers.IntegerField(min_value=1)
    algorithm_version = serializers.CharField()
    match_score = serializers.FloatField(**_SHARE)
    recommendation = serializers.ChoiceField(choices=Recommendation.choices)
    coverage = serializers.FloatField(help_text="The share of the weight that is known.", **_SHARE)
    matched_fields = serializers.IntegerField(min_value=0)
    total_fields = serializers.IntegerField(min_value=0)
    components = FitComponentSerializer(many=True)
    top_positive = serializers.ListField(child=serializers.CharField())
    top_negative = serializers.ListField(child=serializers.CharField())
    changes = FitChangeSerializer(many=True)
    caps = FitCapSerializer(many=True)


class TrialBody(Body):
    """What a signal would bring: its own fields, and its `attributes` among them or by themselves."""

    signal_data = serializers.DictField(child=SeenField(allow_null=True))


class DraftBody(Body):
    """Draft criteria, as a profile takes them, and on how many signals."""

    criteria = ProfileCriterionSerializer(many=True, max_length=MOST_CRITERIA)  # type: ignore[call-arg]
    limit = serializers.IntegerField(min_value=1, max_value=MOST_SIGNALS, required=False)


class PreviewedScoreSerializer(serializers.Serializer[Any]):
    """What one profile makes of a signal."""

    match_score = serializers.FloatField(**_SHARE)
    recommendation = serializers.ChoiceField(choices=Recommendation.choices)
    coverage = serializers.FloatField(**_SHARE)


class PreviewedSignalSerializer(serializers.Serializer[Any]):
    """One signal as the stored profile and as the draft have it; null where there is nothing to evaluate."""

    signal_id = serializers.IntegerField(source="signal.pk", min_value=1)
    snippet = serializers.CharField(source="signal.snippet")
    before = PreviewedScoreSerializer(allow_null=True)
    after = PreviewedScoreSerializer(allow_null=True)


_BANDS = {
    "type": "object",
    "properties": {band: {"type": "integer", "minimum": 0} for band in Recommendation.values},
    "required": list(Recommendation.values),
}


@extend_schema_field(_BANDS)
class BandsField(serializers.JSONField):
    """How many signals fall into each band."""


class DraftPreviewSerializer(serializers.Serializer[Any]):
    """The newest signals before and after the draft."""

    signals = PreviewedSignalSerializer(many=True)
    bands_before = BandsField()
    bands_after = BandsField()
