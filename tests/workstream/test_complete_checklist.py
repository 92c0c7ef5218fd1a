"""Checklist items are completed with evidence, reopened and added; the pursuit's counters follow."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from flowledger.errors import Conflict, InvalidInput, PermissionRefused
from tests.workstream.conftest import actor_of
from tests.workstream.factories import AT, CLERK, complete_checklist, open_pursuit
from tests.workstream.trail import events_of, newest_event, nothing_changes
from workstream import services
from workstream.machines import PursuitStage
from workstream.models import ChecklistItem, ChecklistTemplate, Pursuit

pytestmark = pytest.mark.django_db

LATER = AT + timedelta(hours=1)


def items(pursuit: Pursuit, kind: str = "pink") -> list[ChecklistItem]:
    return list(ChecklistItem.all_orgs.filter(pursuit=pursuit, kind=kind).order_by("position"))


def update(item: ChecklistItem, **more: Any) -> ChecklistItem:
    return services.update_checklist_item(**{"org": item.org, "item_id": item.pk, "actor": CLERK, "at": LATER, **more})


class TestComplete:
    def test_keeps_who_when_and_the_evidence(self, org, rep):
        pursuit = open_pursuit(org, owner=rep.user)
        update(items(pursuit)[0], is_done=True, evidence="Mail of 2 March", actor=actor_of(rep))

        item = items(pursuit)[0]
        assert (item.is_done, item.done_at, item.done_by_id, item.evidence) == (
            True,
            LATER,
            rep.user_id,
            "Mail of 2 March",
        )
        assert events_of(pursuit)[-1] == "checklist.item_done"
        assert newest_event(org, "checklist.item_done").payload == {
            "pursuit_id": pursuit.pk,
            "checklist_item_id": item.pk,
            "kind": "pink",
        }

    def test_counts_on_the_pursuit(self, org):
        pursuit = open_pursuit(org)
        update(items(pursuit)[0], is_done=True)
        update(items(pursuit, "red")[0], is_done=True)

        stored = Pursuit.all_orgs.get(pk=pursuit.pk)
        assert stored.checklist_progress == {
            "pink": {"done": 1, "required": 4, "percent": 25},
            "red": {"done": 1, "required": 4, "percent": 25},
        }
        assert stored.compliance_score == Decimal("0.250")
        assert stored.row_version == pursuit.row_version + 2

    def test_what_is_done_already_changes_nothing(self, org):
        item = items(open_pursuit(org))[0]
        update(item, is_done=True, evidence="Mail")
        with nothing_changes():
            update(item, is_done=True, evidence="Mail", at=LATER + timedelta(days=1))

    def test_reopening_takes_it_back_and_the_trail_keeps_it(self, org):
        pursuit = open_pursuit(org)
        item = items(pursuit)[0]
        update(item, is_done=True, evidence="Mail")
        update(item, is_done=False)

        stored = items(pursuit)[0]
        assert (stored.is_done, stored.done_at, stored.done_by_id, stored.evidence) == (False, None, None, "Mail")
        assert Pursuit.all_orgs.get(pk=pursuit.pk).pink_done == 0
        assert events_of(pursuit).count("checklist.item_done") == 1

    def test_an_optional_item_does_not_count(self, org):
        pursuit = open_pursuit(org)
        item = services.add_checklist_item(
            org=org, pursuit_id=pursuit.pk, kind="pink", name="Lunch", is_required=False, actor=CLERK, at=AT
        )
        update(item, is_done=True)

        stored = Pursuit.all_orgs.get(pk=pursuit.pk)
        assert (stored.pink_done, stored.pink_required, stored.compliance_score) == (0, 4, 0)

    def test_everything_done_is_full_compliance(self, org):
        pursuit = open_pursuit(org)
        complete_checklist(pursuit, "pink")
        complete_checklist(pursuit, "red")

        stored = Pursuit.all_orgs.get(pk=pursuit.pk)
        assert (stored.compliance_score, stored.checklist_progress["red"]["percent"]) == (1, 100)

    @pytest.mark.parametrize("stage", [PursuitStage.WON, PursuitStage.LOST])
    def test_a_closed_pursuits_checklist_is_closed(self, org, stage):
        item = items(open_pursuit(org, stage=stage))[0]
        with nothing_changes(), pytest.raises(Conflict, match="closed"):
            update(item, is_done=False)

    def test_somebody_elses_pursuit_is_refused(self, org, rep, colleague):
        item = items(open_pursuit(org, owner=colleague.user))[0]
        with nothing_changes(), pytest.raises(PermissionRefused):
            update(item, is_done=True, actor=actor_of(rep))


class TestAdd:
    def add(self, pursuit: Pursuit, **more: Any) -> ChecklistItem:
        arguments = {"org": pursuit.org, "pursuit_id": pursuit.pk, "kind": "pink", "name": "Champion"}
        return services.add_checklist_item(**{**arguments, "actor": CLERK, "at": AT, **more})

    def test_goes_to_the_end_and_counts(self, org):
        pursuit = open_pursuit(org)
        self.add(pursuit)

        assert [item.name for item in items(pursuit)][-1] == "Champion"
        assert Pursuit.all_orgs.get(pk=pursuit.pk).pink_required == 5

    def test_a_name_that_is_there_already_is_a_conflict(self, org):
        pursuit = open_pursuit(org)
        with nothing_changes(), pytest.raises(Conflict, match="already"):
            self.add(pursuit, name=" Budget confirmed ")
        self.add(pursuit, kind="red", name="Budget confirmed")

    @pytest.mark.parametrize(("change", "field"), [({"name": " "}, "name"), ({"kind": "blue"}, "kind")])
    def test_what_does_not_fit_is_refused(self, org, change, field):
        pursuit = open_pursuit(org)
        with nothing_changes(), pytest.raises(InvalidInput) as refusal:
            self.add(pursuit, **change)
        assert list(refusal.value.details["fields"]) == [field]

    def test_a_closed_pursuit_takes_none(self, org):
        pursuit = open_pursuit(org, stage=PursuitStage.LOST)
        with nothing_changes(), pytest.raises(Conflict, match="closed"):
            self.add(pursuit)


class TestOverRest:
    def test_lists_completes_and_adds(self, org, rep, as_rep):
        pursuit = open_pursuit(org, owner=rep.user)
        path = f"/api/pursuits/{pursuit.pk}"
        before = as_rep.get(path)
        first = as_rep.get(f"{path}/checklist").json()["data"][0]
        answer = as_rep.patch(
            f"{path}/checklist/{first['checklist_item_id']}",
            {"is_done": True, "evidence": "Mail"},
            content_type="application/json",
        )

        assert answer.status_code == 200
        body = answer.json()
        assert (body["is_done"], body["evidence"], body["waived"]) == (True, "Mail", False)
        assert body["done_by_user_id"] == rep.user_id
        after = as_rep.get(path, headers={"If-None-Match": before["ETag"]})
        assert after.status_code == 200
        assert after.json()["checklist"]["pink"] == {"done": 1, "required": 4, "percent": 25}
        assert after.json()["compliance_score"] == 0.125
        added = as_rep.post(f"{path}/checklist", {"kind": "red", "name": "Insurance"})
        assert (added.status_code, added.json()["is_required"]) == (201, True)
        again = as_rep.post(f"{path}/checklist", {"kind": "red", "name": "Insurance"})
        assert (again.status_code, again.json()["code"]) == (409, "conflict")
        listed = as_rep.get(f"{path}/checklist").json()
        assert ([row["kind"] for row in listed["data"]], listed["pagination"]["total"]) == (
            ["pink"] * 4 + ["red"] * 5,
            9,
        )

    def test_if_match_speaks_of_the_item(self, org, rep, as_rep):
        pursuit = open_pursuit(org, owner=rep.user)
        path = f"/api/pursuits/{pursuit.pk}/checklist/{items(pursuit)[0].pk}"
        etag = as_rep.patch(path, {"evidence": "One"}, content_type="application/json")["ETag"]
        fresh = as_rep.patch(path, {"evidence": "Two"}, content_type="application/json", headers={"If-Match": etag})
        assert fresh.status_code == 200
        with nothing_changes():
            stale = as_rep.patch(
                path, {"evidence": "Three"}, content_type="application/json", headers={"If-Match": etag}
            )
        assert (stale.status_code, stale.json()["code"]) == (412, "stale")

    @pytest.mark.parametrize("body", [{"is_done": "perhaps"}, {"evidence": "x" * 2001}, {"name": "Renamed"}])
    def test_what_does_not_fit_is_refused(self, org, as_rep, body):
        pursuit = open_pursuit(org)
        path = f"/api/pursuits/{pursuit.pk}/checklist/{items(pursuit)[0].pk}"
        with nothing_changes():
            answer = as_rep.patch(path, body, content_type="application/json")
        assert (answer.status_code, list(answer.json()["fields"])) == (400, list(body))

    def test_another_pursuits_item_does_not_exist_here(self, org, other_org, as_manager):
        here, beside, abroad = open_pursuit(org), open_pursuit(org), open_pursuit(other_org)
        for pursuit in (beside, abroad):
            with nothing_changes():
                answer = as_manager.patch(
                    f"/api/pursuits/{here.pk}/checklist/{items(pursuit)[0].pk}",
                    {"is_done": True},
                    content_type="application/json",
                )
            assert answer.status_code == 404


class TestPublishTemplate:
    def publish(self, org: Any, items: list[dict[str, Any]], **more: Any) -> ChecklistTemplate:
        return services.publish_checklist_template(
            **{"org": org, "kind": "pink", "items": items, "actor": CLERK, "at": AT, **more}
        )

    def test_versions_count_by_kind_and_old_pursuits_keep_their_items(self, org):
        old = open_pursuit(org)
        versions = [self.publish(org, [{"name": "Budget"}]).version for _ in range(2)]
        red = self.publish(org, [{"name": "Legal"}], kind="red")

        assert (versions, red.version) == ([1, 2], 1)
        assert len(items(old)) == 4
        assert [item.name for item in items(open_pursuit(org))] == ["Budget"]

    @pytest.mark.parametrize(
        ("kind", "lines"),
        [
            ("blue", [{"name": "Budget"}]),
            ("pink", []),
            ("pink", [{"name": " "}]),
            ("pink", [{"name": "x" * 201}]),
            ("pink", [{"name": "Budget"}, {"name": "Budget "}]),
            ("kickoff", [{"name": "Call", "due_in_days": -1}]),
            ("kickoff", [{"name": "Call", "due_in_days": "soon"}]),
        ],
    )
    def test_what_does_not_fit_is_refused(self, org, kind, lines):
        with nothing_changes(), pytest.raises(InvalidInput):
            self.publish(org, lines, kind=kind)

    def test_a_rep_is_refused(self, org, rep):
        with nothing_changes(), pytest.raises(PermissionRefused):
            self.publish(org, [{"name": "Budget"}], actor=actor_of(rep))

    def test_over_rest(self, org, as_manager, as_rep):
        body = {"kind": "kickoff", "items": [{"name": "Call", "due_in_days": 3}]}
        with nothing_changes():
            assert as_rep.post("/api/checklist-templates", body).status_code == 403
            assert as_manager.post("/api/checklist-templates", {"kind": "pink", "items": []}).status_code == 400
        answer = as_manager.post("/api/checklist-templates", body)

        assert (answer.status_code, answer.json()["version"]) == (201, 1)
        assert answer.json()["items"] == [{"name": "Call", "due_in_days": 3}]
        template_id = answer.json()["checklist_template_id"]
        assert as_rep.get(f"/api/checklist-templates/{template_id}").json() == answer.json()
        assert len(as_rep.get("/api/checklist-templates").json()["data"]) == 1
