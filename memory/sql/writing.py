"""The statements that find what was said before and that store sources and confirmations, many at once.

`{entity}` is the column of a kind of entity.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from django.db import connection

_KNOWN = """
SELECT source.natural_key, source.id, atom.id, atom.state, atom.is_locked, atom.content_hash, atom.content,
       atom.seen_count, source.event_id
  FROM memory_atomsource source JOIN memory_atom atom ON atom.org_id = source.org_id AND atom.id = source.atom_id
 WHERE source.org_id = %(org)s AND source.natural_key = ANY(%(keys)s)
"""
_COLUMNS = """atom.id, atom.{entity}_id, atom.kind, atom.audience, atom.author_id, atom.state, atom.content_hash,
       atom.content, atom.occurred_at, atom.last_seen_at, atom.seen_count, atom.confidence, atom.base_score,
       atom.valid_until, atom.version, atom.is_locked, atom.is_pinned,
       EXISTS (SELECT FROM memory_atomsource source
                WHERE source.org_id = atom.org_id AND source.atom_id = atom.id
                  AND (source.source_field <> '' OR source.event_id IS NULL)) AS is_text"""
# A tombstone is found by its hash, so that what was redacted is not written again from another source.
_SAME = """
SELECT {columns} FROM memory_atom atom
 WHERE atom.org_id = %(org)s AND atom.{entity}_id = ANY(%(ids)s) AND atom.{entity}_id IS NOT NULL
   AND atom.content_hash = ANY(%(hashes)s) AND atom.state IN ('active', 'redacted')
"""
_NEWEST = """
SELECT atom.* FROM unnest(%(ids)s::bigint[]) AS subject (id), LATERAL (
    SELECT {columns} FROM memory_atom atom
     WHERE atom.org_id = %(org)s AND atom.{entity}_id = subject.id AND atom.{entity}_id IS NOT NULL
       AND atom.kind IN ('decision', 'risk', 'preference', 'note') AND atom.state = 'active'
     ORDER BY atom.occurred_at DESC, atom.id DESC LIMIT %(most)s) AS atom
"""
_HOLD = """
SELECT id FROM memory_atom WHERE org_id = %(org)s AND id = ANY(%(ids)s) AND state = 'active'
 ORDER BY id FOR NO KEY UPDATE
"""
_INSERT_SOURCES = """
INSERT INTO memory_atomsource (
    org_id, created_at, updated_at, row_version, natural_key, atom_id, system, source_type, source_id, source_field,
    origin_id, url, event_id, event_name, span_start, span_end, extractor, actor_kind, actor_id, actor_label,
    occurred_at)
SELECT %(org)s, %(at)s, %(at)s, 1, new.* FROM unnest(
       %(natural_key)s::text[], %(atom_id)s::bigint[], %(system)s::text[], %(source_type)s::text[],
       %(source_id)s::bigint[], %(source_field)s::text[], %(origin_id)s::text[], %(url)s::text[],
       %(event_id)s::bigint[], %(event_name)s::text[], %(span_start)s::int[], %(span_end)s::int[],
       %(extractor)s::text[], %(actor_kind)s::text[], %(actor_id)s::bigint[], %(actor_label)s::text[],
       %(occurred_at)s::timestamptz[]) AS new (natural_key)
 ORDER BY new.natural_key
ON CONFLICT (org_id, natural_key) DO NOTHING
RETURNING natural_key
"""
# A source that says something else now belongs to what it says now.
_MOVE_SOURCE = """
UPDATE memory_atomsource SET atom_id = %(atom)s, span_start = %(start)s, span_end = %(end)s, extractor = %(extractor)s,
       updated_at = %(at)s, row_version = row_version + 1
 WHERE org_id = %(org)s AND id = %(source)s
"""
_FORGET_ONE = """
UPDATE memory_atom SET seen_count = seen_count - 1, updated_at = %(at)s, row_version = row_version + 1
 WHERE org_id = %(org)s AND id = %(atom)s AND seen_count > 1
"""
_CONFIRM = """
UPDATE memory_atom atom
   SET seen_count = atom.seen_count + new.times, last_seen_at = new.last_seen_at, expires_at = new.expires_at,
       valid_until = new.valid_until, occurred_at = least(atom.occurred_at, new.occurred_at),
       valid_from = least(atom.valid_from, new.occurred_at),
       content = coalesce(new.content, atom.content), content_hash = coalesce(new.content_hash, atom.content_hash),
       updated_at = %(at)s, row_version = atom.row_version + 1
  FROM unnest(%(ids)s::bigint[], %(times)s::int[], %(last_seen)s::timestamptz[], %(expires)s::timestamptz[],
              %(valid_until)s::timestamptz[], %(occurred)s::timestamptz[], %(contents)s::text[], %(hashes)s::text[])
       AS new (id, times, last_seen_at, expires_at, valid_until, occurred_at, content, content_hash)
 WHERE atom.org_id = %(org)s AND atom.id = new.id
RETURNING atom.id, atom.seen_count
"""
_MOVE_LINKS_IN_TIME = """
UPDATE memory_atomlink link SET occurred_at = atom.occurred_at
  FROM memory_atom atom
 WHERE link.org_id = %(org)s AND link.atom_id = ANY(%(ids)s) AND atom.org_id = link.org_id AND atom.id = link.atom_id
   AND link.occurred_at <> atom.occurred_at
"""


class Known(NamedTuple):
    """A source that is stored, with the atom that it belongs to."""

    natural_key: str
    source_id: int
    atom_id: int
    state: str
    is_locked: bool
    content_hash: str
    content: str
    seen_count: int
    event_id: int | None


class Said(NamedTuple):
    """An atom that may say already what is to be written."""

    atom_id: int
    entity_id: int
    kind: str
    audience: str
    author_id: int | None
    state: str
    content_hash: str
    content: str
    occurred_at: datetime
    last_seen_at: datetime
    seen_count: int
    confidence: Any
    base_score: int
    valid_until: datetime | None
    version: int
    is_locked: bool
    is_pinned: bool
    # Whether a person wrote it, in a source or by hand.
    is_text: bool


class NewSource(NamedTuple):
    """A source to store."""

    natural_key: str
    atom_id: int
    system: str
    source_type: str
    source_id: int | None
    source_field: str
    origin_id: str
    url: str
    event_id: int | None
    event_name: str
    span_start: int | None
    span_end: int | None
    extractor: str
    actor_kind: str
    actor_id: int | None
    actor_label: str
    occurred_at: datetime


class Confirmation(NamedTuple):
    """What an atom becomes that was said again; content and hash only when it was said earlier in these words."""

    atom_id: int
    times: int
    last_seen_at: datetime
    expires_at: datetime
    valid_until: datetime | None
    occurred_at: datetime
    content: str | None
    content_hash: str | None


def known_sources(org_id: int, keys: Sequence[str]) -> dict[str, Known]:
    """What is stored under these keys."""
    with connection.cursor() as cursor:
        cursor.execute(_KNOWN, {"org": org_id, "keys": list(keys)})
        return {row[0]: Known(*row) for row in cursor.fetchall()}


def same_text(org_id: int, entity_type: str, ids: Sequence[int], hashes: Sequence[str]) -> list[Said]:
    """Active atoms and tombstones about these entities with one of these hashes."""
    return _said(_SAME, entity_type, {"org": org_id, "ids": list(ids), "hashes": list(hashes)})


def newest_texts(org_id: int, entity_type: str, ids: Sequence[int], *, most: int) -> list[Said]:
    """The newest active atoms about each of these entities, status aside."""
    return _said(_NEWEST, entity_type, {"org": org_id, "ids": list(ids), "most": most})


def _said(statement: str, entity_type: str, parameters: dict[str, Any]) -> list[Said]:
    columns = _COLUMNS.format(entity=entity_type)
    with connection.cursor() as cursor:
        cursor.execute(statement.format(columns=columns, entity=entity_type), parameters)
        return [Said(*row) for row in cursor.fetchall()]


def hold_atoms(org_id: int, atom_ids: Iterable[int]) -> set[int]:
    """Lock atoms in the order of their keys; answers those that are active still."""
    with connection.cursor() as cursor:
        cursor.execute(_HOLD, {"org": org_id, "ids": sorted(set(atom_ids))})
        return {pk for (pk,) in cursor.fetchall()}


def insert_sources(org_id: int, sources: Sequence[NewSource], *, at: datetime) -> set[str]:
    """Store sources whose keys are new; answers these keys."""
    columns = {name: list(column) for name, column in zip(NewSource._fields, zip(*sources, strict=True), strict=True)}
    with connection.cursor() as cursor:
        cursor.execute(_INSERT_SOURCES, {"org": org_id, "at": at, **columns})
        return {key for (key,) in cursor.fetchall()}


def move_source(
    org_id: int,
    *,
    source_id: int,
    atom_id: int,
    leaves: int | None,
    span: tuple[int, int] | None,
    extractor: str,
    at: datetime,
) -> None:
    """Let a source belong to an atom, where it stands now; the one that it leaves, if any, was said once less."""
    start, end = span or (None, None)
    where = {"source": source_id, "atom": atom_id, "start": start, "end": end, "extractor": extractor}
    with connection.cursor() as cursor:
        cursor.execute(_MOVE_SOURCE, {"org": org_id, "at": at, **where})
        if leaves is not None:
            cursor.execute(_FORGET_ONE, {"org": org_id, "atom": leaves, "at": at})


def confirm(org_id: int, confirmations: Sequence[Confirmation], *, at: datetime) -> dict[int, int]:
    """Note that atoms were said again; answers how often each was by now."""
    names = ("ids", "times", "last_seen", "expires", "valid_until", "occurred", "contents", "hashes")
    columns = {name: list(column) for name, column in zip(names, zip(*confirmations, strict=True), strict=True)}
    with connection.cursor() as cursor:
        cursor.execute(_CONFIRM, {"org": org_id, "at": at, **columns})
        counts = dict(cursor.fetchall())
        if any(each.content is not None for each in confirmations):
            cursor.execute(_MOVE_LINKS_IN_TIME, {"org": org_id, "ids": list(counts)})
    return counts
