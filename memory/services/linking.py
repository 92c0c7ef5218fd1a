"""What an atom is visible from: what it was said of, what that belongs to, and whom it names."""

from __future__ import annotations

import zlib
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from datetime import datetime

from flowledger.tenancy.models import Organization
from memory.models import AtomLink
from memory.services.cards import mark_cards
from memory.services.ledger import normalise
from memory.sql import ledger as ledger_sql
from memory.sql import linking as sql

# ("pursuit", 7)
Entity = tuple[str, int]
# ("client", 3, "through")
Link = tuple[str, int, str]

SUBJECT, THROUGH, MENTION = AtomLink.Role.SUBJECT.value, AtomLink.Role.THROUGH.value, AtomLink.Role.MENTION.value
# How many locks one transaction can hold at most over the subjects that it writes about.
BUCKETS = 64
# Subjects that are linked anew in one go.
SLICE = 500
# Contacts, the newest first, whose names are looked for in texts about their companies.
MOST_NAMES = 2000


def links_of(org: Organization, entities: Collection[Entity]) -> dict[Entity, list[Link]]:
    """For each entity that exists all that an atom about it is visible from: itself first, then what it belongs to.

    Part of the use cases that write. One statement.
    """
    reached: dict[Entity, set[Entity]] = defaultdict(set)
    for root_type, root_id, entity_type, entity_id in sql.walk(org.pk, entities) if entities else ():
        reached[root_type, root_id].add((entity_type, entity_id))
    return {
        root: [(*root, SUBJECT), *((*entity, THROUGH) for entity in sorted(found) if entity != root)]
        for root, found in reached.items()
    }


def thread_keys_of(org: Organization, entities: Collection[Entity]) -> dict[Entity, str]:
    """The conversation that an atom about each entity is part of: `thread:12` of mail, else `pursuit:7` and the like.

    Proposals and engagements are part of the conversation about their pursuit.
    """
    stored = sql.thread_keys(org.pk, entities)
    return {entity: stored.get(entity, f"{entity[0]}:{entity[1]}") for entity in entities}


def hold_subjects(org: Organization, entities: Iterable[Entity]) -> None:
    """Let nobody else write about these entities to the end of the transaction, so that what each says is seen.

    Taken once a transaction where possible, after the ledger.
    """
    if buckets := {zlib.crc32(f"{kind}:{pk}".encode()) % BUCKETS for kind, pk in entities}:
        ledger_sql.hold_buckets(org.pk, buckets)


def relink(org: Organization, entities: Collection[Entity], *, at: datetime) -> int:
    """Bring the links of all atoms about these entities up to the graph as it is now; answers how many changed.

    Links of the role mention stay. Cards of what was linked or unlinked are marked. Part of the use cases that write.
    """
    changed, touched = renew_links(org, entities, at=at)
    mark_cards(org, touched, at)
    return changed


def renew_links(org: Organization, entities: Collection[Entity], *, at: datetime) -> tuple[int, set[Entity]]:
    """As `relink`, for those who mark the cards themselves: answers also the entities whose cards are to be marked."""
    hold_subjects(org, entities)
    changed = 0
    touched: set[Entity] = set()
    subjects = sorted(set(entities))
    for start in range(0, len(subjects), SLICE):
        renewal = _Renewal(org, subjects[start : start + SLICE])
        touched |= renewal.store(at=at)
        changed += renewal.changed
    return changed, touched


class _Renewal:
    """What has to change so that the atoms about some entities are linked as these are."""

    def __init__(self, org: Organization, subjects: Collection[Entity]) -> None:
        self._org = org
        self._new: list[sql.NewLink] = []
        self._gone: list[int] = []
        self._roles: dict[int, str] = {}
        self._keys: dict[int, str] = {}
        self._touched: set[Entity] = set()
        self.changed = 0
        wanted = links_of(org, subjects)
        keys = thread_keys_of(org, list(wanted))
        for entity_type in sorted({kind for kind, _ in wanted}):
            ids = sorted(pk for kind, pk in wanted if kind == entity_type)
            self._compare(entity_type, sql.atoms_about(org.pk, entity_type, ids), wanted, keys)

    def _compare(
        self,
        entity_type: str,
        atoms: Collection[sql.AtomAbout],
        wanted: Mapping[Entity, list[Link]],
        keys: Mapping[Entity, str],
    ) -> None:
        stored: dict[int, dict[Entity, sql.StoredLink]] = defaultdict(dict)
        for link in sql.links_of_atoms(self._org.pk, [atom.atom_id for atom in atoms]) if atoms else ():
            stored[link.atom_id][link.entity_type, link.entity_id] = link
        for atom in atoms:
            subject = (entity_type, atom.entity_id)
            mine = stored[atom.atom_id]
            roles = {(kind, pk): role for kind, pk, role in wanted[subject]}
            for entity, role in roles.items():
                if entity not in mine:
                    self._new.append(sql.NewLink(atom.atom_id, role, atom.kind, atom.occurred_at, *entity))
                    self._touched.add(entity)
                elif mine[entity].role != role:
                    self._roles[mine[entity].link_id] = role
            for entity, link in mine.items():
                if entity not in roles and link.role != MENTION:
                    self._gone.append(link.link_id)
                    self._touched.add(entity)
            if atom.thread_key != keys[subject]:
                self._keys[atom.atom_id] = keys[subject]

    def store(self, *, at: datetime) -> set[Entity]:
        """Write the difference; answers the entities that atoms are now visible from, or are no more."""
        if self._keys:
            sql.set_thread_keys(self._org.pk, self._keys, at=at)
        if self._gone:
            sql.drop_links(self._org.pk, self._gone)
        if self._roles:
            sql.set_roles(self._org.pk, self._roles, at=at)
        self.changed = sql.insert_links(self._org.pk, self._new, at=at) + len(self._gone) + len(self._roles)
        return self._touched


def mentions_in(org: Organization, texts: Mapping[int, tuple[str, Collection[int]]]) -> dict[int, list[Entity]]:
    """The contacts whose full names stand in texts, each given with the clients that it may speak of.

    One statement; of clients with more contacts than that, the newest are looked for.
    """
    clients = sorted({pk for _, ids in texts.values() for pk in ids})
    named: dict[int, list[tuple[int, str]]] = defaultdict(list)
    for client_id, contact_id, name in sql.named_contacts(org.pk, clients, most=MOST_NAMES) if clients else ():
        if " " in (plain := normalise(name)):
            named[client_id].append((contact_id, f" {plain} "))
    found: dict[int, list[Entity]] = {}
    for key, (text, ids) in texts.items():
        plain = f" {normalise(text)} "
        found[key] = sorted({("contact", pk) for client in ids for pk, name in named.get(client, ()) if name in plain})
    return found
