"""Stretches of days on which a profile matched too few signals."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Any, ClassVar

from django.db import models
from django.db.models import F, Q

from flowledger.outbox.recording import RecordingModel
from flowledger.tenancy.actors import Actor
from flowledger.tenancy.constraints import tenant_constraints
from flowledger.tenancy.fields import OrgForeignKey
from flowledger.tenancy.querysets import OrgManager
from spotlight import events
from spotlight.querysets import MatchAlertQuerySet


class MatchAlert(RecordingModel):
    """One such stretch, with the figures of its first day; while it stands nobody is told again."""

    spotlight = OrgForeignKey("spotlight.Spotlight", models.CASCADE, related_name="match_alerts")
    match_rate = models.DecimalField(max_digits=5, decimal_places=4)
    least_rate = models.DecimalField(max_digits=5, decimal_places=4)
    signals = models.PositiveIntegerField()
    window_days = models.PositiveSmallIntegerField()
    began_at = models.DateTimeField()
    ended_at = models.DateTimeField(null=True, blank=True)

    all_orgs: ClassVar[Any] = models.Manager.from_queryset(MatchAlertQuerySet)()
    objects: ClassVar[Any] = OrgManager.from_queryset(MatchAlertQuerySet)()

    class Meta(RecordingModel.Meta):
        constraints = [
            *tenant_constraints("match_alert", spotlight="spotlight.Spotlight"),
            models.UniqueConstraint(
                fields=["org", "spotlight"], condition=Q(ended_at__isnull=True), name="match_alert_standing"
            ),
            models.CheckConstraint(condition=Q(match_rate__gte=0, match_rate__lte=1), name="match_alert_rate"),
            models.CheckConstraint(
                condition=Q(ended_at__isnull=True) | Q(ended_at__gte=F("began_at")), name="match_alert_range"
            ),
        ]
        indexes = [models.Index(fields=["org", "-began_at", "-id"], name="match_alert_list")]

    def __str__(self) -> str:
        return f"{self.spotlight}: low match rate since {self.began_at:%Y-%m-%d}"

    def begin(self, *, actor: Actor, at: datetime) -> None:
        """Note the first day of a stretch."""
        self.began_at = at
        self.record(
            lambda row: events.MatchRateLow(
                spotlight_id=row.spotlight_id,
                match_alert_id=row.pk,
                match_rate=float(row.match_rate),
                least_rate=float(row.least_rate),
                signals=row.signals,
                window_days=row.window_days,
            ),
            actor=actor,
            at=at,
        )

    def end(self, *, match_rate: Decimal | None, actor: Actor, at: datetime) -> None:
        """The profile matches enough again, or with None is watched no more."""
        self.ended_at = at
        self.record(
            events.MatchRateRecovered(
                spotlight_id=self.spotlight_id,
                match_alert_id=self.pk,
                match_rate=None if match_rate is None else float(match_rate),
            ),
            actor=actor,
            at=at,
        )
