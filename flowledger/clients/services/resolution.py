"""Recognising who signals are from, in the transaction that writes them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from decimal import Decimal
from typing import Any

from flowledger.clients import normalising
from flowledger.clients.events import IdentityConflicted, IdentityResolved, IdentitySuggested
from flowledger.clients.identity import Resolution, Rule, Status, resolve
from flowledger.clients.identity_keys import Key, KeyType, SignalKeys
from flowledger.clients.models import Client, Contact
from flowledger.clients.person_names import spellings_of, words_of
from flowledger.clients.rules import IDENTITY_MATCHING
from flowledger.clients.services.identity_book import NOT_STORED, Decided, IdentityBook
from flowledger.clients.similarity import NOBODY, Candidates, Thresholds
from flowledger.clients.sql import matching, resolving
from flowledger.outbox.recording import record_events
from flowledger.tenancy.actors import Actor
from flowledger.tenancy.models import Organization
from flowledger.tenancy.permissions import authorize
from flowledger.tenancy.scope import org_scope

# Clients that may be a signal's whose contacts are looked through.
MOST_EMPLOYERS = 3


@dataclass(frozen=True)
class Asked:
    """What one signal says of who it is from, as received; what does not parse is no key and no error.

    `country` is the company's, ISO 3166. `source_ref` is the source system's identifier of the person or company, not
    of the message.
    """

    email: str = ""
    phone: str = ""
    name: str = ""
    company_name: str = ""
    company_domain: str = ""
    country: str = ""
    source_ref: str = ""


@dataclass(frozen=True)
class ResolvedIdentity:
    """Who a signal is from: the rows to link it to, and the decision with its reasons.

    `completed` are the contact's fields that were blank and that this signal filled, with what they were before:
    `{"phone": ""}`, and `{"client_id": None}`. `conflict_ids` are the open pairs of the review queue that it is about.
    """

    status: Status
    contact_id: int | None
    client_id: int | None
    confidence_score: Decimal
    rules: tuple[Rule, ...]
    created_contact: bool = False
    created_client: bool = False
    completed: Mapping[str, Any] = field(default_factory=dict)
    conflict_ids: tuple[int, ...] = ()

    def as_dict(self) -> dict[str, Any]:
        """The `identity_resolution` of the API."""
        return {
            "status": self.status.value,
            "contact_id": self.contact_id,
            "client_id": self.client_id,
            "confidence_score": float(self.confidence_score),
            "rules": [rule.as_dict() for rule in self.rules],
            "conflict_ids": list(self.conflict_ids),
        }


def resolve_identity(
    *,
    org: Organization,
    email: str,
    phone: str,
    name: str,
    company_name: str,
    company_domain: str,
    actor: Actor,
    at: datetime,
    source_ref: str = "",
    country: str = "",
) -> ResolvedIdentity:
    """Find or make the contact and client of one signal; as `resolve_identities`."""
    asked = Asked(
        email=email,
        phone=phone,
        name=name,
        company_name=company_name,
        company_domain=company_domain,
        country=country,
        source_ref=source_ref,
    )
    return resolve_identities(org=org, asked=[asked], actor=actor, at=at)[0]


def resolve_identities(
    *, org: Organization, asked: Sequence[Asked], actor: Actor, at: datetime
) -> list[ResolvedIdentity]:
    """Find or make the contacts and clients of many signals, in their order; part of the use case that writes them.

    Means the same as asking one after the other: what the fifth makes, the seventh finds. The keys are locked until the
    transaction ends: signals that share one are resolved one after the other, so that a new company or person is made
    once. How many statements it takes does not depend on how many signals there are. Raises PermissionRefused.
    """
    authorize(actor, "resolve_identity")
    keys = [
        SignalKeys.read(
            email=one.email,
            phone=one.phone,
            company_name=one.company_name,
            company_domain=one.company_domain,
            source_ref=one.source_ref,
            region=org.default_region,
            name=one.name,
            country=one.country,
        )
        for one in asked
    ]
    with org_scope(org):
        book = IdentityBook(org)
        book.lock((key for one in keys for key in one.all()), at=at)
        book.read_countries(keys)
        found = _find_alike(org, book, keys)
        decided = []
        for place, (one, said) in enumerate(zip(keys, asked, strict=True)):
            resolution = resolve(one, book.known, found.candidates(place, one))
            decided.append(book.apply(one, resolution, _contact_fields(one, said), country=one.country))
            book.conflicting.update(_contradicting(resolution))
        return _store(org, book, decided, actor=actor, at=at)


def _contact_fields(keys: SignalKeys, said: Asked) -> dict[str, str]:
    return {
        "name": " ".join(said.name.split())[:200],
        "email": normalising.email_address(said.email) or "",
        "phone": keys.phone or "",
    }


@dataclass
class _Found:
    """Who is alike, by the place of the signal; empty for those that their keys name."""

    book: IdentityBook
    thresholds: Thresholds | None = None
    clients: dict[int, list[int]] = field(default_factory=dict)
    contacts: dict[int, list[int]] = field(default_factory=dict)
    places: set[int] = field(default_factory=set)

    def candidates(self, place: int, keys: SignalKeys) -> Candidates:
        """Those that were found, with those that the same look-up would find now among what this chunk has made."""
        if place not in self.places or self.thresholds is None:
            return NOBODY
        alike = [*self.clients.get(place, ()), *self.book.made_alike(keys)]
        exact = resolve(keys, self.book.known)
        has_colleagues = bool(words_of(keys.name)) or _is_mailbox_of_client(exact, keys)
        return self.book.candidates(
            keys,
            clients=alike,
            contacts=self.contacts.get(place, ()),
            employers=_employers(exact, alike) if has_colleagues else (),
            thresholds=self.thresholds,
        )


def _find_alike(org: Organization, book: IdentityBook, keys: Sequence[SignalKeys]) -> _Found:
    """Look up who may be meant where keys name nobody: the companies first, then people, at them or by their name."""
    found = _Found(book)
    exact = {place: resolve(one, book.known) for place, one in enumerate(keys)}
    companies = {place for place, one in exact.items() if one.creates_client or book.is_doubtful(keys[place])}
    people = {place for place, one in exact.items() if one.contact_id is None and words_of(keys[place].name)}
    mailboxes = {place for place, one in exact.items() if _is_mailbox_of_client(one, keys[place])}
    taken = _lines(book)
    lines = {place for place, one in exact.items() if one.contact_id is None and keys[place].phone in taken}
    found.places = companies | people | mailboxes | lines
    if not found.places:
        return found
    rule = IDENTITY_MATCHING.of(org)
    found.thresholds = Thresholds(auto=Decimal(str(rule.auto)), review=Decimal(str(rule.review)))
    wanted = sorted(companies)
    if wanted:
        near = matching.find_companies([keys[place].name_to_look_up for place in wanted])
        found.clients = dict(zip(wanted, near, strict=True))
    employers = {place: _employers(exact[place], found.clients.get(place, ())) for place in people | mailboxes}
    colleagues = [
        (place, client, _said_name(keys[place])) for place in sorted(employers) for client in employers[place]
    ]
    names = [(place, words) for place in sorted(people) for words in spellings_of(keys[place].name)]
    if colleagues or names:
        found.contacts = matching.find_contacts(colleagues=colleagues, names=names)
    if lines:
        sharing = matching.find_by_phone(org.pk, sorted({keys[place].phone or "" for place in lines}))
        for place in lines:
            found.contacts.setdefault(place, []).extend(sharing.get(keys[place].phone or "", ()))
    by_phone = {fact.contact_id for fact in book.known.values() if fact.contact_id is not None}
    book.read_people({pk for pks in found.contacts.values() for pk in pks} | by_phone)
    book.read_companies({pk for pks in found.clients.values() for pk in pks} | _named_clients(book))
    return found


def _lines(book: IdentityBook) -> set[str]:
    """The numbers that somebody has already."""
    return {key.value for key, fact in book.known.items() if key.type == KeyType.PHONE and fact.contact_id is not None}


def _named_clients(book: IdentityBook) -> set[int]:
    return {fact.client_id for fact in book.known.values() if fact.client_id is not None}


def _is_mailbox_of_client(exact: Resolution, keys: SignalKeys) -> bool:
    """Whether an unknown address may be that of somebody at a client whom other keys name."""
    return exact.contact_id is None and exact.client_id is not None and keys.email is not None


def _employers(exact: Resolution, alike: Sequence[int]) -> list[int]:
    return [exact.client_id] if exact.client_id is not None else list(alike[:MOST_EMPLOYERS])


def _said_name(keys: SignalKeys) -> str:
    """The name in plain words, else what stands before the @."""
    return " ".join(words_of(keys.name)) or (keys.email or "").partition("@")[0]


def _contradicting(resolution: Resolution) -> Iterable[Key]:
    for rule in resolution.rules:
        contact_lost = rule.contact_id in resolution.other_contact_ids
        client_lost = rule.contact_id is None and rule.client_id in resolution.other_client_ids
        if rule.key_type and rule.rule.startswith("exact_") and (contact_lost or client_lost):
            yield Key(rule.key_type, rule.key_value)


def _store(
    org: Organization, book: IdentityBook, decided: Sequence[Decided], *, actor: Actor, at: datetime
) -> list[ResolvedIdentity]:
    """Write rows, keys, pairs and events, each kind in one statement; the order is the order of locks."""
    numbers = _store_rows(org, book)
    wanted = [one._replace(client_id=numbers.client(one.client_id)) for _, one in sorted(book.completions.items())]
    filled = resolving.complete_contacts(org.pk, wanted)
    resolving.point_keys(
        org.pk,
        [
            one._replace(contact_id=numbers.contact(one.contact_id), client_id=numbers.client(one.client_id))
            for _, one in sorted(book.pointed.items())
        ],
    )
    resolving.mark_keys(org.pk, conflicting=book.conflicting, shared=book.shared)
    resolved = [_resolved(one, numbers, filled) for one in decided]
    pairs = [list(_pairs(one, answer, numbers)) for one, answer in zip(decided, resolved, strict=True)]
    stored = resolving.keep_pairs(org.pk, (pair for each in pairs for pair in each), at=at)
    resolved = [_with_pairs(answer, each, stored) for answer, each in zip(resolved, pairs, strict=True)]
    facts: list[Any] = [
        fact
        for one, answer in zip(decided, resolved, strict=True)
        if (fact := _event(one.resolution, answer, numbers)) is not None
    ]
    scores = {pair.ids: pair.score for each in pairs for pair in each if pair.kind == "suggestion"}
    facts += [
        IdentitySuggested(conflict_id=one.pk, entity_type=ids[0], entity_ids=list(ids[1:]), score=float(scores[ids]))
        for ids, one in stored.items()
        if one.is_new and ids in scores
    ]
    record_events(facts=[(org.pk, fact) for fact in facts], actor=actor, at=at)
    return resolved


@dataclass(frozen=True)
class _Numbers:
    """What the numbers of those that a book made have become."""

    contacts: Mapping[int, int]
    clients: Mapping[int, int]

    def contact(self, pk: int | None) -> int | None:
        return None if pk is None else self.contacts.get(pk, pk)

    def client(self, pk: int | None) -> int | None:
        return None if pk is None else self.clients.get(pk, pk)

    def of_rule(self, rule: Rule, *, contact_id: int | None, client_id: int | None) -> Rule:
        """The rule with the rows that it names; the contact and client given are those that it may have made."""
        if rule.rule == "new_contact":
            return replace(rule, contact_id=contact_id)
        if rule.rule == "new_client":
            return replace(rule, client_id=client_id)
        return replace(rule, contact_id=self.contact(rule.contact_id), client_id=self.client(rule.client_id))


def _store_rows(org: Organization, book: IdentityBook) -> _Numbers:
    clients = Client.objects.for_org(org).bulk_create(list(book.new_clients.values()))
    made = dict(zip(book.new_clients, (client.pk for client in clients), strict=True))
    for contact in book.new_contacts.values():
        if contact.client_id is not None:
            contact.client_id = made.get(contact.client_id, contact.client_id)
    contacts = Contact.objects.for_org(org).bulk_create(list(book.new_contacts.values()))
    return _Numbers(dict(zip(book.new_contacts, (contact.pk for contact in contacts), strict=True)), made)


def _resolved(one: Decided, numbers: _Numbers, filled: Mapping[int, Mapping[str, Any]]) -> ResolvedIdentity:
    resolution = one.resolution
    contact_id, client_id = numbers.contact(one.contact_id), numbers.client(one.client_id)
    # What somebody else has locked, or filled since it was read, was not completed by this signal.
    done = one.completed if (one.contact_id or 0) >= NOT_STORED else filled.get(contact_id or 0, {})
    return ResolvedIdentity(
        status=resolution.status,
        contact_id=contact_id,
        client_id=client_id,
        confidence_score=resolution.confidence_score,
        rules=tuple(numbers.of_rule(rule, contact_id=contact_id, client_id=client_id) for rule in resolution.rules),
        created_contact=resolution.creates_contact,
        created_client=resolution.creates_client,
        completed={name: before for name, before in one.completed.items() if name in done},
    )


def _pairs(one: Decided, answer: ResolvedIdentity, numbers: _Numbers) -> Iterator[resolving.Pair]:
    """The pairs that a person is to judge: whom the keys contradict, and whom the new ones may be the same as."""
    resolution, rules = one.resolution, [rule.as_dict() for rule in answer.rules]
    for likely in resolution.suggested_contacts:
        yield _pair("contact", answer.contact_id, numbers.contact(likely.pk), "suggestion", likely.score.value, rules)
    for likely in resolution.suggested_clients:
        yield _pair("client", answer.client_id, numbers.client(likely.pk), "suggestion", likely.score.value, rules)
    score = resolution.confidence_score
    for pk in resolution.other_contact_ids:
        yield _pair("contact", answer.contact_id, numbers.contact(pk), "conflict", score, rules)
    for pk in resolution.other_client_ids:
        yield _pair("client", answer.client_id, numbers.client(pk), "conflict", score, rules)


def _pair(
    side: resolving.Side, one: int | None, other: int | None, kind: str, score: Decimal, rules: list[dict[str, Any]]
) -> resolving.Pair:
    first, second = sorted((one or 0, other or 0))
    return resolving.Pair(side, first, second, kind, score, rules)


def _with_pairs(
    answer: ResolvedIdentity,
    pairs: Sequence[resolving.Pair],
    stored: Mapping[tuple[resolving.Side, int, int], resolving.StoredPair],
) -> ResolvedIdentity:
    """The answer with its open pairs. Where a person has kept all that contradicted apart there is no conflict."""
    still_open = tuple(sorted({stored[pair.ids].pk for pair in pairs if stored[pair.ids].status == "open"}))
    if answer.status is not Status.CONFLICT or still_open:
        return replace(answer, conflict_ids=still_open)
    is_new = answer.created_contact or answer.created_client
    return replace(answer, status=Status.CREATED if is_new else Status.LINKED)


def _event(resolution: Resolution, answer: ResolvedIdentity, numbers: _Numbers) -> Any:
    rules = [rule.rule for rule in answer.rules]
    if answer.status is Status.CONFLICT:
        return IdentityConflicted(
            contact_id=answer.contact_id,
            client_id=answer.client_id,
            other_contact_ids=sorted(numbers.contact(pk) or 0 for pk in resolution.other_contact_ids),
            other_client_ids=sorted(numbers.client(pk) or 0 for pk in resolution.other_client_ids),
            rules=rules,
        )
    if answer.status is Status.UNRESOLVED:
        return None
    return IdentityResolved(
        contact_id=answer.contact_id, client_id=answer.client_id, status=answer.status.value, rules=rules
    )
