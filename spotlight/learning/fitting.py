"""Logistic regression with an L2 penalty whose weights may not fall below 0. Needs scikit-learn."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.optimize import minimize
from scipy.special import expit, log_expit
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedKFold
from threadpoolctl import threadpool_limits

from spotlight.learning.types import Outcome

# Strongest penalty first: of equally good ones the strongest is chosen.
PENALTIES = tuple(float(c) for c in np.logspace(-3, 2, 11))
# Contributions that lie closer together say the same.
DIFFERENCE = 0.5
FOLDS = 5
SEED = 6


@dataclass(frozen=True)
class Table:
    """Outcomes as columns: credits with NaN for unknown, and whether each was won."""

    credits: Any
    won: Any

    @property
    def contributions(self) -> Any:
        """−1…1, 0 for unknown."""
        return np.nan_to_num(2 * self.credits - 1, nan=0.0)


@dataclass(frozen=True)
class Fit:
    """What was fitted: a coefficient per criterion, None where too few outcomes differ, and the ones that may be < 0.

    `different` counts per criterion the outcomes that differ clearly from the most common contribution.
    """

    coefficients: tuple[float | None, ...]
    intercept: float
    free: tuple[float, ...]
    free_intercept: float
    different: tuple[int, ...]
    penalty: float

    def chances(self, table: Table) -> Any:
        """The chance of winning that the proposed weights stand for."""
        coefficients = np.array([each or 0.0 for each in self.coefficients])
        return expit(table.contributions @ coefficients + self.intercept)

    def unconstrained(self, table: Table) -> Any:
        """What the regression that may use negative weights says of each outcome."""
        return table.contributions @ np.array(self.free) + self.free_intercept


def table(outcomes: Sequence[Outcome]) -> Table:
    """Outcomes as arrays."""
    rows = [[np.nan if credit is None else credit for credit in outcome.credits] for outcome in outcomes]
    return Table(np.array(rows, dtype=float), np.array([outcome.is_won for outcome in outcomes]))


def fit(table: Table, *, least_different: int) -> Fit:
    """Fit both regressions, each with the penalty that predicts best in cross-validation.

    Contributions share a scale, −1…1, and are not stretched: a criterion in which outcomes hardly differ stays small.
    On one thread: the arrays are small, and threads that wait for each other would take the cores of other requests.
    """
    with threadpool_limits(1):
        return _fit(table, least_different)


def _fit(table: Table, least_different: int) -> Fit:
    features = table.contributions
    different = [_different(column) for column in features.T]
    used = np.array([count >= least_different for count in different], dtype=bool)
    size = features.shape[1]
    coefficients: list[float | None] = [None] * size
    free = np.zeros(size)
    intercept = free_intercept = _intercept(table.won)
    penalty = PENALTIES[0]
    if used.any():
        features = features[:, used]
        penalty = _best_penalty(features, table.won, _bounded)
        found, intercept = _bounded(features, table.won, penalty)
        for place, value in zip(np.flatnonzero(used), found, strict=True):
            coefficients[place] = float(value)
        free[used], free_intercept = _free(features, table.won, _best_penalty(features, table.won, _free))
    return Fit(
        coefficients=tuple(coefficients),
        intercept=intercept,
        free=tuple(float(each) for each in free),
        free_intercept=free_intercept,
        different=tuple(different),
        penalty=penalty,
    )


def _different(column: Any) -> int:
    values, counts = np.unique(column, return_counts=True)
    return int((np.abs(column - values[counts.argmax()]) >= DIFFERENCE).sum())


def _intercept(won: Any) -> float:
    share = won.mean()
    return float(np.log(share / (1 - share)))


def _bounded(features: Any, won: Any, penalty: float) -> tuple[Any, float]:
    """Weights of at least 0 and the intercept that minimise the penalised loss."""
    sign = np.where(won, 1.0, -1.0)
    strength = 1 / (penalty * len(sign))

    def loss(parameters: Any) -> tuple[float, Any]:
        weights, margin = parameters[:-1], sign * (features @ parameters[:-1] + parameters[-1])
        pull = -sign * expit(-margin) / len(sign)
        gradient = np.append(features.T @ pull + strength * weights, pull.sum())
        return -log_expit(margin).mean() + strength / 2 * (weights @ weights), gradient

    width = features.shape[1]
    start = np.append(np.zeros(width), _intercept(won))
    bounds = [(0.0, None)] * width + [(None, None)]
    found = minimize(loss, start, jac=True, method="L-BFGS-B", bounds=bounds, options={"gtol": 1e-8, "ftol": 1e-13})
    return found.x[:-1], float(found.x[-1])


def _free(features: Any, won: Any, penalty: float) -> tuple[Any, float]:
    """Weights of either sign, by scikit-learn."""
    model = LogisticRegression(C=penalty, max_iter=1_000).fit(features, won)
    return model.coef_[0], float(model.intercept_[0])


def _best_penalty(features: Any, won: Any, solve: Any) -> float:
    """The penalty with the least loss on the parts that are left out in turn."""
    fewest = int(min(won.sum(), len(won) - won.sum()))
    if fewest < 2:
        return PENALTIES[len(PENALTIES) // 2]
    folds = StratifiedKFold(min(FOLDS, fewest), shuffle=True, random_state=SEED)
    parts = list(folds.split(features, won))
    losses = []
    for penalty in PENALTIES:
        total = 0.0
        for fitted, left_out in parts:
            weights, intercept = solve(features[fitted], won[fitted], penalty)
            margin = features[left_out] @ weights + intercept
            total -= log_expit(np.where(won[left_out], margin, -margin)).sum()
        losses.append(total)
    return PENALTIES[int(np.argmin(losses))]
