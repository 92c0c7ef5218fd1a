"""Review checklists: the organisation's versioned templates, a pursuit's own items, and the ledger of gate checks."""

from __future__ import annotations

from datetime import datetime

from django.conf import settings
from django.db import models
from django.db.models import Q

from flowledger.outbox.recording import RecordingModel
from flowledger.tenancy.actors import Actor, ActorKind, Origin
from flowledger.tenancy.constraints import tenant_constraints
from flowledger.tenancy.fields import OrgForeignKey
from flowledger.tenancy.models import OrgModel
from workstream import events
from workstream.machines import PursuitStage


class ChecklistKind(models.TextChoices):
    """The two reviews of a pursuit."""

    PINK = "pink", "Pink"
    RED = "red", "Red"


class TemplateKind(models.TextChoices):
    """What a template fills: a review's checklist, or the kickoff tasks of an engagement."""

    PINK = "pink", "Pink checklist"
    RED = "red", "Red checklist"
    KICKOFF = "kickoff", "Kickoff tasks"


class ChecklistTemplate(OrgModel):
    """One version of a template; the newest version of a kind applies to what is created from now on.

    `items` is a list of {"name": text, "is_required": bool} and, for kickoff tasks, {"name": text, "due_in_days": int}.
    """

    kind = models.CharField(max_length=10, choices=TemplateKind.choices)
    version = models.PositiveIntegerField()
    items = models.JSONField()
    published_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.SET_NULL, null=True, blank=True, related_name="+", db_index=False
    )

    class Meta(OrgModel.Meta):
        constraints = [
            *tenant_constraints("checklist_template"),
            models.UniqueConstraint(fields=["org", "kind", "version"], name="checklist_template_version"),
            models.CheckConstraint(condition=Q(kind__in=TemplateKind.values), name="checklist_template_kind"),
        ]

    def __str__(self) -> str:
        return f"{self.get_kind_display()}, version {self.version}"


class ChecklistItem(RecordingModel):
    """One point of a pursuit's review; done, waived with a reason, or open."""

    pursuit = OrgForeignKey("workstream.Pursuit", models.CASCADE, related_name="checklist_items")
    kind = models.CharField(max_length=10, choices=ChecklistKind.choices)
    name = models.CharField(max_length=200)
    position = models.PositiveSmallIntegerField(default=0)
    is_required = models.BooleanField(default=True)
    is_done = models.BooleanField(default=False, editable=False)
    done_at = models.DateTimeField(null=True, blank=True, editable=False)
    done_by = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        models.SET_NULL,
        null=True,
        blank=True,
        related_name="+",
        db_index=False,
        editable=False,
    )
    evidence = models.TextField(blank=True, max_length=2000)
    waived_at = models.DateTimeField(null=True, blank=True, editable=False)
    waived_by = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        models.SET_NULL,
        null=True,
        blank=True,
        related_name="+",
        db_index=False,
        editable=False,
    )
    waived_by_label = models.CharField(max_length=150, blank=True, editable=False)
    waive_reason = models.CharField(max_length=500, blank=True, editable=False)
    template_version = models.PositiveIntegerField(default=0, editable=False)

    class Meta(RecordingModel.Meta):
        constraints = [
            *tenant_constraints("checklist_item", pursuit="workstream.Pursuit"),
            # Also serves the items of one pursuit in order of kind.
            models.UniqueConstraint(fields=["org", "pursuit", "kind", "name"], name="checklist_item_once"),
            models.CheckConstraint(condition=Q(kind__in=ChecklistKind.values), name="checklist_item_kind"),
            models.CheckConstraint(condition=~Q(name=""), name="checklist_item_has_name"),
            models.CheckConstraint(
                condition=Q(is_done=True, done_at__isnull=False) | Q(is_done=False, done_at__isnull=True),
                name="checklist_item_done_when",
            ),
            models.CheckConstraint(
                condition=Q(waived_at__isnull=True) | ~Q(waive_reason=""), name="checklist_item_waived_with_reason"
            ),
        ]

    def __str__(self) -> str:
        return self.name

    @property
    def is_waived(self) -> bool:
        return self.waived_at is not None

    @property
    def is_met(self) -> bool:
        """Whether a gate may pass this item."""
        return self.is_done or self.is_waived

    def complete(self, *, evidence: str, actor: Actor, at: datetime) -> None:
        """Mark done; the caller has checked that it was open."""
        self.is_done, self.done_at, self.done_by_id, self.evidence = True, at, actor.user_id, evidence
        self.record(
            lambda row: events.ChecklistItemDone(pursuit_id=row.pursuit_id, checklist_item_id=row.pk, kind=row.kind),
            actor=actor,
            at=at,
        )

    def reopen(self) -> None:
        """Take a completion back; the trail of events keeps that it was done."""
        self.is_done, self.done_at, self.done_by_id = False, None, None

    def waive(self, *, reason: str, actor: Actor, at: datetime) -> None:
        """Let the gate pass without it; listed with the gate for ever."""
        self.waived_at, self.waived_by_id, self.waive_reason = at, actor.user_id, reason
        self.waived_by_label = actor.label
        self.record(
            lambda row: events.GateWaived(pursuit_id=row.pursuit_id, checklist_item_id=row.pk, kind=row.kind),
            actor=actor,
            at=at,
        )


class GateCheck(OrgModel):
    """One look of the gate engine: who wanted to enter what, and everything that was missing."""

    pursuit = OrgForeignKey("workstream.Pursuit", models.CASCADE, related_name="gate_checks")
    gate = models.CharField(max_length=10, choices=PursuitStage.choices)
    from_stage = models.CharField(max_length=10, choices=PursuitStage.choices)
    passed = models.BooleanField()
    unmet = models.JSONField(default=list)
    actor_kind = models.CharField(max_length=10, choices=ActorKind.choices)
    actor_id = models.BigIntegerField(null=True, blank=True)
    actor_label = models.CharField(max_length=150, blank=True)
    origin = models.CharField(max_length=10, choices=Origin.choices)
    checked_at = models.DateTimeField()

    class Meta(OrgModel.Meta):
        constraints = [
            *tenant_constraints("gate_check", pursuit="workstream.Pursuit"),
            models.CheckConstraint(
                condition=Q(passed=True, unmet=[]) | (Q(passed=False) & ~Q(unmet=[])), name="gate_check_says_why"
            ),
        ]
        indexes = [
            models.Index(fields=["org", "pursuit", "checked_at"], name="gate_check_by_pursuit"),
            models.Index(fields=["org", "checked_at"], include=["passed"], name="gate_check_pass_rate"),
        ]

    def __str__(self) -> str:
        return f"{self.gate}: {'passed' if self.passed else 'blocked'}"
