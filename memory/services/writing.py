"""Writing atoms: what is new, what was said before, what changed, and what contradicts; many at once."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import nullcontext
from datetime import datetime
from typing import Any

from flowledger.outbox.causes import Cause, caused_by
from flowledger.outbox.recording import record_events
from flowledger.tenancy.actors import Actor
from flowledger.tenancy.models import Organization
from memory import events
from memory.machines import AtomState
from memory.models import Atom, MemoryLedger
from memory.relevance import expires_at, kind_rule
from memory.rules import KINDS
from memory.services.cards import mark_cards
from memory.services.contradicting import settle_contradictions
from memory.services.drafts import Draft, Written
from memory.services.ledger import held_ledger
from memory.services.linking import (
    MENTION,
    Entity,
    Link,
    hold_subjects,
    links_of,
    mentions_in,
    thread_keys_of,
)
from memory.services.recognising import Group, Item, Recognised, items_of, recognise
from memory.services.versions import CHANGE, Amendment, amend_atoms
from memory.sql import linking as linking_sql
from memory.sql import writing as sql

__all__ = ["Draft", "Written", "write_atoms"]

MOST_TAGS = 20


def write_atoms(
    *,
    org: Organization,
    drafts: Sequence[Draft],
    actor: Actor,
    at: datetime,
    causes: Mapping[int, Cause] | None = None,
    ledger: MemoryLedger | None = None,
    marks: Collection[Entity] = (),
) -> Written:
    """Write atoms with their links, sources, versions, card marks and events in the surrounding transaction.

    Part of the use cases that write: they authorise, and hold the ledger (`held_ledger`) before they read the text. A
    draft about an entity that does not exist (any more) is left out. `causes` are the events that led to drafts, by
    their `event_id`; `marks` are entities whose cards are to be built anew besides, since marks come last. A constant
    number of statements, whatever the number of drafts, but for contradictions.
    """
    ledger = ledger or held_ledger(org)
    items = items_of(ledger, drafts)
    if not items:
        mark_cards(org, marks, at)
        return Written()
    hold_subjects(org, {item.draft.entity for item in items})
    links = links_of(org, {item.draft.entity for item in items})
    found = recognise(org, [item for item in items if item.draft.entity in links])
    writing = _Writing(org, ledger, links, actor=actor, at=at)
    writing.amend(found)
    writing.store(found)
    record_events(facts=writing.facts(causes or {}), actor=actor, at=at)
    mark_cards(org, {*writing.touched, *marks}, at)
    return writing.written


class _Writing:
    """What is stored by one call, and what is to be told of it."""

    def __init__(
        self,
        org: Organization,
        ledger: MemoryLedger,
        links: Mapping[Entity, Sequence[Link]],
        *,
        actor: Actor,
        at: datetime,
    ) -> None:
        self._org, self._ledger, self._links, self._actor, self._at = org, ledger, links, actor, at
        self._kinds = KINDS.of(org)
        self._facts: list[tuple[int | None, Any]] = []
        self.written = Written()
        self.touched: set[Entity] = set()

    def facts(self, causes: Mapping[int, Cause]) -> Iterator[tuple[int, Any]]:
        """What is to be recorded, each while the event that led to it is bound."""
        for event_id, fact in self._facts:
            cause = causes.get(event_id) if event_id is not None else None
            with nullcontext() if cause is None else caused_by(cause):
                yield self._org.pk, fact

    def amend(self, found: Recognised) -> None:
        """Give atoms whose only source says something else now their new text."""
        self.written.unchanged.extend(found.unchanged)
        if not found.changed:
            return
        items = {known.atom_id: (item, known) for item, known in found.changed}
        rows = Atom.objects.for_org(self._org).locked().filter(pk__in=items).order_by("pk")
        atoms = [atom for atom in rows if atom.state != AtomState.REDACTED and not atom.is_locked]
        amendments = [
            Amendment(atom, draft.content.strip(), CHANGE, reason="The source was changed.", language=draft.language)
            for atom in atoms
            for draft in [items[atom.pk][0].draft]
        ]
        self.written.unchanged.extend(items.keys() - {atom.pk for atom in atoms})
        for atom in amend_atoms(
            org=self._org, ledger=self._ledger, amendments=amendments, actor=self._actor, at=self._at
        ):
            item, known = items[atom.pk]
            self._move_source(item, known, atom_id=atom.pk, leaves=None)
            self.written.changed.append(atom.pk)
            self._tell(item, events.AtomCorrected(atom_id=atom.pk, version=atom.version, because=CHANGE))
            self._touch(item.draft)

    def store(self, found: Recognised) -> None:
        """Store what is new and what was said again; then what contradicts what."""
        said = [group.said.atom_id for group in found.groups if group.said is not None]
        active = sql.hold_atoms(self._org.pk, said) if said else set()
        for group in found.groups:
            if group.said is not None and not group.is_tombstone and group.said.atom_id not in active:
                # It was archived or superseded a moment ago: what is said again now is news.
                group.said = None
        new = [group for group in found.groups if group.said is None]
        atoms = self._create(new)
        self._sources([*zip(new, atoms, strict=True), *_said(found.groups)])
        kept = [(group, atom) for group, atom in zip(new, atoms, strict=True) if group.items]
        if len(kept) < len(atoms):
            # Another transaction wrote all their sources first.
            lost = {atom.pk for atom in atoms} - {atom.pk for _, atom in kept}
            Atom.objects.for_org(self._org).filter(pk__in=lost).delete()
        self._link(kept)
        self._confirm([(group, said) for group, said in _said(found.groups) if group.items])
        texts = [(group, atom) for group, atom in kept if group.first.draft.is_text]
        settle_contradictions(
            org=self._org,
            atoms=[atom for _, atom in texts],
            outsiders=frozenset(atom.pk for group, atom in texts if group.first.draft.is_outsiders),
            texts=found.texts,
            actor=self._actor,
            at=self._at,
        )

    def _create(self, groups: Sequence[Group]) -> list[Atom]:
        if not groups:
            return []
        keys = thread_keys_of(self._org, {group.first.draft.entity for group in groups})
        atoms = [self._atom(group, keys) for group in groups]
        created: list[Atom] = Atom.objects.for_org(self._org).bulk_create(atoms)
        return created

    def _atom(self, group: Group, keys: Mapping[Entity, str]) -> Atom:
        """The atom in the words of who said it first, seen last when it was said last."""
        draft = group.first.draft
        points = kind_rule(self._kinds, draft.kind).points
        last_seen = max(item.draft.occurred_at for item in group.items)
        return Atom(
            org=self._org,
            **{f"{draft.entity_type}_id": draft.entity_id},
            kind=draft.kind,
            content=draft.content.strip(),
            language=draft.language,
            tags=list(dict.fromkeys(tag[:50] for tag in draft.tags))[:MOST_TAGS],
            audience=draft.audience,
            author_id=draft.author_id,
            thread_key=draft.thread_key or keys[draft.entity],
            occurred_at=draft.occurred_at,
            valid_from=draft.valid_from or draft.occurred_at,
            valid_until=draft.valid_until,
            confidence=draft.confidence,
            base_score=points,
            content_hash=group.first.hash,
            seen_count=len(group.items),
            last_seen_at=last_seen,
            expires_at=expires_at(
                self._kinds,
                kind=draft.kind,
                points=points,
                confidence=draft.confidence,
                last_seen_at=last_seen,
                valid_until=draft.valid_until,
            ),
        )

    def _sources(self, groups: Collection[tuple[Group, Atom | sql.Said]]) -> None:
        """Store where all of it comes from. What another transaction stored first leaves its group."""
        sources, moved = [], []
        for group, atom in groups:
            atom_id = atom.pk if isinstance(atom, Atom) else atom.atom_id
            for item in group.items:
                if item.moves is None:
                    sources.append(self._source(item, atom_id))
                else:
                    moved.append((item, item.moves, atom_id))
        stored = sql.insert_sources(self._org.pk, sources, at=self._at) if sources else set()
        for item, known, atom_id in moved:
            self._move_source(item, known, atom_id=atom_id, leaves=known.atom_id)
            stored.add(item.key)
        for group, atom in groups:
            if any(item.key not in stored for item in group.items):
                group.items = [item for item in group.items if item.key in stored]
                if isinstance(atom, Atom) and group.items:
                    Atom.objects.for_org(self._org).filter(pk=atom.pk).update(seen_count=len(group.items))

    def _source(self, item: Item, atom_id: int) -> sql.NewSource:
        draft = item.draft
        actor = draft.actor or self._actor
        start, end = draft.span or (None, None)
        return sql.NewSource(
            natural_key=item.key,
            atom_id=atom_id,
            system=draft.system[:40],
            source_type=draft.source_type,
            source_id=draft.source_id,
            source_field=draft.source_field,
            origin_id=draft.origin_id[:250],
            url=draft.url[:500],
            event_id=draft.event_id,
            event_name=draft.event_name,
            span_start=start,
            span_end=end,
            extractor=draft.extractor[:120],
            actor_kind=str(actor.kind),
            actor_id=actor.pk,
            actor_label=actor.label[:150],
            occurred_at=draft.occurred_at,
        )

    def _move_source(self, item: Item, known: sql.Known, *, atom_id: int, leaves: int | None) -> None:
        sql.move_source(
            self._org.pk,
            source_id=known.source_id,
            atom_id=atom_id,
            leaves=leaves,
            span=item.draft.span,
            extractor=item.draft.extractor[:120],
            at=self._at,
        )

    def _link(self, created: Sequence[tuple[Group, Atom]]) -> None:
        """Make new atoms visible from what they are about, what that belongs to, and whom they name."""
        texts = {
            atom.pk: (atom.content, [pk for kind, pk, _ in self._links[group.first.draft.entity] if kind == "client"])
            for group, atom in created
            if group.first.draft.is_text
        }
        named = mentions_in(self._org, texts)
        links: list[linking_sql.NewLink] = []
        for group, atom in created:
            draft = group.first.draft
            roles = {(kind, pk): role for kind, pk, role in self._links[draft.entity]}
            for entity in [*named.get(atom.pk, ()), *draft.mentions]:
                roles.setdefault(entity, MENTION)
            for entity, role in roles.items():
                links.append(linking_sql.NewLink(atom.pk, role, atom.kind, atom.occurred_at, *entity))
            self.touched.update(roles)
            self.written.created.append(atom.pk)
            entity_type, entity_id = draft.entity
            self._tell(
                group.first,
                events.AtomCreated(atom_id=atom.pk, kind=atom.kind, entity_type=entity_type, entity_id=entity_id),
            )
        linking_sql.insert_links(self._org.pk, links, at=self._at)

    def _confirm(self, groups: Sequence[tuple[Group, sql.Said]]) -> None:
        """Note that atoms were said again. A tombstone only keeps the source, so that it is known from now on."""
        self.written.unchanged.extend(said.atom_id for group, said in groups if group.is_tombstone)
        again = {said.atom_id: group for group, said in groups if not group.is_tombstone}
        if not again:
            return
        confirmations = [self._confirmation(group, said) for group, said in groups if not group.is_tombstone]
        for atom_id, seen_count in sorted(sql.confirm(self._org.pk, confirmations, at=self._at).items()):
            item = again[atom_id].items[-1]
            self.written.confirmed.append(atom_id)
            self._tell(item, events.AtomConfirmed(atom_id=atom_id, seen_count=seen_count))
            self._touch(item.draft)

    def _confirmation(self, group: Group, said: sql.Said) -> sql.Confirmation:
        first = group.first
        drafts = [item.draft for item in group.items]
        last_seen = max(said.last_seen_at, *(draft.occurred_at for draft in drafts))
        ends = [said.valid_until, *(draft.valid_until for draft in drafts)]
        # Whoever says it without an end says that it has none.
        valid_until = None if None in ends else max(end for end in ends if end is not None)
        is_earlier = (first.draft.occurred_at, first.hash) < (said.occurred_at, said.content_hash)
        takes_words = is_earlier and said.version == 1 and not said.is_locked
        return sql.Confirmation(
            atom_id=said.atom_id,
            times=len(drafts),
            last_seen_at=last_seen,
            expires_at=expires_at(
                self._kinds,
                kind=said.kind,
                points=said.base_score,
                confidence=said.confidence,
                last_seen_at=last_seen,
                valid_until=valid_until,
            ),
            valid_until=valid_until,
            occurred_at=first.draft.occurred_at if takes_words else said.occurred_at,
            content=first.draft.content.strip() if takes_words else None,
            content_hash=first.hash if takes_words else None,
        )

    def _tell(self, item: Item, fact: Any) -> None:
        self._facts.append((item.draft.event_id, fact))

    def _touch(self, draft: Draft) -> None:
        self.touched.update((kind, pk) for kind, pk, _ in self._links[draft.entity])


def _said(groups: Sequence[Group]) -> list[tuple[Group, sql.Said]]:
    return [(group, group.said) for group in groups if group.said is not None]
