"""Learning of weights from outcomes, free of Django; scikit-learn is asked for only where something is learned."""

from spotlight.learning.lessons import learn
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

__all__ = [
    "CalibrationBin",
    "Counts",
    "Effect",
    "ExtraMissing",
    "LearningRefused",
    "Lesson",
    "LiftStep",
    "Outcome",
    "Quality",
    "Verdict",
    "Wish",
    "learn",
]
