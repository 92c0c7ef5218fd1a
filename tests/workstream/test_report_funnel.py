"""Funnel and velocity: what stands where, and how fast it goes on, in the organisation's own months."""

from __future__ import annotations

import statistics
from datetime import UTC, datetime, timedelta

import pytest

from tests.queries import counted_queries
from tests.workstream.factories import (
    AT,
    CLERK,
    CandidateFactory,
    GateCheckFactory,
    PursuitFactory,
    StageHistoryFactory,
    open_candidate,
)
from workstream import services
from workstream.models import StageHistory

pytestmark = pytest.mark.django_db

FUNNEL, VELOCITY = "/api/workstream/funnel", "/api/workstream/velocity"
MARCH = "?from=2026-03-01&to=2026-03-31"


def rows(answer):
    assert answer.status_code == 200, answer.content
    return answer.json()["data"]


class TestFunnel:
    def test_counts_every_stage_an_empty_one_too(self, org, other_org, as_viewer):
        CandidateFactory.create_batch(3, org=org, status="triaged")
        PursuitFactory(org=org, candidate=CandidateFactory(org=org, status="nurture"))
        CandidateFactory.create_batch(5, org=other_org, status="triaged")
        found = {row["stage"]: row["items"] for row in rows(as_viewer.get(FUNNEL))}
        assert list(found) == [
            *("new", "triaged", "nurture", "on_hold", "promoted", "archived"),
            *("qual", "pink", "red", "submit", "won", "lost"),
        ]
        assert {stage: items for stage, items in found.items() if items} == {"triaged": 3, "nurture": 1, "qual": 1}

    def test_follows_a_transition_at_once(self, org, as_viewer):
        candidate = open_candidate(org)
        services.triage_candidate(org=org, candidate_id=candidate.pk, actor=CLERK, at=AT)
        found = {row["stage"]: row["items"] for row in rows(as_viewer.get(FUNNEL))}
        assert (found["new"], found["triaged"]) == (0, 1)

    def test_shows_the_gate_pass_rate_beside_its_target(self, org, as_viewer):
        at = datetime.now(UTC) - timedelta(hours=1)
        GateCheckFactory.create_batch(3, org=org, checked_at=at)
        GateCheckFactory(org=org, checked_at=at, passed=False, unmet=["x"])
        GateCheckFactory(org=org, checked_at=at - timedelta(days=40), passed=False, unmet=["x"])
        health = {each["name"]: each for each in as_viewer.get(FUNNEL).json()["health"]}
        assert (health["gate_pass_rate"]["value"], health["gate_pass_rate"]["is_met"]) == (75.0, False)
        assert health["pursuit_creation"]["is_met"] is True
        assert health["pursuit_creation"]["sentence"] == "5 in the last 30 days, 0 in the 30 days before."

    def test_has_nothing_to_judge_in_an_empty_organisation(self, org, as_viewer):
        health = as_viewer.get(FUNNEL).json()["health"]
        assert [(each["value"], each["is_met"]) for each in health] == [(0.0, None), (None, None)]

    def test_asks_the_same_for_few_and_many_items(self, org, as_viewer):
        CandidateFactory.create_batch(2, org=org)
        with counted_queries() as few:
            as_viewer.get(FUNNEL)
        PursuitFactory.create_batch(20, org=org)
        with counted_queries() as many:
            as_viewer.get(FUNNEL)
        assert (len(few), len(many)) == (4, 4), "\n".join(many)


class TestVelocity:
    def stay(self, org, hours=None, *, state="qual", left_for="pink", at=AT, **more):
        left = {"left_at": at + timedelta(hours=hours), "left_for": left_for} if hours is not None else {}
        return StageHistoryFactory(org=org, state=state, entered_at=at, **left, **more)

    def test_has_median_and_p90_of_the_stays_of_a_month(self, org, other_org, as_viewer):
        lengths = [1, 2, 3, 5, 8, 13, 21, 34, 55, 89]
        for hours in lengths:
            self.stay(org, hours)
        self.stay(other_org, 1000)
        (row,) = rows(as_viewer.get(VELOCITY + MARCH))
        assert (row["item_type"], row["stage"], row["month"]) == ("pursuit", "qual", "2026-03-01")
        assert (row["entered"], row["finished"], row["measured"]) == (10, 10, 10)
        assert row["median_hours"] == statistics.median(lengths)
        assert row["p90_hours"] == pytest.approx(statistics.quantiles(lengths, n=10, method="inclusive")[8], abs=0.005)

    def test_inferred_stays_count_as_entered_and_not_in_the_times(self, org, as_viewer):
        self.stay(org, 4)
        self.stay(org, 400, is_inferred=True)
        self.stay(org)
        (row,) = rows(as_viewer.get(VELOCITY + MARCH))
        assert (row["entered"], row["finished"], row["measured"], row["median_hours"]) == (3, 2, 1, 4.0)

    def test_tells_conversion_drop_off_and_detours_apart(self, org, as_viewer):
        for left_for in ("red", "red", "qual", "lost"):
            self.stay(org, 1, state="pink", left_for=left_for)
        self.stay(org, state="pink")
        (row,) = rows(as_viewer.get(VELOCITY + MARCH))
        assert (row["entered"], row["advanced"], row["dropped"]) == (5, 2, 1)
        assert (row["conversion_percent"], row["drop_off_percent"]) == (40.0, 20.0)

    def test_months_are_those_of_the_organisation(self, org, as_viewer):
        org.timezone = "Pacific/Auckland"
        org.save()
        # Already April in Auckland.
        self.stay(org, 1, at=datetime(2026, 3, 31, 12, tzinfo=UTC))
        assert rows(as_viewer.get(VELOCITY + MARCH)) == []
        (row,) = rows(as_viewer.get(VELOCITY + "?from=2026-04-01&to=2026-04-30"))
        assert row["month"] == "2026-04-01"
        (row,) = rows(as_viewer.get(VELOCITY + "?from=2026-04-01&to=2026-04-01"))
        assert row["entered"] == 1

    def test_the_way_of_a_candidate_says_what_followed(self, org, as_viewer):
        candidate = open_candidate(org)
        services.triage_candidate(org=org, candidate_id=candidate.pk, actor=CLERK, at=AT + timedelta(hours=3))
        services.archive_candidate(
            org=org, candidate_id=candidate.pk, reason="Gone", actor=CLERK, at=AT + timedelta(hours=10)
        )
        assert list(
            StageHistory.all_orgs.filter(candidate=candidate).order_by("pk").values_list("state", "left_for")
        ) == [("new", "triaged"), ("triaged", "archived"), ("archived", "")]
        found = {row["stage"]: row for row in rows(as_viewer.get(VELOCITY + MARCH))}
        assert [(found[s]["median_hours"], found[s]["advanced"], found[s]["dropped"]) for s in ("new", "triaged")] == [
            (3.0, 1, 0),
            (7.0, 0, 1),
        ]
        assert (found["archived"]["entered"], found["archived"]["median_hours"]) == (1, None)

    def test_the_view_says_the_same(self, org, as_viewer):
        from workstream.reports.views import FunnelVelocity

        for hours in (1, 2, 30):
            self.stay(org, hours)
        (shown,) = rows(as_viewer.get(VELOCITY + MARCH))
        row = FunnelVelocity.objects.for_org(org).get()
        assert (row.entered, float(row.median_hours), float(row.p90_hours), float(row.conversion_percent)) == (
            shown["entered"],
            shown["median_hours"],
            shown["p90_hours"],
            shown["conversion_percent"],
        )

    def test_asks_the_same_for_few_and_many_rows(self, org, as_viewer):
        self.stay(org, 1)
        with counted_queries() as few:
            as_viewer.get(VELOCITY + MARCH)
        for hours in range(20):
            self.stay(org, hours, state="red", left_for="submit")
        with counted_queries() as many:
            as_viewer.get(VELOCITY + MARCH)
        assert (len(few), len(many)) == (3, 3), "\n".join(many)

    @pytest.mark.parametrize(
        ("query", "field"),
        [
            ("?from=yesterday", "from"),
            ("?to=2026-13-01", "to"),
            ("?from=2026-03-02&to=2026-03-01", "to"),
            ("?from=0001-01-01", "from"),
            ("?month=3", "month"),
            ("?format=xlsx", "format"),
        ],
    )
    def test_refuses_what_means_nothing(self, as_viewer, query, field):
        answer = as_viewer.get(VELOCITY + query)
        assert answer.status_code == 400
        assert field in answer.json()["fields"]
