"""Clustering beside itself and beside those who link the same signals: one cluster, nobody lost, no deadlock."""

from __future__ import annotations

from collections import Counter
from datetime import timedelta

import pytest

from flowledger.tenancy.scope import system_scope
from tests.workstream.factories import AT, CLERK, CandidateFactory, ClientFactory, ContactFactory, SignalFactory
from tests.workstream.trail import at_once
from workstream import services
from workstream.models import CandidateSignal, Signal, SignalCluster

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("transactional_db")]
PRESS = "Our press stops twice a day and we need help before the summer."
DAY = timedelta(days=1)


def test_signals_that_come_at_once_are_in_one_cluster(org):
    """Each is alike to its neighbours in time alone, so that every thread connects what others have made."""
    client, contact = ClientFactory(org=org), ContactFactory(org=org)
    both = {"client": client, "contact": contact}
    parties = [{"client": client}, both, {"client": None, "contact": contact}, both]
    signals = [
        SignalFactory(org=org, snippet=PRESS, ts=AT + 10 * number * DAY, **parties[number % 4]) for number in range(24)
    ]

    def each(place: int):
        mine = [signal.pk for signal in signals[place::8]]
        return lambda: services.cluster_signals(org=org, signal_ids=mine, actor=CLERK, at=AT)

    answers = at_once(*[each(place) for place in range(8)])

    assert [answer for answer in answers if not isinstance(answer, int)] == []
    with system_scope("tests"):
        held = Counter(Signal.all_orgs.values_list("cluster_id", flat=True))
        clusters = set(SignalCluster.all_orgs.values_list("pk", flat=True))
    assert len(held) == 1, held
    assert set(held) == clusters


def test_linking_and_clustering_the_same_signals_do_not_lose_each_other(org):
    client = ClientFactory(org=org)
    signals = [SignalFactory(org=org, client=client, snippet=PRESS) for _ in range(6)]
    keys = [signal.pk for signal in signals]
    services.cluster_signals(org=org, signal_ids=keys[:3], actor=CLERK, at=AT)
    candidates = CandidateFactory.create_batch(2, org=org)

    def link(candidate_id: int):
        return lambda: services.link_cluster(org=org, signal_id=keys[0], candidate_id=candidate_id, actor=CLERK, at=AT)

    def again():
        return services.cluster_signals(org=org, signal_ids=keys, actor=CLERK, at=AT)

    answers = at_once(*[link(candidate.pk) for candidate in candidates for _ in range(3)], again, again)

    assert [answer for answer in answers if isinstance(answer, Exception)] == []
    with system_scope("tests"):
        links = Counter(CandidateSignal.all_orgs.values_list("candidate_id", "signal_id"))
        assert set(links.values()) == {1}
        assert set(links) == {(candidate.pk, key) for candidate in candidates for key in keys}
        assert set(Signal.all_orgs.values_list("disposition", flat=True)) == {"linked"}
        assert Signal.all_orgs.values("cluster_id").distinct().count() == 1
