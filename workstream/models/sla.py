"""SLA rules, the clocks that run by them, and the breaches they leave (sla-and-today.md, Rules and Clocks)."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Any

from django.core.validators import MinValueValidator
from django.db import models
from django.db.models import Q

from flowledger.outbox.recording import RecordingModel
from flowledger.tenancy.actors import Actor
from flowledger.tenancy.constraints import tenant_constraints
from flowledger.tenancy.fields import OrgForeignKey
from flowledger.tenancy.models import OrgModel
from workstream import events

CLOCKED_MODELS: dict[str, str] = {
    "signal": "workstream.Signal",
    "candidate": "workstream.Candidate",
    "pursuit": "workstream.Pursuit",
}


class SlaMetric(models.TextChoices):
    """What a clock measures. The last two have no rule and never breach: they only turn an item amber."""

    TRIAGE = "triage_sla", "Triage"
    PROPOSAL = "proposal_sla", "Proposal"
    RESPONSE = "response_sla", "Response"
    TOUCH = "touch", "Untouched"
    DUE_DATE = "due_date", "Due date"


RULED_METRICS = (SlaMetric.TRIAGE, SlaMetric.PROPOSAL, SlaMetric.RESPONSE)


# Other names by which a metric is known at every door.
METRIC_ALIASES = {"submit_sla": SlaMetric.RESPONSE.value}


def metric_named(name: str) -> str:
    """The metric of a name or an alias; a name that is neither comes back as it is."""
    return METRIC_ALIASES.get(name, str(name))


class SlaItem(models.TextChoices):
    """What a clock can run on."""

    SIGNAL = "signal", "Signal"
    CANDIDATE = "candidate", "Candidate"
    PURSUIT = "pursuit", "Pursuit"


# What can be measured by rules on which kind of item.
METRICS_OF_ITEM: dict[str, tuple[str, ...]] = {
    SlaItem.SIGNAL.value: (SlaMetric.TRIAGE.value,),
    SlaItem.CANDIDATE.value: (SlaMetric.TRIAGE.value,),
    SlaItem.PURSUIT.value: (SlaMetric.PROPOSAL.value, SlaMetric.RESPONSE.value),
}


class SlaOutcome(models.TextChoices):
    """How a clock ended; while it runs it has none."""

    MET = "met", "Met"
    BREACHED = "breached", "Breached"
    CANCELLED = "cancelled", "Cancelled"


class BreachReason(models.TextChoices):
    """Why an item is in breach."""

    UNTOUCHED = "untouched", "Untouched"
    PROPOSAL_OVERDUE = "proposal_overdue", "Proposal overdue"
    RESPONSE_OVERDUE = "response_overdue", "Response overdue"


REASON_OF_METRIC = {
    SlaMetric.TRIAGE: BreachReason.UNTOUCHED,
    SlaMetric.PROPOSAL: BreachReason.PROPOSAL_OVERDUE,
    SlaMetric.RESPONSE: BreachReason.RESPONSE_OVERDUE,
}


def _clocked(prefix: str) -> models.CheckConstraint:
    one = Q()
    for chosen in CLOCKED_MODELS:
        one |= Q(**{f"{name}__isnull": name != chosen for name in CLOCKED_MODELS})
    return models.CheckConstraint(condition=one, name=f"{prefix}_one_item")


class SlaRule(RecordingModel):
    """How long a metric may take. Rows are never deleted; an edit raises `version`.

    With a `stage` the clock measures the stay in that state or stage: it starts with the later of the metric's start
    and the entry, and ends with leaving or with the event that the metric waits for; a metric whose event has come does
    not start again. Going on hold is no leaving: the clock stands still until the candidate comes back. Without
    `warn_before_hours` the warning comes a quarter of the threshold before the end. With a calendar both count open
    hours.
    """

    item_type = models.CharField(max_length=10, choices=SlaItem.choices)
    stage = models.CharField(max_length=20, blank=True)
    metric = models.CharField(max_length=20, choices=[(each.value, each.label) for each in RULED_METRICS])
    threshold_hours = models.DecimalField(
        max_digits=8, decimal_places=2, validators=[MinValueValidator(Decimal("0.01"))]
    )
    warn_before_hours = models.DecimalField(max_digits=8, decimal_places=2, null=True, blank=True)
    calendar = OrgForeignKey("workstream.BusinessCalendar", models.PROTECT, null=True, blank=True, related_name="rules")
    active_from = models.DateTimeField(null=True, blank=True)
    active_to = models.DateTimeField(null=True, blank=True)
    is_active = models.BooleanField(default=True)
    version = models.PositiveIntegerField(default=1, editable=False)
    # Which default rule this began as; lets two processes give a new organisation its rules at once.
    default_key = models.CharField(max_length=60, blank=True, editable=False)

    class Meta(OrgModel.Meta):
        verbose_name = "SLA rule"
        constraints = [
            *tenant_constraints("sla_rule", calendar="workstream.BusinessCalendar"),
            models.CheckConstraint(condition=Q(item_type__in=SlaItem.values), name="sla_rule_item_type"),
            models.CheckConstraint(
                condition=Q(metric__in=[str(each) for each in RULED_METRICS]), name="sla_rule_metric"
            ),
            models.CheckConstraint(condition=Q(threshold_hours__gt=0), name="sla_rule_threshold"),
            models.CheckConstraint(
                condition=Q(warn_before_hours__isnull=True)
                | Q(warn_before_hours__gte=0, warn_before_hours__lt=models.F("threshold_hours")),
                name="sla_rule_warns_before",
            ),
            models.CheckConstraint(
                condition=Q(active_to__isnull=True)
                | Q(active_from__isnull=True)
                | Q(active_to__gt=models.F("active_from")),
                name="sla_rule_active_range",
            ),
            models.UniqueConstraint(
                fields=["org", "default_key"], condition=~Q(default_key=""), name="sla_rule_default"
            ),
        ]

    def __str__(self) -> str:
        where = f" in {self.stage}" if self.stage else ""
        return f"{self.get_metric_display()} of a {self.item_type}{where}: {self.threshold_hours.normalize():f} h"

    def note_change(self, *, actor: Actor, at: datetime) -> None:
        """Count the edit and record it."""
        self.version += 1
        self.record(lambda row: _changed(row), actor=actor, at=at)

    def note_creation(self, *, actor: Actor, at: datetime) -> None:
        """Record that the rule is there."""
        self.record(lambda row: _changed(row), actor=actor, at=at)


def _changed(row: Any) -> events.SlaRuleChanged:
    return events.SlaRuleChanged(
        rule_id=row.pk,
        version=row.version,
        item_type=row.item_type,
        stage=row.stage,
        metric=row.metric,
        threshold_hours=str(row.threshold_hours),
        warn_before_hours=None if row.warn_before_hours is None else str(row.warn_before_hours),
        calendar_id=row.calendar_id,
        is_active=row.is_active,
    )


class ClockRow(OrgModel):
    """A row about one signal, candidate or pursuit: real foreign keys, one of them set."""

    signal = OrgForeignKey("workstream.Signal", models.CASCADE, null=True, blank=True, related_name="+")
    candidate = OrgForeignKey("workstream.Candidate", models.CASCADE, null=True, blank=True, related_name="+")
    pursuit = OrgForeignKey("workstream.Pursuit", models.CASCADE, null=True, blank=True, related_name="+")

    class Meta(OrgModel.Meta):
        abstract = True

    @property
    def item_type(self) -> str:
        """The kind of item this is about."""
        return next(name for name in CLOCKED_MODELS if getattr(self, f"{name}_id") is not None)

    @property
    def item_id(self) -> int:
        """The item's own id."""
        return int(getattr(self, f"{self.item_type}_id"))


class SlaClock(ClockRow):
    """One measurement of one item by one rule, with the moments at which something is to happen.

    `due_at` and `warn_at` are stored when the clock starts and move when it is paused, resumed or its rule changes;
    while `paused_at` is set they stand still and nothing falls due. `paused_seconds` counts what was lost to pauses, in
    the rule's own time (open hours under a calendar). A clock without a rule has no `due_at`: it can only warn.
    """

    rule = OrgForeignKey(SlaRule, models.PROTECT, null=True, blank=True, related_name="clocks")
    rule_version = models.PositiveIntegerField(default=0)
    calendar_version = models.PositiveIntegerField(default=0)
    metric = models.CharField(max_length=20, choices=SlaMetric.choices)
    started_at = models.DateTimeField()
    due_at = models.DateTimeField(null=True, blank=True)
    warn_at = models.DateTimeField(null=True, blank=True)
    paused_at = models.DateTimeField(null=True, blank=True)
    paused_seconds = models.BigIntegerField(default=0)
    warned_at = models.DateTimeField(null=True, blank=True)
    breached_at = models.DateTimeField(null=True, blank=True)
    stopped_at = models.DateTimeField(null=True, blank=True)
    stopped_by = models.CharField(max_length=60, blank=True)
    outcome = models.CharField(max_length=10, choices=SlaOutcome.choices, blank=True)

    class Meta(OrgModel.Meta):
        verbose_name = "SLA clock"
        constraints = [
            *tenant_constraints("sla_clock", rule="workstream.SlaRule", **CLOCKED_MODELS),
            _clocked("sla_clock"),
            models.CheckConstraint(condition=Q(metric__in=SlaMetric.values), name="sla_clock_metric"),
            models.CheckConstraint(
                condition=Q(stopped_at__isnull=True, outcome="")
                | Q(stopped_at__isnull=False, outcome__in=SlaOutcome.values),
                name="sla_clock_outcome_when_stopped",
            ),
            models.CheckConstraint(
                condition=Q(stopped_at__isnull=True) | Q(paused_at__isnull=True), name="sla_clock_stopped_not_paused"
            ),
            models.CheckConstraint(
                condition=Q(rule__isnull=False, due_at__isnull=False)
                | Q(rule__isnull=True, due_at__isnull=True, breached_at__isnull=True),
                name="sla_clock_due_by_rule",
            ),
            *(
                models.UniqueConstraint(
                    fields=["org", name, "rule"],
                    condition=Q(stopped_at__isnull=True, rule__isnull=False, **{f"{name}__isnull": False}),
                    name=f"sla_clock_open_{name}",
                )
                for name in CLOCKED_MODELS
            ),
            *(
                models.UniqueConstraint(
                    fields=["org", name, "metric"],
                    condition=Q(stopped_at__isnull=True, rule__isnull=True, **{f"{name}__isnull": False}),
                    name=f"sla_clock_soft_{name}",
                )
                for name in CLOCKED_MODELS
            ),
        ]
        indexes = [
            # Cross-tenant: the sweep asks what is due now; only what can still fall due is in these two.
            models.Index(
                fields=["due_at", "id"],
                condition=Q(
                    stopped_at__isnull=True, paused_at__isnull=True, breached_at__isnull=True, due_at__isnull=False
                ),
                name="sla_clock_due",
            ),
            models.Index(
                fields=["warn_at", "id"],
                condition=Q(
                    stopped_at__isnull=True,
                    paused_at__isnull=True,
                    breached_at__isnull=True,
                    warned_at__isnull=True,
                    warn_at__isnull=False,
                ),
                name="sla_clock_warn",
            ),
            # The amber badge of an item: a running clock that has warned.
            *(
                models.Index(
                    fields=["org", name],
                    condition=Q(stopped_at__isnull=True, warned_at__isnull=False, **{f"{name}__isnull": False}),
                    name=f"sla_clock_warned_{name}",
                )
                for name in ("candidate", "pursuit")
            ),
            # Explain and the item pages: every clock of one item.
            *(
                models.Index(
                    fields=["org", name, "started_at"],
                    condition=Q(**{f"{name}__isnull": False}),
                    name=f"sla_clock_of_{name}",
                )
                for name in CLOCKED_MODELS
            ),
            # Recomputing the open clocks of an edited rule, in batches.
            models.Index(fields=["org", "rule", "id"], condition=Q(stopped_at__isnull=True), name="sla_clock_by_rule"),
            # Compliance per metric and month.
            models.Index(
                fields=["org", "metric", "stopped_at"],
                include=["outcome"],
                condition=Q(rule__isnull=False),
                name="sla_clock_outcomes",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.get_metric_display()} of {self.item_type} {self.item_id}"


class SlaBreach(ClockRow):
    """An item that missed its time; open until the metric's end condition comes."""

    clock = OrgForeignKey(SlaClock, models.CASCADE, related_name="breaches")
    rule = OrgForeignKey(SlaRule, models.PROTECT, related_name="breaches")
    metric = models.CharField(max_length=20, choices=SlaMetric.choices)
    reason_code = models.CharField(max_length=20, choices=BreachReason.choices)
    breached_at = models.DateTimeField()
    resolved_at = models.DateTimeField(null=True, blank=True)
    resolved_by = models.CharField(max_length=60, blank=True)

    class Meta(OrgModel.Meta):
        verbose_name = "SLA breach"
        verbose_name_plural = "SLA breaches"
        constraints = [
            *tenant_constraints("sla_breach", clock="workstream.SlaClock", rule="workstream.SlaRule", **CLOCKED_MODELS),
            _clocked("sla_breach"),
            models.CheckConstraint(condition=Q(reason_code__in=BreachReason.values), name="sla_breach_reason"),
            *(
                models.UniqueConstraint(
                    fields=["org", name, "rule"],
                    condition=Q(resolved_at__isnull=True, **{f"{name}__isnull": False}),
                    name=f"sla_breach_open_{name}",
                )
                for name in CLOCKED_MODELS
            ),
        ]
        indexes = [
            models.Index(fields=["org", "-breached_at", "-id"], name="sla_breach_list"),
            models.Index(fields=["org", "clock"], name="sla_breach_by_clock"),
        ]

    def __str__(self) -> str:
        return f"{self.get_reason_code_display()}: {self.item_type} {self.item_id}"
