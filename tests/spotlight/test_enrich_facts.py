"""The newest word of each provider on a client or contact is kept, and told of when it is news."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

import pytest

from flowledger.clients.services import merge_clients
from flowledger.errors import Conflict, InvalidInput, NotFound, PermissionRefused
from flowledger.outbox.models import WorkEvent
from spotlight.models import EnrichedFact
from spotlight.services import store_facts
from tests.factories import ClientFactory, ContactFactory
from tests.queries import counted_queries
from tests.workstream.conftest import actor_of
from tests.workstream.factories import AT, CLERK

LATER = AT + timedelta(days=1)


@pytest.fixture(autouse=True)
def no_wake(settings):
    settings.OUTBOX_WAKE = False


def store(org, facts, *, provider="Register", at=AT, actor=CLERK, **more):
    return store_facts(org=org, provider=provider, facts=facts, actor=actor, at=at, **more)


def known(org):
    """{(field, provider): value}"""
    rows = EnrichedFact.all_orgs.filter(org=org)
    return {(row.field_name, row.provider): row.value for row in rows}


def news(org):
    rows = WorkEvent.all_orgs.filter(org=org, event_name="spotlight.facts_enriched").order_by("pk")
    return [row.payload["fields"] for row in rows]


@pytest.mark.django_db
class TestStoring:
    def test_keeps_every_kind_of_value_under_its_folded_name(self, org):
        client = ClientFactory(org=org)
        facts = {"Annual Revenue": "1.2m", "employees": 240, "listed": False, "sectors": ["Banking"], "hq": {"c": "DE"}}
        changed = store(org, facts, client_id=client.pk, confidence="0.9")
        assert changed == ["annual_revenue", "employees", "hq", "listed", "sectors"]
        assert known(org) == {
            ("annual_revenue", "Register"): "1.2m",
            ("employees", "Register"): 240,
            ("listed", "Register"): False,
            ("sectors", "Register"): ["Banking"],
            ("hq", "Register"): {"c": "DE"},
        }
        row = EnrichedFact.all_orgs.get(org=org, field_name="employees")
        assert (row.client_id, row.contact_id, row.confidence, row.fetched_at) == (client.pk, None, Decimal("0.9"), AT)
        (fact,) = WorkEvent.all_orgs.filter(org=org, event_name="spotlight.facts_enriched")
        assert (fact.item_type, fact.item_id, fact.payload["provider"]) == ("client", client.pk, "Register")

    def test_of_a_contact(self, org):
        contact = ContactFactory(org=org)
        assert store(org, {"seniority": "Head"}, contact_id=contact.pk) == ["seniority"]
        assert EnrichedFact.all_orgs.get(org=org).contact_id == contact.pk

    def test_the_same_again_is_no_news(self, org):
        client = ClientFactory(org=org)
        store(org, {"employees": 240}, client_id=client.pk)
        assert store(org, {"employees": 240}, client_id=client.pk, at=LATER) == []
        assert EnrichedFact.all_orgs.get(org=org).fetched_at == LATER
        assert news(org) == [["employees"]]

    def test_a_newer_word_replaces_an_older_one_and_not_the_other_way_round(self, org):
        client = ClientFactory(org=org)
        store(org, {"employees": 240}, client_id=client.pk, at=LATER)
        assert store(org, {"employees": 100}, client_id=client.pk, at=LATER, fetched_at=AT) == []
        assert known(org) == {("employees", "Register"): 240}
        assert store(org, {"employees": 300}, client_id=client.pk, at=LATER) == ["employees"]
        row = EnrichedFact.all_orgs.get(org=org)
        assert (row.value, row.row_version) == (300, 2)
        assert news(org) == [["employees"], ["employees"]]

    def test_another_confidence_is_news(self, org):
        client = ClientFactory(org=org)
        store(org, {"employees": 240}, client_id=client.pk, confidence=0.5)
        assert store(org, {"employees": 240}, client_id=client.pk, confidence=0.75) == ["employees"]

    def test_true_is_not_one(self, org):
        client = ClientFactory(org=org)
        store(org, {"listed": True, "sites": 0}, client_id=client.pk)
        assert store(org, {"listed": 1, "sites": False}, client_id=client.pk) == ["listed", "sites"]

    def test_providers_stand_beside_each_other(self, org):
        client = ClientFactory(org=org)
        store(org, {"employees": 240}, client_id=client.pk)
        store(org, {"employees": 250}, client_id=client.pk, provider=" Crawler ")
        assert known(org) == {("employees", "Register"): 240, ("employees", "Crawler"): 250}

    def test_null_takes_back(self, org):
        client = ClientFactory(org=org)
        store(org, {"employees": 240, "listed": False}, client_id=client.pk)
        assert store(org, {"employees": None, "unheard_of": None}, client_id=client.pk) == ["employees"]
        assert known(org) == {("listed", "Register"): False}

    def test_costs_the_same_however_many_there_are(self, org):
        client, other = ClientFactory(org=org), ClientFactory(org=org)
        with counted_queries() as few:
            store(org, {"a": 1}, client_id=client.pk)
        with counted_queries() as many:
            store(org, {f"f{n}": n for n in range(150)}, client_id=other.pk)
        assert len(few) == len(many)


@pytest.mark.django_db
class TestRefusals:
    @pytest.mark.parametrize(
        ("facts", "sentence"),
        [
            ({}, "There are no facts"),
            ({" - ": 1}, "needs the name of a field"),
            ({"a b": 1, "A-B": 2}, "named twice"),
            ({"x" * 61: 1}, "at most 60 characters"),
            ({"a": "\x00"}, "NUL"),
            ({"a\x00": 1}, "NUL"),
            ({"a": "\ud800"}, "cannot be stored"),
            ({"a": float("nan")}, "cannot be stored"),
            ({"a": "x" * 10_001}, "longer than 10,000"),
            ({f"f{n}": n for n in range(201)}, "At most 200 facts"),
        ],
    )
    def test_facts_that_cannot_be_kept(self, org, facts, sentence):
        client = ClientFactory(org=org)
        with pytest.raises(InvalidInput, match=sentence) as refused:
            store(org, {**facts, **({"fine": 1} if facts else {})}, client_id=client.pk)
        assert list(refused.value.details["fields"]) == ["facts"]
        assert (known(org), news(org)) == ({}, [])

    @pytest.mark.parametrize("confidence", [-0.1, 1.01, "much", float("nan"), "Infinity"])
    def test_a_confidence_that_is_none(self, org, confidence):
        with pytest.raises(InvalidInput, match="from 0 to 1"):
            store(org, {"a": 1}, client_id=ClientFactory(org=org).pk, confidence=confidence)
        assert known(org) == {}

    def test_a_provider_without_a_name(self, org):
        for name in (" ", "x" * 61):
            with pytest.raises(InvalidInput, match="provider"):
                store(org, {"a": 1}, client_id=ClientFactory(org=org).pk, provider=name)

    def test_a_time_that_has_not_come(self, org):
        with pytest.raises(InvalidInput, match="has not come"):
            store(org, {"a": 1}, client_id=ClientFactory(org=org).pk, fetched_at=LATER)

    def test_nobody_or_two(self, org):
        client, contact = ClientFactory(org=org), ContactFactory(org=org)
        for named in ({}, {"client_id": client.pk, "contact_id": contact.pk}):
            with pytest.raises(InvalidInput, match="one client or one contact"):
                store(org, {"a": 1}, **named)

    def test_strangers_and_viewers(self, org, other_org, viewer):
        theirs = ClientFactory(org=other_org)
        with pytest.raises(NotFound):
            store(org, {"a": 1}, client_id=theirs.pk)
        with pytest.raises(PermissionRefused):
            store(org, {"a": 1}, client_id=ClientFactory(org=org).pk, actor=actor_of(viewer))
        assert not EnrichedFact.all_orgs.exists()


@pytest.mark.django_db
class TestMerges:
    def test_facts_follow_and_the_survivors_own_stand(self, org):
        survivor, loser = ClientFactory(org=org), ClientFactory(org=org)
        store(org, {"employees": 240}, client_id=survivor.pk)
        store(org, {"employees": 9, "listed": True}, client_id=loser.pk)
        merge_clients(org=org, survivor_id=survivor.pk, loser_id=loser.pk, actor=CLERK, at=AT)
        mine = EnrichedFact.all_orgs.filter(client=survivor)
        assert {row.field_name: row.value for row in mine} == {"employees": 240, "listed": True}
        with pytest.raises(Conflict, match=f"client {survivor.pk}"):
            store(org, {"a": 1}, client_id=loser.pk)
