"""Gates, checklists, proposals and promotions follow what the organisation has set, through every door."""

from __future__ import annotations

import time
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.utils.timezone import now

from flowledger.configuration import reading
from flowledger.configuration.services import end_value, set_value
from flowledger.errors import GateBlocked
from flowledger.tenancy.actors import Actor, Role
from flowledger.tenancy.models import Organization
from tests.factories import OrganizationFactory
from tests.workstream.back_office import press, stored
from tests.workstream.exports import deal, load, write_export
from tests.workstream.factories import AT, CLERK, open_candidate, open_pursuit
from tests.workstream.trail import only_the_ledger_grows
from workstream import services
from workstream.machines import PursuitStage
from workstream.models import ChecklistItem, Pursuit
from workstream.rules import DEFAULTS, rules_for

pytestmark = pytest.mark.django_db

FREE = {"pink": [], "red": [], "submit": [], "won": [], "lost": []}


def put(org: Organization, key: str, value: Any) -> None:
    rule_type, name = key.split("/")
    set_value(
        org=org, rule_type=rule_type, key=name, value=value, reason="tests", actor=Actor.system("tests"), at=now()
    )


def ownerless(org: Organization) -> Pursuit:
    """A pursuit in pink that the default gate holds back."""
    return open_pursuit(org, stage=PursuitStage.PINK, owner=None)


class TestRules:
    def test_are_the_defaults_of_an_organisation_that_set_nothing(self, org: Organization):
        assert rules_for(org) == DEFAULTS

    def test_are_the_organisations_own_where_it_set_them(self, org: Organization):
        put(org, "gate_rule/requirements", {**FREE, "won": ["owner"]})
        put(org, "gate_rule/kickoff_tasks", [{"name": "Call", "due_in_days": 2}])
        put(org, "sla_rule/response_hours", 24)

        rules = rules_for(org)
        assert dict(rules.gates) == {"won": ("owner",)}
        assert [(task.name, task.due_in_days) for task in rules.kickoff_tasks] == [("Call", 2)]
        assert (rules.response_hours, rules.pursuit_due_days) == (24, 30)
        assert rules_for(OrganizationFactory()) == DEFAULTS


class TestGates:
    def test_a_changed_rule_changes_what_blocks_over_rest(self, org: Organization, as_manager: Any):
        pursuit = ownerless(org)
        link, red = f"/api/pursuits/{pursuit.pk}/stage", {"stage": "red"}
        refused = as_manager.post(link, red)
        assert refused.status_code == 409
        assert [one["requirement"] for one in refused.json()["missing_items"]] == ["owner"]

        put(org, "gate_rule/requirements", {**FREE, "red": ["red_checklist"]})
        refused = as_manager.post(link, red)
        assert {one["requirement"] for one in refused.json()["missing_items"]} == {"red_checklist"}
        gates = as_manager.get(f"/api/pursuits/{pursuit.pk}/gates").json()
        assert "red" in str(gates)
        assert "pink_checklist" not in str(gates)

        put(org, "gate_rule/requirements", FREE)
        assert as_manager.post(link, red).status_code == 200
        assert stored(pursuit)["stage"] == "red"

    def test_and_in_the_back_office(self, home: Any, as_role: Any):
        pursuit = ownerless(home.org)
        press(as_role(Role.MANAGER), pursuit, "red")
        assert stored(pursuit)["stage"] == "pink"

        put(home.org, "gate_rule/requirements", FREE)
        press(as_role(Role.MANAGER), pursuit, "red")
        assert stored(pursuit)["stage"] == "red"

    def test_and_in_the_import(self, org: Organization, tmp_path: Any):
        put(org, "gate_rule/requirements", {**FREE, "won": ["proposal"]})
        report = load(write_export(tmp_path, [deal("1C1I7A6R", "Won")]), org)

        assert report.counts["won"] == 1
        pursuit = Pursuit.all_orgs.get(org=org)
        checks = pursuit.gate_checks.order_by("pk").values_list("gate", "passed")
        assert list(checks) == [("won", True)]

    def test_another_organisation_keeps_its_own(self, org: Organization):
        put(org, "gate_rule/requirements", FREE)
        pursuit = ownerless(OrganizationFactory())
        with only_the_ledger_grows(pursuit), pytest.raises(GateBlocked):
            services.move_pursuit(org=pursuit.org, pursuit_id=pursuit.pk, stage="red", actor=CLERK, at=AT)

    def test_an_ended_rule_brings_the_default_gate_back(self, org: Organization):
        put(org, "gate_rule/requirements", FREE)
        end_value(
            org=org,
            rule_type="gate_rule",
            key="requirements",
            reason="tests",
            actor=Actor.system("tests"),
            at=now(),
        )
        pursuit = ownerless(org)
        with only_the_ledger_grows(pursuit), pytest.raises(GateBlocked):
            services.move_pursuit(org=org, pursuit_id=pursuit.pk, stage="red", actor=CLERK, at=AT)

    def test_a_planned_rule_opens_the_gate_when_its_time_has_come(self, org: Organization):
        pursuit = ownerless(org)
        set_value(
            org=org,
            rule_type="gate_rule",
            key="requirements",
            value=FREE,
            reason="from tomorrow on",
            effective_from=now() + timedelta(seconds=1.5),
            actor=Actor.system("tests"),
            at=now(),
        )
        with only_the_ledger_grows(pursuit), pytest.raises(GateBlocked):
            services.move_pursuit(org=org, pursuit_id=pursuit.pk, stage="red", actor=CLERK, at=AT)
        time.sleep(1.6)
        moved = services.move_pursuit(org=org, pursuit_id=pursuit.pk, stage="red", actor=CLERK, at=AT)
        assert moved.stage == "red"


class TestWhatNewPursuitsGet:
    def test_their_checklists(self, org: Organization):
        red = [{"name": "Sign", "is_required": False}]
        put(org, "gate_rule/checklists", {"pink": [{"name": "Ask Bo"}], "red": red})
        pursuit = open_pursuit(org)

        items = ChecklistItem.all_orgs.filter(pursuit=pursuit).order_by("kind")
        assert [(item.kind, item.name, item.is_required) for item in items] == [
            ("pink", "Ask Bo", True),
            ("red", "Sign", False),
        ]

    def test_their_first_proposal(self, org: Organization):
        put(org, "gate_rule/proposal", {"title": "Offer to {{ client_name }}", "body": "For {{ pursuit_title }}."})
        pursuit = open_pursuit(org, stage=PursuitStage.RED)

        proposal = pursuit.proposals.get()
        assert proposal.title == f"Offer to {pursuit.client.name}"
        assert proposal.body == f"For {pursuit.title}."

    def test_their_value_and_due_date(self, org: Organization):
        put(
            org,
            "ranking_rule/pursuit_defaults",
            {"band_values": {"low": "1.50", "med": "2", "high": "777.70"}, "pursuit_due_days": 3},
        )
        candidate = open_candidate(org, status="triaged", value_band="high")
        pursuit = services.promote_candidate(org=org, candidate_id=candidate.pk, actor=CLERK, at=AT).pursuit

        assert (pursuit.forecast_value, pursuit.due_date) == (Decimal("777.70"), (AT + timedelta(days=3)).date())


@pytest.fixture(autouse=True)
def _nothing_remembered() -> None:
    reading.forget_everything()
