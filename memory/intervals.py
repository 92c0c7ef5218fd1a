"""How sure a share is: intervals that hold for small counts, too."""

from __future__ import annotations

import math
from dataclasses import dataclass

# Of the normal distribution: 95 % lie within so many deviations.
_NORMAL_95 = 1.959963984540054


@dataclass(frozen=True)
class Interval:
    """Where a figure lies with 95 % confidence."""

    low: float
    high: float


def wilson(successes: int, trials: int) -> Interval:
    """The score interval of Wilson for a share. Raises ValueError for nothing and for more successes than trials."""
    if not 0 <= successes <= trials or trials == 0:
        raise ValueError(f"{successes} of {trials} is no share.")
    share, spread = successes / trials, _NORMAL_95**2 / trials
    centre = share + spread / 2
    margin = _NORMAL_95 * math.sqrt(share * (1 - share) / trials + spread / (4 * trials))
    low, high = (centre - margin) / (1 + spread), (centre + margin) / (1 + spread)
    # Exactly nothing and exactly all, which rounding would miss.
    return Interval(0.0 if successes == 0 else low, 1.0 if successes == trials else high)


def difference(successes: int, trials: int, other_successes: int, other_trials: int) -> Interval:
    """Where the first share minus the other lies: Newcombe's method 10, which combines the two intervals of Wilson.

    Raises ValueError as `wilson` does.
    """
    share, of_share = successes / max(trials, 1), wilson(successes, trials)
    other, of_other = other_successes / max(other_trials, 1), wilson(other_successes, other_trials)
    below = math.hypot(share - of_share.low, of_other.high - other)
    above = math.hypot(of_share.high - share, other - of_other.low)
    return Interval(share - other - below, share - other + above)
