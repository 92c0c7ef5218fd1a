"""Outcomes made from known weights: what learning should find."""

from __future__ import annotations

import copy
import math
import random
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any

from spotlight.learning import Lesson, Outcome, Wish, learn

FIRST_CLOSED = datetime(2025, 1, 1, tzinfo=UTC)


def generated(
    strengths: Sequence[float],
    count: int,
    *,
    seed: int,
    base: float = -0.3,
    unknown: float = 0.0,
    partial: float = 0.15,
) -> list[Outcome]:
    """Pursuits of a world in which meeting criterion n shifts the log-odds of winning by 2 × strengths[n].

    One is closed an hour. A criterion is met by between a fifth and four fifths of them, in part by `partial` of them,
    and a share `unknown` of the values is not known to the profile, though it counted.
    """
    chance = random.Random(seed)
    met = [chance.uniform(0.2, 0.8) for _ in strengths]
    found = []
    for number in range(count):
        earned = [_credit(chance, share, partial) for share in met]
        odds = base + sum(s * (2 * credit - 1) for s, credit in zip(strengths, earned, strict=True))
        is_won = chance.random() < 1 / (1 + math.exp(-odds))
        known = tuple(None if chance.random() < unknown else credit for credit in earned)
        found.append(Outcome(FIRST_CLOSED + timedelta(hours=number), is_won, known))
    return found


def _credit(chance: random.Random, share: float, partial: float) -> float:
    if chance.random() < partial:
        return round(chance.random(), 4)
    return float(chance.random() < share)


def wishes(weights: Iterable[float]) -> list[Wish]:
    """Criteria 1, 2, … with these weights."""
    return [Wish(number, f"Criterion {number}", weight) for number, weight in enumerate(weights, start=1)]


def sample_evidence() -> dict[str, Any]:
    """The evidence of a proposal as it is stored: two criteria, one of them worth nothing."""
    return copy.deepcopy(_lesson().as_dict())


@cache
def _lesson() -> Lesson:
    return learn(wishes([10.0, 10.0]), generated([1.0, -0.5], 200, seed=3), held_back=0.3)
