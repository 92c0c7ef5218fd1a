"""Won business."""

from __future__ import annotations

from datetime import datetime

from django.conf import settings
from django.db import models
from django.db.models import Q

from flowledger.outbox.recording import RecordingModel
from flowledger.tenancy.actors import Actor
from flowledger.tenancy.constraints import tenant_constraints
from flowledger.tenancy.fields import OrgForeignKey
from workstream import events


class Engagement(RecordingModel):
    """What a won pursuit became; its kickoff tasks hang off it."""

    pursuit = OrgForeignKey("workstream.Pursuit", models.PROTECT, related_name="engagements")
    client = OrgForeignKey("clients.Client", models.PROTECT, related_name="engagements")
    title = models.CharField(max_length=200)
    owner = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.SET_NULL, null=True, blank=True, related_name="+", db_index=False
    )
    value = models.DecimalField(max_digits=14, decimal_places=2)
    currency = models.CharField(max_length=3)
    started_on = models.DateField()

    class Meta(RecordingModel.Meta):
        constraints = [
            *tenant_constraints("engagement", pursuit="workstream.Pursuit", client="clients.Client"),
            models.UniqueConstraint(fields=["org", "pursuit"], name="engagement_one_per_pursuit"),
            models.CheckConstraint(condition=~Q(title=""), name="engagement_has_title"),
            models.CheckConstraint(condition=Q(value__gte=0), name="engagement_value"),
        ]
        indexes = [
            models.Index(fields=["org", "-started_on", "-id"], name="engagement_list"),
            models.Index(fields=["org", "client"], name="engagement_by_client"),
        ]

    def __str__(self) -> str:
        return self.title

    def start(self, *, actor: Actor, at: datetime) -> None:
        """Note the creation from a won pursuit."""
        self.record(
            lambda row: events.EngagementCreated(
                engagement_id=row.pk, pursuit_id=row.pursuit_id, client_id=row.client_id
            ),
            actor=actor,
            at=at,
        )
