"""The Today panel as stored rows: one per item that wants attention, moved by events (sla-and-today.md)."""

from __future__ import annotations

from datetime import date
from typing import Any, ClassVar

from django.conf import settings
from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import F, Q, Value
from django.db.models.functions import Coalesce

from flowledger.tenancy.constraints import tenant_constraints
from flowledger.tenancy.fields import OrgForeignKey
from flowledger.tenancy.models import OrgModel
from flowledger.tenancy.querysets import OrgManager
from workstream.models.sla import SlaMetric
from workstream.querysets import TodayQuerySet


class Badge(models.IntegerChoices):
    """How an item stands, most pressing first; the number is its place in the order."""

    RED = 0, "red"
    AMBER = 1, "amber"
    GREEN = 2, "green"


class Tier(models.IntegerChoices):
    """How pressing an item is, most pressing first; the number is its place in the order."""

    URGENT = 0, "urgent"
    HIGH = 1, "high"
    MEDIUM = 2, "medium"
    LOW = 3, "low"


class Urgency(models.TextChoices):
    """What the clocks of an item say, most pressing first; its points are the first term of the score."""

    BREACHED = "breached", "Breached"
    PAST_DUE = "past_due", "Past due date"
    WARNED = "warned", "Warned"
    CALM = "calm", "Calm"


class NextVerb(models.TextChoices):
    """What an item wants done next, by the code under which the panel offers it."""

    TRIAGE = "triage", "Triage"
    PROMOTE = "promote", "Promote"
    RESUME = "resume", "Resume"
    START_PINK = "start_pink", "Start the pink review"
    START_RED = "start_red", "Start the red review"
    COMPLETE_PINK = "complete_pink", "Complete the pink checklist"
    COMPLETE_RED = "complete_red", "Complete the red checklist"
    WRITE_PROPOSAL = "write_proposal", "Write a proposal"
    SUBMIT = "submit", "Submit"
    WIN = "win", "Close as won"
    LOG_CALL = "log_call", "Log a call"


def panel_place(badge: int, tier: int) -> int:
    """Where the count of a badge and a tier stands among the counts of `TodayVersion`."""
    return badge * len(Tier) + tier


def no_counts() -> list[int]:
    """The counts of an empty panel."""
    return [0] * (len(Badge) * len(Tier))


class TodayItem(OrgModel):
    """One row of the panel: what is read of an item and its clocks, and the points that place it.

    Written by the refresh of the panel only. `priority_score` is `urgency_points` + `value_points` + `stage_points` -
    `workload_penalty`. `sla_metric` and `sla_due_at` are of the clock that decided `urgency`; of a calm item, of the
    clock that is due next. A snoozed item keeps its row and is not shown until the sweep ends the snooze.
    """

    candidate = OrgForeignKey("workstream.Candidate", models.CASCADE, null=True, blank=True, related_name="+")
    pursuit = OrgForeignKey("workstream.Pursuit", models.CASCADE, null=True, blank=True, related_name="+")
    label = models.CharField(max_length=200)
    client_name = models.CharField(max_length=200, blank=True)
    state = models.CharField(max_length=20)
    owner = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.SET_NULL, null=True, blank=True, related_name="+", db_index=False
    )
    tags = ArrayField(models.CharField(max_length=100), default=list, blank=True)
    value_band = models.CharField(max_length=10, blank=True)
    icp_band = models.CharField(max_length=10, blank=True)
    last_touch_at = models.DateTimeField()
    due_date = models.DateField(null=True, blank=True)
    # The due date as a place in the order, so that one row comparison reads on after a row.
    due_order = models.GeneratedField(
        expression=Coalesce(F("due_date"), Value(date.max)), output_field=models.DateField(), db_persist=True
    )
    sla_metric = models.CharField(max_length=20, choices=SlaMetric.choices, blank=True)
    sla_due_at = models.DateTimeField(null=True, blank=True)
    badge = models.PositiveSmallIntegerField(choices=Badge.choices)
    tier = models.PositiveSmallIntegerField(choices=Tier.choices)
    urgency = models.CharField(max_length=10, choices=Urgency.choices)
    next_verb = models.CharField(max_length=20, choices=NextVerb.choices)
    urgency_points = models.SmallIntegerField()
    value_points = models.SmallIntegerField()
    stage_points = models.SmallIntegerField()
    workload_penalty = models.SmallIntegerField(default=0)
    priority_score = models.SmallIntegerField()
    snoozed_until = models.DateTimeField(null=True, blank=True)

    all_orgs: ClassVar[Any] = models.Manager.from_queryset(TodayQuerySet)()
    objects: ClassVar[Any] = OrgManager.from_queryset(TodayQuerySet)()

    class Meta(OrgModel.Meta):
        constraints = [
            *tenant_constraints("today_item", candidate="workstream.Candidate", pursuit="workstream.Pursuit"),
            models.CheckConstraint(
                condition=Q(candidate__isnull=False, pursuit__isnull=True)
                | Q(candidate__isnull=True, pursuit__isnull=False),
                name="today_item_one_item",
            ),
            models.UniqueConstraint(
                fields=["org", "candidate"], condition=Q(candidate__isnull=False), name="today_item_candidate"
            ),
            models.UniqueConstraint(
                fields=["org", "pursuit"], condition=Q(pursuit__isnull=False), name="today_item_pursuit"
            ),
            models.CheckConstraint(
                condition=Q(
                    priority_score=F("urgency_points") + F("value_points") + F("stage_points") - F("workload_penalty")
                ),
                name="today_item_score_adds_up",
            ),
        ]
        indexes = [
            # The panel in its order, its badges and tiers, and one owner's part of it; snoozed rows are in none.
            models.Index(
                fields=["org", "badge", "tier", "due_order", "last_touch_at", "id"],
                condition=Q(snoozed_until__isnull=True),
                name="today_item_panel",
            ),
            models.Index(
                fields=["org", "tier", "badge", "due_order", "last_touch_at", "id"],
                condition=Q(snoozed_until__isnull=True),
                name="today_item_by_tier",
            ),
            models.Index(
                fields=["org", "owner", "badge", "tier", "due_order", "last_touch_at", "id"],
                condition=Q(snoozed_until__isnull=True),
                name="today_item_of_owner",
            ),
            # A column of a board in the panel's order, snoozed rows with it; the item is read in the index.
            models.Index(
                fields=["org", "state", "badge", "tier", "due_order", "last_touch_at", "id"],
                include=["candidate", "pursuit"],
                name="today_item_board",
            ),
            # How many open items an owner has, snoozed ones with them, and which of them carry another penalty.
            models.Index(fields=["org", "owner", "workload_penalty"], name="today_item_workload"),
            # Cross-tenant: the sweep that ends snoozes.
            models.Index(
                fields=["snoozed_until"], condition=Q(snoozed_until__isnull=False), name="today_item_snooze_ends"
            ),
        ]

    def __str__(self) -> str:
        return self.label

    @property
    def item_type(self) -> str:
        """candidate or pursuit."""
        return "candidate" if self.candidate_id is not None else "pursuit"

    @property
    def item_id(self) -> int:
        """The item's own id."""
        return int(self.candidate_id or self.pursuit_id or 0)


class TodayVersion(OrgModel):
    """How often an organisation's panel has changed: what a poll compares to answer 304 from one indexed row.

    `counts` are the shown rows per badge and tier, in the order of `panel_place`; whoever moves rows moves them in the
    same transaction. `ranking` is the fingerprint of the weights that the rows are computed by.
    """

    version = models.BigIntegerField(default=0)
    counts = ArrayField(models.IntegerField(), default=no_counts)
    ranking = models.CharField(max_length=64, blank=True)

    class Meta(OrgModel.Meta):
        constraints = [
            *tenant_constraints("today_version"),
            models.UniqueConstraint(fields=["org"], name="today_version_of_org"),
        ]

    def __str__(self) -> str:
        return str(self.version)
