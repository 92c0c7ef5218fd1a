"""Versions: what an atom said at each time, in a chain of digests that shows when a link is missing or was changed.

An atom that was never changed has none: its first version is written together with its second.
"""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import NamedTuple

from flowledger.tenancy.actors import Actor
from flowledger.tenancy.models import Organization
from memory.machines import AtomState
from memory.models import Atom, AtomSource, AtomVector, AtomVersion, MemoryLedger
from memory.relevance import expires_at
from memory.rules import KINDS
from memory.services.ledger import hash_text

ERROR, CHANGE = AtomVersion.Because.ERROR, AtomVersion.Because.CHANGE
# What a person who is named nowhere is called in a chain.
_UNKNOWN = {"actor_kind": "system", "actor_id": None, "actor_label": ""}
_AMENDED = (
    *("content", "content_hash", "language", "version", "valid_from", "valid_until", "last_seen_at", "expires_at"),
    *("confidence", "is_locked", "updated_at"),
)


@dataclass(frozen=True)
class Amendment:
    """A new text of an atom, which is locked and as it was.

    `because` is `error` for what was wrong all along, and `change` for a fact that is another one from `valid_from` on.
    `locks` keeps extraction from changing it again: a person put it right.
    """

    atom: Atom
    content: str
    because: str
    reason: str = ""
    valid_from: datetime | None = None
    valid_until: datetime | None = None
    language: str = ""
    locks: bool = False


class Said(NamedTuple):
    """A text of an atom, and when it held."""

    content: str
    version: int
    valid_from: datetime
    valid_until: datetime | None


@dataclass(frozen=True)
class Broken:
    """A link of a chain that is not what was written."""

    atom_id: int
    version: int
    what: str


def amend_atoms(
    *, org: Organization, ledger: MemoryLedger, amendments: Sequence[Amendment], actor: Actor, at: datetime
) -> list[Atom]:
    """Give atoms new texts, each with a version; answers the atoms as they are stored. Each at most once a call.

    Part of the use cases that change what is known: they hold ledger and atoms, record the events and mark the cards.
    The embeddings of the former texts are removed. A constant number of statements.
    """
    if not amendments:
        return []
    atoms = [amendment.atom for amendment in amendments]
    last = _last_versions(org, atoms)
    written = _first_versions(ledger, [atom for atom in atoms if atom.pk not in last])
    last |= {version.atom_id: version for version in written}
    for amendment in amendments:
        _amend(ledger, amendment, at=at)
        written.append(_next_version(ledger, amendment, last[amendment.atom.pk], actor=actor, at=at))
    AtomVersion.objects.for_org(org).bulk_create(written)
    Atom.objects.for_org(org).bulk_update(atoms, _AMENDED)
    for atom in atoms:
        # The update raises it in the database.
        atom.row_version += 1
    AtomVector.objects.for_org(org).filter(atom__in=atoms).delete()
    return atoms


def said_at(org: Organization, atom: Atom, moment: datetime) -> Said | None:
    """What the atom said of a moment by all that is known today: what was wrong never held. None when nothing held."""
    versions = [Said(atom.content, atom.version, atom.valid_from, atom.valid_until)]
    if atom.version > 1:
        rows = AtomVersion.objects.for_org(org).filter(atom=atom).order_by("-version")
        versions = [Said(row.content, row.version, row.valid_from, row.valid_until) for row in rows]
    ends = atom.valid_until if atom.state == AtomState.SUPERSEDED else None
    for said in versions:
        if said.valid_from <= moment:
            until = min(filter(None, (said.valid_until, ends)), default=None)
            return None if until is not None and until <= moment else said._replace(valid_until=until)
        # What came before held until the next one began.
        ends = said.valid_from if ends is None else min(ends, said.valid_from)
    return None


def broken_links(org: Organization, ledger: MemoryLedger, atom_ids: Collection[int] | None = None) -> list[Broken]:
    """Go through the chains of some atoms, or of all that were ever changed, and answer what is not as written.

    A text that a redaction emptied is no break: the chain is made of the texts' hashes.
    """
    atoms = Atom.objects.for_org(org)
    atoms = atoms.filter(version__gt=1) if atom_ids is None else atoms.filter(pk__in=atom_ids)
    found: list[Broken] = []
    for batch in _batches(atoms.order_by("pk")):
        chains: dict[int, list[AtomVersion]] = {atom.pk: [] for atom in batch}
        rows = AtomVersion.objects.for_org(org).filter(atom__in=chains).order_by("atom", "version")
        for version in rows:
            chains[version.atom_id].append(version)
        for atom in batch:
            found += _breaks(ledger, atom, chains[atom.pk])
    return found


def _batches(rows: Iterable[Atom], size: int = 500) -> Iterable[list[Atom]]:
    batch: list[Atom] = []
    for row in rows.iterator(chunk_size=size):  # type: ignore[attr-defined]
        batch.append(row)
        if len(batch) == size:
            yield batch
            batch = []
    if batch:
        yield batch


def _breaks(ledger: MemoryLedger, atom: Atom, chain: list[AtomVersion]) -> list[Broken]:
    if not chain:
        return [Broken(atom.pk, 1, "Its versions are missing.")] if atom.version > 1 else []
    found, previous = [], ""
    for number, version in enumerate(chain, start=1):
        if version.version != number:
            found.append(Broken(atom.pk, number, "A version is missing."))
            break
        if version.previous_digest != previous or version.digest != _digest(ledger, version):
            found.append(Broken(atom.pk, number, "It is not what was written."))
        elif version.content and hash_text(ledger, version.content) != version.content_hash:
            found.append(Broken(atom.pk, number, "Its text was changed."))
        previous = version.digest
    last = chain[-1]
    if last.version != atom.version:
        found.append(Broken(atom.pk, atom.version, "The last version is missing."))
    elif atom.state != AtomState.REDACTED and last.content_hash != atom.content_hash:
        found.append(Broken(atom.pk, atom.version, "The atom says something else than its last version."))
    return found


def _amend(ledger: MemoryLedger, amendment: Amendment, *, at: datetime) -> None:
    atom = amendment.atom
    atom.content = amendment.content
    atom.content_hash = hash_text(ledger, amendment.content)
    atom.language = amendment.language or atom.language
    atom.version += 1
    atom.is_locked = atom.is_locked or amendment.locks
    atom.updated_at = at
    if amendment.because == CHANGE:
        # Another fact from then on, and one that was said just now.
        atom.valid_from = amendment.valid_from or at
        atom.valid_until = amendment.valid_until
        atom.last_seen_at = max(atom.last_seen_at, at)
    elif amendment.valid_until is not None:
        atom.valid_until = amendment.valid_until
    if amendment.locks:
        atom.confidence = type(atom.confidence)(1)
    atom.expires_at = expires_at(
        KINDS.of(atom.org),
        kind=atom.kind,
        points=atom.base_score,
        confidence=atom.confidence,
        last_seen_at=atom.last_seen_at,
        valid_until=atom.valid_until,
    )


def _last_versions(org: Organization, atoms: Sequence[Atom]) -> dict[int, AtomVersion]:
    rows = AtomVersion.objects.for_org(org).filter(atom__in=atoms).order_by("atom", "-version").distinct("atom")
    return {version.atom_id: version for version in rows.defer("content")}


def _first_versions(ledger: MemoryLedger, atoms: Sequence[Atom]) -> list[AtomVersion]:
    """What atoms were written as, by whom their first source names."""
    if not atoms:
        return []
    sources = AtomSource.objects.for_org(ledger.org_id).filter(atom__in=atoms).order_by("atom", "pk").distinct("atom")
    authors = {row.pop("atom"): row for row in sources.values("atom", "actor_kind", "actor_id", "actor_label")}
    return [
        _version(ledger, atom, None, AtomVersion.Because.WRITTEN, "", authors.get(atom.pk, _UNKNOWN), atom.created_at)
        for atom in atoms
    ]


def _next_version(
    ledger: MemoryLedger, amendment: Amendment, last: AtomVersion, *, actor: Actor, at: datetime
) -> AtomVersion:
    who = {"actor_kind": actor.kind, "actor_id": actor.pk, "actor_label": actor.label[:150]}
    return _version(ledger, amendment.atom, last, amendment.because, amendment.reason, who, at)


def _version(
    ledger: MemoryLedger,
    atom: Atom,
    last: AtomVersion | None,
    because: str,
    reason: str,
    who: Mapping[str, object],
    at: datetime,
) -> AtomVersion:
    """The atom as it is now, as the link after `last`."""
    version = AtomVersion(
        org_id=atom.org_id,
        atom=atom,
        version=last.version + 1 if last else atom.version,
        kind=atom.kind,
        content=atom.content,
        because=because,
        reason=reason,
        **who,
        at=at,
        valid_from=atom.valid_from,
        valid_until=atom.valid_until,
        content_hash=atom.content_hash,
        previous_digest=last.digest if last else "",
    )
    version.digest = _digest(ledger, version)
    return version


def _digest(ledger: MemoryLedger, version: AtomVersion) -> str:
    parts = [
        "version",
        version.org_id,
        version.atom_id,
        version.version,
        version.previous_digest,
        version.content_hash,
        version.kind,
        version.because,
        str(version.actor_kind),
        version.actor_id,
        version.at.astimezone(UTC).isoformat(),
        version.valid_from.astimezone(UTC).isoformat(),
        version.valid_until.astimezone(UTC).isoformat() if version.valid_until else None,
    ]
    return hmac.new(bytes(ledger.secret), json.dumps(parts).encode(), hashlib.sha256).hexdigest()
