"""Qualified leads and the machine that takes them from new to promoted or archived."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any, ClassVar

from django.conf import settings
from django.db import models
from django.db.models import Q
from django_fsm import FSMField, transition

from flowledger.tenancy.actors import Actor
from flowledger.tenancy.constraints import tenant_constraints
from flowledger.tenancy.fields import OrgForeignKey
from flowledger.tenancy.models import OrgModel
from flowledger.tenancy.querysets import OrgManager
from workstream import events
from workstream.machines import CandidateStatus
from workstream.models.history import StagedModel
from workstream.querysets import CandidateQuerySet

if TYPE_CHECKING:
    from workstream.models.pursuits import Pursuit


class ValueBand(models.TextChoices):
    """A rough size of the deal before there is a figure."""

    LOW = "low", "Low"
    MEDIUM = "med", "Medium"
    HIGH = "high", "High"


class Candidate(StagedModel):
    """A qualified lead; its client and contact come from its first signal when not given."""

    client = OrgForeignKey("clients.Client", models.PROTECT, null=True, blank=True, related_name="candidates")
    contact = OrgForeignKey("clients.Contact", models.PROTECT, null=True, blank=True, related_name="candidates")
    title = models.CharField(max_length=200)
    one_liner_scope = models.CharField(max_length=280, blank=True)
    problem = OrgForeignKey("workstream.Problem", models.PROTECT, null=True, blank=True, related_name="candidates")
    solution = OrgForeignKey("workstream.Solution", models.PROTECT, null=True, blank=True, related_name="candidates")
    confidence = models.DecimalField(max_digits=3, decimal_places=2, default=Decimal("0.5"))
    value_band = models.CharField(max_length=4, choices=ValueBand.choices, default=ValueBand.MEDIUM)
    estimated_value = models.DecimalField(max_digits=14, decimal_places=2, null=True, blank=True)
    currency = models.CharField(max_length=3, default="USD")
    next_step = models.CharField(max_length=300, blank=True)
    next_step_due = models.DateField(null=True, blank=True)
    owner = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.SET_NULL, null=True, blank=True, related_name="+", db_index=False
    )
    status = FSMField(
        choices=CandidateStatus.choices, default=CandidateStatus.NEW, max_length=10, protected=True, db_index=False
    )
    hold_reason = models.CharField(max_length=500, blank=True, editable=False)
    resume_at = models.DateTimeField(null=True, blank=True, editable=False)
    archive_reason = models.CharField(max_length=500, blank=True, editable=False)
    promoted_at = models.DateTimeField(null=True, blank=True, editable=False)
    last_touch_at = models.DateTimeField(editable=False)
    icp_score = models.DecimalField(max_digits=4, decimal_places=3, null=True, blank=True, editable=False)
    icp_band = models.CharField(max_length=10, blank=True, editable=False)
    signals = models.ManyToManyField(
        "workstream.Signal", through="workstream.CandidateSignal", related_name="candidates"
    )
    tags = models.ManyToManyField("workstream.Tag", through="workstream.CandidateTag", related_name="candidates")

    all_orgs: ClassVar[Any] = models.Manager.from_queryset(CandidateQuerySet)()
    objects: ClassVar[Any] = OrgManager.from_queryset(CandidateQuerySet)()

    class Meta(StagedModel.Meta):
        constraints = [
            *tenant_constraints(
                "candidate",
                client="clients.Client",
                contact="clients.Contact",
                problem="workstream.Problem",
                solution="workstream.Solution",
            ),
            models.CheckConstraint(condition=~Q(title=""), name="candidate_has_title"),
            models.CheckConstraint(condition=Q(status__in=CandidateStatus.values), name="candidate_status"),
            models.CheckConstraint(condition=Q(value_band__in=ValueBand.values), name="candidate_value_band"),
            models.CheckConstraint(condition=Q(confidence__gte=0, confidence__lte=1), name="candidate_confidence"),
            models.CheckConstraint(
                condition=Q(estimated_value__isnull=True) | Q(estimated_value__gte=0), name="candidate_value"
            ),
            models.CheckConstraint(
                condition=~Q(status=CandidateStatus.ON_HOLD) | ~Q(hold_reason=""), name="candidate_held_with_reason"
            ),
            models.CheckConstraint(
                condition=Q(resume_at__isnull=True) | Q(status=CandidateStatus.ON_HOLD), name="candidate_resumes_held"
            ),
            models.CheckConstraint(
                condition=~Q(status=CandidateStatus.ARCHIVED) | ~Q(archive_reason=""),
                name="candidate_archived_with_reason",
            ),
            models.CheckConstraint(
                condition=Q(status=CandidateStatus.PROMOTED, promoted_at__isnull=False)
                | (~Q(status=CandidateStatus.PROMOTED) & Q(promoted_at__isnull=True)),
                name="candidate_promoted_when",
            ),
        ]
        indexes = [
            # Filters of the list; the included columns let the totals of common combinations be counted in the index.
            models.Index(fields=["org", "status", "-id"], include=["value_band", "owner"], name="candidate_by_status"),
            models.Index(fields=["org", "owner", "-id"], include=["status", "value_band"], name="candidate_by_owner"),
            # The board: open columns by due date with what they are worth, closed ones by arrival.
            models.Index(
                fields=["org", "status", "next_step_due", "id"],
                include=["currency", "estimated_value", "owner"],
                name="candidate_board",
            ),
            models.Index(
                fields=["org", "status", "-state_entered_at", "-id"],
                condition=Q(status__in=[CandidateStatus.PROMOTED, CandidateStatus.ARCHIVED]),
                name="candidate_board_closed",
            ),
            models.Index(fields=["org", "value_band", "-id"], include=["status", "owner"], name="candidate_by_band"),
            models.Index(fields=["org", "last_touch_at", "id"], name="candidate_by_touch"),
            models.Index(fields=["org", "next_step_due", "id"], name="candidate_by_next_step"),
            models.Index(fields=["org", "client"], condition=Q(client__isnull=False), name="candidate_by_client"),
            models.Index(fields=["org", "contact"], condition=Q(contact__isnull=False), name="candidate_by_contact"),
            models.Index(fields=["org", "problem"], condition=Q(problem__isnull=False), name="candidate_by_problem"),
            models.Index(fields=["org", "solution"], condition=Q(solution__isnull=False), name="candidate_by_solution"),
            # Outcomes: when and for which product the candidate of a pursuit was promoted.
            models.Index(
                fields=["org", "id"],
                include=["promoted_at", "solution"],
                condition=Q(promoted_at__isnull=False),
                name="candidate_promoted",
            ),
            models.Index(fields=["org", "created_at"], name="candidate_recent"),  # the seven-day count of the stats
            # Cross-tenant: the sweep that brings held candidates back.
            models.Index(fields=["resume_at"], condition=Q(resume_at__isnull=False), name="candidate_resume_due"),
        ]

    def __str__(self) -> str:
        return self.title

    def open(self, *, signals: Sequence[int], actor: Actor, at: datetime) -> None:
        """Note the creation of a candidate from the signals with these ids."""
        self.last_touch_at = at
        self.enter(CandidateStatus.NEW, actor=actor, at=at)
        self.record(
            lambda row: events.CandidateCreated(
                candidate_id=row.pk,
                client_id=row.client_id,
                contact_id=row.contact_id,
                owner_id=row.owner_id,
                signal_ids=list(signals),
            ),
            actor=actor,
            at=at,
        )

    @transition(
        field=status,
        source=[CandidateStatus.NEW, CandidateStatus.NURTURE, CandidateStatus.ON_HOLD],
        target=CandidateStatus.TRIAGED,
    )
    def triage(self, *, actor: Actor, at: datetime, is_inferred: bool = False) -> None:
        previous = self.status
        self.hold_reason, self.resume_at = "", None
        self.enter(CandidateStatus.TRIAGED, actor=actor, at=at, is_inferred=is_inferred)
        self.record(
            lambda row: events.CandidateTriaged(candidate_id=row.pk, previous_status=previous), actor=actor, at=at
        )

    @transition(field=status, source=CandidateStatus.TRIAGED, target=CandidateStatus.NURTURE)
    def nurture(self, *, actor: Actor, at: datetime) -> None:
        self.enter(CandidateStatus.NURTURE, actor=actor, at=at)
        self.record(events.CandidateNurtured(candidate_id=self.pk, previous_status=self.status), actor=actor, at=at)

    @transition(field=status, source=[CandidateStatus.TRIAGED, CandidateStatus.NURTURE], target=CandidateStatus.ON_HOLD)
    def hold(self, *, reason: str, resume_at: datetime | None, actor: Actor, at: datetime) -> None:
        self.hold_reason, self.resume_at = reason, resume_at
        self.enter(CandidateStatus.ON_HOLD, actor=actor, at=at)
        self.record(
            events.CandidateHeld(
                candidate_id=self.pk,
                previous_status=self.status,
                resume_at=resume_at.isoformat() if resume_at else None,
            ),
            actor=actor,
            at=at,
        )

    @transition(
        field=status,
        source=[CandidateStatus.TRIAGED, CandidateStatus.NURTURE, CandidateStatus.ON_HOLD],
        target=CandidateStatus.ARCHIVED,
    )
    def archive(self, *, reason: str, actor: Actor, at: datetime) -> None:
        previous = self.status
        self.archive_reason, self.hold_reason, self.resume_at = reason, "", None
        self.enter(CandidateStatus.ARCHIVED, actor=actor, at=at)
        self.record(events.CandidateArchived(candidate_id=self.pk, previous_status=previous), actor=actor, at=at)

    @transition(field=status, source=CandidateStatus.TRIAGED, target=CandidateStatus.PROMOTED)
    def promote(self, pursuit: Pursuit, *, actor: Actor, at: datetime) -> None:
        """Note the promotion into a pursuit that is stored in the same transaction."""
        self.promoted_at = at
        self.enter(CandidateStatus.PROMOTED, actor=actor, at=at)

        def promoted(row: Any) -> events.CandidatePromoted:
            return events.CandidatePromoted(candidate_id=row.pk, pursuit_id=pursuit.pk)

        self.record(promoted, actor=actor, at=at)


class CandidateSignal(OrgModel):
    """A signal behind a candidate: who linked it, and why."""

    candidate = OrgForeignKey(Candidate, models.CASCADE, related_name="signal_links")
    signal = OrgForeignKey("workstream.Signal", models.PROTECT, related_name="candidate_links")
    linked_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.SET_NULL, null=True, blank=True, related_name="+", db_index=False
    )
    reason = models.CharField(max_length=300, blank=True)
    linked_at = models.DateTimeField()

    class Meta(OrgModel.Meta):
        constraints = [
            *tenant_constraints("candidate_signal", candidate="workstream.Candidate", signal="workstream.Signal"),
            models.UniqueConstraint(fields=["org", "candidate", "signal"], name="candidate_signal_once"),
        ]
        indexes = [models.Index(fields=["org", "signal"], name="candidate_signal_by_signal")]

    def __str__(self) -> str:
        return f"Signal {self.signal_id} behind candidate {self.candidate_id}"


class CandidateTag(OrgModel):
    """A tag on a candidate."""

    candidate = OrgForeignKey(Candidate, models.CASCADE, related_name="tag_links")
    tag = OrgForeignKey("workstream.Tag", models.CASCADE, related_name="candidate_links")

    class Meta(OrgModel.Meta):
        constraints = [
            *tenant_constraints("candidate_tag", candidate="workstream.Candidate", tag="workstream.Tag"),
            models.UniqueConstraint(fields=["org", "candidate", "tag"], name="candidate_tag_once"),
        ]
        indexes = [models.Index(fields=["org", "tag"], name="candidate_tag_by_tag")]

    def __str__(self) -> str:
        return str(self.tag)
