"""What goes into learning and what comes out of it."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any


class LearningRefused(ValueError):
    """There is nothing to propose; the message is a sentence that says why."""


class ExtraMissing(LearningRefused):
    """scikit-learn is not installed."""


@dataclass(frozen=True)
class Wish:
    """A criterion as learning sees it: `label` is how people read it."""

    criterion_id: int
    label: str
    weight: float


@dataclass(frozen=True)
class Outcome:
    """A pursuit that was closed, with what each criterion earned (0…1, None for unknown) in the order of the wishes."""

    closed_at: datetime
    is_won: bool
    credits: tuple[float | None, ...]


class Verdict(StrEnum):
    """How the learned weights rank the outcomes that were held back, beside the ones that stand."""

    BETTER = "better"
    UNCLEAR = "unclear"
    WORSE = "worse"


@dataclass(frozen=True)
class Counts:
    """How many outcomes were learned from and how many, the latest, were held back; days in ISO form."""

    won: int
    lost: int
    fitted: int
    held_back: int
    held_back_won: int
    first_closed: str
    held_back_from: str
    last_closed: str


@dataclass(frozen=True)
class Quality:
    """How the outcomes that were held back are ranked, before and after.

    `auc`: how often a won pursuit scores above a lost one. `top_lift`: how much more often than on average the tenth
    that scores highest was won. `unconstrained_…` are those of a logistic regression whose weights may be negative. The
    difference after − before lies between `difference_low` and `difference_high` with 95 % confidence.
    """

    auc_before: float
    auc_after: float
    unconstrained_auc: float
    top_lift_before: float
    top_lift_after: float
    unconstrained_top_lift: float
    difference_low: float
    difference_high: float
    verdict: Verdict


@dataclass(frozen=True)
class LiftStep:
    """Of the best `share` of the outcomes that were held back: how many times as many were won as on average."""

    share: float
    before: float
    after: float


@dataclass(frozen=True)
class CalibrationBin:
    """Outcomes that were held back with about the same predicted chance, and how many of them were won."""

    predicted: float
    observed: float
    outcomes: int


@dataclass(frozen=True)
class Effect:
    """What a criterion does for winning, over all outcomes.

    Rates are shares of won ones, None where there are none to count. `odds_ratio`: by how much the odds of winning are
    multiplied where it is met rather than not, the others alike; None for a criterion that was not learned (`is_kept`).
    """

    criterion_id: int
    label: str
    weight_before: float
    weight_after: float
    met: int
    unmet: int
    unknown: int
    met_rate: float | None
    unmet_rate: float | None
    unknown_rate: float | None
    odds_ratio: float | None
    is_kept: bool
    sentence: str


@dataclass(frozen=True)
class Lesson:
    """Weights in the order of the wishes, and the evidence for them; `penalty` is the C that cross-validation chose."""

    weights: tuple[float, ...]
    counts: Counts
    quality: Quality
    lift: tuple[LiftStep, ...]
    calibration: tuple[CalibrationBin, ...]
    effects: tuple[Effect, ...]
    penalty: float
    sentence: str

    def as_dict(self) -> dict[str, Any]:
        """The evidence as JSON."""
        evidence = asdict(self)
        del evidence["weights"]
        return evidence
