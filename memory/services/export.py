"""The export of a person: all that is held about a contact, as JSON."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from flowledger.clients.erasure import Held, Person, erasers
from flowledger.clients.models import Contact
from flowledger.clients.services.people import person_of
from flowledger.clients.services.survivors import standing
from flowledger.errors import Conflict
from flowledger.tenancy.actors import Actor
from flowledger.tenancy.models import Organization
from flowledger.tenancy.permissions import authorize
from flowledger.tenancy.usecases import use_case
from memory.models import Atom, AtomSource, AtomVersion
from memory.services.erasure import atoms_about

# One answer; whoever has more is exported from the shell (docs/recipes/memory.md).
MOST_ROWS = 50_000


@dataclass(frozen=True)
class Export:
    """All that is held: atoms with their versions and sources, and the rows of every app by table."""

    contact_id: int
    exported_at: datetime
    atoms: list[dict[str, Any]]
    held: Held


@use_case
def export_person(*, org: Organization, contact_id: int, actor: Actor, at: datetime) -> Export:
    """Gather what every app holds about a person, tombstones of merges with it; archived atoms are part of it.

    What names them in a text of somebody else's is there with that text. A tombstone's id exports its survivor. Raises
    NotFound, PermissionRefused, and Conflict for more than MOST_ROWS rows.
    """
    authorize(actor, "export_person")
    contact: Contact = standing(Contact, org=org, pk=contact_id)
    person = person_of(org, contact)
    held: Held = {}
    for eraser in erasers().values():
        for table, rows in eraser.export(person=person).items():
            held.setdefault(table, []).extend(rows)
    if sum(map(len, held.values())) > MOST_ROWS:
        raise Conflict(f"More than {MOST_ROWS:,} rows name this contact; narrow its names or merge records first.")
    return Export(contact_id=contact.pk, exported_at=at, atoms=_atoms(org, person), held=held)


def _atoms(org: Organization, person: Person) -> list[dict[str, Any]]:
    ids = atoms_about(org, person)
    sources: dict[int, list[dict[str, Any]]] = {}
    columns = ("system", "source_type", "source_id", "source_field", "origin_id", "url", "event_name", "occurred_at")
    for row in AtomSource.objects.for_org(org).filter(atom__in=ids).order_by("pk"):
        sources.setdefault(row.atom_id, []).append({name: getattr(row, name) for name in columns})
    versions: dict[int, list[dict[str, Any]]] = {}
    for version in AtomVersion.objects.for_org(org).filter(atom__in=ids).order_by("atom", "version"):
        versions.setdefault(version.atom_id, []).append(
            {"version": version.version, "content": version.content, "because": version.because, "at": version.at}
        )
    return [
        {
            "atom_id": atom.pk,
            "kind": atom.kind,
            "content": atom.content,
            "state": str(atom.state),
            "tags": atom.tags,
            "entity_type": atom.entity_type,
            "entity_id": atom.entity_id,
            "occurred_at": atom.occurred_at,
            "valid_from": atom.valid_from,
            "valid_until": atom.valid_until,
            "redacted_at": atom.redacted_at,
            "sources": sources.get(atom.pk, []),
            "versions": versions.get(atom.pk, []),
        }
        for atom in Atom.objects.for_org(org).filter(pk__in=ids).order_by("pk")
    ]
