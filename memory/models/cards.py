"""Memory cards: prebuilt rows, the marks of what is to be rebuilt, and who has looked when."""

from __future__ import annotations

from django.conf import settings
from django.db import models
from django.db.models import Q

from flowledger.tenancy.constraints import tenant_constraints
from memory.models.atoms import Audience
from memory.models.entities import ENTITY_MODELS, GOES_WITH, EntityRow, once_an_entity, one_entity


class MemoryCard(EntityRow):
    """What is known of an entity at a glance, one row an audience (everyone, managers); a cache that may be dropped.

    `source_epoch` is the organisation's redaction epoch that it was read at: a card of an older one is never served.
    """

    goes_with = GOES_WITH

    audience = models.CharField(max_length=8, choices=Audience.choices, default=Audience.EVERYONE)
    summary = models.JSONField()
    top_atoms = models.JSONField()
    # Deals like an open one and atoms of them, named by id: their text is read when the card is shown.
    lessons = models.JSONField(default=list)
    atom_count = models.PositiveIntegerField()
    etag = models.CharField(max_length=64)
    template_version = models.CharField(max_length=20)
    source_epoch = models.BigIntegerField()
    last_built_at = models.DateTimeField()

    class Meta(EntityRow.Meta):
        constraints = [
            *tenant_constraints("memory_card", **ENTITY_MODELS),
            one_entity("memory_card_one_entity"),
            *once_an_entity("memory_card", "audience"),
            models.CheckConstraint(condition=Q(audience__in=["everyone", "managers"]), name="memory_card_audience"),
        ]

    def __str__(self) -> str:
        return f"Card of {self.entity_type} {self.entity_id}"


class CardMark(EntityRow):
    """A card that is to be built anew at `due_at`: ten seconds after its last change, a minute after the first."""

    goes_with = GOES_WITH

    first_marked_at = models.DateTimeField()
    due_at = models.DateTimeField()

    class Meta(EntityRow.Meta):
        constraints = [
            *tenant_constraints("card_mark", **ENTITY_MODELS),
            one_entity("card_mark_one_entity"),
            *once_an_entity("card_mark"),
        ]
        indexes = [
            # Cross-tenant: what a worker builds next.
            models.Index(fields=["due_at", "id"], name="card_mark_due"),
        ]

    def __str__(self) -> str:
        return f"Mark of {self.entity_type} {self.entity_id}"


class CardLook(EntityRow):
    """When a person last looked at a card, for "since you last looked"; `since` is when they did before this visit."""

    goes_with = GOES_WITH

    user = models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE, related_name="+", db_index=False)
    looked_at = models.DateTimeField()
    since = models.DateTimeField(null=True, blank=True)

    class Meta(EntityRow.Meta):
        constraints = [
            *tenant_constraints("card_look", **ENTITY_MODELS),
            one_entity("card_look_one_entity"),
            *once_an_entity("card_look", "user"),
        ]

    def __str__(self) -> str:
        return f"Look at {self.entity_type} {self.entity_id}"
