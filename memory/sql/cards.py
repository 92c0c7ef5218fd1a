"""The statements of memory cards: what one is made of, what is stored and served, who looked when, what is dropped.

`{entity}` is the column of a kind of entity, `{table}` its table.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from django.db import connection

from memory.models.entities import ENTITY_MODELS
from memory.rules import Kinds
from memory.sql.relevance import parameters, relevance


class StoredCard(NamedTuple):
    """What is stored for an entity, asked by one person: the card of an audience, whether it is marked, their look.

    `entity_id` is that of the survivor where the entity was merged away. `card_id` is null where no card is stored;
    then all that belongs to it is null as well.
    """

    entity_id: int
    epoch: int | None
    card_id: int | None
    summary: Any
    top_atoms: Any
    lessons: Any
    atom_count: int | None
    etag: str | None
    template_version: str | None
    source_epoch: int | None
    last_built_at: datetime | None
    mark_id: int | None
    mark_version: int | None
    first_marked_at: datetime | None
    looked_at: datetime | None
    since: datetime | None


class KnownAtom(NamedTuple):
    """An atom that may stand on a card, with its first source and an open conflict that it is part of."""

    atom_id: int
    audience: str
    kind: str
    content: str
    tags: list[str]
    occurred_at: datetime
    seen_count: int
    is_pinned: bool
    role: str
    relevance: float
    entity_type: str
    entity_id: int
    source_type: str | None
    source_id: int | None
    event_name: str | None
    url: str | None
    source_at: datetime | None
    conflict_id: int | None
    conflict_is_for_all: bool | None


class NewAtom(NamedTuple):
    """An atom that was written since somebody last looked."""

    atom_id: int
    kind: str
    content: str
    occurred_at: datetime
    entity_type: str
    entity_id: int


class ToStore(NamedTuple):
    """A card that was made, for one audience; summary, top_atoms and lessons are JSON text."""

    audience: str
    summary: str
    top_atoms: str
    lessons: str
    atom_count: int
    etag: str


# Kinds of which one may be merged into another: `canonical_id` names the survivor, in one step.
MERGED = frozenset({"client", "contact"})
_ENTITY_TYPE = "CASE " + " ".join(f"WHEN atom.{name}_id IS NOT NULL THEN '{name}'" for name in ENTITY_MODELS) + " END"
_ENTITY_ID = "coalesce(" + ", ".join(f"atom.{name}_id" for name in ENTITY_MODELS) + ")"
# What may stand on the cards of the audiences; `atom` is its row.
_SHOWN = """
atom.state = 'active' AND atom.audience = ANY(%(audiences)s)
       AND (atom.valid_until IS NULL OR atom.valid_until > %(at)s)"""

_STORED = """
SELECT entity.id, ledger.epoch, card.id, card.summary, card.top_atoms, card.lessons, card.atom_count, card.etag,
       card.template_version, card.source_epoch, card.last_built_at, mark.id, mark.row_version, mark.first_marked_at,
       look.looked_at, look.since
  FROM {table} named
  JOIN {table} entity ON entity.org_id = named.org_id AND entity.id = {survivor}
  LEFT JOIN memory_memoryledger ledger ON ledger.org_id = entity.org_id
  LEFT JOIN memory_memorycard card
    ON card.org_id = entity.org_id AND card.{entity}_id = entity.id AND card.audience = %(audience)s
  LEFT JOIN memory_cardmark mark ON mark.org_id = entity.org_id AND mark.{entity}_id = entity.id
  LEFT JOIN memory_cardlook look
    ON look.org_id = entity.org_id AND look.{entity}_id = entity.id AND look.user_id = %(user)s
 WHERE named.org_id = %(org)s AND named.id = %(id)s
"""
# Kind by kind, so that a thousand newer calls do not keep a decision off the card; what is pinned is there always.
_KNOWN = f"""
WITH linked AS (
    SELECT link.atom_id, link.role
      FROM unnest(%(kinds)s::text[]) AS wanted (kind)
     CROSS JOIN LATERAL (
           SELECT link.atom_id, link.role
             FROM memory_atomlink link
             JOIN memory_atom atom ON atom.org_id = link.org_id AND atom.id = link.atom_id
            WHERE link.org_id = %(org)s AND link.{{entity}}_id = %(id)s AND link.kind = wanted.kind AND {_SHOWN}
            ORDER BY link.occurred_at DESC, link.atom_id DESC LIMIT %(each)s) link
     UNION
    SELECT link.atom_id, link.role
      FROM memory_atom atom
      JOIN memory_atomlink link
        ON link.org_id = atom.org_id AND link.atom_id = atom.id AND link.{{entity}}_id = %(id)s
     WHERE atom.org_id = %(org)s AND atom.is_pinned AND {_SHOWN}
)
SELECT atom.id, atom.audience, atom.kind, atom.content, atom.tags, atom.occurred_at, atom.seen_count, atom.is_pinned,
       linked.role, {relevance()}, {_ENTITY_TYPE}, {_ENTITY_ID},
       source.source_type, source.source_id, source.event_name, source.url, source.occurred_at,
       conflict.id, conflict.is_for_all
  FROM linked
  JOIN memory_atom atom ON atom.org_id = %(org)s AND atom.id = linked.atom_id
  LEFT JOIN LATERAL (
       SELECT source_type, source_id, event_name, url, occurred_at
         FROM memory_atomsource WHERE org_id = %(org)s AND atom_id = atom.id ORDER BY id LIMIT 1) source ON true
  LEFT JOIN LATERAL (
       SELECT conflict.id, older.audience = 'everyone' AND newer.audience = 'everyone' AS is_for_all
         FROM memory_atomconflict conflict
         JOIN memory_atom older ON older.org_id = conflict.org_id AND older.id = conflict.older_id
         JOIN memory_atom newer ON newer.org_id = conflict.org_id AND newer.id = conflict.newer_id
        WHERE conflict.org_id = %(org)s AND conflict.status = 'open'
          AND (conflict.older_id = atom.id OR conflict.newer_id = atom.id)
          AND older.audience = ANY(%(audiences)s) AND newer.audience = ANY(%(audiences)s)
        ORDER BY conflict.id LIMIT 1) conflict ON true
 ORDER BY atom.id
"""
_COUNT = f"""
SELECT count(*) FROM (
    SELECT FROM memory_atomlink link
      JOIN memory_atom atom ON atom.org_id = link.org_id AND atom.id = link.atom_id
     WHERE link.org_id = %(org)s AND link.{{entity}}_id = %(id)s AND {_SHOWN} LIMIT %(most)s) counted
"""
_NEW = f"""
SELECT atom.id, atom.kind, atom.content, atom.occurred_at, {_ENTITY_TYPE}, {_ENTITY_ID}
  FROM (SELECT atom_id FROM memory_atomlink WHERE org_id = %(org)s AND {{entity}}_id = %(id)s
         ORDER BY occurred_at DESC, atom_id DESC LIMIT %(among)s) link
  JOIN memory_atom atom ON atom.org_id = %(org)s AND atom.id = link.atom_id
 WHERE atom.created_at > %(since)s AND {_SHOWN}
 ORDER BY atom.created_at DESC, atom.id DESC LIMIT %(most)s
"""
# The epoch is held to the end of the transaction: a redaction waits for what is stored at the epoch that it was read
# at. One that is under way is not waited for: what was read may be what it takes away.
_HOLD_EPOCH = """
SELECT true FROM memory_memoryledger WHERE org_id = %(org)s AND epoch = %(epoch)s FOR SHARE SKIP LOCKED
"""
_STORE = """
WITH stored_before AS (
    SELECT audience, etag FROM memory_memorycard WHERE org_id = %(org)s AND {entity}_id = %(id)s
), stored AS (
    INSERT INTO memory_memorycard AS card (
        org_id, created_at, updated_at, row_version, {entity}_id, audience, summary, top_atoms, lessons, atom_count,
        etag, template_version, source_epoch, last_built_at)
    SELECT entity.org_id, %(at)s, %(at)s, 1, entity.id, made.audience, made.summary, made.top_atoms, made.lessons,
           made.atom_count, made.etag, %(template)s, %(epoch)s, %(at)s
      FROM {table} entity
     CROSS JOIN unnest(%(audiences)s::text[], %(summaries)s::jsonb[], %(top_atoms)s::jsonb[], %(lessons)s::jsonb[],
                       %(atom_counts)s::int[], %(etags)s::text[])
             AS made (audience, summary, top_atoms, lessons, atom_count, etag)
     WHERE entity.org_id = %(org)s AND entity.id = %(id)s
     ORDER BY made.audience
    ON CONFLICT (org_id, {entity}_id, audience) WHERE {entity}_id IS NOT NULL DO UPDATE
       SET summary = excluded.summary, top_atoms = excluded.top_atoms, lessons = excluded.lessons,
           atom_count = excluded.atom_count, etag = excluded.etag, template_version = excluded.template_version,
           source_epoch = excluded.source_epoch, last_built_at = excluded.last_built_at,
           updated_at = excluded.updated_at, row_version = card.row_version + 1
    RETURNING card.audience, card.etag
)
SELECT count(*) FILTER (WHERE stored.etag IS DISTINCT FROM stored_before.etag), count(stored_before.etag)
  FROM stored LEFT JOIN stored_before USING (audience)
"""
_LOOK = """
INSERT INTO memory_cardlook AS look (
    org_id, created_at, updated_at, row_version, {entity}_id, user_id, looked_at, since)
SELECT entity.org_id, %(at)s, %(at)s, 1, entity.id, %(user)s, %(at)s, NULL
  FROM {table} entity WHERE entity.org_id = %(org)s AND entity.id = %(id)s
ON CONFLICT (org_id, {entity}_id, user_id) WHERE {entity}_id IS NOT NULL DO UPDATE
   SET since = CASE WHEN excluded.looked_at >= look.looked_at + %(visit)s THEN look.looked_at ELSE look.since END,
       looked_at = greatest(look.looked_at, excluded.looked_at), updated_at = excluded.updated_at,
       row_version = look.row_version + 1
"""
_LINKED = """
SELECT DISTINCT client_id, contact_id, signal_id, candidate_id, pursuit_id, proposal_id, engagement_id, thread_id
  FROM memory_atomlink WHERE org_id = %(org)s AND atom_id = ANY(%(atoms)s)
"""
# Rows that a merge could not move stay with the one that was merged away.
_MERGED_INTO = "SELECT id FROM {table} WHERE org_id = %(org)s AND canonical_id = ANY(%(ids)s)"
_DROP = "DELETE FROM memory_memorycard WHERE org_id = %(org)s AND {entity}_id = ANY(%(ids)s)"


def stored_card(
    org_id: int, entity: str, entity_id: int, *, audience: str, user_id: int | None, table: str
) -> StoredCard | None:
    """The stored card with all that decides whether it is served; None for an entity that does not exist."""
    parameters = {"org": org_id, "id": entity_id, "audience": audience, "user": user_id}
    survivor = "coalesce(named.canonical_id, named.id)" if entity in MERGED else "named.id"
    rows = _rows(_STORED.format(entity=entity, table=table, survivor=survivor), parameters)
    if not rows:
        return None
    stored = StoredCard(*rows[0])
    # Django has raw statements get jsonb as text.
    texts = {name: getattr(stored, name) for name in ("summary", "top_atoms", "lessons")}
    return stored._replace(**{name: json.loads(text) for name, text in texts.items() if text is not None})


def known_atoms(
    org_id: int, entity: str, entity_id: int, *, audiences: Sequence[str], each: int, kinds: Kinds, at: datetime
) -> list[KnownAtom]:
    """The newest atoms of an entity, `each` of every kind, and all that are pinned."""
    wanted = {"org": org_id, "id": entity_id, "audiences": list(audiences), "each": each, "at": at}
    names = {"kinds": ["decision", "risk", "preference", "note", "status"]}
    rows = _rows(_KNOWN.format(entity=entity), {**wanted, **names, **parameters(kinds, at=at)})
    return [KnownAtom(*row) for row in rows]


def count_atoms(org_id: int, entity: str, entity_id: int, *, audiences: Sequence[str], most: int, at: datetime) -> int:
    """How many atoms there are for the audiences; `most` are counted."""
    wanted = {"org": org_id, "id": entity_id, "audiences": list(audiences), "most": most, "at": at}
    return int(_rows(_COUNT.format(entity=entity), wanted)[0][0])


def new_atoms(
    org_id: int,
    entity: str,
    entity_id: int,
    *,
    audiences: Sequence[str],
    since: datetime,
    among: int,
    most: int,
    at: datetime,
) -> list[NewAtom]:
    """Atoms written after a moment, the latest first, among so many that happened last."""
    wanted = {"org": org_id, "id": entity_id, "audiences": list(audiences), "since": since, "at": at}
    return [NewAtom(*row) for row in _rows(_NEW.format(entity=entity), {**wanted, "among": among, "most": most})]


def hold_epoch(org_id: int, epoch: int) -> bool:
    """Whether nothing was redacted since this epoch; if so nothing is until the transaction ends."""
    return bool(_rows(_HOLD_EPOCH, {"org": org_id, "epoch": epoch}))


def store(
    org_id: int,
    entity: str,
    entity_id: int,
    made: Sequence[ToStore],
    *,
    template: str,
    epoch: int,
    at: datetime,
    table: str,
) -> tuple[int, int]:
    """Store the cards of an entity, while the epoch is held; answers how many changed, and how many there were."""
    columns = {
        "audiences": [card.audience for card in made],
        "summaries": [card.summary for card in made],
        "top_atoms": [card.top_atoms for card in made],
        "lessons": [card.lessons for card in made],
        "atom_counts": [card.atom_count for card in made],
        "etags": [card.etag for card in made],
    }
    context = {"org": org_id, "id": entity_id, "template": template, "epoch": epoch, "at": at}
    changed, before = _rows(_STORE.format(entity=entity, table=table), {**context, **columns})[0]
    return changed, before


def look(org_id: int, entity: str, entity_id: int, *, user_id: int, visit: timedelta, at: datetime, table: str) -> None:
    """Note that a person looks now; after a pause of `visit` it is a new visit, and what it was before is kept."""
    with connection.cursor() as cursor:
        wanted: dict[str, Any] = {"org": org_id, "id": entity_id, "user": user_id, "visit": visit, "at": at}
        cursor.execute(_LOOK.format(entity=entity, table=table), wanted)


def linked_to(org_id: int, atom_ids: Sequence[int]) -> dict[str, list[int]]:
    """The entities that these atoms are visible from, by kind."""
    found: dict[str, list[int]] = {}
    for row in _rows(_LINKED, {"org": org_id, "atoms": list(atom_ids)}):
        for entity, entity_id in zip(ENTITY_MODELS, row, strict=True):
            if entity_id is not None:
                found.setdefault(entity, []).append(entity_id)
    return found


def drop(org_id: int, ids_by_type: Mapping[str, Sequence[int]], *, tables: Mapping[str, str]) -> int:
    """Delete the cards of these entities and of what was merged into them, of every audience; answers how many."""
    dropped = 0
    for entity in ENTITY_MODELS:
        ids = sorted(ids_by_type.get(entity, ()))
        if ids and entity in MERGED:
            merged = _rows(_MERGED_INTO.format(table=tables[entity]), {"org": org_id, "ids": ids})
            ids += [pk for (pk,) in merged]
        if ids:
            with connection.cursor() as cursor:
                cursor.execute(_DROP.format(entity=entity), {"org": org_id, "ids": ids})
                dropped += cursor.rowcount
    return dropped


def _rows(statement: str, parameters: dict[str, Any]) -> list[tuple[Any, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(statement, parameters)
        found: list[tuple[Any, ...]] = cursor.fetchall()
        return found
