"""Scores of items with their components, how they moved, and what people set by hand."""

from __future__ import annotations

from datetime import datetime
from typing import Any, ClassVar

from django.conf import settings
from django.db import models
from django.db.models import Q

from flowledger.outbox.recording import RecordingModel
from flowledger.tenancy.actors import Actor
from flowledger.tenancy.constraints import tenant_constraints
from flowledger.tenancy.fields import OrgForeignKey
from flowledger.tenancy.models import OrgModel
from flowledger.tenancy.querysets import OrgManager
from spotlight import events
from spotlight.querysets import ScoreQuerySet

SCORED_MODELS: dict[str, str] = {"signal": "workstream.Signal", "candidate": "workstream.Candidate"}


class Recommendation(models.TextChoices):
    """What a score comes to."""

    HIGH = "high_match", "High match"
    MEDIUM = "medium_match", "Medium match"
    LOW = "low_match", "Low match"
    NONE = "no_match", "No match"


class Cause(models.TextChoices):
    """Why an item was scored."""

    NEW = "new", "New item"
    ITEM = "item", "The item changed"
    CLIENT = "client", "Its client or contact changed"
    ENRICHMENT = "enrichment", "Enrichment"
    PROFILE = "profile", "The profile changed"
    OVERRIDE = "override", "Set by hand"
    MANUAL = "manual", "Asked for"


def _one_item(prefix: str) -> models.CheckConstraint:
    return models.CheckConstraint(
        condition=Q(signal__isnull=False, candidate__isnull=True) | Q(signal__isnull=True, candidate__isnull=False),
        name=f"{prefix}_one_item",
    )


def _is_share(name: str) -> Q:
    return Q(**{f"{name}__gte": 0, f"{name}__lte": 1})


class _OfItem(OrgModel):
    """Something about a signal or a candidate."""

    signal = OrgForeignKey("workstream.Signal", models.CASCADE, null=True, blank=True, related_name="+")
    candidate = OrgForeignKey("workstream.Candidate", models.CASCADE, null=True, blank=True, related_name="+")

    class Meta(OrgModel.Meta):
        abstract = True

    @property
    def item_type(self) -> str:
        """The kind of item this is about."""
        return next(name for name in SCORED_MODELS if getattr(self, f"{name}_id") is not None)

    @property
    def item_id(self) -> int:
        """The item's own id."""
        return int(getattr(self, f"{self.item_type}_id"))


class SpotlightScore(_OfItem):
    """What an item scores against a profile, as last computed; an override stands beside it.

    `components` is compact, in the order of the version's criteria: [[criterion_id, credit 0…1 or null for unknown,
    value seen, source], …]; sentences and contributions are made from them and the version.
    """

    # What an import brought can be taken back with its scores.
    goes_with = frozenset({"workstream.signal"})

    spotlight = OrgForeignKey("spotlight.Spotlight", models.CASCADE, related_name="scores")
    spotlight_version = models.PositiveIntegerField()
    match_score = models.DecimalField(max_digits=5, decimal_places=4)
    recommendation = models.CharField(max_length=12, choices=Recommendation.choices)
    coverage = models.DecimalField(max_digits=5, decimal_places=4)
    matched_fields = models.PositiveSmallIntegerField()
    total_fields = models.PositiveSmallIntegerField()
    components = models.JSONField()
    algorithm_version = models.CharField(max_length=20)
    evaluated_at = models.DateTimeField()

    all_orgs: ClassVar[Any] = models.Manager.from_queryset(ScoreQuerySet)()
    objects: ClassVar[Any] = OrgManager.from_queryset(ScoreQuerySet)()

    class Meta(_OfItem.Meta):
        constraints = [
            *tenant_constraints("spotlight_score", spotlight="spotlight.Spotlight", **SCORED_MODELS),
            _one_item("spotlight_score"),
            *(
                models.UniqueConstraint(
                    fields=["org", name, "spotlight"],
                    condition=Q(**{f"{name}__isnull": False}),
                    name=f"spotlight_score_of_{name}",
                )
                for name in SCORED_MODELS
            ),
            models.CheckConstraint(condition=_is_share("match_score"), name="spotlight_score_range"),
            models.CheckConstraint(condition=_is_share("coverage"), name="spotlight_score_coverage"),
            models.CheckConstraint(
                condition=Q(recommendation__in=Recommendation.values), name="spotlight_score_recommendation"
            ),
        ]
        indexes = [
            # The signals of a profile by score: its page, match rates.
            models.Index(
                fields=["org", "spotlight", "-match_score", "-id"],
                include=["recommendation", "spotlight_version"],
                condition=Q(signal__isnull=False),
                name="spotlight_score_ranked",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.match_score} {self.get_recommendation_display()}"


class SpotlightScoreChange(_OfItem):
    """One move of a score: from what to what, which components changed, and why.

    `components` holds those that changed: [[criterion_id, field_name, credit before, credit after, seen before, seen
    after, source after], …]; a criterion that came or went has null on its other side.
    """

    goes_with = frozenset({"workstream.signal"})

    spotlight = OrgForeignKey("spotlight.Spotlight", models.CASCADE, related_name="changes")
    happened_at = models.DateTimeField()
    cause = models.CharField(max_length=10, choices=Cause.choices)
    previous_score = models.DecimalField(max_digits=5, decimal_places=4)
    match_score = models.DecimalField(max_digits=5, decimal_places=4)
    previous_recommendation = models.CharField(max_length=12, choices=Recommendation.choices)
    recommendation = models.CharField(max_length=12, choices=Recommendation.choices)
    previous_version = models.PositiveIntegerField()
    spotlight_version = models.PositiveIntegerField()
    components = models.JSONField(default=list)

    class Meta(_OfItem.Meta):
        constraints = [
            *tenant_constraints("spotlight_score_change", spotlight="spotlight.Spotlight", **SCORED_MODELS),
            _one_item("spotlight_score_change"),
            models.CheckConstraint(condition=Q(cause__in=Cause.values), name="spotlight_score_change_cause"),
        ]
        indexes = [
            *(
                models.Index(
                    fields=["org", name, "-happened_at", "-id"],
                    condition=Q(**{f"{name}__isnull": False}),
                    name=f"spotlight_change_of_{name}",
                )
                for name in SCORED_MODELS
            ),
        ]

    def __str__(self) -> str:
        return f"{self.previous_score} → {self.match_score}"


class SpotlightFit(_OfItem):
    """The best that an item scores among the active profiles, overrides included; what lists and routing read."""

    goes_with = frozenset({"workstream.signal"})

    spotlight = OrgForeignKey("spotlight.Spotlight", models.CASCADE, related_name="+")
    match_score = models.DecimalField(max_digits=5, decimal_places=4)
    recommendation = models.CharField(max_length=12, choices=Recommendation.choices)
    coverage = models.DecimalField(max_digits=5, decimal_places=4)
    is_override = models.BooleanField(default=False)
    evaluated_at = models.DateTimeField()

    class Meta(_OfItem.Meta):
        constraints = [
            *tenant_constraints("spotlight_fit", spotlight="spotlight.Spotlight", **SCORED_MODELS),
            _one_item("spotlight_fit"),
            *(
                models.UniqueConstraint(
                    fields=["org", name], condition=Q(**{f"{name}__isnull": False}), name=f"spotlight_fit_of_{name}"
                )
                for name in SCORED_MODELS
            ),
            models.CheckConstraint(
                condition=Q(recommendation__in=Recommendation.values), name="spotlight_fit_recommendation"
            ),
        ]
        indexes = [
            models.Index(
                fields=["org", "recommendation", "-match_score", "-id"],
                condition=Q(signal__isnull=False),
                name="spotlight_fit_ranked",
            )
        ]

    def __str__(self) -> str:
        return f"{self.match_score} {self.get_recommendation_display()}"


class ScoreOverride(RecordingModel, _OfItem):
    """A score that a person set, with the reason, until it expires or is taken back; ended ones are kept."""

    spotlight = OrgForeignKey("spotlight.Spotlight", models.CASCADE, related_name="overrides")
    match_score = models.DecimalField(max_digits=5, decimal_places=4)
    recommendation = models.CharField(max_length=12, choices=Recommendation.choices)
    reason = models.CharField(max_length=500)
    set_at = models.DateTimeField()
    set_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.SET_NULL, null=True, blank=True, related_name="+", db_index=False
    )
    set_by_label = models.CharField(max_length=200, blank=True)
    expires_at = models.DateTimeField()
    ended_at = models.DateTimeField(null=True, blank=True)
    ended_by_label = models.CharField(max_length=200, blank=True)

    class Meta(RecordingModel.Meta):
        constraints = [
            *tenant_constraints("score_override", spotlight="spotlight.Spotlight", **SCORED_MODELS),
            _one_item("score_override"),
            models.CheckConstraint(condition=~Q(reason=""), name="score_override_has_reason"),
            models.CheckConstraint(condition=_is_share("match_score"), name="score_override_range"),
            models.CheckConstraint(
                condition=Q(recommendation__in=Recommendation.values), name="score_override_recommendation"
            ),
            *(
                models.UniqueConstraint(
                    fields=["org", name, "spotlight"],
                    condition=Q(ended_at__isnull=True, **{f"{name}__isnull": False}),
                    name=f"score_override_of_{name}",
                )
                for name in SCORED_MODELS
            ),
        ]
        indexes = [
            # Cross-tenant: overrides that expire.
            models.Index(fields=["expires_at"], condition=Q(ended_at__isnull=True), name="score_override_due"),
        ]

    def __str__(self) -> str:
        return f"{self.match_score}: {self.reason[:60]}"

    def begin(self, *, actor: Actor, at: datetime) -> None:
        """Note who set it, and when."""
        self.set_at, self.set_by_id, self.set_by_label = at, actor.user_id, actor.label[:200]
        self.record(lambda row: row.told(is_ended=False), actor=actor, at=at)

    def end(self, *, actor: Actor, at: datetime) -> None:
        """The computed score counts again."""
        self.ended_at, self.ended_by_label = at, actor.label[:200]
        self.record(self.told(is_ended=True), actor=actor, at=at)

    def told(self, *, is_ended: bool) -> events.SpotlightOverridden:
        """What there is to say of it."""
        return events.SpotlightOverridden(
            item_type=self.item_type,
            item_id=self.item_id,
            spotlight_id=self.spotlight_id,
            override_id=self.pk,
            recommendation=str(self.recommendation),
            is_ended=is_ended,
        )
