"""Looking once more for doubles of what signals have made: two of one moment could not see each other."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from decimal import Decimal

from django.db.models import Q

from flowledger.clients import normalising
from flowledger.clients.events import IdentitySuggested
from flowledger.clients.identity import Rule
from flowledger.clients.models import IdentityConflict
from flowledger.clients.person_names import spellings_of, words_of
from flowledger.clients.rules import IDENTITY_MATCHING
from flowledger.clients.services.identity_book import IdentityBook
from flowledger.clients.similarity import Candidates, Likely, Thresholds, likely_clients, likely_contacts
from flowledger.clients.sql import matching, resolving
from flowledger.outbox.recording import record_events
from flowledger.tenancy.actors import Actor
from flowledger.tenancy.models import Organization
from flowledger.tenancy.permissions import authorize
from flowledger.tenancy.usecases import use_case


@use_case
def suggest_duplicates(
    *, org: Organization, contact_ids: Sequence[int], client_ids: Sequence[int], actor: Actor, at: datetime
) -> int:
    """Put into the review queue whom these contacts and clients may be the same as; answers how many pairs are new.

    Pairs that are there already, decided or not, stay as they are. The number of statements does not depend on how many
    rows are asked about. Raises PermissionRefused.
    """
    authorize(actor, "resolve_identity")
    book = IdentityBook(org)
    book.read_people(contact_ids)
    book.read_companies(client_ids)
    near_contacts, near_clients = _near(book, contact_ids, client_ids)
    book.read_people(pk for pks in near_contacts.values() for pk in pks)
    book.read_companies(pk for pks in near_clients.values() for pk in pks)
    thresholds = _thresholds(org)
    pairs = [*_contact_pairs(book, near_contacts, thresholds), *_client_pairs(book, near_clients, thresholds)]
    known = _known_pairs(org, pairs)
    # Both sides of a pair may have been asked about.
    fresh = {pair.ids: pair for pair in pairs if pair.ids not in known}
    stored = resolving.keep_pairs(org.pk, fresh.values(), at=at)
    scores = {ids: pair.score for ids, pair in fresh.items()}
    facts = [
        IdentitySuggested(conflict_id=one.pk, entity_type=ids[0], entity_ids=list(ids[1:]), score=float(scores[ids]))
        for ids, one in stored.items()
        if one.is_new
    ]
    record_events(facts=[(org.pk, fact) for fact in facts], actor=actor, at=at)
    return len(facts)


def _thresholds(org: Organization) -> Thresholds:
    rule = IDENTITY_MATCHING.of(org)
    return Thresholds(auto=Decimal(str(rule.auto)), review=Decimal(str(rule.review)))


def _near(
    book: IdentityBook, contact_ids: Iterable[int], client_ids: Iterable[int]
) -> tuple[dict[int, list[int]], dict[int, list[int]]]:
    """Who is alike, by the contact and by the client that is asked about."""
    clients = {pk: key for pk in client_ids if (key := normalising.company_name_key(book.company(pk).name))}
    found = matching.find_companies(list(clients.values())) if clients else []
    near_clients = dict(zip(clients, found, strict=True))
    people = {pk: book.person(pk) for pk in contact_ids if words_of(book.person(pk).name)}
    colleagues = [
        (pk, person.company.client_id, " ".join(words_of(person.name)))
        for pk, person in people.items()
        if person.company.client_id is not None
    ]
    names = [(pk, words) for pk, person in people.items() for words in spellings_of(person.name)]
    return matching.find_contacts(colleagues=colleagues, names=names) if people else {}, near_clients


def _contact_pairs(book: IdentityBook, near: dict[int, list[int]], thresholds: Thresholds) -> Iterable[resolving.Pair]:
    for pk, pks in near.items():
        others = book.people_among(set(pks) - {pk})
        for likely in likely_contacts(book.person(pk), Candidates(contacts=others, thresholds=thresholds)):
            yield _pair("contact", pk, likely)


def _client_pairs(book: IdentityBook, near: dict[int, list[int]], thresholds: Thresholds) -> Iterable[resolving.Pair]:
    for pk, pks in near.items():
        others = book.companies_among(set(pks) - {pk})
        for likely in likely_clients(book.company(pk), Candidates(clients=others, thresholds=thresholds)):
            yield _pair("client", pk, likely)


def _pair(side: resolving.Side, pk: int, likely: Likely) -> resolving.Pair:
    one, other = sorted((pk, likely.pk))
    rule = Rule.of_likeness(f"possible_{side}", likely, is_contact=side == "contact")
    return resolving.Pair(side, one, other, "suggestion", likely.score.value, [rule.as_dict()])


def _known_pairs(org: Organization, pairs: Iterable[resolving.Pair]) -> set[tuple[str, int, int]]:
    contacts = [pair.one for pair in pairs if pair.side == "contact"]
    clients = [pair.one for pair in pairs if pair.side == "client"]
    if not contacts and not clients:
        return set()
    rows = IdentityConflict.objects.for_org(org).filter(Q(contact__in=contacts) | Q(client__in=clients))
    return {
        ("contact", contact, other) if contact else ("client", client, other_client)
        for contact, other, client, other_client in rows.values_list(
            "contact_id", "other_contact_id", "client_id", "other_client_id"
        )
    }
