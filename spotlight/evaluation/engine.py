"""Scores of facts against many profiles at once: a pure function, compiled for the profiles it is asked about.

A profile's match_score is the credit of its criteria, weighted, over the weight of those of which something is known;
coverage is that weight over all weight. Fields that several criteria look at are read once, and what a value comes to
is remembered, so that a value seen before costs no comparison. All sums are of integers: no order, no scale of weights
and no remembering changes a score.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import accumulate
from operator import itemgetter
from typing import Any, NamedTuple

from spotlight.evaluation.comparing import Compare, Comparison, comparison_of
from spotlight.evaluation.reading import LONGEST_SHOWN, fold_name, is_blank, raw_shown, read
from spotlight.evaluation.types import (
    LOW,
    NONE,
    WHOLE,
    Component,
    Criterion,
    Evaluation,
    Fact,
    Profile,
    Scale,
    share,
)

ALGORITHM_VERSION = "1"

# Texts longer than this hardly come twice.
LONGEST_REMEMBERED = 120
# Of every field as many components are remembered; then it is begun anew.
MOST_REMEMBERED = 4_000
# Every credit that there is, as a number and as JSON.
_SHARES = tuple(units / WHOLE for units in range(WHOLE + 1))
_CREDITS = tuple(f"{credit:g}" for credit in _SHARES)
# As PostgreSQL writes it, so that stored components can be compared as text.
_JSON = json.JSONEncoder(ensure_ascii=False).encode
_component = tuple.__new__


class _Cells(NamedTuple):
    """What one raw value comes to for each criterion that looks at its field, as five lists of the same order."""

    components: list[Component]
    texts: list[str]
    # Weight times credit, the weight if anything is known, and 1 if met in full.
    earned: list[int]
    known: list[int]
    met: list[int]


class _Column:
    """All criteria of an engine that look at the same field in the same way."""

    def __init__(self, names: tuple[str, ...], field_type: str) -> None:
        self.names, self.field_type = names, field_type
        self.keys: list[int] = []
        self.comparisons: list[Comparison] = []
        self.compares: list[Compare] = []
        self.weights: list[int] = []
        self._remembered: dict[Any, _Cells] = {}
        self._unknown: _Cells | None = None

    def add(self, criterion: Criterion, scale: Scale) -> int:
        """Take a criterion in; its place in the column is given back."""
        self.keys.append(criterion.criterion_id)
        comparison = comparison_of(criterion, scale)
        self.comparisons.append(comparison)
        self.compares.append(comparison.compare)
        self.weights.append(criterion.weight_units)
        return len(self.keys) - 1

    def cells(self, facts: Mapping[str, Fact]) -> _Cells:
        """What the facts come to."""
        if len(self.names) == 1:
            fact = facts.get(self.names[0])
        else:
            told = [facts[name] for name in self.names if name in facts and not is_blank(facts[name].value)]
            fact = min(told, key=itemgetter(2)) if told else None
        if fact is None:
            return self._nothing()
        raw, source = fact[0], fact[1]
        try:
            key = _key(raw, source)
            found = self._remembered.get(key)
        except TypeError:
            return self._computed(raw, source)
        if found is None:
            found = self._computed(raw, source)
            if key is not None:
                if len(self._remembered) * len(self.keys) >= MOST_REMEMBERED:
                    self._remembered.clear()
                self._remembered[key] = found
        return found

    def _nothing(self) -> _Cells:
        if self._unknown is None:
            self._unknown = self._alike([None] * len(self.keys), None, "")
        return self._unknown

    def _computed(self, raw: Any, source: str) -> _Cells:
        reading = read(self.field_type, raw)
        if not reading.values:
            if not reading.problem:
                return self._nothing()
            return self._alike([None] * len(self.keys), raw_shown(raw), source)
        if len(reading.values) == 1:
            value, shown = reading.values[0], reading.shown[0]
            if not (isinstance(shown, str) and len(shown) > LONGEST_SHOWN):
                return self._alike([compare(value, shown) for compare in self.compares], shown, source)
        credits_and_seen = [comparison.credit(reading) for comparison in self.comparisons]
        units = [credit for credit, _ in credits_and_seen]
        seen = [each for _, each in credits_and_seen]
        return self._cells_of(units, seen, list(map(_JSON, seen)), source)

    def _alike(self, units: Sequence[int | None], seen: Any, source: str) -> _Cells:
        """Where every criterion sees the same."""
        count = len(self.keys)
        return self._cells_of(units, [seen] * count, [_JSON(seen)] * count, source)

    def _cells_of(
        self, units: Sequence[int | None], seen: Sequence[Any], written: Sequence[str], source: str
    ) -> _Cells:
        end = f", {_JSON(source)}]"
        return _Cells(
            [
                _component(Component, (key, None if credit is None else _SHARES[credit], each, source))
                for key, credit, each in zip(self.keys, units, seen, strict=True)
            ],
            [
                f"[{key}, {'null' if credit is None else _CREDITS[credit]}, {each}{end}"
                for key, credit, each in zip(self.keys, units, written, strict=True)
            ],
            [weight * (credit or 0) for weight, credit in zip(self.weights, units, strict=True)],
            [0 if credit is None else weight for weight, credit in zip(self.weights, units, strict=True)],
            [1 if credit == WHOLE else 0 for credit in units],
        )


class _Plan:
    """Where the cells of one profile stand, and what is made of them."""

    def __init__(self, profile: Profile, places: Sequence[int], scale: Scale) -> None:
        self._profile, self._scale = profile, scale
        self._floor_of_coverage = scale.floors[3]
        self._pick = _picker(places)
        required = [place for place, each in zip(places, profile.criteria, strict=True) if each.required]
        self._pick_required = _picker(required) if required else None
        self._total = profile.total_units
        fields: dict[str, list[int]] = {}
        for place, criterion in zip(places, profile.criteria, strict=True):
            fields.setdefault(fold_name(criterion.field_name), []).append(place)
        self._field_count = len(fields)
        # Only where a field has several criteria a field is more than its criterion.
        is_simple = len(fields) == len(places)
        self._fields = None if is_simple else [_picker(of_field) for of_field in fields.values()]

    def evaluation(
        self, components: list[Component], texts: list[str], earned: list[int], known: list[int], met: list[int]
    ) -> Evaluation:
        """The score from the cells of all columns."""
        pick, profile = self._pick, self._profile
        weight = sum(pick(known))
        score, coverage = score_of(sum(pick(earned)), weight), coverage_of(weight, self._total)
        recommendation = self._scale.band(score) if weight else NONE
        if recommendation not in (LOW, NONE) and (
            coverage < self._floor_of_coverage
            or (self._pick_required is not None and any(not each[1] for each in self._pick_required(components)))
        ):
            recommendation = LOW
        matched = sum(pick(met)) if self._fields is None else sum(all(of_field(met)) for of_field in self._fields)
        return Evaluation(
            profile.spotlight_id,
            profile.version,
            share(score),
            recommendation,
            share(coverage),
            matched,
            self._field_count,
            pick(components),
            f"[{', '.join(pick(texts))}]",
        )


class Engine:
    """Compiled profiles. It may be kept and used by several threads; what it remembers is bounded.

    `profiles` are those that results are given for, in their order: a profile that weighs nothing is left out.
    """

    def __init__(self, profiles: Iterable[Profile], scale: Scale) -> None:
        self.profiles = tuple(profile for profile in profiles if profile.is_evaluable)
        columns: dict[tuple[tuple[str, ...], str], _Column] = {}
        placed: list[list[tuple[_Column, int]]] = []
        for profile in self.profiles:
            placed.append([])
            for criterion in profile.criteria:
                names = names_of(criterion)
                column = columns.setdefault((names, criterion.field_type), _Column(names, criterion.field_type))
                placed[-1].append((column, column.add(criterion, scale)))
        self._columns = tuple(columns.values())
        ends = accumulate((len(column.keys) for column in self._columns), initial=0)
        starts = dict(zip(map(id, self._columns), ends, strict=False))
        self._plans = [
            _Plan(profile, [starts[id(column)] + place for column, place in places], scale)
            for profile, places in zip(self.profiles, placed, strict=True)
        ]

    def evaluate(self, facts: Mapping[str, Fact]) -> list[Evaluation]:
        """Score the facts of one item, by folded name, against every profile."""
        components: list[Component] = []
        texts: list[str] = []
        earned: list[int] = []
        known: list[int] = []
        met: list[int] = []
        for column in self._columns:
            cells = column.cells(facts)
            components += cells[0]
            texts += cells[1]
            earned += cells[2]
            known += cells[3]
            met += cells[4]
        return [plan.evaluation(components, texts, earned, known, met) for plan in self._plans]


def compile_profiles(profiles: Sequence[Profile], scale: Scale) -> Engine:
    """The engine of these profiles. Raises ValueError for a criterion of a shape that `check_criterion` refuses."""
    return Engine(profiles, scale)


def names_of(criterion: Criterion) -> tuple[str, ...]:
    """Under which names its facts come, folded: its field's own first."""
    return tuple(dict.fromkeys(map(fold_name, (criterion.field_name, *criterion.aliases))))


def score_of(earned: int, known: int) -> int:
    """In ten-thousandths, half a one rounded up; 0 when nothing is known."""
    return (2 * earned + known) // (2 * known) if known else 0


def coverage_of(known: int, total: int) -> int:
    """In ten-thousandths, half a one rounded up."""
    return (2 * WHOLE * known + total) // (2 * total) if total else 0


def _key(raw: Any, source: str) -> Any:
    """What a raw value is remembered by, or None if it is not; True is not 1. Raises TypeError for what has no hash."""
    kind = raw.__class__
    if kind is str:
        return (raw, source) if len(raw) <= LONGEST_REMEMBERED else None
    if kind is list:
        return (*raw, source, *(each.__class__ for each in raw)) if len(raw) <= 10 else None
    return raw, kind, source


def _picker(places: Sequence[int]) -> Callable[[Sequence[Any]], tuple[Any, ...]]:
    """What stands at the places, as a tuple also where it is one."""
    if len(places) == 1:
        place = places[0]
        return lambda row: (row[place],)
    return itemgetter(*places)
