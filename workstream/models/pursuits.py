"""Active opportunities and the machine with the pink and the red review."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Any, ClassVar

from django.conf import settings
from django.db import models
from django.db.models import Q
from django_fsm import FSMField, transition

from flowledger.tenancy.actors import Actor
from flowledger.tenancy.constraints import tenant_constraints
from flowledger.tenancy.fields import OrgForeignKey
from flowledger.tenancy.models import OrgModel
from flowledger.tenancy.querysets import OrgManager
from workstream import events
from workstream.machines import CLOSED_STAGES, PursuitStage
from workstream.models.history import StagedModel
from workstream.querysets import PursuitQuerySet


class Pursuit(StagedModel):
    """An active opportunity. The four counters mirror its checklist, so that lists need not count."""

    candidate = OrgForeignKey("workstream.Candidate", models.PROTECT, related_name="pursuits")
    client = OrgForeignKey("clients.Client", models.PROTECT, null=True, blank=True, related_name="pursuits")
    contact = OrgForeignKey("clients.Contact", models.PROTECT, null=True, blank=True, related_name="pursuits")
    title = models.CharField(max_length=200)
    due_date = models.DateField(null=True, blank=True)
    owner = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.SET_NULL, null=True, blank=True, related_name="+", db_index=False
    )
    capture_lead = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.SET_NULL, null=True, blank=True, related_name="+", db_index=False
    )
    proposal_manager = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.SET_NULL, null=True, blank=True, related_name="+", db_index=False
    )
    stage = FSMField(
        choices=PursuitStage.choices, default=PursuitStage.QUAL, max_length=10, protected=True, db_index=False
    )
    forecast_value = models.DecimalField(max_digits=14, decimal_places=2, default=Decimal("0"))
    currency = models.CharField(max_length=3, default="USD")
    probability = models.DecimalField(max_digits=3, decimal_places=2, default=Decimal("0.5"))
    pink_done = models.PositiveSmallIntegerField(default=0, editable=False)
    pink_required = models.PositiveSmallIntegerField(default=0, editable=False)
    red_done = models.PositiveSmallIntegerField(default=0, editable=False)
    red_required = models.PositiveSmallIntegerField(default=0, editable=False)
    compliance_score = models.DecimalField(max_digits=4, decimal_places=3, default=Decimal("0"), editable=False)
    cost_hours = models.DecimalField(max_digits=9, decimal_places=2, default=Decimal("0"), editable=False)
    cost_amount = models.DecimalField(max_digits=14, decimal_places=2, default=Decimal("0"), editable=False)
    submitted_at = models.DateTimeField(null=True, blank=True, editable=False)
    closed_at = models.DateTimeField(null=True, blank=True, editable=False)
    outcome_reason = models.CharField(max_length=1000, blank=True, editable=False)
    last_touch_at = models.DateTimeField(editable=False)
    tags = models.ManyToManyField("workstream.Tag", through="workstream.PursuitTag", related_name="pursuits")

    all_orgs: ClassVar[Any] = models.Manager.from_queryset(PursuitQuerySet)()
    objects: ClassVar[Any] = OrgManager.from_queryset(PursuitQuerySet)()

    class Meta(StagedModel.Meta):
        constraints = [
            *tenant_constraints(
                "pursuit", candidate="workstream.Candidate", client="clients.Client", contact="clients.Contact"
            ),
            models.UniqueConstraint(fields=["org", "candidate"], name="pursuit_one_per_candidate"),
            models.CheckConstraint(condition=~Q(title=""), name="pursuit_has_title"),
            models.CheckConstraint(condition=Q(stage__in=PursuitStage.values), name="pursuit_stage"),
            models.CheckConstraint(condition=Q(probability__gte=0, probability__lte=1), name="pursuit_probability"),
            models.CheckConstraint(condition=Q(forecast_value__gte=0), name="pursuit_value"),
            models.CheckConstraint(
                condition=Q(compliance_score__gte=0, compliance_score__lte=1), name="pursuit_compliance"
            ),
            models.CheckConstraint(
                condition=Q(stage__in=[PursuitStage.QUAL, PursuitStage.PINK]) | Q(client__isnull=False),
                name="pursuit_red_has_client",
            ),
            models.CheckConstraint(
                condition=Q(stage__in=CLOSED_STAGES, closed_at__isnull=False)
                | (~Q(stage__in=CLOSED_STAGES) & Q(closed_at__isnull=True)),
                name="pursuit_closed_when",
            ),
            models.CheckConstraint(
                condition=~Q(stage__in=[PursuitStage.SUBMIT, *CLOSED_STAGES]) | Q(submitted_at__isnull=False),
                name="pursuit_submitted_when",
            ),
            models.CheckConstraint(
                condition=~Q(stage=PursuitStage.LOST) | ~Q(outcome_reason=""), name="pursuit_lost_with_reason"
            ),
        ]
        indexes = [
            models.Index(fields=["org", "due_date", "id"], name="pursuit_list"),  # the list, soonest first
            # Filters of the list and the open columns of the board; the included columns let totals of both, and what
            # they are worth, be had from the index.
            models.Index(
                fields=["org", "stage", "due_date", "id"],
                include=["owner", "currency", "forecast_value", "probability"],
                name="pursuit_board",
            ),
            models.Index(
                fields=["org", "stage", "-state_entered_at", "-id"],
                condition=Q(stage__in=CLOSED_STAGES),
                name="pursuit_board_closed",
            ),
            models.Index(fields=["org", "owner", "due_date", "id"], include=["stage"], name="pursuit_by_owner"),
            models.Index(fields=["org", "last_touch_at", "id"], name="pursuit_by_touch"),
            models.Index(fields=["org", "forecast_value", "id"], name="pursuit_by_value"),
            models.Index(fields=["org", "client"], condition=Q(client__isnull=False), name="pursuit_by_client"),
            models.Index(fields=["org", "contact"], condition=Q(contact__isnull=False), name="pursuit_by_contact"),
            # Outcomes: what was closed in a range of days, read in the index alone.
            models.Index(
                fields=["org", "closed_at"],
                include=["stage", "candidate", "owner", "forecast_value", "currency"],
                condition=Q(closed_at__isnull=False),
                name="pursuit_by_closing",
            ),
            models.Index(fields=["org", "created_at"], name="pursuit_recent"),  # the seven-day count of the stats
        ]

    def __str__(self) -> str:
        return self.title

    def open(self, *, actor: Actor, at: datetime) -> None:
        """Note the creation by promotion."""
        self.last_touch_at = at
        self.enter(PursuitStage.QUAL, actor=actor, at=at)
        self.record(
            lambda row: events.PursuitCreated(pursuit_id=row.pk, candidate_id=row.candidate_id, owner_id=row.owner_id),
            actor=actor,
            at=at,
        )

    @transition(field=stage, source=PursuitStage.PINK, target=PursuitStage.QUAL)
    def return_to_qualification(self, *, actor: Actor, at: datetime, is_inferred: bool = False) -> None:
        self._move(PursuitStage.QUAL, actor=actor, at=at, is_inferred=is_inferred)

    @transition(field=stage, source=[PursuitStage.QUAL, PursuitStage.RED], target=PursuitStage.PINK)
    def enter_pink(self, *, actor: Actor, at: datetime, is_inferred: bool = False) -> None:
        self._move(PursuitStage.PINK, actor=actor, at=at, is_inferred=is_inferred)

    @transition(field=stage, source=PursuitStage.PINK, target=PursuitStage.RED)
    def enter_red(self, *, actor: Actor, at: datetime, is_inferred: bool = False) -> None:
        self._move(PursuitStage.RED, actor=actor, at=at, is_inferred=is_inferred)

    @transition(field=stage, source=PursuitStage.RED, target=PursuitStage.SUBMIT)
    def submit(self, *, actor: Actor, at: datetime, is_inferred: bool = False) -> None:
        previous = self.stage
        self.submitted_at = at
        self.enter(PursuitStage.SUBMIT, actor=actor, at=at, is_inferred=is_inferred)
        self.record(lambda row: events.PursuitSubmitted(pursuit_id=row.pk, previous_stage=previous), actor=actor, at=at)

    @transition(field=stage, source=PursuitStage.SUBMIT, target=PursuitStage.WON)
    def win(self, *, actor: Actor, at: datetime, reason: str = "") -> None:
        self.closed_at, self.outcome_reason = at, reason
        self.enter(PursuitStage.WON, actor=actor, at=at)
        self.record(
            lambda row: events.PursuitWon(pursuit_id=row.pk, value=str(row.forecast_value), currency=row.currency),
            actor=actor,
            at=at,
        )

    @transition(field=stage, source=PursuitStage.SUBMIT, target=PursuitStage.LOST)
    def lose(self, *, reason: str, actor: Actor, at: datetime) -> None:
        self.closed_at, self.outcome_reason = at, reason
        self.enter(PursuitStage.LOST, actor=actor, at=at)
        self.record(
            lambda row: events.PursuitLost(pursuit_id=row.pk, value=str(row.forecast_value), currency=row.currency),
            actor=actor,
            at=at,
        )

    def _move(self, stage: PursuitStage, *, actor: Actor, at: datetime, is_inferred: bool) -> None:
        previous = self.stage
        self.enter(stage, actor=actor, at=at, is_inferred=is_inferred)
        self.record(
            lambda row: events.PursuitStageChanged(pursuit_id=row.pk, previous_stage=previous, stage=stage.value),
            actor=actor,
            at=at,
        )

    @property
    def checklist_progress(self) -> dict[str, dict[str, int]]:
        """Required items per review: done, required, and the share in whole percent (nothing required: 0)."""
        counts = {
            "pink": (self.pink_done, self.pink_required),
            "red": (self.red_done, self.red_required),
        }
        return {
            kind: {"done": done, "required": required, "percent": 100 * done // required if required else 0}
            for kind, (done, required) in counts.items()
        }


class PursuitTag(OrgModel):
    """A tag on a pursuit."""

    pursuit = OrgForeignKey(Pursuit, models.CASCADE, related_name="tag_links")
    tag = OrgForeignKey("workstream.Tag", models.CASCADE, related_name="pursuit_links")

    class Meta(OrgModel.Meta):
        constraints = [
            *tenant_constraints("pursuit_tag", pursuit="workstream.Pursuit", tag="workstream.Tag"),
            models.UniqueConstraint(fields=["org", "pursuit", "tag"], name="pursuit_tag_once"),
        ]
        indexes = [models.Index(fields=["org", "tag"], name="pursuit_tag_by_tag")]

    def __str__(self) -> str:
        return str(self.tag)


class CostEntry(OrgModel):
    """What the sale itself cost: hours and money of one role."""

    pursuit = OrgForeignKey(Pursuit, models.CASCADE, related_name="cost_entries")
    role = models.CharField(max_length=100)
    hours = models.DecimalField(max_digits=8, decimal_places=2, default=Decimal("0"))
    amount = models.DecimalField(max_digits=14, decimal_places=2, default=Decimal("0"))
    note = models.CharField(max_length=300, blank=True)
    spent_on = models.DateField()
    recorded_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.SET_NULL, null=True, blank=True, related_name="+", db_index=False
    )

    class Meta(OrgModel.Meta):
        verbose_name_plural = "cost entries"
        constraints = [
            *tenant_constraints("cost_entry", pursuit="workstream.Pursuit"),
            models.CheckConstraint(condition=~Q(role=""), name="cost_entry_has_role"),
            models.CheckConstraint(condition=Q(hours__gte=0, amount__gte=0), name="cost_entry_not_negative"),
            models.CheckConstraint(condition=Q(hours__gt=0) | Q(amount__gt=0), name="cost_entry_not_empty"),
        ]
        indexes = [models.Index(fields=["org", "pursuit", "spent_on"], name="cost_entry_by_pursuit")]

    def __str__(self) -> str:
        return f"{self.role}: {self.hours} h, {self.amount}"
