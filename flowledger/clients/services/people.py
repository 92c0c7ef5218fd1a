"""Who a contact is in texts, and what clients and contacts hold of a person."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from django.db.models import Q

from flowledger.clients.erasure import Counts, Passages, Person
from flowledger.clients.identity import KeyType
from flowledger.clients.models import (
    Client,
    Contact,
    IdentityConflict,
    IdentityKey,
    MergedKind,
    MergedRow,
    MergeRecord,
    OnboardingTask,
)
from flowledger.clients.services.keys import lock_keys
from flowledger.clients.services.texts import TextEraser, Texts, redact_said
from flowledger.tenancy.models import Organization

# What a contact is called that was erased: every contact has a name, an address or a number.
ERASED_NAME = "Erased person"
# What the states of a merge hold that cannot be undone any more, because one of the two was erased.
ERASED_STATE = {"erased": True}


def person_of(org: Organization, contact: Contact) -> Person:
    """A standing contact with its tombstones, and all by which it is or was named."""
    ids = [contact.pk, *contact.merged.order_by("pk").values_list("pk", flat=True)]
    rows = Contact.objects.for_org(org).filter(pk__in=ids).values("name", "email", "phone")
    states = [dict(row) for row in rows]
    merges = MergeRecord.objects.for_org(org).filter(_merges_of(ids))
    for record in merges.values("survivor_before", "loser_before", "survivor_after", "survivor_id", "loser_id"):
        states += _states(record, ids)
    keys = IdentityKey.objects.for_org(org).filter(contact__in=ids)
    values = [*keys.values_list("key_type", "key_value")]
    return Person(
        org=org,
        contact_ids=tuple(ids),
        names=_distinct(state.get("name") for state in states),
        emails=_distinct([*(state.get("email") for state in states), *_of_type(values, KeyType.EMAIL)]),
        phones=_distinct([*(state.get("phone") for state in states), *_of_type(values, KeyType.PHONE)]),
    )


def lock_person(org: Organization, contact: Contact) -> Contact:
    """Lock the keys of a contact and its tombstones, and then the rows, as everybody does; answers the contact."""
    ids = [contact.pk, *contact.merged.order_by("pk").values_list("pk", flat=True)]
    lock_keys(IdentityKey.objects.for_org(org).filter(contact__in=ids))
    rows = {row.pk: row for row in Contact.objects.for_org(org).locked().filter(pk__in=ids).order_by("pk")}
    found: Contact = rows[contact.pk]
    return found


def is_erased(contact: Contact) -> bool:
    """Whether the contact was erased, and nobody has written it since."""
    return contact.name == ERASED_NAME and not (contact.email or contact.phone or contact.preferences)


def _merges_of(ids: Iterable[int]) -> Q:
    ids = list(ids)
    return Q(entity_type=MergedKind.CONTACT) & (Q(survivor_id__in=ids) | Q(loser_id__in=ids))


def _states(record: dict[str, Any], ids: Iterable[int]) -> list[dict[str, Any]]:
    """What a merge keeps of those that are meant; the other side of one that was undone is somebody else."""
    found = []
    if record["survivor_id"] in ids:
        found += [record["survivor_before"]]
    if record["loser_id"] in ids:
        found += [record["loser_before"]]
    return found


def _of_type(values: Iterable[tuple[str, str]], wanted: KeyType) -> list[str]:
    return [value for key_type, value in values if key_type == wanted.value]


def _distinct(values: Iterable[Any]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(str(each) for each in values if each and each != ERASED_NAME))


def _named_keys(person: Person) -> Q:
    """The person's keys, and those that point nowhere yet."""
    loose = Q(key_type=KeyType.EMAIL.value, key_value__in=person.emails)
    loose |= Q(key_type=KeyType.PHONE.value, key_value__in=person.phones)
    return Q(contact__in=person.contact_ids) | (loose & Q(contact__isnull=True))


TABLES = [
    Texts(
        Contact,
        own=lambda person: Q(pk__in=person.contact_ids),
        left={
            "name": ERASED_NAME,
            "email": "",
            "phone": "",
            "title": "",
            "preferences": {},
            "social_links": {},
            "is_active": False,
        },
        named_in=("title", "preferences", "social_links"),
    ),
    Texts(
        Client,
        named_in=("attributes",),
        spared=dict.fromkeys(("name", "domain", "industry", "country"), "It is a company's."),
    ),
    Texts(OnboardingTask, named_in=("title",)),
    Texts(IdentityKey, own=_named_keys, goes=True, spared={"key_value": "The keys of others are theirs."}),
    Texts(
        IdentityConflict,
        own=lambda person: Q(contact__in=person.contact_ids) | Q(other_contact__in=person.contact_ids),
        goes=True,
        named_in=("explanation", "note"),
    ),
    Texts(
        MergeRecord,
        own=lambda person: _merges_of(person.contact_ids),
        left={
            "survivor_before": ERASED_STATE,
            "loser_before": ERASED_STATE,
            "survivor_after": ERASED_STATE,
            "undo_report": {},
            "reason": "",
        },
        named_in=("survivor_before", "loser_before", "survivor_after", "undo_report", "reason"),
        spared={
            "merged_by_label": "A member of the organisation.",
            **dict.fromkeys(("choices", "moved", "left"), "Names of fields and tables, and counts."),
        },
    ),
    Texts(MergedRow, spared=dict.fromkeys(("model", "field"), "Names of tables and fields.")),
]

ERASER = TextEraser(TABLES)
_CONTACTS = Texts(Contact)


def redact_contacts(*, org: Organization, passages: Passages, at: datetime, dry_run: bool) -> Counts:
    """Take what was said out of the preferences of contacts; who they are goes by an erasure only."""
    removed = redact_said(_CONTACTS, ("preferences",), org=org, passages=passages, at=at, dry_run=dry_run)
    return {_CONTACTS.label: len(removed)} if removed else {}
