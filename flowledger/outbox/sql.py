"""All raw SQL of the outbox: set-based, fenced by the claim's token, timed by the database's clock only.

Every statement runs inside a scope: writing in the organisation's, claiming and giving back in a system scope.
`statement_timestamp()` rather than `now()`: it moves on inside a long transaction.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db import connection


@dataclass(frozen=True, slots=True)
class NewEvent:
    """The facts of an event to write; `payload` is JSON text."""

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
    occurred_at: datetime
    dedupe_key: str | None
    correlation_id: str
    causation_id: int | None


_COLUMNS = tuple(field.name for field in fields(NewEvent))

# One text whatever the number of events, so that the server may keep its plan.
_INSERT_EVENTS = """
INSERT INTO outbox_workevent (org_id, event_name, item_type, item_id, payload, actor_kind, actor_id, actor_label,
    actor_user_id, origin, occurred_at, dedupe_key, correlation_id, causation_id)
SELECT org_id, event_name, item_type, item_id, payload::jsonb, actor_kind, actor_id, actor_label,
    actor_user_id, origin, occurred_at, dedupe_key, correlation_id, causation_id
  FROM unnest(%s::bigint[], %s::text[], %s::text[], %s::bigint[], %s::text[], %s::text[], %s::bigint[], %s::text[],
        %s::bigint[], %s::text[], %s::timestamptz[], %s::text[], %s::text[], %s::bigint[]) WITH ORDINALITY
    AS new (org_id, event_name, item_type, item_id, payload, actor_kind, actor_id, actor_label,
        actor_user_id, origin, occurred_at, dedupe_key, correlation_id, causation_id, place)
 ORDER BY place
ON CONFLICT (org_id, event_name, dedupe_key) WHERE dedupe_key IS NOT NULL DO NOTHING
"""


def insert_events(events: Sequence[NewEvent]) -> int:
    """Write events in one statement, keys in the given order; answers how many were new by their dedupe key."""
    columns = [[getattr(event, name) for event in events] for name in _COLUMNS]
    with connection.cursor() as cursor:
        cursor.execute(_INSERT_EVENTS, columns)
        return int(cursor.rowcount)


# --- claim -------------------------------------------------------------------------------------------------------

# An event may go when no older event of its item is in the way: claimed by somebody, or ready but later in the
# queue's order. A scalar sub-select rather than NOT EXISTS: the planner cannot turn it into a join of the backlog.
_IN_THE_WAY = """
    SELECT true FROM outbox_workevent older
     WHERE older.org_id = e.org_id AND older.item_type = e.item_type AND older.item_id = e.item_id AND older.id < e.id
       AND older.processed_at IS NULL AND older.dead_letter_at IS NULL
       AND (older.claimed_at IS NOT NULL OR (older.available_at <= statement_timestamp() AND {later_in_queue}))
     LIMIT 1
"""

# MATERIALIZED, because a plan that runs the sub-select twice would claim beyond the limit. `first_left_out` covers what
# the sub-select cannot see: an older event of the item that another worker is locking in this very moment.
_CLAIM = """
WITH pick AS MATERIALIZED (
    SELECT e.id, e.org_id, e.item_type, e.item_id
      FROM outbox_workevent e
     WHERE e.processed_at IS NULL AND e.dead_letter_at IS NULL AND e.claimed_at IS NULL
       AND e.available_at <= statement_timestamp() AND e.available_at >= %(low_water)s::timestamptz
       AND {lane}
       AND (e.item_id IS NULL OR ({in_the_way}) IS NULL)
     ORDER BY e.available_at, e.id
     LIMIT %(limit)s
     FOR NO KEY UPDATE OF e SKIP LOCKED
), item AS MATERIALIZED (
    SELECT org_id, item_type, item_id, array_agg(id) AS ids FROM pick GROUP BY org_id, item_type, item_id
), barrier AS MATERIALIZED (
    SELECT item.ids, (
        SELECT older.id FROM outbox_workevent older
         WHERE older.org_id = item.org_id AND older.item_type = item.item_type AND older.item_id = item.item_id
           AND older.processed_at IS NULL AND older.dead_letter_at IS NULL
           AND (older.claimed_at IS NOT NULL OR older.available_at <= statement_timestamp())
           AND older.id NOT IN (SELECT id FROM pick)
         ORDER BY older.id LIMIT 1) AS first_left_out
      FROM item
), mine AS MATERIALIZED (
    SELECT picked.id FROM barrier CROSS JOIN unnest(barrier.ids) AS picked (id)
     WHERE barrier.first_left_out IS NULL OR picked.id < barrier.first_left_out
)
UPDATE outbox_workevent w
   SET claimed_by = %(token)s, claimed_at = statement_timestamp(), attempts = w.attempts + 1
  FROM mine WHERE w.id = mine.id
RETURNING w.id, w.org_id, w.event_name, w.item_type, w.item_id, w.payload::text, w.actor_kind, w.actor_id,
    w.actor_label, w.actor_user_id, w.origin, w.occurred_at, w.recorded_at, w.correlation_id, w.causation_id,
    w.attempts, w.available_at
"""
_CLAIM_READY = _CLAIM.format(
    lane="e.crashes = 0",
    in_the_way=_IN_THE_WAY.format(later_in_queue="(older.crashes > 0 OR older.available_at > e.available_at)"),
)
# What a crash returned is claimed alone, and only at the head of its item.
_CLAIM_CRASHED = _CLAIM.format(lane="e.crashes > 0", in_the_way=_IN_THE_WAY.format(later_in_queue="true"))


@dataclass(frozen=True, slots=True)
class ClaimedEvent:
    """A claimed row, as the claim returns it."""

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
    occurred_at: datetime
    recorded_at: datetime
    correlation_id: str
    causation_id: int | None
    attempts: int
    available_at: datetime


def claim_ready(*, token: UUID, limit: int, low_water: datetime | None) -> list[ClaimedEvent]:
    """Claim due events, oldest key first in the answer.

    `low_water` lets the index scan begin behind what was claimed already; None looks at everything.
    """
    return _claim(_CLAIM_READY, token=token, limit=limit, low_water=low_water)


def claim_crashed(*, token: UUID) -> list[ClaimedEvent]:
    """Claim at most one of the events whose worker died: if it kills this one too, it takes no other along."""
    return _claim(_CLAIM_CRASHED, token=token, limit=1, low_water=None)


def _claim(statement: str, *, token: UUID, limit: int, low_water: datetime | None) -> list[ClaimedEvent]:
    with connection.cursor() as cursor:
        cursor.execute(statement, {"token": token, "limit": limit, "low_water": low_water or "-infinity"})
        return sorted((ClaimedEvent(*row) for row in cursor.fetchall()), key=lambda event: event.id)


# --- leases ------------------------------------------------------------------------------------------------------

_RENEW_LEASE = """
UPDATE {table} SET claimed_at = statement_timestamp()
 WHERE claimed_by = %(token)s AND claimed_at IS NOT NULL AND {open}
"""
_EVENT_OPEN = "processed_at IS NULL AND dead_letter_at IS NULL"
_EMAIL_OPEN = "sent_at IS NULL AND dead_letter_at IS NULL"

# `available_at` moves to now, so that no worker's low-water mark can skip the row.
_GIVE_BACK_EXPIRED = """
WITH expired AS MATERIALIZED (
    SELECT id FROM outbox_workevent
     WHERE claimed_at IS NOT NULL AND claimed_at < statement_timestamp() - %(lease)s * interval '1 second'
       AND processed_at IS NULL AND dead_letter_at IS NULL
     ORDER BY claimed_at LIMIT 500
     FOR NO KEY UPDATE SKIP LOCKED
)
UPDATE outbox_workevent w
   SET claimed_by = NULL, claimed_at = NULL, available_at = statement_timestamp(), crashes = w.crashes + 1,
       dead_letter_at = CASE WHEN w.crashes + 1 >= %(crash_limit)s THEN statement_timestamp() END,
       last_error = CASE WHEN w.crashes + 1 >= %(crash_limit)s
           THEN 'Its worker died ' || w.crashes + 1 || ' times while handling it. ' || w.last_error
           ELSE coalesce(nullif(w.last_error, ''), 'Its worker died while holding it.') END
  FROM expired WHERE w.id = expired.id
RETURNING w.id, w.org_id, w.event_name, w.crashes, w.dead_letter_at IS NOT NULL
"""

_GIVE_BACK = """
UPDATE outbox_workevent
   SET claimed_by = NULL, claimed_at = NULL, attempts = greatest(attempts - 1, 0),
       available_at = statement_timestamp() + %(delay)s * interval '1 second'
 WHERE id = ANY(%(ids)s) AND claimed_by = %(token)s AND processed_at IS NULL AND dead_letter_at IS NULL
"""


def renew_event_lease(token: UUID) -> int:
    """Start the lease of all events under the token anew."""
    return _execute(_RENEW_LEASE.format(table="outbox_workevent", open=_EVENT_OPEN), {"token": token})


def give_back_expired(*, lease_seconds: float, crash_limit: int) -> list[tuple[int, int, str, int, bool]]:
    """Take events from workers that have died: (id, organisation, name, crashes, dead) of each."""
    with connection.cursor() as cursor:
        cursor.execute(_GIVE_BACK_EXPIRED, {"lease": lease_seconds, "crash_limit": crash_limit})
        return list(cursor.fetchall())


def give_back(*, token: UUID, ids: Sequence[int], delay_seconds: float = 0) -> int:
    """Return claimed events that were not tried; the attempt is not charged."""
    return _execute(_GIVE_BACK, {"token": token, "ids": list(ids), "delay": delay_seconds})


# --- receipts and ends -------------------------------------------------------------------------------------------

_HELD = "org_id = %(org_id)s AND id = %(id)s AND claimed_by = %(token)s AND processed_at IS NULL"

_WRITE_RECEIPT = f"""
INSERT INTO outbox_handlerreceipt (org_id, event_id, handler)
SELECT org_id, id, %(handler)s FROM outbox_workevent WHERE {_HELD}
ON CONFLICT (org_id, event_id, handler) DO NOTHING
"""

_COMPLETE = f"UPDATE outbox_workevent SET processed_at = statement_timestamp() WHERE {_HELD}"

_COMPLETE_MANY = """
UPDATE outbox_workevent SET processed_at = statement_timestamp()
 WHERE id = ANY(%(ids)s) AND claimed_by = %(token)s AND processed_at IS NULL
"""

# 1, 2, 4 … minutes give or take a fifth, at most sixty with the jitter included.
_BACKOFF = """statement_timestamp()
    + least(interval '60 minutes', interval '1 minute' * 2 ^ (attempts - 1) * (0.8 + 0.4 * random()))"""

_FAIL = f"""
UPDATE outbox_workevent
   SET claimed_by = NULL, claimed_at = NULL, last_error = %(error)s, available_at = {_BACKOFF},
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


def write_receipt(*, org_id: int, event_id: int, handler: str, token: UUID) -> bool:
    """Write the receipt if the claim still holds; False when it does not, or when the receipt is there already.

    Waits for another transaction that is writing the same receipt.
    """
    return _execute(_WRITE_RECEIPT, {"org_id": org_id, "id": event_id, "handler": handler, "token": token}) == 1


def hold(*, org_id: int, event_id: int, token: UUID) -> bool:
    """Whether the claim still holds; if so it cannot be taken away before the end of this transaction."""
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT 1 FROM outbox_workevent WHERE {_HELD} FOR NO KEY UPDATE",
            {"org_id": org_id, "id": event_id, "token": token},
        )
        return cursor.fetchone() is not None


def complete(*, org_id: int, event_id: int, token: UUID) -> bool:
    """Mark the event processed; False when the claim was lost, and then the caller must roll back."""
    return _execute(_COMPLETE, {"org_id": org_id, "id": event_id, "token": token}) == 1


def complete_many(*, token: UUID, ids: Sequence[int]) -> int:
    """Mark events processed that nobody is subscribed to."""
    return _execute(_COMPLETE_MANY, {"token": token, "ids": list(ids)})


@dataclass(frozen=True, slots=True)
class Failure:
    """What one handler stumbled over."""

    handler: str
    error: str
    traceback: str


def fail(
    *, org_id: int, event_id: int, token: UUID, attempt: int, failures: Sequence[Failure], max_attempts: int
) -> bool | None:
    """Put the event back with its failures and a growing delay; True: it is dead now; None: the claim was lost."""
    summary = "; ".join(f"{failure.handler}: {failure.error}" for failure in failures)[:2000]
    with connection.cursor() as cursor:
        cursor.execute(
            _FAIL,
            {"org_id": org_id, "id": event_id, "token": token, "error": summary, "max_attempts": max_attempts},
        )
        row = cursor.fetchone()
        if row is None:
            return None
        cursor.execute(
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
        return bool(row[0])


# --- outgoing emails ---------------------------------------------------------------------------------------------

_CLAIM_EMAILS = """
WITH pick AS MATERIALIZED (
    SELECT id FROM outbox_outgoingemail
     WHERE sent_at IS NULL AND dead_letter_at IS NULL AND claimed_at IS NULL AND available_at <= statement_timestamp()
     ORDER BY available_at, id
     LIMIT %(limit)s
     FOR NO KEY UPDATE SKIP LOCKED
)
UPDATE outbox_outgoingemail w
   SET status = 'sending', claimed_by = %(token)s, claimed_at = statement_timestamp(), attempts = w.attempts + 1,
       updated_at = statement_timestamp(), row_version = w.row_version + 1
  FROM pick WHERE w.id = pick.id
RETURNING w.id
"""

_EMAIL_FREE = """claimed_by = NULL, claimed_at = NULL, updated_at = statement_timestamp(),
       row_version = row_version + 1"""

_EMAIL_HELD = f"id = %(id)s AND claimed_by = %(token)s AND {_EMAIL_OPEN}"

_EMAIL_SENT = f"""
UPDATE outbox_outgoingemail
   SET status = 'sent', sent_at = statement_timestamp(), message_id = %(message_id)s, last_error = '', {_EMAIL_FREE}
 WHERE {_EMAIL_HELD}
"""

_EMAIL_FAILED = f"""
UPDATE outbox_outgoingemail
   SET status = CASE WHEN attempts >= %(max_attempts)s THEN 'dead' ELSE 'queued' END,
       dead_letter_at = CASE WHEN attempts >= %(max_attempts)s THEN statement_timestamp() END,
       available_at = {_BACKOFF}, last_error = %(error)s, {_EMAIL_FREE}
 WHERE {_EMAIL_HELD}
RETURNING dead_letter_at IS NOT NULL
"""

_GIVE_BACK_EMAILS = f"""
UPDATE outbox_outgoingemail
   SET status = 'queued', attempts = greatest(attempts - 1, 0), available_at = statement_timestamp(), {_EMAIL_FREE}
 WHERE id = ANY(%(ids)s) AND claimed_by = %(token)s AND {_EMAIL_OPEN}
"""

_GIVE_BACK_EXPIRED_EMAILS = f"""
WITH expired AS MATERIALIZED (
    SELECT id AS expired_id FROM outbox_outgoingemail
     WHERE claimed_at IS NOT NULL AND claimed_at < statement_timestamp() - %(lease)s * interval '1 second'
       AND {_EMAIL_OPEN}
     ORDER BY claimed_at LIMIT 500
     FOR NO KEY UPDATE SKIP LOCKED
)
UPDATE outbox_outgoingemail
   SET status = CASE WHEN attempts >= %(max_attempts)s THEN 'dead' ELSE 'queued' END,
       dead_letter_at = CASE WHEN attempts >= %(max_attempts)s THEN statement_timestamp() END,
       available_at = statement_timestamp(), last_error = 'The worker died while sending it.', {_EMAIL_FREE}
  FROM expired WHERE id = expired.expired_id
"""


def claim_emails(*, token: UUID, limit: int) -> list[int]:
    """Claim messages that are due; their keys in the order of queueing."""
    with connection.cursor() as cursor:
        cursor.execute(_CLAIM_EMAILS, {"token": token, "limit": limit})
        return sorted(row[0] for row in cursor.fetchall())


def renew_email_lease(token: UUID) -> int:
    """Start the lease of all messages under the token anew."""
    return _execute(_RENEW_LEASE.format(table="outbox_outgoingemail", open=_EMAIL_OPEN), {"token": token})


def email_sent(*, email_id: int, token: UUID, message_id: str) -> bool:
    """Record the sending; False when the claim was lost meanwhile."""
    return _execute(_EMAIL_SENT, {"id": email_id, "token": token, "message_id": message_id[:300]}) == 1


def email_failed(*, email_id: int, token: UUID, error: str, max_attempts: int) -> bool | None:
    """Put the message back with a growing delay; True: it is given up now; None: the claim was lost."""
    with connection.cursor() as cursor:
        cursor.execute(
            _EMAIL_FAILED, {"id": email_id, "token": token, "error": error[:2000], "max_attempts": max_attempts}
        )
        row = cursor.fetchone()
        return None if row is None else bool(row[0])


def give_back_emails(*, token: UUID, ids: Sequence[int]) -> int:
    """Return claimed messages that were not tried; the attempt is not charged."""
    return _execute(_GIVE_BACK_EMAILS, {"token": token, "ids": list(ids)})


def give_back_expired_emails(*, lease_seconds: float, max_attempts: int) -> int:
    """Take messages from workers that have died."""
    return _execute(_GIVE_BACK_EXPIRED_EMAILS, {"lease": lease_seconds, "max_attempts": max_attempts})


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


def _execute(statement: str, parameters: dict[str, Any]) -> int:
    with connection.cursor() as cursor:
        cursor.execute(statement, parameters)
        return int(cursor.rowcount)
