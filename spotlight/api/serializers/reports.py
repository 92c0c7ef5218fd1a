"""Figures of profiles as they travel: shares and scores as numbers."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers

from flowledger.api.fields import DayField, InstantField, NumberField
from spotlight.models import Recommendation


def _percent(help_text: str) -> NumberField:
    return NumberField(max_digits=5, decimal_places=1, allow_null=True, help_text=help_text)


def _share(help_text: str) -> NumberField:
    return NumberField(max_digits=5, decimal_places=4, allow_null=True, help_text=help_text)


class BandsSerializer(serializers.Serializer[Any]):
    """How many scores there are of each recommendation."""

    high_match = serializers.IntegerField()
    medium_match = serializers.IntegerField()
    low_match = serializers.IntegerField()
    no_match = serializers.IntegerField()
    match_rate_percent = _percent("High and medium matches of all.")
    mean_score = _share("0…1")
    mean_coverage = _share("How much of the weight was known on average, 0…1.")


class ScoreSummaryRowSerializer(BandsSerializer):
    """What the signals, or the candidates, score against one profile, as computed."""

    spotlight_id = serializers.IntegerField()
    spotlight_name = serializers.CharField()
    active = serializers.BooleanField()
    version = serializers.IntegerField()
    item_type = serializers.ChoiceField(choices=["signal", "candidate"])
    items = serializers.IntegerField()
    outdated = serializers.IntegerField(help_text="Scores of an earlier version of the profile.")
    overridden = serializers.IntegerField(help_text="Items with a score that a person set and that stands.")
    last_evaluated_at = InstantField(allow_null=True)


class MatchFiguresSerializer(BandsSerializer):
    """Signals of the period, each once by the best that it scores, overrides included."""

    signals = serializers.IntegerField()


class MatchRateRowSerializer(BandsSerializer):
    """The signals of one week, day or month against one profile."""

    spotlight_id = serializers.IntegerField()
    spotlight_name = serializers.CharField()
    period = DayField(help_text="Its first day.")
    signals = serializers.IntegerField()


class ConversionFiguresSerializer(serializers.Serializer[Any]):
    """Signals, and how far they got by now."""

    signals = serializers.IntegerField()
    with_candidate = serializers.IntegerField()
    with_pursuit = serializers.IntegerField()
    won = serializers.IntegerField()
    lost = serializers.IntegerField()
    candidate_percent = _percent("with_candidate of signals.")
    pursuit_percent = _percent("with_pursuit of signals.")
    won_percent = _percent("won of signals.")
    win_rate_percent = _percent("won of won and lost.")


class ConversionRowSerializer(ConversionFiguresSerializer):
    """One band."""

    recommendation = serializers.ChoiceField(choices=Recommendation.values)


class FieldUsageRowSerializer(serializers.Serializer[Any]):
    """One criterion of a profile, over the newest signals of the period."""

    spotlight_id = serializers.IntegerField()
    spotlight_name = serializers.CharField()
    criterion_id = serializers.IntegerField()
    field_name = serializers.CharField()  # type: ignore[assignment]  # a field named field_name
    criterion = serializers.CharField(help_text="As a sentence.")
    weight = NumberField(max_digits=7, decimal_places=3)
    required = serializers.BooleanField()  # type: ignore[assignment]  # a field named required
    signals = serializers.IntegerField(help_text="Looked at.")
    known = serializers.IntegerField(help_text="Of these, signals with a readable value.")
    from_signal = serializers.IntegerField()
    from_enrichment = serializers.IntegerField()
    from_client = serializers.IntegerField()
    from_contact = serializers.IntegerField()
    met = serializers.IntegerField()
    partial = serializers.IntegerField()  # type: ignore[assignment]  # a field named partial
    unmet = serializers.IntegerField()
    known_percent = _percent("known of signals.")
    met_percent = _percent("met of known.")
    partial_percent = _percent("partial of known.")
    unmet_percent = _percent("unmet of known.")


class MatchAlertRowSerializer(serializers.Serializer[Any]):
    """A stretch of days on which a profile matched too few signals, with the figures of its first day."""

    match_alert_id = serializers.IntegerField()
    spotlight_id = serializers.IntegerField()
    spotlight_name = serializers.CharField()
    match_rate_percent = _percent("Of the first day's window.")
    least_rate_percent = _percent("What the rule asked for.")
    signals = serializers.IntegerField()
    window_days = serializers.IntegerField()
    began_at = InstantField()
    ended_at = InstantField(allow_null=True, help_text="null while it stands.")
