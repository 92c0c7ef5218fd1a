"""Erasure of a person: every atom about them, every text that names them, and the contact itself."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from django.db.models import Q, TextField
from django.db.models.functions import Cast

from flowledger.clients.erasure import Counts, Eraser, Person, add_counts, erasers
from flowledger.clients.models import Contact
from flowledger.clients.services.people import is_erased, lock_person, person_of
from flowledger.clients.services.survivors import require_standing
from flowledger.clients.services.texts import TextEraser, Texts, candidate
from flowledger.errors import Conflict
from flowledger.tenancy.actors import Actor
from flowledger.tenancy.models import Organization
from flowledger.tenancy.permissions import authorize
from flowledger.tenancy.usecases import use_case
from memory.machines import AtomState
from memory.models import (
    Atom,
    AtomConflict,
    AtomSource,
    AtomVersion,
    ExtractionJob,
    LegalHold,
    MemoryCard,
    Redaction,
)
from memory.services.reasons import checked_reason
from memory.services.redaction import NO_REASON, DryRun, add_larger, linked_atoms, reach_of, remove, take_out
from workstream.models import Signal

Seeds = dict[tuple[str, int], None]
_MACHINE = "A name or a code of the machine's."
_MEMBER = "A member of the organisation, or a key."


def _cards(person: Person) -> Q:
    """Cards that name the person: whom to talk to is on them without any atom."""
    if not person.mentions:
        return Q(pk__in=[])
    naming = Q(pk__in=[])
    for column in ("summary", "top_atoms", "lessons"):
        naming |= Q(candidate(person.mentions, Cast(column, TextField())))
    return naming


# What memory itself says of people beside what it redacts: tags, notes, reasons. Locked after ledger and atoms.
TABLES = [
    Texts(
        Atom,
        named_in=("tags",),
        spared={"content": "Redacted whole.", "thread_key": _MACHINE, "content_hash": "Salted."},
    ),
    Texts(
        AtomSource,
        named_in=("origin_id", "url"),
        spared={
            **dict.fromkeys(("natural_key", "system", "source_type", "source_field", "event_name"), _MACHINE),
            "extractor": _MACHINE,
            "actor_label": _MEMBER,
        },
    ),
    Texts(
        AtomVersion,
        spared={
            **dict.fromkeys(("content", "reason"), "Redacted whole with their atom."),
            **dict.fromkeys(("content_hash", "previous_digest", "digest"), "Salted."),
            "actor_label": _MEMBER,
        },
    ),
    Texts(AtomConflict, named_in=("slot", "note")),
    Texts(LegalHold, named_in=("reason", "release_reason")),
    Texts(
        Redaction,
        named_in=("reason",),
        spared={
            **dict.fromkeys(("named", "touched"), "Ids and counts."),
            "digest": "Salted.",
            "actor_label": _MEMBER,
        },
    ),
    Texts(ExtractionJob, named_in=("failure",), spared={"source_type": _MACHINE}),
    Texts(
        MemoryCard,
        own=_cards,
        goes=True,
        spared={
            **dict.fromkeys(("summary", "top_atoms", "lessons"), "A card that names somebody goes."),
            **dict.fromkeys(("etag", "template_version"), _MACHINE),
        },
    ),
]
# Nothing there is a text of somebody: secrets, counts, vectors that go with their atoms.
SPARED = frozenset(
    {"memory.memoryledger", "memory.termstat", "memory.atomvector", "memory.atomlink", "memory.cardmark"}
    | {"memory.cardlook"}
)
ERASER = TextEraser(TABLES)


@use_case
def erase_person(
    *, org: Organization, contact_id: int, reason: str, actor: Actor, at: datetime, dry_run: bool = False
) -> Redaction | DryRun:
    """Redact every atom about a contact, take them out of every text, and leave the contact as nobody's row.

    Deals, companies and counts stay; signals keep their time, source and state and lose what they said. The merges that
    the contact had a part in can be undone no more, and neither can imports bring it back. What names them by one word
    only is not found. Again it answers with the redaction that was. Raises NotFound, PermissionRefused, InvalidInput
    without a reason, and Conflict for a tombstone, under a legal hold, or when others keep writing meanwhile.
    """
    authorize(actor, "erase_person")
    said = checked_reason(reason, missing=NO_REASON)
    contact: Contact = Contact.objects.for_org(org).fetch(contact_id)
    require_standing(contact)
    if dry_run:
        return _dry_run(org, person_of(org, contact), at=at)
    former = _former(org, contact)
    if former is not None:
        return former
    person = person_of(org, lock_person(org, contact))
    _require_unheld(org, person)
    # Asked before the names go: what is erased is found by them.
    atom_ids = atoms_about(org, person)
    seeds = _seeds(org, person)
    first, *others = erasers().values()
    return remove(
        org=org,
        find=lambda: ({*atom_ids, *atoms_about(org, person)}, seeds),
        record=Redaction(org=org, target=Redaction.Target.PERSON, named=_named(person), reason=said),
        actor=actor,
        at=at,
        # Contacts and clients are locked before all that the others hold.
        touched=first.erase(person=person, at=at),
        then=lambda: _erase_with(others, person, at=at),
        last=lambda: ERASER.erase(person=person, at=at),
    )


def atoms_about(org: Organization, person: Person) -> list[int]:
    """The atoms that are visible from a person, and those that name them, in whatever version."""
    found = set(linked_atoms(org, "contact", person.contact_ids))
    if person.mentions:
        pattern = person.mentions.candidates
        rows = Atom.objects.for_org(org).exclude(state=AtomState.REDACTED).filter(content__iregex=pattern)
        found |= {pk for pk, text in rows.values_list("pk", "content") if person.mentions.is_in(text)}
        versions = AtomVersion.objects.for_org(org).filter(Q(content__iregex=pattern) | Q(reason__iregex=pattern))
        for pk, *texts in versions.values_list("atom_id", "content", "reason"):
            if any(person.mentions.is_in(text) for text in texts):
                found.add(pk)
    return sorted(found)


def _dry_run(org: Organization, person: Person, *, at: datetime) -> DryRun:
    touched: Counts = {}
    for eraser in (*erasers().values(), ERASER):
        add_counts(touched, eraser.count(person=person))
    found = reach_of(org, atoms_about(org, person), _seeds(org, person))
    add_larger(touched, take_out(org, found, at=at, dry_run=True))
    return DryRun(Redaction.Target.PERSON.value, _named(person), len(found.atoms), touched)


def _seeds(org: Organization, person: Person) -> Seeds:
    """What goes whole besides atoms: what the person sent, with what quotes it, and what was noted of them."""
    sent = Signal.objects.for_org(org).filter(contact__in=person.contact_ids).order_by("pk")
    return {
        **{("contact", pk): None for pk in person.contact_ids},
        **{("signal", pk): None for pk in sent.values_list("pk", flat=True)},
    }


def _erase_with(chosen: Sequence[Eraser], person: Person, *, at: datetime) -> Counts:
    touched: Counts = {}
    for eraser in chosen:
        add_counts(touched, eraser.erase(person=person, at=at))
    return touched


def _former(org: Organization, contact: Contact) -> Redaction | None:
    rows = Redaction.objects.for_org(org).filter(target=Redaction.Target.PERSON, named__contact_id=contact.pk)
    former: Redaction | None = rows.order_by("-pk").first()
    # A contact that was written again since is erased again.
    return former if former is not None and is_erased(contact) else None


def _named(person: Person) -> dict[str, Any]:
    return {"contact_id": person.contact_ids[0], "merged_contact_ids": list(person.contact_ids[1:])}


def _require_unheld(org: Organization, person: Person) -> None:
    """Raise Conflict when a hold stands on the contact itself; one on what it is linked to is seen with the atoms."""
    held = LegalHold.objects.for_org(org).filter(contact__in=person.contact_ids, released_at__isnull=True)
    if held.exists():
        raise Conflict("This contact is under a legal hold; an administrator has to release it first.")
