"""FlowLedger's side: the base as clients and contacts, the records as signals through its own resolution.

Import it when Django is set up.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from django.db import transaction

from flowledger.clients import normalising
from flowledger.clients.identity import Key, KeyType
from flowledger.clients.models import Client, Contact, IdentityConflict, IdentityKey, KeyStatus
from flowledger.clients.services import resolution
from flowledger.tenancy.actors import Actor
from flowledger.tenancy.models import Organization
from flowledger.tenancy.scope import org_scope, system_scope
from tests.bench.identity.labelled import REGION, Labelled, Record

AT = datetime(2026, 11, 21, 12, tzinfo=UTC)
CHUNK = 500


@dataclass
class Loaded:
    """The base in the database: which row is whom."""

    org: Organization
    contacts: dict[int, int]
    clients: dict[int, int]


@dataclass
class Found:
    """What became of the records, in ids of the base.

    `linked` is what a signal was linked to. `proposed` adds what waits in the review queue: of a contact or client
    that was made for the record, the pair with somebody of the base that has the best score.
    """

    linked_contacts: dict[int, int | None] = field(default_factory=dict)
    linked_clients: dict[int, int | None] = field(default_factory=dict)
    proposed_contacts: dict[int, int | None] = field(default_factory=dict)
    proposed_clients: dict[int, int | None] = field(default_factory=dict)
    reasons: dict[int, dict[str, Any]] = field(default_factory=dict)
    # How many contacts and clients of one person or company were made, over all that were made.
    contacts_per_stranger: float = 0.0
    clients_per_stranger: float = 0.0


def new_organization(name: str) -> Organization:
    """An organisation of the labelled data's region."""
    with system_scope("bench"):
        org: Organization = Organization.objects.create(name=name, default_region=REGION)
    return org


def load(labelled: Labelled, org: Organization, *, mark: str = "") -> Loaded:
    """Enter the base as the use cases enter clients and contacts: rows, and the keys that name them.

    `mark` sets the domains of one draw apart from those of another in the same organisation, and with them the
    addresses; names of people and companies meet as they do.
    """
    with org_scope(org):
        clients = Client.objects.for_org(org).bulk_create(
            [
                Client(org=org, name=one.name, domain=_marked(one.domain, mark), country=one.country)
                for one in labelled.clients
            ],
            batch_size=1_000,
        )
        by_client = {one.id: row.pk for one, row in zip(labelled.clients, clients, strict=True)}
        contacts = Contact.objects.for_org(org).bulk_create(
            [
                Contact(
                    org=org,
                    client_id=by_client[one.client] if one.client else None,
                    name=one.name,
                    email=_marked_address(one.email, mark),
                    phone=one.phone,
                    title=one.title,
                )
                for one in labelled.contacts
            ],
            batch_size=1_000,
        )
        keys: dict[Key, dict[str, int]] = {}
        for client in clients:
            for key in _client_keys(client):
                keys.setdefault(key, {"client_id": client.pk})
        for contact in contacts:
            for key in _contact_keys(contact):
                keys.setdefault(key, {"contact_id": contact.pk})
        IdentityKey.objects.for_org(org).bulk_create(
            [
                IdentityKey(
                    org=org,
                    key_type=key.type,
                    key_value=key.value,
                    first_seen=AT,
                    last_seen=AT,
                    status=KeyStatus.MANUAL,
                    **owner,
                )
                for key, owner in keys.items()
            ],
            batch_size=1_000,
            # A switchboard or a company's name that another draw has, too.
            ignore_conflicts=True,
        )
    by_contact = {one.id: row.pk for one, row in zip(labelled.contacts, contacts, strict=True)}
    return Loaded(org=org, contacts=by_contact, clients=by_client)


def _marked(domain: str, mark: str) -> str:
    label, dot, suffix = domain.partition(".")
    return f"{label}{mark}{dot}{suffix}" if domain else ""


def _marked_address(email: str, mark: str) -> str:
    local, at, host = email.partition("@")
    if not email or not mark:
        return email
    if normalising.is_free_mail(host):
        return f"{local}{mark.replace('-', '.')}{at}{host}"
    return f"{local}{at}{_marked(host, mark)}"


def _client_keys(client: Client) -> Iterable[Key]:
    if client.domain and (domain := normalising.company_domain(client.domain)):
        yield Key(KeyType.COMPANY_DOMAIN.value, domain)
    if name := normalising.company_name_key(client.name):
        yield Key(KeyType.COMPANY_NAME.value, name)


def _contact_keys(contact: Contact) -> Iterable[Key]:
    if contact.email and (email := normalising.email_key(contact.email)):
        yield Key(KeyType.EMAIL.value, email)
    if contact.phone:
        yield Key(KeyType.PHONE.value, contact.phone)


def asked_of(record: Record) -> resolution.Asked:
    """What a record says of who it is from."""
    return resolution.Asked(
        email=record.email,
        phone=record.phone,
        name=record.name,
        company_name=record.company_name,
        company_domain=record.company_domain,
        country=record.country,
    )


def resolve_records(loaded: Loaded, records: Sequence[Record]) -> list[tuple[Record, resolution.ResolvedIdentity]]:
    """Resolve the records in the order in which they came, in transactions of 500."""
    actor = Actor.system("bench")
    answers: list[tuple[Record, resolution.ResolvedIdentity]] = []
    for first in range(0, len(records), CHUNK):
        chunk = records[first : first + CHUNK]
        with org_scope(loaded.org), transaction.atomic():
            resolved = resolution.resolve_identities(
                org=loaded.org,
                asked=[asked_of(record) for record in chunk],
                actor=actor,
                at=AT,
            )
        answers += zip(chunk, resolved, strict=True)
    return answers


def answers_of(loaded: Loaded, resolved: Sequence[tuple[Record, resolution.ResolvedIdentity]]) -> Found:
    """The resolved records in ids of the base, with what the review queue proposes for those that were made."""
    base_contacts = {row: one for one, row in loaded.contacts.items()}
    base_clients = {row: one for one, row in loaded.clients.items()}
    contact_pairs = _suggested(loaded.org, "contact", base_contacts)
    client_pairs = _suggested(loaded.org, "client", base_clients)
    found = Found()
    made_contacts: dict[int, set[int]] = defaultdict(set)
    made_clients: dict[int, set[int]] = defaultdict(set)
    for record, answer in resolved:
        contact, client = answer.contact_id, answer.client_id
        found.linked_contacts[record.id] = base_contacts.get(contact or 0)
        found.linked_clients[record.id] = base_clients.get(client or 0)
        found.proposed_contacts[record.id] = base_contacts.get(contact or 0) or contact_pairs.get(contact or 0)
        found.proposed_clients[record.id] = base_clients.get(client or 0) or client_pairs.get(client or 0)
        found.reasons[record.id] = answer.as_dict()
        if contact and contact not in base_contacts and record.person not in loaded.contacts:
            made_contacts[record.person].add(contact)
        if client and record.company and client not in base_clients and record.company not in loaded.clients:
            made_clients[record.company].add(client)
    found.contacts_per_stranger = _mean([len(made) for made in made_contacts.values()])
    found.clients_per_stranger = _mean([len(made) for made in made_clients.values()])
    return found


def _mean(values: Sequence[int]) -> float:
    return sum(values) / len(values) if values else 0.0


def _suggested(org: Organization, side: str, base: dict[int, int]) -> dict[int, int]:
    """By a row that was made: whom of the base it may be, by the best open suggestion."""
    names = (f"{side}_id", f"other_{side}_id")
    with org_scope(org):
        rows = list(
            IdentityConflict.objects.for_org(org)
            .filter(kind="suggestion", status="open", **{f"{side}__isnull": False})
            .order_by("score", "-pk")
            .values_list(*names)
        )
    # The best comes last and stands.
    pairs: dict[int, int] = {}
    for one, other in rows:
        if (one in base) != (other in base):
            made, known = (other, one) if one in base else (one, other)
            pairs[made] = base[known]
    return pairs
