"""What memory is about: rows that belong to exactly one entity of the pipeline."""

from __future__ import annotations

from django.db import models
from django.db.models import Q

from flowledger.outbox.recording import RecordingModel
from flowledger.tenancy.fields import OrgForeignKey

ENTITY_MODELS: dict[str, str] = {
    "client": "clients.Client",
    "contact": "clients.Contact",
    "signal": "workstream.Signal",
    "candidate": "workstream.Candidate",
    "pursuit": "workstream.Pursuit",
    "proposal": "workstream.Proposal",
    "engagement": "workstream.Engagement",
    "thread": "workstream.MailThread",
}

# What an import brought can be taken back with what is remembered of it.
GOES_WITH = frozenset({"workstream.signal", "clients.client", "clients.contact"})


def one_entity(name: str) -> models.CheckConstraint:
    """The constraint that exactly one of the entity columns is set."""
    condition = Q()
    for chosen in ENTITY_MODELS:
        condition |= Q(**{f"{entity}__isnull": entity != chosen for entity in ENTITY_MODELS})
    return models.CheckConstraint(condition=condition, name=name)


def once_an_entity(prefix: str, *beside: str) -> list[models.UniqueConstraint]:
    """One row an entity (and what stands beside it): a partial constraint per column, so a row is in one of them."""
    return [
        models.UniqueConstraint(
            fields=["org", name, *beside], condition=Q(**{f"{name}__isnull": False}), name=f"{prefix}_of_{name}"
        )
        for name in ENTITY_MODELS
    ]


class EntityRow(RecordingModel):
    """A row about one entity: real foreign keys, one of them set. What is remembered of an entity goes with it."""

    client = OrgForeignKey("clients.Client", models.CASCADE, null=True, blank=True, related_name="+")
    contact = OrgForeignKey("clients.Contact", models.CASCADE, null=True, blank=True, related_name="+")
    signal = OrgForeignKey("workstream.Signal", models.CASCADE, null=True, blank=True, related_name="+")
    candidate = OrgForeignKey("workstream.Candidate", models.CASCADE, null=True, blank=True, related_name="+")
    pursuit = OrgForeignKey("workstream.Pursuit", models.CASCADE, null=True, blank=True, related_name="+")
    proposal = OrgForeignKey("workstream.Proposal", models.CASCADE, null=True, blank=True, related_name="+")
    engagement = OrgForeignKey("workstream.Engagement", models.CASCADE, null=True, blank=True, related_name="+")
    thread = OrgForeignKey("workstream.MailThread", models.CASCADE, null=True, blank=True, related_name="+")

    class Meta(RecordingModel.Meta):
        abstract = True

    @property
    def entity_type(self) -> str:
        """The kind of entity that this is about."""
        return next(name for name in ENTITY_MODELS if getattr(self, f"{name}_id") is not None)

    @property
    def entity_id(self) -> int:
        """The entity's own id."""
        return int(getattr(self, f"{self.entity_type}_id"))
