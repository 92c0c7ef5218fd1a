"""The statements of the SLA sweep, across organisations: pick what is due, lock it, mark it, and say what it was.

They run inside a system scope. What they pick stands in the partial indexes `sla_clock_warn` and `sla_clock_due`, in
their order, from a mark on: cost follows what is due. A row that somebody else holds this moment is left to them.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, NamedTuple

from django.db import connection

from workstream.models.sla import REASON_OF_METRIC


class DueClock(NamedTuple):
    """A clock whose time has come. `moment` places it in the order of its step; `breach_id` is the breach it opened."""

    id: int
    org_id: int
    rule_id: int | None
    metric: str
    item_type: str
    item_id: int
    due_at: datetime | None
    moment: datetime
    breach_id: int | None


class Mark(NamedTuple):
    """The last clock that a step has seen; the next batch begins behind it."""

    moment: datetime
    id: int


BEGINNING = Mark(datetime(1, 1, 2, tzinfo=UTC), 0)

_RUNS = "stopped_at IS NULL AND paused_at IS NULL AND breached_at IS NULL"
# What is overdue as well gets its breach at once and no warning before it.
_TO_WARN = (
    f"{_RUNS} AND warned_at IS NULL AND warn_at IS NOT NULL AND warn_at <= %(at)s"
    " AND (due_at IS NULL OR due_at >= %(at)s)"
)
# What ends at the very moment it is due is in time.
_TO_BREACH = f"{_RUNS} AND due_at IS NOT NULL AND due_at < %(at)s"

_ITEM_TYPE = (
    "CASE WHEN c.signal_id IS NOT NULL THEN 'signal' WHEN c.candidate_id IS NOT NULL THEN 'candidate'"
    " ELSE 'pursuit' END AS item_type"
)
_ITEM_ID = "coalesce(c.signal_id, c.candidate_id, c.pursuit_id) AS item_id"
_REASON = " ".join(f"WHEN '{metric}' THEN '{reason}'" for metric, reason in REASON_OF_METRIC.items())


def _next(column: str, due: str) -> str:
    return f"""
    SELECT id, org_id, rule_id, {column} AS moment FROM workstream_slaclock
     WHERE {due} AND ({column}, id) > (%(moment)s, %(id)s)
     ORDER BY {column}, id LIMIT %(limit)s"""


def _named(column: str, due: str) -> str:
    return f"""
    SELECT id, org_id, rule_id, {column} AS moment FROM workstream_slaclock
     WHERE id = ANY(%(ids)s) AND {due}
     ORDER BY {column}, id"""


# Materialised, so that no plan can pick more than once or more than the limit.
def _warn(pick: str) -> str:
    return f"""
WITH due AS MATERIALIZED ({pick} FOR NO KEY UPDATE SKIP LOCKED), marked AS (
    UPDATE workstream_slaclock c
       SET warned_at = c.warn_at, row_version = c.row_version + 1, updated_at = statement_timestamp()
      FROM due WHERE c.org_id = due.org_id AND c.id = due.id
    RETURNING c.id, c.org_id, c.rule_id, c.metric, {_ITEM_TYPE}, {_ITEM_ID}, c.due_at, due.moment
)
SELECT *, NULL::bigint AS breach_id FROM marked ORDER BY moment, id
"""


def _breach(pick: str) -> str:
    return f"""
WITH due AS MATERIALIZED ({pick} FOR NO KEY UPDATE SKIP LOCKED), marked AS (
    UPDATE workstream_slaclock c
       SET breached_at = c.due_at, warned_at = coalesce(c.warned_at, least(c.warn_at, c.due_at)),
           row_version = c.row_version + 1, updated_at = statement_timestamp()
      FROM due WHERE c.org_id = due.org_id AND c.id = due.id
    RETURNING c.id, c.org_id, c.rule_id, c.metric, {_ITEM_TYPE}, {_ITEM_ID}, c.due_at, due.moment,
              c.signal_id, c.candidate_id, c.pursuit_id
), opened AS (
    INSERT INTO workstream_slabreach (org_id, created_at, updated_at, row_version, clock_id, rule_id, metric,
        reason_code, breached_at, resolved_by, signal_id, candidate_id, pursuit_id)
    SELECT org_id, statement_timestamp(), statement_timestamp(), 1, id, rule_id, metric,
           CASE metric {_REASON} END, due_at, '', signal_id, candidate_id, pursuit_id
      FROM marked ORDER BY moment, id
    ON CONFLICT DO NOTHING
    RETURNING id, clock_id
)
SELECT marked.id, org_id, rule_id, metric, item_type, item_id, due_at, moment, opened.id AS breach_id
  FROM marked LEFT JOIN opened ON opened.clock_id = marked.id ORDER BY moment, marked.id
"""


# After a backlog the planner believes for a while that most clocks are due, and would rather read the whole table and
# sort it. Without that choice only the index of the step has the order that is asked for.
_BY_INDEX = """
SELECT set_config('enable_seqscan', 'off', true), set_config('enable_bitmapscan', 'off', true),
       set_config('enable_sort', 'off', true)
"""

_WARN_NEXT, _WARN_NAMED = _warn(_next("warn_at", _TO_WARN)), _warn(_named("warn_at", _TO_WARN))
_BREACH_NEXT, _BREACH_NAMED = _breach(_next("due_at", _TO_BREACH)), _breach(_named("due_at", _TO_BREACH))
_LOOK_WARN, _LOOK_BREACH = _next("warn_at", _TO_WARN), _next("due_at", _TO_BREACH)


def read_by_index() -> None:
    """Have the rest of the transaction find clocks by index, whatever the planner believes of the table."""
    _rows(_BY_INDEX, {})


class Seen(NamedTuple):
    """A clock that is due, looked at without a lock."""

    id: int
    org_id: int
    rule_id: int | None
    moment: datetime


def warn(*, at: datetime, after: Mark, limit: int) -> list[DueClock]:
    """Mark the next clocks whose warning has come and whose end has not."""
    return _clocks(_WARN_NEXT, {"at": at, "limit": limit, **after._asdict()})


def warn_named(*, at: datetime, ids: Sequence[int]) -> list[DueClock]:
    """Mark those of these clocks whose warning has come and whose end has not."""
    return _clocks(_WARN_NAMED, {"at": at, "ids": list(ids)})


def breach(*, at: datetime, after: Mark, limit: int) -> list[DueClock]:
    """Mark the next clocks whose time is over and open their breaches; where one is open already there is none."""
    return _clocks(_BREACH_NEXT, {"at": at, "limit": limit, **after._asdict()})


def breach_named(*, at: datetime, ids: Sequence[int]) -> list[DueClock]:
    """Mark those of these clocks whose time is over and open their breaches."""
    return _clocks(_BREACH_NAMED, {"at": at, "ids": list(ids)})


def look_to_warn(*, at: datetime, after: Mark, limit: int) -> list[Seen]:
    """What `warn` would pick next if nobody held anything; changes nothing."""
    return [Seen._make(row) for row in _rows(_LOOK_WARN, {"at": at, "limit": limit, **after._asdict()})]


def look_to_breach(*, at: datetime, after: Mark, limit: int) -> list[Seen]:
    """What `breach` would pick next if nobody held anything; changes nothing."""
    return [Seen._make(row) for row in _rows(_LOOK_BREACH, {"at": at, "limit": limit, **after._asdict()})]


def _clocks(statement: str, parameters: dict[str, Any]) -> list[DueClock]:
    return [DueClock._make(row) for row in _rows(statement, parameters)]


def _rows(statement: str, parameters: dict[str, Any]) -> list[tuple[Any, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(statement, parameters)
        return list(cursor.fetchall())
