"""Reports of profiles: match rates over time, conversion by band, field usage, scores as they stand, alerts."""

from __future__ import annotations

import csv
import io
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from flowledger.tenancy.scope import org_scope
from spotlight import reports
from spotlight.models import SpotlightCriterion
from tests.queries import counted_queries
from tests.spotlight.factories import (
    MatchAlertFactory,
    ScoreOverrideFactory,
    SpotlightCriterionFactory,
    SpotlightFactory,
    SpotlightFieldFactory,
    SpotlightScoreFactory,
)
from tests.spotlight.scored import score, scored_signal
from tests.workstream.factories import AT, CandidateFactory, PursuitFactory, SignalFactory
from workstream.models import CandidateSignal
from workstream.reports import last_days

pytestmark = pytest.mark.django_db

REPORT = "/api/spotlights/report"
MARCH = "?from=2026-03-01&to=2026-03-31"
BANDS = ("high_match", "medium_match", "low_match", "no_match")


def answered(answer):
    assert answer.status_code == 200, answer.content
    return answer.json()


@pytest.fixture
def banking(org):
    return SpotlightFactory(org=org, name="Banking")


class TestMatchRate:
    def test_counts_signals_by_profile_and_week(self, org, other_org, banking, as_viewer):
        for band, number in zip(BANDS, (3, 1, 2, 2), strict=True):
            for _ in range(number):
                scored_signal(org, banking, band)
        scored_signal(org, banking, "no_match", ts=AT + timedelta(days=7))
        scored_signal(org, banking, "high_match", ts=AT - timedelta(days=2))
        scored_signal(other_org, SpotlightFactory(org=other_org), "high_match")
        rows = answered(as_viewer.get(f"{REPORT}/match-rate{MARCH}"))["data"]
        assert [(row["spotlight_name"], row["period"], row["signals"]) for row in rows] == [
            ("Banking", "2026-03-02", 8),
            ("Banking", "2026-03-09", 1),
        ]
        assert [rows[0][band] for band in BANDS] == [3, 1, 2, 2]
        assert (rows[0]["match_rate_percent"], rows[1]["match_rate_percent"]) == (50.0, 0.0)
        # 3 × 0.9, 0.7, 2 × 0.5 and 2 × 0.1 over eight.
        assert (rows[0]["mean_score"], rows[0]["mean_coverage"]) == (0.575, 1.0)

    def test_follows_the_days_of_the_organisation(self, org, banking, as_viewer):
        org.timezone = "Pacific/Auckland"
        org.save(update_fields=["timezone"])
        scored_signal(org, banking, "high_match", ts=datetime(2026, 3, 2, 11, 0, tzinfo=UTC))
        by_day = answered(as_viewer.get(f"{REPORT}/match-rate{MARCH}&step=day"))["data"]
        assert [row["period"] for row in by_day] == ["2026-03-03"]

    def test_totals_count_each_signal_once_by_its_best(self, org, banking, as_viewer):
        retail = SpotlightFactory(org=org, name="Retail")
        signal = scored_signal(org, banking, "high_match")
        score(retail, signal, "no_match")
        body = answered(as_viewer.get(f"{REPORT}/match-rate{MARCH}"))
        assert [(row["spotlight_name"], row["match_rate_percent"]) for row in body["data"]] == [
            ("Banking", 100.0),
            ("Retail", 0.0),
        ]
        assert (body["totals"]["signals"], body["totals"]["match_rate_percent"]) == (1, 100.0)

    def test_shows_active_profiles_or_the_one_that_is_asked_for(self, org, banking, as_viewer):
        asleep = SpotlightFactory(org=org, name="Asleep", active=False)
        score(asleep, scored_signal(org, banking, "high_match"), "low_match")
        everything = answered(as_viewer.get(f"{REPORT}/match-rate{MARCH}"))["data"]
        one = answered(as_viewer.get(f"{REPORT}/match-rate{MARCH}&spotlight_id={asleep.pk}"))["data"]
        assert ([row["spotlight_name"] for row in everything], [row["spotlight_name"] for row in one]) == (
            ["Banking"],
            ["Asleep"],
        )

    def test_says_which_profile_matches_least_of_late(self, org, banking, as_viewer):
        at = datetime.now(UTC) - timedelta(hours=1)
        for number in range(50):
            scored_signal(org, banking, "high_match" if number == 0 else "no_match", ts=at)
        (health,) = answered(as_viewer.get(f"{REPORT}/match-rate"))["health"]
        assert (health["value"], health["is_met"], health["target"]) == (2.0, False, "at least 5 % for every profile")
        assert health["sentence"] == "“Banking” matched 1 of 50 signals of the last 7 days."

    def test_judges_nothing_before_there_are_enough_signals(self, org, banking, as_viewer):
        scored_signal(org, banking, "no_match", ts=datetime.now(UTC) - timedelta(hours=1))
        (health,) = answered(as_viewer.get(f"{REPORT}/match-rate"))["health"]
        assert (health["value"], health["is_met"]) == (None, None)
        assert health["sentence"] == "No active profile has scored 50 signals of the last 7 days."

    @pytest.mark.parametrize(
        ("query", "field"),
        [("?step=year", "step"), ("?spotlight_id=first", "spotlight_id"), ("?from=x", "from"), ("?band=1", "band")],
    )
    def test_refuses_what_means_nothing(self, as_viewer, query, field):
        answer = as_viewer.get(f"{REPORT}/match-rate{query}")
        assert answer.status_code == 400
        assert field in answer.json()["fields"]

    def test_a_strangers_profile_does_not_exist(self, other_org, as_viewer):
        theirs = SpotlightFactory(org=other_org)
        answer = as_viewer.get(f"{REPORT}/match-rate?spotlight_id={theirs.pk}")
        assert (answer.status_code, answer.json()["fields"]) == (
            400,
            {"spotlight_id": [f"There is no profile {theirs.pk} in this organisation."]},
        )


class TestConversion:
    @staticmethod
    def opened(signal, stage=None):
        """A candidate of the signal and, with a stage, its pursuit."""
        state = {"status": "promoted", "promoted_at": AT} if stage else {}
        candidate = CandidateFactory(org=signal.org, **state)
        CandidateSignal.all_orgs.create(org=signal.org, candidate=candidate, signal=signal, linked_at=AT)
        if stage in {"won", "lost"}:
            closed = {"submitted_at": AT, "closed_at": AT, "outcome_reason": "Too dear" if stage == "lost" else ""}
            PursuitFactory(org=signal.org, candidate=candidate, stage=stage, **closed)
        elif stage:
            PursuitFactory(org=signal.org, candidate=candidate, stage=stage)

    def test_follows_signals_to_their_wins(self, org, banking, as_viewer):
        for stage in (None, "qual", "won", "won", "lost"):
            self.opened(scored_signal(org, banking, "high_match"), stage)
        scored_signal(org, banking, "high_match")
        self.opened(scored_signal(org, banking, "low_match"))
        self.opened(scored_signal(org, banking, "high_match", ts=AT - timedelta(days=40)), "won")
        body = answered(as_viewer.get(f"{REPORT}/conversion{MARCH}"))
        rows = {row["recommendation"]: row for row in body["data"]}
        assert list(rows) == list(BANDS)
        reached = ("signals", "with_candidate", "with_pursuit", "won", "lost")
        assert [rows["high_match"][name] for name in reached] == [6, 5, 4, 2, 1]
        assert [rows["low_match"][name] for name in reached] == [1, 1, 0, 0, 0]
        assert [rows["no_match"][name] for name in reached] == [0, 0, 0, 0, 0]
        shares = ("candidate_percent", "pursuit_percent", "won_percent", "win_rate_percent")
        assert [rows["high_match"][name] for name in shares] == [83.3, 66.7, 33.3, 66.7]
        assert [rows["no_match"][name] for name in shares] == [None] * 4
        assert [body["totals"][name] for name in reached] == [7, 6, 4, 2, 1]

    def test_a_signal_of_two_candidates_counts_once_and_as_far_as_the_better_got(self, org, banking, as_viewer):
        signal = scored_signal(org, banking, "high_match")
        for stage in ("lost", "won"):
            self.opened(signal, stage)
        (row, *_) = answered(as_viewer.get(f"{REPORT}/conversion{MARCH}"))["data"]
        assert (row["signals"], row["with_candidate"], row["won"], row["lost"]) == (1, 1, 1, 0)

    def test_takes_the_band_of_one_profile_when_asked(self, org, banking, as_viewer):
        retail = SpotlightFactory(org=org, name="Retail")
        score(retail, scored_signal(org, banking, "high_match"), "low_match")
        rows = answered(as_viewer.get(f"{REPORT}/conversion{MARCH}&spotlight_id={retail.pk}"))["data"]
        assert {row["recommendation"]: row["signals"] for row in rows} == dict.fromkeys(BANDS, 0) | {"low_match": 1}


class TestFieldUsage:
    @pytest.fixture
    def wishes(self, org, banking) -> list[SpotlightCriterion]:
        return [
            SpotlightCriterionFactory(
                org=org,
                spotlight=banking,
                field=SpotlightFieldFactory(org=org, field_name=name, field_type="text"),
                position=place,
            )
            for place, name in enumerate(("industry", "country"))
        ]

    def test_says_how_often_a_field_is_known_from_where_and_met(self, org, banking, wishes, as_viewer):
        industry, country = (wish.pk for wish in wishes)
        for credit, source in ((1, "signal"), (1, "client"), (0, "client"), (0.25, "enrichment"), (None, "")):
            components = [[industry, credit, "x", source], [country, None, None, ""]]
            scored_signal(org, banking, "low_match", components=components)
        rows = answered(as_viewer.get(f"{REPORT}/fields{MARCH}"))["data"]
        assert [row["field_name"] for row in rows] == ["industry", "country"]
        counts = ("signals", "known", "from_signal", "from_enrichment", "from_client", "from_contact")
        assert [rows[0][name] for name in counts] == [5, 4, 1, 1, 2, 0]
        assert [rows[0][name] for name in ("met", "partial", "unmet")] == [2, 1, 1]
        shares = ("known_percent", "met_percent", "partial_percent", "unmet_percent")
        assert [rows[0][name] for name in shares] == [80.0, 50.0, 25.0, 25.0]
        assert [rows[1][name] for name in ("signals", "known", "known_percent", "met_percent")] == [5, 0, 0.0, None]

    def test_scores_of_an_earlier_version_say_nothing(self, org, banking, wishes, as_viewer):
        banking.version = 2
        banking.save(update_fields=["version"])
        scored_signal(org, banking, "low_match", spotlight_version=1, components=[[wishes[0].pk, 1, "x", "signal"]])
        assert [row["signals"] for row in answered(as_viewer.get(f"{REPORT}/fields{MARCH}"))["data"]] == [0, 0]

    def test_looks_at_the_newest_signals(self, org, banking, wishes):
        industry = wishes[0].pk
        for days in range(3):
            credit = 1 if days else 0
            scored_signal(
                org, banking, "low_match", ts=AT + timedelta(days=days), components=[[industry, credit, "x", "signal"]]
            )
        with org_scope(org):
            period = last_days(org, 10, at=AT + timedelta(days=5))
            report = reports.field_usage(org=org, period=period, newest=2)
        assert [(row["signals"], row["met"]) for row in report.rows] == [(2, 2), (0, 0)]


class TestScoresNow:
    def test_every_profile_has_a_row_of_either_kind(self, org, other_org, banking, as_viewer):
        signal = scored_signal(org, banking, "high_match")
        scored_signal(org, banking, "no_match")
        SpotlightScoreFactory(
            org=org, signal=None, candidate=CandidateFactory(org=org), spotlight=banking, recommendation="medium_match"
        )
        ScoreOverrideFactory(org=org, signal=signal, spotlight=banking)
        ScoreOverrideFactory(org=org, signal=SignalFactory(org=org), spotlight=banking, ended_at=AT)
        SpotlightFactory(org=org, name="Asleep", active=False)
        scored_signal(other_org, SpotlightFactory(org=other_org), "high_match")
        rows = answered(as_viewer.get(REPORT))["data"]
        assert [(row["spotlight_name"], row["item_type"], row["items"]) for row in rows] == [
            ("Banking", "signal", 2),
            ("Banking", "candidate", 1),
            ("Asleep", "signal", 0),
            ("Asleep", "candidate", 0),
        ]
        assert [rows[0][name] for name in BANDS] == [1, 0, 0, 1]
        assert [rows[0][name] for name in ("match_rate_percent", "mean_score", "overridden")] == [50.0, 0.5, 1]
        assert [rows[2][name] for name in ("match_rate_percent", "mean_score", "last_evaluated_at")] == [None] * 3

    def test_says_how_many_scores_are_of_an_earlier_version(self, org, banking, as_viewer):
        scored_signal(org, banking, "high_match")
        banking.version = 2
        banking.save(update_fields=["version"])
        scored_signal(org, banking, "high_match")
        row = answered(as_viewer.get(REPORT))["data"][0]
        assert (row["version"], row["items"], row["outdated"]) == (2, 2, 1)


class TestAlerts:
    def test_lists_the_stretches_that_stood_in_the_period(self, org, other_org, banking, as_viewer):
        stands = MatchAlertFactory(org=org, spotlight=banking, began_at=AT - timedelta(days=60))
        over = MatchAlertFactory(org=org, began_at=AT, ended_at=AT + timedelta(days=2))
        MatchAlertFactory(org=org, began_at=AT - timedelta(days=60), ended_at=AT - timedelta(days=50))
        MatchAlertFactory(org=other_org)
        rows = answered(as_viewer.get(f"{REPORT}/alerts{MARCH}"))["data"]
        assert [row["match_alert_id"] for row in rows] == [over.pk, stands.pk]
        assert [rows[1][name] for name in ("spotlight_name", "match_rate_percent", "ended_at")] == [
            "Banking",
            2.0,
            None,
        ]


@pytest.mark.parametrize(
    ("part", "statements"), [("", 1), ("/match-rate", 3), ("/conversion", 1), ("/fields", 2), ("/alerts", 1)]
)
def test_asks_the_same_for_few_and_many_rows(org, banking, as_viewer, part, statements):
    MatchAlertFactory(org=org, spotlight=banking)
    scored_signal(org, banking, "high_match")
    with counted_queries() as few:
        as_viewer.get(f"{REPORT}{part}{MARCH}" if part else REPORT)
    for number in range(10):
        profile = SpotlightFactory(org=org, name=f"Profile {number}")
        SpotlightCriterionFactory(org=org, spotlight=profile)
        MatchAlertFactory(org=org, spotlight=profile)
        scored_signal(org, profile, "low_match")
    with counted_queries() as many:
        as_viewer.get(f"{REPORT}{part}{MARCH}" if part else REPORT)
    # And who it is that asks.
    assert (len(few), len(many)) == (statements + 1, statements + 1), "\n".join(many)


@pytest.mark.parametrize("part", ["", "/match-rate", "/conversion", "/fields", "/alerts"])
def test_comes_as_a_file_too(org, banking, as_viewer, part):
    SpotlightCriterionFactory(org=org, spotlight=banking)
    MatchAlertFactory(org=org, spotlight=banking)
    scored_signal(org, banking, "high_match")
    days = MARCH if part else "?"
    rows = answered(as_viewer.get(f"{REPORT}{part}{days}"))["data"]
    answer = as_viewer.get(f"{REPORT}{part}{days}&format=csv")
    text = b"".join(answer.streaming_content).decode()
    lines = list(csv.DictReader(io.StringIO(text)))
    assert len(lines) == len(rows) > 0
    assert list(lines[0]) == list(rows[0])


def test_a_match_rate_is_exact(org):
    rate = reports.matching.RecentRate(spotlight_id=1, spotlight_name="Banking", signals=3, matched=1)
    assert rate.rate == Decimal("0.3333")
    with org_scope(org):
        assert reports.recent_rates(org=org, at=AT) == []
