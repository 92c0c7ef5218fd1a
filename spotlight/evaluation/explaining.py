"""Why a score is what it is: a sentence for every criterion, its strongest sides, its caps and what would change it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from decimal import Decimal
from typing import Any

from spotlight.evaluation.changing import MOST_CHANGES, Change, changes_of, outcome_of
from spotlight.evaluation.engine import ALGORITHM_VERSION
from spotlight.evaluation.types import (
    WEIGHT_UNIT,
    WHOLE,
    Component,
    Criterion,
    Evaluation,
    Profile,
    Scale,
    share,
    units_of,
)
from spotlight.evaluation.wording import label_of, percent_text, range_text, sentence_of

MET, PARTIAL, UNMET, UNKNOWN = "met", "partial", "unmet", "unknown"
MOST_TOP = 3


@dataclass(frozen=True)
class ExplainedComponent:
    """One criterion: what it wanted, what it saw, and what that is worth.

    `contribution` is from −1 to 1, `points` that times the weight, and the score parts of a profile sum to its score.
    """

    criterion_id: int
    field_name: str
    label: str
    operator: str
    value: Any
    wanted: str
    weight: Decimal
    required: bool
    status: str
    credit: Decimal | None
    seen: Any
    source: str
    contribution: Decimal
    points: Decimal
    score_part: Decimal
    sentence: str

    def as_dict(self) -> dict[str, Any]:
        """As the API writes it: decimals are numbers."""
        return {name: float(each) if isinstance(each, Decimal) else each for name, each in asdict(self).items()}


@dataclass(frozen=True)
class Cap:
    """Why a recommendation is lower than its score: `reason` is coverage, required_unknown or required_unmet."""

    reason: str
    criterion_id: int | None
    sentence: str


@dataclass(frozen=True)
class Explanation:
    """A score that anyone can read.

    `top_positive` and `top_negative` are the components that move it most, `changes` what would raise it, and `caps`
    what keeps its recommendation below its score's own.
    """

    spotlight_id: int
    name: str
    version: int
    algorithm_version: str
    match_score: Decimal
    recommendation: str
    coverage: Decimal
    matched_fields: int
    total_fields: int
    components: tuple[ExplainedComponent, ...]
    top_positive: tuple[ExplainedComponent, ...]
    top_negative: tuple[ExplainedComponent, ...]
    changes: tuple[Change, ...]
    caps: tuple[Cap, ...]

    def as_dict(self) -> dict[str, Any]:
        """As the API writes it: decimals are numbers, and the tops are sentences."""
        return {
            "spotlight_id": self.spotlight_id,
            "name": self.name,
            "version": self.version,
            "algorithm_version": self.algorithm_version,
            "match_score": float(self.match_score),
            "recommendation": self.recommendation,
            "coverage": float(self.coverage),
            "matched_fields": self.matched_fields,
            "total_fields": self.total_fields,
            "components": [each.as_dict() for each in self.components],
            "top_positive": [each.sentence for each in self.top_positive],
            "top_negative": [each.sentence for each in self.top_negative],
            "changes": [each.as_dict() for each in self.changes],
            "caps": [asdict(each) for each in self.caps],
        }


def explain(
    profile: Profile, evaluation: Evaluation, scale: Scale, algorithm_version: str = ALGORITHM_VERSION
) -> Explanation:
    """Explain an evaluation by the version of the profile that it was made with.

    `algorithm_version` is that of a stored score.
    """
    found = {component.criterion_id: component for component in evaluation.components}
    ordered = [
        found.get(criterion.criterion_id, Component(criterion.criterion_id, None, None, ""))
        for criterion in profile.criteria
    ]
    units = [None if each.credit is None else units_of(each.credit) for each in ordered]
    parts = score_parts(profile.criteria, units)
    components = tuple(map(_explained, profile.criteria, ordered, units, parts))
    return Explanation(
        spotlight_id=profile.spotlight_id,
        name=profile.name,
        version=evaluation.version,
        algorithm_version=algorithm_version,
        match_score=evaluation.match_score,
        recommendation=evaluation.recommendation,
        coverage=evaluation.coverage,
        matched_fields=evaluation.matched_fields,
        total_fields=evaluation.total_fields,
        components=components,
        top_positive=_top(components, sign=1),
        top_negative=_top(components, sign=-1),
        changes=tuple(changes_of(profile, ordered, evaluation, scale)[:MOST_CHANGES]),
        caps=tuple(_caps(profile.criteria, units, scale)),
    )


def score_parts(criteria: Sequence[Criterion], units: Sequence[int | None]) -> list[Decimal]:
    """What each criterion adds to the score; the largest remainders are rounded up so that the parts sum to it."""
    weights = [criterion.weight_units for criterion in criteria]
    known = sum(weight for weight, credit in zip(weights, units, strict=True) if credit is not None)
    if not known:
        return [share(0)] * len(weights)
    earned = [weight * (credit or 0) for weight, credit in zip(weights, units, strict=True)]
    parts = [each // known for each in earned]
    lacking = (2 * sum(earned) + known) // (2 * known) - sum(parts)
    by_remainder = sorted(range(len(parts)), key=lambda place: (-(earned[place] % known), place))
    for place in by_remainder[:lacking]:
        parts[place] += 1
    return [share(part) for part in parts]


def _explained(criterion: Criterion, component: Component, credit: int | None, part: Decimal) -> ExplainedComponent:
    contribution = 0 if credit is None else 2 * credit - WHOLE
    points = Decimal(contribution * criterion.weight_units) / (WHOLE * WEIGHT_UNIT)
    return ExplainedComponent(
        criterion_id=criterion.criterion_id,
        field_name=criterion.field_name,
        label=criterion.label or criterion.field_name.replace("_", " "),
        operator=criterion.operator,
        value=criterion.value,
        wanted=range_text(criterion),
        weight=criterion.weight,
        required=criterion.required,
        status=_status(credit),
        credit=None if credit is None else share(credit),
        seen=component.seen,
        source=component.source,
        contribution=share(contribution),
        points=points,
        score_part=part,
        sentence=sentence_of(criterion, component, points),
    )


def _status(credit: int | None) -> str:
    if credit is None:
        return UNKNOWN
    if credit == WHOLE:
        return MET
    return PARTIAL if credit else UNMET


def _top(components: Sequence[ExplainedComponent], *, sign: int) -> tuple[ExplainedComponent, ...]:
    """The components that count most for (sign 1) or against (−1); of equal ones the first."""
    moving = [each for each in components if each.points * sign > 0]
    return tuple(sorted(moving, key=lambda each: -abs(each.points))[:MOST_TOP])


def _caps(criteria: Sequence[Criterion], units: Sequence[int | None], scale: Scale) -> list[Cap]:
    """Every reason for which the recommendation is not the score's own."""
    outcome = outcome_of(criteria, units, scale)
    if outcome.band == outcome.recommendation:
        return []
    kept = f"so it is a {outcome.recommendation.replace('_', ' ')} and no more"
    caps = []
    if outcome.coverage < scale.floors[3]:
        known, least = percent_text(share(outcome.coverage)), percent_text(share(scale.floors[3]))
        caps.append(Cap("coverage", None, f"Only {known} of the weight is known, less than {least}, {kept}."))
    for criterion, credit in zip(criteria, units, strict=True):
        if criterion.required and not credit:
            label = label_of(criterion)
            reason, said = ("required_unknown", "unknown") if credit is None else ("required_unmet", "not met")
            caps.append(
                Cap(reason, criterion.criterion_id, f"{label[:1].upper()}{label[1:]} is required and {said}, {kept}.")
            )
    return caps
