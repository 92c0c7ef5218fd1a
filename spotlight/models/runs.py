"""Work over many items: re-scores, the routing of signals with its review queue, and weights learned from outcomes."""

from __future__ import annotations

from datetime import datetime
from typing import Any, ClassVar

from django.conf import settings
from django.db import models
from django.db.models import Q
from django_fsm import FSMField, transition

from flowledger.outbox.recording import RecordingModel
from flowledger.tenancy.actors import Actor
from flowledger.tenancy.constraints import tenant_constraints
from flowledger.tenancy.fields import OrgForeignKey
from flowledger.tenancy.querysets import OrgManager
from spotlight import events
from spotlight.machines import ProposalStatus, RescoreStatus, ReviewStatus
from spotlight.models.scores import Cause, Recommendation
from spotlight.querysets import RescoreRunQuerySet, RoutedSignalQuerySet


class RouteAction(models.TextChoices):
    """What is done with a signal of a band."""

    CANDIDATE = "candidate", "Open a candidate, first in line"
    NURTURE = "nurture", "Open a candidate in nurture"
    REVIEW = "review", "Put it into the review queue"
    NONE = "none", "Leave it as a signal"


# What may be routed anew when its band rises; what was accepted has its candidate.
UNDECIDED_OR_DISMISSED = [ReviewStatus.SETTLED, ReviewStatus.WAITING, ReviewStatus.DISMISSED]


class RescoreRun(RecordingModel):
    """Scoring many items anew, a batch per transaction, the newest first; `cursor` is the last item that is done.

    Without a spotlight all active ones are meant; with a client or contact their items alone. Signals first, then
    candidates: `item_type` says which. Items that came after its start are not its own: they are scored as they come.
    """

    spotlight = OrgForeignKey("spotlight.Spotlight", models.CASCADE, null=True, blank=True, related_name="rescores")
    client = OrgForeignKey("clients.Client", models.CASCADE, null=True, blank=True, related_name="+")
    contact = OrgForeignKey("clients.Contact", models.CASCADE, null=True, blank=True, related_name="+")
    cause = models.CharField(max_length=10, choices=Cause.choices)
    reason = models.CharField(max_length=500, blank=True)
    status = FSMField(
        choices=RescoreStatus.choices, default=RescoreStatus.RUNNING, max_length=10, protected=True, db_index=False
    )
    item_type = models.CharField(
        max_length=9, choices=[("signal", "Signals"), ("candidate", "Candidates")], default="signal"
    )
    cursor = models.BigIntegerField(default=0)
    # Off: it follows from imported history, and its events have the origin `import`, so that nothing is routed by them.
    fires_rules = models.BooleanField(default=True)
    items_total = models.PositiveIntegerField(default=0)
    done_count = models.PositiveIntegerField(default=0)
    changed_count = models.PositiveIntegerField(default=0)
    started_at = models.DateTimeField()
    started_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.SET_NULL, null=True, blank=True, related_name="+", db_index=False
    )
    finished_at = models.DateTimeField(null=True, blank=True, editable=False)
    failure = models.CharField(max_length=500, blank=True, editable=False)

    # A merge starts a run of its own for the survivor, and must not wait for the batch in hand.
    follows_merges = False
    goes_with = frozenset({"clients.client", "clients.contact"})

    all_orgs: ClassVar[Any] = models.Manager.from_queryset(RescoreRunQuerySet)()
    objects: ClassVar[Any] = OrgManager.from_queryset(RescoreRunQuerySet)()

    class Meta(RecordingModel.Meta):
        constraints = [
            *tenant_constraints(
                "rescore_run", spotlight="spotlight.Spotlight", client="clients.Client", contact="clients.Contact"
            ),
            models.CheckConstraint(condition=Q(status__in=RescoreStatus.values), name="rescore_run_status"),
            models.CheckConstraint(condition=Q(cause__in=Cause.values), name="rescore_run_cause"),
        ]
        indexes = [
            models.Index(fields=["org", "-id"], name="rescore_run_list"),
            # Cross-tenant: what a worker takes up.
            models.Index(fields=["id"], condition=Q(status=RescoreStatus.RUNNING), name="rescore_run_to_do"),
        ]

    def __str__(self) -> str:
        return f"Re-score {self.pk}"

    def begin(self, *, actor: Actor, at: datetime) -> None:
        """Note the start of a new run."""
        self.started_at, self.started_by_id = at, actor.user_id
        self.record(
            lambda row: events.RescoreStarted(rescore_id=row.pk, spotlight_id=row.spotlight_id, cause=row.cause),
            actor=actor,
            at=at,
        )

    @transition(field=status, source=RescoreStatus.RUNNING, target=RescoreStatus.DONE)
    def finish(self, *, actor: Actor, at: datetime) -> None:
        """Every item has its score."""
        self._end(RescoreStatus.DONE, actor, at)

    @transition(field=status, source=RescoreStatus.RUNNING, target=RescoreStatus.SUPERSEDED)
    def supersede(self, *, actor: Actor, at: datetime) -> None:
        """A newer run does the same and more."""
        self._end(RescoreStatus.SUPERSEDED, actor, at)

    @transition(field=status, source=RescoreStatus.RUNNING, target=RescoreStatus.CANCELLED)
    def cancel(self, *, actor: Actor, at: datetime) -> None:
        """What is scored stays; the rest keeps the score of an earlier version."""
        self._end(RescoreStatus.CANCELLED, actor, at)

    def _end(self, status: RescoreStatus, actor: Actor, at: datetime) -> None:
        self.finished_at = at
        self.record(
            events.RescoreFinished(
                rescore_id=self.pk, status=status.value, done=self.done_count, changed=self.changed_count
            ),
            actor=actor,
            at=at,
        )


class RoutedSignal(RecordingModel):
    """What became of a signal by its score; one a signal, so that a repeated event routes nothing twice.

    A signal whose score rises later is routed once more, up only: from none to review, from either to a candidate.
    """

    goes_with = frozenset({"workstream.signal"})

    signal = OrgForeignKey("workstream.Signal", models.CASCADE, related_name="+")
    spotlight = OrgForeignKey("spotlight.Spotlight", models.SET_NULL, null=True, blank=True, related_name="+")
    recommendation = models.CharField(max_length=12, choices=Recommendation.choices)
    match_score = models.DecimalField(max_digits=5, decimal_places=4)
    action = models.CharField(max_length=9, choices=RouteAction.choices)
    candidate = OrgForeignKey("workstream.Candidate", models.SET_NULL, null=True, blank=True, related_name="+")
    review_status = FSMField(
        choices=ReviewStatus.choices, default=ReviewStatus.SETTLED, max_length=9, protected=True, db_index=False
    )
    reason = models.CharField(max_length=500, blank=True)
    routed_at = models.DateTimeField()
    decided_at = models.DateTimeField(null=True, blank=True, editable=False)
    decided_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.SET_NULL, null=True, blank=True, related_name="+", db_index=False
    )
    decision_note = models.CharField(max_length=500, blank=True, editable=False)

    all_orgs: ClassVar[Any] = models.Manager.from_queryset(RoutedSignalQuerySet)()
    objects: ClassVar[Any] = OrgManager.from_queryset(RoutedSignalQuerySet)()

    class Meta(RecordingModel.Meta):
        constraints = [
            *tenant_constraints(
                "routed_signal",
                signal="workstream.Signal",
                spotlight="spotlight.Spotlight",
                candidate="workstream.Candidate",
            ),
            models.UniqueConstraint(fields=["org", "signal"], name="routed_signal_once"),
            models.CheckConstraint(condition=Q(action__in=RouteAction.values), name="routed_signal_action"),
            models.CheckConstraint(condition=Q(review_status__in=ReviewStatus.values), name="routed_signal_review"),
            models.CheckConstraint(
                condition=Q(recommendation__in=Recommendation.values), name="routed_signal_recommendation"
            ),
        ]
        indexes = [
            # The review queue, best first.
            models.Index(
                fields=["org", "-match_score", "id"],
                condition=Q(review_status=ReviewStatus.WAITING),
                name="routed_signal_waiting",
            ),
            models.Index(
                fields=["org", "candidate"], condition=Q(candidate__isnull=False), name="routed_signal_of_candidate"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.get_action_display()} ({self.get_recommendation_display()})"

    @transition(field=review_status, source=UNDECIDED_OR_DISMISSED, target=ReviewStatus.WAITING)
    def ask(self, *, actor: Actor, at: datetime) -> None:
        """Routed to somebody who is to look at it."""
        self._note_routing(actor, at, is_review=True)

    @transition(field=review_status, source=UNDECIDED_OR_DISMISSED, target=ReviewStatus.SETTLED)
    def settle(self, *, actor: Actor, at: datetime) -> None:
        """Routed by its rule: a candidate was made, or nothing is to be done."""
        self._note_routing(actor, at, is_review=False)

    @transition(field=review_status, source=ReviewStatus.WAITING, target=ReviewStatus.ACCEPTED)
    def accept(self, *, candidate_id: int, note: str, actor: Actor, at: datetime) -> None:
        """A person made a candidate of it."""
        self.candidate_id = candidate_id
        self._decide("accepted", note, actor, at)

    @transition(field=review_status, source=ReviewStatus.WAITING, target=ReviewStatus.DISMISSED)
    def dismiss(self, *, note: str, actor: Actor, at: datetime) -> None:
        """A person leaves it a signal."""
        self._decide("dismissed", note, actor, at)

    def _note_routing(self, actor: Actor, at: datetime, *, is_review: bool) -> None:
        self.routed_at = at
        # A decision about a lower band says nothing about this one.
        self.decided_at, self.decided_by_id, self.decision_note = None, None, ""
        self.record(
            events.SignalRouted(
                signal_id=self.signal_id,
                recommendation=self.recommendation,
                action=self.action,
                candidate_id=self.candidate_id,
                is_review=is_review,
            ),
            actor=actor,
            at=at,
        )

    def _decide(self, decision: str, note: str, actor: Actor, at: datetime) -> None:
        self.decided_at, self.decided_by_id, self.decision_note = at, actor.user_id, note
        self.record(
            events.ReviewDecided(signal_id=self.signal_id, decision=decision, candidate_id=self.candidate_id),
            actor=actor,
            at=at,
        )


class WeightProposal(RecordingModel):
    """Weights that outcomes propose for a version of a profile; nothing changes until a manager accepts.

    `weights` is {criterion_id as text: weight}; `evidence` holds counts, quality before and after on outcomes that were
    held back, lift, calibration and the effect of each criterion, as `spotlight.learning` makes them. Too few outcomes
    make no proposal.
    """

    spotlight = OrgForeignKey("spotlight.Spotlight", models.CASCADE, related_name="proposals")
    base_version = models.PositiveIntegerField()
    weights = models.JSONField(default=dict)
    evidence = models.JSONField(default=dict)
    status = FSMField(
        choices=ProposalStatus.choices, default=ProposalStatus.PROPOSED, max_length=10, protected=True, db_index=False
    )
    made_at = models.DateTimeField()
    made_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.SET_NULL, null=True, blank=True, related_name="+", db_index=False
    )
    decided_at = models.DateTimeField(null=True, blank=True, editable=False)
    decided_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.SET_NULL, null=True, blank=True, related_name="+", db_index=False
    )
    applied_version = models.PositiveIntegerField(null=True, blank=True, editable=False)

    class Meta(RecordingModel.Meta):
        constraints = [
            *tenant_constraints("weight_proposal", spotlight="spotlight.Spotlight"),
            models.CheckConstraint(condition=Q(status__in=ProposalStatus.values), name="weight_proposal_status"),
            # One waits at a time; a newer one supersedes it.
            models.UniqueConstraint(
                fields=["org", "spotlight"],
                condition=Q(status=ProposalStatus.PROPOSED),
                name="weight_proposal_waiting",
            ),
        ]
        indexes = [models.Index(fields=["org", "spotlight", "-id"], name="weight_proposal_list")]

    def __str__(self) -> str:
        return f"Weights proposed on {self.made_at:%Y-%m-%d}"

    def propose(self, *, actor: Actor, at: datetime) -> None:
        """Note a new proposal."""
        self.made_at, self.made_by_id = at, actor.user_id
        self.record(
            lambda row: events.WeightsProposed(spotlight_id=row.spotlight_id, proposal_id=row.pk), actor=actor, at=at
        )

    @transition(field=status, source=ProposalStatus.PROPOSED, target=ProposalStatus.ACCEPTED)
    def accept(self, *, version: int, actor: Actor, at: datetime) -> None:
        """The profile has these weights from `version` on."""
        self.applied_version = version
        self._decide(ProposalStatus.ACCEPTED, version, actor, at)

    @transition(field=status, source=ProposalStatus.PROPOSED, target=ProposalStatus.REJECTED)
    def reject(self, *, actor: Actor, at: datetime) -> None:
        """The profile stays as it is."""
        self._decide(ProposalStatus.REJECTED, self.base_version, actor, at)

    @transition(field=status, source=ProposalStatus.PROPOSED, target=ProposalStatus.SUPERSEDED)
    def supersede(self, *, actor: Actor, at: datetime) -> None:
        """A newer proposal, or a change of the profile, took its place."""
        self._decide(ProposalStatus.SUPERSEDED, self.base_version, actor, at)

    @transition(field=status, source=ProposalStatus.ACCEPTED, target=ProposalStatus.REVERTED)
    def revert(self, *, version: int, actor: Actor, at: datetime) -> None:
        """The profile went back to what it was before, as `version`."""
        self._decide(ProposalStatus.REVERTED, version, actor, at)

    def _decide(self, status: ProposalStatus, version: int, actor: Actor, at: datetime) -> None:
        self.decided_at, self.decided_by_id = at, actor.user_id
        self.record(
            events.WeightsDecided(
                spotlight_id=self.spotlight_id, proposal_id=self.pk, status=status.value, version=version
            ),
            actor=actor,
            at=at,
        )
