"""Redaction: what was remembered goes at once and for good; the row keeps who, when, why and a salted hash."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from django.db import transaction

from flowledger.clients.erasure import (
    Counts,
    Mentions,
    Said,
    add_counts,
    places_of_copies,
    source_redactors,
)
from flowledger.errors import Conflict, InvalidInput, NotFound
from flowledger.tenancy.actors import Actor
from flowledger.tenancy.models import Organization
from flowledger.tenancy.permissions import authorize
from flowledger.tenancy.usecases import use_case
from memory.machines import AtomState
from memory.models import ENTITY_MODELS, Atom, AtomLink, AtomSource, AtomVersion, MemoryLedger, Redaction
from memory.services.cards import drop_cards, mark_cards
from memory.services.holds import require_entity, require_unheld
from memory.services.ledger import ledger_of, normalise
from memory.services.reasons import checked_reason
from memory.services.terms import forget_terms
from memory.services.vectors import forget_vectors
from memory.sql import redaction as sql

# A shorter text stands in too many places by chance for its copies to be looked for.
LEAST_COPY = 12
MOST_ATOMS = 10_000
NO_REASON = "Say why it has to go; do not repeat what it says."
# How often a redaction begins anew because others wrote about the same things meanwhile.
MOST_TRIES = 5


@dataclass(frozen=True)
class Target:
    """What is to be redacted: atoms, all about an entity, or what a source says. Exactly one of the three."""

    atom_ids: tuple[int, ...] = ()
    entity: tuple[str, int] | None = None
    source: tuple[str, int] | None = None

    @property
    def kind(self) -> Redaction.Target:
        """What it is, as a redaction keeps it."""
        if self.atom_ids:
            return Redaction.Target.ATOM
        return Redaction.Target.ENTITY if self.entity else Redaction.Target.SOURCE

    @property
    def named(self) -> dict[str, Any]:
        """What was named, as a redaction keeps it."""
        if self.atom_ids:
            return {"atom_ids": sorted(self.atom_ids)}
        if self.entity:
            return {"entity_type": self.entity[0], "entity_id": self.entity[1]}
        assert self.source is not None
        return {"source_type": self.source[0], "source_id": self.source[1]}


@dataclass(frozen=True)
class DryRun:
    """What a redaction would do: how many atoms, and at most how many rows of each table."""

    target: str
    named: dict[str, Any]
    atom_count: int
    touched: Counts


@dataclass
class Reach:
    """What goes: atoms with what they say and have said, and by source what is to be taken out of it (None: all)."""

    atoms: dict[int, list[str]] = field(default_factory=dict)
    passages: dict[tuple[str, int], list[Said] | None] = field(default_factory=dict)

    @property
    def atom_ids(self) -> list[int]:
        return sorted(self.atoms)

    @property
    def texts(self) -> list[str]:
        """All that the atoms say and have said."""
        return [text for texts in self.atoms.values() for text in texts]


@use_case
def redact(
    *, org: Organization, target: Target, reason: str, actor: Actor, at: datetime, dry_run: bool = False
) -> Redaction | DryRun:
    """Remove the content of atoms for good, and what it was read from; nothing of it can be read from here on.

    With an atom go the sentences that it was made of, other atoms that say the same of the same source, and copies in
    stored answers, emails and error messages; with an entity all atoms that are visible from it; with a source all that
    it says. Again it answers with the redaction that was. Raises PermissionRefused, NotFound, InvalidInput without a
    reason, and Conflict under a legal hold, for more than MOST_ATOMS atoms, or when others keep writing meanwhile.
    """
    authorize(actor, "redact_memory")
    said = checked_reason(reason, missing=NO_REASON)
    atom_ids = _require(org, target)
    seeds = {target.source: None} if target.source else {target.entity: None} if target.entity else {}
    if dry_run:
        found = reach_of(org, atom_ids, seeds)
        return DryRun(target.kind.value, target.named, len(found.atoms), take_out(org, found, at=at, dry_run=True))
    former = _former(org, target, atom_ids, seeds, at=at)
    if former is not None:
        return former
    return remove(
        org=org,
        find=lambda: (_ids_of(org, target), seeds),
        record=Redaction(org=org, target=target.kind, named=target.named, reason=said),
        actor=actor,
        at=at,
    )


def remove(
    *,
    org: Organization,
    find: Callable[[], tuple[Iterable[int], Mapping[tuple[str, int], None]]],
    record: Redaction,
    actor: Actor,
    at: datetime,
    touched: Mapping[str, int] | None = None,
    then: Callable[[], Counts] | None = None,
    last: Callable[[], Counts] | None = None,
) -> Redaction:
    """Empty what `find` answers (atoms, and sources that go whole), and store the record; part of the use cases.

    Sources are locked before the ledger and the ledger before atoms, as everybody does. Under the ledger it is asked
    again: what was written since by somebody who had read the texts before begins the redaction anew. `then` is
    done after the sources and before the ledger, `last` under the ledger after the atoms.
    """
    ledger = ledger_of(org)
    for _ in range(MOST_TRIES):
        begun = transaction.savepoint()
        found = reach_of(org, *find())
        counts: Counts = take_out(org, found, at=at, dry_run=False)
        for more in (touched or {}, then() if then is not None else {}):
            add_larger(counts, more)
        record.epoch = sql.begin_epoch(org_id=org.pk, at=at)
        again = reach_of(org, *find())
        if not (set(again.atoms) <= set(found.atoms) and set(again.passages) <= set(found.passages)):
            transaction.savepoint_rollback(begun)
            continue
        require_unheld(org, found.atom_ids)
        add_counts(counts, _empty(org, found.atom_ids, at=at))
        if last is not None:
            add_counts(counts, last())
        transaction.savepoint_commit(begun)
        record.atom_count = len(found.atoms)
        record.touched = counts
        record.digest = _digest(ledger, org, found.atom_ids)
        record.note(actor=actor, at=at)
        record.save()
        return record
    raise Conflict("Others are writing about the same things right now; try again in a moment.")


def reach_of(org: Organization, atom_ids: Iterable[int], seeds: Mapping[tuple[str, int], None]) -> Reach:
    """Atoms, all that says the same in the sources that they come from, and the sentences to be taken out of those."""
    found = Reach(passages=dict(seeds))
    waiting = set(atom_ids)
    while waiting:
        if len(found.atoms) + len(waiting) > MOST_ATOMS:
            raise Conflict(f"This reaches more than {MOST_ATOMS:,} atoms; redact smaller parts one after the other.")
        texts = _texts(org, waiting)
        waiting &= texts.keys()
        found.atoms |= texts
        fresh: dict[tuple[str, int], list[Said]] = {}
        sources = AtomSource.objects.for_org(org).filter(atom__in=waiting, source_id__isnull=False).order_by("pk")
        for source in sources:
            key, span = (source.source_type, source.source_id), None
            if source.span_start is not None and source.span_end is not None:
                span = (source.span_start, source.span_end)
            said = [Said(text, source.source_field, span) for text in texts[source.atom_id]]
            fresh.setdefault(key, []).extend(said)
        for key, said in fresh.items():
            standing = found.passages.setdefault(key, [])
            if standing is not None:
                standing += said
        waiting = _saying_the_same(org, fresh, found)
    return found


def add_larger(total: Counts, more: Mapping[str, int]) -> None:
    """Add counts of rows that may be the same ones: which are is not told apart, and the larger number stands."""
    for table, number in more.items():
        total[table] = max(total.get(table, 0), number)


def _require(org: Organization, target: Target) -> list[int]:
    """The atoms of a target. Raises NotFound, InvalidInput for a target that names nothing or two things."""
    if sum(map(bool, (target.atom_ids, target.entity, target.source))) != 1:
        raise InvalidInput(
            "Name what is to be redacted: atoms, an entity, or a source.",
            fields={"atom_id": ["Give one of atom_id, entity and source."]},
        )
    if target.entity:
        require_entity(org, *target.entity)
    found = _ids_of(org, target)
    if target.atom_ids and (missing := sorted(set(target.atom_ids) - set(found))):
        raise NotFound(f"There is no atom {missing[0]} in this organisation.")
    if target.source and target.source[0] not in {source_type for source_type, _ in source_redactors()}:
        types = sorted({source_type for source_type, _ in source_redactors()})
        sentence = f"This is one of {', '.join(types)}."
        raise InvalidInput(f"source.type: {sentence}", fields={"source": [sentence]})
    return found


def _ids_of(org: Organization, target: Target) -> list[int]:
    if target.atom_ids:
        rows = Atom.objects.for_org(org).filter(pk__in=target.atom_ids).order_by("pk")
        return list(rows.values_list("pk", flat=True))
    if target.entity:
        return linked_atoms(org, target.entity[0], [target.entity[1]])
    assert target.source is not None
    source_type, source_id = target.source
    rows = AtomSource.objects.for_org(org).filter(source_type=source_type, source_id=source_id)
    return list(rows.order_by("atom").values_list("atom_id", flat=True).distinct())


def linked_atoms(org: Organization, entity_type: str, entity_ids: Sequence[int]) -> list[int]:
    """The atoms that are visible from entities of a kind, in whatever role."""
    assert entity_type in ENTITY_MODELS
    rows = AtomLink.objects.for_org(org).filter(**{f"{entity_type}__in": list(entity_ids)})
    return list(rows.order_by("atom").values_list("atom_id", flat=True).distinct())


def _former(
    org: Organization, target: Target, atom_ids: Sequence[int], seeds: Mapping[tuple[str, int], None], *, at: datetime
) -> Redaction | None:
    """The redaction that did this already, if nothing is left to do. Raises Conflict when there never was anything."""
    atoms = Atom.objects.for_org(org).filter(pk__in=atom_ids)
    if atoms.exclude(state=AtomState.REDACTED).exists():
        return None
    # What was said without an atom of it is not gone by redacting atoms.
    if seeds and take_out(org, Reach(passages=dict(seeds)), at=at, dry_run=True):
        return None
    rows = Redaction.objects.for_org(org).order_by("-pk")
    if target.atom_ids:
        rows = rows.filter(redacted_at__in=atoms.values("redacted_at"))
    else:
        rows = rows.filter(target=target.kind, named=target.named)
    former: Redaction | None = rows.first()
    if former is None:
        raise Conflict("There is nothing left to redact: what is named says nothing.")
    return former


def _texts(org: Organization, atom_ids: Iterable[int]) -> dict[int, list[str]]:
    """What atoms say and have said, each text once; redacted ones are left out."""
    rows = Atom.objects.for_org(org).filter(pk__in=list(atom_ids)).exclude(state=AtomState.REDACTED)
    found: dict[int, list[str]] = {pk: [text] for pk, text in rows.values_list("pk", "content")}
    versions = AtomVersion.objects.for_org(org).filter(atom__in=list(found)).order_by("pk")
    for pk, text in versions.values_list("atom_id", "content"):
        if text and text not in found[pk]:
            found[pk].append(text)
    return found


def _saying_the_same(org: Organization, fresh: Mapping[tuple[str, int], Sequence[Said]], found: Reach) -> set[int]:
    """Other atoms of the same sources that hold one of the passages, or are part of one."""
    by_type: dict[str, set[int]] = {}
    for source_type, source_id in fresh:
        by_type.setdefault(source_type, set()).add(source_id)
    beside: dict[int, set[tuple[str, int]]] = {}
    for source_type, ids in by_type.items():
        rows = AtomSource.objects.for_org(org).filter(source_type=source_type, source_id__in=ids)
        rows = rows.exclude(atom__state=AtomState.REDACTED).order_by("pk")
        for atom_id, source_id in rows.values_list("atom_id", "source_id"):
            if atom_id not in found.atoms:
                beside.setdefault(atom_id, set()).add((source_type, source_id))
    if not beside:
        return set()
    plain = {key: {normalise(said.text) for said in each} - {""} for key, each in fresh.items()}
    texts = _texts(org, beside)
    same: set[int] = set()
    for atom_id, keys in beside.items():
        own = [normalise(text) for text in texts[atom_id]]
        others = {text for key in keys for text in plain[key]}
        if any(_overlap(one, other) for one in own for other in others):
            same.add(atom_id)
    return same


def _overlap(one: str, other: str) -> bool:
    return bool(one) and (f" {other} " in f" {one} " or f" {one} " in f" {other} ")


def take_out(org: Organization, found: Reach, *, at: datetime, dry_run: bool) -> Counts:
    """Take the passages out of their sources, and the texts out of places of copies; answers the rows touched."""
    touched: Counts = {}
    for (source_type, _), redactor in source_redactors().items():
        passages = {key[1]: said for key, said in found.passages.items() if key[0] == source_type}
        if passages:
            add_counts(touched, redactor(org=org, passages=passages, at=at, dry_run=dry_run))
    copied = Mentions.passages(text for text in found.texts if len(text) >= LEAST_COPY)
    if copied:
        for forget in places_of_copies().values():
            add_counts(touched, forget(org=org, texts=copied, at=at, dry_run=dry_run))
    return touched


def _empty(org: Organization, atom_ids: list[int], *, at: datetime) -> Counts:
    """Empty the atoms under the ledger, and all that was made of them: statistics, vectors, cards."""
    if not atom_ids:
        return {}
    sql.lock_atoms(org_id=org.pk, atom_ids=atom_ids)
    # While their words are still there.
    forget_terms(org=org, atom_ids=atom_ids)
    vectors = forget_vectors(org=org, atom_ids=atom_ids)
    touched = sql.empty_atoms(org_id=org.pk, atom_ids=atom_ids, at=at)
    add_counts(touched, {"memory.atomvector": vectors, "memory.memorycard": drop_cards(org, atom_ids)})
    mark_cards(org, _entities_of(org, atom_ids), at)
    return touched


def _entities_of(org: Organization, atom_ids: Sequence[int]) -> set[tuple[str, int]]:
    columns = [f"{name}_id" for name in ENTITY_MODELS]
    links = AtomLink.objects.for_org(org).filter(atom__in=atom_ids).values_list(*columns)
    return {
        (name, pk) for ids in links.distinct() for name, pk in zip(ENTITY_MODELS, ids, strict=True) if pk is not None
    }


def _digest(ledger: MemoryLedger, org: Organization, atom_ids: Sequence[int]) -> str:
    """An HMAC over the atoms and the hashes of what they said: proves later what went, and reveals nothing."""
    rows = Atom.objects.for_org(org).filter(pk__in=atom_ids).order_by("pk").values_list("pk", "content_hash")
    message = "\n".join(f"{pk}:{text_hash}" for pk, text_hash in rows)
    return hmac.new(bytes(ledger.secret), message.encode(), hashlib.sha256).hexdigest()
