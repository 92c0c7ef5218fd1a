"""Raw signs of interest, kept as received and never overwritten."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any, ClassVar

from django.conf import settings
from django.db import models
from django.db.models import Q
from django_fsm import FSMField, transition

from flowledger.outbox.recording import RecordingModel
from flowledger.tenancy.actors import Actor
from flowledger.tenancy.constraints import tenant_constraints
from flowledger.tenancy.fields import OrgForeignKey
from flowledger.tenancy.models import OrgModel
from flowledger.tenancy.querysets import OrgManager
from workstream import events
from workstream.machines import SignalDisposition
from workstream.querysets import SignalQuerySet

if TYPE_CHECKING:
    from workstream.models.candidates import Candidate


class SourceType(models.TextChoices):
    """The channel a signal came through."""

    EMAIL = "email", "Email"
    WEB_FORM = "web_form", "Web form"
    API = "api", "API"
    AD = "ad", "Advertisement"
    CALL = "call", "Call"
    NOTE = "note", "Note"
    IMPORT = "import", "Import"
    WEBHOOK = "webhook", "Webhook"


class Channel(models.TextChoices):
    """The door through which something was delivered."""

    REST = "rest", "REST, one"
    BULK = "bulk", "REST, many"
    CSV = "csv", "CSV import"
    FORM = "form", "Web form"
    EMAIL = "email", "Email"
    WEBHOOK = "webhook", "Webhook"
    HAND = "hand", "By hand"


class SignalCluster(OrgModel):
    """Signals that are one buying event, with the algorithm that said so."""

    label = models.CharField(max_length=200, blank=True)
    algorithm = models.CharField(max_length=60)
    algorithm_version = models.CharField(max_length=20)
    parameters = models.JSONField(default=dict)

    class Meta(OrgModel.Meta):
        constraints = [*tenant_constraints("signal_cluster")]

    def __str__(self) -> str:
        return self.label or f"Cluster {self.pk}"


class Signal(RecordingModel):
    """One raw sign of interest; what it said stays, only what became of it changes."""

    source_type = models.CharField(max_length=10, choices=SourceType.choices)
    source_ref = models.CharField(max_length=255, blank=True)
    ts = models.DateTimeField("happened at")
    snippet = models.CharField(max_length=1000, blank=True)
    problem_phrase = models.CharField(max_length=300, blank=True)
    solution_hint = models.CharField(max_length=300, blank=True)
    urgency_score = models.DecimalField(max_digits=3, decimal_places=2, null=True, blank=True)
    contact_email = models.CharField(max_length=254, blank=True)
    contact_phone = models.CharField(max_length=60, blank=True)
    contact_name = models.CharField(max_length=200, blank=True)
    company_name = models.CharField(max_length=200, blank=True)
    company_domain = models.CharField(max_length=253, blank=True)
    attributes = models.JSONField(default=dict, blank=True)
    contact = OrgForeignKey("clients.Contact", models.PROTECT, null=True, blank=True, related_name="signals")
    client = OrgForeignKey("clients.Client", models.PROTECT, null=True, blank=True, related_name="signals")
    identity_resolution = models.JSONField(default=dict, blank=True, editable=False)
    dedupe_key = models.CharField(max_length=300, null=True, blank=True, editable=False)
    cluster = OrgForeignKey(SignalCluster, models.SET_NULL, null=True, blank=True, related_name="signals")
    owner = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.SET_NULL, null=True, blank=True, related_name="+", db_index=False
    )
    first_touch_at = models.DateTimeField(null=True, blank=True, editable=False)
    disposition = FSMField(
        choices=SignalDisposition.choices, default=SignalDisposition.NEW, max_length=10, protected=True, db_index=False
    )
    reject_reason = models.CharField(max_length=500, blank=True, editable=False)

    all_orgs: ClassVar[Any] = models.Manager.from_queryset(SignalQuerySet)()
    objects: ClassVar[Any] = OrgManager.from_queryset(SignalQuerySet)()

    class Meta(RecordingModel.Meta):
        constraints = [
            *tenant_constraints(
                "signal", contact="clients.Contact", client="clients.Client", cluster="workstream.SignalCluster"
            ),
            models.UniqueConstraint(
                fields=["org", "dedupe_key"], condition=Q(dedupe_key__isnull=False), name="signal_natural_key"
            ),
            models.CheckConstraint(condition=Q(source_type__in=SourceType.values), name="signal_source_type"),
            models.CheckConstraint(condition=Q(disposition__in=SignalDisposition.values), name="signal_disposition"),
            models.CheckConstraint(
                condition=Q(urgency_score__isnull=True) | Q(urgency_score__gte=0, urgency_score__lte=1),
                name="signal_urgency_range",
            ),
            models.CheckConstraint(
                condition=~Q(disposition=SignalDisposition.REJECTED) | ~Q(reject_reason=""),
                name="signal_rejected_with_reason",
            ),
            models.CheckConstraint(condition=~Q(dedupe_key=""), name="signal_no_blank_key"),
        ]
        indexes = [
            models.Index(fields=["org", "-ts", "-id"], name="signal_list"),  # the list, newest first
            # Filters of the list; the included columns let the totals of common combinations be counted in the index.
            models.Index(
                fields=["org", "disposition", "-ts", "-id"],
                include=["source_type", "owner"],
                name="signal_by_disposition",
            ),
            models.Index(
                fields=["org", "owner", "-ts", "-id"], include=["disposition", "source_type"], name="signal_by_owner"
            ),
            models.Index(
                fields=["org", "source_type", "-ts", "-id"], include=["disposition", "owner"], name="signal_by_source"
            ),
            # The signals of a contact or client by time: their pages, merges, and the search for near-duplicates.
            models.Index(
                fields=["org", "contact", "-ts"], condition=Q(contact__isnull=False), name="signal_of_contact"
            ),
            models.Index(fields=["org", "client", "-ts"], condition=Q(client__isnull=False), name="signal_of_client"),
            models.Index(fields=["org", "cluster"], condition=Q(cluster__isnull=False), name="signal_by_cluster"),
            models.Index(fields=["org", "created_at"], name="signal_recent"),  # the seven-day count of the stats
        ]

    def __str__(self) -> str:
        return f"{self.get_source_type_display()}: {self.snippet[:60] or self.contact_email or self.pk}"

    def receive(self, *, actor: Actor, at: datetime) -> None:
        """Note the arrival of a new signal."""
        self.record(
            lambda row: events.SignalCreated(
                signal_id=row.pk, source_type=row.source_type, contact_id=row.contact_id, client_id=row.client_id
            ),
            actor=actor,
            at=at,
        )

    @transition(
        field=disposition,
        source=[SignalDisposition.NEW, SignalDisposition.LINKED, SignalDisposition.DUPLICATE],
        target=SignalDisposition.LINKED,
    )
    def link(self, candidate: Candidate, *, actor: Actor, at: datetime) -> None:
        """A signal may feed several candidates; being linked again is another fact."""
        self.record(lambda row: events.SignalLinked(signal_id=row.pk, candidate_id=candidate.pk), actor=actor, at=at)

    @transition(
        field=disposition,
        source=[SignalDisposition.NEW, SignalDisposition.DUPLICATE],
        target=SignalDisposition.REJECTED,
    )
    def reject(self, *, reason: str, actor: Actor, at: datetime) -> None:
        self.reject_reason = reason
        self.record(events.SignalRejected(signal_id=self.pk), actor=actor, at=at)


class SignalPayload(OrgModel):
    """What came in, byte for byte; the database refuses to change it."""

    signal = OrgForeignKey(Signal, models.CASCADE, related_name="payloads")
    body = models.BinaryField()
    content_type = models.CharField(max_length=100, default="application/json")
    sha256 = models.CharField(max_length=64)
    received_at = models.DateTimeField()

    class Meta(OrgModel.Meta):
        constraints = [
            *tenant_constraints("signal_payload", signal="workstream.Signal"),
            models.UniqueConstraint(fields=["org", "signal"], name="signal_payload_one"),
            models.CheckConstraint(condition=Q(sha256__regex=r"^[0-9a-f]{64}$"), name="signal_payload_sha256"),
        ]

    def __str__(self) -> str:
        return f"Payload {self.sha256[:12]}"


class SignalDelivery(OrgModel):
    """One delivery of a signal: the first, and every repeat, with when, from where and what was sent."""

    signal = OrgForeignKey(Signal, models.CASCADE, related_name="deliveries")
    received_at = models.DateTimeField()
    sender = models.CharField(max_length=200, blank=True, help_text="Who delivered it, and from which address.")
    payload_sha256 = models.CharField(max_length=64)
    is_repeat = models.BooleanField(default=False)
    # Blank on deliveries from before channels were noted, and on imported history.
    channel = models.CharField(max_length=10, choices=Channel.choices, blank=True, default="", db_default="")
    source = OrgForeignKey("workstream.IntakeSource", models.SET_NULL, null=True, blank=True, related_name="deliveries")

    class Meta(OrgModel.Meta):
        verbose_name_plural = "signal deliveries"
        constraints = [
            *tenant_constraints("signal_delivery", signal="workstream.Signal", source="workstream.IntakeSource")
        ]
        indexes = [
            models.Index(fields=["org", "signal", "received_at"], name="signal_delivery_trail"),
            # Ingest health: the newest delivery and the counts of a source.
            models.Index(
                fields=["org", "channel", "source", "-received_at"],
                include=["is_repeat"],
                condition=~Q(channel=""),
                name="signal_delivery_of_source",
            ),
        ]

    def __str__(self) -> str:
        return f"Delivered {self.received_at:%Y-%m-%d %H:%M}"
