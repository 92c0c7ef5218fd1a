"""The statements of the term statistics: counting lexemes batch by batch, and taking atoms out again."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db import connection

# The newest of the next batch, and whether anything is left after it; by the unique index over (org_id, id).
_BATCH = """
SELECT max(id), count(*) FROM (
    SELECT id FROM memory_atom WHERE org_id = %(org)s AND id > %(after)s AND id <= %(upto)s ORDER BY id LIMIT %(most)s
) AS batch
"""
# The organisation in front of a lexeme says nothing in a table that names it.
_COUNT = """
SELECT substr(lexeme, length(%(org)s::bigint::text) + 1), count(*)
  FROM memory_atom a, unnest(tsvector_to_array(a.words)) AS stems (lexeme)
 WHERE a.org_id = %(org)s AND a.id > %(after)s AND a.id <= %(upto)s AND a.state = 'active'
 GROUP BY 1
"""
_ATOMS = """
SELECT count(*) FROM memory_atom WHERE org_id = %(org)s AND id > %(after)s AND id <= %(upto)s AND state = 'active'
"""
_ADD = """
INSERT INTO memory_termstat (org_id, created_at, updated_at, row_version, lexeme, df, counted)
SELECT %(org)s, %(at)s, %(at)s, 1, found.lexeme, found.n, found.n
  FROM unnest(%(lexemes)s::text[], %(counts)s::int[]) AS found (lexeme, n) ORDER BY found.lexeme
    ON CONFLICT (org_id, lexeme) DO UPDATE SET counted = memory_termstat.counted + excluded.counted
"""
_BEGIN = "UPDATE memory_termstat SET counted = 0 WHERE org_id = %(org)s AND counted <> 0"
_SLICE = """
SELECT max(id) FROM (
    SELECT id FROM memory_termstat WHERE org_id = %(org)s AND id > %(after)s ORDER BY id LIMIT %(most)s
) AS slice
"""
_DROP = "DELETE FROM memory_termstat WHERE org_id = %(org)s AND id > %(after)s AND id <= %(upto)s AND counted = 0"
_STORE = """
UPDATE memory_termstat SET df = counted, counted = 0, updated_at = %(at)s
 WHERE org_id = %(org)s AND id > %(after)s AND id <= %(upto)s AND counted > 0
"""
# A word that few others have is forgotten whole: what is not there counts as rare.
_FORGET = """
WITH gone AS (
    SELECT substr(lexeme, length(%(org)s::bigint::text) + 1) AS lexeme, count(*) AS n
      FROM memory_atom a, unnest(tsvector_to_array(a.words)) AS stems (lexeme)
     WHERE a.org_id = %(org)s AND a.id = ANY (%(ids)s::bigint[])
     GROUP BY 1
),
dropped AS (
    DELETE FROM memory_termstat t USING gone
     WHERE t.org_id = %(org)s AND t.lexeme = gone.lexeme AND t.df - gone.n <= %(few)s
)
UPDATE memory_termstat t SET df = t.df - gone.n FROM gone
 WHERE t.org_id = %(org)s AND t.lexeme = gone.lexeme AND t.df - gone.n > %(few)s
"""
# Cross-tenant: the organisations whose statistics are old, or whose atoms have become many more than they know.
_DUE = """
SELECT ledger.org_id
  FROM memory_memoryledger ledger, LATERAL (
      SELECT count(*) AS n FROM (
          SELECT FROM memory_atom a
           WHERE a.org_id = ledger.org_id AND a.id > coalesce((ledger.refresh_state ->> 'upto')::bigint, 0)
           LIMIT greatest(%(fewest)s, (ledger.atom_count * %(share)s)::bigint)
      ) AS newer
  ) AS newer
 WHERE ledger.refreshed_at IS NULL OR ledger.refreshed_at <= %(stale_at)s
    OR ledger.refresh_state ? 'stage'
    OR coalesce((ledger.refresh_state ->> 'epoch')::bigint, 0) <> ledger.epoch
    OR newer.n >= greatest(%(fewest)s, (ledger.atom_count * %(share)s)::bigint)
 ORDER BY ledger.refreshed_at NULLS FIRST, ledger.org_id
 LIMIT %(most)s
"""


@dataclass(frozen=True)
class Batch:
    """Lexemes of some atoms, and where the batch ends."""

    upto: int
    atoms: int
    counts: dict[str, int]
    has_more: bool


def newest_atom(org_id: int) -> int:
    """The largest id of an atom; 0 without any."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT max(id) FROM memory_atom WHERE org_id = %s", [org_id])
        return cursor.fetchone()[0] or 0


def count_batch(*, org_id: int, after: int, upto: int, most: int) -> Batch:
    """The lexemes of the next atoms up to an id."""
    asked = {"org": org_id, "after": after, "upto": upto, "most": most}
    with connection.cursor() as cursor:
        cursor.execute(_BATCH, asked)
        last, found = cursor.fetchone()
        if last is None:
            return Batch(upto, 0, {}, has_more=False)
        cursor.execute(_COUNT, {**asked, "upto": last})
        counts = dict(cursor.fetchall())
        cursor.execute(_ATOMS, {**asked, "upto": last})
        return Batch(last, cursor.fetchone()[0], counts, has_more=found == most and last < upto)


def begin_count(org_id: int) -> None:
    """Forget what an interrupted count has found."""
    with connection.cursor() as cursor:
        cursor.execute(_BEGIN, {"org": org_id})


def add_counts(*, org_id: int, counts: dict[str, int], at: datetime) -> None:
    """Add a batch to the running count."""
    with connection.cursor() as cursor:
        asked: dict[str, Any] = {"org": org_id, "lexemes": list(counts), "counts": list(counts.values()), "at": at}
        cursor.execute(_ADD, asked)


def store_slice(*, org_id: int, after: int, most: int, at: datetime) -> int | None:
    """Make the count of the next lexemes their df, and drop those without; answers the last, None at the end."""
    with connection.cursor() as cursor:
        cursor.execute(_SLICE, {"org": org_id, "after": after, "most": most})
        last: int | None = cursor.fetchone()[0]
        if last is not None:
            asked: dict[str, Any] = {"org": org_id, "after": after, "upto": last, "at": at}
            cursor.execute(_DROP, asked)
            cursor.execute(_STORE, asked)
        return last


def forget(*, org_id: int, atom_ids: Sequence[int], few: int) -> None:
    """Take atoms out of the statistics."""
    with connection.cursor() as cursor:
        cursor.execute(_FORGET, {"org": org_id, "ids": list(atom_ids), "few": few})


def due_organizations(*, stale_at: datetime, fewest: int, share: float, most: int) -> list[int]:
    """The organisations whose statistics are due, those that wait longest first; for a system scope."""
    with connection.cursor() as cursor:
        cursor.execute(_DUE, {"stale_at": stale_at, "fewest": fewest, "share": share, "most": most})
        return [org_id for (org_id,) in cursor.fetchall()]
