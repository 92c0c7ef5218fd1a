"""The lock under which messages are put into conversations."""

from __future__ import annotations

from django.db import connection

_LOCK = "SELECT pg_advisory_xact_lock(hashtextextended('workstream.mail_threads', %(org_id)s))"


def lock_threads(*, org_id: int) -> None:
    """Wait for whoever is changing the organisation's conversations; the lock ends with the transaction.

    It is taken last, after identity keys and signals, and nothing else is locked under it.
    """
    with connection.cursor() as cursor:
        cursor.execute(_LOCK, {"org_id": org_id})
