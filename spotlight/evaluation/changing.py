"""What would change a score: for every field that is unknown or not met, what the score were if it met its wishes."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Any

from spotlight.evaluation.comparing import (
    ABOVE,
    AT_LEAST,
    AT_MOST,
    BELOW,
    BETWEEN,
    CONTAINS,
    EQUAL,
    IN,
    MATCHES,
    NOT_EQUAL,
    comparison_of,
)
from spotlight.evaluation.engine import coverage_of, names_of, score_of
from spotlight.evaluation.reading import BOOLEAN, DATE, NUMBER, fold, read
from spotlight.evaluation.types import (
    LOW,
    NONE,
    RECOMMENDATIONS,
    WHOLE,
    Component,
    Criterion,
    Evaluation,
    Profile,
    Scale,
    share,
    units_of,
)
from spotlight.evaluation.wording import label_of, share_text, value_text, wish_of

MOST_CHANGES = 5


@dataclass(frozen=True)
class Change:
    """One field that told otherwise, and what the score came to; `value` would do it, where one can be named."""

    field_name: str
    criterion_ids: tuple[int, ...]
    value: Any
    match_score: Decimal
    recommendation: str
    coverage: Decimal
    delta: Decimal
    sentence: str

    def as_dict(self) -> dict[str, Any]:
        """As the API writes it."""
        return {
            "field_name": self.field_name,
            "criterion_ids": list(self.criterion_ids),
            "value": self.value,
            "match_score": float(self.match_score),
            "recommendation": self.recommendation,
            "coverage": float(self.coverage),
            "delta": float(self.delta),
            "sentence": self.sentence,
        }


@dataclass(frozen=True)
class Outcome:
    """What credits come to: `band` is the score's own recommendation, before what caps it."""

    score: int
    coverage: int
    band: str
    recommendation: str


def outcome_of(criteria: Sequence[Criterion], units: Sequence[int | None], scale: Scale) -> Outcome:
    """The engine's arithmetic over credits in ten-thousandths."""
    weights = [criterion.weight_units for criterion in criteria]
    known = sum(weight for weight, credit in zip(weights, units, strict=True) if credit is not None)
    score = score_of(sum(weight * (credit or 0) for weight, credit in zip(weights, units, strict=True)), known)
    coverage = coverage_of(known, sum(weights))
    band = scale.band(score) if known else NONE
    lacks = any(each.required and not credit for each, credit in zip(criteria, units, strict=True))
    is_capped = band not in (LOW, NONE) and (lacks or coverage < scale.floors[3])
    return Outcome(score, coverage, band, LOW if is_capped else band)


def changes_of(profile: Profile, components: Sequence[Component], evaluation: Evaluation, scale: Scale) -> list[Change]:
    """What would raise the recommendation or the score, one field at a time, the most telling first."""
    present = [None if each.credit is None else units_of(each.credit) for each in components]
    fields: dict[tuple[str, ...], list[int]] = {}
    for place, criterion in enumerate(profile.criteria):
        fields.setdefault(names_of(criterion), []).append(place)
    changes = [
        change
        for places in fields.values()
        if any(present[place] != WHOLE for place in places)
        and (change := _change(profile.criteria, places, present, evaluation, scale)) is not None
    ]
    return sorted(changes, key=lambda each: (RECOMMENDATIONS.index(each.recommendation), -each.match_score))


def _change(
    criteria: Sequence[Criterion],
    places: Sequence[int],
    present: Sequence[int | None],
    evaluation: Evaluation,
    scale: Scale,
) -> Change | None:
    """The best that one field could do, or None if that is no better than what it does."""
    own = [criteria[place] for place in places]
    if len(own) == 1:
        tried: list[tuple[Any, list[int | None]]] = [(next(values_that_meet(own[0]), None), [WHOLE])]
    else:
        # One value has to do for all of them, and they may want different things.
        tried = [(value, _credits(own, value, scale)) for each in own for value in values_that_meet(each)]
    best: tuple[Outcome, Any] | None = None
    for value, units in tried:
        told = dict(zip(places, units, strict=True))
        outcome = outcome_of(criteria, [told.get(place, credit) for place, credit in enumerate(present)], scale)
        if best is None or _rank(outcome) > _rank(best[0]):
            best = outcome, value
    now = (-RECOMMENDATIONS.index(evaluation.recommendation), evaluation.match_score)
    if best is None or (-RECOMMENDATIONS.index(best[0].recommendation), share(best[0].score)) <= now:
        return None
    outcome, value = best
    score = share(outcome.score)
    delta = score - evaluation.match_score
    wish = wish_of(own[0]) if len(own) == 1 else f"were {value_text(own[0].field_type, value)}"
    sign = "+" if delta >= 0 else "−"
    return Change(
        field_name=own[0].field_name,
        criterion_ids=tuple(each.criterion_id for each in own),
        value=value,
        match_score=score,
        recommendation=outcome.recommendation,
        coverage=share(outcome.coverage),
        delta=delta,
        sentence=(
            f"If {label_of(own[0])} {wish}: {share_text(score)}, {outcome.recommendation} "
            f"({sign}{share_text(abs(delta))})"
        ),
    )


def _rank(outcome: Outcome) -> tuple[int, int]:
    return -RECOMMENDATIONS.index(outcome.recommendation), outcome.score


def _credits(criteria: Sequence[Criterion], value: Any, scale: Scale) -> list[int | None]:
    readings = [read(each.field_type, value) for each in criteria]
    return [
        comparison_of(each, scale).credit(reading)[0] if reading.values else None
        for each, reading in zip(criteria, readings, strict=True)
    ]


def values_that_meet(criterion: Criterion) -> Iterator[Any]:
    """Values that meet a criterion in full, as facts would bring them; none where none can be named."""
    operator, value, kind = criterion.operator, criterion.value, criterion.field_type
    if operator in (EQUAL, AT_LEAST, AT_MOST, CONTAINS):
        yield value
    elif operator in (IN, BETWEEN):
        yield from value
    elif operator in (ABOVE, BELOW):
        yield from _beside(kind, value, is_above=operator == ABOVE)
    elif operator == NOT_EQUAL and kind == BOOLEAN:
        yield not value
    elif operator == NOT_EQUAL and criterion.enum_values:
        yield from (each for each in criterion.enum_values if fold(each) != fold(str(value)))
    elif operator == NOT_EQUAL and kind in (NUMBER, DATE):
        yield from _beside(kind, value, is_above=True)
    elif operator in (NOT_EQUAL, MATCHES):
        return


def _beside(kind: str, bound: Any, *, is_above: bool) -> Iterator[Any]:
    """The next whole number, or the next day."""
    if kind == DATE:
        day = read(DATE, bound).values[0] + (1 if is_above else -1)
        if 1 <= day <= date.max.toordinal():
            yield date.fromordinal(day).isoformat()
        return
    number = float(bound)
    step = math.floor(number) + 1 if is_above else math.ceil(number) - 1
    # Among the largest floats the next whole number is the same one.
    if float(step) != number:
        yield step
