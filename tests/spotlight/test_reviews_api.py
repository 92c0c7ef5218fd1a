"""`/api/spotlights/reviews`: the queue with its reasons, decided one by one or many at once."""

from __future__ import annotations

import pytest

from flowledger.outbox.drain import drain_all
from spotlight.services.reviews import accept_review, dismiss_review
from spotlight.services.routing import route_signals
from tests.queries import counted_queries
from tests.spotlight.factories import SpotlightScoreFactory, open_spotlight, wish
from tests.spotlight.scored_signals import HIGH, LOW, MEDIUM, SCORES, candidates_of, rate, routed, scored
from tests.workstream.factories import AT, CLERK, SignalFactory
from tests.workstream.trail import nothing_changes

pytestmark = pytest.mark.django_db
QUEUE = "/api/spotlights/reviews"


def waiting(org, **fields):
    signal = scored(org, LOW, **fields)
    route_signals(org=org, signal_ids=[signal.pk], actor=CLERK, at=AT)
    return signal


def listed(client, query=""):
    answer = client.get(f"{QUEUE}{query}")
    assert answer.status_code == 200, answer.content
    return answer.json()["data"]


class TestList:
    def test_shows_what_waits_best_first(self, org, as_viewer):
        low, better = waiting(org), waiting(org)
        rate(better, LOW, match_score="0.5900")
        decided = waiting(org)
        dismiss_review(org=org, signal_id=decided.pk, actor=CLERK, at=AT)
        route_signals(org=org, signal_ids=[better.pk, scored(org, HIGH).pk], actor=CLERK, at=AT)
        rows = listed(as_viewer)
        assert [row["signal_id"] for row in rows] == [better.pk, low.pk]
        assert (rows[0]["match_score"], rows[0]["review_status"]) == (0.59, "waiting")
        assert rows[0]["signal"]["snippet"] == better.snippet
        assert rows[0]["reason"] == "Banks: 0.59, low match"

    def test_status_shows_what_was_decided(self, org, as_viewer):
        signals = [waiting(org) for _ in range(3)]
        accept_review(org=org, signal_id=signals[0].pk, note="Fair", actor=CLERK, at=AT)
        dismiss_review(org=org, signal_id=signals[1].pk, actor=CLERK, at=AT)
        (row,) = listed(as_viewer, "?status=accepted")
        assert (row["signal_id"], row["candidate_id"], row["decision_note"]) == (
            signals[0].pk,
            candidates_of(org)[0].pk,
            "Fair",
        )
        assert {row["signal_id"] for row in listed(as_viewer, "?status=accepted,dismissed,waiting")} == {
            signal.pk for signal in signals
        }

    def test_says_why_in_the_sentences_of_the_stored_score(self, org, as_viewer):
        banks = open_spotlight(
            org,
            [wish("industry", "=", "Banking", field_type="text"), wish("staff", ">=", 100, field_type="number")],
            name="Banks",
        )
        signal = SignalFactory(org=org, attributes={"industry": "Banking", "staff": 40})
        drain_all()
        rate(signal, LOW, spotlight=banks)
        route_signals(org=org, signal_ids=[signal.pk], actor=CLERK, at=AT)
        industry, staff = banks.criteria.order_by("pk")
        SpotlightScoreFactory(
            org=org,
            signal=signal,
            spotlight=banks,
            match_score="0.5000",
            recommendation="low_match",
            components=[[industry.pk, 1.0, "Banking", "signal"], [staff.pk, 0.0, 40, "signal"]],
        )
        (row,) = listed(as_viewer)
        assert len(row["sentences"]) == 2
        against, for_it = row["sentences"]
        assert against.startswith("−10 staff")
        assert for_it.startswith("+10 industry")
        assert "Banking" in for_it

    def test_costs_the_same_for_one_row_and_for_many(self, org, as_viewer):
        def add():
            signal = waiting(org)
            SpotlightScoreFactory(org=org, signal=signal, spotlight=routed(signal).spotlight)

        open_spotlight(org, name="Banks")
        add()
        with counted_queries() as few:
            listed(as_viewer)
        for _ in range(9):
            add()
        with counted_queries() as many:
            assert len(listed(as_viewer)) == 10
        assert len(many) == len(few) == 4, many

    def test_an_unknown_status_is_refused(self, as_viewer):
        answer = as_viewer.get(f"{QUEUE}?status=settled")
        assert answer.status_code == 400
        assert "waiting" in answer.json()["error"]


class TestDecide:
    def test_accepting_answers_with_the_candidate(self, org, as_rep):
        signal = waiting(org)
        answer = as_rep.post(f"{QUEUE}/{signal.pk}/accept", {"note": "Fair"})
        assert answer.status_code == 200
        assert answer.json()["review_status"] == "accepted"
        assert answer.json()["candidate_id"] == candidates_of(org)[0].pk
        assert answer.json()["decision_note"] == "Fair"

    def test_dismissing_needs_no_body(self, org, as_rep):
        signal = waiting(org)
        answer = as_rep.post(f"{QUEUE}/{signal.pk}/dismiss")
        assert (answer.status_code, answer.json()["review_status"]) == (200, "dismissed")

    def test_twice_is_a_move_that_does_not_exist(self, org, as_rep):
        signal = waiting(org)
        as_rep.post(f"{QUEUE}/{signal.pk}/dismiss")
        with nothing_changes():
            answer = as_rep.post(f"{QUEUE}/{signal.pk}/accept")
        assert (answer.status_code, answer.json()["current_state"]) == (422, "dismissed")

    @pytest.mark.parametrize("verb", ["accept", "dismiss"])
    def test_a_strangers_signal_does_not_exist(self, org, as_stranger, verb):
        signal = waiting(org)
        with nothing_changes():
            assert as_stranger.post(f"{QUEUE}/{signal.pk}/{verb}").status_code == 404
        assert routed(signal).review_status == "waiting"

    @pytest.mark.parametrize(("verb", "status"), [("accept", "accepted"), ("dismiss", "dismissed")])
    def test_many_at_once_answer_for_each(self, org, as_rep, verb, status):
        one, other = waiting(org), waiting(org)
        answer = as_rep.post(f"{QUEUE}/{verb}", {"signal_ids": [other.pk, 10**12, one.pk]})
        assert answer.status_code == 200
        body = answer.json()
        assert (body["decided"], body["refused"]) == (2, 1)
        assert [row["ok"] for row in body["results"]] == [True, False, True]
        assert body["results"][1]["error"]["code"] == "not_found"
        assert {routed(one).review_status, routed(other).review_status} == {status}

    @pytest.mark.parametrize("body", [{}, {"signal_ids": []}, {"signal_ids": ["x"]}, {"signal_ids": [1], "why": "x"}])
    def test_a_malformed_list_is_refused(self, org, as_rep, body):
        signal = waiting(org)
        assert as_rep.post(f"{QUEUE}/accept", body).status_code == 400
        assert routed(signal).review_status == "waiting"

    def test_what_rises_leaves_the_queue_by_itself(self, org, as_viewer):
        signal = waiting(org)
        rate(signal, MEDIUM)
        route_signals(org=org, signal_ids=[signal.pk], actor=CLERK, at=AT)
        assert listed(as_viewer) == []
        assert float(routed(signal).match_score) == float(SCORES[MEDIUM])
