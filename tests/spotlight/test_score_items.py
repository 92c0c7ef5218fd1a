"""Signals and candidates are scored against the active profiles: components, history and the best of them."""

from __future__ import annotations

from decimal import Decimal

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from flowledger.errors import PermissionRefused
from flowledger.tenancy.scope import org_scope
from spotlight import services
from spotlight.models import Cause
from spotlight.services.scoring import Scored
from tests.spotlight.factories import CLERK, WORKED_DATA, open_spotlight, wish
from tests.spotlight.scoring import (
    BANKS,
    LATER,
    change_attributes,
    changes_of,
    evaluate,
    fit_of,
    scores_of,
    signal_of,
    told_of,
)
from tests.workstream.conftest import actor_of
from tests.workstream.factories import AT, open_candidate
from workstream import services as workstream
from workstream.models import Candidate


@pytest.mark.django_db
class TestScoreSignals:
    def test_the_worked_example_is_stored_and_told(self, org):
        spotlight = open_spotlight(org)
        signal = signal_of(org, **WORKED_DATA)

        assert evaluate(org, signal) == Scored(items=1, changed=1)

        row = scores_of(signal)[spotlight.pk]
        assert (row.match_score, row.recommendation, row.coverage) == (Decimal("0.8"), "high_match", Decimal(1))
        assert (row.matched_fields, row.total_fields, row.spotlight_version) == (3, 4, 1)
        assert [each[1:] for each in row.components] == [
            [1, "Financial Services", "signal"],
            [0.2, 60_000, "signal"],
            [1, 120, "signal"],
            [1, 3, "signal"],
        ]
        fit = fit_of(signal)
        assert fit is not None
        assert (fit.spotlight_id, fit.match_score, fit.is_override) == (spotlight.pk, Decimal("0.8"), False)
        expected = {
            "spotlight_id": spotlight.pk,
            "name": spotlight.name,
            "version": 1,
            "match_score": 0.8,
            "recommendation": "high_match",
            "coverage": 1.0,
            "is_override": False,
        }
        assert told_of(signal) == [
            {
                "item_type": "signal",
                "item_id": signal.pk,
                "signal_id": signal.pk,
                "cause": "new",
                "algorithm_version": row.algorithm_version,
                "best": expected,
                "results": [{**expected, "previous_score": None}],
            }
        ]
        assert changes_of(signal) == []

    def test_again_nothing_is_written(self, org):
        open_spotlight(org)
        signal = signal_of(org, **WORKED_DATA)
        evaluate(org, signal)
        (before,) = scores_of(signal).values()

        assert evaluate(org, signal, at=LATER, cause=Cause.MANUAL) == Scored(items=1, changed=0)

        (after,) = scores_of(signal).values()
        assert (after.row_version, after.evaluated_at) == (before.row_version, before.evaluated_at)
        assert len(told_of(signal)) == 1
        assert changes_of(signal) == []

    def test_history_says_what_moved_and_why(self, org):
        open_spotlight(org)
        signal = signal_of(org, **WORKED_DATA)
        evaluate(org, signal)
        change_attributes(signal, **{**WORKED_DATA, "budget": "100k"})

        assert evaluate(org, signal, at=LATER, cause=Cause.CLIENT).changed == 1

        (change,) = changes_of(signal)
        assert (change.previous_score, change.match_score) == (Decimal("0.8"), Decimal(1))
        assert (change.cause, change.happened_at) == (Cause.CLIENT, LATER)
        ((_, *moved),) = change.components
        assert moved == ["budget", 0.2, 1, 60_000, 100_000, "signal"]
        assert told_of(signal)[-1]["results"][0]["previous_score"] == 0.8

    def test_a_value_that_moves_no_credit_is_stored_and_not_told(self, org):
        open_spotlight(org)
        signal = signal_of(org, **WORKED_DATA)
        evaluate(org, signal)
        change_attributes(signal, **{**WORKED_DATA, "sites": 7})

        assert evaluate(org, signal, at=LATER).changed == 0

        (row,) = scores_of(signal).values()
        assert row.components[-1][1:] == [1, 7, "signal"]
        assert (len(told_of(signal)), changes_of(signal)) == (1, [])

    def test_another_version_with_the_same_result_is_noted_and_not_told(self, org):
        spotlight = open_spotlight(org, BANKS)
        signal = signal_of(org, industry="Banking")
        evaluate(org, signal)
        (kept,) = spotlight.criteria.order_by("pk")
        heavier = {**wish("industry", "=", "Banking", 3), "criterion_id": kept.pk}
        services.update_spotlight(org=org, spotlight_id=spotlight.pk, fields={}, criteria=[heavier], actor=CLERK, at=AT)

        assert evaluate(org, signal, at=LATER, cause=Cause.PROFILE).changed == 0

        row = scores_of(signal)[spotlight.pk]
        assert (row.spotlight_version, row.match_score) == (2, 1)
        assert (len(told_of(signal)), changes_of(signal)) == (1, [])

    def test_history_names_the_criteria_that_came_and_went(self, org):
        spotlight = open_spotlight(org, BANKS)
        signal = signal_of(org, industry="Banking", city="Bonn")
        evaluate(org, signal)
        services.update_spotlight(
            org=org,
            spotlight_id=spotlight.pk,
            fields={},
            criteria=[wish("city", "=", "Kiel", field_type="text")],
            actor=CLERK,
            at=AT,
        )

        evaluate(org, signal, at=LATER, cause=Cause.PROFILE)

        (change,) = changes_of(signal)
        assert (change.previous_version, change.spotlight_version, change.match_score) == (1, 2, 0)
        assert [component[1:] for component in change.components] == [
            ["industry", 1, None, "Banking", None, ""],
            ["city", None, 0, None, "Bonn", "signal"],
        ]

    def test_the_best_is_the_best_band_not_the_best_score(self, org):
        """A score that a missing required value caps is no better than a lower one that nothing caps."""
        capped = open_spotlight(
            org, [*BANKS, wish("budget", ">=", 1000, 1, field_type="number", required=True)], name="Capped"
        )
        plain = open_spotlight(
            org, [wish("industry", "=", "Banking", 7), wish("city", "=", "Bonn", 3, field_type="text")], name="Plain"
        )
        signal = signal_of(org, industry="Banking", city="Kiel")

        evaluate(org, signal)

        scores = scores_of(signal)
        assert (scores[capped.pk].match_score, scores[capped.pk].recommendation) == (1, "low_match")
        assert (scores[plain.pk].match_score, scores[plain.pk].recommendation) == (Decimal("0.7"), "medium_match")
        fit = fit_of(signal)
        assert fit is not None
        assert fit.spotlight_id == plain.pk
        assert told_of(signal)[0]["best"]["name"] == "Plain"

    def test_all_active_profiles_in_a_constant_number_of_statements(self, org):
        for number in range(3):
            open_spotlight(org, BANKS, name=f"Profile {number}")
        few = [signal_of(org, industry="Banking") for _ in range(2)]
        many = [signal_of(org, industry="Banking") for _ in range(40)]
        evaluate(org, signal_of(org))
        counts = []
        for group in (few, many):
            with CaptureQueriesContext(connection) as queries:
                assert evaluate(org, *group) == Scored(len(group), len(group))
            counts.append(len(queries))

        assert counts[0] == counts[1]
        assert sum(len(scores_of(each)) for each in many) == 120

    def test_without_an_active_profile_nothing_happens(self, org):
        open_spotlight(org, BANKS, active=False)
        open_spotlight(org, [], name="Empty")
        signal = signal_of(org, industry="Banking")

        assert evaluate(org, signal) == Scored(items=0, changed=0)

        assert (scores_of(signal), fit_of(signal), told_of(signal)) == ({}, None, [])

    def test_rejected_unknown_and_strangers_are_passed_over(self, org, other_org):
        open_spotlight(org, BANKS)
        rejected, mine = signal_of(org, industry="Banking"), signal_of(org, industry="Banking")
        theirs = signal_of(other_org, industry="Banking")
        workstream.reject_signal(org=org, signal_id=rejected.pk, reason="Spam", actor=CLERK, at=AT)
        ids = [rejected.pk, theirs.pk, 999_999_999, mine.pk, mine.pk]

        found = services.evaluate_items(org=org, item_type="signal", item_ids=ids, cause=Cause.NEW, actor=CLERK, at=AT)

        assert found == Scored(items=1, changed=1)
        assert (scores_of(rejected), scores_of(theirs), len(scores_of(mine))) == ({}, {}, 1)

    def test_a_viewer_may_not(self, org, viewer):
        open_spotlight(org, BANKS)
        signal = signal_of(org, industry="Banking")
        with pytest.raises(PermissionRefused):
            services.evaluate_items(
                org=org, item_type="signal", item_ids=[signal.pk], cause=Cause.NEW, actor=actor_of(viewer), at=AT
            )

        assert scores_of(signal) == {}

    def test_a_profile_that_is_switched_off_stops_counting(self, org):
        first, second = open_spotlight(org, BANKS, name="First"), open_spotlight(org, name="Second")
        signal = signal_of(org, industry="Banking", **{k: v for k, v in WORKED_DATA.items() if k != "industry"})
        evaluate(org, signal)
        services.update_spotlight(org=org, spotlight_id=first.pk, fields={"active": False}, actor=CLERK, at=LATER)

        assert evaluate(org, signal, at=LATER, cause=Cause.PROFILE, spotlight_ids=[first.pk]).changed == 1

        fit = fit_of(signal)
        assert fit is not None
        assert fit.spotlight_id == second.pk
        assert told_of(signal)[-1]["best"]["spotlight_id"] == second.pk
        assert told_of(signal)[-1]["results"] == []
        services.update_spotlight(org=org, spotlight_id=second.pk, fields={"active": False}, actor=CLERK, at=LATER)
        evaluate(org, signal, at=LATER, cause=Cause.PROFILE, spotlight_ids=[second.pk])
        assert fit_of(signal) is None
        assert told_of(signal)[-1]["best"] is None
        assert len(scores_of(signal)) == 2


@pytest.mark.django_db
class TestScoreCandidates:
    def test_customer_fit_follows_and_is_told_once(self, org):
        open_spotlight(org)
        candidate = open_candidate(org)
        with org_scope(org):
            signal = signal_of(org, **WORKED_DATA)
        workstream.link_signal(org=org, signal_id=signal.pk, candidate_id=candidate.pk, actor=CLERK, at=AT)

        assert evaluate(org, candidate) == Scored(items=1, changed=1)
        assert evaluate(org, candidate, at=LATER) == Scored(items=1, changed=0)

        row = Candidate.all_orgs.get(pk=candidate.pk)
        assert (row.icp_score, row.icp_band) == (Decimal("0.800"), "high")
        assert [each["changed"] for each in told_of(candidate, "candidate.updated")] == [["icp_score", "icp_band"]]
        assert told_of(candidate)[0]["signal_id"] is None
        change_attributes(signal, industry="Fishing")
        evaluate(org, candidate, at=LATER, cause=Cause.ITEM)
        row.refresh_from_db()
        assert (row.icp_score, row.icp_band) == (0, "")

    def test_medium_is_the_band_that_the_today_panel_knows(self, org):
        open_spotlight(
            org, [wish("a", "=", "x", 7, field_type="text"), wish("b", "=", "x", 3, field_type="text")], name="Plain"
        )
        candidate = open_candidate(org)
        signal = signal_of(org, a="x", b="y")
        workstream.link_signal(org=org, signal_id=signal.pk, candidate_id=candidate.pk, actor=CLERK, at=AT)
        evaluate(org, candidate)

        row = Candidate.all_orgs.get(pk=candidate.pk)
        assert (row.icp_score, row.icp_band) == (Decimal("0.700"), "med")
