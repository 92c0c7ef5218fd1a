"""Signals go where the rule sends those of their band: once, and once more when they have risen."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import pytest

from flowledger.configuration.services import set_value
from flowledger.errors import PermissionRefused
from flowledger.outbox.drain import drain_all
from flowledger.outbox.models import WorkEvent
from flowledger.tenancy.actors import Actor, Origin, Role
from spotlight.models import RoutedSignal, SpotlightFit
from spotlight.services.reviews import dismiss_review
from spotlight.services.routing import route_signals
from tests.factories import ClientFactory, ContactFactory, UserFactory
from tests.queries import counted_queries
from tests.spotlight.scored_signals import (
    HIGH,
    LOW,
    MEDIUM,
    NONE,
    candidates_of,
    profile,
    rate,
    routed,
    scored,
    tell,
)
from tests.workstream.factories import AT, CLERK, SignalClusterFactory, SignalFactory, open_candidate
from tests.workstream.trail import events_of, newest_event
from workstream import services as workstream
from workstream.models import Candidate, CandidateSignal, Signal

pytestmark = pytest.mark.django_db


def route(org, *signals, at=AT, actor=CLERK):
    return route_signals(org=org, signal_ids=[signal.pk for signal in signals], actor=actor, at=at)


def routes(org, **bands):
    set_value(org=org, rule_type="routing_rule", key="spotlight", value=bands, reason="Tried out", actor=CLERK, at=AT)


class TestByBand:
    def test_a_high_match_opens_a_candidate_that_is_first_in_line(self, org):
        org.timezone = "Pacific/Auckland"
        org.save()
        signal = scored(org, HIGH, company_name="Northwind", problem_phrase="Press stops")
        late = datetime(2026, 3, 2, 20, 0, tzinfo=UTC)
        (row,) = route(org, signal, at=late)
        (candidate,) = candidates_of(org)
        assert (row.action, row.candidate_id, row.review_status) == ("candidate", candidate.pk, "settled")
        assert (candidate.status, candidate.title) == ("triaged", "Northwind – Press stops")
        assert (candidate.client_id, candidate.next_step) == (signal.client_id, "Contact the sender")
        assert (float(candidate.icp_score), candidate.icp_band) == (0.93, "high")
        # It is the third of March there by then.
        assert candidate.next_step_due == date(2026, 3, 4)
        link = CandidateSignal.all_orgs.get(signal=signal)
        assert link.reason == "Routed by Banks: 0.93, high match"
        signal.refresh_from_db()
        assert signal.disposition == "linked"

    def test_a_medium_match_opens_one_in_nurture(self, org):
        signal = scored(org, MEDIUM)
        route(org, signal)
        (candidate,) = candidates_of(org)
        assert candidate.status == "nurture"
        assert (candidate.next_step, candidate.next_step_due) == ("Find out more", date(2026, 3, 16))
        told = ["candidate.created", "candidate.updated", "candidate.triaged", "candidate.nurtured"]
        assert events_of(candidate) == told
        assert routed(signal).action == "nurture"

    def test_a_low_match_waits_for_review(self, org):
        signal = scored(org, LOW)
        (row,) = route(org, signal)
        assert (row.action, row.review_status, row.candidate_id) == ("review", "waiting", None)
        assert row.reason == "Banks: 0.45, low match"
        assert candidates_of(org) == []
        signal.refresh_from_db()
        assert signal.disposition == "new"

    def test_no_match_is_left_a_signal(self, org):
        signal = scored(org, NONE)
        (row,) = route(org, signal)
        assert (row.action, row.review_status) == ("none", "settled")
        assert candidates_of(org) == []
        assert not CandidateSignal.all_orgs.filter(signal=signal).exists()

    @pytest.mark.parametrize(
        ("band", "action", "asks"),
        [(HIGH, "candidate", False), (MEDIUM, "nurture", False), (LOW, "review", True), (NONE, "none", False)],
    )
    def test_it_is_told_of_what_was_done(self, org, band, action, asks):
        signal = scored(org, band)
        (row,) = route(org, signal)
        assert newest_event(org, "spotlight.routed").payload == {
            "signal_id": signal.pk,
            "recommendation": band.value,
            "action": action,
            "candidate_id": row.candidate_id,
            "is_review": asks,
        }

    def test_the_owner_of_the_signal_works_on_the_candidate(self, org):
        owner = UserFactory()
        route(org, scored(org, HIGH, owner=owner))
        assert candidates_of(org)[0].owner == owner

    def test_a_signal_that_says_nothing_still_gets_a_title(self, org):
        signal = scored(org, HIGH, snippet="", contact_name="")
        route(org, signal)
        assert candidates_of(org)[0].title == f"Web form {signal.pk}"

    def test_an_override_is_said(self, org):
        signal = scored(org, LOW)
        rate(signal, HIGH, is_override=True)
        route(org, signal)
        assert CandidateSignal.all_orgs.get().reason == "Routed by Banks: 0.93, high match, set by hand"

    def test_what_has_no_score_is_passed_over(self, org):
        signal = SignalFactory(org=org)
        assert route(org, signal) == []
        assert not RoutedSignal.all_orgs.exists()

    def test_another_organisations_signals_are_passed_over(self, org, other_org):
        signal = scored(other_org, HIGH)
        assert route(org, signal) == []
        assert candidates_of(other_org) == []

    def test_a_viewer_may_not(self, org):
        signal = scored(org, HIGH)
        viewer = Actor(kind="user", pk=1, role=Role.VIEWER, label="viktor", origin=Origin.API)
        with pytest.raises(PermissionRefused):
            route(org, signal, actor=viewer)
        assert (candidates_of(org), RoutedSignal.all_orgs.count()) == ([], 0)


class TestByRule:
    def test_an_organisation_says_what_its_bands_mean(self, org):
        routes(
            org,
            high_match={"action": "nurture", "next_step": "Call", "tags": ["bank", "warm"]},
            medium_match={"action": "review"},
            low_match={"action": "none"},
            no_match={"action": "candidate"},
        )
        signals = [scored(org, band) for band in (HIGH, MEDIUM, LOW, NONE)]
        assert [row.action for row in route(org, *signals)] == ["nurture", "review", "none", "candidate"]
        nurtured, fresh = candidates_of(org)
        assert (nurtured.status, nurtured.next_step, nurtured.next_step_due) == ("nurture", "Call", None)
        assert set(nurtured.tags.values_list("name", flat=True)) == {"bank", "warm"}
        assert (fresh.status, fresh.next_step) == ("triaged", "")

    def test_signals_of_long_ago_are_not_routed_because_a_profile_was_changed(self, org):
        routes(org, rescored_days=10)
        old, recent = (scored(org, HIGH, ts=AT - timedelta(days=days)) for days in (11, 9))
        rows = route_signals(org=org, signal_ids=[old.pk, recent.pk], rescored=[old.pk, recent.pk], actor=CLERK, at=AT)
        assert [row.signal_id for row in rows] == [recent.pk]
        assert len(candidates_of(org)) == 1
        # What is scored for its own sake is routed whenever it happened.
        (row,) = route(org, old)
        assert (row.signal_id, row.action) == (old.pk, "candidate")

    def test_what_waits_for_review_rises_in_the_queue_only(self, org):
        old = scored(org, LOW, ts=AT - timedelta(days=400))
        route(org, old)
        rate(old, HIGH)
        assert route_signals(org=org, signal_ids=[old.pk], rescored=[old.pk], actor=CLERK, at=AT) == []
        row = routed(old)
        assert (row.review_status, float(row.match_score), candidates_of(org)) == ("waiting", 0.93, [])


class TestOnce:
    def test_again_changes_nothing(self, org):
        signals = [scored(org, band) for band in (HIGH, MEDIUM, LOW, NONE)]
        assert len(route(org, *signals)) == 4
        events, links = WorkEvent.all_orgs.count(), CandidateSignal.all_orgs.count()
        assert route(org, *signals) == []
        assert (WorkEvent.all_orgs.count(), CandidateSignal.all_orgs.count()) == (events, links)
        assert len(candidates_of(org)) == 2

    @pytest.mark.parametrize("disposition", ["linked", "rejected", "merged"])
    def test_what_somebody_has_dealt_with_is_not_routed(self, org, disposition):
        signal = scored(org, HIGH, disposition=disposition, reject_reason="Spam" if disposition == "rejected" else "")
        assert route(org, signal) == []
        assert (candidates_of(org), RoutedSignal.all_orgs.count()) == ([], 0)


class TestUpwards:
    @pytest.mark.parametrize(
        ("first", "then", "action"),
        [(NONE, LOW, "review"), (NONE, MEDIUM, "nurture"), (NONE, HIGH, "candidate"), (LOW, HIGH, "candidate")],
    )
    def test_a_higher_band_is_routed_anew(self, org, first, then, action):
        signal = scored(org, first)
        route(org, signal)
        rate(signal, then)
        (row,) = route(org, signal)
        assert (row.action, row.recommendation) == (action, then.value)
        assert row.review_status == ("waiting" if action == "review" else "settled")
        assert RoutedSignal.all_orgs.get() == row
        assert len(candidates_of(org)) == (action != "review")

    def test_a_lower_band_is_not(self, org):
        signal = scored(org, LOW)
        route(org, signal)
        rate(signal, NONE)
        assert route(org, signal) == []
        row = routed(signal)
        assert (row.action, row.review_status, row.recommendation) == ("review", "waiting", "low_match")
        # It stands in the queue by the score that it has now.
        assert (float(row.match_score), row.reason) == (0.1, "Banks: 0.10, no match")

    def test_a_dismissed_review_is_asked_again_only_when_the_band_rises(self, org):
        routes(org, medium_match={"action": "review"})
        signal = scored(org, LOW)
        route(org, signal)
        dismiss_review(org=org, signal_id=signal.pk, note="Too small", actor=CLERK, at=AT)
        rate(signal, LOW, match_score="0.5500")
        assert route(org, signal) == []
        assert routed(signal).review_status == "dismissed"
        rate(signal, MEDIUM)
        (row,) = route(org, signal)
        assert (row.review_status, row.decided_at, row.decision_note) == ("waiting", None, "")

    def test_a_dismissed_one_that_becomes_a_high_match_opens_a_candidate(self, org):
        signal = scored(org, LOW)
        route(org, signal)
        dismiss_review(org=org, signal_id=signal.pk, actor=CLERK, at=AT)
        rate(signal, HIGH)
        (row,) = route(org, signal)
        assert (row.action, row.review_status) == ("candidate", "settled")
        assert len(candidates_of(org)) == 1


class TestOneCandidateASender:
    def test_an_open_candidate_of_the_contact_takes_the_signal(self, org):
        contact = ContactFactory(org=org)
        theirs = open_candidate(org, contact=contact, status="nurture")
        signal = scored(org, HIGH, contact=contact)
        (row,) = route(org, signal)
        assert row.candidate_id == theirs.pk
        assert candidates_of(org) == [theirs]
        assert Candidate.all_orgs.get().status == "nurture"
        assert CandidateSignal.all_orgs.get(signal=signal).candidate_id == theirs.pk

    @pytest.mark.parametrize("status", ["promoted", "archived"])
    def test_a_closed_one_does_not(self, org, status):
        contact = ContactFactory(org=org)
        client = ClientFactory(org=org)
        closed = open_candidate(org, contact=contact, client=client, status="triaged")
        move = workstream.promote_candidate if status == "promoted" else workstream.archive_candidate
        more = {} if status == "promoted" else {"reason": "No need"}
        move(org=org, candidate_id=closed.pk, actor=CLERK, at=AT, **more)
        (row,) = route(org, scored(org, HIGH, contact=contact))
        assert row.candidate_id != closed.pk
        assert len(candidates_of(org)) == 2

    def test_the_candidate_of_the_cluster_comes_before_that_of_the_contact(self, org):
        cluster, contact = SignalClusterFactory(org=org), ContactFactory(org=org)
        first = SignalFactory(org=org, cluster=cluster)
        of_cluster = workstream.create_candidate(org=org, fields={}, signal_ids=[first.pk], actor=CLERK, at=AT)
        open_candidate(org, contact=contact)
        (row,) = route(org, scored(org, HIGH, cluster=cluster, contact=contact))
        assert row.candidate_id == of_cluster.pk

    def test_two_of_one_sender_in_one_batch_make_one(self, org):
        contact, cluster = ContactFactory(org=org), SignalClusterFactory(org=org)
        signals = [
            scored(org, HIGH, contact=contact),
            scored(org, MEDIUM, contact=contact, cluster=cluster),
            scored(org, HIGH, cluster=cluster),
        ]
        rows = route(org, *signals)
        (candidate,) = candidates_of(org)
        assert {row.candidate_id for row in rows} == {candidate.pk}
        assert candidate.status == "triaged"
        assert set(candidate.signals.values_list("pk", flat=True)) == {signal.pk for signal in signals}


class TestOnItsEvent:
    def test_a_delivered_event_routes_and_a_repeated_one_does_not(self, org):
        signal = scored(org, HIGH)
        for _ in range(3):
            tell(signal)
            drain_all()
        assert len(candidates_of(org)) == 1
        assert CandidateSignal.all_orgs.filter(signal=signal).count() == 1
        assert not WorkEvent.all_orgs.filter(dead_letter_at__isnull=False).exists()

    def test_the_candidate_follows_from_the_event(self, org):
        signal = scored(org, HIGH)
        tell(signal)
        drain_all()
        told = newest_event(org, "spotlight.evaluated")
        made = newest_event(org, "candidate.created")
        assert (made.causation_id, made.correlation_id) == (told.pk, f"event-{told.pk}")

    def test_an_import_with_rules_off_is_scored_and_not_routed(self, org):
        signal = scored(org, HIGH)
        tell(signal, actor=Actor.importer())
        drain_all()
        assert (candidates_of(org), RoutedSignal.all_orgs.count()) == ([], 0)
        assert SpotlightFit.all_orgs.get().recommendation == "high_match"

    def test_what_is_not_a_signal_is_passed_over(self, org):
        from flowledger.outbox.recording import record_event
        from spotlight.events import SpotlightEvaluated

        candidate = open_candidate(org)
        signal = scored(org, HIGH)
        fact = SpotlightEvaluated("candidate", candidate.pk, signal.pk, "item", "1")
        record_event(org=org, event=fact, actor=CLERK, at=AT)
        drain_all()
        assert not RoutedSignal.all_orgs.exists()


class TestManyAtOnce:
    @pytest.mark.parametrize("band", [NONE, LOW])
    def test_what_opens_nothing_costs_the_same_for_any_number(self, org, band):
        profile(org)
        few, many = ([scored(org, band) for _ in range(number)] for number in (2, 40))
        with counted_queries() as for_few:
            route(org, *few)
        with counted_queries() as for_many:
            route(org, *many)
        assert len(for_many) == len(for_few) == 5, for_many

    def test_they_are_locked_in_the_order_of_clients_contacts_candidates_and_signals(self, org):
        contact = ContactFactory(org=org)
        open_candidate(org, contact=contact)
        signal = scored(org, HIGH, contact=contact)
        with counted_queries() as statements:
            route(org, signal)
        locks = [sql for sql in statements if "FOR NO KEY UPDATE" in sql]
        tables = [sql.split(' FROM "')[1].split('"')[0] for sql in locks]
        order = ["clients_client", "clients_contact", "workstream_candidate", "workstream_signal"]
        assert [table for table in tables if table in order][:4] == order
        assert Signal.all_orgs.get(pk=signal.pk).disposition == "linked"
