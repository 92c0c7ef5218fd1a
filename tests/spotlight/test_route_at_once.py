"""Routing beside itself and beside people who work with the same signals: one candidate, nothing lost, no deadlock."""

from __future__ import annotations

from collections import Counter

import pytest

from flowledger.clients import services as clients
from flowledger.outbox.drain import drain
from flowledger.outbox.models import WorkEvent
from flowledger.tenancy.scope import system_scope
from spotlight.models import RoutedSignal
from spotlight.services.reviews import accept_review, accept_reviews, dismiss_review
from spotlight.services.routing import route_signals
from tests.factories import ClientFactory, ContactFactory
from tests.spotlight.scored_signals import HIGH, LOW, MEDIUM, candidates_of, scored, tell
from tests.workstream.factories import AT, CLERK, SignalClusterFactory, open_candidate
from tests.workstream.trail import at_once
from workstream import services as workstream
from workstream.models import CandidateSignal, Signal

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("transactional_db")]


@pytest.fixture(autouse=True)
def quiet(settings):
    settings.OUTBOX_WAKE = False


def route(org, *signals):
    return lambda: route_signals(org=org, signal_ids=[each.pk for each in signals], actor=CLERK, at=AT)


def failures(answers):
    return [answer for answer in answers if isinstance(answer, Exception)]


def test_fifty_who_route_the_same_signal_open_one_candidate(org):
    with system_scope("tests"):
        signal = scored(org, HIGH)
    answers = at_once(*[route(org, signal)] * 50)
    assert failures(answers) == []
    assert sum(map(len, answers)) == 1
    with system_scope("tests"):
        (candidate,) = candidates_of(org)
        assert CandidateSignal.all_orgs.get().candidate_id == candidate.pk
        assert RoutedSignal.all_orgs.get().candidate_id == candidate.pk
        told = Counter(WorkEvent.all_orgs.values_list("event_name", flat=True))
        assert (told["spotlight.routed"], told["candidate.created"], told["signal.linked"]) == (1, 1, 1)


def test_the_same_event_delivered_by_many_workers_at_once(org):
    with system_scope("tests"):
        signals = [scored(org, band) for band in (HIGH, MEDIUM, LOW)]
        for signal in signals:
            for _ in range(20):
                tell(signal)
    answers = at_once(*[drain] * 8)
    assert failures(answers) == []
    drain()
    with system_scope("tests"):
        assert len(candidates_of(org)) == 2
        assert Counter(RoutedSignal.all_orgs.values_list("action", flat=True)) == {
            "candidate": 1,
            "nurture": 1,
            "review": 1,
        }
        assert not WorkEvent.all_orgs.filter(processed_at__isnull=True).exists()


def test_signals_of_one_sender_that_are_routed_at_once_feed_one_candidate(org):
    with system_scope("tests"):
        client, cluster = ClientFactory(org=org), SignalClusterFactory(org=org)
        contacts = [ContactFactory(org=org, client=client) for _ in range(4)]
        signals = [
            scored(org, HIGH, client=client, contact=contacts[place % 4], cluster=cluster) for place in range(16)
        ]
    answers = at_once(*[route(org, *signals[place::8]) for place in range(8)])
    assert failures(answers) == []
    with system_scope("tests"):
        (candidate,) = candidates_of(org)
        assert Counter(CandidateSignal.all_orgs.values_list("candidate_id", flat=True)) == {candidate.pk: 16}


def test_routing_beside_those_who_link_merge_and_reject(org):
    """Whoever comes first, every signal ends in one place, and nobody waits for ever."""
    with system_scope("tests"):
        survivor, loser = (ContactFactory(org=org, client=ClientFactory(org=org)) for _ in range(2))
        candidates = [open_candidate(org, contact=survivor), open_candidate(org)]
        signals = [scored(org, HIGH, contact=contact) for contact in (survivor, loser) for _ in range(8)]

    def link(signal, candidate):
        return lambda: workstream.link_signal(
            org=org, signal_id=signal.pk, candidate_id=candidate.pk, actor=CLERK, at=AT
        )

    def merge():
        return clients.merge_contacts(
            org=org, survivor_id=survivor.pk, loser_id=loser.pk, reason="One person", actor=CLERK, at=AT
        )

    linking = [link(signal, candidates[place % 2]) for place, signal in enumerate(signals[::3])]
    routing = [route(org, *signals[::-1][place::4]) for place in range(4)]
    answers = at_once(*linking, merge, *routing)
    # A sender that was given away under our hands is a matter of trying again.
    refused = failures(answers)
    assert [str(error) for error in refused if "being changed at this moment" not in str(error)] == []
    route(org, *signals)()
    with system_scope("tests"):
        assert set(Signal.all_orgs.values_list("disposition", flat=True)) == {"linked"}
        links = Counter(CandidateSignal.all_orgs.values_list("signal_id", flat=True))
        assert set(links) == {signal.pk for signal in signals}


class TestDecidingAtOnce:
    def test_only_one_of_those_who_decide_does(self, org):
        with system_scope("tests"):
            signal = scored(org, LOW)
        route(org, signal)()
        keys = {"org": org, "signal_id": signal.pk, "actor": CLERK, "at": AT}
        answers = at_once(*[lambda: accept_review(**keys), lambda: dismiss_review(**keys)] * 6)
        assert len(answers) - len(failures(answers)) == 1
        with system_scope("tests"):
            review = RoutedSignal.all_orgs.get()
            assert len(candidates_of(org)) == (review.review_status == "accepted")
            assert WorkEvent.all_orgs.filter(event_name="spotlight.review_decided").count() == 1

    def test_lists_in_different_orders_do_not_wait_for_each_other(self, org):
        with system_scope("tests"):
            contacts = ContactFactory.create_batch(5, org=org)
            signals = [scored(org, LOW, contact=contacts[place % 5]) for place in range(20)]
        route(org, *signals)()
        asked = [signal.pk for signal in signals]

        def accept(ids):
            return lambda: accept_reviews(org=org, signal_ids=ids, actor=CLERK, at=AT)

        answers = at_once(*[accept(ids) for ids in (asked, asked[::-1], asked[::2], asked[1::2])] * 2)
        assert failures(answers) == []
        accepted = Counter(each.signal_id for answer in answers for each in answer if each.error is None)
        assert accepted == Counter(asked)
        with system_scope("tests"):
            assert len(candidates_of(org)) == 5
            assert CandidateSignal.all_orgs.count() == 20
