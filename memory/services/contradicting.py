"""What becomes of atoms that contradict each other: the newer supersedes the older, or a person is asked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import NamedTuple

from flowledger.tenancy.actors import Actor
from flowledger.tenancy.models import Organization
from memory.extraction import Certainty, Claim, claims_of, compare
from memory.machines import AtomState
from memory.models import Atom, AtomConflict
from memory.services.linking import Entity
from memory.sql.writing import Said


class _Statement(NamedTuple):
    """One side of a comparison. What a person put right or pinned gives way to a person only."""

    atom_id: int
    occurred_at: datetime
    readers: tuple[str, int | None]
    claims: tuple[Claim, ...]
    gives_way: bool
    takes_places: bool

    @property
    def place(self) -> tuple[datetime, int]:
        """Which of two is the newer one."""
        return self.occurred_at, self.atom_id


@dataclass
class _Findings:
    """Who takes whose place, and between whom a person decides."""

    superseded: dict[int, int] = field(default_factory=dict)
    conflicts: dict[tuple[int, int], str] = field(default_factory=dict)


def settle_contradictions(
    *,
    org: Organization,
    atoms: Sequence[Atom],
    outsiders: frozenset[int],
    texts: Mapping[Entity, Sequence[Said]],
    actor: Actor,
    at: datetime,
) -> None:
    """Hold new atoms against what is known of their subjects (`texts`) and against each other.

    Where it is sure, the older one is superseded; otherwise, and where an outsider's word (`outsiders`, by id) stands
    against another, both stay and a conflict is noted. Only what the same people may read is compared.
    """
    found = _Findings()
    met: dict[Entity, list[_Statement]] = {}
    for atom in atoms:
        claims = claims_of(atom.content)
        if not claims:
            continue
        subject = (atom.entity_type, atom.entity_id)
        if subject not in met:
            met[subject] = [_stored(said) for said in texts.get(subject, ()) if said.is_text]
        new = _Statement(
            atom.pk, atom.occurred_at, _readers(atom), claims, gives_way=True, takes_places=atom.pk not in outsiders
        )
        _hold_against(new, [each for each in met[subject] if each.readers == new.readers], found)
        met[subject].append(new)
    _store(org, found, actor=actor, at=at)


def _stored(said: Said) -> _Statement:
    gives_way = not (said.is_locked or said.is_pinned)
    claims = claims_of(said.content)
    return _Statement(said.atom_id, said.occurred_at, _readers(said), claims, gives_way, takes_places=True)


def _readers(row: Atom | Said) -> tuple[str, int | None]:
    return row.audience, row.author_id if row.audience == "author" else None


def _hold_against(new: _Statement, others: Sequence[_Statement], found: _Findings) -> None:
    """All that it contradicts for sure; of what is not sure, on each matter the nearest before it and after it."""
    unsure: dict[tuple[str, bool], _Statement] = {}
    for other in sorted(others, key=lambda each: abs(each.occurred_at - new.occurred_at)):
        older, newer = sorted((new, other), key=lambda each: each.place)
        if not other.claims or older.atom_id in found.superseded:
            continue
        verdict = compare(older.claims, newer.claims)
        if verdict.certainty is Certainty.SURE and older.gives_way and newer.takes_places:
            found.superseded[older.atom_id] = newer.atom_id
        elif verdict.certainty is not Certainty.NONE:
            unsure.setdefault((verdict.slot, other is older), other)
            if unsure[verdict.slot, other is older] is other:
                found.conflicts[older.atom_id, newer.atom_id] = verdict.slot


def _store(org: Organization, found: _Findings, *, actor: Actor, at: datetime) -> None:
    if not found.superseded and not found.conflicts:
        return
    wanted = {pk for pair in [*found.superseded.items(), *found.conflicts] for pk in pair}
    rows = Atom.objects.for_org(org).locked().filter(pk__in=wanted).order_by("pk")
    atoms: dict[int, Atom] = {atom.pk: atom for atom in rows}
    for older_id, newer_id in sorted(found.superseded.items()):
        older = atoms[older_id]
        if older.state == AtomState.ACTIVE:
            older.supersede(by=atoms[newer_id], actor=actor, at=at)
            older.save(update_fields=["state", "superseded_by", "valid_until"])
    for (older_id, newer_id), slot in sorted(found.conflicts.items()):
        if atoms[older_id].state == atoms[newer_id].state == AtomState.ACTIVE:
            conflict = AtomConflict(org=org, older=atoms[older_id], newer=atoms[newer_id], slot=slot[:60])
            conflict.find(actor=actor, at=at)
            conflict.save()
