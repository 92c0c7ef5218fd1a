"""Emptying atoms: one statement a table, in the order in which everybody locks them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from django.db import connection

# What leaves nothing to be read; the key of a source stays, so that a replay finds it and writes nothing.
_EMPTY_ATOMS = """
UPDATE memory_atom
   SET state = 'redacted', content = '', tags = '{}', language = 'en', redacted_at = %(at)s, archived_at = NULL,
       expires_at = NULL, is_pinned = false, is_locked = true, updated_at = %(at)s, row_version = row_version + 1
 WHERE org_id = %(org)s AND id = ANY(%(ids)s) AND state <> 'redacted'
"""
_EMPTY_VERSIONS = """
UPDATE memory_atomversion
   SET content = '', reason = '', updated_at = %(at)s, row_version = row_version + 1
 WHERE org_id = %(org)s AND atom_id = ANY(%(ids)s) AND (content <> '' OR reason <> '')
"""
_EMPTY_SOURCES = """
UPDATE memory_atomsource
   SET origin_id = '', url = '', actor_label = '', span_start = NULL, span_end = NULL,
       updated_at = %(at)s, row_version = row_version + 1
 WHERE org_id = %(org)s AND atom_id = ANY(%(ids)s)
"""
_EMPTY_CONFLICTS = """
UPDATE memory_atomconflict
   SET note = '', slot = '', updated_at = %(at)s, row_version = row_version + 1
 WHERE org_id = %(org)s AND (older_id = ANY(%(ids)s) OR newer_id = ANY(%(ids)s)) AND (note <> '' OR slot <> '')
"""
# A model's answer may be quoted in why a job failed.
_EMPTY_JOBS = """
UPDATE memory_extractionjob job
   SET failure = '', updated_at = %(at)s, row_version = job.row_version + 1
  FROM memory_atomsource source
 WHERE source.org_id = %(org)s AND source.atom_id = ANY(%(ids)s) AND job.org_id = %(org)s
   AND job.source_type = source.source_type AND job.source_id = source.source_id AND job.failure <> ''
"""
_LOCK_ATOMS = """
SELECT count(*) FROM (
    SELECT id FROM memory_atom WHERE org_id = %(org)s AND id = ANY(%(ids)s) ORDER BY id FOR NO KEY UPDATE) AS locked
"""
_NEW_EPOCH = """
UPDATE memory_memoryledger
   SET epoch = epoch + 1, updated_at = %(at)s, row_version = row_version + 1
 WHERE org_id = %(org)s
RETURNING epoch
"""


def begin_epoch(*, org_id: int, at: datetime) -> int:
    """Lock the ledger for this redaction alone, and begin a new epoch; what was read before is not written after."""
    with connection.cursor() as cursor:
        cursor.execute(_NEW_EPOCH, {"org": org_id, "at": at})
        (epoch,) = cursor.fetchone()
    return int(epoch)


def lock_atoms(*, org_id: int, atom_ids: Sequence[int]) -> None:
    """Lock atoms by id."""
    with connection.cursor() as cursor:
        cursor.execute(_LOCK_ATOMS, {"org": org_id, "ids": list(atom_ids)})


def empty_atoms(*, org_id: int, atom_ids: Sequence[int], at: datetime) -> dict[str, int]:
    """Empty locked atoms and all that says anything of them; answers the rows touched by table."""
    parameters: dict[str, Any] = {"org": org_id, "ids": list(atom_ids), "at": at}
    touched: dict[str, int] = {}
    with connection.cursor() as cursor:
        for table, statement in (
            ("memory.atom", _EMPTY_ATOMS),
            ("memory.atomversion", _EMPTY_VERSIONS),
            ("memory.extractionjob", _EMPTY_JOBS),
            ("memory.atomsource", _EMPTY_SOURCES),
            ("memory.atomconflict", _EMPTY_CONFLICTS),
        ):
            cursor.execute(statement, parameters)
            if cursor.rowcount:
                touched[table] = cursor.rowcount
    return touched
