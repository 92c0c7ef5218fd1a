"""Use cases of activities, tasks and links: what people do on an item."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django.apps import apps

from flowledger.clients.models import Client, Contact
from flowledger.clients.services.survivors import require_standing
from flowledger.errors import InvalidInput
from flowledger.tenancy.actors import Actor
from flowledger.tenancy.models import Organization, User
from flowledger.tenancy.permissions import authorize
from flowledger.tenancy.usecases import use_case
from workstream import clocks
from workstream.machines import TaskStatus, require_legal
from workstream.models import Activity, Task, WorkItemLink
from workstream.models.activities import ITEM_MODELS, ActivityKind, Direction, LinkType

TOUCHED = frozenset({"signal", "candidate", "pursuit"})


def item_of(org: Organization, item_type: str, item_id: int) -> Any:
    """The item that a row is to hang off.

    Raises InvalidInput for an unknown type, NotFound for an unknown id, Conflict for the tombstone of a merge.
    """
    return _standing(_items_of(org, item_type).fetch(item_id))


def _standing(item: Any) -> Any:
    if isinstance(item, Client | Contact):
        require_standing(item)
    return item


def _items_of(org: Organization, item_type: str) -> Any:
    label = ITEM_MODELS.get(item_type)
    if label is None:
        sentence = f"There is no item type '{item_type}'; choose from: {', '.join(ITEM_MODELS)}."
        raise InvalidInput(sentence, fields={"item_type": [sentence]})
    model: Any = apps.get_model(label)
    return model.objects.for_org(org)


@use_case
def log_activity(
    *,
    org: Organization,
    item_type: str,
    item_id: int,
    kind: str,
    summary: str,
    body: str = "",
    direction: str = Direction.INTERNAL,
    happened_at: datetime | None = None,
    actor: Actor,
    at: datetime,
) -> Activity:
    """Log what happened on an item and touch it: the last touch moves forward only, a signal's first touch is set once.

    Raises NotFound, PermissionRefused, InvalidInput for an unknown kind or direction, a blank summary, or a time that
    has not come yet, Conflict for a contact or client that was merged into another.
    """
    item = _standing(_items_of(org, item_type).locked().fetch(item_id))
    authorize(actor, "log_activity", item)
    happened_at = happened_at or at
    _require_choice("kind", kind, ActivityKind.values)
    _require_choice("direction", direction, Direction.values)
    if not summary.strip():
        raise InvalidInput("An activity needs a summary.", fields={"summary": ["This must not be blank."]})
    if happened_at > at:
        sentence = "An activity is logged after it happened; plan with a task instead."
        raise InvalidInput(sentence, fields={"happened_at": [sentence]})
    activity = Activity(
        org=org, kind=kind, direction=direction, summary=summary.strip(), body=body, happened_at=happened_at
    )
    setattr(activity, item_type, item)
    activity.log(actor=actor, at=at)
    activity.save()
    if item_type in TOUCHED:
        type(item).objects.for_org(org).filter(pk=item.pk).touch(at=happened_at)
        clocks.touch(item, at=at, actor=actor, happened_at=happened_at, direction=direction)
    return activity


@use_case
def create_task(
    *,
    org: Organization,
    item_type: str,
    item_id: int,
    title: str,
    assignee: User | None = None,
    due_at: datetime | None = None,
    rule: str = "",
    rule_key: str = "",
    actor: Actor,
    at: datetime,
) -> Task:
    """Open a task on an item. With a `rule_key` the same cause opens one task however often it comes.

    Raises NotFound, PermissionRefused, InvalidInput for a blank title.
    """
    item = item_of(org, item_type, item_id)
    authorize(actor, "edit_task", item)
    if not title.strip():
        raise InvalidInput("A task needs a title.", fields={"title": ["This must not be blank."]})
    if rule_key:
        # Whoever opens tasks by rule holds the item's lock, so looking first is safe.
        type(item).objects.for_org(org).locked().fetch(item.pk)
        existing: Task | None = Task.objects.for_org(org).filter(rule_key=rule_key).order_by("pk").first()
        if existing is not None:
            return existing
    task = Task(org=org, title=title.strip(), assignee=assignee, due_at=due_at, created_by_rule=rule, rule_key=rule_key)
    setattr(task, item_type, item)
    task.open(actor=actor, at=at)
    task.save()
    return task


@use_case
def complete_task(*, org: Organization, task_id: int, actor: Actor, at: datetime) -> Task:
    """Mark an open task done. Raises NotFound, PermissionRefused, InvalidTransition."""
    task = _locked_task(org, task_id, actor, to=TaskStatus.DONE)
    task.complete(actor=actor, at=at)
    task.save()
    return task


@use_case
def cancel_task(*, org: Organization, task_id: int, actor: Actor, at: datetime) -> Task:
    """Drop an open task. Raises NotFound, PermissionRefused, InvalidTransition."""
    task = _locked_task(org, task_id, actor, to=TaskStatus.CANCELLED)
    task.cancel()
    task.save()
    return task


@use_case
def link_item(
    *,
    org: Organization,
    item_type: str,
    item_id: int,
    link_type: str,
    target_ref: str,
    target_type: str = "",
    title: str = "",
    actor: Actor,
    at: datetime,
) -> WorkItemLink:
    """Point from an item to a thread, document or page elsewhere.

    Raises NotFound, PermissionRefused, InvalidInput for an unknown type, a blank target, or a URL that is not http(s).
    """
    item = item_of(org, item_type, item_id)
    authorize(actor, "link_item", item)
    _require_choice("link_type", link_type, LinkType.values)
    target = target_ref.strip()
    if not target:
        raise InvalidInput("A link needs a target.", fields={"target_ref": ["This must not be blank."]})
    if link_type == LinkType.URL and not target.lower().startswith(("http://", "https://")):
        sentence = "A URL begins with http:// or https://."
        raise InvalidInput(sentence, fields={"target_ref": [sentence]})
    link = WorkItemLink(org=org, link_type=link_type, target_type=target_type, target_ref=target, title=title)
    setattr(link, item_type, item)
    link.save()
    return link


def _locked_task(org: Organization, task_id: int, actor: Actor, *, to: str) -> Task:
    task: Task = Task.objects.for_org(org).locked().fetch(task_id)
    # Whoever was given the task may finish it, whosever item it is on.
    is_assignee = task.assignee_id is not None and task.assignee_id == actor.user_id
    authorize(actor, "edit_task", None if is_assignee else task)
    require_legal(task, to=to)
    return task


def _require_choice(field: str, value: str, choices: list[str]) -> None:
    if value not in choices:
        sentence = f"'{value}' is not a {field}; choose from: {', '.join(choices)}."
        raise InvalidInput(sentence, fields={field: [sentence]})
