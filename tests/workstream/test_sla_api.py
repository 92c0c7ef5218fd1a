"""`/api/sla/rules` and `/api/sla/breaches`."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from tests.client import ApiClient
from tests.workstream.factories import AT, CLERK, open_candidate
from tests.workstream.test_run_clocks import HOUR, breaches_of, move, receive
from tests.workstream.trail import nothing_changes
from workstream import services
from workstream.models import SlaRule
from workstream.services.sla_sweep import sweep

pytestmark = pytest.mark.django_db

RULE = {"item_type": "pursuit", "metric": "submit_sla", "threshold_hours": 48}


def patch(client: ApiClient, rule_id: int, body: dict[str, Any], **more: Any) -> Any:
    return client.patch(f"/api/sla/rules/{rule_id}", body, content_type="application/json", **more)


class TestRules:
    def test_a_new_organisation_sees_the_defaults(self, org, as_viewer):
        shown = as_viewer.get("/api/sla/rules").json()["data"]

        assert [(row["item_type"], row["metric"], row["threshold_hours"]) for row in shown] == [
            ("signal", "triage_sla", 24.0),
            ("candidate", "triage_sla", 24.0),
            ("pursuit", "proposal_sla", 72.0),
            ("pursuit", "response_sla", 96.0),
        ]
        assert {(row["version"], row["is_active"], row["calendar_id"], row["stage"]) for row in shown} == {
            (1, True, None, "")
        }

    def test_are_made_under_an_alias_and_answered_by_name(self, org, as_manager):
        answer = as_manager.post("/api/sla/rules", RULE)

        assert answer.status_code == 201
        assert answer.json()["metric"] == "response_sla"
        assert answer["ETag"] == as_manager.get(f"/api/sla/rules/{answer.json()['rule_id']}")["ETag"]

    def test_are_changed_only_as_they_were_seen(self, org, as_manager):
        rule_id = as_manager.post("/api/sla/rules", RULE).json()["rule_id"]
        seen = as_manager.get(f"/api/sla/rules/{rule_id}")["ETag"]
        changed = patch(as_manager, rule_id, {"threshold_hours": 12}, headers={"If-Match": seen})
        assert (changed.status_code, changed.json()["version"], changed.json()["threshold_hours"]) == (200, 2, 12.0)
        with nothing_changes():
            stale = patch(as_manager, rule_id, {"threshold_hours": 9}, headers={"If-Match": seen})

        assert stale.status_code == 412

    def test_measure_the_same_for_good(self, org, as_manager):
        rule_id = as_manager.post("/api/sla/rules", RULE).json()["rule_id"]
        with nothing_changes():
            answer = patch(as_manager, rule_id, {"metric": "proposal_sla"})

        assert (answer.status_code, list(answer.json()["fields"])) == (400, ["metric"])

    def test_are_switched_off_and_kept(self, org, as_manager):
        rule_id = as_manager.post("/api/sla/rules", RULE).json()["rule_id"]
        assert as_manager.delete(f"/api/sla/rules/{rule_id}").status_code == 204

        assert as_manager.get(f"/api/sla/rules/{rule_id}").json()["is_active"] is False
        found = as_manager.get("/api/sla/rules?is_active=false").json()["data"]
        assert [row["rule_id"] for row in found] == [rule_id]

    def test_take_calendars_of_the_organisation_only(self, org, other_org, as_manager):
        theirs = services.create_calendar(
            org=other_org, fields={"name": "Office", "timezone": "UTC"}, actor=CLERK, at=AT
        )
        with nothing_changes():
            answer = as_manager.post("/api/sla/rules", {**RULE, "calendar_id": theirs.pk})

        assert (answer.status_code, list(answer.json()["fields"])) == (400, ["calendar_id"])

    def test_are_found_by_alias(self, org, as_viewer):
        as_viewer.get("/api/sla/rules")
        found = as_viewer.get("/api/sla/rules?metric=submit_sla").json()["data"]

        assert [row["metric"] for row in found] == ["response_sla"]

    def test_are_the_managers_to_change(self, org, as_rep):
        as_rep.get("/api/sla/rules")
        rule = SlaRule.all_orgs.filter(org=org).order_by("pk")[0]
        with nothing_changes():
            assert as_rep.post("/api/sla/rules", RULE).status_code == 403
            assert patch(as_rep, rule.pk, {"threshold_hours": 1}).status_code == 403
            assert as_rep.delete(f"/api/sla/rules/{rule.pk}").status_code == 403


class TestBreaches:
    @pytest.fixture
    def missed(self, org) -> dict[str, Any]:
        """A signal in breach, and a candidate that was triaged two days too late; the candidate's is newer."""
        signal, candidate = receive(org), open_candidate(org, at=AT + HOUR)
        sweep(at=AT + timedelta(days=2))
        move(candidate, "triage", at=AT + timedelta(days=3))
        return {"signal": breaches_of(signal)[0].pk, "candidate": breaches_of(candidate)[0].pk}

    def test_come_newest_first(self, org, as_viewer, missed):
        shown = as_viewer.get("/api/sla/breaches").json()["data"]

        assert [row["breach_id"] for row in shown] == [missed["candidate"], missed["signal"]]
        resolved, still_open = shown
        assert (resolved["item_type"], resolved["metric"], resolved["reason_code"]) == (
            "candidate",
            "triage_sla",
            "untouched",
        )
        assert (resolved["breached_at"], resolved["resolved_by"]) == ("2026-03-03T10:00:00Z", "candidate.triaged")
        assert (still_open["item_type"], still_open["resolved_at"]) == ("signal", None)

    @pytest.mark.parametrize(
        ("query", "found"),
        [
            ("open=true", ["signal"]),
            ("open=false", ["candidate"]),
            ("item_type=signal", ["signal"]),
            ("item_type=signal,candidate", ["candidate", "signal"]),
            ("metric=triage_sla", ["candidate", "signal"]),
            ("metric=submit_sla", []),
            ("reason_code=response_overdue", []),
            ("reason_code=untouched", ["candidate", "signal"]),
            ("breached_after=2026-03-03T09:30:00Z", ["candidate"]),
            ("breached_before=2026-03-03T09:30:00Z", ["signal"]),
        ],
    )
    def test_are_filtered(self, org, as_viewer, missed, query, found):
        shown = as_viewer.get(f"/api/sla/breaches?{query}").json()["data"]

        assert [row["breach_id"] for row in shown] == [missed[name] for name in found]

    def test_are_read_on_from_a_cursor(self, org, as_viewer, missed):
        first = as_viewer.get("/api/sla/breaches?limit=1").json()
        second = as_viewer.get(f"/api/sla/breaches?limit=1&cursor={first['pagination']['next_cursor']}").json()

        assert [page["data"][0]["breach_id"] for page in (first, second)] == [missed["candidate"], missed["signal"]]

    def test_of_a_stranger_are_not_there(self, org, as_stranger, missed):
        assert as_stranger.get("/api/sla/breaches").json()["data"] == []
        assert as_stranger.get(f"/api/sla/breaches/{missed['signal']}").status_code == 404
