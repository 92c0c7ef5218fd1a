"""The ledger of outgoing emails: claim, lease and end of each message."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from django.db import connection

from flowledger.outbox.sql.statements import BACKOFF, execute

_EMAIL_OPEN = "sent_at IS NULL AND dead_letter_at IS NULL"

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
       available_at = {BACKOFF}, last_error = %(error)s, {_EMAIL_FREE}
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

_RENEW_EMAIL_LEASE = """
UPDATE outbox_outgoingemail SET claimed_at = statement_timestamp()
 WHERE claimed_by = %(token)s AND claimed_at IS NOT NULL AND sent_at IS NULL AND dead_letter_at IS NULL
"""


def claim_emails(*, token: UUID, limit: int) -> list[int]:
    """Claim messages that are due; their keys in the order of queueing."""
    with connection.cursor() as cursor:
        cursor.execute(_CLAIM_EMAILS, {"token": token, "limit": limit})
        return sorted(row[0] for row in cursor.fetchall())


def renew_email_lease(token: UUID) -> int:
    """Start the lease of all messages under the token anew."""
    return execute(_RENEW_EMAIL_LEASE, {"token": token})


def email_sent(*, email_id: int, token: UUID, message_id: str) -> bool:
    """Record the sending; False when the claim was lost meanwhile."""
    return execute(_EMAIL_SENT, {"id": email_id, "token": token, "message_id": message_id[:300]}) == 1


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
    return execute(_GIVE_BACK_EMAILS, {"token": token, "ids": list(ids)})


def give_back_expired_emails(*, lease_seconds: float, max_attempts: int) -> int:
    """Take messages from workers that have died."""
    return execute(_GIVE_BACK_EXPIRED_EMAILS, {"lease": lease_seconds, "max_attempts": max_attempts})
