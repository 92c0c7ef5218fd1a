"""Ideal-customer profiles: what they look at, what they want and what each wish weighs, and every version of them."""

from __future__ import annotations

from datetime import datetime
from typing import Any, ClassVar

from django.conf import settings
from django.db import models
from django.db.models import F, Q

from flowledger.outbox.recording import RecordingModel
from flowledger.tenancy.actors import Actor
from flowledger.tenancy.constraints import tenant_constraints
from flowledger.tenancy.fields import OrgForeignKey
from flowledger.tenancy.models import OrgModel
from flowledger.tenancy.querysets import OrgManager
from spotlight import events
from spotlight.querysets import SpotlightQuerySet


class FieldType(models.TextChoices):
    """What the values of a field are."""

    TEXT = "text", "Text"
    NUMBER = "number", "Number"
    BOOLEAN = "boolean", "Yes or no"
    ENUM = "enum", "One of a list"
    DATE = "date", "Date"


class Operator(models.TextChoices):
    """How a value is compared."""

    EQUAL = "=", "is"
    NOT_EQUAL = "!=", "is not"
    ABOVE = ">", "above"
    AT_LEAST = ">=", "at least"
    BELOW = "<", "below"
    AT_MOST = "<=", "at most"
    BETWEEN = "between", "between"
    IN = "in", "one of"
    CONTAINS = "contains", "contains"
    MATCHES = "matches", "matches the pattern"


class FieldEffect(models.TextChoices):
    """What a condition does to a field of a form."""

    SHOW = "show", "Show"
    REQUIRE = "require", "Require"
    HIDE = "hide", "Hide"


class VersionOrigin(models.TextChoices):
    """How a version of a profile came to be."""

    EDITED = "edited", "Edited"
    CLONED = "cloned", "Cloned"
    LEARNED = "learned", "Learned from outcomes"
    REVERTED = "reverted", "Went back to an earlier version"


class Spotlight(RecordingModel):
    """One ideal-customer profile. `version` grows with every change that can move a score."""

    name = models.CharField(max_length=120)
    domain = models.CharField(max_length=60)
    description = models.TextField(max_length=2_000, blank=True)
    active = models.BooleanField(default=True)
    version = models.PositiveIntegerField(default=1, editable=False)

    all_orgs: ClassVar[Any] = models.Manager.from_queryset(SpotlightQuerySet)()
    objects: ClassVar[Any] = OrgManager.from_queryset(SpotlightQuerySet)()

    class Meta(RecordingModel.Meta):
        constraints = [
            *tenant_constraints("spotlight"),
            models.UniqueConstraint(fields=["org", "name"], name="spotlight_name"),
            models.CheckConstraint(condition=~Q(name=""), name="spotlight_has_name"),
            models.CheckConstraint(condition=Q(domain__regex=r"^[a-z0-9][a-z0-9_-]*$"), name="spotlight_domain"),
            models.CheckConstraint(condition=Q(version__gte=1), name="spotlight_version_counts"),
        ]

    def __str__(self) -> str:
        return self.name

    def note_creation(self, *, actor: Actor, at: datetime, cloned_from: int | None = None) -> None:
        """Record that the profile was made, by hand or as a copy."""
        self.record(
            lambda row: events.SpotlightCreated(spotlight_id=row.pk, version=row.version, cloned_from=cloned_from),
            actor=actor,
            at=at,
        )

    def note_change(self, *, changed: list[str], moves_scores: bool, actor: Actor, at: datetime) -> None:
        """Record what of the profile was changed."""
        self.record(
            events.SpotlightUpdated(
                spotlight_id=self.pk, version=self.version, changed=changed, moves_scores=moves_scores
            ),
            actor=actor,
            at=at,
        )


class SpotlightField(OrgModel):
    """One thing that profiles of a domain look at.

    `aliases` are other names under which signals and enrichment bring the same fact.
    """

    domain = models.CharField(max_length=60)
    field_name = models.CharField(max_length=60)
    label = models.CharField(max_length=120, blank=True)
    field_type = models.CharField(max_length=7, choices=FieldType.choices)
    is_required = models.BooleanField(default=False)
    display_order = models.PositiveIntegerField(default=0)
    enum_values = models.JSONField(default=list, blank=True)
    aliases = models.JSONField(default=list, blank=True)

    class Meta(OrgModel.Meta):
        constraints = [
            *tenant_constraints("spotlight_field"),
            models.UniqueConstraint(fields=["org", "domain", "field_name"], name="spotlight_field_name"),
            models.CheckConstraint(condition=Q(field_type__in=FieldType.values), name="spotlight_field_type"),
            models.CheckConstraint(
                condition=Q(field_name__regex=r"^[a-z][a-z0-9_]*$"), name="spotlight_field_name_shape"
            ),
            models.CheckConstraint(condition=Q(domain__regex=r"^[a-z0-9][a-z0-9_-]*$"), name="spotlight_field_domain"),
            models.CheckConstraint(
                condition=~Q(field_type=FieldType.ENUM) | ~Q(enum_values=[]), name="spotlight_field_enum_has_values"
            ),
        ]

    def __str__(self) -> str:
        return self.label or self.field_name.replace("_", " ")


class SpotlightCriterion(OrgModel):
    """One wish of a profile: a comparison with a weight. `value` has the shape that the operator and the type ask for.

    A required criterion that is unknown or not met at all keeps the recommendation at low_match.
    """

    spotlight = OrgForeignKey(Spotlight, models.CASCADE, related_name="criteria")
    field = OrgForeignKey(SpotlightField, models.PROTECT, related_name="criteria")
    operator = models.CharField(max_length=8, choices=Operator.choices)
    value = models.JSONField()
    weight = models.DecimalField(max_digits=7, decimal_places=3)
    required = models.BooleanField(default=False)
    position = models.PositiveIntegerField(default=0)

    class Meta(OrgModel.Meta):
        verbose_name_plural = "spotlight criteria"
        constraints = [
            *tenant_constraints(
                "spotlight_criterion", spotlight="spotlight.Spotlight", field="spotlight.SpotlightField"
            ),
            models.CheckConstraint(condition=Q(operator__in=Operator.values), name="spotlight_criterion_operator"),
            models.CheckConstraint(condition=Q(weight__gte=0, weight__lte=1_000), name="spotlight_criterion_weight"),
        ]
        indexes = [
            models.Index(fields=["org", "spotlight", "position", "id"], name="spotlight_criterion_list"),
            models.Index(fields=["org", "field"], name="spotlight_criterion_of_field"),
        ]

    def __str__(self) -> str:
        return f"{self.field} {self.get_operator_display()} {self.value}"


class FieldRule(OrgModel):
    """What shows, requires or hides a field of a form: the value of another one."""

    field = OrgForeignKey(SpotlightField, models.CASCADE, related_name="rules")
    condition_field = OrgForeignKey(SpotlightField, models.CASCADE, related_name="conditions")
    operator = models.CharField(max_length=8, choices=Operator.choices)
    condition_value = models.JSONField()
    effect = models.CharField(max_length=7, choices=FieldEffect.choices)

    class Meta(OrgModel.Meta):
        constraints = [
            *tenant_constraints(
                "field_rule", field="spotlight.SpotlightField", condition_field="spotlight.SpotlightField"
            ),
            models.CheckConstraint(condition=Q(operator__in=Operator.values), name="field_rule_operator"),
            models.CheckConstraint(condition=Q(effect__in=FieldEffect.values), name="field_rule_effect"),
            models.CheckConstraint(condition=~Q(field=F("condition_field")), name="field_rule_of_another"),
        ]
        indexes = [models.Index(fields=["org", "field", "id"], name="field_rule_of_field")]

    def __str__(self) -> str:
        return f"{self.get_effect_display()} {self.field}"


class SpotlightVersion(OrgModel):
    """What a profile was at one version, whole; the database refuses to change it.

    `definition` is {name, domain, criteria: [{criterion_id, field_name, label, field_type, enum_values, aliases,
    operator, value, weight, required}]}: all that the evaluation reads.
    """

    spotlight = OrgForeignKey(Spotlight, models.CASCADE, related_name="versions")
    version = models.PositiveIntegerField()
    definition = models.JSONField()
    origin = models.CharField(max_length=8, choices=VersionOrigin.choices, default=VersionOrigin.EDITED)
    note = models.CharField(max_length=500, blank=True)
    made_at = models.DateTimeField()
    made_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.SET_NULL, null=True, blank=True, related_name="+", db_index=False
    )
    made_by_label = models.CharField(max_length=200, blank=True)

    class Meta(OrgModel.Meta):
        constraints = [
            *tenant_constraints("spotlight_version", spotlight="spotlight.Spotlight"),
            models.UniqueConstraint(fields=["org", "spotlight", "version"], name="spotlight_version_once"),
            models.CheckConstraint(condition=Q(origin__in=VersionOrigin.values), name="spotlight_version_origin"),
        ]

    def __str__(self) -> str:
        return f"Version {self.version}"
