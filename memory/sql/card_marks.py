"""The statements of card marks: set with a change, found when due, claimed by one worker, taken when the card is built.

`{entity}` is the column of a kind of entity. Marks of several entities are written kind by kind in the order of
ENTITY_MODELS, and by id within a kind, so that two transactions that mark the same cards never wait for each other in a
circle. A worker holds no mark while it builds: nobody who writes waits for a card.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from typing import NamedTuple

from django.db import connection

from memory.models.entities import ENTITY_MODELS

# An entity that is gone gets no mark: its rows go with it, and a late caller must not fail over it.
_MARK = """
INSERT INTO memory_cardmark AS mark (
    org_id, created_at, updated_at, row_version, {entity}_id, first_marked_at, due_at)
SELECT %(org)s, %(at)s, %(at)s, 1, entity.id, %(at)s, %(at)s + least(%(quiet)s, %(most)s)
  FROM {table} entity WHERE entity.org_id = %(org)s AND entity.id = ANY(%(ids)s) ORDER BY entity.id
ON CONFLICT (org_id, {entity}_id) WHERE {entity}_id IS NOT NULL DO UPDATE
   SET due_at = greatest(mark.due_at, least(excluded.due_at, mark.first_marked_at + %(most)s)),
       updated_at = excluded.updated_at, row_version = mark.row_version + 1
"""
# So many of every organisation: one that marks a hundred thousand cards does not hold up the others.
_DUE = """
SELECT org_id, id FROM (
    SELECT org_id, id, row_number() OVER (PARTITION BY org_id ORDER BY due_at, id) AS place
      FROM memory_cardmark WHERE due_at <= %(at)s) due
 WHERE place <= %(each)s ORDER BY org_id, place
"""
# Not the lock of the row: whoever renews the mark goes on meanwhile. The next statement sees what its last holder did.
_CLAIM = "SELECT pg_try_advisory_xact_lock(hashtextextended('memory.card_mark', %(id)s))"
_MARKED = """
SELECT client_id, contact_id, signal_id, candidate_id, pursuit_id, proposal_id, engagement_id, thread_id, row_version
  FROM memory_cardmark WHERE org_id = %(org)s AND id = %(id)s AND due_at <= %(at)s
"""
# A mark that somebody is renewing this moment stays.
_TAKE = """
DELETE FROM memory_cardmark WHERE org_id = %(org)s AND id = (
    SELECT id FROM memory_cardmark WHERE org_id = %(org)s AND id = %(id)s AND row_version = %(version)s
       FOR UPDATE SKIP LOCKED)
"""
_PUT_OFF = """
UPDATE memory_cardmark SET due_at = %(until)s, updated_at = %(at)s, row_version = row_version + 1
 WHERE org_id = %(org)s AND id = %(id)s AND due_at <= %(at)s
"""


class Quiet(NamedTuple):
    """How long a mark waits for further changes: since the last one, and at most since the first."""

    quiet: timedelta
    most: timedelta


class Marked(NamedTuple):
    """What a mark is of, and its version when it was read."""

    mark_id: int
    entity_type: str
    entity_id: int
    version: int


def mark(
    org_id: int, ids_by_type: Mapping[str, Iterable[int]], *, at: datetime, wait: Quiet, tables: Mapping[str, str]
) -> int:
    """Mark the cards of these entities; answers how many. A mark that stands is put off, never brought forward."""
    marked = 0
    with connection.cursor() as cursor:
        for entity in ENTITY_MODELS:
            if ids := sorted(set(ids_by_type.get(entity, ()))):
                cursor.execute(
                    _MARK.format(entity=entity, table=tables[entity]),
                    {"org": org_id, "ids": ids, "at": at, **wait._asdict()},
                )
                marked += cursor.rowcount
    return marked


def due(*, at: datetime, each: int) -> list[tuple[int, int]]:
    """Organisation and id of the marks that are due, across organisations, the `each` oldest of every one."""
    with connection.cursor() as cursor:
        cursor.execute(_DUE, {"at": at, "each": each})
        return [(org_id, mark_id) for org_id, mark_id in cursor.fetchall()]


def claim(org_id: int, mark_id: int, *, at: datetime) -> Marked | None:
    """A mark that is due, for this transaction alone; None when another worker has it, or had it already."""
    with connection.cursor() as cursor:
        cursor.execute(_CLAIM, {"id": mark_id})
        if not cursor.fetchone()[0]:
            return None
        cursor.execute(_MARKED, {"org": org_id, "id": mark_id, "at": at})
        row = cursor.fetchone()
    if row is None:
        return None
    entity_type, entity_id = next(pair for pair in zip(ENTITY_MODELS, row, strict=False) if pair[1] is not None)
    return Marked(mark_id, entity_type, entity_id, row[-1])


def take(org_id: int, mark_id: int, *, version: int) -> bool:
    """Remove a mark that nobody renewed since it was read; answers whether it did."""
    with connection.cursor() as cursor:
        cursor.execute(_TAKE, {"org": org_id, "id": mark_id, "version": version})
        return bool(cursor.rowcount)


def put_off(org_id: int, mark_id: int, *, until: datetime, at: datetime) -> None:
    """Let a mark wait, for the others."""
    with connection.cursor() as cursor:
        cursor.execute(_PUT_OFF, {"org": org_id, "id": mark_id, "until": until, "at": at})
