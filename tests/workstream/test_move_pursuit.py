"""The pursuit's machine: which stage leads where, through which verb, and what a refused move leaves behind."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from flowledger.errors import GateBlocked, InvalidTransition, PermissionRefused
from tests.workstream.conftest import actor_of
from tests.workstream.factories import AT, CLERK, complete_checklist, open_pursuit
from tests.workstream.trail import events_of, newest_event, nothing_changes, stays_of
from workstream import services
from workstream.machines import PursuitStage
from workstream.models import GateCheck, Pursuit

pytestmark = pytest.mark.django_db

LATER = AT + timedelta(days=2)
NEXT = {
    "qual": ["pink"],
    "pink": ["qual", "red"],
    "red": ["pink", "submit"],
    "submit": ["lost", "won"],
    "won": [],
    "lost": [],
}
LEGAL = [(stage, target) for stage, targets in NEXT.items() for target in targets]
ILLEGAL = [(stage, target) for stage in NEXT for target in NEXT if target not in NEXT[stage]]
EVENT = {"submit": "pursuit.submit", "won": "pursuit.won", "lost": "pursuit.lost"}
GATED = {"red", "submit", "won", "lost"}


def ready_pursuit(org: Any, stage: str, **fields: Any) -> Pursuit:
    """A pursuit in the stage that would pass any gate."""
    pursuit = open_pursuit(org, stage=PursuitStage(stage), **fields)
    if stage not in {"won", "lost"}:
        for kind in ("pink", "red"):
            complete_checklist(pursuit, kind)
    return Pursuit.all_orgs.get(pk=pursuit.pk)


class TestMachine:
    @pytest.mark.parametrize(("stage", "target"), LEGAL)
    def test_a_legal_move_is_stored_with_one_event_and_its_stay(self, org, rep, stage, target):
        pursuit = ready_pursuit(org, stage, owner=rep.user)
        before = len(events_of(pursuit))
        moved = services.move_pursuit(
            org=org, pursuit_id=pursuit.pk, stage=target, reason="Price", actor=actor_of(rep), at=LATER
        )

        assert moved.previous_state == stage
        stored = Pursuit.all_orgs.get(pk=pursuit.pk)
        assert (stored.stage, stored.state_entered_at) == (target, LATER)
        assert stored.row_version == pursuit.row_version + 1
        name = EVENT.get(target, "pursuit.stage_changed")
        assert events_of(pursuit)[before:] == [name]
        event = newest_event(org, name)
        assert (event.occurred_at, event.actor_user_id, event.origin) == (LATER, rep.user_id, "api")
        *_, left, now_in = stays_of(pursuit)
        assert (left.state, left.left_at) == (stage, LATER)
        assert (now_in.state, now_in.entered_at, now_in.left_at) == (target, LATER, None)
        assert (now_in.actor_label, now_in.origin) == ("rita", "api")
        checks = GateCheck.all_orgs.filter(pursuit=pursuit, checked_at=LATER)
        assert [(check.gate, check.passed) for check in checks] == ([(target, True)] if target in GATED else [])

    @pytest.mark.parametrize(("stage", "target"), ILLEGAL)
    def test_an_illegal_move_is_refused_with_the_legal_ones(self, org, stage, target):
        pursuit = open_pursuit(org, stage=PursuitStage(stage))
        with nothing_changes(), pytest.raises(InvalidTransition) as refusal:
            services.move_pursuit(org=org, pursuit_id=pursuit.pk, stage=target, reason="Price", actor=CLERK, at=LATER)
        assert refusal.value.details == {
            "state_machine": "pursuit",
            "current_state": stage,
            "attempted_state": target,
            "allowed_transitions": NEXT[stage],
        }

    def test_the_way_back_and_forth_keeps_every_stay(self, org):
        pursuit = open_pursuit(org, owner=None)
        services.update_pursuit(org=org, pursuit_id=pursuit.pk, fields={"owner": None}, actor=CLERK, at=AT)
        for stage in ("pink", "qual", "pink"):
            services.move_pursuit(org=org, pursuit_id=pursuit.pk, stage=stage, actor=CLERK, at=LATER)

        assert [stay.state for stay in stays_of(pursuit)] == ["qual", "pink", "qual", "pink"]
        assert newest_event(org, "pursuit.stage_changed").payload == {
            "pursuit_id": pursuit.pk,
            "previous_stage": "qual",
            "stage": "pink",
        }

    def test_a_stale_copy_cannot_win_twice(self, org):
        pursuit = ready_pursuit(org, "submit")
        services.win_pursuit(org=org, pursuit_id=pursuit.pk, actor=CLERK, at=LATER)
        with nothing_changes(), pytest.raises(InvalidTransition):
            services.win_pursuit(org=org, pursuit_id=pursuit.pk, actor=CLERK, at=LATER)


class TestOutcome:
    def test_submission_is_dated(self, org):
        pursuit = ready_pursuit(org, "red")
        services.submit_pursuit(org=org, pursuit_id=pursuit.pk, actor=CLERK, at=LATER)

        stored = Pursuit.all_orgs.get(pk=pursuit.pk)
        assert (stored.submitted_at, stored.closed_at) == (LATER, None)
        assert newest_event(org, "pursuit.submit").payload == {"pursuit_id": pursuit.pk, "previous_stage": "red"}

    def test_a_win_is_dated_and_valued(self, org):
        pursuit = ready_pursuit(org, "submit")
        services.win_pursuit(org=org, pursuit_id=pursuit.pk, actor=CLERK, at=LATER)

        stored = Pursuit.all_orgs.get(pk=pursuit.pk)
        assert (stored.stage, stored.closed_at, stored.outcome_reason) == ("won", LATER, "")
        assert newest_event(org, "pursuit.won").payload == {
            "pursuit_id": pursuit.pk,
            "value": "50000.00",
            "currency": "USD",
        }

    def test_a_loss_keeps_its_reason(self, org):
        pursuit = ready_pursuit(org, "submit")
        services.lose_pursuit(org=org, pursuit_id=pursuit.pk, reason=" Price ", actor=CLERK, at=LATER)

        stored = Pursuit.all_orgs.get(pk=pursuit.pk)
        assert (stored.stage, stored.closed_at, stored.outcome_reason) == ("lost", LATER, "Price")

    @pytest.mark.parametrize("reason", ["", "   "])
    def test_a_loss_without_a_reason_is_blocked(self, org, reason):
        pursuit = ready_pursuit(org, "submit")
        with nothing_changes(apart_from=(GateCheck,)), pytest.raises(GateBlocked) as refusal:
            services.lose_pursuit(org=org, pursuit_id=pursuit.pk, reason=reason, actor=CLERK, at=LATER)
        assert [miss["requirement"] for miss in refusal.value.details["missing_items"]] == ["outcome_reason"]


class TestPermission:
    VERBS = {
        "move": ("move_pursuit", {"stage": "pink"}),
        "submit": ("submit_pursuit", {}),
        "won": ("win_pursuit", {}),
        "lost": ("lose_pursuit", {"reason": "Price"}),
        "edit": ("update_pursuit", {"fields": {"title": "Mine"}}),
    }

    @pytest.mark.parametrize("verb", VERBS)
    def test_comes_before_legality(self, org, rep, colleague, viewer, verb):
        name, arguments = self.VERBS[verb]
        pursuit = open_pursuit(org, stage=PursuitStage.WON, owner=colleague.user)
        for member in (rep, viewer):
            with nothing_changes(), pytest.raises(PermissionRefused):
                getattr(services, name)(org=org, pursuit_id=pursuit.pk, actor=actor_of(member), at=LATER, **arguments)

    def test_an_owner_and_a_manager_may(self, org, rep, manager):
        pursuit = open_pursuit(org, owner=rep.user)
        services.move_pursuit(org=org, pursuit_id=pursuit.pk, stage="pink", actor=actor_of(rep), at=LATER)
        services.move_pursuit(org=org, pursuit_id=pursuit.pk, stage="qual", actor=actor_of(manager), at=LATER)


class TestOverRest:
    @pytest.mark.parametrize("through_stage", [True, False])
    @pytest.mark.parametrize(("stage", "target"), [("red", "submit"), ("submit", "won"), ("submit", "lost")])
    def test_a_verb_and_stage_are_the_same_service(self, org, rep, as_rep, stage, target, through_stage):
        pursuit = ready_pursuit(org, stage, owner=rep.user)
        reason = {"reason": "Price"} if target == "lost" else {}
        if through_stage:
            answer = as_rep.post(f"/api/pursuits/{pursuit.pk}/stage", {"stage": target, **reason})
        else:
            answer = as_rep.post(f"/api/pursuits/{pursuit.pk}/{target}", reason)

        assert answer.status_code == 200
        assert (answer.json()["stage"], answer.json()["previous_stage"]) == (target, stage)
        assert answer.json()["outcome_reason"] == reason.get("reason", "")
        # It was opened long before now, so its proposal is overdue.
        missed = ["sla.breached", "sla.resolved"] if target == "submit" else []
        assert events_of(pursuit)[-1 - len(missed) :] == [EVENT[target], *missed]
        assert answer["ETag"] == as_rep.get(f"/api/pursuits/{pursuit.pk}")["ETag"]

    def test_stage_moves_between_the_reviews(self, org, rep, as_rep):
        pursuit = open_pursuit(org, owner=rep.user)
        for stage, previous in (("pink", "qual"), ("red", "pink"), ("pink", "red"), ("qual", "pink")):
            answer = as_rep.post(f"/api/pursuits/{pursuit.pk}/stage", {"stage": stage})
            assert (answer.status_code, answer.json()["previous_stage"]) == (200, previous)

        history = as_rep.get(f"/api/pursuits/{pursuit.pk}/history").json()["data"]
        assert [stay["state"] for stay in history] == ["qual", "pink", "red", "pink", "qual"]

    @pytest.mark.parametrize("target", ["submit", "won", "lost"])
    def test_illegal_is_422_through_either_door_and_never_a_blocked_gate(self, org, as_rep, target):
        pursuit = open_pursuit(org)
        for path, body in (("stage", {"stage": target}), (target, {})):
            with nothing_changes():
                answer = as_rep.post(f"/api/pursuits/{pursuit.pk}/{path}", body)
            assert (answer.status_code, answer.json()["allowed_transitions"]) == (422, ["pink"])

    @pytest.mark.parametrize("body", [{}, {"stage": "nowhere"}, {"stage": "pink", "mood": "good"}])
    def test_a_body_that_does_not_fit_is_400(self, org, as_rep, body):
        pursuit = open_pursuit(org)
        with nothing_changes():
            assert as_rep.post(f"/api/pursuits/{pursuit.pk}/stage", body).status_code == 400
            assert as_rep.post("/api/pursuits/999999/stage", body).status_code == 404

    @pytest.mark.parametrize("path", ["stage", "submit", "won", "lost"])
    def test_who_may_not_and_who_cannot_see(self, org, colleague, as_rep, as_viewer, as_stranger, path):
        pursuit = open_pursuit(org, owner=colleague.user)
        body = {"stage": "pink"} if path == "stage" else {}
        with nothing_changes():
            answers = [
                client.post(f"/api/pursuits/{pursuit.pk}/{path}", body).status_code
                for client in (as_viewer, as_rep, as_stranger)
            ]
        assert answers == [403, 403, 404]


class TestUpdatePursuit:
    def test_changes_plain_fields_and_tags(self, org, rep, as_rep):
        pursuit = open_pursuit(org)
        path = f"/api/pursuits/{pursuit.pk}"
        before = as_rep.get(path)
        answer = as_rep.patch(
            path,
            {
                "due_date": "2026-07-01",
                "forecast_value": "99000.50",
                "probability": 0.9,
                "tags": ["hot"],
                "proposal_manager_user_id": rep.user_id,
            },
            content_type="application/json",
            headers={"If-Match": before["ETag"]},
        )

        assert answer.status_code == 200
        body = answer.json()
        assert (body["due_date"], body["forecast_value"], body["tags"]) == ("2026-07-01", "99000.50", ["hot"])
        assert (body["probability"], body["proposal_manager_user_id"]) == (0.9, rep.user_id)
        assert answer["ETag"] != before["ETag"]

    @pytest.mark.parametrize(
        "body",
        [
            {"stage": "won"},
            {"candidate_id": 1},
            {"compliance_score": 1},
            {"title": " "},
            {"forecast_value": "-1"},
            {"client_id": 999_999},
        ],
    )
    def test_what_cannot_be_written_is_refused(self, org, as_rep, body):
        pursuit = open_pursuit(org)
        with nothing_changes():
            answer = as_rep.patch(f"/api/pursuits/{pursuit.pk}", body, content_type="application/json")
        assert (answer.status_code, list(answer.json()["fields"])) == (400, list(body))

    def test_a_qualified_pursuit_keeps_a_client(self, org, rep, as_rep):
        pursuit = open_pursuit(org, stage=PursuitStage.RED, owner=rep.user)
        with nothing_changes():
            answer = as_rep.patch(f"/api/pursuits/{pursuit.pk}", {"client_id": None}, content_type="application/json")
        assert (answer.status_code, list(answer.json()["fields"])) == (400, ["client_id"])

    def test_the_list_is_soonest_due_first_and_filters(self, org, rep, client_for):
        late = open_pursuit(org, owner=rep.user, title="Crane")
        soon = open_pursuit(org, title="Lathe")
        services.update_pursuit(
            org=org, pursuit_id=soon.pk, fields={"due_date": AT.date()}, tags=["hot"], actor=CLERK, at=AT
        )
        services.move_pursuit(org=org, pursuit_id=late.pk, stage="pink", actor=CLERK, at=AT)
        client = client_for("viewer")

        def found(query: str = "", path: str = "/api/pursuits") -> list[int]:
            return [row["pursuit_id"] for row in client.get(f"{path}?{query}").json()["data"]]

        assert found() == [soon.pk, late.pk]
        assert found(path="/api/workstream/pursuits") == [soon.pk, late.pk]
        assert found("stage=pink,red") == [late.pk]
        assert found("tag=HOT") == [soon.pk]
        assert found(f"owner_user_id={rep.user_id}") == [late.pk]
        assert found(f"candidate_id={soon.candidate_id}") == [soon.pk]
        assert found(f"due_to={AT.date()}") == [soon.pk]
        assert found("value_min=50000.01") == []
        assert found("q=crane") == [late.pk]
        assert found("ordering=-pursuit_id") == [soon.pk, late.pk]
