"""`/api/spotlights/scores`: scores with explanations, re-scoring one item, history, and scores set by hand."""

from __future__ import annotations

from typing import Any

import pytest

from spotlight import services
from tests.queries import counted_queries
from tests.spotlight.factories import CLERK, WORKED_DATA, open_spotlight, wish
from tests.spotlight.scoring import (
    BANKS,
    change_attributes,
    changes_of,
    evaluate,
    fit_of,
    overrides_of,
    scores_of,
    signal_of,
    told_of,
)
from tests.workstream.factories import AT, open_candidate

pytestmark = pytest.mark.django_db


def address(item: Any, rest: str = "") -> str:
    return f"/api/spotlights/scores/{item._meta.model_name}/{item.pk}{rest}"


class TestRead:
    def test_the_worked_example_with_its_sentences(self, org, as_viewer):
        spotlight = open_spotlight(org)
        signal = signal_of(org, **WORKED_DATA)
        evaluate(org, signal)

        body = as_viewer.get(address(signal)).json()

        assert (body["item_type"], body["item_id"]) == ("signal", signal.pk)
        assert body["best"] == {
            "spotlight_id": spotlight.pk,
            "match_score": 0.8,
            "recommendation": "high_match",
            "coverage": 1.0,
            "is_override": False,
        }
        (score,) = body["scores"]
        assert (score["match_score"], score["counts"], score["override"]) == (
            0.8,
            {"match_score": 0.8, "recommendation": "high_match"},
            None,
        )
        assert round(sum(each["score_part"] for each in score["components"]), 4) == 0.8
        assert "+10 industry match: Financial Services" in score["top_positive"]
        assert [each["status"] for each in score["components"]] == ["met", "partial", "met", "met"]

    def test_a_score_of_an_earlier_version_is_explained_by_that_version(self, org, as_viewer):
        spotlight = open_spotlight(org, BANKS)
        signal = signal_of(org, industry="Banking")
        evaluate(org, signal)
        services.update_spotlight(
            org=org,
            spotlight_id=spotlight.pk,
            fields={},
            criteria=[wish("industry", "=", "Fishing")],
            actor=CLERK,
            at=AT,
        )

        (score,) = as_viewer.get(address(signal)).json()["scores"]

        assert (score["version"], score["match_score"]) == (1, 1.0)
        assert score["components"][0]["status"] == "met"

    def test_before_anything_was_scored_there_is_nothing(self, org, as_viewer):
        candidate = open_candidate(org)

        assert as_viewer.get(address(candidate)).json() == {
            "item_type": "candidate",
            "item_id": candidate.pk,
            "best": None,
            "scores": [],
        }

    def test_in_a_constant_number_of_statements(self, org, as_viewer):
        counts = []
        for number in range(6):
            open_spotlight(org, BANKS, name=f"Profile {number}")
            signal = signal_of(org, industry="Banking")
            evaluate(org, signal)
            with counted_queries() as statements:
                assert len(as_viewer.get(address(signal)).json()["scores"]) == number + 1
            counts.append(len(statements))

        assert len(set(counts[1:])) == 1, counts
        assert counts[-1] <= 6

    def test_other_kinds_and_strangers_do_not_exist(self, org, as_viewer, as_stranger):
        signal = signal_of(org)

        assert as_viewer.get(f"/api/spotlights/scores/pursuit/{signal.pk}").status_code == 404
        assert as_viewer.get("/api/spotlights/scores/signal/999999").status_code == 404
        assert as_stranger.get(address(signal)).status_code == 404


class TestRescore:
    def test_scores_the_item_now(self, org, as_rep):
        open_spotlight(org)
        signal = signal_of(org, **WORKED_DATA)

        body = as_rep.post(address(signal, "/rescore"), {}).json()

        assert (body["changed"], body["best"]["match_score"], len(body["scores"])) == (True, 0.8, 1)
        assert as_rep.post(address(signal, "/rescore"), {}).json()["changed"] is False
        assert [told["cause"] for told in told_of(signal)] == ["manual"]

    def test_is_not_a_viewers(self, org, as_viewer):
        open_spotlight(org)
        signal = signal_of(org, **WORKED_DATA)

        assert as_viewer.post(address(signal, "/rescore"), {}).status_code == 403

        assert scores_of(signal) == {}


class TestHistory:
    def test_says_what_moved_and_why(self, org, as_viewer):
        spotlight, other = open_spotlight(org), open_spotlight(org, BANKS)
        signal = signal_of(org, **WORKED_DATA)
        evaluate(org, signal)
        change_attributes(signal, **{**WORKED_DATA, "budget": "100k", "industry": "Banking"})
        evaluate(org, signal, cause="client")

        answer = as_viewer.get(address(signal, f"/history?spotlight_id={spotlight.pk}")).json()

        (move,) = answer["data"]
        assert (move["previous_score"], move["match_score"], move["delta"], move["cause"]) == (
            0.8,
            0.75,
            -0.05,
            "client",
        )
        budget = next(each for each in move["components"] if each["field_name"] == "budget")
        assert (budget["credit_before"], budget["credit_after"]) == (0.2, 1.0)
        assert (budget["seen_before"], budget["seen_after"], budget["source"]) == (60_000, 100_000, "signal")
        assert len(move["sentences"]) == len(move["components"]) == 2
        everything = as_viewer.get(address(signal, "/history")).json()["data"]
        assert {each["spotlight_id"] for each in everything} == {spotlight.pk, other.pk}
        assert as_viewer.get(address(signal, "/history?spotlight=1")).status_code == 400

    def test_in_a_constant_number_of_statements(self, org, as_viewer):
        open_spotlight(org)
        counts = []
        for moves in (1, 8):
            signal = signal_of(org, **WORKED_DATA)
            evaluate(org, signal)
            for number in range(moves):
                change_attributes(signal, **{**WORKED_DATA, "budget": 61_000 + 1_000 * number})
                evaluate(org, signal)
            with counted_queries() as statements:
                assert len(as_viewer.get(address(signal, "/history")).json()["data"]) == moves
            counts.append(len(statements))

        assert counts[0] == counts[1]


class TestOverride:
    def test_is_set_and_taken_back(self, org, as_manager, manager):
        spotlight = open_spotlight(org, BANKS)
        signal = signal_of(org, industry="Fishing")
        given = {"spotlight_id": spotlight.pk, "match_score": 0.85, "reason": "The board has approved it"}

        answer = as_manager.post(address(signal, "/override"), given)

        assert answer.status_code == 200
        made = answer.json()
        assert (made["match_score"], made["recommendation"], made["set_by_user_id"], made["ended_at"]) == (
            0.85,
            "high_match",
            manager.user_id,
            None,
        )
        body = as_manager.get(address(signal)).json()
        assert (body["best"]["is_override"], body["best"]["match_score"]) == (True, 0.85)
        (score,) = body["scores"]
        assert (score["match_score"], score["counts"]["match_score"]) == (0.0, 0.85)
        assert score["override"]["override_id"] == made["override_id"]
        ended = as_manager.delete(address(signal, f"/override?spotlight_id={spotlight.pk}"))
        assert ended.status_code == 204
        fit = fit_of(signal)
        assert fit is not None
        assert (fit.match_score, fit.is_override) == (0, False)
        again = as_manager.delete(address(signal, f"/override?spotlight_id={spotlight.pk}"))
        assert again.status_code == 404

    @pytest.mark.parametrize(
        ("given", "field"),
        [
            ({"match_score": 0.5}, "reason"),
            ({"reason": "x"}, "match_score"),
            ({"reason": "x", "match_score": 2}, "match_score"),
            ({"reason": "x", "match_score": "much"}, "match_score"),
            ({"reason": "x", "recommendation": "superb"}, "recommendation"),
            ({"reason": "x", "match_score": 0.5, "expires_at": "2020-01-01T00:00:00Z"}, "expires_at"),
            ({"reason": "x", "match_score": 0.5, "until": "2020-01-01"}, "until"),
        ],
    )
    def test_refuses_with_the_field_and_a_sentence(self, org, as_manager, given, field):
        spotlight = open_spotlight(org, BANKS)
        signal = signal_of(org, industry="Banking")

        answer = as_manager.post(address(signal, "/override"), {"spotlight_id": spotlight.pk, **given})

        assert answer.status_code == 400
        assert list(answer.json()["fields"]) == [field]
        assert (overrides_of(signal), scores_of(signal), changes_of(signal)) == ([], {}, [])

    @pytest.mark.parametrize("query", ["", "?spotlight_id=", "?spotlight_id=x", "?spotlight_id=0", "?spotlight=1"])
    def test_of_which_profile_must_be_said(self, org, as_manager, query):
        signal = signal_of(org)

        answer = as_manager.delete(address(signal, f"/override{query}"))

        assert answer.status_code == 400
        assert "spotlight_id" in answer.json()["fields"]

    def test_is_not_a_representatives(self, org, as_rep):
        spotlight = open_spotlight(org, BANKS)
        signal = signal_of(org, industry="Banking")
        given = {"spotlight_id": spotlight.pk, "recommendation": "high_match", "reason": "x"}

        assert as_rep.post(address(signal, "/override"), given).status_code == 403
        assert as_rep.delete(address(signal, f"/override?spotlight_id={spotlight.pk}")).status_code == 403

        assert overrides_of(signal) == []
