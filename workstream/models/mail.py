"""Conversations by email: which messages belong together, by Message-ID and References (RFC 5322, 3.6.4)."""

from __future__ import annotations

from django.db import models
from django.db.models import Q

from flowledger.tenancy.constraints import tenant_constraints
from flowledger.tenancy.fields import OrgForeignKey
from flowledger.tenancy.models import OrgModel
from workstream.models.signals import Signal


class MailThread(OrgModel):
    """One conversation."""

    subject = models.CharField(max_length=300, blank=True)

    class Meta(OrgModel.Meta):
        constraints = [*tenant_constraints("mail_thread")]

    def __str__(self) -> str:
        return self.subject or f"Thread {self.pk}"


class MailMessage(OrgModel):
    """A message of a conversation: received, with its signal, or only referred to by another so far."""

    thread = OrgForeignKey(MailThread, models.CASCADE, related_name="messages")
    # Without the angle brackets; what is longer is kept as its SHA-256.
    message_id = models.CharField(max_length=250)
    signal = OrgForeignKey(Signal, models.CASCADE, null=True, blank=True, related_name="mail_messages")
    sent_at = models.DateTimeField(null=True, blank=True)

    class Meta(OrgModel.Meta):
        constraints = [
            *tenant_constraints("mail_message", thread="workstream.MailThread", signal="workstream.Signal"),
            models.UniqueConstraint(fields=["org", "message_id"], name="mail_message_once"),
            models.CheckConstraint(condition=~Q(message_id=""), name="mail_message_has_id"),
        ]
        indexes = [
            models.Index(fields=["org", "thread", "sent_at", "id"], name="mail_message_of_thread"),
            models.Index(fields=["org", "signal"], condition=Q(signal__isnull=False), name="mail_message_of_signal"),
        ]

    def __str__(self) -> str:
        return self.message_id
