"""The keys by which clients and contacts are recognised, and the pairs of them that want a person's judgement."""

from __future__ import annotations

from datetime import datetime
from typing import Any, ClassVar

from django.conf import settings
from django.db import models
from django.db.models import F, Q

from flowledger.clients.events import IdentityConflictResolved
from flowledger.clients.identity import KeyType
from flowledger.clients.models.directory import Client, Contact, is_object
from flowledger.clients.querysets import IdentityConflictQuerySet, IdentityKeyQuerySet
from flowledger.outbox.recording import RecordingModel
from flowledger.tenancy.actors import Actor
from flowledger.tenancy.constraints import tenant_constraints
from flowledger.tenancy.fields import OrgForeignKey
from flowledger.tenancy.models import OrgModel
from flowledger.tenancy.querysets import OrgManager


class KeyStatus(models.TextChoices):
    """How a key came to point where it points."""

    UNRESOLVED = "unresolved", "Points nowhere yet"
    AUTO = "auto", "Resolved by rule"
    MANUAL = "manual", "Set by a person"
    CONFLICT = "conflict", "Contradicted another key"


class IdentityKey(OrgModel):
    """A normalised key and the contact or client that it names: one row per key, which is what resolution locks."""

    key_type = models.CharField(max_length=14, choices=[(kind.value, kind.value.replace("_", " ")) for kind in KeyType])
    key_value = models.CharField(max_length=255)
    contact = OrgForeignKey(Contact, models.CASCADE, null=True, blank=True, related_name="identity_keys")
    client = OrgForeignKey(Client, models.CASCADE, null=True, blank=True, related_name="identity_keys")
    confidence = models.DecimalField(max_digits=3, decimal_places=2, default=1)
    occurrences = models.PositiveIntegerField(default=1)
    first_seen = models.DateTimeField()
    last_seen = models.DateTimeField()
    status = models.CharField(max_length=10, choices=KeyStatus.choices, default=KeyStatus.UNRESOLVED)

    all_orgs: ClassVar[Any] = models.Manager.from_queryset(IdentityKeyQuerySet)()
    objects: ClassVar[Any] = OrgManager.from_queryset(IdentityKeyQuerySet)()

    class Meta(OrgModel.Meta):
        constraints = [
            *tenant_constraints("identity_key", contact="clients.Contact", client="clients.Client"),
            models.UniqueConstraint(fields=["org", "key_type", "key_value"], name="identity_key_once"),
            models.CheckConstraint(
                condition=Q(key_type__in=[kind.value for kind in KeyType]), name="identity_key_type"
            ),
            models.CheckConstraint(condition=~Q(key_value=""), name="identity_key_has_value"),
            models.CheckConstraint(condition=Q(status__in=KeyStatus.values), name="identity_key_status"),
            models.CheckConstraint(condition=Q(confidence__gte=0, confidence__lte=1), name="identity_key_confidence"),
            models.CheckConstraint(condition=Q(first_seen__lte=F("last_seen")), name="identity_key_seen_in_order"),
            models.CheckConstraint(
                condition=Q(status=KeyStatus.UNRESOLVED, contact__isnull=True, client__isnull=True)
                | (~Q(status=KeyStatus.UNRESOLVED) & (Q(contact__isnull=False) | Q(client__isnull=False))),
                name="identity_key_resolved_or_not",
            ),
            # A person's key names a contact and a company's key a client; their client is the contact's own column.
            models.CheckConstraint(
                condition=~Q(key_type__in=[KeyType.EMAIL.value, KeyType.PHONE.value]) | Q(client__isnull=True),
                name="identity_key_of_person",
            ),
            models.CheckConstraint(
                condition=~Q(key_type__in=[KeyType.COMPANY_DOMAIN.value, KeyType.COMPANY_NAME.value])
                | Q(contact__isnull=True),
                name="identity_key_of_company",
            ),
        ]
        indexes = [
            # The keys of one contact or client: their pages, merges, deletes.
            models.Index(fields=["org", "contact"], condition=Q(contact__isnull=False), name="identity_key_by_contact"),
            models.Index(fields=["org", "client"], condition=Q(client__isnull=False), name="identity_key_by_client"),
            # The review queue and its counts.
            models.Index(
                fields=["org", "status", "-last_seen"],
                condition=Q(status__in=[KeyStatus.UNRESOLVED.value, KeyStatus.CONFLICT.value]),
                name="identity_key_to_review",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.key_type} {self.key_value}"


class ConflictKind(models.TextChoices):
    """Why two records are shown side by side."""

    CONFLICT = "conflict", "Keys contradict"
    SUGGESTION = "suggestion", "May be the same"


class ConflictStatus(models.TextChoices):
    """What became of a pair."""

    OPEN = "open", "To be decided"
    MERGED = "merged", "Merged"
    KEPT_APART = "kept_apart", "Not the same"


class IdentityConflict(RecordingModel):
    """Two contacts, or two clients, that signals took for each other: one row a pair, decided by a person.

    The one with the smaller key is first. A pair that was kept apart stays so however often signals bring it up again.
    A merge does not move these rows: a side that became a tombstone stands for its survivor, and a pair whose sides
    have become the same is merged.
    """

    follows_merges: ClassVar[bool] = False

    kind = models.CharField(max_length=10, choices=ConflictKind.choices)
    contact = OrgForeignKey(Contact, models.CASCADE, null=True, blank=True, related_name="+")
    other_contact = OrgForeignKey(Contact, models.CASCADE, null=True, blank=True, related_name="+")
    client = OrgForeignKey(Client, models.CASCADE, null=True, blank=True, related_name="+")
    other_client = OrgForeignKey(Client, models.CASCADE, null=True, blank=True, related_name="+")
    score = models.DecimalField(max_digits=3, decimal_places=2)
    # What spoke for and against, as `identity_resolution.rules` of a signal has it; `{"rules": […]}`.
    explanation = models.JSONField(default=dict, blank=True)
    occurrences = models.PositiveIntegerField(default=1)
    first_seen = models.DateTimeField()
    last_seen = models.DateTimeField()
    status = models.CharField(max_length=10, choices=ConflictStatus.choices, default=ConflictStatus.OPEN)
    resolved_at = models.DateTimeField(null=True, blank=True, editable=False)
    resolved_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.SET_NULL, null=True, blank=True, related_name="+", db_index=False
    )
    note = models.CharField(max_length=500, blank=True)

    all_orgs: ClassVar[Any] = models.Manager.from_queryset(IdentityConflictQuerySet)()
    objects: ClassVar[Any] = OrgManager.from_queryset(IdentityConflictQuerySet)()

    class Meta(RecordingModel.Meta):
        constraints = [
            *tenant_constraints(
                "identity_conflict",
                contact="clients.Contact",
                other_contact="clients.Contact",
                client="clients.Client",
                other_client="clients.Client",
            ),
            models.UniqueConstraint(
                fields=["org", "contact", "other_contact"],
                condition=Q(contact__isnull=False),
                name="identity_conflict_contacts",
            ),
            models.UniqueConstraint(
                fields=["org", "client", "other_client"],
                condition=Q(client__isnull=False),
                name="identity_conflict_clients",
            ),
            # Exactly one pair, in order; written so that no NULL lets a row pass.
            models.CheckConstraint(
                condition=Q(
                    contact__isnull=False,
                    other_contact__isnull=False,
                    contact__lt=F("other_contact"),
                    client__isnull=True,
                    other_client__isnull=True,
                )
                | Q(
                    client__isnull=False,
                    other_client__isnull=False,
                    client__lt=F("other_client"),
                    contact__isnull=True,
                    other_contact__isnull=True,
                ),
                name="identity_conflict_one_pair",
            ),
            models.CheckConstraint(condition=Q(kind__in=ConflictKind.values), name="identity_conflict_kind"),
            models.CheckConstraint(condition=Q(score__gte=0, score__lte=1), name="identity_conflict_score"),
            models.CheckConstraint(condition=is_object("explanation"), name="identity_conflict_explanation_object"),
            models.CheckConstraint(
                condition=Q(status=ConflictStatus.OPEN, resolved_at__isnull=True)
                | Q(status__in=[ConflictStatus.MERGED, ConflictStatus.KEPT_APART], resolved_at__isnull=False),
                name="identity_conflict_resolved_or_open",
            ),
        ]
        indexes = [
            # The review queue, newest first, and by kind.
            models.Index(fields=["org", "status", "-last_seen", "-id"], name="identity_conflict_queue"),
            # The pairs of one contact or client: merges, and their pages.
            models.Index(
                fields=["org", "other_contact"],
                condition=Q(other_contact__isnull=False),
                name="identity_conflict_contact",
            ),
            models.Index(
                fields=["org", "other_client"], condition=Q(other_client__isnull=False), name="identity_conflict_client"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.get_kind_display()} {self.pk}"

    def keep_apart(self, *, note: str, actor: Actor, at: datetime) -> None:
        """The two are not the same; signals never bring them up again."""
        self.status = ConflictStatus.KEPT_APART
        self.resolved_at, self.resolved_by_id, self.note = at, actor.user_id, note
        decided = IdentityConflictResolved(conflict_id=self.pk, resolution=self.status.value, merge_id=None)
        self.record(decided, actor=actor, at=at)
