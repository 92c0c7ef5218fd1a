"""What people do on an item: activities, tasks and links. Each row points at exactly one item."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django.conf import settings
from django.db import models
from django.db.models import Q
from django_fsm import FSMField, transition

from flowledger.outbox.recording import RecordingModel
from flowledger.tenancy.actors import Actor, ActorKind, Origin
from flowledger.tenancy.constraints import tenant_constraints
from flowledger.tenancy.fields import OrgForeignKey
from workstream import events
from workstream.machines import TaskStatus

ITEM_MODELS: dict[str, str] = {
    "signal": "workstream.Signal",
    "candidate": "workstream.Candidate",
    "pursuit": "workstream.Pursuit",
    "engagement": "workstream.Engagement",
    "client": "clients.Client",
    "contact": "clients.Contact",
}


def one_item() -> Q:
    """The condition that exactly one of the item columns is set."""
    condition = Q()
    for chosen in ITEM_MODELS:
        condition |= Q(**{f"{name}__isnull": name != chosen for name in ITEM_MODELS})
    return condition


def item_indexes(prefix: str, *after: str) -> list[models.Index]:
    """A partial index per item column, so a row is in exactly one of them."""
    return [
        models.Index(
            fields=["org", name, *after], condition=Q(**{f"{name}__isnull": False}), name=f"{prefix}_of_{name}"
        )
        for name in ITEM_MODELS
    ]


class ItemRow(RecordingModel):
    """A row that hangs off one item: real foreign keys, one of them set."""

    signal = OrgForeignKey("workstream.Signal", models.CASCADE, null=True, blank=True, related_name="%(class)s_set")
    candidate = OrgForeignKey(
        "workstream.Candidate", models.CASCADE, null=True, blank=True, related_name="%(class)s_set"
    )
    pursuit = OrgForeignKey("workstream.Pursuit", models.CASCADE, null=True, blank=True, related_name="%(class)s_set")
    engagement = OrgForeignKey(
        "workstream.Engagement", models.CASCADE, null=True, blank=True, related_name="%(class)s_set"
    )
    client = OrgForeignKey("clients.Client", models.CASCADE, null=True, blank=True, related_name="%(class)s_set")
    contact = OrgForeignKey("clients.Contact", models.CASCADE, null=True, blank=True, related_name="%(class)s_set")

    class Meta(RecordingModel.Meta):
        abstract = True

    @property
    def item_type(self) -> str:
        """The kind of item this hangs off."""
        return next(name for name in ITEM_MODELS if getattr(self, f"{name}_id") is not None)

    @property
    def item_id(self) -> int:
        """The item's own id."""
        return int(getattr(self, f"{self.item_type}_id"))

    @property
    def owner_id(self) -> int | None:
        """Whose item this hangs off, for the rule on representatives; clients and contacts are everybody's."""
        owner: Any = getattr(getattr(self, self.item_type), "owner_id", None)
        return int(owner) if owner is not None else None


class ActivityKind(models.TextChoices):
    """What was done."""

    NOTE = "note", "Note"
    CALL = "call", "Call"
    EMAIL = "email", "Email"
    MEETING = "meeting", "Meeting"
    STATUS = "status", "Status"


class Direction(models.TextChoices):
    """Who reached out to whom."""

    INBOUND = "inbound", "Inbound"
    OUTBOUND = "outbound", "Outbound"
    INTERNAL = "internal", "Internal"


class Activity(ItemRow):
    """Something that happened on an item; logging it touches the item."""

    kind = models.CharField(max_length=10, choices=ActivityKind.choices)
    direction = models.CharField(max_length=10, choices=Direction.choices, default=Direction.INTERNAL)
    summary = models.CharField(max_length=300)
    body = models.TextField(blank=True)
    happened_at = models.DateTimeField()
    actor_kind = models.CharField(max_length=10, choices=ActorKind.choices, editable=False)
    actor_id = models.BigIntegerField(null=True, blank=True, editable=False)
    actor_label = models.CharField(max_length=150, blank=True, editable=False)
    origin = models.CharField(max_length=10, choices=Origin.choices, editable=False)

    class Meta(ItemRow.Meta):
        verbose_name_plural = "activities"
        constraints = [
            *tenant_constraints("activity", **ITEM_MODELS),
            models.CheckConstraint(condition=one_item(), name="activity_one_item"),
            models.CheckConstraint(condition=Q(kind__in=ActivityKind.values), name="activity_kind"),
            models.CheckConstraint(condition=Q(direction__in=Direction.values), name="activity_direction"),
            models.CheckConstraint(condition=~Q(summary=""), name="activity_has_summary"),
        ]
        indexes = item_indexes("activity", "-happened_at", "-id")  # the timeline of one item

    def __str__(self) -> str:
        return f"{self.get_kind_display()}: {self.summary}"

    def log(self, *, actor: Actor, at: datetime) -> None:
        """Note the logging of this activity."""
        self.actor_kind, self.actor_id, self.actor_label, self.origin = actor.kind, actor.pk, actor.label, actor.origin
        self.record(
            lambda row: events.ActivityLogged(
                activity_id=row.pk,
                subject_type=row.item_type,
                subject_id=row.item_id,
                kind=row.kind,
                direction=row.direction,
            ),
            actor=actor,
            at=at,
        )


class Task(ItemRow):
    """Something to be done on an item by a day."""

    title = models.CharField(max_length=200)
    assignee = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.SET_NULL, null=True, blank=True, related_name="+", db_index=False
    )
    due_at = models.DateTimeField(null=True, blank=True)
    status = FSMField(
        choices=TaskStatus.choices, default=TaskStatus.OPEN, max_length=10, protected=True, db_index=False
    )
    done_at = models.DateTimeField(null=True, blank=True, editable=False)
    created_by_rule = models.CharField(
        max_length=100, blank=True, editable=False, help_text="The rule that opened it; blank when a person did."
    )
    rule_key = models.CharField(max_length=200, blank=True, editable=False)

    class Meta(ItemRow.Meta):
        constraints = [
            *tenant_constraints("task", **ITEM_MODELS),
            models.CheckConstraint(condition=one_item(), name="task_one_item"),
            models.CheckConstraint(condition=Q(status__in=TaskStatus.values), name="task_status"),
            models.CheckConstraint(condition=~Q(title=""), name="task_has_title"),
            models.CheckConstraint(
                condition=Q(status=TaskStatus.DONE, done_at__isnull=False)
                | (~Q(status=TaskStatus.DONE) & Q(done_at__isnull=True)),
                name="task_done_when",
            ),
            # A rule that fires again for one cause finds its task.
            models.UniqueConstraint(fields=["org", "rule_key"], condition=~Q(rule_key=""), name="task_once_per_cause"),
        ]
        indexes = [
            *item_indexes("task", "status", "due_at", "id"),
            models.Index(fields=["org", "assignee", "status", "due_at", "id"], name="task_of_assignee"),
        ]

    def __str__(self) -> str:
        return self.title

    def open(self, *, actor: Actor, at: datetime) -> None:
        """Note the creation of this task."""
        self.record(
            lambda row: events.TaskCreated(
                task_id=row.pk, subject_type=row.item_type, subject_id=row.item_id, assignee_id=row.assignee_id
            ),
            actor=actor,
            at=at,
        )

    @transition(field=status, source=TaskStatus.OPEN, target=TaskStatus.DONE)
    def complete(self, *, actor: Actor, at: datetime) -> None:
        self.done_at = at
        self.record(
            events.TaskDone(task_id=self.pk, subject_type=self.item_type, subject_id=self.item_id), actor=actor, at=at
        )

    @transition(field=status, source=TaskStatus.OPEN, target=TaskStatus.CANCELLED)
    def cancel(self) -> None:
        """Drop it; the catalogue has no event for a cancelled task."""


class LinkType(models.TextChoices):
    """What a link leads to."""

    THREAD = "thread", "Thread"
    DOC = "doc", "Document"
    URL = "url", "URL"


class WorkItemLink(ItemRow):
    """A pointer from an item to something elsewhere: a mail thread, a document, a page."""

    link_type = models.CharField(max_length=10, choices=LinkType.choices)
    target_type = models.CharField(max_length=60, blank=True)
    target_ref = models.CharField(max_length=1000)
    title = models.CharField(max_length=200, blank=True)

    class Meta(ItemRow.Meta):
        constraints = [
            *tenant_constraints("work_item_link", **ITEM_MODELS),
            models.CheckConstraint(condition=one_item(), name="work_item_link_one_item"),
            models.CheckConstraint(condition=Q(link_type__in=LinkType.values), name="work_item_link_type"),
            models.CheckConstraint(condition=~Q(target_ref=""), name="work_item_link_has_target"),
        ]
        indexes = item_indexes("work_item_link", "id")

    def __str__(self) -> str:
        return self.title or self.target_ref
