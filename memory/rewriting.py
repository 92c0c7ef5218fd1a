"""The physical stage of redactions: what was removed from rows leaves the database's files, and the report of the rest.

A redaction is complete for everybody who asks the database the moment it commits. Its files keep the old bytes until
they are rewritten, its write-ahead log until that is recycled, and backups until they expire.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta

import structlog
from django.apps import apps
from django.conf import settings
from django.db import OperationalError, connection

from flowledger.tenancy.scope import system_scope
from memory.sql import rewriting as sql

log = structlog.get_logger(__name__)
MOST_REDACTIONS = 1_000
LOCK_SECONDS = 5
# What any redaction of atoms may have been copied into.
_ALWAYS = (
    *("memory.atom", "memory.atomversion", "memory.atomsource", "memory.memorycard", "memory.termstat"),
    *("memory.atomvector", "memory.atomconflict", "memory.extractionjob"),
)


@dataclass
class Rewritten:
    """What was rewritten; `skipped` says by table why it was not. Redactions are done when all of theirs are."""

    tables: list[str] = field(default_factory=list)
    skipped: dict[str, str] = field(default_factory=dict)
    redactions: int = 0
    waiting: int = 0
    held_back_by: str = ""
    log_position: str = ""
    backups_until: datetime | None = None


def rewrite_files(*, at: datetime, most_bytes: int | None = None) -> Rewritten:
    """Rewrite the tables that redactions up to now have touched, one after the other, each locked while it is written.

    A table beyond `most_bytes`, or in use, is left to the next call. As long as a transaction from before a redaction
    runs, a rewritten file would still hold it: then nothing is done. Call it outside of any transaction.
    """
    with system_scope("redactions whose files are to be rewritten"):
        found = sql.waiting(until=at, limit=MOST_REDACTIONS)
    done = Rewritten(waiting=len(found))
    if found:
        # As the login role: in a scope nothing is seen of the sessions of others.
        done.held_back_by = sql.held_back_by(since=at)
    if not found or done.held_back_by:
        return done
    for table in sorted({table for each in found for table in _tables_of(each)}):
        done.skipped[table] = _try(table, most_bytes)
        if not done.skipped[table]:
            del done.skipped[table]
            done.tables.append(table)
    if done.tables:
        # What former statistics said of the tables.
        _try("pg_statistic", None)
    erased = [each.redaction_id for each in found if not _tables_of(each) & done.skipped.keys()]
    with system_scope("note that files were rewritten"):
        sql.note_erased(redaction_ids=erased, at=at)
        done.log_position = sql.log_position()
    done.redactions, done.waiting = len(erased), len(found) - len(erased)
    done.backups_until = at + timedelta(days=settings.MEMORY_BACKUP_DAYS)
    log.info("files rewritten", tables=len(done.tables), skipped=len(done.skipped), redactions=done.redactions)
    return done


def _tables_of(redaction: sql.Waiting) -> set[str]:
    return {apps.get_model(label)._meta.db_table for label in {*redaction.labels, *_ALWAYS}}


def _try(table: str, most_bytes: int | None) -> str:
    """Rewrite one table; answers why not, or nothing."""
    size = sql.size_of(table)
    if most_bytes is not None and size > most_bytes:
        return f"It has {size:,} bytes; rewrite it in a quiet hour with `manage.py memory rewrite --all`."
    try:
        sql.rewrite(table, wait_seconds=LOCK_SECONDS)
    except OperationalError as error:
        connection.close()
        return f"It is in use: {str(error).strip().splitlines()[0]}"
    return ""
