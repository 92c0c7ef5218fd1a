"""Redactions and legal holds."""

from __future__ import annotations

from datetime import datetime

from django.conf import settings
from django.db import models
from django.db.models import Q

from flowledger.outbox.recording import RecordingModel
from flowledger.tenancy.actors import Actor, ActorKind
from flowledger.tenancy.constraints import tenant_constraints
from memory import events
from memory.models.entities import ENTITY_MODELS, EntityRow, one_entity


class Redaction(RecordingModel):
    """Who had content removed, when and why, and what was touched: counts by table and digests, never the text.

    `erased_at` is the second stage: the database files were rewritten and hold it no more.
    """

    class Target(models.TextChoices):
        ATOM = "atom", "Atoms"
        SOURCE = "source", "What a source says"
        ENTITY = "entity", "All about an entity"
        PERSON = "person", "A person"

    target = models.CharField(max_length=6, choices=Target.choices)
    # What was named: {"atom_ids": […]}, {"entity_type": …, "entity_id": …}, {"source_type": …, "source_id": …}.
    named = models.JSONField()
    reason = models.CharField(max_length=500)
    actor_kind = models.CharField(max_length=10, choices=ActorKind.choices)
    actor_id = models.BigIntegerField(null=True, blank=True)
    actor_label = models.CharField(max_length=150, blank=True)
    redacted_at = models.DateTimeField()
    atom_count = models.PositiveIntegerField()
    touched = models.JSONField(default=dict)
    digest = models.CharField(max_length=64)
    epoch = models.BigIntegerField()
    erased_at = models.DateTimeField(null=True, blank=True)

    class Meta(RecordingModel.Meta):
        constraints = [
            *tenant_constraints("redaction"),
            models.CheckConstraint(condition=~Q(reason=""), name="redaction_has_reason"),
        ]
        indexes = [models.Index(fields=["org", "-id"], name="redaction_list")]

    def __str__(self) -> str:
        return f"Redaction {self.pk}"

    def note(self, *, actor: Actor, at: datetime) -> None:
        """Note a new redaction."""
        self.redacted_at = at
        self.actor_kind, self.actor_id, self.actor_label = actor.kind, actor.user_id, actor.label
        self.record(
            lambda row: events.MemoryRedacted(redaction_id=row.pk, target=row.target, atoms=row.atom_count),
            actor=actor,
            at=at,
        )


class LegalHold(EntityRow):
    """While it stands nothing that is remembered of the entity expires, is archived or is redacted."""

    reason = models.CharField(max_length=500)
    placed_at = models.DateTimeField()
    placed_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.SET_NULL, null=True, blank=True, related_name="+", db_index=False
    )
    released_at = models.DateTimeField(null=True, blank=True)
    released_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.SET_NULL, null=True, blank=True, related_name="+", db_index=False
    )
    release_reason = models.CharField(max_length=500, blank=True)

    class Meta(EntityRow.Meta):
        constraints = [
            *tenant_constraints("legal_hold", **ENTITY_MODELS),
            one_entity("legal_hold_one_entity"),
            models.CheckConstraint(condition=~Q(reason=""), name="legal_hold_has_reason"),
        ]
        indexes = [
            models.Index(fields=["org", "-id"], name="legal_hold_list"),
            *(
                models.Index(
                    fields=["org", name],
                    condition=Q(**{f"{name}__isnull": False, "released_at__isnull": True}),
                    name=f"legal_hold_on_{name}",
                )
                for name in ENTITY_MODELS
            ),
        ]

    def __str__(self) -> str:
        return f"Hold {self.pk}"

    def place(self, *, actor: Actor, at: datetime) -> None:
        """Note a new hold."""
        self.placed_at, self.placed_by_id = at, actor.user_id
        self.record(
            lambda row: events.HoldPlaced(hold_id=row.pk, entity_type=row.entity_type, entity_id=row.entity_id),
            actor=actor,
            at=at,
        )

    def release(self, *, reason: str, actor: Actor, at: datetime) -> None:
        """End it."""
        self.released_at, self.released_by_id, self.release_reason = at, actor.user_id, reason
        self.record(events.HoldReleased(hold_id=self.pk), actor=actor, at=at)
