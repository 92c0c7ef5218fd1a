"""From outcomes to weights: split by time, fit on the earlier ones, prove on the later ones, say it in sentences."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from spotlight.learning.sentences import effect_sentence, summary
from spotlight.learning.types import (
    CalibrationBin,
    Counts,
    Effect,
    ExtraMissing,
    LearningRefused,
    Lesson,
    LiftStep,
    Outcome,
    Quality,
    Verdict,
    Wish,
)

if TYPE_CHECKING:
    from spotlight.learning.fitting import Fit

# A criterion in which fewer outcomes than this differ from the rest is not learned.
LEAST_DIFFERENT = 10
HIGHEST_WEIGHT = 1_000.0
_EXTRA = frozenset({"numpy", "scipy", "sklearn"})


def learn(wishes: Sequence[Wish], outcomes: Iterable[Outcome], *, held_back: float) -> Lesson:
    """Weights for the wishes, none below 0, that sum to what the present ones do.

    The latest share `held_back` of the outcomes takes no part and proves exactly the weights that are proposed.
    Criteria in which too few of the earlier outcomes differ keep their weight. The same outcomes give the same weights.
    Raises ExtraMissing, and LearningRefused where all outcomes of one part are alike or nothing tells won from lost.
    """
    fitting, proving = _rooms()
    ordered = sorted(outcomes, key=lambda outcome: (outcome.closed_at, outcome.is_won, _sortable(outcome)))
    earlier, later = _split(ordered, held_back)
    present = [wish.weight for wish in wishes]
    fit: Fit = fitting.fit(fitting.table(earlier), least_different=LEAST_DIFFERENT)
    weights = _weights(present, fit)
    proof = fitting.table(later)
    before, after = proving.scores(present, proof.credits), proving.scores(weights, proof.credits)
    quality = _quality(proving.compare(before, after, proof.won), fit.unconstrained(proof), proof.won, proving)
    effects = tuple(
        _effect(wish, weight, ordered, place, fit)
        for place, (wish, weight) in enumerate(zip(wishes, weights, strict=True))
    )
    return Lesson(
        weights=tuple(weights),
        counts=_counts(ordered, later),
        quality=quality,
        lift=tuple(LiftStep(*step) for step in proving.lift_curve(before, after, proof.won)),
        calibration=tuple(CalibrationBin(*each) for each in proving.calibration(fit.chances(proof), proof.won)),
        effects=effects,
        penalty=fit.penalty,
        sentence=summary(quality, effects),
    )


def _rooms() -> Any:
    try:
        from spotlight.learning import fitting, proving
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] not in _EXTRA:
            raise
        raise ExtraMissing(
            "Learning needs scikit-learn, which is not installed here. Ask whoever runs FlowLedger to install it with "
            "the extra 'learning': pip install '.[learning]'."
        ) from error
    return fitting, proving


def _sortable(outcome: Outcome) -> tuple[float, ...]:
    """Ties in time are broken by content, so that the order in which outcomes come changes nothing."""
    return tuple(-1.0 if credit is None else credit for credit in outcome.credits)


def _split(ordered: Sequence[Outcome], held_back: float) -> tuple[Sequence[Outcome], Sequence[Outcome]]:
    cut = len(ordered) - math.ceil(len(ordered) * held_back)
    earlier, later = ordered[:cut], ordered[cut:]
    for part, words in ((earlier, "earlier"), (later, "latest")):
        won = sum(outcome.is_won for outcome in part)
        if not 0 < won < len(part):
            what = "won" if won else "lost"
            raise LearningRefused(
                f"All of the {len(part)} {words} outcomes were {what}: there is nothing to compare them with. Learning "
                "needs won and lost pursuits both among the earlier and among the latest ones."
            )
    return earlier, later


def _weights(present: Sequence[float], fit: Fit) -> list[float]:
    """What was learned, scaled to what the learned criteria weighed and rounded; the kept ones as they are."""
    learned = [place for place, coefficient in enumerate(fit.coefficients) if coefficient is not None]
    total = sum(present[place] for place in learned)
    if total <= 0:
        raise LearningRefused(
            "Too few outcomes differ in the criteria that weigh something, so nothing can be learned about them."
        )
    found = [fit.coefficients[place] or 0.0 for place in learned]
    if sum(found) <= 0:
        raise LearningRefused(
            "None of the criteria tells won pursuits from lost ones, so there are no weights to propose. Look for "
            "criteria in which the two differ."
        )
    scale = min(total / sum(found), HIGHEST_WEIGHT / max(found))
    weights = list(present)
    for place, weight in zip(learned, rounded([scale * each for each in found]), strict=True):
        weights[place] = weight
    return weights


def rounded(values: Sequence[float]) -> list[float]:
    """To tenths, finer where they sum to little, so that the rounded values sum to the rounded sum."""
    total = sum(values)
    places = 1 if total >= 10 else 2 if total >= 1 else 3
    steps = [value * 10**places for value in values]
    whole = [math.floor(step) for step in steps]
    by_remainder = sorted(range(len(steps)), key=lambda place: (whole[place] - steps[place], place))
    for place in by_remainder[: round(sum(steps)) - sum(whole)]:
        whole[place] += 1
    return [round(each / 10**places, places) for each in whole]


def _counts(ordered: Sequence[Outcome], later: Sequence[Outcome]) -> Counts:
    won = sum(outcome.is_won for outcome in ordered)
    return Counts(
        won=won,
        lost=len(ordered) - won,
        fitted=len(ordered) - len(later),
        held_back=len(later),
        held_back_won=sum(outcome.is_won for outcome in later),
        first_closed=ordered[0].closed_at.date().isoformat(),
        held_back_from=later[0].closed_at.date().isoformat(),
        last_closed=later[-1].closed_at.date().isoformat(),
    )


def _quality(compared: Any, unconstrained: Any, won: Any, proving: Any) -> Quality:
    verdict = Verdict.BETTER if compared.low > 0 else Verdict.WORSE if compared.high < 0 else Verdict.UNCLEAR
    return Quality(
        auc_before=round(compared.auc_before, 4),
        auc_after=round(compared.auc_after, 4),
        unconstrained_auc=round(proving.auc(unconstrained, won), 4),
        top_lift_before=round(proving.lift(compared.before, won, 0.1), 4),
        top_lift_after=round(proving.lift(compared.after, won, 0.1), 4),
        unconstrained_top_lift=round(proving.lift(unconstrained, won, 0.1), 4),
        difference_low=round(compared.low, 4),
        difference_high=round(compared.high, 4),
        verdict=verdict,
    )


def _effect(wish: Wish, weight: float, outcomes: Sequence[Outcome], place: int, fit: Fit) -> Effect:
    groups: dict[str, list[bool]] = {"met": [], "unmet": [], "unknown": []}
    for outcome in outcomes:
        credit = outcome.credits[place]
        groups["unknown" if credit is None else "met" if credit > 0.5 else "unmet"].append(outcome.is_won)
    rates = {name: round(sum(group) / len(group), 4) if group else None for name, group in groups.items()}
    coefficient = fit.coefficients[place]
    return Effect(
        criterion_id=wish.criterion_id,
        label=wish.label,
        weight_before=wish.weight,
        weight_after=weight,
        met=len(groups["met"]),
        unmet=len(groups["unmet"]),
        unknown=len(groups["unknown"]),
        met_rate=rates["met"],
        unmet_rate=rates["unmet"],
        unknown_rate=rates["unknown"],
        odds_ratio=None if coefficient is None else round(math.exp(min(2 * coefficient, 20.0)), 2),
        is_kept=coefficient is None,
        sentence=effect_sentence(
            wish,
            weight,
            met=(len(groups["met"]), rates["met"]),
            unmet=(len(groups["unmet"]), rates["unmet"]),
            different=fit.different[place],
            is_kept=coefficient is None,
            is_harmful=fit.free[place] < 0 and _is_clearly_less(groups["met"], groups["unmet"]),
        ),
    )


def _is_clearly_less(met: Sequence[bool], unmet: Sequence[bool]) -> bool:
    """Whether the share of won ones is lower where it is met by more than chance explains, with 95 % confidence."""
    if not met or not unmet:
        return False
    won = (sum(met) + sum(unmet)) / (len(met) + len(unmet))
    deviation = math.sqrt(won * (1 - won) * (1 / len(met) + 1 / len(unmet)))
    return sum(unmet) / len(unmet) - sum(met) / len(met) > 1.96 * deviation
