"""What an atom is worth at a moment, and until when: the one formula of cards, feeds and expiry.

`memory.sql.relevance` says the same in SQL. Search has a ranking of its own: multiplied in, decay ruins retrieval.
"""

from __future__ import annotations

import math
from datetime import datetime, timedelta
from decimal import Decimal

from memory.rules import KindRule, Kinds

SECONDS_A_DAY = 86_400
# Nothing is planned further ahead; a floor near nothing would otherwise leave the calendar.
MOST_DAYS = 365_000.0


def kind_rule(kinds: Kinds, kind: str) -> KindRule:
    """What the rules of an organisation say of a kind."""
    rule: KindRule = getattr(kinds, kind)
    return rule


def relevance(
    kinds: Kinds,
    *,
    kind: str,
    points: int,
    confidence: Decimal | float,
    seen_count: int,
    last_seen_at: datetime,
    at: datetime,
) -> float:
    """Points × decay × confidence, and what further sources add; an atom of the future has not decayed yet."""
    age = max(0.0, (at - last_seen_at).total_seconds() / SECONDS_A_DAY)
    decay: float = 0.5 ** (age / kind_rule(kinds, kind).half_life_days)
    return float(points) * decay * float(confidence) + confirmation(kinds, seen_count)


def confirmation(kinds: Kinds, seen_count: int) -> float:
    """The points for having been said more than once."""
    return min(kinds.most_confirmation_points, kinds.confirmation_points * max(0, seen_count - 1))


def expires_at(
    kinds: Kinds,
    *,
    kind: str,
    points: int,
    confidence: Decimal | float,
    last_seen_at: datetime,
    valid_until: datetime | None = None,
) -> datetime:
    """The earliest of: points × decay × confidence below the floor, the end of its retention, the end of its validity.

    What begins below the floor expires when it is written.
    """
    rule = kind_rule(kinds, kind)
    worth = float(points) * float(confidence) / kinds.floor
    days = 0.0 if worth <= 1 else min(MOST_DAYS, rule.half_life_days * math.log2(worth))
    if rule.kept_days is not None:
        days = min(days, float(rule.kept_days))
    ends = last_seen_at + timedelta(days=days)
    return ends if valid_until is None else min(ends, valid_until)
