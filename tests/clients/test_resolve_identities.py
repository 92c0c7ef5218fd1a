"""Many signals are resolved together: the same answers as one by one, in a constant number of statements."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from flowledger.clients.models import Client, ConflictStatus, Contact, IdentityConflict, IdentityKey, KeyStatus
from flowledger.clients.rules import IDENTITY_MATCHING, IdentityMatching
from flowledger.clients.services import (
    Asked,
    ResolvedIdentity,
    create_client,
    create_contact,
    resolve_identities,
    resolve_identity,
    suggest_duplicates,
)
from flowledger.clients.sql.matching import company_blocks, stored_blocks
from flowledger.configuration.services import set_value
from flowledger.errors import PermissionRefused
from flowledger.outbox.models import WorkEvent
from flowledger.tenancy.actors import Actor, Role
from flowledger.tenancy.models import Organization
from flowledger.tenancy.scope import org_scope

PEOPLE = (
    *("Ann Lee", "Bob Ray", "Cleo Fox", "Dirk Moss", "Emil Hill"),
    *("Fay Winter", "Gus Okoye", "Hugo Brandt", "Ines Castro", "Jun Tanaka"),
)
AT = datetime(2026, 3, 1, 9, 0, tzinfo=UTC)
SYSTEM = Actor.system("tests")


def resolved(org: Organization, *asked: Asked, actor: Actor = SYSTEM) -> list[ResolvedIdentity]:
    with org_scope(org):
        return resolve_identities(org=org, asked=asked, actor=actor, at=AT)


def in_org(org: Organization, question: Callable[[], Any]) -> Any:
    with org_scope(org):
        return question()


def counts(org: Organization) -> Any:
    return in_org(org, lambda: (Contact.objects.for_org(org).count(), Client.objects.for_org(org).count()))


def events(org: Organization, name: str) -> Any:
    return in_org(org, lambda: list(WorkEvent.objects.for_org(org).filter(event_name=name).order_by("pk")))


def pairs(org: Organization) -> Any:
    return in_org(org, lambda: list(IdentityConflict.objects.for_org(org).order_by("pk")))


@pytest.fixture
def acme(org: Organization, rep: Actor) -> Any:
    fields = {"name": "Acme Widgets GmbH", "domain": "acme.de", "country": "DE"}
    return in_org(org, lambda: create_client(org=org, fields=fields, actor=rep, at=AT))


@pytest.fixture
def ann(org: Organization, rep: Actor, acme: Client) -> Any:
    fields = {"name": "Ann Lee", "email": "ann.lee@acme.de", "client": acme}
    return in_org(org, lambda: create_contact(org=org, fields=fields, actor=rep, at=AT))


class TestInOneGo:
    def test_what_one_makes_the_next_finds(self, org: Organization) -> None:
        first, second, third, fourth = resolved(
            org,
            Asked(email="ann@acme.com", name="Ann Lee", company_name="Acme"),
            Asked(email="bob@acme.com", name="Bob Ray"),
            Asked(email="ANN@acme.com", phone="030 123456"),
            Asked(phone="+4930123456"),
        )
        assert (first.created_contact, first.created_client) == (True, True)
        assert (second.created_contact, second.created_client) == (True, False)
        assert first.client_id == second.client_id
        assert third.contact_id == fourth.contact_id == first.contact_id
        assert third.completed == {"phone": ""}
        assert counts(org) == (2, 1)

    def test_costs_as_many_statements_for_two_as_for_two_hundred(self, org: Organization, ann: Contact) -> None:
        def cost(number: int, mark: str) -> int:
            asked = [
                [
                    Asked(email=f"{mark}{place}@new{mark}{place}.com", name=f"Kim Q{mark}{place}", company_name="Zed"),
                    Asked(email=f"{mark}{place}@gmx.de", name="Ann Lee", company_name="Acme Widgets"),
                    Asked(email="ann.lee@acme.de", phone=f"030 5{ord(mark)}{place:04}", company_domain="zed.io"),
                ]
                for place in range(number)
            ]
            with org_scope(org), CaptureQueriesContext(connection) as queries:
                resolve_identities(org=org, asked=list(itertools.chain(*asked)), actor=SYSTEM, at=AT)
            # The rules are looked at once a second, whatever is asked.
            return sum("configuration_" not in query["sql"] for query in queries)

        # The earlier ones find out that companies share a name, which is noted once and takes one more.
        cost(1, "x")
        assert (cost(2, "a"), cost(70, "b")) == (12, 11)

    def test_nothing_asked_is_nothing_answered(self, org: Organization) -> None:
        assert resolved(org) == []

    def test_a_viewer_is_refused(self, org: Organization, actor_of: Callable[[Role], Actor]) -> None:
        with pytest.raises(PermissionRefused):
            resolved(org, Asked(email="ann@acme.com"), actor=actor_of(Role.VIEWER))
        assert counts(org) == (0, 0)

    def test_sightings_are_counted_each(self, org: Organization) -> None:
        resolved(org, *[Asked(email="ann@acme.com")] * 3)
        key = in_org(org, lambda: IdentityKey.objects.for_org(org).get(key_type="email"))
        assert key.occurrences == 3


SAID = st.builds(
    Asked,
    email=st.sampled_from(["", "ann.lee@acme.com", "alee@acme.com", "bob@zenith.io", "info@acme.com", "ann@gmail.com"]),
    phone=st.sampled_from(["", "030 123456", "030 999999"]),
    name=st.sampled_from(["", "Ann Lee", "Lee, Ann", "Bob Ray", "A. Lee"]),
    company_name=st.sampled_from(
        ["", "Acme Widgets", "ACME Widgets Ltd", "Acme Wigdets", "Acme Widgets S.L.", "Zenith"]
    ),
    company_domain=st.sampled_from(["", "acme.com", "zenith.io"]),
    country=st.sampled_from(["", "DE", "FR"]),
)


def told(answers: Sequence[ResolvedIdentity]) -> list[Any]:
    """The answers with rows by the order in which they were first met, which is what two organisations can share."""
    seen: dict[tuple[str, int], int] = {}

    def number(kind: str, pk: int | None) -> int | None:
        return None if pk is None else seen.setdefault((kind, pk), len(seen))

    return [
        (
            str(answer.status),
            number("contact", answer.contact_id),
            number("client", answer.client_id),
            answer.confidence_score,
            [rule.rule for rule in answer.rules],
            dict(answer.completed),
            len(answer.conflict_ids),
        )
        for answer in answers
    ]


class TestSharedMailbox:
    SWITCHED = (
        Asked(phone="030 999999", company_name="Zenith"),
        Asked(phone="030 999999", name="Bob Ray"),
    )

    def test_whoever_is_found_by_likeness_does_not_take_the_address(self, org: Organization) -> None:
        *_, ann, kim = resolved(
            org,
            Asked(phone="030 123456", name="Ann Lee", company_domain="acme.com"),
            *self.SWITCHED,
            Asked(email="info@acme.com", name="Ann Lee"),
            Asked(email="info@acme.com", name="Kim Roe", company_name="Zenith"),
        )
        assert (ann.created_contact, ann.completed) == (False, {})
        emails = in_org(org, lambda: dict(Contact.objects.for_org(org).values_list("pk", "email")))
        assert (emails[ann.contact_id], emails[kim.contact_id]) == ("", "info@acme.com")

    def test_of_two_who_are_as_likely_the_best_is_taken_if_the_address_is_anothers(self, org: Organization) -> None:
        asked = Asked(email="info@acme.com", name="Bob Ray", company_name="Zenith")
        first, *_, found = resolved(
            org,
            Asked(phone="030 123456", name="Bob Ray", company_domain="acme.com"),
            *self.SWITCHED,
            Asked(email="info@acme.com", name="Ann Lee"),
            asked,
        )
        assert (found.contact_id, found.created_contact) == (first.contact_id, False)
        before = counts(org)
        assert resolved(org, asked)[0].contact_id == first.contact_id
        assert counts(org) == before

    def test_colleagues_are_looked_for_as_one_by_one(self, org: Organization) -> None:
        """An address without a name, at a domain that nobody knows, is compared with nobody's colleagues."""
        *_, found = resolved(org, *self.SWITCHED, Asked(email="bob@zenith.io"))
        assert [rule.rule for rule in found.rules] == ["possible_client", "new_contact", "new_client"]


@example(
    [
        Asked(phone="030 123456", name="Ann Lee", company_domain="acme.com"),
        Asked(phone="030 999999", company_name="Zenith"),
        Asked(phone="030 999999", name="Bob Ray"),
        Asked(email="info@acme.com", name="Ann Lee"),
        Asked(email="info@acme.com", name="Bob Ray", company_name="Zenith"),
    ]
)
@example(
    [
        Asked(company_domain="acme.com", country="DE"),
        Asked(company_name="Acme Widgets", company_domain="acme.com", country="FR"),
        Asked(company_name="Acme Widgets", country="FR"),
    ]
)
@example(
    [
        Asked(company_name="Acme Wigdets", company_domain="acme.com"),
        Asked(company_name="Acme Wigdets", company_domain="zenith.io"),
        Asked(company_name="Acme Widgets"),
    ]
)
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(SAID, max_size=7))
def test_together_means_the_same_as_one_by_one_and_again_makes_nothing(
    org: Organization, other_org: Organization, asked: list[Asked]
) -> None:
    Organization.objects.filter(pk=other_org.pk).update(default_region="DE")
    other_org.default_region = "DE"
    with transaction.atomic():
        together = resolved(org, *asked)
        single = []
        for one in asked:
            with org_scope(other_org):
                single.append(resolve_identity(org=other_org, actor=SYSTEM, at=AT, **asdict(one)))
        assert told(together) == told(single)
        before = counts(org)
        again = resolved(org, *asked)
        assert counts(org) == before
        for first, second in zip(together, again, strict=True):
            assert not second.created_contact
            assert not second.created_client
            if first.contact_id is not None:
                assert second.contact_id is not None
        transaction.set_rollback(True)


class TestAlike:
    def test_the_same_person_from_a_private_address_is_linked(self, org: Organization, ann: Contact) -> None:
        found = resolved(org, Asked(email="annlee77@gmx.de", name="Annie Lee", company_name="Acme Widgets"))[0]
        assert (found.contact_id, found.client_id) == (ann.pk, ann.client_id)
        assert not found.created_contact
        plain = found.as_dict()
        assert plain["rules"][0]["rule"] == "similar_contact"
        assert plain["rules"][0]["score"] >= 0.9
        assert plain["rules"][0]["terms"][0]["sentence"] == (
            "'Annie Lee' and 'Ann Lee': one given name is a short form of the other, the family name is the same."
        )
        key = in_org(org, lambda: IdentityKey.objects.for_org(org).get(key_value="annlee77@gmx.de"))
        assert (key.contact_id, key.status, key.confidence) == (ann.pk, KeyStatus.AUTO, found.confidence_score)
        again = resolved(org, Asked(email="annlee77@gmx.de", name="Annie Lee", company_name="Acme Widgets"))[0]
        assert [rule.rule for rule in again.rules] == ["exact_email"]
        assert counts(org) == (1, 1)

    def test_a_name_and_a_known_company_are_enough(self, org: Organization, ann: Contact) -> None:
        found = resolved(org, Asked(name="Dr. Lee, Ann", company_domain="acme.de"))[0]
        assert (found.status, found.contact_id) == ("linked", ann.pk)

    def test_a_likely_person_is_made_and_suggested_once(self, org: Organization, ann: Contact) -> None:
        asked = Asked(email="a.lee@acme.de", name="A. Lee")
        found = resolved(org, asked)[0]
        (pair,) = pairs(org)
        assert found.created_contact
        assert found.conflict_ids == (pair.pk,)
        assert (pair.kind, pair.contact_id, pair.other_contact_id) == ("suggestion", ann.pk, found.contact_id)
        assert Decimal("0.60") <= pair.score < Decimal("0.90")
        assert [rule["rule"] for rule in pair.explanation["rules"]] == [
            "possible_contact",
            "exact_company_domain",
            "new_contact",
        ]
        (event,) = events(org, "identity.suggested")
        assert event.payload == {
            "conflict_id": pair.pk,
            "entity_type": "contact",
            "entity_ids": [ann.pk, found.contact_id],
            "score": float(pair.score),
        }
        again = resolved(org, asked)[0]
        assert (again.contact_id, again.conflict_ids) == (found.contact_id, ())
        assert len(pairs(org)) == 1
        assert len(events(org, "identity.suggested")) == 1

    def test_a_company_with_a_slip_is_suggested(self, org: Organization, acme: Client) -> None:
        found = resolved(org, Asked(company_name="Acme Wodgets GmbH"))[0]
        (pair,) = pairs(org)
        assert found.created_client
        assert (pair.client_id, pair.other_client_id) == (acme.pk, found.client_id)

    @pytest.mark.parametrize(
        "asked",
        [
            Asked(email="luc@acme.fr", company_name="Acme Widgets", country="FR"),
            Asked(company_name="Acme Widgets GmbH", country="FR"),
            Asked(email="kim@acme-widgets.com", company_name="Acme Widgets"),
            Asked(company_name="Acme Widgets France"),
            Asked(company_name="Acme Widgets S.L.U."),
            Asked(email="luc@acme.de", company_name="Acme Logistique", country="FR"),
        ],
    )
    def test_a_subsidiary_is_a_client_of_its_own_and_found_again(
        self, org: Organization, acme: Client, asked: Asked
    ) -> None:
        found = resolved(org, asked)[0]
        assert found.created_client
        assert found.client_id != acme.pk
        again = resolved(org, asked)[0]
        assert again.client_id == found.client_id
        assert counts(org)[1] == 2

    def test_a_client_without_domain_learns_it(self, org: Organization, rep: Actor) -> None:
        client = in_org(org, lambda: create_client(org=org, fields={"name": "Zenith Tools"}, actor=rep, at=AT))
        first = resolved(org, Asked(email="kim@zenith.io", company_name="Zenith Tools Ltd"))[0]
        second = resolved(org, Asked(email="lou@zenith.io"))[0]
        assert (first.client_id, second.client_id) == (client.pk, client.pk)
        assert [rule.rule for rule in second.rules] == ["exact_company_domain", "new_contact"]

    def test_the_organisations_thresholds_hold(self, org: Organization, ann: Contact) -> None:
        with org_scope(org):
            set_value(
                org=org,
                rule_type="routing_rule",
                key="identity_matching",
                value=IDENTITY_MATCHING.plain(IdentityMatching(auto=1.0, review=1.0)),
                reason="Only keys",
                actor=SYSTEM,
                at=AT,
            )
        found = resolved(org, Asked(email="annlee77@gmx.de", name="Ann Lee", company_name="Acme Widgets"))[0]
        assert found.created_contact
        assert pairs(org) == []


class TestContradictions:
    ASKED = Asked(email="ann@acme.com", phone="030 123456")

    def contradict(self, org: Organization) -> tuple[ResolvedIdentity, ResolvedIdentity, ResolvedIdentity]:
        ann = resolved(org, Asked(email="ann@acme.com"))[0]
        bob = resolved(org, Asked(email="bob@other.com", phone="030 123456"))[0]
        return ann, bob, resolved(org, self.ASKED)[0]

    def test_open_one_pair_however_often(self, org: Organization) -> None:
        ann, bob, found = self.contradict(org)
        again = resolved(org, self.ASKED, self.ASKED)
        (pair,) = pairs(org)
        assert found.status == "conflict"
        assert found.conflict_ids == again[1].conflict_ids == (pair.pk,)
        assert (pair.kind, pair.contact_id, pair.other_contact_id) == ("conflict", ann.contact_id, bob.contact_id)
        assert (pair.score, pair.occurrences) == (Decimal("0.60"), 3)

    def test_what_was_kept_apart_is_no_conflict_any_more(self, org: Organization) -> None:
        ann, _, _ = self.contradict(org)
        with org_scope(org):
            IdentityConflict.objects.for_org(org).update(status=ConflictStatus.KEPT_APART, resolved_at=AT)
        before = len(events(org, "identity.conflict"))
        found = resolved(org, self.ASKED)[0]
        assert (found.status, found.contact_id, found.conflict_ids) == ("linked", ann.contact_id, ())
        assert len(events(org, "identity.conflict")) == before
        assert pairs(org)[0].status == ConflictStatus.KEPT_APART


class TestDuplicates:
    def twins(self, org: Organization) -> tuple[ResolvedIdentity, ResolvedIdentity]:
        """Two of one person that could not see each other: each was resolved with likeness turned off."""
        first = resolved(org, Asked(email="ann.lee@acme.com", name="Ann Lee", company_name="Acme"))[0]
        with org_scope(org):
            second = Contact(org=org, client_id=first.client_id, name="Lee, Ann", email="alee@acme.com")
            second.save()
        return first, ResolvedIdentity(first.status, second.pk, first.client_id, Decimal(1), ())

    def suggest(self, org: Organization, *contacts: int | None, clients: Sequence[int] = ()) -> int:
        return suggest_duplicates(
            org=org, contact_ids=[pk for pk in contacts if pk], client_ids=clients, actor=SYSTEM, at=AT
        )

    def test_are_suggested_once(self, org: Organization) -> None:
        first, second = self.twins(org)
        assert self.suggest(org, first.contact_id, second.contact_id) == 1
        assert self.suggest(org, first.contact_id, second.contact_id) == 0
        (pair,) = pairs(org)
        assert (pair.contact_id, pair.other_contact_id) == (first.contact_id, second.contact_id)
        assert pair.occurrences == 1
        assert len(events(org, "identity.suggested")) == 1

    def test_that_were_kept_apart_are_never_suggested_again(self, org: Organization) -> None:
        first, second = self.twins(org)
        self.suggest(org, second.contact_id)
        with org_scope(org):
            IdentityConflict.objects.for_org(org).update(status=ConflictStatus.KEPT_APART, resolved_at=AT)
        assert self.suggest(org, first.contact_id, second.contact_id) == 0
        assert pairs(org)[0].status == ConflictStatus.KEPT_APART

    def test_of_companies_are_suggested(self, org: Organization, acme: Client) -> None:
        other = in_org(org, lambda: create_client(org=org, fields={"name": "Acme Wodgets"}, actor=SYSTEM, at=AT))
        assert self.suggest(org, clients=[other.pk]) == 1

    def test_of_strangers_there_are_none(self, org: Organization, ann: Contact) -> None:
        other = resolved(org, Asked(email="bob@zenith.io", name="Bob Ray"))[0]
        assert self.suggest(org, other.contact_id) == 0


@pytest.mark.django_db(transaction=True)
class TestAtOnce:
    def test_a_hundred_threads_with_one_unknown_company_make_one_client_and_one_contact_a_person(
        self, org: Organization
    ) -> None:
        people, threads = len(PEOPLE), 100
        barrier = threading.Barrier(threads)

        def deliver(number: int) -> list[ResolvedIdentity]:
            person = number % people
            asked = [
                Asked(
                    email=f"{PEOPLE[person].replace(' ', '.')}@Acme.com",
                    phone=f"030 12345{person}",
                    name=PEOPLE[person],
                    company_name=("Acme GmbH", "ACME", "Acme Inc.", "The Acme Group")[number % 4],
                ),
                Asked(
                    email=f"{PEOPLE[(person + 1) % people].replace(' ', '.')}@acme.com".lower(),
                    company_domain="acme.com",
                ),
            ]
            try:
                barrier.wait(timeout=60)
                return resolved(org, *(asked if number % 2 else reversed(asked)))
            finally:
                connection.close()

        with ThreadPoolExecutor(threads) as pool:
            found = list(itertools.chain(*pool.map(deliver, range(threads))))
        assert counts(org) == (people, 1)
        assert len(found) == 2 * threads
        assert len({one.client_id for one in found}) == 1
        assert sum(one.created_contact for one in found) == people
        assert sum(one.created_client for one in found) == 1
        key = in_org(org, lambda: IdentityKey.objects.for_org(org).get(key_type="company_domain"))
        assert key.occurrences == 2 * threads

    def test_chunks_with_the_same_people_in_another_order_do_not_deadlock(self, org: Organization) -> None:
        everybody = [
            Asked(
                email=f"{given}.{family}@c{place}.com".lower(),
                phone=f"030 12{place}{ord(given[0])}",
                name=f"{given} {family}",
            )
            for given in ("Ann", "Bob", "Cleo", "Dirk", "Emil", "Fay", "Gus", "Hugo")
            for place, family in enumerate(("Lee", "Ray", "Fox", "Moss", "Hill"))
        ]
        barrier = threading.Barrier(8)

        def deliver(number: int) -> int:
            turned = everybody[number * 5 :] + everybody[: number * 5]
            try:
                barrier.wait(timeout=60)
                return sum(one.created_contact for one in resolved(org, *turned))
            finally:
                connection.close()

        with ThreadPoolExecutor(8) as pool:
            made = list(pool.map(deliver, range(8)))
        assert sum(made) == 40
        assert counts(org) == (40, 5)


def test_a_slip_anywhere_leaves_a_block_in_common(org: Organization) -> None:
    """The blocks that a name asks for, computed here, meet those that the database stores."""
    name = "northwind trading"
    spoiled = [
        name[:place] + letter + name[place + cut :]
        for place in range(1, len(name))
        for cut in (0, 1)
        for letter in ("", "x")
    ]
    with org_scope(org), connection.cursor() as cursor:
        cursor.execute(
            "SELECT match_company_blocks(%s, %s) && "
            '(SELECT array_agg(hashtextextended(b COLLATE "C", %s)) FROM unnest(%s::text[]) b)',
            [org.pk, name, org.pk, company_blocks("zenith")],
        )
        assert cursor.fetchone() == (False,)
        for other in {each for each in spoiled if " " in each and "  " not in each and each.strip() == each}:
            cursor.execute(
                "SELECT match_company_blocks(%s, %s) && "
                '(SELECT array_agg(hashtextextended(b COLLATE "C", %s)) FROM unnest(%s::text[]) b)',
                [org.pk, name, org.pk, company_blocks(other)],
            )
            assert cursor.fetchone() == (True,), other


@pytest.mark.parametrize("name", ["", "abc", "acme", "acme widgets", "the acme widgets of nord", "žlutý kůň", "a b c"])
def test_blocks_of_this_chunk_are_those_that_the_database_stores(org: Organization, name: str) -> None:
    with org_scope(org), connection.cursor() as cursor:
        cursor.execute(
            "SELECT (SELECT array_agg(h ORDER BY h) FROM unnest(match_company_blocks(%s, %s)) h) = "
            '(SELECT array_agg(DISTINCT hashtextextended(b COLLATE "C", %s)) FROM unnest(%s::text[]) b)',
            [org.pk, name, org.pk, sorted(stored_blocks(name))],
        )
        assert cursor.fetchone() == (True,)
