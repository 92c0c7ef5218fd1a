"""Tasks and links hang off an item; a task is done or cancelled once."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from flowledger.errors import InvalidInput, InvalidTransition, NotFound, PermissionRefused
from tests.workstream.conftest import actor_of
from tests.workstream.factories import AT, CLERK, EngagementFactory, open_candidate, open_pursuit
from tests.workstream.trail import events_of, newest_event, nothing_changes
from workstream import services
from workstream.models import Task, WorkItemLink

pytestmark = pytest.mark.django_db

LATER = AT + timedelta(hours=2)


def open_task(item: Any, **more: Any) -> Task:
    arguments = {
        "org": item.org,
        "item_type": item._meta.model_name,
        "item_id": item.pk,
        "title": "Call back",
        "actor": CLERK,
        "at": AT,
    }
    return services.create_task(**{**arguments, **more})


def finish(verb: str, task: Task, **more: Any) -> Task:
    service = getattr(services, f"{verb}_task")
    answer: Task = service(**{"org": task.org, "task_id": task.pk, "actor": CLERK, "at": LATER, **more})
    return answer


class TestCreateTask:
    def test_is_open_with_one_event(self, org, rep):
        candidate = open_candidate(org)
        task = open_task(candidate, assignee=rep.user, due_at=LATER, title=" Call back ")

        stored = Task.all_orgs.get(pk=task.pk)
        assert (stored.title, stored.status, stored.due_at, stored.created_by_rule) == ("Call back", "open", LATER, "")
        assert events_of(task) == ["task.created"]
        assert newest_event(org, "task.created").payload == {
            "task_id": task.pk,
            "subject_type": "candidate",
            "subject_id": candidate.pk,
            "assignee_id": rep.user_id,
        }

    def test_one_cause_opens_one_task(self, org):
        pursuit = open_pursuit(org)
        first = open_task(pursuit, rule="proposal sent", rule_key="proposal-response:1")
        with nothing_changes():
            again = open_task(pursuit, rule="proposal sent", rule_key="proposal-response:1", title="Other")
        assert again.pk == first.pk

    def test_needs_a_title(self, org):
        candidate = open_candidate(org)
        with nothing_changes(), pytest.raises(InvalidInput):
            open_task(candidate, title=" ")

    def test_somebody_elses_item_is_refused_and_a_strangers_does_not_exist(self, org, other_org, rep, colleague):
        with pytest.raises(PermissionRefused):
            open_task(open_candidate(org, owner=colleague.user), actor=actor_of(rep))
        with pytest.raises(NotFound):
            open_task(open_candidate(other_org), org=org)
        assert not Task.all_orgs.exists()


class TestFinishTask:
    def test_done_is_dated_with_one_event(self, org):
        task = open_task(open_candidate(org))
        finish("complete", task)

        stored = Task.all_orgs.get(pk=task.pk)
        assert (stored.status, stored.done_at) == ("done", LATER)
        assert events_of(task) == ["task.created", "task.done"]

    def test_cancelled(self, org):
        task = open_task(open_candidate(org))
        finish("cancel", task)

        stored = Task.all_orgs.get(pk=task.pk)
        assert (stored.status, stored.done_at) == ("cancelled", None)
        assert events_of(task) == ["task.created"]

    @pytest.mark.parametrize("again", ["complete", "cancel"])
    @pytest.mark.parametrize("verb", ["complete", "cancel"])
    def test_once(self, org, verb, again):
        task = open_task(open_candidate(org))
        finish(verb, task)
        with nothing_changes(), pytest.raises(InvalidTransition):
            finish(again, task)

    def test_the_assignee_may_on_somebody_elses_item(self, org, rep, colleague):
        task = open_task(open_candidate(org, owner=colleague.user), assignee=rep.user)
        finish("complete", task, actor=actor_of(rep))
        assert Task.all_orgs.get(pk=task.pk).status == "done"

    def test_others_may_not(self, org, rep, colleague):
        task = open_task(open_candidate(org, owner=colleague.user), assignee=colleague.user)
        with nothing_changes(), pytest.raises(PermissionRefused):
            finish("complete", task, actor=actor_of(rep))

    def test_a_viewer_may_not_even_as_assignee(self, org, viewer):
        task = open_task(open_candidate(org), assignee=viewer.user)
        with nothing_changes(), pytest.raises(PermissionRefused):
            finish("complete", task, actor=actor_of(viewer))


class TestTasksOverRest:
    @pytest.mark.parametrize("collection", ["candidates", "pursuits", "engagements"])
    def test_opens_lists_and_finishes(self, org, rep, as_rep, collection):
        item = {
            "candidates": open_candidate,
            "pursuits": open_pursuit,
            "engagements": lambda org: EngagementFactory(org=org),
        }[collection](org)
        path = f"/api/{collection}/{item.pk}/tasks"
        late = as_rep.post(path, {"title": "Late", "due_at": "2026-06-01T08:00:00Z"})
        soon = as_rep.post(path, {"title": "Soon", "due_at": "2026-05-01T08:00:00Z", "assignee_user_id": rep.user_id})

        assert (late.status_code, soon.status_code) == (201, 201)
        assert (soon.json()["item_id"], soon.json()["assignee_user_id"]) == (item.pk, rep.user_id)
        assert [row["title"] for row in as_rep.get(path).json()["data"]] == ["Soon", "Late"]
        own = f"/api/tasks/{soon.json()['task_id']}"
        done = as_rep.post(f"{own}/done")
        assert (done.status_code, done.json()["status"]) == (200, "done")
        assert as_rep.post(f"{own}/cancel").status_code == 422
        assert as_rep.get(own).json() == done.json()
        assert [row["title"] for row in as_rep.get("/api/tasks?status=open").json()["data"]] == ["Late"]
        mine = as_rep.get(f"/api/tasks?assignee_user_id={rep.user_id}").json()["data"]
        assert [row["title"] for row in mine] == ["Soon"]

    def test_a_strangers_assignee_is_refused(self, org, other_org, as_rep, member_of):
        stranger = member_of(other_org, username="abroad")
        candidate = open_candidate(org)
        with nothing_changes():
            answer = as_rep.post(
                f"/api/candidates/{candidate.pk}/tasks", {"title": "Call", "assignee_user_id": stranger.user_id}
            )
        assert (answer.status_code, list(answer.json()["fields"])) == (400, ["assignee_user_id"])


class TestLinkItem:
    @pytest.mark.parametrize("collection", ["candidates", "pursuits", "engagements"])
    def test_points_elsewhere(self, org, as_rep, collection):
        item = {
            "candidates": open_candidate,
            "pursuits": open_pursuit,
            "engagements": lambda org: EngagementFactory(org=org),
        }[collection](org)
        path = f"/api/{collection}/{item.pk}/links"
        answer = as_rep.post(path, {"link_type": "doc", "target_type": "drive", "target_ref": "abc-1", "title": "Plan"})

        assert answer.status_code == 201
        assert [row["target_ref"] for row in as_rep.get(path).json()["data"]] == ["abc-1"]
        assert WorkItemLink.all_orgs.get(org=org).item_id == item.pk

    @pytest.mark.parametrize(
        ("body", "field"),
        [
            ({"link_type": "url", "target_ref": "javascript:alert(1)"}, "target_ref"),
            ({"link_type": "url", "target_ref": "  "}, "target_ref"),
            ({"link_type": "pigeon", "target_ref": "x"}, "link_type"),
        ],
    )
    def test_what_does_not_fit_is_refused(self, org, as_rep, body, field):
        candidate = open_candidate(org)
        with nothing_changes():
            answer = as_rep.post(f"/api/candidates/{candidate.pk}/links", body)
        assert (answer.status_code, list(answer.json()["fields"])) == (400, [field])

    def test_somebody_elses_item_is_refused(self, org, rep, colleague):
        pursuit = open_pursuit(org, owner=colleague.user)
        with nothing_changes(), pytest.raises(PermissionRefused):
            services.link_item(
                org=org,
                item_type="pursuit",
                item_id=pursuit.pk,
                link_type="doc",
                target_ref="abc-1",
                actor=actor_of(rep),
                at=AT,
            )
