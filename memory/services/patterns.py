"""Outcome patterns: how often deals with a trait were won, and those without it, with the numbers behind it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from flowledger.clients.models import SizeBand
from flowledger.errors import InvalidInput
from flowledger.tenancy.actors import Actor
from flowledger.tenancy.models import Organization
from flowledger.tenancy.permissions import authorize
from flowledger.tenancy.usecases import use_case
from memory.intervals import Interval, difference, wilson
from memory.models import Kind
from memory.rules import PATTERNS
from memory.rules import Patterns as PatternRule
from memory.sql import patterns as sql
from workstream.models.candidates import ValueBand
from workstream.models.signals import SourceType

# What pursuits are told apart by, and how people call it.
TRAITS = {
    "industry": "Industry",
    "size_band": "Size of the client",
    "country": "Country",
    "problem": "Problem",
    "solution": "Solution",
    "value_band": "Value",
    "source": "Source",
    "owner": "Owner",
    "tag": "Tag",
    "remembered": "Remembered before it was submitted",
}
# Of these a pursuit may have several, and none is an answer, too.
_SEVERAL = frozenset({"tag", "remembered"})
_LABELS = {"size_band": SizeBand, "value_band": ValueBand, "source": SourceType, "remembered": Kind}
# The share of traits without any effect that look clear at 95 % confidence.
BY_CHANCE = 0.05


class Verdict(StrEnum):
    """What the numbers say of a trait."""

    MORE = "more_often_won"
    LESS = "less_often_won"
    UNCLEAR = "unclear"
    TOO_FEW = "too_few"


@dataclass(frozen=True)
class Rate:
    """A share of won pursuits and where it lies with 95 % confidence (Wilson)."""

    share: float
    interval: Interval


@dataclass(frozen=True)
class Pattern:
    """Closed pursuits with a trait beside those that are known to be without it; of `unknown` ones nothing is known.

    Rates and the interval of their difference (Newcombe) are None where there are too few to say.
    """

    trait: str
    value: str
    label: str
    with_won: int
    with_lost: int
    without_won: int
    without_lost: int
    unknown: int
    rate_with: Rate | None
    rate_without: Rate | None
    difference: Interval | None
    verdict: Verdict

    @property
    def sentence(self) -> str:
        """What was seen, with its numbers."""
        closed, others = self.with_won + self.with_lost, self.without_won + self.without_lost
        seen = (
            f"{TRAITS[self.trait]} {self.label}: {self.with_won} of {closed} won; "
            f"without it {self.without_won} of {others}"
        )
        if self.difference is None or self.rate_with is None or self.rate_without is None:
            return f"{seen}. These are too few to compare."
        points = 100 * (self.rate_with.share - self.rate_without.share)
        low, high = 100 * self.difference.low, 100 * self.difference.high
        return (
            f"{seen}. The difference is {points:+.0f} percentage points, with 95 % confidence between {low:+.0f} and "
            f"{high:+.0f}{'; it may as well be chance' if self.verdict is Verdict.UNCLEAR else ''}."
        )


@dataclass(frozen=True)
class OutcomePatterns:
    """The patterns in what was closed, the surest first.

    `compared` traits had enough pursuits on both sides; of so many, `by_chance` look clear without any effect.
    """

    won: int
    lost: int
    compared: int
    patterns: tuple[Pattern, ...]

    @property
    def by_chance(self) -> float:
        return BY_CHANCE * self.compared


@use_case
def outcome_patterns(
    *,
    org: Organization,
    since: datetime,
    until: datetime,
    traits: Sequence[str] = (),
    value: str = "",
    actor: Actor,
    at: datetime,
) -> OutcomePatterns:
    """Win rates with and without each trait, over the pursuits that were closed from `since` until before `until`.

    `traits` narrows to some; with a `value` only its row is answered, even where there are too few pursuits to say
    anything. Else traits with too few on either side are left out. Raises PermissionRefused, InvalidInput for a trait
    that nobody knows and for a value without exactly one trait.
    """
    authorize(actor, "view")
    wanted = _known_traits(traits, value)
    counted = sql.counts(org_id=org.pk, since=since, until=until, features=wanted)
    won, lost = sql.totals(org_id=org.pk, since=since, until=until)
    found = list(_compared(counted, won=won, lost=lost, rule=PATTERNS.of(org)))
    enough = [pattern for pattern in found if pattern.verdict is not Verdict.TOO_FEW]
    shown = [pattern for pattern in found if pattern.value.lower() == value.strip().lower()] if value else enough
    return OutcomePatterns(won, lost, len(enough), tuple(sorted(shown, key=_surest_first)))


def _known_traits(traits: Sequence[str], value: str) -> list[str]:
    if strange := [trait for trait in traits if trait not in TRAITS]:
        sentence = f"'{strange[0][:40]}' is not one of: {', '.join(TRAITS)}."
        raise InvalidInput(f"trait: {sentence}", fields={"trait": [sentence]})
    if value and len(set(traits)) != 1:
        sentence = "A value belongs to one trait; name it by trait."
        raise InvalidInput(f"value: {sentence}", fields={"value": [sentence]})
    return list(dict.fromkeys(traits)) or list(TRAITS)


def _compared(counted: Iterable[sql.Counted], *, won: int, lost: int, rule: PatternRule) -> Iterable[Pattern]:
    """Each trait beside the pursuits that are known to have another one, or none."""
    by_trait: dict[str, list[sql.Counted]] = {}
    for each in counted:
        by_trait.setdefault(each.feature, []).append(each)
    for trait, rows in by_trait.items():
        # Where a pursuit may have several, a row of its own says of how many it is known.
        known = [row for row in rows if not row.value] if trait in _SEVERAL else rows
        known_won, known_lost = sum(row.won for row in known), sum(row.lost for row in known)
        for row in rows:
            if row.value:
                yield _pattern(
                    row, known_won - row.won, known_lost - row.lost, won + lost - known_won - known_lost, rule
                )


def _pattern(row: sql.Counted, without_won: int, without_lost: int, unknown: int, rule: PatternRule) -> Pattern:
    closed, others = row.won + row.lost, without_won + without_lost
    is_enough = closed >= rule.least_with and others >= rule.least_without
    between = difference(row.won, closed, without_won, others) if is_enough else None
    choices = _LABELS.get(row.feature)
    return Pattern(
        trait=row.feature,
        value=row.value,
        label=str(choices(row.value).label) if choices else row.label,
        with_won=row.won,
        with_lost=row.lost,
        without_won=without_won,
        without_lost=without_lost,
        unknown=unknown,
        rate_with=Rate(row.won / closed, wilson(row.won, closed)) if is_enough else None,
        rate_without=Rate(without_won / others, wilson(without_won, others)) if is_enough else None,
        difference=between,
        verdict=_verdict(between),
    )


def _verdict(between: Interval | None) -> Verdict:
    if between is None:
        return Verdict.TOO_FEW
    if between.low > 0:
        return Verdict.MORE
    return Verdict.LESS if between.high < 0 else Verdict.UNCLEAR


def _surest_first(pattern: Pattern) -> tuple[float, bool, str, str]:
    """By how far the interval stays from no difference, or how little it reaches over; what helps before what harms."""
    between = pattern.difference
    distance = max(between.low, -between.high) if between else -2.0
    return (-distance, pattern.verdict is Verdict.LESS, pattern.trait, pattern.value)
