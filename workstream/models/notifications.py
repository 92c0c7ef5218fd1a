"""What the application tells people: in the back office, and by email when and how each wants it."""

from __future__ import annotations

from typing import Any, ClassVar

from django.conf import settings
from django.db import models
from django.db.models import Q

from flowledger.tenancy.constraints import tenant_constraints
from flowledger.tenancy.models import OrgModel
from flowledger.tenancy.querysets import OrgManager
from workstream.querysets import NotificationQuerySet


class Notification(OrgModel):
    """One thing one person is told once.

    `source_key` names the cause (`breach-17`): a second telling of it finds the first. `email_due_at` is when it goes
    out by email, null when it does not.
    """

    user = models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE, related_name="+", db_index=False)
    kind = models.CharField(max_length=40)
    source_key = models.CharField(max_length=100)
    title = models.CharField(max_length=200)
    body = models.CharField(max_length=1000, blank=True)
    item_type = models.CharField(max_length=20, blank=True)
    item_id = models.BigIntegerField(null=True, blank=True)
    happened_at = models.DateTimeField()
    read_at = models.DateTimeField(null=True, blank=True)
    email_due_at = models.DateTimeField(null=True, blank=True)
    emailed_at = models.DateTimeField(null=True, blank=True)

    all_orgs: ClassVar[Any] = models.Manager.from_queryset(NotificationQuerySet)()
    objects: ClassVar[Any] = OrgManager.from_queryset(NotificationQuerySet)()

    class Meta(OrgModel.Meta):
        constraints = [
            *tenant_constraints("notification"),
            models.UniqueConstraint(fields=["org", "user", "source_key"], name="notification_once"),
            models.CheckConstraint(
                condition=Q(item_type="", item_id__isnull=True) | (~Q(item_type="") & Q(item_id__isnull=False)),
                name="notification_whole_item",
            ),
        ]
        indexes = [
            models.Index(fields=["org", "user", "-id"], name="notification_list"),
            models.Index(fields=["org", "user"], condition=Q(read_at__isnull=True), name="notification_unread"),
            # Cross-tenant: the sweep that sends what is due by email.
            models.Index(
                fields=["email_due_at"],
                condition=Q(email_due_at__isnull=False, emailed_at__isnull=True),
                name="notification_email_due",
            ),
        ]

    def __str__(self) -> str:
        return self.title


class EmailMode(models.TextChoices):
    """How notifications reach somebody by email."""

    IMMEDIATE = "immediate", "At once"
    DIGEST = "digest", "Once a day"
    OFF = "off", "Not at all"


class NotificationPreference(OrgModel):
    """How one person wants to be told. Without a row: at once, with no quiet hours, in the organisation's time zone."""

    user = models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE, related_name="+", db_index=False)
    email_mode = models.CharField(max_length=10, choices=EmailMode.choices, default=EmailMode.IMMEDIATE)
    digest_time = models.TimeField(default="08:00")
    quiet_from = models.TimeField(null=True, blank=True)
    quiet_to = models.TimeField(null=True, blank=True)
    timezone = models.CharField(max_length=64, blank=True, help_text="IANA name; empty: the organisation's.")

    class Meta(OrgModel.Meta):
        constraints = [
            *tenant_constraints("notification_preference"),
            models.UniqueConstraint(fields=["org", "user"], name="notification_preference_of_user"),
            models.CheckConstraint(
                condition=Q(quiet_from__isnull=True, quiet_to__isnull=True)
                | Q(quiet_from__isnull=False, quiet_to__isnull=False),
                name="notification_preference_quiet_hours",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.get_email_mode_display()}"
