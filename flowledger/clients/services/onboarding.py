"""Use cases of onboarding tasks."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from flowledger.clients.models import Client, OnboardingStatus, OnboardingTask
from flowledger.clients.services.fields import only_known, refuse
from flowledger.clients.services.survivors import require_standing
from flowledger.tenancy.actors import Actor
from flowledger.tenancy.models import Membership, Organization, User
from flowledger.tenancy.permissions import authorize
from flowledger.tenancy.usecases import use_case

ONBOARDING_FIELDS = frozenset({"title", "assignee", "due_date"})


@use_case
def create_onboarding_task(
    *, org: Organization, client_id: int, fields: Mapping[str, Any], actor: Actor, at: datetime
) -> OnboardingTask:
    """Add a step to taking on a client.

    Raises NotFound, PermissionRefused, InvalidInput, Conflict for a client that was merged into another.
    """
    client = Client.objects.for_org(org).fetch(client_id)
    authorize(actor, "edit_onboarding", client)
    require_standing(client)
    task = OnboardingTask(org=org, client=client, **_checked(fields, org))
    _require_title(task)
    task.save()
    return task


@use_case
def update_onboarding_task(
    *,
    org: Organization,
    client_id: int,
    task_id: int,
    fields: Mapping[str, Any],
    status: str | None = None,
    actor: Actor,
    at: datetime,
) -> OnboardingTask:
    """Change a step, complete, cancel or reopen it; a status that it has already changes nothing.

    Raises NotFound, also when the task is another client's, PermissionRefused, InvalidInput.
    """
    task: OnboardingTask = OnboardingTask.objects.for_org(org).filter(client_id=client_id).locked().fetch(task_id)
    authorize(actor, "edit_onboarding", task)
    changes = _checked(fields, org)
    for name, value in changes.items():
        setattr(task, name, value)
    _require_title(task)
    if status is not None:
        _bring_to(task, status, at=at)
    return _stored(task, changes)


@use_case
def complete_onboarding_task(*, org: Organization, task_id: int, actor: Actor, at: datetime) -> OnboardingTask:
    """Note that a step was done; one that is done keeps its time. Raises NotFound, PermissionRefused."""
    return _moved(org, task_id, OnboardingStatus.DONE, actor=actor, at=at)


@use_case
def cancel_onboarding_task(*, org: Organization, task_id: int, actor: Actor, at: datetime) -> OnboardingTask:
    """Note that a step is not wanted any more. Raises NotFound, PermissionRefused."""
    return _moved(org, task_id, OnboardingStatus.CANCELLED, actor=actor, at=at)


@use_case
def reopen_onboarding_task(*, org: Organization, task_id: int, actor: Actor, at: datetime) -> OnboardingTask:
    """Take a step up again. Raises NotFound, PermissionRefused."""
    return _moved(org, task_id, OnboardingStatus.OPEN, actor=actor, at=at)


def _moved(org: Organization, task_id: int, status: str, *, actor: Actor, at: datetime) -> OnboardingTask:
    task: OnboardingTask = OnboardingTask.objects.for_org(org).locked().fetch(task_id)
    authorize(actor, "edit_onboarding", task)
    _bring_to(task, status, at=at)
    return _stored(task)


def _bring_to(task: OnboardingTask, status: str, *, at: datetime) -> None:
    if status == task.status:
        return
    if status == OnboardingStatus.DONE:
        task.complete(at=at)
    elif status == OnboardingStatus.CANCELLED:
        task.cancel(at=at)
    elif status == OnboardingStatus.OPEN:
        task.reopen()
    else:
        refuse("status", f"Choose one of: {', '.join(OnboardingStatus.values)}.")


def _stored(task: OnboardingTask, changes: Iterable[str] = ()) -> OnboardingTask:
    task.save(update_fields=[*changes, "done_at", "cancelled_at"])
    # The database derives the status from the times.
    task.refresh_from_db(fields=["status"])
    return task


def _checked(fields: Mapping[str, Any], org: Organization) -> dict[str, Any]:
    changes = only_known(fields, ONBOARDING_FIELDS, of="onboarding task")
    assignee: User | None = changes.get("assignee")
    if assignee is not None:
        members = Membership.objects.for_org(org).filter(user=assignee, is_active=True)
        if not members.exists():
            refuse("assignee", f"There is no member {assignee.pk} in this organisation.")
    return changes


def _require_title(task: OnboardingTask) -> None:
    if not task.title:
        refuse("title", "A task needs a title.")
