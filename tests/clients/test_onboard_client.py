"""Onboarding tasks of a client: entered, done, cancelled, reopened."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime
from typing import Any

import pytest

from flowledger.clients.models import OnboardingTask
from flowledger.clients.services import create_onboarding_task, update_onboarding_task
from flowledger.errors import InvalidInput, NotFound, PermissionRefused
from flowledger.tenancy.actors import Actor, Role
from flowledger.tenancy.models import Organization
from flowledger.tenancy.scope import org_scope
from tests.factories import ClientFactory, MembershipFactory, UserFactory

AT = datetime(2026, 3, 1, 9, 0, tzinfo=UTC)
LATER = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)


@pytest.fixture
def task(org: Organization, rep: Actor) -> OnboardingTask:
    return create_onboarding_task(
        org=org, client_id=ClientFactory(org=org).pk, fields={"title": "Kick-off"}, actor=rep, at=AT
    )


def change(task: OnboardingTask, actor: Actor, *, status: str | None = None, **fields: Any) -> OnboardingTask:
    return update_onboarding_task(
        org=task.org,
        client_id=task.client_id,
        task_id=task.pk,
        fields=fields,
        status=status,
        actor=actor,
        at=LATER,
    )


def test_begins_open(task: OnboardingTask) -> None:
    assert (task.status, task.done_at, task.cancelled_at) == ("open", None, None)


@pytest.mark.parametrize(
    ("steps", "status", "done_at", "cancelled_at"),
    [
        (["done"], "done", LATER, None),
        (["cancelled"], "cancelled", None, LATER),
        (["done", "cancelled"], "cancelled", None, LATER),
        (["done", "open"], "open", None, None),
        (["open"], "open", None, None),
    ],
)
def test_status_and_times_agree(
    task: OnboardingTask,
    rep: Actor,
    steps: list[str],
    status: str,
    done_at: datetime | None,
    cancelled_at: datetime | None,
) -> None:
    for step in steps:
        changed = change(task, rep, status=step)
    with org_scope(task.org):
        stored = OnboardingTask.objects.for_org(task.org).get()
    assert changed.status == stored.status == status
    assert (stored.done_at, stored.cancelled_at) == (done_at, cancelled_at)


def test_done_again_keeps_the_first_time(task: OnboardingTask, rep: Actor) -> None:
    update_onboarding_task(
        org=task.org, client_id=task.client_id, task_id=task.pk, fields={}, status="done", actor=rep, at=AT
    )
    assert change(task, rep, status="done").done_at == AT


def test_fields_change(task: OnboardingTask, rep: Actor) -> None:
    member = MembershipFactory(org=task.org).user
    changed = change(task, rep, title=" Call ", assignee=member, due_date=date(2026, 4, 1))
    assert (changed.title, changed.assignee_id, changed.due_date) == ("Call", member.pk, date(2026, 4, 1))


@pytest.mark.parametrize(("fields", "status"), [({"title": " "}, None), ({}, "paused")])
def test_wrong_input_is_refused(task: OnboardingTask, rep: Actor, fields: dict[str, Any], status: str | None) -> None:
    with pytest.raises(InvalidInput):
        change(task, rep, status=status, **fields)
    with org_scope(task.org):
        stored = OnboardingTask.objects.for_org(task.org).get()
    assert (stored.title, stored.status, stored.row_version) == ("Kick-off", "open", 1)


def test_an_outsider_cannot_be_assigned(task: OnboardingTask, rep: Actor) -> None:
    with pytest.raises(InvalidInput):
        change(task, rep, assignee=UserFactory())


def test_a_viewer_is_refused(task: OnboardingTask, actor_of: Callable[[Role], Actor]) -> None:
    with pytest.raises(PermissionRefused):
        change(task, actor_of(Role.VIEWER), status="done")


def test_the_task_of_another_client_does_not_exist(task: OnboardingTask, rep: Actor) -> None:
    other = ClientFactory(org=task.org)
    with pytest.raises(NotFound):
        update_onboarding_task(
            org=task.org, client_id=other.pk, task_id=task.pk, fields={}, status="done", actor=rep, at=AT
        )


def test_a_strangers_client_does_not_exist(org: Organization, other_org: Organization, rep: Actor) -> None:
    theirs = ClientFactory(org=other_org)
    with pytest.raises(NotFound):
        create_onboarding_task(org=org, client_id=theirs.pk, fields={"title": "Call"}, actor=rep, at=AT)
