"""Where signals come in: configured sources, what could not become a signal, and submissions that wait for a click."""

from __future__ import annotations

from datetime import datetime
from typing import Any, ClassVar

from django.conf import settings
from django.db import models
from django.db.models import Q
from django_fsm import FSMField, transition

from flowledger.encryption import decrypt, encrypt
from flowledger.outbox.recording import RecordingModel
from flowledger.tenancy.actors import Actor
from flowledger.tenancy.constraints import tenant_constraints
from flowledger.tenancy.fields import OrgForeignKey
from flowledger.tenancy.models import OrgModel
from flowledger.tenancy.querysets import OrgManager
from workstream import events
from workstream.machines import RejectStatus
from workstream.models.signals import Channel, Signal, SourceType
from workstream.querysets import IntakeRejectQuerySet, IntakeSourceQuerySet


class SourceKind(models.TextChoices):
    """Ways in that an organisation configures."""

    WEB_FORM = "web_form", "Web form"
    WEBHOOK = "webhook", "Webhook"
    MAIL_HOOK = "mail_hook", "Mail provider"
    MAILBOX = "mailbox", "IMAP mailbox"


class IntakeSource(OrgModel):
    """One configured way in: a web form, a webhook, a mail provider's hook or a mailbox.

    `options` is what its kind needs, checked by the schema of the kind (`workstream/intake/options.py`); `state` is
    what a poll remembers.
    """

    kind = models.CharField(max_length=9, choices=SourceKind.choices)
    name = models.CharField(max_length=100)
    source_type = models.CharField(
        max_length=10, choices=SourceType.choices, help_text="The source type that its signals get."
    )
    # Part of its public address; `<organisation>-<random>`, so that the look-up runs inside the scope.
    token = models.CharField(max_length=60, editable=False)
    options = models.JSONField(default=dict, blank=True)
    # Password of a mailbox, signing secret of a webhook; the one before lives on for a while after a rotation.
    sealed_secret = models.TextField(blank=True, default="", editable=False)
    previous_sealed_secret = models.TextField(blank=True, default="", editable=False)
    previous_secret_until = models.DateTimeField(null=True, blank=True, editable=False)
    is_active = models.BooleanField(default=True)
    state = models.JSONField(default=dict, blank=True, editable=False)
    polled_at = models.DateTimeField(null=True, blank=True, editable=False)
    # Trouble of the source itself, such as a refused log-in; trouble with one item is a reject.
    failed_at = models.DateTimeField(null=True, blank=True, editable=False)
    failure = models.CharField(max_length=500, blank=True, editable=False)
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.SET_NULL, null=True, blank=True, related_name="+", db_index=False
    )

    all_orgs: ClassVar[Any] = models.Manager.from_queryset(IntakeSourceQuerySet)()
    objects: ClassVar[Any] = OrgManager.from_queryset(IntakeSourceQuerySet)()

    class Meta(OrgModel.Meta):
        constraints = [
            *tenant_constraints("intake_source"),
            models.UniqueConstraint(fields=["org", "token"], name="intake_source_token"),
            models.UniqueConstraint(fields=["org", "name"], name="intake_source_name"),
            models.CheckConstraint(condition=~Q(name=""), name="intake_source_has_name"),
            models.CheckConstraint(condition=~Q(token=""), name="intake_source_has_token"),
            models.CheckConstraint(condition=Q(kind__in=SourceKind.values), name="intake_source_kind"),
            models.CheckConstraint(condition=Q(source_type__in=SourceType.values), name="intake_source_type"),
        ]
        indexes = [
            # Cross-tenant: the beat that polls mailboxes, the longest unpolled first.
            models.Index(
                fields=["polled_at"],
                condition=Q(kind=SourceKind.MAILBOX, is_active=True),
                name="intake_source_to_poll",
            ),
        ]

    def __str__(self) -> str:
        return self.name

    @property
    def secret(self) -> str:
        """The secret in plain. Raises SecretUnreadable when the key that it was written with is gone."""
        return decrypt(self.sealed_secret)

    def secrets(self, *, at: datetime) -> list[str]:
        """The secrets that are good at a time, the present one first. Raises SecretUnreadable."""
        sealed = [self.sealed_secret]
        if self.previous_secret_until is not None and at < self.previous_secret_until:
            sealed.append(self.previous_sealed_secret)
        return [decrypt(each) for each in sealed if each]

    def set_secret(self, text: str) -> None:
        """Replace the secret; the row is stored by the caller."""
        self.sealed_secret = encrypt(text)


class IntakeReject(RecordingModel):
    """What came in and could not become a signal: kept byte for byte with the reason, to be fixed and replayed.

    The same bytes through the same channel and source are one row while it is open; `occurrences` counts them.
    """

    channel = models.CharField(max_length=10, choices=Channel.choices)
    source = OrgForeignKey(IntakeSource, models.SET_NULL, null=True, blank=True, related_name="rejects")
    body = models.BinaryField()
    content_type = models.CharField(max_length=100, blank=True)
    sha256 = models.CharField(max_length=64)
    sender = models.CharField(max_length=200, blank=True)
    received_at = models.DateTimeField()
    last_received_at = models.DateTimeField()
    occurrences = models.PositiveIntegerField(default=1)
    # A word for programs (`invalid_json`, `validation_error`, `honeypot`, …) and a sentence for people.
    code = models.CharField(max_length=40)
    reason = models.CharField(max_length=500)
    # {field: [sentences]} where single fields are to blame.
    errors = models.JSONField(default=dict, blank=True)
    # What could be read of it, as signal fields: where fixing begins.
    fields = models.JSONField(default=dict, blank=True)
    status = FSMField(
        choices=RejectStatus.choices, default=RejectStatus.OPEN, max_length=9, protected=True, db_index=False
    )
    signal = OrgForeignKey(Signal, models.SET_NULL, null=True, blank=True, related_name="rejects")
    closed_at = models.DateTimeField(null=True, blank=True, editable=False)
    closed_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.SET_NULL, null=True, blank=True, related_name="+", db_index=False
    )
    note = models.CharField(max_length=500, blank=True)

    all_orgs: ClassVar[Any] = models.Manager.from_queryset(IntakeRejectQuerySet)()
    objects: ClassVar[Any] = OrgManager.from_queryset(IntakeRejectQuerySet)()

    class Meta(RecordingModel.Meta):
        constraints = [
            *tenant_constraints("intake_reject", source="workstream.IntakeSource", signal="workstream.Signal"),
            models.UniqueConstraint(
                fields=["org", "channel", "source", "sha256"],
                condition=Q(status=RejectStatus.OPEN),
                nulls_distinct=False,
                name="intake_reject_open_once",
            ),
            models.CheckConstraint(condition=Q(channel__in=Channel.values), name="intake_reject_channel"),
            models.CheckConstraint(condition=Q(sha256__regex=r"^[0-9a-f]{64}$"), name="intake_reject_sha256"),
            models.CheckConstraint(condition=~Q(reason=""), name="intake_reject_has_reason"),
            models.CheckConstraint(
                condition=Q(status=RejectStatus.OPEN, closed_at__isnull=True)
                | Q(status__in=[RejectStatus.REPLAYED, RejectStatus.DISCARDED], closed_at__isnull=False),
                name="intake_reject_closed_or_open",
            ),
        ]
        indexes = [
            models.Index(fields=["org", "status", "-last_received_at", "-id"], name="intake_reject_queue"),
            # Ingest health: the newest failure and the counts of a source.
            models.Index(fields=["org", "channel", "source", "-last_received_at"], name="intake_reject_of_source"),
        ]

    def __str__(self) -> str:
        return f"{self.get_channel_display()}: {self.reason[:60]}"

    @transition(field=status, source=RejectStatus.OPEN, target=RejectStatus.REPLAYED)
    def replay(self, signal_id: int, *, actor: Actor, at: datetime) -> None:
        """It became a signal after all."""
        self.signal_id, self.closed_at, self.closed_by_id = signal_id, at, actor.user_id
        self.record(events.IntakeReplayed(reject_id=self.pk, signal_id=signal_id), actor=actor, at=at)

    @transition(field=status, source=RejectStatus.OPEN, target=RejectStatus.DISCARDED)
    def discard(self, *, note: str, actor: Actor, at: datetime) -> None:
        """Nobody wants it; the row stays."""
        self.note, self.closed_at, self.closed_by_id = note, at, actor.user_id
        self.record(events.IntakeDiscarded(reject_id=self.pk), actor=actor, at=at)


class FormSubmission(OrgModel):
    """What somebody sent through a form with double opt-in; a signal once they click the link in the email."""

    source = OrgForeignKey(IntakeSource, models.CASCADE, related_name="submissions")
    body = models.BinaryField()
    content_type = models.CharField(max_length=100)
    fields = models.JSONField(default=dict)
    sender = models.CharField(max_length=200, blank=True)
    email = models.CharField(max_length=254)
    token_sha256 = models.CharField(max_length=64)
    received_at = models.DateTimeField()
    expires_at = models.DateTimeField()
    confirmed_at = models.DateTimeField(null=True, blank=True)
    signal = OrgForeignKey(Signal, models.SET_NULL, null=True, blank=True, related_name="+")

    class Meta(OrgModel.Meta):
        constraints = [
            *tenant_constraints("form_submission", source="workstream.IntakeSource", signal="workstream.Signal"),
            models.UniqueConstraint(fields=["org", "token_sha256"], name="form_submission_token"),
        ]
        indexes = [models.Index(fields=["org", "source", "-received_at"], name="form_submission_of_source")]

    def __str__(self) -> str:
        return f"Submission of {self.email}"
