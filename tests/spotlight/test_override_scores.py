"""A score set by hand counts until it ends; the computed one goes on beside it."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

import pytest

from flowledger.errors import Conflict, InvalidInput, NotFound, PermissionRefused
from spotlight import services
from spotlight.models import Cause, Recommendation
from spotlight.tasks import expire_score_overrides
from tests.spotlight.factories import CLERK, WORKED_DATA, open_spotlight, wish
from tests.spotlight.scoring import (
    BANKS,
    LATER,
    change_attributes,
    changes_of,
    end,
    evaluate,
    fit_of,
    override,
    overrides_of,
    scores_of,
    signal_of,
    told_of,
)
from tests.workstream.conftest import actor_of
from tests.workstream.factories import AT, open_candidate
from workstream import services as workstream
from workstream.models import Candidate


@pytest.mark.django_db
class TestOverride:
    def test_counts_in_place_of_the_computed_score(self, org):
        spotlight = open_spotlight(org, BANKS)
        signal = signal_of(org, industry="Fishing")
        evaluate(org, signal)

        made = override(signal, spotlight, match_score=Decimal("0.9"), recommendation="", at=LATER)

        assert (made.match_score, made.recommendation) == (Decimal("0.9"), Recommendation.HIGH)
        assert made.expires_at == LATER + timedelta(days=30)
        fit = fit_of(signal)
        assert fit is not None
        assert (fit.match_score, fit.recommendation, fit.is_override) == (Decimal("0.9"), "high_match", True)
        assert scores_of(signal)[spotlight.pk].match_score == 0
        (change,) = changes_of(signal)
        assert (change.cause, change.previous_score, change.match_score) == (Cause.OVERRIDE, 0, Decimal("0.9"))
        told = told_of(signal)[-1]
        assert (told["cause"], told["best"]["is_override"], told["results"][0]["previous_score"]) == (
            "override",
            True,
            0.0,
        )
        assert told_of(signal, "spotlight.overridden") == [
            {
                "item_type": "signal",
                "item_id": signal.pk,
                "spotlight_id": spotlight.pk,
                "override_id": made.pk,
                "recommendation": "high_match",
                "is_ended": False,
            }
        ]

    def test_stands_while_the_computed_score_moves(self, org):
        spotlight = open_spotlight(org, BANKS)
        signal = signal_of(org, industry="Fishing")
        evaluate(org, signal)
        override(signal, spotlight, recommendation="no_match")
        change_attributes(signal, industry="Banking")

        evaluate(org, signal, at=LATER, cause=Cause.ITEM)

        assert scores_of(signal)[spotlight.pk].match_score == 1
        fit = fit_of(signal)
        assert fit is not None
        assert (fit.recommendation, fit.is_override) == ("no_match", True)

    @pytest.mark.parametrize(
        ("band", "score"),
        [("high_match", "0.8"), ("medium_match", "0.6"), ("low_match", "0.4"), ("no_match", "0")],
    )
    def test_a_band_alone_begins_where_it_begins(self, org, band, score):
        spotlight = open_spotlight(org, BANKS)

        assert override(signal_of(org, industry="Banking"), spotlight, recommendation=band).match_score == Decimal(
            score
        )

    def test_of_an_item_that_was_never_scored_scores_it_first(self, org):
        spotlight, other = open_spotlight(org, BANKS), open_spotlight(org)
        signal = signal_of(org, industry="Banking")

        override(signal, spotlight, recommendation="low_match")

        assert set(scores_of(signal)) == {spotlight.pk, other.pk}

    def test_a_second_one_ends_the_first(self, org):
        spotlight = open_spotlight(org, BANKS)
        signal = signal_of(org, industry="Banking")
        override(signal, spotlight, recommendation="low_match")

        override(signal, spotlight, recommendation="medium_match", at=LATER)

        first, second = overrides_of(signal)
        assert (first.ended_at, second.ended_at) == (LATER, None)
        moves = [(row.previous_recommendation, row.recommendation) for row in changes_of(signal)]
        assert moves == [("high_match", "low_match"), ("low_match", "medium_match")]

    def test_a_candidates_customer_fit_follows(self, org):
        spotlight = open_spotlight(org)
        candidate = open_candidate(org)
        signal = signal_of(org, **WORKED_DATA)
        workstream.link_signal(org=org, signal_id=signal.pk, candidate_id=candidate.pk, actor=CLERK, at=AT)
        evaluate(org, candidate)

        override(candidate, spotlight, match_score=Decimal("0.65"), recommendation="")

        row = Candidate.all_orgs.get(pk=candidate.pk)
        assert (row.icp_score, row.icp_band) == (Decimal("0.650"), "med")
        end(candidate, spotlight)
        row.refresh_from_db()
        assert (row.icp_score, row.icp_band) == (Decimal("0.800"), "high")

    @pytest.mark.parametrize(
        ("given", "field"),
        [
            ({"recommendation": ""}, "match_score"),
            ({"match_score": Decimal("1.1")}, "match_score"),
            ({"recommendation": "superb"}, "recommendation"),
            ({"reason": "  "}, "reason"),
            ({"reason": "x" * 501}, "reason"),
            ({"expires_at": AT}, "expires_at"),
            ({"expires_at": AT + timedelta(days=366)}, "expires_at"),
        ],
    )
    def test_refuses_what_makes_no_sense(self, org, given, field):
        spotlight = open_spotlight(org, BANKS)
        signal = signal_of(org, industry="Banking")

        with pytest.raises(InvalidInput) as refused:
            override(signal, spotlight, **given)

        assert list(refused.value.details["fields"]) == [field]
        assert (overrides_of(signal), scores_of(signal)) == ([], {})

    def test_refuses_what_cannot_be_scored(self, org):
        off, empty = open_spotlight(org, BANKS, active=False), open_spotlight(org, [])
        signal, rejected = signal_of(org), signal_of(org)
        workstream.reject_signal(org=org, signal_id=rejected.pk, reason="Spam", actor=CLERK, at=AT)

        with pytest.raises(Conflict, match="switched off"):
            override(signal, off)
        with pytest.raises(Conflict, match="no criterion with a weight"):
            override(signal, empty)
        with pytest.raises(Conflict, match="was rejected"):
            override(rejected, empty)

        assert (overrides_of(signal), overrides_of(rejected)) == ([], [])

    def test_is_a_managers(self, org, rep):
        spotlight = open_spotlight(org, BANKS)
        signal = signal_of(org, industry="Banking")
        with pytest.raises(PermissionRefused):
            override(signal, spotlight, actor=actor_of(rep))

        assert overrides_of(signal) == []

    def test_a_strangers_item_and_profile_do_not_exist(self, org, other_org):
        mine, theirs = open_spotlight(org, BANKS), open_spotlight(other_org, BANKS)
        with pytest.raises(NotFound):
            override(signal_of(org), theirs)
        stranger = signal_of(other_org)
        stranger.org = org
        with pytest.raises(NotFound):
            override(stranger, mine)


@pytest.mark.django_db
class TestEnd:
    def test_lets_the_computed_score_count_again(self, org):
        spotlight = open_spotlight(org, BANKS)
        signal = signal_of(org, industry="Banking")
        override(signal, spotlight, recommendation="no_match")

        ended = end(signal, spotlight)

        assert (ended.ended_at, ended.ended_by_label) == (LATER, CLERK.label)
        fit = fit_of(signal)
        assert fit is not None
        assert (fit.recommendation, fit.is_override) == ("high_match", False)
        assert changes_of(signal)[-1].previous_recommendation == "no_match"
        assert told_of(signal, "spotlight.overridden")[-1]["is_ended"] is True
        with pytest.raises(NotFound, match="set by hand"):
            end(signal, spotlight)

    def test_comes_by_itself_when_its_time_is_over(self, org, other_org):
        spotlight, theirs = open_spotlight(org, BANKS), open_spotlight(other_org, BANKS)
        due, standing = signal_of(org, industry="Banking"), signal_of(org, industry="Banking")
        foreign = signal_of(other_org, industry="Banking")
        candidate = open_candidate(org)
        in_an_hour, in_two = AT + timedelta(hours=1), AT + timedelta(hours=2)
        for item in (due, candidate):
            override(item, spotlight, recommendation="no_match", expires_at=in_an_hour)
        override(standing, spotlight, recommendation="no_match", expires_at=in_two)
        override(foreign, theirs, recommendation="no_match", expires_at=in_an_hour)

        assert services.expire_overrides(org=org, actor=CLERK, at=in_an_hour) == 2
        assert services.expire_overrides(org=org, actor=CLERK, at=in_an_hour) == 0

        assert [fit.is_override for fit in map(fit_of, (due, standing, foreign)) if fit] == [False, True, True]
        assert overrides_of(candidate)[0].ended_at == in_an_hour

    def test_the_sweep_goes_through_every_organisation(self, org, other_org):
        """By the clock, the time of these has been over for long."""
        items = []
        for house in (org, other_org):
            item = signal_of(house, industry="Banking")
            override(item, open_spotlight(house, BANKS), recommendation="no_match", expires_at=LATER)
            items.append(item)

        assert expire_score_overrides() == 2

        assert [fit.is_override for fit in map(fit_of, items) if fit] == [False, False]
        assert expire_score_overrides() == 0

    def test_of_one_profile_leaves_those_of_others(self, org):
        first = open_spotlight(org, BANKS, name="First")
        second = open_spotlight(org, [wish("industry", "!=", "Banking")], name="Second")
        signal = signal_of(org, industry="Banking")
        override(signal, first, recommendation="no_match")
        override(signal, second, recommendation="medium_match")

        end(signal, first)

        fit = fit_of(signal)
        assert fit is not None
        assert (fit.spotlight_id, fit.is_override) == (first.pk, False)
        assert [row.ended_at for row in overrides_of(signal)] == [LATER, None]
