"""Re-scores and enrichment over REST: what is asked, what comes back, who may."""

from __future__ import annotations

import pytest

from spotlight.models import EnrichedFact, RescoreRun
from tests.factories import ClientFactory, ContactFactory
from tests.queries import counted_queries
from tests.spotlight.factories import EnrichedFactFactory, RescoreRunFactory
from tests.spotlight.rescoring import fresh, profile, runs_of, signals, start, work

pytestmark = pytest.mark.django_db
RESCORES, FACTS = "/api/spotlights/rescores", "/api/spotlights/enrichment"


@pytest.fixture(autouse=True)
def no_wake(settings):
    settings.OUTBOX_WAKE = False


class TestRescores:
    def test_start_and_watch(self, org, as_manager, manager):
        spotlight = profile(org)
        signals(org, 3)
        answer = as_manager.post(RESCORES, {"spotlight_id": spotlight.pk, "reason": " The spring list has come "})
        assert answer.status_code == 201
        begun = answer.json()
        assert (begun["status"], begun["items_total"], begun["done_count"]) == ("running", 3, 0)
        assert (begun["cause"], begun["reason"]) == ("manual", "The spring list has come")
        assert (begun["spotlight_id"], begun["started_by_user_id"]) == (spotlight.pk, manager.user_id)
        work(org, runs_of(org)[0])
        ended = as_manager.get(f"{RESCORES}/{begun['rescore_id']}").json()
        assert (ended["status"], ended["done_count"], ended["changed_count"]) == ("done", 3, 3)

    def test_of_one_client_by_a_representative(self, org, as_rep):
        client = ClientFactory(org=org)
        answer = as_rep.post(RESCORES, {"client_id": client.pk})
        assert (answer.status_code, answer.json()["client_id"]) == (201, client.pk)
        refused = as_rep.post(RESCORES, {})
        assert (refused.status_code, refused.json()["code"]) == (403, "permission_denied")
        assert len(runs_of(org)) == 1

    def test_of_nobody_we_know(self, org, other_org, as_manager):
        for body in (
            {"spotlight_id": profile(other_org).pk},
            {"client_id": ClientFactory(org=other_org).pk},
            {"contact_id": 10**9},
            {"reason": "x" * 501},
            {"profile": 1},
        ):
            answer = as_manager.post(RESCORES, body)
            assert (answer.status_code, list(answer.json()["fields"])) == (400, list(body))
        assert runs_of(org) == []

    def test_cancel_once(self, org, as_manager):
        run = start(org, spotlight=profile(org))
        answer = as_manager.post(f"{RESCORES}/{run.pk}/cancel", {})
        assert (answer.status_code, answer.json()["status"]) == (200, "cancelled")
        again = as_manager.post(f"{RESCORES}/{run.pk}/cancel", {})
        assert (again.status_code, again.json()["code"]) == (422, "invalid_transition")
        assert fresh(org, run).row_version == 2

    def test_list_newest_first_by_filter(self, org, as_viewer):
        spotlight = profile(org)
        first, second = start(org, spotlight=spotlight), start(org, spotlight=spotlight)
        third = start(org, client=ClientFactory(org=org), cause="client")
        ids = [row["rescore_id"] for row in as_viewer.get(RESCORES).json()["data"]]
        assert ids == [third.pk, second.pk, first.pk]
        for query, expected in (
            ("status=superseded", [first.pk]),
            (f"spotlight_id={spotlight.pk}", [second.pk, first.pk]),
            ("spotlight_id=none", [third.pk]),
            ("cause=client", [third.pk]),
        ):
            rows = as_viewer.get(f"{RESCORES}?{query}").json()["data"]
            assert [row["rescore_id"] for row in rows] == expected, query
        assert as_viewer.get(f"{RESCORES}?status=stuck").status_code == 400

    def test_a_longer_list_costs_the_same(self, org, as_viewer):
        RescoreRunFactory.create_batch(2, org=org)
        with counted_queries() as few:
            as_viewer.get(RESCORES)
        RescoreRunFactory.create_batch(10, org=org)
        with counted_queries() as many:
            assert len(as_viewer.get(RESCORES).json()["data"]) == 12
        assert len(few) == len(many) <= 2

    def test_a_strangers_is_not_there(self, other_org, as_manager):
        theirs = start(other_org, spotlight=profile(other_org))
        assert as_manager.get(f"{RESCORES}/{theirs.pk}").status_code == 404
        assert as_manager.post(f"{RESCORES}/{theirs.pk}/cancel", {}).status_code == 404
        assert RescoreRun.all_orgs.get(pk=theirs.pk).status == "running"


class TestEnrichment:
    def test_store_and_read(self, org, as_rep):
        client = ClientFactory(org=org)
        facts = {"Annual Revenue": "1.2m", "listed": False, "hq": {"city": "Bern"}}
        body = {"client_id": client.pk, "provider": "Register", "facts": facts, "confidence": 0.9}
        assert as_rep.post(FACTS, body).json() == {"changed": ["annual_revenue", "hq", "listed"]}
        assert as_rep.post(FACTS, body).json() == {"changed": []}
        rows = as_rep.get(f"{FACTS}?client_id={client.pk}&field_name=annual_revenue").json()["data"]
        assert [(row["value"], row["provider"], row["confidence"]) for row in rows] == [("1.2m", "Register", 0.9)]

    def test_of_a_contact_from_before(self, org, as_rep):
        contact = ContactFactory(org=org)
        body = {"contact_id": contact.pk, "provider": "Register", "facts": {"seniority": "Head"}}
        when = "2026-01-02T03:04:05Z"
        assert as_rep.post(FACTS, {**body, "fetched_at": when}).status_code == 200
        (row,) = as_rep.get(f"{FACTS}?contact_id={contact.pk}").json()["data"]
        assert row["fetched_at"] == when
        assert as_rep.post(FACTS, {**body, "facts": {"seniority": None}}).json() == {"changed": ["seniority"]}
        assert not EnrichedFact.all_orgs.filter(org=org).exists()

    def test_what_is_wrong_is_said(self, org, other_org, as_rep):
        client = ClientFactory(org=org)
        good = {"client_id": client.pk, "provider": "Register", "facts": {"a": 1}}
        for change, field in (
            ({"facts": {}}, "facts"),
            ({"facts": {"a b": 1, "a-b": 2}}, "facts"),
            ({"facts": []}, "facts"),
            ({"confidence": 2}, "confidence"),
            ({"provider": ""}, "provider"),
            ({"fetched_at": "2100-01-01T00:00:00Z"}, "fetched_at"),
            ({"client_id": ClientFactory(org=other_org).pk}, "client_id"),
            ({"contact_id": ContactFactory(org=org).pk}, "client_id"),
        ):
            answer = as_rep.post(FACTS, {**good, **change})
            assert (answer.status_code, answer.json()["code"]) == (400, "validation_error"), change
            assert field in answer.json()["fields"], change
        assert not EnrichedFact.all_orgs.exists()

    def test_a_viewer_reads_alone(self, org, as_viewer):
        fact = EnrichedFactFactory(org=org)
        assert [row["fact_id"] for row in as_viewer.get(FACTS).json()["data"]] == [fact.pk]
        body = {"client_id": fact.client_id, "provider": "Register", "facts": {"a": 1}}
        assert as_viewer.post(FACTS, body).status_code == 403
        assert EnrichedFact.all_orgs.count() == 1

    def test_a_longer_list_costs_the_same(self, org, as_viewer):
        EnrichedFactFactory.create_batch(2, org=org)
        with counted_queries() as few:
            as_viewer.get(FACTS)
        EnrichedFactFactory.create_batch(10, org=org)
        with counted_queries() as many:
            assert len(as_viewer.get(FACTS).json()["data"]) == 12
        assert len(few) == len(many) <= 2

    def test_a_key_needs_the_scope_of_clients(self, org, client_for):
        client = ClientFactory(org=org)
        body = {"client_id": client.pk, "provider": "Register", "facts": {"a": 1}}
        for scopes, status in ((["workstream:write"], 403), (["clients:write"], 200)):
            assert client_for(scopes).post(FACTS, body).status_code == status
