"""Which drafts are new, which were written before, and which say what an atom says already."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from flowledger.tenancy.models import Organization
from memory.likeness import Text, is_near, text_of
from memory.machines import AtomState
from memory.models import MemoryLedger
from memory.services.drafts import Draft
from memory.services.ledger import hash_text, natural_key, normalise
from memory.services.linking import Entity
from memory.sql import writing as sql

# Atoms of one subject, the newest first, among which the same in other words is looked for.
MOST_TEXTS = 200
# Subject, kind, audience, and for what only its author reads the author.
Place = tuple[Entity, str, str, int | None]


class Item(NamedTuple):
    """A draft with its key and the hash of its text; `moves` is a stored source that said something else until now."""

    draft: Draft
    key: str
    hash: str
    moves: sql.Known | None = None


@dataclass
class Group:
    """Drafts that say the same: of a new atom, or of one that is stored (`said`)."""

    text: Text
    said: sql.Said | None = None
    items: list[Item] = field(default_factory=list)

    @property
    def first(self) -> Item:
        """Who said it first: in their words it is kept, in whatever order they come."""
        return min(self.items, key=lambda item: (item.draft.occurred_at, item.hash))

    @property
    def is_tombstone(self) -> bool:
        return self.said is not None and self.said.state == AtomState.REDACTED


@dataclass
class Recognised:
    """What is to be done with drafts; `texts` are the newest texts about their subjects."""

    unchanged: list[int] = field(default_factory=list)
    changed: list[tuple[Item, sql.Known]] = field(default_factory=list)
    groups: list[Group] = field(default_factory=list)
    texts: dict[Entity, list[sql.Said]] = field(default_factory=dict)


def items_of(ledger: MemoryLedger, drafts: Sequence[Draft]) -> list[Item]:
    """The drafts that say something, each key once: of the same twice in one call the first counts."""
    items: dict[str, Item] = {}
    for draft in drafts:
        if draft.content.strip():
            key = natural_key(
                ledger,
                event=draft.event_name,
                source_type=draft.source_type,
                source_id=draft.source_id,
                kind=draft.kind,
                slot=draft.slot,
            )
            items.setdefault(key, Item(draft, key, hash_text(ledger, draft.content)))
    return list(items.values())


def recognise(org: Organization, items: Collection[Item]) -> Recognised:
    """Hold drafts against what is stored. Their subjects are held, so that nobody writes the same meanwhile."""
    found = Recognised()
    known = sql.known_sources(org.pk, [item.key for item in items])
    fresh: list[Item] = []
    for item in items:
        before = known.get(item.key)
        if before is None:
            fresh.append(item)
        elif _says(before, item):
            found.unchanged.append(before.atom_id)
        elif before.seen_count > 1:
            # Others say what the atom says; this source does not any more.
            fresh.append(item._replace(moves=before))
        else:
            found.changed.append((item, before))
    if fresh:
        found.texts = _newest_texts(org, fresh)
        found.groups = _grouped(fresh, found.texts, _same_texts(org, fresh))
    return found


def _says(known: sql.Known, item: Item) -> bool:
    """Whether a stored atom says what the draft says, or must not be touched."""
    if known.state == AtomState.REDACTED or known.is_locked or known.content_hash == item.hash:
        return True
    if not item.draft.is_text and known.event_id == item.draft.event_id:
        # The sentence of an event was told when it happened; the row has moved on since.
        return True
    return known.seen_count > 1 and is_near(_text(known.content), _text(item.draft.content))


def _text(content: str) -> Text:
    return text_of(normalise(content))


def _by_type(items: Collection[Item]) -> dict[str, list[Item]]:
    found: dict[str, list[Item]] = defaultdict(list)
    for item in items:
        found[item.draft.entity_type].append(item)
    return found


def _newest_texts(org: Organization, fresh: Collection[Item]) -> dict[Entity, list[sql.Said]]:
    found: dict[Entity, list[sql.Said]] = defaultdict(list)
    for entity_type, items in _by_type([item for item in fresh if item.draft.is_text]).items():
        ids = sorted({item.draft.entity_id for item in items})
        for said in sql.newest_texts(org.pk, entity_type, ids, most=MOST_TEXTS):
            found[entity_type, said.entity_id].append(said)
    return found


def _same_texts(org: Organization, fresh: Collection[Item]) -> Iterator[tuple[Entity, sql.Said]]:
    for entity_type, items in _by_type(fresh).items():
        ids = sorted({item.draft.entity_id for item in items})
        for said in sql.same_text(org.pk, entity_type, ids, sorted({item.hash for item in items})):
            yield (entity_type, said.entity_id), said


def _place(entity: Entity, row: Draft | sql.Said) -> Place:
    return entity, row.kind, row.audience, row.author_id if row.audience == "author" else None


def _grouped(
    fresh: Collection[Item], texts: dict[Entity, list[sql.Said]], same: Iterator[tuple[Entity, sql.Said]]
) -> list[Group]:
    """The drafts by what they say. In the order of time, so that the order of their coming does not count."""
    by_hash: dict[tuple[Place, str], Group] = {}
    tombstones: dict[tuple[Place, str], Group] = {}
    by_place: dict[Place, list[Group]] = defaultdict(list)
    for entity, said in same:
        group = Group(_text(said.content), said)
        (tombstones if group.is_tombstone else by_hash)[_place(entity, said), said.content_hash] = group
    for entity, rows in texts.items():
        for said in rows:
            place = _place(entity, said)
            if said.is_text:
                known = by_hash.setdefault((place, said.content_hash), Group(_text(said.content), said))
                by_place[place].append(known)
    groups: dict[int, Group] = {}
    for item in sorted(fresh, key=lambda item: item.draft.occurred_at):
        draft = item.draft
        place = _place(draft.entity, draft)
        found = by_hash.get((place, item.hash))
        if found is None and draft.event_id is not None:
            # What comes by itself stays redacted; who writes it anew means it.
            found = tombstones.get((place, item.hash))
        if found is None:
            text = _text(draft.content)
            if draft.is_text:
                found = next((group for group in by_place[place] if is_near(group.text, text)), None)
            if found is None:
                found = by_hash[place, item.hash] = Group(text)
                if draft.is_text:
                    by_place[place].append(found)
        found.items.append(item)
        groups[id(found)] = found
    return list(groups.values())
