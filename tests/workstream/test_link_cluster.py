"""The signals of one buying event are linked to a candidate together, each answered for."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from flowledger.errors import Conflict, InvalidTransition, NotFound, PermissionRefused
from tests.workstream.conftest import actor_of
from tests.workstream.factories import AT, CLERK, CandidateFactory, ClientFactory, SignalFactory
from tests.workstream.trail import events_of, nothing_changes
from workstream import services
from workstream.models import CandidateSignal, Signal, SignalCluster
from workstream.services import cluster_links
from workstream.services.cluster_links import company_of, unlinked_rest

pytestmark = pytest.mark.django_db
PRESS = "Our press stops twice a day and we need help before the summer."


def cluster_of(org: Any, count: int = 3, **fields: Any) -> list[Signal]:
    client = ClientFactory(org=org)
    signals = [
        SignalFactory(org=org, client=client, ts=AT - timedelta(hours=number), **{"snippet": PRESS, **fields})
        for number in range(count)
    ]
    services.cluster_signals(org=org, signal_ids=[each.pk for each in signals], actor=CLERK, at=AT)
    return [Signal.all_orgs.get(pk=each.pk) for each in signals]


def outcomes(results: list[cluster_links.Linked]) -> dict[int, str]:
    return {each.signal_id: each.status.value for each in results}


class TestLinkCluster:
    def test_links_every_signal_with_who_and_why(self, org, rep):
        signals, candidate = cluster_of(org), CandidateFactory(org=org)
        results = services.link_cluster(
            org=org,
            signal_id=signals[1].pk,
            candidate_id=candidate.pk,
            reason="Same press",
            actor=actor_of(rep),
            at=AT,
        )

        assert outcomes(results) == {each.pk: "linked" for each in signals}
        links = CandidateSignal.all_orgs.filter(candidate=candidate).order_by("signal")
        assert list(links.values_list("signal", "linked_by", "reason")) == [
            (each.pk, rep.user_id, "Same press") for each in signals
        ]
        assert all(events_of(each) == ["signal.clustered", "signal.linked"] for each in signals)

    def test_again_changes_nothing(self, org):
        signals, candidate = cluster_of(org), CandidateFactory(org=org)
        keys = {"org": org, "signal_id": signals[0].pk, "candidate_id": candidate.pk, "actor": CLERK, "at": AT}
        services.link_cluster(**keys)
        with nothing_changes():
            assert set(outcomes(services.link_cluster(**keys)).values()) == {"already_linked"}

    def test_a_refused_signal_costs_the_others_nothing(self, org, rep, colleague):
        signals, candidate = cluster_of(org, 4), CandidateFactory(org=org)
        services.reject_signal(org=org, signal_id=signals[1].pk, reason="Spam", actor=CLERK, at=AT)
        Signal.all_orgs.filter(pk=signals[2].pk).update(owner=colleague.user)
        results = services.link_cluster(
            org=org, signal_id=signals[0].pk, candidate_id=candidate.pk, actor=actor_of(rep), at=AT
        )

        assert outcomes(results) == {
            signals[0].pk: "linked",
            signals[1].pk: "refused",
            signals[2].pk: "refused",
            signals[3].pk: "linked",
        }
        errors = {each.signal_id: type(each.error) for each in results if each.error}
        assert errors == {signals[1].pk: InvalidTransition, signals[2].pk: PermissionRefused}
        linked = CandidateSignal.all_orgs.filter(candidate=candidate).values_list("signal", flat=True)
        assert set(linked) == {signals[0].pk, signals[3].pk}

    def test_a_large_cluster_is_linked_by_calling_again(self, org, monkeypatch):
        monkeypatch.setattr(cluster_links, "MOST_LINKED", 2)
        signals, candidate = cluster_of(org, 5), CandidateFactory(org=org)
        keys = {"org": org, "signal_id": signals[4].pk, "candidate_id": candidate.pk, "actor": CLERK, "at": AT}
        counts = [list(outcomes(services.link_cluster(**keys)).values()).count("linked") for _ in range(4)]

        assert counts == [2, 2, 1, 0]

    def test_a_lone_signal_is_refused_in_words(self, org):
        signal, candidate = SignalFactory(org=org), CandidateFactory(org=org)
        with nothing_changes(), pytest.raises(Conflict, match="Link it by itself"):
            services.link_cluster(org=org, signal_id=signal.pk, candidate_id=candidate.pk, actor=CLERK, at=AT)

    def test_viewers_and_owners_of_something_else_are_refused(self, org, rep, colleague, viewer):
        signals = cluster_of(org)
        theirs = CandidateFactory(org=org, owner=colleague.user)
        for member in (rep, viewer):
            with nothing_changes(), pytest.raises(PermissionRefused):
                services.link_cluster(
                    org=org, signal_id=signals[0].pk, candidate_id=theirs.pk, actor=actor_of(member), at=AT
                )

    def test_a_strangers_rows_do_not_exist(self, org, other_org):
        here, there = cluster_of(org), cluster_of(other_org)
        for signal, candidate in (
            (here[0], CandidateFactory(org=other_org)),
            (there[0], CandidateFactory(org=org)),
        ):
            with nothing_changes(), pytest.raises(NotFound):
                services.link_cluster(org=org, signal_id=signal.pk, candidate_id=candidate.pk, actor=CLERK, at=AT)


class TestCompany:
    def test_lists_the_others_the_most_alike_first(self, org):
        client, candidate = ClientFactory(org=org), CandidateFactory(org=org)
        texts = [PRESS, f"{PRESS} Can you come on Monday or Tuesday?", f"Hello, {PRESS}"]
        signals = [SignalFactory(org=org, client=client, snippet=text) for text in texts]
        services.cluster_signals(org=org, signal_ids=[each.pk for each in signals], actor=CLERK, at=AT)
        services.link_signal(org=org, signal_id=signals[1].pk, candidate_id=candidate.pk, actor=CLERK, at=AT)
        signal = Signal.all_orgs.get(pk=signals[0].pk)
        company = company_of(org=org, signal=signal)

        assert company.others == 2
        assert [each.signal.pk for each in company.members] == [signals[2].pk, signals[1].pk]
        assert company.members[0].similarity == 1.0
        assert 0.65 <= company.members[1].similarity < 1
        assert [each.candidate_ids for each in company.members] == [(), (candidate.pk,)]
        assert unlinked_rest(org=org, signal=signal, candidate_id=candidate.pk) == [signals[2].pk]

    def test_says_how_many_there_are_beyond_those_shown(self, org, monkeypatch):
        monkeypatch.setattr(cluster_links, "MOST_SHOWN", 2)
        company = company_of(org=org, signal=cluster_of(org, 5)[0])

        assert (company.others, len(company.members)) == (4, 2)


class TestOverRest:
    def test_a_link_offers_the_rest_and_one_call_links_it(self, org, as_rep):
        signals, candidate = cluster_of(org), CandidateFactory(org=org)
        path = f"/api/signals/{signals[0].pk}"
        body = {"candidate_id": candidate.pk}
        offer = as_rep.post(f"{path}/link", body).json()["cluster_offer"]
        assert offer == {
            "cluster_id": signals[0].cluster_id,
            "candidate_id": candidate.pk,
            "signal_ids": [signals[1].pk, signals[2].pk],
        }
        answer = as_rep.post(f"{path}/cluster/link", body)

        assert answer.status_code == 200
        assert answer.json() == {
            "linked": 2,
            "already_linked": 1,
            "refused": 0,
            "results": [
                {"signal_id": signals[0].pk, "status": "already_linked", "error": None},
                {"signal_id": signals[1].pk, "status": "linked", "error": None},
                {"signal_id": signals[2].pk, "status": "linked", "error": None},
            ],
        }
        assert as_rep.post(f"{path}/link", body).json()["cluster_offer"] is None

    def test_shows_the_cluster_with_its_algorithm(self, org, as_viewer):
        signals = cluster_of(org)
        answer = as_viewer.get(f"/api/signals/{signals[0].pk}/cluster").json()

        row = SignalCluster.all_orgs.get()
        assert (answer["cluster"]["cluster_id"], answer["cluster"]["label"]) == (row.pk, row.label)
        assert (answer["cluster"]["algorithm"], answer["cluster"]["algorithm_version"]) == ("hashed shingles", "1")
        assert answer["others"] == 2
        assert [(each["signal"]["signal_id"], each["similarity"]) for each in answer["signals"]] == [
            (signals[1].pk, 1.0),
            (signals[2].pk, 1.0),
        ]
        assert {each["is_linked"] for each in answer["signals"]} == {False}

    def test_a_lone_signal_has_none(self, org, as_viewer):
        signal = SignalFactory(org=org)
        answer = as_viewer.get(f"/api/signals/{signal.pk}/cluster").json()

        assert answer == {"cluster": None, "others": 0, "signals": []}

    def test_a_refusal_says_why_for_its_signal(self, org, as_rep):
        signals, candidate = cluster_of(org), CandidateFactory(org=org)
        services.reject_signal(org=org, signal_id=signals[0].pk, reason="Spam", actor=CLERK, at=AT)
        answer = as_rep.post(f"/api/signals/{signals[1].pk}/cluster/link", {"candidate_id": candidate.pk}).json()

        assert (answer["linked"], answer["refused"]) == (2, 1)
        assert answer["results"][0]["error"]["code"] == "invalid_transition"

    def test_unknown_candidates_signals_and_lone_signals_are_refused(self, org, other_org, as_rep):
        signals, lone = cluster_of(org), SignalFactory(org=org)
        mine, theirs = CandidateFactory(org=org), CandidateFactory(org=other_org)
        with nothing_changes():
            stranger = as_rep.post(f"/api/signals/{signals[0].pk}/cluster/link", {"candidate_id": theirs.pk})
            missing = as_rep.post("/api/signals/999999/cluster/link", {"candidate_id": mine.pk})
            alone = as_rep.post(f"/api/signals/{lone.pk}/cluster/link", {"candidate_id": mine.pk})
        assert (stranger.status_code, missing.status_code, alone.status_code) == (400, 404, 409)
