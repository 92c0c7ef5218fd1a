"""The formula of `memory.relevance` in SQL, as expressions over an atom's columns.

Put `relevance(alias)` or `expires_at(alias)` into a statement and `parameters(kinds, at=…)` among its parameters.
"""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any

from memory.relevance import MOST_DAYS
from memory.rules import Kinds


def relevance(alias: str = "atom") -> str:
    """The relevance of an atom at `at`, a double."""
    return f"""(
        {alias}.base_score * {alias}.confidence::float8 * power(0.5::float8,
            greatest(0, extract(epoch FROM %(rel_at)s - {alias}.last_seen_at)::float8 / 86400)
            / (%(rel_half_lives)s::jsonb ->> {alias}.kind)::float8)
        + least(%(rel_most_confirmation)s::float8, %(rel_confirmation)s::float8 * ({alias}.seen_count - 1)))"""


def expires_at(alias: str = "atom", *, points: str | None = None) -> str:
    """When an atom expires; `points` is the expression of its points where they are not those of the row."""
    worth = f"({points or f'{alias}.base_score'} * {alias}.confidence::float8 / %(rel_floor)s::float8)"
    half_life = f"(%(rel_half_lives)s::jsonb ->> {alias}.kind)::float8"
    # Null is no limit to LEAST; CASE keeps the logarithm from what begins below the floor.
    return f"""least(
        {alias}.last_seen_at + make_interval(secs => 86400 * least(
            CASE WHEN {worth} > 1
                 THEN least({MOST_DAYS}, {half_life} * ln(CASE WHEN {worth} > 1 THEN {worth} END) / ln(2::float8))
                 ELSE 0 END,
            (%(rel_kept_days)s::jsonb ->> {alias}.kind)::float8)),
        {alias}.valid_until)"""


def points(alias: str = "atom") -> str:
    """The points that the rules give an atom's kind now."""
    return f"(%(rel_points)s::jsonb ->> {alias}.kind)::smallint"


def parameters(kinds: Kinds, *, at: datetime) -> dict[str, Any]:
    """What the expressions of this module refer to."""
    rules = {kind: getattr(kinds, kind) for kind in ("decision", "risk", "preference", "note", "status")}
    return {
        "rel_at": at,
        "rel_half_lives": json.dumps({kind: rule.half_life_days for kind, rule in rules.items()}),
        "rel_kept_days": json.dumps({kind: rule.kept_days for kind, rule in rules.items()}),
        "rel_points": json.dumps({kind: rule.points for kind, rule in rules.items()}),
        "rel_floor": kinds.floor,
        "rel_confirmation": kinds.confirmation_points,
        "rel_most_confirmation": kinds.most_confirmation_points,
    }
