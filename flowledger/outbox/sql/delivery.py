"""Delivering events: look, claim, lease, receipts, ends. Claims and the end of a batch are functions of migration 0003.

Looking, claiming, leases and giving back run inside a system scope; receipts, completion and failure inside the scope
of the event's organisation.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple
from uuid import UUID

from django.conf import settings
from django.db import connection

from flowledger.outbox.sql.statements import BACKOFF, execute


class ClaimedEvent(NamedTuple):
    """A claimed row, as the claims return it: texts where decoding can wait.

    `handled_by` are the receipts it has; `waited` are the seconds since it was recorded.
    """

    id: int
    org_id: int
    event_name: str
    item_type: str
    item_id: int | None
    payload: str
    actor_kind: str
    actor_id: int | None
    actor_label: str
    actor_user_id: int | None
    origin: str
    occurred_at: str
    recorded_at: str
    correlation_id: str
    causation_id: int | None
    attempts: int
    handled_by: list[str]
    waited: float


_PAYLOAD = ClaimedEvent._fields.index("payload")


class Waiting(NamedTuple):
    """What there is to claim: organisations with new events, and whether the other two lanes have something due."""

    orgs: list[int]
    retries: bool
    crashed: bool


# --- look and claim ----------------------------------------------------------------------------------------------


def look(*, after_org: int = 0, limit: int = 64) -> Waiting:
    """What waits; organisations by turns, beginning with the one after `after_org`, at most `limit` of them."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT orgs, waiting, crashed FROM outbox_look(%s, %s)", [after_org, limit])
        return Waiting(*cursor.fetchone())


class Taken(NamedTuple):
    """What the first claim of a drain found: what waits, the organisations that wait, and what it claimed."""

    waiting: Waiting
    organizations: list[dict[str, Any]]
    events: list[ClaimedEvent]
    left: dict[int, int | None]


def take(*, token: UUID, limit: int, after_org: int = 0) -> Taken:
    """Look and claim in one statement, outside of any transaction; it opens a system scope for itself."""
    seen, *rows = _rows("SELECT * FROM outbox_take(%s, %s, %s, %s)", [settings.SYSTEM_DB_ROLE, token, limit, after_org])
    found = json.loads(seen[_PAYLOAD])
    events, left = _fresh(rows)
    waiting = Waiting(found["orgs"], retries=found["retries"], crashed=found["crashed"])
    return Taken(waiting, found["organizations"] or [], events, left)


def claim_fresh(
    *, token: UUID, limit: int, orgs: Sequence[int], marks: Sequence[int] = ()
) -> tuple[list[ClaimedEvent], dict[int, int | None]]:
    """Claim events that were never tried: of several organisations up to half of the limit each, in the given order.

    `marks` holds for each organisation the key from which to look; it lets the index scan begin behind what was claimed
    already. Without marks everything is looked at. Answers the events, and for each organisation that was looked at the
    first key that is left, None when nothing is.
    """
    rows = _rows(
        "SELECT * FROM outbox_claim(%s, %s, %s::bigint[], %s::bigint[])",
        [token, limit, list(orgs), list(marks) or [0] * len(orgs)],
    )
    return _fresh(rows)


def claim_waiting(*, token: UUID, limit: int) -> list[ClaimedEvent]:
    """Claim events whose retry is due, the longest due first."""
    return _events(_rows("SELECT * FROM outbox_claim_waiting(%s, %s)", [token, limit]))


def claim_crashed(*, token: UUID) -> list[ClaimedEvent]:
    """Claim at most one of the events whose worker died: if it kills this one too, it takes no other along."""
    return _events(_rows("SELECT * FROM outbox_claim_crashed(%s)", [token]))


def _fresh(rows: list[tuple[Any, ...]]) -> tuple[list[ClaimedEvent], dict[int, int | None]]:
    """The events, and for each organisation that was looked at, in a row without a name, the first key that is left."""
    return _events(row for row in rows if row[2] is not None), {row[1]: row[0] for row in rows if row[2] is None}


def _rows(statement: str, parameters: list[Any]) -> list[tuple[Any, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(statement, parameters)
        return list(cursor.fetchall())


def _events(rows: Iterable[tuple[Any, ...]]) -> list[ClaimedEvent]:
    return sorted(map(ClaimedEvent._make, rows), key=_by_key)


def _by_key(event: ClaimedEvent) -> int:
    return event.id


# --- leases ------------------------------------------------------------------------------------------------------

_HELD_ROWS = "id = ANY(%(ids)s) AND claimed_by = %(token)s AND processed_at IS NULL AND dead_letter_at IS NULL"

# What is locked is being finished this moment; waiting for it could end in waiting for each other.
_RENEW_LEASE = f"""
WITH mine AS MATERIALIZED (
    SELECT id FROM outbox_workevent_open WHERE {_HELD_ROWS} FOR NO KEY UPDATE SKIP LOCKED
)
UPDATE outbox_workevent_open w SET claimed_at = statement_timestamp() FROM mine WHERE w.id = mine.id
"""

# What was not tried goes back to its place in the order of writing.
_GIVE_BACK = f"""
UPDATE outbox_workevent
   SET claimed_by = NULL, claimed_at = NULL,
       attempts = greatest(attempts - 1, 0),
       available_at = statement_timestamp() + %(delay)s * interval '1 second'
 WHERE {_HELD_ROWS}
"""

_CRASH = f"""
UPDATE outbox_workevent
   SET claimed_by = NULL, claimed_at = NULL, available_at = statement_timestamp(), crashes = crashes + 1,
       last_error = %(error)s,
       dead_letter_at = CASE WHEN crashes + 1 >= %(crash_limit)s THEN statement_timestamp() END
 WHERE {_HELD_ROWS}
"""


def renew_event_lease(*, token: UUID, ids: Sequence[int]) -> int:
    """Start the lease of the events anew, as far as the token holds them."""
    return execute(_RENEW_LEASE, {"token": token, "ids": list(ids)})


def give_back_expired(*, lease_seconds: float, crash_limit: int) -> list[tuple[int, int, str, int, bool]]:
    """Take events from workers that have died: (id, organisation, name, crashes, dead) of each."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT * FROM outbox_give_back_expired(%s, %s)", [lease_seconds, crash_limit])
        return list(cursor.fetchall())


def give_back(*, token: UUID, ids: Sequence[int], delay_seconds: float = 0) -> int:
    """Return claimed events that were not tried; the attempt is not charged."""
    return execute(_GIVE_BACK, {"token": token, "ids": list(ids), "delay": delay_seconds})


def crash(*, token: UUID, ids: Sequence[int], error: str, crash_limit: int) -> int:
    """Return claimed events to the lane where each is tried alone, on behalf of a worker that is about to die."""
    return execute(_CRASH, {"token": token, "ids": list(ids), "error": error[:2000], "crash_limit": crash_limit})


# --- receipts and ends -------------------------------------------------------------------------------------------

_HELD = (
    "org_id = %(org_id)s AND id = %(id)s AND claimed_by = %(token)s AND processed_at IS NULL AND dead_letter_at IS NULL"
)

_FAIL = f"""
UPDATE outbox_workevent
   SET claimed_by = NULL, claimed_at = NULL, last_error = %(error)s, available_at = {BACKOFF},
       handled_by = handled_by || %(handlers)s::text[],
       dead_letter_at = CASE WHEN attempts >= %(max_attempts)s THEN statement_timestamp() END
 WHERE {_HELD}
RETURNING dead_letter_at IS NOT NULL
"""

_KEEP_FAILURES = """
INSERT INTO outbox_handlerfailure (org_id, event_id, handler, attempt, error, traceback)
SELECT %(org_id)s, %(id)s, handler, %(attempt)s, error, traceback
  FROM unnest(%(handlers)s::text[], %(errors)s::text[], %(tracebacks)s::text[]) AS new (handler, error, traceback)
ON CONFLICT (org_id, event_id, handler) DO UPDATE
    SET attempt = excluded.attempt, error = excluded.error, traceback = excluded.traceback,
        failed_at = statement_timestamp()
"""


def finish(*, org_id: int, token: UUID, receipts: Mapping[int, Sequence[str]]) -> int:
    """Write the receipts of events and mark them processed, as far as the token holds them.

    `receipts` maps each event to the handlers whose effects are in this transaction. Answers how many were held: on
    fewer than asked for the caller must roll back, because somebody else holds the rest.
    """
    # Array literals by hand: handlers' names need no escaping (see `registry.handler`), and the driver takes its time.
    ids = ",".join(map(str, receipts))
    handlers = ",".join(f'"{",".join(names)}"' for names in receipts.values())
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT outbox_finish(%s, %s, %s::bigint[], %s::text[])",
            [org_id, token, f"{{{ids}}}", f"{{{handlers}}}"],
        )
        return int(cursor.fetchone()[0])


def holds(*, org_id: int, event_id: int, token: UUID) -> bool:
    """Whether the claim still holds at this moment; locks nothing."""
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT 1 FROM outbox_workevent WHERE {_HELD}", {"org_id": org_id, "id": event_id, "token": token}
        )
        return cursor.fetchone() is not None


@dataclass(frozen=True, slots=True)
class Failure:
    """What one handler stumbled over."""

    handler: str
    error: str
    traceback: str


def fail(
    *,
    org_id: int,
    event_id: int,
    token: UUID,
    attempt: int,
    receipts: Sequence[str],
    failures: Sequence[Failure],
    max_attempts: int,
) -> bool | None:
    """Put the event back with its failures and a growing delay, and keep the receipts of what succeeded beside them.

    True: it is dead now; None: the claim was lost, and the caller must roll back.
    """
    summary = "; ".join(f"{failure.handler}: {failure.error}" for failure in failures)[:2000]
    with connection.cursor() as cursor:
        cursor.execute(
            _FAIL,
            {
                "org_id": org_id,
                "id": event_id,
                "token": token,
                "error": summary,
                "handlers": list(receipts),
                "max_attempts": max_attempts,
            },
        )
        row = cursor.fetchone()
    if row is None:
        return None
    keep_failures(org_id=org_id, event_id=event_id, attempt=attempt, failures=failures)
    return bool(row[0])


def keep_failures(*, org_id: int, event_id: int, attempt: int, failures: Sequence[Failure]) -> None:
    """Keep the latest failure of each handler with the event, for staff."""
    execute(
        _KEEP_FAILURES,
        {
            "org_id": org_id,
            "id": event_id,
            "attempt": attempt,
            "handlers": [failure.handler for failure in failures],
            "errors": [failure.error for failure in failures],
            "tracebacks": [failure.traceback for failure in failures],
        },
    )


# --- health ------------------------------------------------------------------------------------------------------

_HEALTH = """
SELECT count(*),
       coalesce(extract(epoch FROM statement_timestamp() - min(available_at)
           FILTER (WHERE available_at <= statement_timestamp())), 0)::float8
  FROM outbox_workevent WHERE processed_at IS NULL AND dead_letter_at IS NULL
"""


def depth_and_age() -> tuple[int, float]:
    """How many events are pending, and for how many seconds the one that is due longest has been due."""
    with connection.cursor() as cursor:
        cursor.execute(_HEALTH)
        depth, age = cursor.fetchone()
        return int(depth), float(age)
