"""The work event with its facts and its delivery, dedupe keys, failures of handlers, and the outgoing email."""

from __future__ import annotations

from typing import Any, ClassVar

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import Q, Value
from django.db.models.functions import Now

from flowledger.outbox.querysets import HandlerFailureQuerySet, OutgoingEmailQuerySet, WorkEventQuerySet
from flowledger.tenancy.actors import ActorKind, Origin
from flowledger.tenancy.checks import allow_cross_tenant_index
from flowledger.tenancy.constraints import RowSecurity, tenant_constraints
from flowledger.tenancy.models import Organization, OrgModel
from flowledger.tenancy.querysets import OrgManager, OrgQuerySet

# The sweeps that they serve cross organisations: claim, give back after a crash, send.
allow_cross_tenant_index("work_event_waiting", "work_event_crashed", "outgoing_email_ready", "outgoing_email_inflight")

# True of every row. A query that does not say it cannot use an index that does: with poor statistics, and while the
# table is hot they are poor, the planner would otherwise take the claim through one of these and sort the backlog.
_APART_FROM_THE_CLAIM = Q(org__gt=0)
_PENDING = Q(processed_at__isnull=True, dead_letter_at__isnull=True)
_UNCLAIMED = _PENDING & Q(claimed_at__isnull=True)
_UNSENT = Q(sent_at__isnull=True, dead_letter_at__isnull=True)


class WorkEvent(models.Model):
    """One fact about one item, and where its delivery stands.

    Written by `recording`, delivered by `drain`, never by hand. Database triggers refuse to change or delete the facts;
    delivery columns move freely. It does not extend OrgModel: facts have no version, and delivery is written by
    set-based SQL.

    The table is partitioned by `processed_at` (migration 0002): what is pending or dead lies in the partition
    `outbox_workevent_open`, what is processed in a partition per month, to which the completing update moves it.
    """

    org = models.ForeignKey(Organization, on_delete=models.PROTECT, related_name="+", db_index=False, editable=False)

    # Facts. A new column here belongs into the trigger of migration 0002 as well.
    event_name = models.CharField(max_length=100)
    item_type = models.CharField(max_length=50, db_default="")
    item_id = models.BigIntegerField(null=True)
    payload = models.JSONField()
    actor_kind = models.CharField(max_length=20, choices=ActorKind.choices)
    actor_id = models.BigIntegerField(null=True, help_text="Key of the actor's own row, by its kind.")
    actor_label = models.CharField(max_length=200)
    actor_user_id = models.BigIntegerField(null=True, help_text="The person behind the actor, if any.")
    origin = models.CharField(max_length=20, choices=Origin.choices)
    occurred_at = models.DateTimeField(help_text="When it happened in the business; historic for imports.")
    recorded_at = models.DateTimeField(db_default=Now(), help_text="Database time of writing.")
    dedupe_key = models.CharField(max_length=200, null=True)
    correlation_id = models.CharField(max_length=100, db_default="", help_text="The request or first event behind it.")
    causation_id = models.BigIntegerField(null=True, help_text="The event whose handler recorded this one.")
    redacted_at = models.DateTimeField(null=True, help_text="When texts of the payload were blanked, if they were.")

    # Delivery, by the database's clock only.
    available_at = models.DateTimeField(db_default=Now())
    attempts = models.PositiveSmallIntegerField(default=0, db_default=0)
    crashes = models.PositiveSmallIntegerField(
        default=0, db_default=0, help_text="Leases that ran out; above zero the event is tried alone."
    )
    claimed_at = models.DateTimeField(null=True)
    claimed_by = models.UUIDField(null=True, help_text="Token of the claim, new each time: the fence.")
    processed_at = models.DateTimeField(null=True)
    handled_by = ArrayField(
        models.TextField(),
        default=list,
        db_default=Value([], output_field=ArrayField(models.TextField())),
        help_text="Receipts: handlers whose effects are in the database, written in the transaction of the effects.",
    )
    last_error = models.TextField(default="", db_default="")
    dead_letter_at = models.DateTimeField(null=True)
    retried_at = models.DateTimeField(null=True)
    retried_by = models.CharField(max_length=200, default="", db_default="")
    discarded_at = models.DateTimeField(null=True)
    discarded_by = models.CharField(max_length=200, default="", db_default="")
    discard_reason = models.TextField(default="", db_default="")

    all_orgs: ClassVar[Any] = models.Manager.from_queryset(WorkEventQuerySet)()
    objects: ClassVar[Any] = OrgManager.from_queryset(WorkEventQuerySet)()

    class Meta:
        default_manager_name = "all_orgs"
        base_manager_name = "all_orgs"
        constraints = [
            RowSecurity(name="work_event_row_security"),
            models.CheckConstraint(
                condition=Q(processed_at__isnull=True) | Q(dead_letter_at__isnull=True), name="work_event_one_end"
            ),
            models.CheckConstraint(
                condition=Q(claimed_at__isnull=True, claimed_by__isnull=True)
                | Q(claimed_at__isnull=False, claimed_by__isnull=False),
                name="work_event_whole_claim",
            ),
            models.CheckConstraint(
                condition=Q(discarded_at__isnull=True)
                | (Q(dead_letter_at__isnull=False) & ~Q(discarded_by="") & ~Q(discard_reason="")),
                name="work_event_whole_discard",
            ),
            models.CheckConstraint(condition=Q(origin__in=Origin.values), name="work_event_origin"),
            models.CheckConstraint(condition=Q(actor_kind__in=ActorKind.values), name="work_event_actor_kind"),
            models.CheckConstraint(
                condition=Q(item_id__isnull=True) | ~Q(item_type=""), name="work_event_item_has_type"
            ),
        ]
        indexes = [
            # The claim: what was never tried, in the order of writing, organisation by organisation.
            models.Index(
                fields=["org", "id"], condition=_UNCLAIMED & Q(attempts=0, crashes=0), name="work_event_fresh"
            ),
            # The claim of what waits for a retry.
            models.Index(
                fields=["available_at", "id"],
                condition=_UNCLAIMED & Q(attempts__gt=0, crashes=0),
                name="work_event_waiting",
            ),
            # The lane for what a crash returned.
            models.Index(
                fields=["available_at", "id"], condition=_UNCLAIMED & Q(crashes__gt=0), name="work_event_crashed"
            ),
            # Order per item: is an event of it in somebody's hands, or to be tried alone? Leases that ran out.
            models.Index(
                fields=["org", "item_type", "item_id", "id"],
                condition=_PENDING & (Q(claimed_at__isnull=False) | Q(crashes__gt=0)),
                name="work_event_held",
            ),
            # The trail of an item, complete: WorkEventQuerySet.of_item.
            models.Index(
                fields=["org", "item_type", "item_id", "id"], condition=_APART_FROM_THE_CLAIM, name="work_event_trail"
            ),
            # The dead-letter list.
            models.Index(
                fields=["org", "-dead_letter_at", "-id"],
                condition=Q(dead_letter_at__isnull=False, discarded_at__isnull=True),
                name="work_event_dead",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.event_name} {self.pk}"


class DedupeKey(models.Model):
    """The natural key of an event that must not be written twice; outlives the event when its partition is archived."""

    pk = models.CompositePrimaryKey("org_id", "event_name", "key")
    org = models.ForeignKey(Organization, on_delete=models.PROTECT, related_name="+", db_index=False, editable=False)
    event_name = models.CharField(max_length=100)
    key = models.CharField(max_length=200)
    recorded_at = models.DateTimeField(db_default=Now())

    all_orgs: ClassVar[Any] = models.Manager.from_queryset(OrgQuerySet)()
    objects: ClassVar[Any] = OrgManager.from_queryset(OrgQuerySet)()

    class Meta:
        default_manager_name = "all_orgs"
        base_manager_name = "all_orgs"
        constraints = [RowSecurity(name="dedupe_key_row_security")]

    def __str__(self) -> str:
        return f"{self.event_name} {self.key}"


class HandlerFailure(models.Model):
    """The latest failure of a handler with an event, kept for staff when the handler succeeds later."""

    org = models.ForeignKey(Organization, on_delete=models.PROTECT, related_name="+", db_index=False, editable=False)
    event_id = models.BigIntegerField()
    handler = models.CharField(max_length=100)
    attempt = models.PositiveSmallIntegerField()
    error = models.TextField(help_text="Kind and message of the exception.")
    traceback = models.TextField()
    failed_at = models.DateTimeField(db_default=Now())

    all_orgs: ClassVar[Any] = models.Manager.from_queryset(HandlerFailureQuerySet)()
    objects: ClassVar[Any] = OrgManager.from_queryset(HandlerFailureQuerySet)()

    class Meta:
        default_manager_name = "all_orgs"
        base_manager_name = "all_orgs"
        constraints = [
            RowSecurity(name="handler_failure_row_security"),
            models.UniqueConstraint(fields=["org", "event_id", "handler"], name="handler_failure_once"),
        ]

    def __str__(self) -> str:
        return f"{self.handler}: {self.error}"


class OutgoingEmail(OrgModel):
    """A message to send after the commit that asked for it, and the record of sending it.

    A row that was claimed is recorded before the call and again after it. A worker that dies in between leaves a
    lease that runs out; the message is then sent again under the same Message-ID and idempotency key.
    """

    class Status(models.TextChoices):
        QUEUED = "queued", "Queued"
        SENDING = "sending", "Sending"
        SENT = "sent", "Sent"
        DEAD = "dead", "Given up"

    key = models.CharField(max_length=200, help_text="Natural key: a second message with the same key is not queued.")
    to = ArrayField(models.EmailField())
    subject = models.CharField(max_length=500)
    body = models.TextField()
    html = models.TextField(default="", blank=True)
    from_email = models.CharField(max_length=320, default="", blank=True)
    reply_to = ArrayField(models.EmailField(), default=list, blank=True)
    causation_id = models.BigIntegerField(null=True, help_text="The event whose handler queued it.")

    status = models.CharField(max_length=10, choices=Status.choices, default=Status.QUEUED)
    available_at = models.DateTimeField(db_default=Now())
    attempts = models.PositiveSmallIntegerField(default=0, db_default=0)
    claimed_at = models.DateTimeField(null=True)
    claimed_by = models.UUIDField(null=True)
    sent_at = models.DateTimeField(null=True)
    message_id = models.CharField(max_length=300, default="", blank=True, help_text="As the provider reported it.")
    last_error = models.TextField(default="", blank=True)
    dead_letter_at = models.DateTimeField(null=True)

    objects: ClassVar[Any] = OrgManager.from_queryset(OutgoingEmailQuerySet)()

    class Meta(OrgModel.Meta):
        constraints = [
            *tenant_constraints("outgoing_email"),
            models.UniqueConstraint(fields=["org", "key"], name="outgoing_email_key"),
            models.CheckConstraint(condition=~Q(to=[]), name="outgoing_email_has_recipient"),
            models.CheckConstraint(
                condition=Q(status="queued", claimed_at__isnull=True, sent_at__isnull=True, dead_letter_at__isnull=True)
                | Q(status="sending", claimed_at__isnull=False, sent_at__isnull=True, dead_letter_at__isnull=True)
                | Q(status="sent", claimed_at__isnull=True, sent_at__isnull=False, dead_letter_at__isnull=True)
                | Q(status="dead", claimed_at__isnull=True, sent_at__isnull=True, dead_letter_at__isnull=False),
                name="outgoing_email_status",
            ),
        ]
        indexes = [
            # The claim, in its order.
            models.Index(
                fields=["available_at", "id"],
                condition=_UNSENT & Q(claimed_at__isnull=True),
                name="outgoing_email_ready",
            ),
            # Leases that ran out.
            models.Index(
                fields=["claimed_at"], condition=_UNSENT & Q(claimed_at__isnull=False), name="outgoing_email_inflight"
            ),
            # The list in the back office, newest first.
            models.Index(fields=["org", "-id"], name="outgoing_email_latest"),
        ]

    def __str__(self) -> str:
        return f"{self.subject} to {', '.join(self.to)}"
