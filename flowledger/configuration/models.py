"""What organisations set in place of the defaults, each value for a range of time, and the stamp of the whole."""

from __future__ import annotations

from datetime import datetime
from typing import Any, ClassVar

from django.contrib.postgres.constraints import ExclusionConstraint
from django.contrib.postgres.fields import DateTimeRangeField, RangeOperators
from django.db import models
from django.db.models import F, Func, Q, Value

from flowledger.configuration.events import ConfigChanged
from flowledger.configuration.querysets import ConfigValueQuerySet
from flowledger.configuration.registry import RuleType
from flowledger.outbox.recording import RecordingModel
from flowledger.tenancy.actors import Actor, ActorKind, Origin
from flowledger.tenancy.checks import allow_cross_tenant_index
from flowledger.tenancy.constraints import tenant_constraints
from flowledger.tenancy.models import OrgModel
from flowledger.tenancy.querysets import OrgManager

# The sweep of versions whose time has come.
allow_cross_tenant_index("config_value_announce")


class Change(models.TextChoices):
    """What made a version."""

    SET = "set", "Set"
    ENDED = "ended", "Back to the default"
    ROLLED_BACK = "rolled_back", "Rolled back"
    CONTINUED = "continued", "Goes on after an interruption"


class ConfigValue(RecordingModel):
    """One version of one key: the value, or the default again, that holds in the half-open range of its times.

    Facts: a trigger refuses to delete a row and to change anything but `announce_at` and `effective_to`, which a later
    version may only bring forward. A version that is replaced before it began keeps an empty range.
    """

    rule_type = models.CharField(max_length=20, choices=RuleType.choices)
    key = models.CharField(max_length=60)
    version = models.PositiveIntegerField(help_text="Counts the changes of this key, from 1.")
    change = models.CharField(max_length=12, choices=Change.choices)
    value = models.JSONField(null=True, blank=True, help_text="Without one the default holds in this range.")
    effective_from = models.DateTimeField()
    effective_to = models.DateTimeField(null=True, blank=True)
    # When this version is to tell of itself next: at a planned begin, then at its end; null when there is nothing.
    announce_at = models.DateTimeField(null=True, blank=True, editable=False)
    reason = models.CharField(max_length=1000)
    # The version whose value came back, or goes on; null for a value that was given.
    of_version = models.PositiveIntegerField(null=True, blank=True)
    changed_by_kind = models.CharField(max_length=20, choices=ActorKind.choices)
    changed_by_id = models.BigIntegerField(null=True, blank=True)
    changed_by_label = models.CharField(max_length=200, blank=True)
    origin = models.CharField(max_length=20, choices=Origin.choices)
    changed_at = models.DateTimeField()

    objects: ClassVar[Any] = OrgManager.from_queryset(ConfigValueQuerySet)()

    class Meta(OrgModel.Meta):
        verbose_name = "configuration value"
        constraints = [
            *tenant_constraints("config_value"),
            models.UniqueConstraint(fields=["org", "rule_type", "key", "version"], name="config_value_version"),
            ExclusionConstraint(
                name="config_value_no_overlap",
                expressions=[
                    (F("org"), RangeOperators.EQUAL),
                    (F("rule_type"), RangeOperators.EQUAL),
                    (F("key"), RangeOperators.EQUAL),
                    (
                        Func(
                            F("effective_from"),
                            F("effective_to"),
                            Value("[)"),
                            function="tstzrange",
                            output_field=DateTimeRangeField(),
                        ),
                        RangeOperators.OVERLAPS,
                    ),
                ],
            ),
            models.CheckConstraint(condition=Q(rule_type__in=RuleType.values), name="config_value_rule_type"),
            models.CheckConstraint(condition=Q(change__in=Change.values), name="config_value_change"),
            models.CheckConstraint(
                condition=Q(effective_to__isnull=True) | Q(effective_to__gte=F("effective_from")),
                name="config_value_range",
            ),
            models.CheckConstraint(
                condition=~Q(change=Change.ENDED.value) | Q(value__isnull=True), name="config_value_ended_has_none"
            ),
            models.CheckConstraint(condition=~Q(reason=""), name="config_value_has_reason"),
            models.CheckConstraint(condition=Q(version__gte=1), name="config_value_version_counts"),
            models.CheckConstraint(condition=Q(origin__in=Origin.values), name="config_value_origin"),
            models.CheckConstraint(condition=Q(changed_by_kind__in=ActorKind.values), name="config_value_actor_kind"),
        ]
        indexes = [
            # Cross-tenant: whose time has come.
            models.Index(
                fields=["announce_at", "id"], condition=Q(announce_at__isnull=False), name="config_value_announce"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.rule_type}/{self.key} version {self.version}"

    @property
    def is_default(self) -> bool:
        """Whether the default holds in this version's range."""
        return self.value is None

    @property
    def never_began(self) -> bool:
        """Whether a later version replaced this one before its time came."""
        return self.effective_to == self.effective_from

    def announce_later(self, *, after: datetime) -> None:
        """Have the begin told of when its time comes, and the end; what begins by `after` is told of as it is made."""
        self.announce_at = self.effective_from if self.effective_from > after else self.effective_to

    def end_early(self, at: datetime) -> None:
        """Make room for a later version, which tells of itself; a range that has not begun becomes empty."""
        self.effective_to = max(self.effective_from, at)
        if self.never_began or self.announce_at != self.effective_from:
            self.announce_at = None

    def note_creation(self, *, actor: Actor, at: datetime) -> None:
        """Say who made this version, and record it."""
        self.changed_by_kind, self.changed_by_id = actor.kind, actor.pk
        self.changed_by_label, self.origin, self.changed_at = actor.label, actor.origin, at
        self.record(lambda row: _changed(row), actor=actor, at=at)


def _changed(row: Any) -> ConfigChanged:
    return ConfigChanged(
        config_value_id=row.pk,
        rule_type=str(row.rule_type),
        key=row.key,
        version=row.version,
        change=str(row.change),
        effective_from=row.effective_from.isoformat(),
        effective_to=row.effective_to.isoformat() if row.effective_to else None,
        reason=row.reason,
    )


class ConfigStamp(OrgModel):
    """How often the organisation's configuration has changed; readers compare it with what they remember.

    Moved in the transaction of the change, whose lock on this row lets one change at a time pass.
    """

    version = models.BigIntegerField(default=0)

    class Meta(OrgModel.Meta):
        verbose_name = "configuration stamp"
        constraints = [
            *tenant_constraints("config_stamp"),
            models.UniqueConstraint(fields=["org"], name="config_stamp_one"),
        ]

    def __str__(self) -> str:
        return f"version {self.version}"
