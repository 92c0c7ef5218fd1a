"""SLA compliance, workload, identity status, outbox health and the list of pursuits whose checklists are ready."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils.timezone import now

from tests.factories import MembershipFactory
from tests.queries import counted_queries
from tests.workstream.factories import AT, PursuitFactory, SignalFactory
from tests.workstream.report_rows import clock, panel_row, pending_event
from workstream.models.sla import SlaMetric
from workstream.models.today import Badge, Tier

pytestmark = pytest.mark.django_db

MARCH = "?from=2026-03-01&to=2026-03-31"
DAY = timedelta(days=1)


def answer(client, name, query=""):
    found = client.get(f"/api/workstream/{name}{query}")
    assert found.status_code == 200, found.content
    return found.json()


class TestSlaCompliance:
    def test_counts_what_was_decided_in_the_days_and_what_is_open(self, org, other_org, as_viewer):
        for _ in range(3):
            clock(org, outcome="met", stopped_at=AT)
        clock(org, outcome="breached", breached_at=AT, stopped_at=AT + DAY)
        clock(org, breached_at=AT)  # stands
        clock(org)  # runs in time
        clock(org, outcome="cancelled", stopped_at=AT)
        clock(org, outcome="met", stopped_at=AT - 40 * DAY)
        clock(org, SlaMetric.PROPOSAL, outcome="met", stopped_at=AT)
        clock(other_org, outcome="breached", breached_at=AT, stopped_at=AT)
        found = answer(as_viewer, "sla-compliance", MARCH)
        rows = {row["metric"]: row for row in found["data"]}
        assert list(rows) == ["triage_sla", "proposal_sla", "response_sla"]
        names = ("met", "breached", "open", "open_breaches", "compliance_percent")
        assert [rows["triage_sla"][name] for name in names] == [3, 2, 1, 1, 60.0]
        assert [rows["proposal_sla"][name] for name in names] == [1, 0, 0, 0, 100.0]
        assert [rows["response_sla"][name] for name in names] == [0, 0, 0, 0, None]
        assert [found["totals"][name] for name in names] == [4, 2, 1, 1, 66.7]
        (health,) = found["health"]
        assert (health["name"], health["value"], health["is_met"]) == ("breach_rate", 33.3, False)

    def test_the_breach_rate_is_met_under_five_percent_only(self, org, as_viewer):
        for _ in range(19):
            clock(org, outcome="met", stopped_at=AT)
        clock(org, outcome="breached", breached_at=AT, stopped_at=AT)
        (health,) = answer(as_viewer, "sla-compliance", MARCH)["health"]
        assert (health["value"], health["is_met"]) == (5.0, False)
        clock(org, outcome="met", stopped_at=AT)
        (health,) = answer(as_viewer, "sla-compliance", MARCH)["health"]
        assert (health["value"], health["is_met"]) == (4.8, True)

    def test_costs_one_statement_beside_the_members_own(self, org, as_viewer):
        clock(org)
        with counted_queries() as asked:
            answer(as_viewer, "sla-compliance", MARCH)
        assert len(asked) == 2, "\n".join(asked)


class TestWorkload:
    def test_counts_the_rows_of_the_panel_by_owner(self, org, other_org, as_viewer):
        owner = MembershipFactory(org=org, user__first_name="Ann", user__last_name="Moss").user
        at = now()
        panel_row(org, owner=owner, tier=Tier.URGENT, badge=Badge.RED, last_touch_at=at - timedelta(hours=100))
        panel_row(org, owner=owner, tier=Tier.HIGH, badge=Badge.AMBER, last_touch_at=at - timedelta(hours=50))
        panel_row(org, owner=owner, tier=Tier.URGENT, snoozed_until=at + DAY, last_touch_at=at)
        panel_row(org, last_touch_at=at)
        panel_row(other_org, owner=owner)
        anns, nobodys = answer(as_viewer, "workload")["data"]
        names = ("owner_id", "owner_name", "items", "urgent", "high", "low", "breaches", "stale", "snoozed")
        assert [anns[name] for name in names] == [owner.pk, "Ann Moss", 2, 1, 1, 0, 1, 1, 1]
        assert [nobodys[name] for name in names] == [None, "", 1, 0, 0, 1, 0, 0, 0]
        assert anns["mean_hours_since_touch"] == pytest.approx(75, abs=0.2)
        assert anns["longest_hours_since_touch"] == pytest.approx(100, abs=0.2)

    def test_asks_the_same_for_one_owner_and_for_many(self, org, as_viewer):
        panel_row(org)
        answer(as_viewer, "workload")  # the configuration is remembered
        with counted_queries() as few:
            answer(as_viewer, "workload")
        for _ in range(8):
            panel_row(org, owner=MembershipFactory(org=org).user)
        with counted_queries() as many:
            assert len(answer(as_viewer, "workload")["data"]) == 9
        assert len(many) == len(few) <= 3, "\n".join(many)


class TestIdentityStatus:
    def test_counts_signals_by_status(self, org, other_org, as_viewer):
        SignalFactory(org=org, identity_resolution={"status": "linked"})
        SignalFactory(org=org, identity_resolution={"status": "conflict"}, client=None)
        SignalFactory(org=org, identity_resolution={}, client=None)
        SignalFactory(org=other_org, identity_resolution={"status": "linked"})
        found = answer(as_viewer, "identity-status")
        counts = {row["status"]: (row["signals"], row["share_percent"]) for row in found["data"]}
        assert counts == {
            "linked": (1, 33.3),
            "created": (0, 0.0),
            "conflict": (1, 33.3),
            "unresolved": (0, 0.0),
            "": (1, 33.3),
        }
        assert found["totals"]["signals"] == 3
        with counted_queries() as asked:
            answer(as_viewer, "identity-status")
        assert len(asked) == 2


class TestOutboxHealth:
    def test_counts_the_organisations_own_backlog(self, org, other_org, as_viewer):
        before = now() - timedelta(seconds=45)
        pending_event(org, available_at=before)
        pending_event(org, attempts=2, available_at=now() + DAY)
        pending_event(org, dead_letter_at=AT)
        pending_event(org, processed_at=AT)
        pending_event(other_org, available_at=AT)
        found = answer(as_viewer, "outbox-health")
        (row,) = found["data"]
        assert (row["pending"], row["retrying"], row["claimed"], row["dead_letters"]) == (2, 1, 0, 1)
        assert 45 <= row["oldest_due_seconds"] < 75
        (health,) = found["health"]
        assert (health["name"], health["is_met"]) == ("outbox_latency", False)

    def test_nothing_waits(self, org, as_viewer):
        found = answer(as_viewer, "outbox-health")
        assert found["data"][0]["oldest_due_seconds"] == 0
        assert (found["health"][0]["is_met"], found["health"][0]["sentence"]) == (True, "Nothing waits.")


class TestChecklistReady:
    def test_lists_open_pursuits_and_whether_they_may_go_on(self, org, other_org, as_viewer):
        ready = PursuitFactory(org=org, stage="pink", pink_done=4, pink_required=4, red_required=4)
        waiting = PursuitFactory(org=org, stage="red", pink_done=4, pink_required=4, red_done=3, red_required=4)
        PursuitFactory(org=org, stage="lost", submitted_at=AT, closed_at=AT, outcome_reason="Too dear")
        PursuitFactory(org=other_org)
        found = answer(as_viewer, "checklist-ready")["data"]
        assert [(row["pursuit_id"], row["next_stage"], row["is_ready"]) for row in found] == [
            (ready.pk, "red", True),
            (waiting.pk, "submit", False),
        ]
        only = answer(as_viewer, "checklist-ready", "?is_ready=true")["data"]
        assert [row["pursuit_id"] for row in only] == [ready.pk]
        assert answer(as_viewer, "checklist-ready", "?stage=qual")["data"] == []

    def test_asks_the_same_for_few_and_many(self, org, as_viewer):
        PursuitFactory.create_batch(5, org=org)
        with counted_queries() as few:
            answer(as_viewer, "checklist-ready")
        PursuitFactory.create_batch(45, org=org)
        with counted_queries() as many:
            assert len(answer(as_viewer, "checklist-ready")["data"]) == 50
        assert 0 < len(many) == len(few) <= 2, "\n".join(many)
