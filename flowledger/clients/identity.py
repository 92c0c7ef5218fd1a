"""Who a signal is from, decided by exact keys: a pure function over facts, and the words it is asked in.

A signal brings keys; what each key points at is looked up before (`services.resolve_identity`). Keys that name a
person vote for a contact, keys that name a company for a client:

- the strongest person key that is known names the contact: email before phone before the source's own reference;
- a phone that people share does not vote: its contact has another address and the signal brings one that nobody knows
  yet, or that belongs to somebody with the same number;
- the company domain that the signal states names the client. Without one the contact's client stands, and without
  that the domain of the address, if it is not free mail, and then the exact company name;
- votes that disagree are a conflict: the strongest one is followed and the others are reported;
- what nothing points at is created: a contact for an address or a phone, a client for a domain or a company name.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from enum import StrEnum
from typing import NamedTuple

from flowledger.clients import normalising


class KeyType(StrEnum):
    """What a key is; the values are stored."""

    EMAIL = "email"
    PHONE = "phone"
    COMPANY_DOMAIN = "company_domain"
    SOURCE_REF = "source_ref"
    COMPANY_NAME = "company_name"


class Status(StrEnum):
    """What became of a signal's keys."""

    LINKED = "linked"
    CREATED = "created"
    CONFLICT = "conflict"
    UNRESOLVED = "unresolved"


class Key(NamedTuple):
    """One normalised key; sorts the same everywhere, which is the order in which keys are locked."""

    type: str
    value: str


@dataclass(frozen=True)
class KnownKey:
    """What a stored key points at; the fields that begin with `contact_` are those of the contact."""

    contact_id: int | None = None
    client_id: int | None = None
    contact_client_id: int | None = None
    contact_name: str = ""
    contact_email: str = ""
    contact_phone: str = ""


# How sure a vote of each kind is; the answer's score is that of the key that was followed.
CONFIDENCE: Mapping[str, Decimal] = {
    KeyType.EMAIL: Decimal("1.00"),
    KeyType.PHONE: Decimal("0.95"),
    KeyType.SOURCE_REF: Decimal("0.95"),
    KeyType.COMPANY_DOMAIN: Decimal("0.95"),
    KeyType.COMPANY_NAME: Decimal("0.90"),
}
CONFLICT_CONFIDENCE = Decimal("0.60")


@dataclass(frozen=True)
class SignalKeys:
    """The normalised keys of one signal. `stated_domain` was given, `email_domain` is that of the address."""

    email: str | None = None
    phone: str | None = None
    source_ref: str | None = None
    stated_domain: str | None = None
    email_domain: str | None = None
    company_name: str | None = None

    @classmethod
    def read(
        cls, *, email: str, phone: str, company_name: str, company_domain: str, source_ref: str, region: str
    ) -> SignalKeys:
        """Normalise what a signal says; what does not parse is no key and no error. `region` is for phone numbers."""
        address = normalising.email_address(email)
        return cls(
            email=normalising.email_key(email),
            phone=normalising.phone_number(phone, region),
            source_ref=source_ref.strip()[:255] or None,
            stated_domain=normalising.company_domain(company_domain),
            email_domain=normalising.company_domain(address) if address else None,
            company_name=normalising.company_name_key(company_name),
        )

    @property
    def company_domain(self) -> str | None:
        """The domain that stands for the company."""
        return self.stated_domain or self.email_domain

    @property
    def person_keys(self) -> list[Key]:
        """Keys that name a person, strongest first."""
        pairs = (
            (KeyType.EMAIL, self.email),
            (KeyType.PHONE, self.phone),
            (KeyType.SOURCE_REF, self.source_ref),
        )
        return [Key(kind.value, value) for kind, value in pairs if value]

    @property
    def company_keys(self) -> list[Key]:
        """Keys that name a company, strongest first."""
        pairs = ((KeyType.COMPANY_DOMAIN, self.company_domain), (KeyType.COMPANY_NAME, self.company_name))
        return [Key(kind.value, value) for kind, value in pairs if value]

    def all(self) -> list[Key]:
        """Every key in the order in which they are locked."""
        return sorted({*self.person_keys, *self.company_keys})


@dataclass(frozen=True)
class Rule:
    """One rule that fired: which, on which key, and what that key points at."""

    rule: str
    key_type: str
    key_value: str
    contact_id: int | None = None
    client_id: int | None = None

    def as_dict(self) -> dict[str, object]:
        """For the API and for keeping."""
        return {
            "rule": self.rule,
            "key_type": self.key_type,
            "key_value": self.key_value,
            "points_at": {"contact_id": self.contact_id, "client_id": self.client_id},
        }


@dataclass(frozen=True)
class Resolution:
    """The decision: whom to link, what to create, which keys still point nowhere, and why."""

    status: Status
    contact_id: int | None = None
    client_id: int | None = None
    creates_contact: bool = False
    creates_client: bool = False
    confidence_score: Decimal = Decimal("0.00")
    rules: tuple[Rule, ...] = ()
    other_contact_ids: tuple[int, ...] = ()
    other_client_ids: tuple[int, ...] = ()
    person_keys_to_point: tuple[Key, ...] = ()
    company_keys_to_point: tuple[Key, ...] = ()


@dataclass
class _Votes:
    """Votes in order of strength; the first decides."""

    ids: list[int] = field(default_factory=list)
    strengths: list[Decimal] = field(default_factory=list)

    def add(self, pk: int, strength: Decimal) -> None:
        self.ids.append(pk)
        self.strengths.append(strength)

    @property
    def winner(self) -> int | None:
        return self.ids[0] if self.ids else None

    @property
    def losers(self) -> tuple[int, ...]:
        return tuple(sorted({pk for pk in self.ids if pk != self.winner}))


def resolve(keys: SignalKeys, known: Mapping[Key, KnownKey]) -> Resolution:
    """Decide by exact keys who a signal is from; see the module's words. Deterministic, free of any input or output.

    `known` says what each stored key points at; a key that is missing or points nowhere is new.
    """
    if not keys.all():
        return Resolution(status=Status.UNRESOLVED)
    rules: list[Rule] = []
    contacts = _contact_votes(keys, known, rules)
    clients = _client_votes(keys, known, contacts.winner, rules)
    creates_contact = contacts.winner is None and bool(keys.email or keys.phone)
    creates_client = clients.winner is None and bool(keys.company_keys)
    rules += [Rule("new_contact", *key) for key in keys.person_keys[:1] if creates_contact]
    rules += [Rule("new_client", *key) for key in keys.company_keys[:1] if creates_client]
    if contacts.losers or clients.losers:
        status = Status.CONFLICT
    elif creates_contact or creates_client:
        status = Status.CREATED
    elif contacts.ids or clients.ids:
        status = Status.LINKED
    else:
        status = Status.UNRESOLVED
    return Resolution(
        status=status,
        contact_id=contacts.winner,
        client_id=clients.winner,
        creates_contact=creates_contact,
        creates_client=creates_client,
        confidence_score=_score(status, contacts, clients),
        rules=tuple(rules),
        other_contact_ids=contacts.losers,
        other_client_ids=clients.losers,
        person_keys_to_point=tuple(_new_person_keys(keys, known, has_contact=bool(contacts.ids) or creates_contact)),
        company_keys_to_point=tuple(_new_company_keys(keys, known, clients.winner, creates_client)),
    )


def _contact_votes(keys: SignalKeys, known: Mapping[Key, KnownKey], rules: list[Rule]) -> _Votes:
    votes = _Votes()
    by_address = known.get(Key(KeyType.EMAIL, keys.email)) if keys.email else None
    for key in keys.person_keys:
        fact = known.get(key)
        if fact is None or fact.contact_id is None:
            continue
        if key.type == KeyType.PHONE and _is_shared(keys, fact, by_address):
            rules.append(Rule("shared_phone", *key, contact_id=fact.contact_id))
            continue
        rules.append(Rule(f"exact_{key.type}", *key, contact_id=fact.contact_id, client_id=fact.contact_client_id))
        votes.add(fact.contact_id, CONFIDENCE[key.type])
    return votes


def _is_shared(keys: SignalKeys, by_phone: KnownKey, by_address: KnownKey | None) -> bool:
    """Whether the number is a line of several people: of the address's contact too, or of somebody with another one."""
    if keys.email is None:
        return False
    if by_address is None or by_address.contact_id is None:
        return bool(by_phone.contact_email)
    return by_address.contact_id != by_phone.contact_id and by_address.contact_phone == keys.phone


def _client_votes(keys: SignalKeys, known: Mapping[Key, KnownKey], contact_id: int | None, rules: list[Rule]) -> _Votes:
    votes = _Votes()
    domain = _client_of(known, keys.company_domain)
    if keys.stated_domain and domain is not None:
        rules.append(Rule("exact_company_domain", KeyType.COMPANY_DOMAIN, keys.stated_domain, client_id=domain))
        votes.add(domain, CONFIDENCE[KeyType.COMPANY_DOMAIN])
    source = known.get(Key(KeyType.SOURCE_REF, keys.source_ref)) if keys.source_ref else None
    if source is not None and source.client_id is not None:
        rules.append(Rule("exact_source_ref", KeyType.SOURCE_REF, keys.source_ref or "", client_id=source.client_id))
        votes.add(source.client_id, CONFIDENCE[KeyType.SOURCE_REF])
    for key in keys.person_keys:
        fact = known.get(key)
        if fact is not None and fact.contact_id == contact_id and fact.contact_client_id is not None:
            votes.add(fact.contact_client_id, CONFIDENCE[key.type])
            break
    if not votes.ids and domain is not None:
        rules.append(Rule("exact_company_domain", KeyType.COMPANY_DOMAIN, keys.email_domain or "", client_id=domain))
        votes.add(domain, CONFIDENCE[KeyType.COMPANY_DOMAIN])
    named = known.get(Key(KeyType.COMPANY_NAME, keys.company_name)) if keys.company_name else None
    if not votes.ids and not keys.company_domain and named is not None and named.client_id is not None:
        rules.append(
            Rule("exact_company_name", KeyType.COMPANY_NAME, keys.company_name or "", client_id=named.client_id)
        )
        votes.add(named.client_id, CONFIDENCE[KeyType.COMPANY_NAME])
    return votes


def _client_of(known: Mapping[Key, KnownKey], domain: str | None) -> int | None:
    fact = known.get(Key(KeyType.COMPANY_DOMAIN, domain)) if domain else None
    return fact.client_id if fact else None


def _new_person_keys(keys: SignalKeys, known: Mapping[Key, KnownKey], *, has_contact: bool) -> list[Key]:
    """Person keys that point nowhere and now get the contact. The source's reference may already name a client."""
    if not has_contact:
        return []
    return [
        key for key in keys.person_keys if (fact := known.get(key)) is None or not (fact.contact_id or fact.client_id)
    ]


def _new_company_keys(
    keys: SignalKeys, known: Mapping[Key, KnownKey], client_id: int | None, creates_client: bool
) -> list[Key]:
    """Company keys that point nowhere and now get the client.

    A client that was found by other means keeps its own domain and name: only a new client takes both, and a client
    that was found by its domain takes the name.
    """
    fresh = [key for key in keys.company_keys if (fact := known.get(key)) is None or fact.client_id is None]
    if creates_client:
        return fresh
    if client_id is not None and client_id == _client_of(known, keys.company_domain):
        return [key for key in fresh if key.type == KeyType.COMPANY_NAME]
    return []


def _score(status: Status, contacts: _Votes, clients: _Votes) -> Decimal:
    """The strength of the key that was followed; what was created is its own keys' for certain."""
    if status is Status.CONFLICT:
        return CONFLICT_CONFIDENCE
    if status is Status.CREATED:
        return Decimal("1.00")
    return (contacts.strengths or clients.strengths or [Decimal("0.00")])[0]
