"""Outcome patterns as they travel: no rate without its numbers and its interval."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers

from flowledger.api.fields import NumberField
from memory.services.patterns import TRAITS, Verdict


def _percent(help_text: str) -> NumberField:
    return NumberField(max_digits=5, decimal_places=1, allow_null=True, help_text=help_text)


class PatternRowSerializer(serializers.Serializer[Any]):
    """One trait: the closed pursuits that have it beside those that are known to be without it."""

    trait = serializers.ChoiceField(choices=list(TRAITS))
    value = serializers.CharField()
    label = serializers.CharField()  # type: ignore[assignment]  # a field named label
    verdict = serializers.ChoiceField(choices=[verdict.value for verdict in Verdict])
    with_won = serializers.IntegerField()
    with_lost = serializers.IntegerField()
    without_won = serializers.IntegerField()
    without_lost = serializers.IntegerField()
    unknown = serializers.IntegerField(
        help_text="Pursuits of which nothing is known in this respect; they are in neither."
    )
    win_rate_with_percent = _percent("Won of those with the trait.")
    with_low_percent = _percent("Lower end of its 95 % interval (Wilson).")
    with_high_percent = _percent("Upper end.")
    win_rate_without_percent = _percent("Won of those without it.")
    without_low_percent = _percent("Lower end of its 95 % interval (Wilson).")
    without_high_percent = _percent("Upper end.")
    difference_points = _percent("With minus without, in percentage points.")
    difference_low_points = _percent("Lower end of its 95 % interval (Newcombe).")
    difference_high_points = _percent("Upper end.")
    sentence = serializers.CharField()


class PatternFiguresSerializer(serializers.Serializer[Any]):
    """What was looked at."""

    won = serializers.IntegerField()
    lost = serializers.IntegerField()
    compared = serializers.IntegerField(help_text="Traits with enough pursuits on both sides.")
    by_chance = NumberField(
        max_digits=6, decimal_places=2, help_text="So many of them look clear even if none has any effect."
    )
