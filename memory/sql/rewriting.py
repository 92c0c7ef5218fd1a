"""The second stage of redactions: files of tables rewritten without what is dead in them, and what still holds it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from django.db import connection

# Rows that were emptied are still seen by transactions that began before. Autovacuum is one as well, of nobody's, and
# when it began is shown to administrators only.
_OLDER = """
SELECT count(*) FROM pg_stat_activity
 WHERE pid <> pg_backend_pid() AND datname = current_database()
   AND (xact_start < %s OR usesysid IS NULL AND xact_start IS NULL)
"""
_PREPARED = "SELECT count(*) FROM pg_prepared_xacts WHERE database = current_database()"
_SLOTS = "SELECT count(*) FROM pg_replication_slots WHERE xmin IS NOT NULL"
_WAITING = """
SELECT id, ARRAY(SELECT jsonb_object_keys(touched)) FROM memory_redaction
 WHERE erased_at IS NULL AND redacted_at <= %s ORDER BY id LIMIT %s
"""
_ERASED = """
UPDATE memory_redaction SET erased_at = %s, updated_at = %s, row_version = row_version + 1 WHERE id = ANY(%s)
"""
_SIZE = "SELECT coalesce(pg_total_relation_size(to_regclass(%s)), 0)"


@dataclass(frozen=True)
class Waiting:
    """A redaction whose files were not rewritten yet, and the labels of the tables that it touched."""

    redaction_id: int
    labels: frozenset[str]


def waiting(*, until: datetime, limit: int) -> list[Waiting]:
    """Redactions of every organisation up to a time, oldest first."""
    with connection.cursor() as cursor:
        cursor.execute(_WAITING, [until, limit])
        return [Waiting(pk, frozenset(labels)) for pk, labels in cursor.fetchall()]


def note_erased(*, redaction_ids: Sequence[int], at: datetime) -> None:
    """Note when the files held them no more."""
    with connection.cursor() as cursor:
        cursor.execute(_ERASED, [at, at, list(redaction_ids)])


def held_back_by(*, since: datetime) -> str:
    """Who may still read what was removed by a time, as a sentence; blank for nobody."""
    with connection.cursor() as cursor:
        cursor.execute(_OLDER, [since])
        (older,) = cursor.fetchone() or (0,)
        cursor.execute(_PREPARED)
        (prepared,) = cursor.fetchone() or (0,)
        cursor.execute(_SLOTS)
        (slots,) = cursor.fetchone() or (0,)
    found = [(older, "transactions that are older"), (prepared, "prepared transactions"), (slots, "replication slots")]
    return ", ".join(f"{number:,} {what}" for number, what in found if number)


def size_of(table: str) -> int:
    """Bytes of a table with its indexes; of a partitioned one none, its partitions have them."""
    with connection.cursor() as cursor:
        cursor.execute(_SIZE, [table])
        (size,) = cursor.fetchone() or (0,)
    return int(size)


def rewrite(table: str, *, wait_seconds: int) -> None:
    """Write a table's files anew with what is alive, and its statistics. Outside of any transaction.

    Nobody reads or writes the table meanwhile. Raises OperationalError when it is in use for longer than is waited.
    """
    quoted = connection.ops.quote_name(table)
    with connection.cursor() as cursor:
        cursor.execute("SELECT set_config('lock_timeout', %s, false)", [f"{wait_seconds}s"])
        try:
            cursor.execute(f"VACUUM (FULL, ANALYZE) {quoted}")
        finally:
            cursor.execute("RESET lock_timeout")


def log_position() -> str:
    """Where the write-ahead log stands: what it holds from before goes when it is recycled and its archive expires."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_current_wal_lsn()::text")
        (position,) = cursor.fetchone() or ("",)
    return str(position)
