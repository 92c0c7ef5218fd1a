"""Versions of a proposal and the organisation's template for the first one."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import Q
from django_fsm import FSMField, transition

from flowledger.outbox.recording import RecordingModel
from flowledger.tenancy.actors import Actor
from flowledger.tenancy.constraints import tenant_constraints
from flowledger.tenancy.fields import OrgForeignKey
from flowledger.tenancy.models import OrgModel
from workstream import events
from workstream.machines import ProposalStatus


class ProposalDelivery(models.TextChoices):
    """How a sent version went out."""

    EMAIL = "email", "By email"
    WITHOUT_EMAIL = "without_email", "Without email"


class Proposal(RecordingModel):
    """One version; immutable once sent, so an edit is the next version."""

    pursuit = OrgForeignKey("workstream.Pursuit", models.PROTECT, related_name="proposals")
    version = models.PositiveIntegerField(editable=False)
    status = FSMField(
        choices=ProposalStatus.choices, default=ProposalStatus.DRAFT, max_length=10, protected=True, db_index=False
    )
    title = models.CharField(max_length=200)
    body = models.TextField(help_text="Markdown.")
    amount = models.DecimalField(max_digits=14, decimal_places=2, default=Decimal("0"))
    currency = models.CharField(max_length=3, default="USD")
    recipients = ArrayField(models.CharField(max_length=254), default=list, blank=True)
    delivery = models.CharField(max_length=15, choices=ProposalDelivery.choices, blank=True, editable=False)
    sent_at = models.DateTimeField(null=True, blank=True, editable=False)
    signed_at = models.DateTimeField(null=True, blank=True, editable=False)
    voided_at = models.DateTimeField(null=True, blank=True, editable=False)

    class Meta(RecordingModel.Meta):
        constraints = [
            *tenant_constraints("proposal", pursuit="workstream.Pursuit"),
            models.UniqueConstraint(fields=["org", "pursuit", "version"], name="proposal_version"),
            models.UniqueConstraint(
                fields=["org", "pursuit"], condition=Q(status=ProposalStatus.DRAFT), name="proposal_one_draft"
            ),
            models.CheckConstraint(condition=Q(version__gte=1), name="proposal_version_from_one"),
            models.CheckConstraint(condition=Q(status__in=ProposalStatus.values), name="proposal_status"),
            models.CheckConstraint(condition=~Q(title="") & ~Q(body=""), name="proposal_not_blank"),
            models.CheckConstraint(condition=Q(amount__gte=0), name="proposal_amount"),
            models.CheckConstraint(
                condition=~Q(status__in=[ProposalStatus.SENT, ProposalStatus.SIGNED])
                | Q(sent_at__isnull=False, delivery__in=ProposalDelivery.values),
                name="proposal_sent_when",
            ),
            models.CheckConstraint(
                condition=~Q(status=ProposalStatus.SIGNED) | Q(signed_at__isnull=False), name="proposal_signed_when"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.title} (version {self.version})"

    @property
    def owner_id(self) -> int | None:
        """Whose pursuit it belongs to, for the rule on representatives."""
        owner_id: int | None = self.pursuit.owner_id
        return owner_id

    def draft(self, *, actor: Actor, at: datetime) -> None:
        """Note the creation of this version."""
        self.record(
            lambda row: events.ProposalCreated(proposal_id=row.pk, pursuit_id=row.pursuit_id, version=row.version),
            actor=actor,
            at=at,
        )

    @transition(field=status, source=ProposalStatus.DRAFT, target=ProposalStatus.SENT)
    def send(self, *, recipients: list[str], actor: Actor, at: datetime) -> None:
        """Freeze and send; without recipients it counts as sent without email."""
        self.recipients, self.sent_at = recipients, at
        self.delivery = ProposalDelivery.EMAIL if recipients else ProposalDelivery.WITHOUT_EMAIL
        self.record(
            lambda row: events.ProposalSent(
                proposal_id=row.pk, pursuit_id=row.pursuit_id, version=row.version, by_email=bool(recipients)
            ),
            actor=actor,
            at=at,
        )

    @transition(field=status, source=ProposalStatus.SENT, target=ProposalStatus.SIGNED)
    def sign(self, *, actor: Actor, at: datetime) -> None:
        self.signed_at = at
        self.record(
            lambda row: events.ProposalSigned(proposal_id=row.pk, pursuit_id=row.pursuit_id, version=row.version),
            actor=actor,
            at=at,
        )

    @transition(field=status, source=[ProposalStatus.DRAFT, ProposalStatus.SENT], target=ProposalStatus.VOID)
    def void(self, *, at: datetime) -> None:
        """Withdraw; the catalogue has no event for it, the next version's creation tells it."""
        self.voided_at = at


class ProposalTemplate(OrgModel):
    """What version 1 is rendered from; the newest version applies.

    Title and body may use the variables of `workstream.rendering.PROPOSAL_VARIABLES` in double braces.
    """

    version = models.PositiveIntegerField()
    title = models.CharField(max_length=200)
    body = models.TextField()

    class Meta(OrgModel.Meta):
        constraints = [
            *tenant_constraints("proposal_template"),
            models.UniqueConstraint(fields=["org", "version"], name="proposal_template_version"),
            models.CheckConstraint(condition=~Q(title="") & ~Q(body=""), name="proposal_template_not_blank"),
        ]

    def __str__(self) -> str:
        return f"{self.title} (version {self.version})"
