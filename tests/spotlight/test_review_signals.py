"""The review queue: accepted signals feed candidates, dismissed ones stay signals, and what others decide counts."""

from __future__ import annotations

import pytest

from flowledger.errors import Conflict, InvalidTransition, NotFound, PermissionRefused
from flowledger.outbox.drain import drain_all
from flowledger.tenancy.actors import Actor, Origin, Role
from spotlight.models import RoutedSignal
from spotlight.services.reviews import (
    accept_review,
    accept_reviews,
    count_waiting,
    dismiss_review,
    dismiss_reviews,
)
from spotlight.services.routing import route_signals
from tests.factories import ContactFactory, UserFactory
from tests.spotlight.scored_signals import HIGH, LOW, NONE, candidates_of, routed, scored
from tests.workstream.conftest import actor_of
from tests.workstream.factories import AT, CLERK, SignalFactory, open_candidate
from tests.workstream.trail import newest_event, nothing_changes
from workstream import services as workstream
from workstream.models import CandidateSignal

pytestmark = pytest.mark.django_db


def waiting(org, **fields):
    """A signal that waits for review."""
    signal = scored(org, LOW, **fields)
    route_signals(org=org, signal_ids=[signal.pk], actor=CLERK, at=AT)
    return signal


def decide(service, org, signal, **more):
    return service(org=org, signal_id=signal.pk, **{"actor": CLERK, "at": AT, **more})


class TestAccept:
    def test_opens_a_candidate_and_says_who_and_why(self, org, rep):
        signal = waiting(org, company_name="Northwind")
        review = decide(accept_review, org, signal, note="They called, too", actor=actor_of(rep))
        (candidate,) = candidates_of(org)
        assert (review.review_status, review.candidate_id) == ("accepted", candidate.pk)
        assert (review.decided_by_id, review.decided_at, review.decision_note) == (rep.user_id, AT, "They called, too")
        assert (candidate.status, float(candidate.icp_score), candidate.icp_band) == ("triaged", 0.45, "low")
        assert CandidateSignal.all_orgs.get().reason == "Accepted in review; Banks: 0.45, low match"
        assert newest_event(org, "spotlight.review_decided").payload == {
            "signal_id": signal.pk,
            "decision": "accepted",
            "candidate_id": candidate.pk,
        }

    def test_an_open_candidate_of_the_contact_takes_it(self, org):
        contact = ContactFactory(org=org)
        theirs = open_candidate(org, contact=contact)
        review = decide(accept_review, org, waiting(org, contact=contact))
        assert (review.candidate_id, candidates_of(org)) == (theirs.pk, [theirs])

    def test_one_that_was_linked_meanwhile_keeps_its_candidate(self, org):
        signal = waiting(org)
        candidate = open_candidate(org)
        workstream.link_signal(org=org, signal_id=signal.pk, candidate_id=candidate.pk, actor=CLERK, at=AT)
        assert decide(accept_review, org, signal).candidate_id == candidate.pk
        assert candidates_of(org) == [candidate]

    def test_one_that_was_rejected_meanwhile_is_refused(self, org):
        signal = waiting(org)
        workstream.reject_signal(org=org, signal_id=signal.pk, reason="Spam", actor=CLERK, at=AT)
        with nothing_changes(), pytest.raises(Conflict, match="put aside in the meantime; dismiss it"):
            decide(accept_review, org, signal)
        assert routed(signal).review_status == "waiting"

    def test_twice_is_refused(self, org):
        signal = waiting(org)
        decide(accept_review, org, signal)
        with nothing_changes(), pytest.raises(InvalidTransition):
            decide(accept_review, org, signal)

    @pytest.mark.parametrize("band", [HIGH, NONE])
    def test_what_was_never_asked_about_cannot_be_accepted(self, org, band):
        signal = scored(org, band)
        route_signals(org=org, signal_ids=[signal.pk], actor=CLERK, at=AT)
        with nothing_changes(), pytest.raises(InvalidTransition):
            decide(accept_review, org, signal)

    def test_what_was_never_routed_is_not_found(self, org, other_org):
        for signal in (SignalFactory(org=org), waiting(other_org)):
            with pytest.raises(NotFound, match=f"no signal {signal.pk} in this organisation"):
                decide(accept_review, org, signal)

    def test_a_representative_leaves_a_colleagues_signal_alone(self, org, rep):
        signal = waiting(org, owner=UserFactory())
        with nothing_changes(), pytest.raises(PermissionRefused, match="belongs to somebody else"):
            decide(accept_review, org, signal, actor=actor_of(rep))
        assert routed(signal).review_status == "waiting"


class TestDismiss:
    def test_leaves_it_a_signal(self, org, rep):
        signal = waiting(org)
        review = decide(dismiss_review, org, signal, note="Too small", actor=actor_of(rep))
        assert (review.review_status, review.decision_note, review.decided_by_id) == (
            "dismissed",
            "Too small",
            rep.user_id,
        )
        signal.refresh_from_db()
        assert (signal.disposition, candidates_of(org)) == ("new", [])
        assert newest_event(org, "spotlight.review_decided").payload["decision"] == "dismissed"

    def test_a_viewer_may_not(self, org):
        signal = waiting(org)
        viewer = Actor(kind="user", pk=1, role=Role.VIEWER, label="viktor", origin=Origin.API)
        with nothing_changes(), pytest.raises(PermissionRefused):
            decide(dismiss_review, org, signal, actor=viewer)
        assert routed(signal).review_status == "waiting"


class TestMany:
    def test_one_that_is_refused_costs_the_others_nothing(self, org):
        one, taken, other = waiting(org), waiting(org), waiting(org)
        decide(dismiss_review, org, taken)
        asked = [other.pk, taken.pk, 10**15, one.pk]
        found = accept_reviews(org=org, signal_ids=asked, note="Fair", actor=CLERK, at=AT)
        assert [each.signal_id for each in found] == asked
        assert [type(each.error) for each in found] == [type(None), InvalidTransition, NotFound, type(None)]
        assert {each.review.candidate_id for each in found if each.review} == {
            candidate.pk for candidate in candidates_of(org)
        }
        assert [routed(each).decision_note for each in (one, taken, other)] == ["Fair", "", "Fair"]

    def test_two_of_one_sender_feed_one_candidate(self, org):
        contact = ContactFactory(org=org)
        pair = [waiting(org, contact=contact).pk for _ in range(2)]
        found = accept_reviews(org=org, signal_ids=pair, actor=CLERK, at=AT)
        (candidate,) = candidates_of(org)
        assert {each.review.candidate_id for each in found} == {candidate.pk}

    def test_dismissing_many(self, org):
        pair = [waiting(org).pk for _ in range(2)]
        assert all(each.error is None for each in dismiss_reviews(org=org, signal_ids=pair, actor=CLERK, at=AT))
        assert count_waiting(org, at_most=10) == 0
        assert candidates_of(org) == []


class TestDecidedElsewhere:
    def test_a_signal_that_is_linked_by_hand_counts_as_accepted(self, org):
        signal, other = waiting(org), waiting(org)
        candidate = open_candidate(org)
        workstream.link_signal(org=org, signal_id=signal.pk, candidate_id=candidate.pk, actor=CLERK, at=AT)
        drain_all()
        assert (routed(signal).review_status, routed(signal).candidate_id) == ("accepted", candidate.pk)
        assert routed(other).review_status == "waiting"
        assert count_waiting(org, at_most=10) == 1

    def test_one_that_is_rejected_counts_as_dismissed(self, org):
        signal = waiting(org)
        workstream.reject_signal(org=org, signal_id=signal.pk, reason="Spam", actor=CLERK, at=AT)
        drain_all()
        review = routed(signal)
        assert (review.review_status, review.decision_note) == ("dismissed", "The signal was rejected.")

    def test_what_nobody_asked_about_is_left_alone(self, org):
        signal = scored(org, NONE)
        route_signals(org=org, signal_ids=[signal.pk], actor=CLERK, at=AT)
        workstream.reject_signal(org=org, signal_id=signal.pk, reason="Spam", actor=CLERK, at=AT)
        drain_all()
        assert RoutedSignal.all_orgs.get().review_status == "settled"
