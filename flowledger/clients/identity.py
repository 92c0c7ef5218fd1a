"""Who a signal is from, decided by keys and then by likeness: a pure function over facts, and the words it is asked in.

A signal brings keys; what each key points at is looked up before (`services.resolve_identity`). Keys that name a
person vote for a contact, keys that name a company for a client:

- the strongest person key that is known names the contact: email before phone before the source's own reference;
- a phone that people share does not vote: its contact has another address and the signal brings one that nobody knows
  yet, or that belongs to somebody with the same number;
- the company domain that the signal states names the client. Without one the contact's client stands, unless the
  address's domain and the company name both name another one; without a contact's client the domain of the address
  does, if it is not free mail, and then the exact company name;
- a company's name does not name a client of another country, or one whose legal form is of another country;
- votes that disagree are a conflict: the strongest one is followed and the others are reported;
- a company that is named at the domain of another one of its group is the one that is named;
- a mailbox of a function (info@) or a phone does not name somebody whose name is another than the signal's;
- what no key points at is looked for among those that are alike (`similarity`): who is certain is linked, of who is
  likely a person is asked, and otherwise it is created: a contact for an address or a phone, a client for a domain or
  a company name.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal
from enum import StrEnum

from flowledger.clients.company_names import NamesAgree, are_apart, compare_companies
from flowledger.clients.identity_keys import Key, KeyType, KnownKey, SignalKeys
from flowledger.clients.matching import Company, Score
from flowledger.clients.person_names import Alike, compare_names, is_role_mailbox, words_of
from flowledger.clients.similarity import (
    NOBODY,
    Candidates,
    Choice,
    Likely,
    Member,
    choose_client,
    choose_contact,
    member_of_group,
)

__all__ = ["Key", "KeyType", "KnownKey", "Resolution", "Rule", "SignalKeys", "Status", "resolve"]


class Status(StrEnum):
    """What became of a signal's keys."""

    LINKED = "linked"
    CREATED = "created"
    CONFLICT = "conflict"
    UNRESOLVED = "unresolved"


# How sure a vote of each kind is; the answer's score is that of the key that was followed.
CONFIDENCE: Mapping[str, Decimal] = {
    KeyType.EMAIL: Decimal("1.00"),
    KeyType.PHONE: Decimal("0.95"),
    KeyType.SOURCE_REF: Decimal("0.95"),
    KeyType.COMPANY_DOMAIN: Decimal("0.95"),
    KeyType.COMPANY_NAME: Decimal("0.90"),
}
CONFLICT_CONFIDENCE = Decimal("0.60")
# What a key is worth that several people or companies share.
SHARED_CONFIDENCE = Decimal("0.50")


@dataclass(frozen=True)
class Rule:
    """One rule that fired: which, on which key, and what that key points at; a rule of likeness has a score instead."""

    rule: str
    key_type: str
    key_value: str
    contact_id: int | None = None
    client_id: int | None = None
    score: Score | None = None

    @classmethod
    def of_likeness(cls, rule: str, likely: Likely, *, is_contact: bool) -> Rule:
        """Somebody who is alike: `similar_…` was linked, `possible_…` is asked about."""
        one = cls(rule, "", "", score=likely.score)
        return replace(one, contact_id=likely.pk) if is_contact else replace(one, client_id=likely.pk)

    def as_dict(self) -> dict[str, object]:
        """For the API and for keeping."""
        plain: dict[str, object] = {
            "rule": self.rule,
            "key_type": self.key_type,
            "key_value": self.key_value,
            "points_at": {"contact_id": self.contact_id, "client_id": self.client_id},
        }
        if self.score is not None:
            plain |= {"score": float(self.score.value), "terms": [term.as_dict() for term in self.score.terms]}
        return plain


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
    # Keys that turned out to be shared by several.
    shared_keys: tuple[Key, ...] = ()
    # Whom the created contact and client may be the same as.
    suggested_contacts: tuple[Likely, ...] = ()
    suggested_clients: tuple[Likely, ...] = ()


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


def resolve(keys: SignalKeys, known: Mapping[Key, KnownKey], candidates: Candidates = NOBODY) -> Resolution:
    """Decide who a signal is from; see the module's words. Deterministic, free of any input or output.

    `known` says what each stored key points at; a key that is missing or points nowhere is new.
    """
    rules: list[Rule] = []
    contacts = _contact_votes(keys, known, rules)
    by_keys = contacts.winner
    likely_contact = Choice()
    if contacts.winner is None and candidates.contacts:
        asked = keys.person(client_id=_client_by_keys(keys, known))
        likely_contact = choose_contact(asked, candidates)
        if not _brings_new(keys, known):
            likely_contact = likely_contact.settled()
        _note(likely_contact, contacts, rules, is_contact=True)
    at_domain = _client_of(known, keys.company_domain)
    member = member_of_group(keys.company_facts(), at_domain, candidates) if at_domain is not None else None
    employer = _employer_named(keys, likely_contact, candidates)
    clients = _client_votes(keys, known, by_keys, rules, member, employer)
    if clients.winner is None:
        _follow_contact(likely_contact, candidates, clients)
    likely_client = Choice()
    if clients.winner is None and candidates.clients:
        # The domain is the group's: it speaks for none of its companies.
        asked_company = replace(keys.company_facts(), domains=()) if member is not None else keys.company_facts()
        likely_client = choose_client(asked_company, candidates.without(at_domain if member is not None else None))
        _note(likely_client, clients, rules, is_contact=False)
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
        person_keys_to_point=tuple(
            _new_person_keys(
                keys,
                known,
                has_contact=bool(contacts.ids) or creates_contact,
                by_likeness=likely_contact.chosen is not None,
            )
        ),
        company_keys_to_point=tuple(
            _new_company_keys(
                keys, known, clients.winner, creates_client=creates_client, likely=_facts_of(likely_client, candidates)
            )
        ),
        shared_keys=tuple(_shared_keys(keys, known, rules, creates_client=creates_client)),
        suggested_contacts=likely_contact.suggested if creates_contact else (),
        suggested_clients=likely_client.suggested if creates_client else (),
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
        is_role = key.type == KeyType.EMAIL and keys.email_domain is not None and is_role_mailbox(key.value)
        if is_role and _is_somebody_else(keys.name, fact):
            rules.append(Rule("shared_mailbox", *key, contact_id=fact.contact_id))
            continue
        rules.append(Rule(f"exact_{key.type}", *key, contact_id=fact.contact_id, client_id=fact.contact_client_id))
        votes.add(fact.contact_id, min(CONFIDENCE[key.type], fact.confidence))
    return votes


def _brings_new(keys: SignalKeys, known: Mapping[Key, KnownKey]) -> bool:
    """Whether some key of the person would name a new contact; one without any would be made again by every repeat."""
    return any(_is_free(key, known) for key in keys.person_keys)


def _is_free(key: Key, known: Mapping[Key, KnownKey]) -> bool:
    fact = known.get(key)
    return fact is None or not (fact.contact_id or fact.client_id)


def _is_shared(keys: SignalKeys, by_phone: KnownKey, by_address: KnownKey | None) -> bool:
    """Whether the number is a line of several people: of the address's contact too, or of somebody with another one."""
    if _is_somebody_else(keys.name, by_phone):
        return True
    if keys.email is None:
        is_named = bool(words_of(keys.name)) and bool(words_of(by_phone.contact_name))
        return is_named and by_phone.confidence <= SHARED_CONFIDENCE and not _is_likely_same(keys.name, by_phone)
    if by_address is None or by_address.contact_id is None:
        return bool(by_phone.contact_email)
    return by_address.contact_id != by_phone.contact_id and by_address.contact_phone == keys.phone


def _is_somebody_else(name: str, fact: KnownKey) -> bool:
    """Whether the names rule out that a shared address or number means this contact: given names differ."""
    found = compare_names(name, fact.contact_name)
    if found is None:
        return False
    return found.is_other_person if found.is_single else found.given is Alike.DIFFERENT


def _is_likely_same(name: str, fact: KnownKey) -> bool:
    found = compare_names(name, fact.contact_name)
    return found is not None and found.family > Alike.INITIAL and (found.is_single or found.given > Alike.DIFFERENT)


def _note(choice: Choice, votes: _Votes, rules: list[Rule], *, is_contact: bool) -> None:
    """Put the choice among the rules, and a certain one among the votes."""
    kind = "contact" if is_contact else "client"
    if choice.chosen is not None:
        rules.append(Rule.of_likeness(f"similar_{kind}", choice.chosen, is_contact=is_contact))
        votes.add(choice.chosen.pk, choice.chosen.score.value)
    rules.extend(Rule.of_likeness(f"possible_{kind}", one, is_contact=is_contact) for one in choice.suggested)


def _follow_contact(choice: Choice, candidates: Candidates, votes: _Votes) -> None:
    """The client of somebody found by likeness stands, unless the companies spoke against it."""
    if choice.chosen is None:
        return
    client_id = candidates.contacts[choice.chosen.pk].company.client_id
    against = any(term.field == "company" and term.points < 0 for term in choice.chosen.score.terms)
    if client_id is not None and not against:
        votes.add(client_id, choice.chosen.score.value)


def _employer_named(keys: SignalKeys, choice: Choice, candidates: Candidates) -> int | None:
    """The client of somebody found by likeness, where it bears the name that the signal states.

    Of several companies of one name it is the one that is meant.
    """
    if choice.chosen is None:
        return None
    company = candidates.contacts[choice.chosen.pk].company
    is_named = compare_companies(keys.company, company.name) is NamesAgree.EQUAL
    return company.client_id if is_named and not are_apart(keys.place, company.place) else None


def _client_votes(
    keys: SignalKeys,
    known: Mapping[Key, KnownKey],
    contact_id: int | None,
    rules: list[Rule],
    member: Member | None,
    employer: int | None,
) -> _Votes:
    votes = _Votes()
    domain = _client_of(known, keys.company_domain) if member is None else None
    if member is not None and member.pk is not None:
        key = Key(KeyType.COMPANY_NAME.value, keys.company_name or "")
        rules.append(Rule("named_in_group", *key, client_id=member.pk))
        votes.add(member.pk, CONFIDENCE[KeyType.COMPANY_NAME])
    if keys.stated_domain and domain is not None:
        rules.append(Rule("exact_company_domain", KeyType.COMPANY_DOMAIN, keys.stated_domain, client_id=domain))
        votes.add(domain, CONFIDENCE[KeyType.COMPANY_DOMAIN])
    source = known.get(Key(KeyType.SOURCE_REF, keys.source_ref)) if keys.source_ref else None
    if source is not None and source.client_id is not None:
        rules.append(Rule("exact_source_ref", KeyType.SOURCE_REF, keys.source_ref or "", client_id=source.client_id))
        votes.add(source.client_id, CONFIDENCE[KeyType.SOURCE_REF])
    for key in keys.person_keys:
        fact = known.get(key)
        if contact_id is not None and fact is not None and fact.contact_id == contact_id and fact.contact_client_id:
            works_elsewhere = domain not in (None, fact.contact_client_id) and domain == _client_of_name(keys, known)
            if works_elsewhere and not votes.ids:
                # A company's domain and name together say more than where the contact was before.
                break
            votes.add(fact.contact_client_id, CONFIDENCE[key.type])
            break
    if not votes.ids and domain is not None:
        rules.append(Rule("exact_company_domain", KeyType.COMPANY_DOMAIN, keys.email_domain or "", client_id=domain))
        votes.add(domain, CONFIDENCE[KeyType.COMPANY_DOMAIN])
    if not votes.ids and employer is None and not keys.company_domain and (named := _named(keys, known)) is not None:
        key, fact = named
        rules.append(Rule("exact_company_name", *key, client_id=fact.client_id))
        votes.add(fact.client_id or 0, min(CONFIDENCE[KeyType.COMPANY_NAME], fact.confidence))
    return votes


def _named(keys: SignalKeys, known: Mapping[Key, KnownKey]) -> tuple[Key, KnownKey] | None:
    """The client of the company's name: the one of its country, else the name's, unless that is in another country."""
    for value in (keys.name_in_country, keys.company_name):
        key = Key(KeyType.COMPANY_NAME, value or "")
        fact = known.get(key)
        if fact is None or fact.client_id is None:
            continue
        if are_apart(keys.place, fact.client_country):
            continue
        return key, fact
    return None


def _client_by_keys(keys: SignalKeys, known: Mapping[Key, KnownKey]) -> int | None:
    """The client that the company's keys name, before the person is known."""
    found = _client_of(known, keys.company_domain)
    if found is None and not keys.company_domain and (named := _named(keys, known)) is not None:
        return named[1].client_id
    return found


def _client_of_name(keys: SignalKeys, known: Mapping[Key, KnownKey]) -> int | None:
    named = _named(keys, known)
    return None if named is None else named[1].client_id


def _client_of(known: Mapping[Key, KnownKey], domain: str | None) -> int | None:
    fact = known.get(Key(KeyType.COMPANY_DOMAIN, domain)) if domain else None
    return fact.client_id if fact else None


def _new_person_keys(
    keys: SignalKeys, known: Mapping[Key, KnownKey], *, has_contact: bool, by_likeness: bool
) -> list[Key]:
    """Person keys that point nowhere and now get the contact. The source's reference may already name a client.

    Somebody who was found by likeness does not take the mailbox of a function.
    """
    if not has_contact:
        return []
    return [
        key
        for key in keys.person_keys
        if _is_free(key, known) and not (by_likeness and key.type == KeyType.EMAIL and is_role_mailbox(key.value))
    ]


def _new_company_keys(
    keys: SignalKeys,
    known: Mapping[Key, KnownKey],
    client_id: int | None,
    *,
    creates_client: bool,
    likely: Company | None,
) -> list[Key]:
    """Company keys that point nowhere and now get the client.

    A client that was found by other means keeps its own domain and name: only a new client takes both. A client that
    was found by its domain takes the name, unless that is said of another country; one that is alike does, too, and the
    domain if it has none.
    """
    fresh = [key for key in keys.company_keys if (fact := known.get(key)) is None or fact.client_id is None]
    if creates_client or (likely is not None and not likely.domains):
        return fresh
    by_domain = client_id is not None and client_id == _client_of(known, keys.company_domain)
    if by_domain and are_apart(
        keys.place, known[Key(KeyType.COMPANY_DOMAIN, keys.company_domain or "")].client_country
    ):
        # The name of another company at the domain of its group.
        return []
    return [key for key in fresh if key.type == KeyType.COMPANY_NAME] if by_domain or likely is not None else []


def _facts_of(choice: Choice, candidates: Candidates) -> Company | None:
    return candidates.clients[choice.chosen.pk] if choice.chosen is not None else None


def _shared_keys(
    keys: SignalKeys, known: Mapping[Key, KnownKey], rules: Sequence[Rule], *, creates_client: bool
) -> list[Key]:
    """Phones that were found to be shared, and the name that a new client has in common with another one."""
    shared = [Key(rule.key_type, rule.key_value) for rule in rules if rule.rule == "shared_phone"]
    if creates_client and keys.company_name:
        name = Key(KeyType.COMPANY_NAME.value, keys.company_name)
        fact = known.get(name)
        shared += [name] if fact is not None and fact.client_id is not None else []
    return [key for key in shared if known[key].confidence > SHARED_CONFIDENCE]


def _score(status: Status, contacts: _Votes, clients: _Votes) -> Decimal:
    """The strength of the key that was followed; what was created is its own keys' for certain."""
    if status is Status.CONFLICT:
        return CONFLICT_CONFIDENCE
    if status is Status.CREATED:
        return Decimal("1.00")
    return (contacts.strengths or clients.strengths or [Decimal("0.00")])[0]
