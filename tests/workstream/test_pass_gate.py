"""Gates: what each stage requires, everything that is unmet at once, waivers, and the ledger of every check."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from flowledger.errors import Conflict, GateBlocked, InvalidInput, NotFound, PermissionRefused
from tests.workstream.conftest import actor_of
from tests.workstream.factories import AT, CLERK, complete_checklist, open_candidate, open_pursuit
from tests.workstream.trail import events_of, newest_event, nothing_changes, only_the_ledger_grows
from workstream import services
from workstream.machines import PursuitStage
from workstream.models import ChecklistItem, GateCheck, Pursuit

pytestmark = pytest.mark.django_db

LATER = AT + timedelta(days=2)
PINK = ["Budget confirmed", "Technical scope defined", "Decision makers identified", "Timeline agreed"]
RED = ["Proposal reviewed", "Pricing approved", "Legal terms agreed", "Delivery plan finalised"]


def blocked(pursuit: Pursuit, to: str, **more: Any) -> GateBlocked:
    """The refusal of a move, having checked that it changed nothing but the ledger."""
    with only_the_ledger_grows(pursuit), pytest.raises(GateBlocked) as refusal:
        services.move_pursuit(
            org=pursuit.org, pursuit_id=pursuit.pk, stage=to, actor=more.pop("actor", CLERK), at=LATER, **more
        )
    return refusal.value


def names(refusal: GateBlocked) -> list[str]:
    return [miss["name"] for miss in refusal.details["missing_items"]]


def items(pursuit: Pursuit, kind: str) -> list[ChecklistItem]:
    return list(ChecklistItem.all_orgs.filter(pursuit=pursuit, kind=kind).order_by("position"))


@pytest.fixture
def owned(rep: Any) -> dict[str, Any]:
    return {"owner": rep.user}


class TestRequirements:
    def test_red_wants_a_client_and_an_owner(self, org):
        candidate = services.create_candidate(org=org, fields={"title": "Nobody's"}, actor=CLERK, at=AT)
        services.triage_candidate(org=org, candidate_id=candidate.pk, actor=CLERK, at=AT)
        pursuit = services.promote_candidate(org=org, candidate_id=candidate.pk, actor=CLERK, at=AT).pursuit
        services.move_pursuit(org=org, pursuit_id=pursuit.pk, stage="pink", actor=CLERK, at=AT)

        refusal = blocked(pursuit, "red")
        assert names(refusal) == ["Client", "Owner"]
        assert refusal.message == "Red blocked; incomplete checklist: Client, Owner."

    def test_submit_wants_every_required_pink_item_and_a_proposal(self, org, owned):
        candidate = open_candidate(org, status="triaged", **owned)
        pursuit = services.promote_candidate(org=org, candidate_id=candidate.pk, actor=CLERK, at=AT).pursuit
        for stage in ("pink", "red"):
            services.move_pursuit(org=org, pursuit_id=pursuit.pk, stage=stage, actor=CLERK, at=AT)

        assert names(blocked(pursuit, "submit")) == [*PINK, "Proposal"]
        complete_checklist(pursuit, "pink")
        assert names(blocked(pursuit, "submit")) == ["Proposal"]
        services.ensure_first_proposal(org=org, pursuit_id=pursuit.pk, actor=CLERK, at=AT)
        services.submit_pursuit(org=org, pursuit_id=pursuit.pk, actor=CLERK, at=LATER)

    def test_a_withdrawn_proposal_is_none(self, org, owned):
        pursuit = open_pursuit(org, stage=PursuitStage.RED, **owned)
        complete_checklist(pursuit, "pink")
        services.void_proposal(org=org, proposal_id=pursuit.proposals.get().pk, actor=CLERK, at=AT)

        assert names(blocked(pursuit, "submit")) == ["Proposal"]

    def test_won_wants_every_required_red_item(self, org, owned):
        pursuit = open_pursuit(org, stage=PursuitStage.SUBMIT, **owned)
        assert names(blocked(pursuit, "won")) == RED

    def test_lost_wants_every_required_red_item_and_a_reason(self, org, owned):
        pursuit = open_pursuit(org, stage=PursuitStage.SUBMIT, **owned)
        assert names(blocked(pursuit, "lost", reason=" ")) == [*RED, "Outcome reason"]
        assert names(blocked(pursuit, "lost", reason="Price")) == RED

    def test_pink_and_qual_want_nothing(self, org):
        pursuit = open_pursuit(org)
        for stage in ("pink", "qual"):
            services.move_pursuit(org=org, pursuit_id=pursuit.pk, stage=stage, actor=CLERK, at=AT)
        assert not GateCheck.all_orgs.filter(pursuit=pursuit).exists()

    def test_an_optional_item_holds_nothing_back(self, org, owned):
        pursuit = open_pursuit(org, stage=PursuitStage.RED, **owned)
        complete_checklist(pursuit, "pink")
        services.add_checklist_item(
            org=org, pursuit_id=pursuit.pk, kind="pink", name="Lunch", is_required=False, actor=CLERK, at=AT
        )
        services.submit_pursuit(org=org, pursuit_id=pursuit.pk, actor=CLERK, at=LATER)

    def test_absence_of_items_is_not_completion(self, org, owned):
        services.publish_checklist_template(
            org=org, kind="pink", items=[{"name": "Nice to have", "is_required": False}], actor=CLERK, at=AT
        )
        pursuit = open_pursuit(org, stage=PursuitStage.RED, **owned)
        complete_checklist(pursuit, "pink")

        refusal = blocked(pursuit, "submit")
        assert names(refusal) == ["Pink checklist"]
        assert refusal.details["missing_items"][0]["missing"] == "The pursuit has no required pink checklist items."


class TestRefusal:
    def test_says_everything_that_is_missing_and_how_to_get_it(self, org, rep, as_rep, owned):
        pursuit = open_pursuit(org, stage=PursuitStage.RED, **owned)
        first, *_ = items(pursuit, "pink")
        services.update_checklist_item(org=org, item_id=first.pk, is_done=True, actor=CLERK, at=AT)
        with only_the_ledger_grows(pursuit):
            answer = as_rep.post(f"/api/pursuits/{pursuit.pk}/submit")

        body = answer.json()
        assert (answer.status_code, body["code"], body["gate"]) == (409, "gate_blocked", "submit")
        assert body["error"] == (
            "Submit blocked; incomplete checklist: "
            "Technical scope defined, Decision makers identified, Timeline agreed."
        )
        assert [miss["name"] for miss in body["missing_items"]] == PINK[1:]
        for miss, item in zip(body["missing_items"], items(pursuit, "pink")[1:], strict=True):
            assert (miss["requirement"], miss["checklist_item_id"]) == ("pink_checklist", item.pk)
            assert miss["missing"]
            assert miss["how"]
        assert [(one["name"], one["is_met"]) for one in body["required_items"]] == [
            ("Budget confirmed", True),
            *[(name, False) for name in PINK[1:]],
            ("Proposal", True),
        ]

    @pytest.mark.parametrize("path", ["submit", "stage"])
    def test_leaves_one_ledger_row_through_either_door(self, org, rep, as_rep, owned, path):
        pursuit = open_pursuit(org, stage=PursuitStage.RED, **owned)
        GateCheck.all_orgs.filter(pursuit=pursuit).delete()
        with only_the_ledger_grows(pursuit):
            as_rep.post(f"/api/pursuits/{pursuit.pk}/{path}", {"stage": "submit"} if path == "stage" else {})

        check = GateCheck.all_orgs.get(pursuit=pursuit)
        assert (check.gate, check.from_stage, check.passed) == ("submit", "red", False)
        assert [miss["name"] for miss in check.unmet] == PINK
        assert (check.actor_kind, check.actor_id, check.actor_label, check.origin) == (
            "user",
            rep.user_id,
            "rita",
            "api",
        )
        assert check.row_version == 1
        (shown,) = as_rep.get(f"/api/pursuits/{pursuit.pk}/gate-checks").json()["data"]
        assert (shown["gate"], shown["passed"], len(shown["unmet"])) == ("submit", False, 4)

    def test_an_illegal_move_is_no_check(self, org, as_rep):
        pursuit = open_pursuit(org)
        with nothing_changes():
            assert as_rep.post(f"/api/pursuits/{pursuit.pk}/submit").status_code == 422

    def test_a_passed_gate_is_kept_with_nothing_unmet(self, org, owned):
        pursuit = open_pursuit(org, stage=PursuitStage.SUBMIT, **owned)

        checks = GateCheck.all_orgs.filter(pursuit=pursuit).order_by("pk")
        assert [(check.gate, check.passed, check.unmet) for check in checks] == [
            ("red", True, []),
            ("submit", True, []),
        ]


class TestProgress:
    def test_every_gate_as_it_stands(self, org, as_viewer, owned):
        pursuit = open_pursuit(org, stage=PursuitStage.SUBMIT, **owned)
        gates = as_viewer.get(f"/api/pursuits/{pursuit.pk}/gates").json()["gates"]

        assert [(gate["gate"], gate["passed"]) for gate in gates] == [
            ("red", True),
            ("submit", True),
            ("won", False),
            ("lost", False),
        ]
        assert [miss["name"] for miss in gates[3]["missing_items"]] == [*RED, "Outcome reason"]


class TestWaive:
    def test_lets_the_gate_pass_and_stays_listed(self, org, manager, as_manager, owned):
        pursuit = open_pursuit(org, stage=PursuitStage.RED, **owned)
        open_item, *rest = items(pursuit, "pink")
        for item in rest:
            services.update_checklist_item(org=org, item_id=item.pk, is_done=True, actor=CLERK, at=AT)
        answer = as_manager.post(
            f"/api/pursuits/{pursuit.pk}/checklist/{open_item.pk}/waive", {"reason": "Frame contract"}
        )

        assert answer.status_code == 200
        body = answer.json()
        assert (body["waived"], body["is_done"], body["waive_reason"]) == (True, False, "Frame contract")
        assert body["waived_by_user_id"] == manager.user_id
        assert events_of(pursuit)[-1] == "gate.waived"
        assert newest_event(org, "gate.waived").payload == {
            "pursuit_id": pursuit.pk,
            "checklist_item_id": open_item.pk,
            "kind": "pink",
        }
        stored = Pursuit.all_orgs.get(pk=pursuit.pk)
        assert (stored.pink_done, stored.pink_required) == (4, 4)
        services.submit_pursuit(org=org, pursuit_id=pursuit.pk, actor=CLERK, at=LATER)
        gates = as_manager.get(f"/api/pursuits/{pursuit.pk}/gates").json()["gates"]
        assert [one["waived"] for one in gates[1]["required_items"]] == ["Frame contract", None, None, None, None]

    def test_stays_listed_when_the_item_is_done_after_all(self, org, manager, as_manager, owned):
        pursuit = open_pursuit(org, stage=PursuitStage.RED, **owned)
        item = items(pursuit, "pink")[0]
        services.waive_checklist_item(org=org, item_id=item.pk, reason="Later", actor=actor_of(manager), at=AT)
        services.update_checklist_item(org=org, item_id=item.pk, is_done=True, actor=CLERK, at=LATER)
        gates = as_manager.get(f"/api/pursuits/{pursuit.pk}/gates").json()["gates"]
        assert gates[1]["required_items"][0]["waived"] == "Later"

    def test_a_rep_is_refused(self, org, rep, as_rep, owned):
        pursuit = open_pursuit(org, stage=PursuitStage.RED, **owned)
        item = items(pursuit, "pink")[0]
        with nothing_changes():
            answer = as_rep.post(f"/api/pursuits/{pursuit.pk}/checklist/{item.pk}/waive", {"reason": "Why not"})
        assert (answer.status_code, answer.json()["code"]) == (403, "permission_denied")
        with nothing_changes(), pytest.raises(PermissionRefused):
            services.waive_checklist_item(org=org, item_id=item.pk, reason="Why not", actor=actor_of(rep), at=AT)

    def test_needs_a_reason(self, org, manager, owned):
        item = items(open_pursuit(org, stage=PursuitStage.RED, **owned), "pink")[0]
        with nothing_changes(), pytest.raises(InvalidInput):
            services.waive_checklist_item(org=org, item_id=item.pk, reason=" ", actor=actor_of(manager), at=AT)

    def test_what_is_done_or_waived_is_refused(self, org, manager, owned):
        pursuit = open_pursuit(org, stage=PursuitStage.RED, **owned)
        done, waived, *_ = items(pursuit, "pink")
        services.update_checklist_item(org=org, item_id=done.pk, is_done=True, actor=CLERK, at=AT)
        services.waive_checklist_item(org=org, item_id=waived.pk, reason="Once", actor=actor_of(manager), at=AT)
        for item in (done, waived):
            with nothing_changes(), pytest.raises(Conflict):
                services.waive_checklist_item(org=org, item_id=item.pk, reason="Again", actor=actor_of(manager), at=AT)

    def test_a_closed_pursuits_item_is_refused(self, org, owned):
        pursuit = open_pursuit(org, stage=PursuitStage.WON, **owned)
        open_red = items(pursuit, "red")[0]
        with nothing_changes(), pytest.raises(Conflict, match="closed"):
            services.waive_checklist_item(org=org, item_id=open_red.pk, reason="Late", actor=CLERK, at=LATER)

    def test_another_pursuits_item_does_not_exist_here(self, org, other_org, as_manager, owned):
        here, beside = open_pursuit(org, stage=PursuitStage.RED, **owned), open_pursuit(org)
        abroad = open_pursuit(other_org)
        for pursuit in (beside, abroad):
            item = items(pursuit, "pink")[0]
            with nothing_changes():
                answer = as_manager.post(f"/api/pursuits/{here.pk}/checklist/{item.pk}/waive", {"reason": "Why not"})
            assert answer.status_code == 404
        with nothing_changes(), pytest.raises(NotFound):
            services.waive_checklist_item(
                org=org, item_id=items(abroad, "pink")[0].pk, reason="Why not", actor=CLERK, at=AT
            )
