"""Questions and changes of whoever operates the outbox: what waits and what is dead, retry, discard, replay, redaction.

Inside an organisation's scope the table is named, across organisations its open partition, which the tenant role cannot
reach. `processed_at IS NULL` keeps both away from history.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple

from django.db import connection

from flowledger.outbox.sql.statements import execute

# Lanes of what is pending, each with the index that counts it without meeting anything else.
_PENDING = "processed_at IS NULL AND dead_letter_at IS NULL"
_LANES = {
    "fresh": (f"{_PENDING} AND claimed_at IS NULL AND attempts = 0 AND crashes = 0", "org_id, id"),
    "waiting": (f"{_PENDING} AND claimed_at IS NULL AND attempts > 0 AND crashes = 0", "available_at, id"),
    "crashed": (f"{_PENDING} AND claimed_at IS NULL AND crashes > 0", "available_at, id"),
    "claimed": (f"{_PENDING} AND claimed_at IS NOT NULL", "org_id, item_type, item_id, id"),
}
# Up to here a lane is counted row by row; beyond it so many pages are read, which are all of them up to a backlog of
# some ten thousands, and a sample of a longer one.
EXACT = 5_000
SAMPLED_PAGES = 4_096
# The statistics of a table that fills and empties within seconds are always wrong, and with them every lane would be
# sorted whole to find its first rows.
_NARROW = """SELECT set_config('enable_seqscan', %(sorted)s, true), set_config('enable_bitmapscan', %(sorted)s, true),
    set_config('enable_sort', %(sorted)s, true)"""

_LANE = """(SELECT event_name, '{name}' AS lane, available_at FROM outbox_workevent_open
    WHERE {rows} ORDER BY {order} LIMIT %(limit)s)"""
_COUNT = f"""
SELECT event_name, lane, count(*),
       extract(epoch FROM statement_timestamp() - min(available_at))::float8
  FROM ({" UNION ALL ".join(_LANE.format(name=name, rows=rows, order=order) for name, (rows, order) in _LANES.items())})
    AS pending
 GROUP BY event_name, lane
"""
_PAGES = "SELECT greatest(pg_relation_size('outbox_workevent_open') / current_setting('block_size')::bigint, 1)"
_SAMPLE = f"""
SELECT event_name, CASE WHEN claimed_at IS NOT NULL THEN 'claimed' WHEN crashes > 0 THEN 'crashed'
           WHEN attempts > 0 THEN 'waiting' ELSE 'fresh' END AS lane, count(*)
  FROM outbox_workevent_open TABLESAMPLE SYSTEM (%(percent)s) WHERE {_PENDING}
 GROUP BY 1, 2
"""
# A long lane of new events is counted organisation by organisation; its oldest stand first by key.
_OLDEST_FRESH = f"""
SELECT extract(epoch FROM statement_timestamp() - min(available_at))::float8
  FROM (SELECT available_at FROM outbox_workevent_open WHERE {_LANES["fresh"][0]} ORDER BY id LIMIT 100) AS first
"""


@dataclass
class Queue:
    """What is pending: how many events by (name, lane), and for how long the one due longest has been due, in seconds.

    `is_estimate` when the backlog was too long to count.
    """

    counts: dict[tuple[str, str], int]
    oldest_age: float
    is_estimate: bool

    def total(self, *lanes: str) -> int:
        """Events in these lanes, in all without any."""
        return sum(count for (_, lane), count in self.counts.items() if not lanes or lane in lanes)

    def by_event(self, *lanes: str) -> dict[str, int]:
        """Events in these lanes by name."""
        found: dict[str, int] = {}
        for (name, lane), count in self.counts.items():
            if not lanes or lane in lanes:
                found[name] = found.get(name, 0) + count
        return found


def queue(*, exact: int = EXACT, pages: int = SAMPLED_PAGES) -> Queue:
    """Count what is pending; costs by `exact` and `pages`, not by how much that is."""
    with connection.cursor() as cursor:
        cursor.execute(_NARROW, {"sorted": "off"})
        cursor.execute(_COUNT, {"limit": exact + 1})
        rows = cursor.fetchall()
        counts = {(name, lane): int(count) for name, lane, count, _ in rows}
        lengths = {lane: sum(count for (_, each), count in counts.items() if each == lane) for lane in _LANES}
        long = {lane for lane, length in lengths.items() if length > exact}
        ages = [age for _, _, _, age in rows if age is not None]
        if "fresh" in long:
            cursor.execute(_OLDEST_FRESH)
            ages += [age for (age,) in cursor.fetchall() if age is not None]
        cursor.execute(_NARROW, {"sorted": "on"})
        percent = 100.0
        if long:
            percent = _share_of(pages, cursor)
            cursor.execute(_SAMPLE, {"percent": percent})
            counts = {key: count for key, count in counts.items() if key[1] not in long} | {
                (name, lane): round(count * 100 / percent) for name, lane, count in cursor.fetchall() if lane in long
            }
    return Queue(counts=counts, oldest_age=max([0.0, *ages]), is_estimate=percent < 100)


def _share_of(pages: int, cursor: Any) -> float:
    """So many pages as percent of the open partition."""
    cursor.execute(_PAGES)
    return min(100.0, 100.0 * pages / int(cursor.fetchone()[0]))


# --- dead letters ------------------------------------------------------------------------------------------------

_DEAD = "processed_at IS NULL AND dead_letter_at IS NOT NULL AND discarded_at IS NULL"

_COUNT_DEAD = f"SELECT count(*) FROM (SELECT FROM outbox_workevent_open WHERE {_DEAD} LIMIT %(limit)s) AS dead"

_DEAD_BY_HANDLER = f"""
SELECT dead.event_name, coalesce(failure.handler, ''), count(*)
  FROM (SELECT org_id, id, event_name, handled_by FROM outbox_workevent_open WHERE {_DEAD}) AS dead
  LEFT JOIN outbox_handlerfailure failure
    ON failure.org_id = dead.org_id AND failure.event_id = dead.id
   AND NOT dead.handled_by @> ARRAY[failure.handler::text]
 GROUP BY 1, 2 ORDER BY 1, 2
"""

_PICK_DEAD = f"""
SELECT id FROM outbox_workevent e
 WHERE {_DEAD} AND id > %(after)s
   AND (%(org_id)s::bigint IS NULL OR org_id = %(org_id)s)
   AND (%(event_name)s = '' OR event_name = %(event_name)s)
   AND (%(handler)s = '' OR (NOT handled_by @> ARRAY[%(handler)s::text] AND EXISTS (
       SELECT FROM outbox_handlerfailure failure
        WHERE failure.org_id = e.org_id AND failure.event_id = e.id AND failure.handler = %(handler)s)))
 ORDER BY id LIMIT %(limit)s
"""

# Locked in the order of their keys, so that two who take the same letters cannot wait for each other; and letters only,
# because whoever waits for a row that is being completed fails when it moves to its month.
_LOCK = """
SELECT id, true, discarded_at IS NOT NULL, discarded_by FROM outbox_workevent
 WHERE id = ANY(%(ids)s) AND (%(org_id)s::bigint IS NULL OR org_id = %(org_id)s)
   AND processed_at IS NULL AND dead_letter_at IS NOT NULL
 ORDER BY id FOR NO KEY UPDATE
"""
_OTHERS = """
SELECT id, false, false, '' FROM outbox_workevent
 WHERE id = ANY(%(ids)s) AND (%(org_id)s::bigint IS NULL OR org_id = %(org_id)s)
"""

_RETRY = f"""
UPDATE outbox_workevent
   SET dead_letter_at = NULL, available_at = statement_timestamp(), attempts = 0, crashes = least(crashes, 1),
       retried_at = %(at)s, retried_by = %(by)s
 WHERE id = ANY(%(ids)s) AND (%(org_id)s::bigint IS NULL OR org_id = %(org_id)s) AND {_DEAD}
"""

_DISCARD = f"""
UPDATE outbox_workevent SET discarded_at = %(at)s, discarded_by = %(by)s, discard_reason = %(reason)s
 WHERE id = ANY(%(ids)s) AND org_id = %(org_id)s AND {_DEAD}
"""


class Letter(NamedTuple):
    """Where an event stands with the dead-letter list."""

    id: int
    is_dead: bool
    is_discarded: bool
    discarded_by: str


def count_dead(*, at_most: int) -> int:
    """How long the dead-letter list is; counting stops at `at_most`."""
    with connection.cursor() as cursor:
        cursor.execute(_COUNT_DEAD, {"limit": at_most})
        return int(cursor.fetchone()[0])


def dead_by_handler() -> list[tuple[str, str, int]]:
    """(event name, handler that has not succeeded, dead letters); the handler is empty where a crash was the end."""
    with connection.cursor() as cursor:
        cursor.execute(_DEAD_BY_HANDLER)
        return list(cursor.fetchall())


def pick_dead(*, org_id: int | None, event_name: str = "", handler: str = "", after: int = 0, limit: int) -> list[int]:
    """Keys of dead letters by event name and by handler that has not succeeded, lowest first."""
    with connection.cursor() as cursor:
        cursor.execute(
            _PICK_DEAD,
            {"org_id": org_id, "event_name": event_name, "handler": handler, "after": after, "limit": limit},
        )
        return [row[0] for row in cursor.fetchall()]


def lock_letters(*, org_id: int | None, ids: Sequence[int]) -> dict[int, Letter]:
    """Lock those that are dead letters until the end of the transaction; every event that there is, by key."""
    with connection.cursor() as cursor:
        cursor.execute(_LOCK, {"org_id": org_id, "ids": list(ids)})
        found = {row[0]: Letter._make(row) for row in cursor.fetchall()}
        if others := [event_id for event_id in ids if event_id not in found]:
            cursor.execute(_OTHERS, {"org_id": org_id, "ids": others})
            found |= {row[0]: Letter._make(row) for row in cursor.fetchall()}
    return found


def retry_dead(*, org_id: int | None, ids: Sequence[int], by: str, at: datetime) -> int:
    """Put dead letters back among the events that were never tried; what killed workers stays to be tried alone."""
    return execute(_RETRY, {"org_id": org_id, "ids": list(ids), "by": by, "at": at})


def discard_dead(*, org_id: int, ids: Sequence[int], by: str, reason: str, at: datetime) -> int:
    """Take dead letters off the list."""
    return execute(_DISCARD, {"org_id": org_id, "ids": list(ids), "by": by, "reason": reason, "at": at})


# --- replay ------------------------------------------------------------------------------------------------------

# Rows that come back during the replay have a younger `processed_at` than its start, and are let alone.
_REPLAYED = """processed_at >= coalesce(%(since)s::timestamptz, '-infinity')
   AND processed_at < least(%(until)s::timestamptz, %(started)s::timestamptz)
   AND handled_by @> ARRAY[%(handler)s::text]
   AND (%(org_id)s::bigint IS NULL OR org_id = %(org_id)s)
   AND (%(event_name)s = '' OR event_name = %(event_name)s)"""

_COUNT_REPLAY = f"SELECT event_name, count(*) FROM outbox_workevent WHERE {_REPLAYED} GROUP BY 1 ORDER BY 1"

_FIRST_TIMERS = f"""
SELECT subscribed.handler, count(*)
  FROM outbox_workevent e
  JOIN unnest(%(names)s::text[], %(handlers)s::text[], %(outside)s::boolean[])
        AS subscribed (name, handler, outside)
    ON subscribed.name = e.event_name AND NOT e.handled_by @> ARRAY[subscribed.handler]
   AND NOT (subscribed.outside AND e.origin = 'import')
 WHERE {_REPLAYED}
 GROUP BY 1 ORDER BY 1
"""

_REPLAY = f"""
WITH picked AS MATERIALIZED (
    SELECT id, processed_at FROM outbox_workevent
     WHERE {_REPLAYED} AND id > %(after)s
     ORDER BY id LIMIT %(limit)s
     FOR NO KEY UPDATE
)
UPDATE outbox_workevent w
   SET handled_by = array_remove(w.handled_by, %(handler)s::text), processed_at = NULL,
       claimed_at = NULL, claimed_by = NULL, attempts = 0, crashes = least(w.crashes, 1),
       available_at = statement_timestamp(), last_error = '', retried_at = %(started)s, retried_by = %(by)s
  FROM picked WHERE w.id = picked.id AND w.processed_at = picked.processed_at
RETURNING w.id
"""


@dataclass(frozen=True)
class Replay:
    """Which processed events a handler is to see again; `since` and `until` are about when they were processed."""

    handler: str
    started: datetime
    event_name: str = ""
    org_id: int | None = None
    since: datetime | None = None
    until: datetime | None = None


class Subscription(NamedTuple):
    """A handler and one event that it wants."""

    event_name: str
    handler: str
    outside: bool


def database_time() -> datetime:
    """What time it is for the columns of delivery."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT statement_timestamp()")
        moment: datetime = cursor.fetchone()[0]
        return moment


def count_replay(replay: Replay) -> dict[str, int]:
    """How many events there are to replay, by name."""
    with connection.cursor() as cursor:
        cursor.execute(_COUNT_REPLAY, vars(replay))
        return dict(cursor.fetchall())


def first_timers(replay: Replay, others: Sequence[Subscription]) -> dict[str, int]:
    """Other handlers that have no receipt for events of the replay, and for how many: they would run as well."""
    names, handlers, outside = ([list(column) for column in zip(*others, strict=True)]) if others else ([], [], [])
    with connection.cursor() as cursor:
        cursor.execute(_FIRST_TIMERS, {**vars(replay), "names": names, "handlers": handlers, "outside": outside})
        return dict(cursor.fetchall())


def replay_some(replay: Replay, *, after: int, limit: int, by: str) -> list[int]:
    """Move the next events behind `after` back among the pending ones, without the handler's receipt; their keys."""
    with connection.cursor() as cursor:
        # One replay at a time: two would wait for rows that move between partitions, and fail.
        cursor.execute("SELECT pg_advisory_xact_lock(hashtextextended('outbox_replay', 0))")
        cursor.execute(_REPLAY, {**vars(replay), "after": after, "limit": limit, "by": by})
        return sorted(row[0] for row in cursor.fetchall())


# --- redaction ---------------------------------------------------------------------------------------------------

_REDACT_EVENT = """
UPDATE outbox_workevent
   SET payload = %(payload)s::jsonb, redacted_at = %(at)s,
       last_error = CASE WHEN last_error = '' THEN '' ELSE %(marker)s END
 WHERE org_id = %(org_id)s AND id = %(id)s
"""

# The kind of the exception says nothing about anybody; its message may quote the payload.
_REDACT_FAILURES = """
UPDATE outbox_handlerfailure
   SET error = split_part(error, ':', 1) || ': ' || %(marker)s, traceback = %(marker)s
 WHERE org_id = %(org_id)s AND event_id = %(id)s
"""


def redact(*, org_id: int, event_id: int, payload: str, marker: str, at: datetime) -> None:
    """Replace the payload through its narrow door, and blank what errors and tracebacks may have quoted of it."""
    parameters: dict[str, Any] = {"org_id": org_id, "id": event_id, "payload": payload, "marker": marker, "at": at}
    with connection.cursor() as cursor:
        cursor.execute("SELECT set_config('flowledger.outbox_door', 'redaction', true)")
        cursor.execute(_REDACT_EVENT, parameters)
        cursor.execute(_REDACT_FAILURES, parameters)
        cursor.execute("SELECT set_config('flowledger.outbox_door', '', true)")


# --- partitions --------------------------------------------------------------------------------------------------

_PARTITIONS = """
SELECT c.relname, c.reltuples::bigint, pg_total_relation_size(c.oid)
  FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
 WHERE i.inhparent = 'outbox_workevent'::regclass
 ORDER BY c.relname
"""


class Partition(NamedTuple):
    """One partition; `rows` as the planner estimates them, None before the first ANALYZE."""

    name: str
    rows: int | None
    bytes: int


def partitions() -> list[Partition]:
    """Every partition of the events."""
    with connection.cursor() as cursor:
        cursor.execute(_PARTITIONS)
        return [Partition(name, None if rows < 0 else rows, size) for name, rows, size in cursor.fetchall()]
