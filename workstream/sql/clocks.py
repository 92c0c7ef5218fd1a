"""The statements that move the clocks of items: end, pause and restart them, and resolve what they missed.

They run inside the scope of the organisation that they name, in the transaction of what moved the item. A clock that
is not running, or not paused where that is asked for, is passed over, so the second of two who come at once does
nothing. What the sweep has just committed is seen: a row that was waited for is looked at again.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from django.db import connection

from workstream.models.sla import CLOCKED_MODELS


class EndedClock(NamedTuple):
    """A clock that a statement has ended or paused. `was_breached`: the sweep had opened its breach before."""

    id: int
    item_type: str
    item_id: int
    rule_id: int | None
    metric: str
    due_at: datetime | None
    breached_at: datetime | None
    was_breached: bool


class NewMoments(NamedTuple):
    """Where a clock's moments are moved to."""

    id: int
    due_at: datetime
    warn_at: datetime
    paused_at: datetime | None
    paused_seconds: int
    warned_at: datetime | None
    breached_at: datetime | None
    rule_version: int
    calendar_version: int


_ITEM_TYPE = " ".join(f"WHEN {name}_id IS NOT NULL THEN '{name}'" for name in CLOCKED_MODELS)
_ITEM_ID = ", ".join(f"{name}_id" for name in CLOCKED_MODELS)
_TOUCHED = "row_version = row_version + 1, updated_at = statement_timestamp()"
_ANSWER = (
    f"id, CASE {_ITEM_TYPE} END, coalesce({_ITEM_ID}), rule_id, metric, due_at, breached_at,"
    " old.breached_at IS NOT NULL"
)
# When the clock stood still: `least` passes over a null.
_LATE = "least(paused_at, greatest(%(ended_at)s, started_at)) > due_at"
_END = f"""
UPDATE workstream_slaclock
   SET stopped_at = greatest(%(ended_at)s, started_at), stopped_by = %(by)s, paused_at = NULL,
       breached_at = CASE WHEN {_LATE} THEN coalesce(breached_at, due_at) ELSE breached_at END,
       outcome = CASE WHEN rule_id IS NULL THEN 'cancelled' WHEN {_LATE} THEN 'breached' ELSE %(outcome)s END,
       {_TOUCHED}
 WHERE org_id = %(org_id)s AND stopped_at IS NULL AND {{which}}
RETURNING {_ANSWER}
"""
_ENDS = {
    item_type: _END.format(
        which=f"{item_type}_id = ANY(%(item_ids)s)"
        " AND (metric = ANY(%(metrics)s::text[]) OR rule_id = ANY(%(rule_ids)s::bigint[]))"
        " AND (%(since)s::timestamptz IS NULL OR started_at <= %(since)s)"
    )
    for item_type in CLOCKED_MODELS
}
_END_NAMED = _END.format(which="id = ANY(%(ids)s)")
_PAUSE = f"""
UPDATE workstream_slaclock
   SET paused_at = %(at)s,
       breached_at = CASE WHEN due_at < %(at)s THEN coalesce(breached_at, due_at) ELSE breached_at END,
       {_TOUCHED}
 WHERE org_id = %(org_id)s AND candidate_id = %(candidate_id)s AND rule_id IS NOT NULL
   AND stopped_at IS NULL AND paused_at IS NULL
RETURNING {_ANSWER}
"""
_MOVE = """
UPDATE workstream_slaclock c
   SET due_at = n.due_at, warn_at = n.warn_at, paused_at = n.paused_at, paused_seconds = n.paused_seconds,
       warned_at = n.warned_at, breached_at = n.breached_at, rule_version = n.rule_version,
       calendar_version = n.calendar_version, row_version = c.row_version + 1, updated_at = statement_timestamp()
  FROM unnest(%(id)s::bigint[], %(due_at)s::timestamptz[], %(warn_at)s::timestamptz[], %(paused_at)s::timestamptz[],
              %(paused_seconds)s::bigint[], %(warned_at)s::timestamptz[], %(breached_at)s::timestamptz[],
              %(rule_version)s::int[], %(calendar_version)s::int[])
       AS n (id, due_at, warn_at, paused_at, paused_seconds, warned_at, breached_at, rule_version, calendar_version)
 WHERE c.org_id = %(org_id)s AND c.id = n.id AND c.stopped_at IS NULL
"""
_TOUCH = {
    item_type: f"""
UPDATE workstream_slaclock
   SET started_at = %(at)s, warn_at = %(at)s + %(untouched)s, warned_at = NULL, {_TOUCHED}
 WHERE org_id = %(org_id)s AND {item_type}_id = %(item_id)s AND rule_id IS NULL AND metric = 'touch'
   AND stopped_at IS NULL AND started_at < %(at)s
"""
    for item_type in CLOCKED_MODELS
}
# Those that warn at another time than so long after they began.
_UNTOUCHED = """
WITH stale AS MATERIALIZED (
    SELECT id FROM workstream_slaclock
     WHERE org_id = %(org_id)s AND rule_id IS NULL AND stopped_at IS NULL AND metric = 'touch' AND id > %(after)s
       AND warn_at <> started_at + %(untouched)s
     ORDER BY id LIMIT %(limit)s FOR NO KEY UPDATE {held}
)
UPDATE workstream_slaclock c
   SET warn_at = c.started_at + %(untouched)s,
       warned_at = CASE WHEN c.started_at + %(untouched)s <= %(at)s THEN c.warned_at END,
       row_version = c.row_version + 1, updated_at = statement_timestamp()
  FROM stale WHERE c.org_id = %(org_id)s AND c.id = stale.id
RETURNING c.id
"""
_RESOLVE = """
UPDATE workstream_slabreach
   SET resolved_at = %(at)s, resolved_by = %(by)s, row_version = row_version + 1, updated_at = statement_timestamp()
 WHERE org_id = %(org_id)s AND clock_id = ANY(%(clock_ids)s) AND resolved_at IS NULL
RETURNING clock_id, id
"""


def end(
    *,
    org_id: int,
    item_type: str,
    item_ids: Sequence[int],
    metrics: Iterable[str],
    rule_ids: Iterable[int] = (),
    ended_at: datetime,
    since: datetime | None = None,
    outcome: str,
    by: str,
) -> list[EndedClock]:
    """End the running clocks of some items that measure these metrics or run by these rules.

    `outcome` is for those in time; one that was late is breached, one without a rule cancelled. With `since` only
    clocks that had started by then.
    """
    parameters = {
        "org_id": org_id,
        "item_ids": list(item_ids),
        "metrics": [str(metric) for metric in metrics],
        "rule_ids": list(rule_ids),
        "ended_at": ended_at,
        "since": since,
        "outcome": str(outcome),
        "by": by,
    }
    return [EndedClock._make(row) for row in _rows(_ENDS[item_type], parameters)]


def end_named(*, org_id: int, ids: Sequence[int], ended_at: datetime, outcome: str, by: str) -> list[EndedClock]:
    """As `end`, for clocks that the caller has locked."""
    parameters = {"org_id": org_id, "ids": list(ids), "ended_at": ended_at, "outcome": str(outcome), "by": by}
    return [EndedClock._make(row) for row in _rows(_END_NAMED, parameters)]


def pause(*, org_id: int, candidate_id: int, at: datetime) -> list[EndedClock]:
    """Stop the time of a candidate's ruled clocks; one that was due before is breached."""
    parameters = {"org_id": org_id, "candidate_id": candidate_id, "at": at}
    return [EndedClock._make(row) for row in _rows(_PAUSE, parameters)]


def move(*, org_id: int, clocks: Sequence[NewMoments]) -> None:
    """Give clocks that the caller has locked their new moments."""
    columns = {name: [getattr(clock, name) for clock in clocks] for name in NewMoments._fields}
    _execute(_MOVE, {"org_id": org_id, **columns})


def touch(*, org_id: int, item_type: str, item_id: int, at: datetime, untouched: timedelta) -> None:
    """Let an item's touch clock begin anew at the touch; never earlier than it has begun."""
    _execute(_TOUCH[item_type], {"org_id": org_id, "item_id": item_id, "at": at, "untouched": untouched})


def move_touch_clocks(
    *, org_id: int, untouched: timedelta, after: int, limit: int, at: datetime, wait: bool = False
) -> list[int]:
    """Let the next running touch clocks warn so long after they began; answers their ids in order.

    A warning that would not be due by `at` is taken back. Rows that somebody holds are passed over, or with `wait`
    waited for.
    """
    parameters = {"org_id": org_id, "untouched": untouched, "after": after, "limit": limit, "at": at}
    rows = _rows(_UNTOUCHED.format(held="" if wait else "SKIP LOCKED"), parameters)
    return sorted(key for (key,) in rows)


def resolve(*, org_id: int, clock_ids: Sequence[int], at: datetime, by: str) -> dict[int, int]:
    """Resolve the open breaches of clocks; answers the breach of each clock that had one."""
    return dict(_rows(_RESOLVE, {"org_id": org_id, "clock_ids": list(clock_ids), "at": at, "by": by}))


def _rows(statement: str, parameters: dict[str, Any]) -> list[tuple[Any, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(statement, parameters)
        return list(cursor.fetchall())


def _execute(statement: str, parameters: dict[str, Any]) -> None:
    with connection.cursor() as cursor:
        cursor.execute(statement, parameters)
