"""What is known while many signals are resolved: read at once before, kept in step with every decision, written after.

Contacts and clients that a decision makes have a number beyond all stored ones until they are stored, in the order in
which they are made; the decisions that follow find them by it like any other.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from decimal import Decimal
from typing import Any

from django.contrib.postgres.expressions import ArraySubquery
from django.db.models import OuterRef

from flowledger.clients.company_names import place_of
from flowledger.clients.identity import SHARED_CONFIDENCE, Resolution
from flowledger.clients.identity_keys import Key, KeyType, KnownKey, SignalKeys
from flowledger.clients.matching import Company, Person
from flowledger.clients.models import Client, Contact, IdentityKey
from flowledger.clients.person_names import words_of
from flowledger.clients.services.survivors import survivor_ids
from flowledger.clients.similarity import Candidates, Thresholds
from flowledger.clients.sql import matching
from flowledger.clients.sql.resolving import Completed, Pointed
from flowledger.tenancy.models import Organization

NOT_STORED = 1 << 62
BLANK: Mapping[str, Any] = {"name": "", "email": "", "phone": "", "client_id": None}


@dataclass
class Decided:
    """What was decided on one signal, with the numbers of what it made or filled."""

    resolution: Resolution
    contact_id: int | None
    client_id: int | None
    completed: dict[str, Any] = field(default_factory=dict)


class IdentityBook:
    """Keys, contacts and clients as the decisions so far make them."""

    def __init__(self, org: Organization) -> None:
        self.org = org
        self.known: dict[Key, KnownKey] = {}
        self.new_clients: dict[int, Client] = {}
        self.new_contacts: dict[int, Contact] = {}
        self.completions: dict[int, Completed] = {}
        self.pointed: dict[Key, Pointed] = {}
        self.conflicting: set[Key] = set()
        self.shared: dict[Key, Decimal] = {}
        self._contacts: dict[int, dict[str, Any]] = {}
        self._people: dict[int, Person] = {}
        self._companies: dict[int, Company] = {}
        self._keys_of: dict[int, set[Key]] = defaultdict(set)
        # Whom this chunk made, by what the blocking functions look up in the database.
        self._made_by_client: dict[int | None, list[int]] = defaultdict(list)
        self._made_by_words: dict[tuple[str, ...], list[int]] = defaultdict(list)
        self._made_by_phone: dict[str, list[int]] = defaultdict(list)
        # The company names that this chunk has pointed at clients, by their blocks: what a look-up would find now.
        self._named_by_block: dict[str, list[tuple[str, int]]] = defaultdict(list)

    # Reading

    def lock(self, keys: Iterable[Key], *, at: datetime) -> None:
        """Lock the keys for this transaction and read the contacts that they point at.

        The contacts are read by a statement after the lock: one that another transaction made while we waited is seen.
        """
        self.known = IdentityKey.objects.for_org(self.org).claimed(self.org, keys, at=at)
        self._read_contacts({fact.contact_id for fact in self.known.values() if fact.contact_id is not None})
        for key, fact in list(self.known.items()):
            if fact.contact_id is not None:
                self._keys_of[fact.contact_id].add(key)
                self.known[key] = self._with_contact(fact)

    def read_countries(self, keys: Iterable[SignalKeys]) -> None:
        """Read the places of the clients that domains and names point at, for signals that say one."""
        wanted = {key for one in keys if one.place for key in one.company_keys}
        owners = {fact.client_id for key in wanted if (fact := self.known[key]).client_id is not None}
        if not owners:
            return
        rows = Client.objects.for_org(self.org).filter(pk__in=owners).values_list("pk", "name", "country")
        places = {pk: place_of(name, country) for pk, name, country in rows}
        for key in wanted:
            fact = self.known[key]
            if fact.client_id is not None:
                self.known[key] = replace(fact, client_country=places.get(fact.client_id, ""))

    def read_people(self, pks: Iterable[int]) -> None:
        """Read all that is known of contacts, for comparing; tombstones are left out."""
        keys = IdentityKey.objects.for_org(self.org).filter(contact=OuterRef("pk"))
        rows = (
            Contact.objects.for_org(self.org)
            .current()
            .filter(pk__in=set(pks))
            .annotate(
                emails=ArraySubquery(keys.filter(key_type=KeyType.EMAIL.value).values("key_value")),
                phones=ArraySubquery(keys.filter(key_type=KeyType.PHONE.value).values("key_value")),
            )
            .values_list("pk", "name", "email", "phone", "client_id", "emails", "phones")
        )
        for pk, name, email, phone, client_id, emails, phones in rows:
            self._people[pk] = Person(
                name=name,
                emails=tuple(sorted({*emails, email} - {""})),
                phones=tuple(sorted({*phones, phone} - {""})),
                company=Company(client_id=client_id),
            )
            self._contacts.setdefault(pk, {"name": name, "email": email, "phone": phone, "client_id": client_id})

    def read_companies(self, pks: Iterable[int]) -> None:
        """Read all that is known of clients, for comparing, and those of the people read before; no tombstones."""
        of_people = {person.company.client_id for person in self._people.values()} - {None}
        keys = IdentityKey.objects.for_org(self.org).filter(client=OuterRef("pk"))
        rows = (
            Client.objects.for_org(self.org)
            .current()
            .filter(pk__in={*pks, *of_people})
            .annotate(domains=ArraySubquery(keys.filter(key_type=KeyType.COMPANY_DOMAIN.value).values("key_value")))
            .values_list("pk", "name", "domain", "country", "domains")
        )
        for pk, name, domain, country, domains in rows:
            self._companies[pk] = Company(name, tuple(sorted({*domains, domain} - {""})), country, pk)

    def is_doubtful(self, keys: SignalKeys) -> bool:
        """Whether a signal names a company that its domain's client is not known by: perhaps another one of a group."""
        owner = self.known.get(Key(KeyType.COMPANY_DOMAIN.value, keys.company_domain or ""))
        named = self.known.get(Key(KeyType.COMPANY_NAME.value, keys.company_name or ""))
        return (
            owner is not None
            and owner.client_id is not None
            and named is not None
            and (named.client_id != owner.client_id)
        )

    def candidates(
        self,
        keys: SignalKeys,
        *,
        clients: Iterable[int],
        contacts: Iterable[int],
        employers: Iterable[int],
        thresholds: Thresholds,
    ) -> Candidates:
        """Those that were found for a signal, with the contacts of this chunk that the same look-up would find.

        `employers` are the clients whose contacts are looked through.
        """
        client_ids = set(clients)
        named = self.known.get(Key(KeyType.COMPANY_NAME.value, keys.company_name or ""))
        if named is not None and named.client_id is not None:
            client_ids.add(named.client_id)
        by_domain = self.known.get(Key(KeyType.COMPANY_DOMAIN.value, keys.company_domain or ""))
        if by_domain is not None and by_domain.client_id is not None:
            client_ids.add(by_domain.client_id)
        contact_ids = {*contacts, *self._made_by_words.get(tuple(sorted(words_of(keys.name))), ())}
        contact_ids.update(self._made_by_phone.get(keys.phone or "", ()))
        contact_ids.update(pk for client in employers for pk in self._made_by_client.get(client, ()))
        by_phone = self.known.get(Key(KeyType.PHONE.value, keys.phone or ""))
        if by_phone is not None and by_phone.contact_id is not None:
            contact_ids.add(by_phone.contact_id)
        return Candidates(
            contacts=self.people_among(contact_ids), clients=self.companies_among(client_ids), thresholds=thresholds
        )

    def made_alike(self, keys: SignalKeys) -> list[int]:
        """The clients that the look-up would find by the names of this chunk, most alike first."""
        if not self._named_by_block:
            return []
        name = keys.name_to_look_up
        near = {found for block in matching.company_blocks(name) for found in self._named_by_block.get(block, ())}
        likeness = {each: matching.likeness(name, each[0]) for each in near}
        ordered = sorted(near, key=lambda each: (-likeness[each], each[1]))[: matching.COMPANY_CANDIDATES]
        return list(dict.fromkeys(pk for _, pk in ordered))

    def person(self, pk: int) -> Person:
        """All that is known of a contact that was read, with the company; a blank person for one that was not."""
        one = self._people.get(pk, Person())
        return replace(one, company=self._company_of(one))

    def company(self, pk: int) -> Company:
        """All that is known of a client that was read; a blank company for one that was not."""
        return self._companies.get(pk, Company())

    def people_among(self, pks: Iterable[int]) -> dict[int, Person]:
        """Those that were read and stand."""
        return {pk: self.person(pk) for pk in sorted(set(pks)) if pk in self._people}

    def companies_among(self, pks: Iterable[int]) -> dict[int, Company]:
        """Those that were read and stand."""
        return {pk: self._companies[pk] for pk in sorted(set(pks)) if pk in self._companies}

    # Deciding

    def apply(self, keys: SignalKeys, resolution: Resolution, fields: Mapping[str, str], *, country: str) -> Decided:
        """Make what was decided known to the signals that follow; `fields` are the contact's as the signal has them."""
        client_id = resolution.client_id
        if resolution.creates_client:
            client_id = self._make_client(keys, country=country)
        decided = Decided(resolution, resolution.contact_id, client_id)
        address = Key(KeyType.EMAIL.value, keys.email or "")
        owner = self.known.get(address)
        is_theirs = owner is not None and owner.contact_id is not None and owner.contact_id == resolution.contact_id
        if not is_theirs and address not in resolution.person_keys_to_point:
            # A contact has the addresses alone that name it: a mailbox that several people use stays with whom it was
            # first, and is nobody's as long as it has been seen only with somebody who was found by likeness.
            fields = {**fields, "email": ""}
        line = self.known.get(Key(KeyType.PHONE.value, keys.phone or ""))
        if line is not None and line.contact_id in resolution.other_contact_ids:
            # What contradicts is somebody else's until a person decides.
            fields = {**fields, "phone": ""}
        if resolution.creates_contact:
            decided.contact_id = self._make_contact(fields, client_id)
        elif resolution.contact_id is not None:
            decided.completed = self._complete(resolution.contact_id, {**fields, "client_id": client_id})
        confidence = Decimal(1) if resolution.creates_contact else resolution.confidence_score
        for key in resolution.person_keys_to_point:
            self._point(key, decided.contact_id, None, confidence)
        for key in resolution.company_keys_to_point:
            self._point(key, None, client_id, Decimal(1) if resolution.creates_client else Decimal("0.90"))
        for key in resolution.shared_keys:
            self.known[key] = replace(self.known[key], confidence=SHARED_CONFIDENCE)
            self.shared[key] = SHARED_CONFIDENCE
        return decided

    # Private

    def _read_contacts(self, pks: set[int]) -> None:
        if not pks:
            return
        rows = Contact.objects.for_org(self.org).filter(pk__in=pks)
        found = list(rows.values_list("pk", "client_id", "name", "email", "phone", "canonical_id"))
        for pk, client_id, name, email, phone, _ in found:
            self._contacts[pk] = {"name": name, "email": email, "phone": phone, "client_id": client_id}
        if any(canonical_id for *_, canonical_id in found):
            self._follow_survivors(pks)

    def _follow_survivors(self, pks: set[int]) -> None:
        """A key that a merge has overlooked means the survivor."""
        survivors = survivor_ids(Contact, org=self.org, ids=pks)
        self._read_contacts(set(survivors.values()) - set(self._contacts))
        for key, fact in self.known.items():
            if fact.contact_id in survivors:
                self.known[key] = replace(fact, contact_id=survivors[fact.contact_id])

    def _with_contact(self, fact: KnownKey) -> KnownKey:
        has = self._contacts[fact.contact_id or 0]
        return replace(
            fact,
            contact_client_id=has["client_id"],
            contact_name=has["name"],
            contact_email=has["email"],
            contact_phone=has["phone"],
        )

    def _company_of(self, person: Person) -> Company:
        return self._companies.get(person.company.client_id or 0, person.company)

    def _make_client(self, keys: SignalKeys, *, country: str) -> int:
        """A client named as the signal names it, else by its domain."""
        pk, domain = NOT_STORED + len(self.new_clients), keys.company_domain or ""
        if domain and self.known[Key(KeyType.COMPANY_DOMAIN.value, domain)].client_id is not None:
            # The domain of another company of its group.
            domain = ""
        name = " ".join(keys.company.split())[:200] or domain
        self.new_clients[pk] = Client(org=self.org, name=name, domain=domain, country=country)
        self._companies[pk] = Company(name, (domain,) if domain else (), country, pk)
        return pk

    def _make_contact(self, fields: Mapping[str, str], client_id: int | None) -> int:
        pk = NOT_STORED + len(self.new_contacts)
        self.new_contacts[pk] = Contact(org=self.org, client_id=client_id, **fields)
        self._contacts[pk] = {**fields, "client_id": client_id}
        self._people[pk] = Person(
            name=fields["name"],
            emails=(fields["email"],) if fields["email"] else (),
            phones=(fields["phone"],) if fields["phone"] else (),
            company=Company(client_id=client_id),
        )
        self._enter(pk, {**fields, "client_id": client_id})
        return pk

    def _enter(self, contact_id: int, fields: Mapping[str, Any]) -> None:
        """Let the signals that follow find a contact by what it has now."""
        if fields.get("client_id") is not None:
            self._made_by_client[fields["client_id"]].append(contact_id)
        if words := tuple(sorted(words_of(fields.get("name", "")))):
            self._made_by_words[words].append(contact_id)
        if fields.get("phone"):
            self._made_by_phone[fields["phone"]].append(contact_id)

    def _complete(self, contact_id: int, fields: Mapping[str, Any]) -> dict[str, Any]:
        """Fill what is blank on a known contact; what is there stays. Answers what it was before."""
        has = self._contacts[contact_id]
        filled = {name: value for name, value in fields.items() if value and not has[name]}
        if not filled:
            return {}
        has.update(filled)
        self._enter(contact_id, filled)
        if made := self.new_contacts.get(contact_id):
            for name, value in filled.items():
                setattr(made, name, value)
        else:
            before = self.completions.get(contact_id, Completed(contact_id, "", "", "", None))
            self.completions[contact_id] = before._replace(**filled)
        for key in self._keys_of[contact_id]:
            self.known[key] = self._with_contact(self.known[key])
        if (person := self._people.get(contact_id)) is not None:
            self._people[contact_id] = replace(
                person,
                name=has["name"],
                emails=tuple(sorted({*person.emails, has["email"]} - {""})),
                phones=tuple(sorted({*person.phones, has["phone"]} - {""})),
                company=Company(client_id=has["client_id"]),
            )
        return {name: BLANK[name] for name in filled}

    def _point(self, key: Key, contact_id: int | None, client_id: int | None, confidence: Decimal) -> None:
        self.pointed[key] = Pointed(key, contact_id, client_id, confidence)
        fact = replace(self.known[key], contact_id=contact_id, client_id=client_id, confidence=confidence)
        if contact_id is not None:
            self._keys_of[contact_id].add(key)
            fact = self._with_contact(fact)
            if (person := self._people.get(contact_id)) is not None:
                self._people[contact_id] = _with_key(person, key)
        else:
            if key.type == KeyType.COMPANY_NAME and client_id is not None:
                for block in matching.stored_blocks(key.value):
                    self._named_by_block[block].append((key.value, client_id))
            company = self._companies.get(client_id or 0)
            if company is not None:
                fact = replace(fact, client_country=company.place)
                if key.type == KeyType.COMPANY_DOMAIN:
                    self._companies[client_id or 0] = replace(
                        company, domains=tuple(sorted({*company.domains, key.value}))
                    )
        self.known[key] = fact


def _with_key(person: Person, key: Key) -> Person:
    if key.type == KeyType.EMAIL:
        return replace(person, emails=tuple(sorted({*person.emails, key.value})))
    if key.type == KeyType.PHONE:
        return replace(person, phones=tuple(sorted({*person.phones, key.value})))
    return person
