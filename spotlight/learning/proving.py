"""How well scores rank outcomes: area under the curve, lift, calibration. Needs scikit-learn's numpy and scipy."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.stats import rankdata

DECILES = tuple(round(0.1 * step, 1) for step in range(1, 11))
_NORMAL_95 = 1.959964
# Fewer outcomes in a bin would show noise.
BIN = 20


@dataclass(frozen=True)
class Compared:
    """Two scores of the same outcomes: the area of each and where after − before lies with 95 % confidence."""

    before: Any
    after: Any
    auc_before: float
    auc_after: float
    low: float
    high: float


def scores(weights: Sequence[float], earned: Any) -> Any:
    """The match score of every outcome: met weight by known weight, 0 where nothing is known."""
    weight = np.asarray(weights, dtype=float)
    known = ~np.isnan(earned) @ weight
    met = np.nan_to_num(earned) @ weight
    return np.round(np.divide(met, known, out=np.zeros(len(earned)), where=known > 0), 4)


def auc(score: Any, won: Any) -> float:
    """How often a won outcome scores above a lost one; a tie counts half."""
    return _placements(score, won)[0]


def compare(before: Any, after: Any, won: Any) -> Compared:
    """Both areas, and the confidence of their difference by the method of DeLong, which knows that they share cases."""
    area_before, won_before, lost_before = _placements(before, won)
    area_after, won_after, lost_after = _placements(after, won)
    variance = _variance(won_after - won_before) + _variance(lost_after - lost_before)
    margin, difference = _NORMAL_95 * math.sqrt(variance), area_after - area_before
    return Compared(before, after, area_before, area_after, difference - margin, difference + margin)


def lift(score: Any, won: Any, share: float) -> float:
    """How many times as often the best `share` was won as all; of equal scores at its edge an even part counts."""
    wanted = share * len(score)
    order = np.argsort(-score, kind="stable")
    edge = score[order[min(max(math.ceil(wanted - 1e-9), 1), len(score)) - 1]]
    above, level = score > edge, score == edge
    counted = won[above].sum() + (wanted - above.sum()) * won[level].mean()
    return float(counted / wanted / won.mean())


def lift_curve(before: Any, after: Any, won: Any) -> list[tuple[float, float, float]]:
    """(share, lift before, lift after) for the best tenth, two tenths, …"""
    return [(share, round(lift(before, won, share), 4), round(lift(after, won, share), 4)) for share in DECILES]


def calibration(chances: Any, won: Any) -> list[tuple[float, float, int]]:
    """(predicted, observed, outcomes) of up to ten equally large bins; outcomes of one chance stay together."""
    bins = min(10, max(len(chances) // BIN, 1))
    ranks = rankdata(chances, method="average") - 0.5
    place = np.minimum((ranks * bins / len(chances)).astype(int), bins - 1)
    found = []
    for each in range(bins):
        inside = place == each
        if inside.any():
            found.append(
                (round(float(chances[inside].mean()), 4), round(float(won[inside].mean()), 4), int(inside.sum()))
            )
    return found


def _placements(score: Any, won: Any) -> tuple[float, Any, Any]:
    """The area, and per won and per lost outcome the share of the others that it is ranked rightly against."""
    won_scores, lost_scores = score[won], score[~won]
    ranks = rankdata(score)
    of_won = (ranks[won] - rankdata(won_scores)) / len(lost_scores)
    of_lost = 1 - (ranks[~won] - rankdata(lost_scores)) / len(won_scores)
    return float(of_won.mean()), of_won, of_lost


def _variance(differences: Any) -> float:
    return float(differences.var(ddof=1) / len(differences)) if len(differences) > 1 else 0.0
