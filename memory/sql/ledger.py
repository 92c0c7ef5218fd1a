"""The statements that hold an organisation's ledger and the subjects of what is written under it."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta

from django.db import connection

# Holds the ledger against change to the end of the transaction.
SHARE = "SELECT * FROM memory_memoryledger WHERE org_id = %(org)s FOR SHARE"
# One after the other in the order given: whoever takes several takes them in the same order.
_HOLD = """
SELECT count(pg_advisory_xact_lock(hashtextextended('memory.subjects.' || bucket, %(org)s)))
  FROM unnest(%(buckets)s::int[]) AS bucket
"""
_PATIENCE = "SELECT set_config('lock_timeout', %(patience)s, true)"


def hold_buckets(org_id: int, buckets: Iterable[int]) -> None:
    """Wait for whoever writes about these buckets of subjects; the locks end with the transaction."""
    with connection.cursor() as cursor:
        cursor.execute(_HOLD, {"org": org_id, "buckets": sorted(set(buckets))})


def set_patience(patience: timedelta | None) -> None:
    """Wait at most so long for any lock in this transaction; None waits as long as the session says."""
    with connection.cursor() as cursor:
        if patience is None:
            cursor.execute("SET LOCAL lock_timeout TO DEFAULT")
        else:
            cursor.execute(_PATIENCE, {"patience": f"{int(patience.total_seconds() * 1000)}ms"})
