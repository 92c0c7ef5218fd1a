"""What has changed is scored anew: profiles, rules, clients, contacts, merges, enrichment."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

import pytest

from flowledger.clients import services as clients
from flowledger.clients.services import ClientRow, write_clients
from flowledger.configuration.services import set_value
from flowledger.errors import PermissionRefused
from flowledger.outbox.drain import drain_all
from flowledger.outbox.models import WorkEvent
from flowledger.tenancy.actors import Actor
from spotlight.models import RescoreRun, SpotlightFit, SpotlightScore, SpotlightScoreChange
from spotlight.services import clone_spotlight, delete_spotlight, following, store_facts, update_spotlight
from spotlight.services.rescores import rescore_batch
from tests.factories import ClientFactory, ContactFactory
from tests.queries import counted_queries
from tests.spotlight.factories import open_spotlight, wish
from tests.spotlight.rescoring import BANK, ask_for, fresh, profile, runs_of, score, signals, work
from tests.workstream.conftest import actor_of
from tests.workstream.factories import AT, CLERK, open_candidate
from workstream.services import create_signal

pytestmark = pytest.mark.django_db
LATER = AT + timedelta(minutes=5)


@pytest.fixture(autouse=True)
def no_wake(settings):
    settings.OUTBOX_WAKE = False


def scores_of(row, item_type="signal"):
    return list(SpotlightScore.all_orgs.filter(**{item_type: row}).values_list("match_score", flat=True))


def causes_of(row):
    rows = SpotlightScoreChange.all_orgs.filter(signal=row).order_by("pk")
    return list(rows.values_list("cause", flat=True))


def by_industry(org):
    return open_spotlight(org, (wish("industry", "=", "Banking", field_type="text"),))


class TestProfiles:
    def test_a_new_one_is_held_against_everything(self, org, manager):
        rows = signals(org, 3)
        spotlight = open_spotlight(org, (wish("industry", "=", "Banking", field_type="text"),), actor=actor_of(manager))
        drain_all()
        (run,) = runs_of(org)
        assert (run.spotlight_id, run.cause, run.reason) == (spotlight.pk, "profile", "The profile is new")
        assert (run.started_by_id, run.items_total) == (manager.user_id, 3)
        assert work(org, run).status == "done"
        assert [scores_of(row) for row in rows] == [[1]] * 3

    def test_an_edit_that_moves_scores_starts_a_run_and_supersedes_the_one_before(self, org):
        spotlight = profile(org)
        score(org, signals(org, 2))
        drain_all()
        ask_for(org, spotlight, 1_000_000)
        drain_all()
        ask_for(org, spotlight, 2_000_000)
        drain_all()
        assert [run.status for run in runs_of(org)] == ["superseded", "superseded", "running"]
        assert runs_of(org)[-1].reason == "The profile was changed to version 3"

    def test_edits_in_a_row_start_one(self, org):
        spotlight = profile(org)
        for budget in (200_000, 300_000, 400_000):
            ask_for(org, spotlight, budget)
        drain_all()
        (run,) = runs_of(org)
        assert (run.status, run.reason) == ("running", "The profile was changed to version 4")

    def test_an_edit_that_moves_none_starts_none(self, org):
        spotlight = profile(org)
        drain_all()
        update_spotlight(
            org=org, spotlight_id=spotlight.pk, fields={"description": "For the north"}, actor=CLERK, at=AT
        )
        drain_all()
        assert len(runs_of(org)) == 1

    def test_a_copy_that_is_off_counts_for_nobody(self, org):
        rows = signals(org, 1)
        spotlight = profile(org)
        clone_spotlight(org=org, spotlight_id=spotlight.pk, actor=CLERK, at=AT)
        drain_all()
        for run in runs_of(org):
            work(org, run)
        assert scores_of(rows[0]) == [1]

    def test_the_next_best_takes_the_place_of_one_that_was_deleted(self, org):
        best, other = profile(org), by_industry(org)
        (row,) = signals(org, 1, attributes={"industry": "Banking", "budget": 90_000})
        score(org, [row])
        drain_all()
        for spotlight in (other, best):
            delete_spotlight(org=org, spotlight_id=spotlight.pk, actor=CLERK, at=AT)
            drain_all()
            for run in runs_of(org):
                work(org, run)
            fits = SpotlightFit.all_orgs.filter(signal=row).values_list("spotlight_id", flat=True)
            assert list(fits) == ([best.pk] if spotlight is other else [])


class TestRules:
    @pytest.mark.parametrize(
        ("key", "value"),
        [
            ("bands", {"high": 0.9, "medium": 0.6, "low": 0.4, "least_coverage": 0.5}),
            ("partial_credit", {"number_margin": 0.1, "date_margin_days": 30}),
            ("fact_precedence", {"order": ["client", "signal", "enrichment", "contact"]}),
        ],
    )
    def test_those_that_make_scores_start_one_over_all_profiles(self, org, key, value):
        profile(org)
        drain_all()
        set_value(org=org, rule_type="spotlight_rule", key=key, value=value, reason="Tried", actor=CLERK, at=AT)
        drain_all()
        run = runs_of(org)[-1]
        assert (run.spotlight_id, run.reason) == (None, f"The rule {key} was changed")

    def test_others_start_none(self, org):
        profile(org)
        drain_all()
        set_value(org=org, rule_type="spotlight_rule", key="override_days", value=9, reason="Tried", actor=CLERK, at=AT)
        drain_all()
        assert len(runs_of(org)) == 1

    def test_without_a_profile_there_is_nothing_to_do(self, org):
        value = {"number_margin": 0.1, "date_margin_days": 30}
        set_value(
            org=org, rule_type="spotlight_rule", key="partial_credit", value=value, reason="T", actor=CLERK, at=AT
        )
        drain_all()
        assert runs_of(org) == []


class TestClients:
    def test_an_edit_scores_its_signals_and_open_candidates_at_once(self, org):
        by_industry(org)
        client, other = ClientFactory(org=org, industry="Retail"), ClientFactory(org=org, industry="Banking")
        mine = signals(org, 2, client=client, attributes={})
        (theirs,) = signals(org, 1, client=other, attributes={})
        candidate = open_candidate(org, client=client)
        score(org, [*mine, theirs])
        drain_all()
        assert [scores_of(row) for row in (*mine, theirs)] == [[0], [0], [1]]
        clients.update_client(org=org, client_id=client.pk, fields={"industry": "Banking"}, actor=CLERK, at=LATER)
        drain_all()
        assert [scores_of(row) for row in (*mine, theirs)] == [[1]] * 3
        assert scores_of(candidate, "candidate") == [1]
        assert causes_of(mine[0]) == ["client"]
        assert causes_of(theirs) == []
        assert not RescoreRun.all_orgs.filter(client__isnull=False).exists()

    def test_an_edit_of_something_else_scores_nothing(self, org):
        by_industry(org)
        client = ClientFactory(org=org, industry="Banking")
        (row,) = signals(org, 1, client=client, attributes={})
        clients.update_client(org=org, client_id=client.pk, fields={"is_active": False}, actor=CLERK, at=AT)
        drain_all()
        fact = WorkEvent.all_orgs.get(org=org, event_name="client.updated")
        assert fact.payload == {"client_id": client.pk, "changed": ["is_active"]}
        assert scores_of(row) == []

    def test_what_changes_nothing_tells_nobody(self, org):
        client = ClientFactory(org=org, industry="Banking", annual_revenue=Decimal(100))
        fields = {"industry": "Banking", "annual_revenue": Decimal("100.00")}
        clients.update_client(org=org, client_id=client.pk, fields=fields, actor=CLERK, at=AT)
        assert not WorkEvent.all_orgs.filter(org=org, event_name="client.updated").exists()

    def test_an_import_tells_of_each_and_routes_nothing(self, org):
        by_industry(org)
        one, two = ClientFactory(org=org, industry="Retail"), ClientFactory(org=org, industry="Retail")
        rows = signals(org, 2, client=one, attributes={})
        score(org, rows)
        asked = [ClientRow({"industry": "Banking"}, one.pk), ClientRow({"industry": "Retail"}, two.pk)]
        write_clients(org=org, rows=asked, may_create=False, may_update=True, actor=Actor.importer(), at=LATER)
        told = WorkEvent.all_orgs.filter(org=org, event_name="client.updated")
        assert [fact.payload for fact in told] == [{"client_id": one.pk, "changed": ["industry"]}]
        drain_all()
        assert [scores_of(row) for row in rows] == [[1], [1]]
        newest = WorkEvent.all_orgs.filter(org=org, event_name="spotlight.evaluated").order_by("-pk")[0]
        assert (newest.origin, newest.payload["cause"]) == ("import", "client")

    def test_a_contacts_title(self, org):
        open_spotlight(org, (wish("title", "=", "CFO", field_type="text"),))
        contact = ContactFactory(org=org)
        (row,) = signals(org, 1, contact=contact, attributes={})
        drain_all()
        clients.update_contact(org=org, contact_id=contact.pk, fields={"title": "CFO"}, actor=CLERK, at=LATER)
        drain_all()
        fact = WorkEvent.all_orgs.get(org=org, event_name="contact.updated")
        assert fact.payload == {"contact_id": contact.pk, "changed": ["title"]}
        assert scores_of(row) == [1]

    def test_a_merge_and_its_undo(self, org):
        by_industry(org)
        bank, shop = ClientFactory(org=org, industry="Banking"), ClientFactory(org=org, industry="Retail")
        (row,) = signals(org, 1, client=shop, attributes={})
        score(org, [row])
        merge = clients.merge_clients(org=org, survivor_id=bank.pk, loser_id=shop.pk, actor=CLERK, at=LATER)
        drain_all()
        assert scores_of(row) == [1]
        clients.undo_merge(org=org, merge_id=merge.pk, actor=CLERK, at=LATER)
        drain_all()
        assert scores_of(row) == [0]
        assert causes_of(row) == ["client", "client"]


class TestEnrichment:
    def test_news_scores_the_items(self, org):
        by_industry(org)
        client = ClientFactory(org=org, industry="")
        (row,) = signals(org, 1, client=client, attributes={})
        score(org, [row])
        store_facts(
            org=org, client_id=client.pk, provider="Register", facts={"industry": "Banking"}, actor=CLERK, at=LATER
        )
        drain_all()
        score_row = SpotlightScore.all_orgs.get(signal=row)
        assert (score_row.match_score, score_row.components[0][3]) == (1, "enrichment")
        assert causes_of(row) == ["enrichment"]


class TestMany:
    @pytest.fixture(autouse=True)
    def few(self, monkeypatch):
        """Small bounds, so that a handful is many."""
        monkeypatch.setattr(following, "NEWEST", 3)
        monkeypatch.setattr(following, "MOST_AT_ONCE", 5)

    def follow(self, org, **subjects):
        return following.follow_subjects(
            org=org, cause="client", reason="A client was changed", actor=CLERK, at=LATER, **subjects
        )

    def test_the_newest_at_once_the_rest_by_a_run(self, org):
        by_industry(org)
        client = ClientFactory(org=org, industry="Banking")
        rows = [signals(org, 1, client=client, ts=AT + timedelta(hours=n), attributes={})[0] for n in range(5)]
        (run,) = self.follow(org, client_ids=[client.pk])
        assert [bool(scores_of(row)) for row in rows] == [False, False, True, True, True]
        assert (run.client_id, run.reason, run.items_total) == (client.pk, "A client was changed", 5)
        work(org, run)
        assert [scores_of(row) for row in rows] == [[1]] * 5

    def test_those_that_come_after_the_bound_get_runs_of_their_own(self, org):
        by_industry(org)
        owners = [ClientFactory(org=org, industry="Banking") for _ in range(4)]
        rows = [signals(org, 3, client=owner, attributes={}) for owner in owners[:3]]
        runs = self.follow(org, client_ids=[owner.pk for owner in owners])
        assert [[bool(scores_of(row)) for row in group] for group in rows] == [[True] * 3, [True] * 3, [False] * 3]
        # The last has nothing to score.
        assert [run.client_id for run in runs] == [owners[2].pk]

    def test_costs_the_same_however_many_they_are(self, org):
        by_industry(org)
        owners = [ClientFactory(org=org, industry="Banking") for _ in range(5)]
        for owner in owners:
            signals(org, 1, client=owner, attributes={})
        with counted_queries() as few:
            self.follow(org, client_ids=[owners[0].pk])
        with counted_queries() as many:
            self.follow(org, client_ids=[owner.pk for owner in owners[1:]])
        assert len(few) == len(many)

    def test_nobody_is_there(self, org, viewer):
        by_industry(org)
        assert self.follow(org, client_ids=[10**9], contact_ids=[10**9]) == []
        with pytest.raises(PermissionRefused):
            following.follow_subjects(org=org, client_ids=[1], cause="client", reason="", actor=actor_of(viewer), at=AT)

    def test_without_a_profile_nothing_is_done(self, org):
        client = ClientFactory(org=org)
        signals(org, 5, client=client)
        assert self.follow(org, client_ids=[client.pk]) == []
        assert runs_of(org) == []


def test_new_signals_are_scored_while_a_run_goes_on(org):
    spotlight = profile(org)
    old = signals(org, 6)
    drain_all()
    (run,) = runs_of(org)
    rescore_batch(org=org, run_id=run.pk, at=AT, size=2)
    fields = {"source_type": "api", "ts": AT, "contact_email": "a@bank.example", "attributes": BANK}
    new = create_signal(org=org, fields=fields, actor=CLERK, at=LATER).signal
    drain_all()
    assert fresh(org, run).done_count == 2
    assert scores_of(new) == [1]
    work(org, run)
    assert [scores_of(row) for row in old] == [[1]] * 6
    of_signals = SpotlightScore.all_orgs.filter(org=org, spotlight=spotlight, signal__isnull=False)
    assert of_signals.count() == 7
