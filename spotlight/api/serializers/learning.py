"""Proposed weights with their evidence, as the API shows them."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from flowledger.api.fields import DayField, FiniteFloatField
from flowledger.api.serializers import OrgSerializer
from spotlight.learning import Verdict
from spotlight.models import WeightProposal


def _share(help_text: str, **more: Any) -> FiniteFloatField:
    return FiniteFloatField(min_value=0, max_value=1, help_text=help_text, **more)


@extend_schema_field({"type": "object", "additionalProperties": {"type": "number", "minimum": 0}})
class WeightsField(serializers.JSONField):
    """Weights by criterion: `{"12": 17.5}`."""


class OutcomeCountsSerializer(serializers.Serializer[Any]):
    """Which outcomes were learned from, and which, the latest, were held back for the proof."""

    won = serializers.IntegerField(min_value=0)
    lost = serializers.IntegerField(min_value=0)
    fitted = serializers.IntegerField(min_value=0)
    held_back = serializers.IntegerField(min_value=0)
    held_back_won = serializers.IntegerField(min_value=0)
    first_closed = DayField()
    held_back_from = DayField()
    last_closed = DayField()


class QualitySerializer(serializers.Serializer[Any]):
    """How the outcomes that were held back are ranked, before and after."""

    auc_before = _share("How often a won pursuit scores above a lost one, by the present weights.")
    auc_after = _share("The same by the proposed weights.")
    unconstrained_auc = _share("The same by a logistic regression whose weights may be negative.")
    top_lift_before = FiniteFloatField(min_value=0, help_text="How often the best tenth is won, against the average.")
    top_lift_after = FiniteFloatField(min_value=0)
    unconstrained_top_lift = FiniteFloatField(min_value=0)
    difference_low = FiniteFloatField(help_text="auc_after − auc_before lies above this with 95 % confidence …")
    difference_high = FiniteFloatField(help_text="… and below this.")
    verdict = serializers.ChoiceField(choices=[verdict.value for verdict in Verdict])


class LiftStepSerializer(serializers.Serializer[Any]):
    """The best so much of the outcomes that were held back, and how often they were won against the average."""

    share = _share("The best 0.1, 0.2, …")
    before = FiniteFloatField(min_value=0)
    after = FiniteFloatField(min_value=0)


class CalibrationBinSerializer(serializers.Serializer[Any]):
    """Outcomes with about the same predicted chance: how many of them were won."""

    predicted = _share("The mean of the predicted chances.")
    observed = _share("The share that was won.")
    outcomes = serializers.IntegerField(min_value=1)


class EffectSerializer(serializers.Serializer[Any]):
    """What one criterion does for winning, and what becomes of its weight."""

    criterion_id = serializers.IntegerField(min_value=1)
    label = serializers.CharField()  # type: ignore[assignment]  # a field named label
    weight_before = FiniteFloatField(min_value=0)
    weight_after = FiniteFloatField(min_value=0)
    met = serializers.IntegerField(min_value=0)
    unmet = serializers.IntegerField(min_value=0)
    unknown = serializers.IntegerField(min_value=0)
    met_rate = _share("Of the outcomes that met it, the share that was won.", allow_null=True)
    unmet_rate = _share("Of those that did not.", allow_null=True)
    unknown_rate = _share("Of those of which nothing is known.", allow_null=True)
    odds_ratio = FiniteFloatField(
        min_value=0,
        allow_null=True,
        help_text="How the odds of winning are multiplied where it is met; null: not learned.",
    )
    is_kept = serializers.BooleanField(help_text="Too few outcomes differ in it: the weight stays.")
    sentence = serializers.CharField()


class EvidenceSerializer(serializers.Serializer[Any]):
    """Why these weights are proposed."""

    counts = OutcomeCountsSerializer()
    quality = QualitySerializer()
    lift = LiftStepSerializer(many=True)
    calibration = CalibrationBinSerializer(many=True)
    effects = EffectSerializer(many=True)
    penalty = FiniteFloatField(min_value=0, help_text="C of the regression, chosen by cross-validation.")
    sentence = serializers.CharField()


class WeightProposalSerializer(OrgSerializer):
    """Weights that outcomes propose for a version of a profile; they hold from `applied_version` on, once accepted."""

    weights = WeightsField(read_only=True)
    evidence = EvidenceSerializer(read_only=True)

    class Meta:
        model = WeightProposal
        resource = "proposal"
        fields = (
            "spotlight_id",
            "base_version",
            "status",
            "weights",
            "evidence",
            "made_at",
            "made_by_user_id",
            "decided_at",
            "decided_by_user_id",
            "applied_version",
        )
        read_only_fields = fields
