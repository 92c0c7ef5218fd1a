"""Atoms: single pieces of knowledge, where they come from, what they are about, and how they were put right."""

from __future__ import annotations

from datetime import datetime
from typing import Any, ClassVar

from django.conf import settings
from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import F, Q
from django_fsm import FSMField, transition

from flowledger.outbox.recording import RecordingModel
from flowledger.tenancy.actors import Actor, ActorKind
from flowledger.tenancy.constraints import tenant_constraints
from flowledger.tenancy.fields import OrgForeignKey
from flowledger.tenancy.models import OrgModel
from flowledger.tenancy.querysets import OrgManager
from memory import events
from memory.machines import AtomState, ConflictStatus
from memory.models.entities import ENTITY_MODELS, GOES_WITH, EntityRow, once_an_entity, one_entity
from memory.querysets import AtomQuerySet


class Kind(models.TextChoices):
    """What an atom is; the registry says what each kind is worth and for how long."""

    DECISION = "decision", "Decision"
    RISK = "risk", "Risk"
    PREFERENCE = "preference", "Preference"
    NOTE = "note", "Note"
    STATUS = "status", "Status"


class Audience(models.TextChoices):
    """Who in the organisation may read an atom."""

    EVERYONE = "everyone", "Everyone in the organisation"
    MANAGERS = "managers", "Managers and administrators"
    AUTHOR = "author", "Only its author"


class Atom(EntityRow):
    """One thing that is known. Its entity is the one that it was said of; its links are all that it is visible from.

    `content` is empty once it is redacted; what it said, when and from where is then nowhere any more but as a salted
    hash. `thread_key` names the conversation that it is part of (`pursuit:7`, `thread:12`), in the order of
    `occurred_at`. `expires_at` is the earliest of: relevance below the floor, retention of its kind, end of validity;
    null for what never expires. `is_locked`: a person put it right, and no extraction changes it again.
    """

    goes_with = GOES_WITH

    kind = models.CharField(max_length=10, choices=Kind.choices)
    content = models.TextField(blank=True)
    language = models.CharField(max_length=8, default="en", help_text="ISO 639-1 code.")
    tags = ArrayField(models.CharField(max_length=50), default=list, blank=True)
    audience = models.CharField(max_length=8, choices=Audience.choices, default=Audience.EVERYONE)
    state = FSMField(choices=AtomState.choices, default=AtomState.ACTIVE, max_length=10, protected=True, db_index=False)
    author = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.SET_NULL, null=True, blank=True, related_name="+", db_index=False
    )
    thread_key = models.CharField(max_length=40)
    occurred_at = models.DateTimeField()
    valid_from = models.DateTimeField()
    valid_until = models.DateTimeField(null=True, blank=True)
    superseded_by = OrgForeignKey("memory.Atom", models.SET_NULL, null=True, blank=True, related_name="superseded")
    confidence = models.DecimalField(max_digits=3, decimal_places=2, default=1)
    base_score = models.PositiveSmallIntegerField()
    # HMAC of the normalised text with the organisation's secret: finds what was said before, and reveals nothing.
    content_hash = models.CharField(max_length=64)
    version = models.PositiveIntegerField(default=1)
    seen_count = models.PositiveIntegerField(default=1)
    last_seen_at = models.DateTimeField()
    expires_at = models.DateTimeField(null=True, blank=True)
    is_pinned = models.BooleanField(default=False)
    is_locked = models.BooleanField(default=False)
    archived_at = models.DateTimeField(null=True, blank=True)
    redacted_at = models.DateTimeField(null=True, blank=True)

    all_orgs: ClassVar[Any] = models.Manager.from_queryset(AtomQuerySet)()
    objects: ClassVar[Any] = OrgManager.from_queryset(AtomQuerySet)()

    class Meta(EntityRow.Meta):
        constraints = [
            *tenant_constraints("atom", superseded_by="memory.Atom", **ENTITY_MODELS),
            one_entity("atom_one_entity"),
            models.CheckConstraint(condition=Q(kind__in=Kind.values), name="atom_kind"),
            models.CheckConstraint(condition=Q(audience__in=Audience.values), name="atom_audience"),
            models.CheckConstraint(condition=Q(state__in=AtomState.values), name="atom_state"),
            models.CheckConstraint(condition=Q(confidence__gte=0, confidence__lte=1), name="atom_confidence"),
            models.CheckConstraint(
                condition=Q(state=AtomState.REDACTED, content="", redacted_at__isnull=False, tags=[])
                | ~Q(state=AtomState.REDACTED) & ~Q(content="") & Q(redacted_at__isnull=True),
                name="atom_redacted_is_empty",
            ),
            models.CheckConstraint(
                condition=Q(valid_until__isnull=True) | Q(valid_until__gte=F("valid_from")), name="atom_validity"
            ),
            models.CheckConstraint(condition=~Q(superseded_by=F("id")), name="atom_superseded_by_other"),
        ]
        indexes = [
            # An atom goes with its entity; near-duplicates and contradictions are looked for among its own.
            *(
                models.Index(
                    fields=["org", name, "kind"], condition=Q(**{f"{name}__isnull": False}), name=f"atom_about_{name}"
                )
                for name in ENTITY_MODELS
            ),
            # The list, newest first, and the neighbours in a conversation.
            models.Index(fields=["org", "-occurred_at", "-id"], name="atom_list"),
            models.Index(fields=["org", "thread_key", "occurred_at", "id"], name="atom_thread"),
            models.Index(
                fields=["org", "superseded_by"], condition=Q(superseded_by__isnull=False), name="atom_superseded"
            ),
            # What is pinned is on every card that it is visible from, however old it is.
            models.Index(fields=["org", "id"], condition=Q(is_pinned=True), name="atom_pinned"),
            # Cross-tenant: what the archiving job looks for.
            models.Index(
                fields=["expires_at", "id"],
                condition=Q(state=AtomState.ACTIVE, is_pinned=False, expires_at__isnull=False),
                name="atom_due",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.get_kind_display()} {self.pk}"

    @transition(field=state, source=AtomState.ACTIVE, target=AtomState.SUPERSEDED)
    def supersede(self, *, by: Atom, actor: Actor, at: datetime) -> None:
        """A newer atom says what holds now."""
        self.superseded_by = by
        self.valid_until = max(by.valid_from, self.valid_from)
        self.record(events.AtomSuperseded(atom_id=self.pk, superseded_by_id=by.pk), actor=actor, at=at)

    @transition(field=state, source=AtomState.ACTIVE, target=AtomState.ARCHIVED)
    def archive(self, *, cause: str, actor: Actor, at: datetime) -> None:
        """It leaves cards and default search, and can still be asked for."""
        self.archived_at = at
        self.record(events.AtomArchived(atom_id=self.pk, cause=cause), actor=actor, at=at)

    @transition(field=state, source=AtomState.ARCHIVED, target=AtomState.ACTIVE)
    def restore(self, *, expires_at: datetime | None, actor: Actor, at: datetime) -> None:
        """It is on cards and in search again, until it expires anew."""
        self.archived_at, self.expires_at = None, expires_at
        self.record(events.AtomRestored(atom_id=self.pk), actor=actor, at=at)


class AtomLink(EntityRow):
    """An entity that an atom is visible from: what it was said of, and what that belongs to or mentions.

    Kind and time are those of the atom, so that a card reads its newest without touching the rest.
    """

    goes_with = GOES_WITH

    class Role(models.TextChoices):
        SUBJECT = "subject", "Said of it"
        THROUGH = "through", "Said of something that belongs to it"
        MENTION = "mention", "Named in it"

    atom = OrgForeignKey(Atom, models.CASCADE, related_name="links")
    role = models.CharField(max_length=7, choices=Role.choices)
    kind = models.CharField(max_length=10, choices=Kind.choices)
    occurred_at = models.DateTimeField()

    class Meta(EntityRow.Meta):
        constraints = [
            *tenant_constraints("atom_link", atom="memory.Atom", **ENTITY_MODELS),
            one_entity("atom_link_one_entity"),
            *once_an_entity("atom_link", "atom"),
            models.CheckConstraint(condition=Q(role__in=["subject", "through", "mention"]), name="atom_link_role"),
        ]
        indexes = [
            models.Index(fields=["org", "atom"], name="atom_link_by_atom"),
            # The newest of an entity, of all kinds or of one: cards, feeds, searches within an entity.
            *(
                models.Index(
                    fields=["org", name, "-occurred_at"],
                    include=["kind", "atom"],
                    condition=Q(**{f"{name}__isnull": False}),
                    name=f"atom_link_new_of_{name}",
                )
                for name in ENTITY_MODELS
            ),
        ]

    def __str__(self) -> str:
        return f"{self.role} {self.entity_type} {self.entity_id}"


class AtomSource(OrgModel):
    """Where an atom comes from; every atom has one or more. Its key makes capture idempotent, and outlives redaction.

    `source_type` and `source_id` name the row that was read (activity, signal, pursuit, …); span_* count characters of
    its text. `natural_key` is an HMAC of organisation, event, source, kind and slot.
    """

    goes_with = GOES_WITH

    atom = OrgForeignKey(Atom, models.CASCADE, related_name="sources")
    natural_key = models.CharField(max_length=64)
    system = models.CharField(max_length=40, default="flowledger")
    source_type = models.CharField(max_length=20)
    source_id = models.BigIntegerField(null=True, blank=True)
    # The field of the source's row that the text was read from; empty for a sentence of a template.
    source_field = models.CharField(max_length=40, blank=True)
    origin_id = models.CharField(max_length=250, blank=True)
    url = models.CharField(max_length=500, blank=True)
    event_id = models.BigIntegerField(null=True, blank=True)
    event_name = models.CharField(max_length=100, blank=True)
    span_start = models.PositiveIntegerField(null=True, blank=True)
    span_end = models.PositiveIntegerField(null=True, blank=True)
    extractor = models.CharField(max_length=120)
    actor_kind = models.CharField(max_length=10, choices=ActorKind.choices)
    actor_id = models.BigIntegerField(null=True, blank=True)
    actor_label = models.CharField(max_length=150, blank=True)
    occurred_at = models.DateTimeField()

    class Meta(OrgModel.Meta):
        constraints = [
            *tenant_constraints("atom_source", atom="memory.Atom"),
            models.UniqueConstraint(fields=["org", "natural_key"], name="atom_source_natural_key"),
        ]
        indexes = [
            models.Index(fields=["org", "atom"], name="atom_source_of_atom"),
            # What was made of a row: redaction of a source, and of what was derived from it.
            models.Index(fields=["org", "source_type", "source_id"], name="atom_source_by_source"),
        ]

    def __str__(self) -> str:
        return f"{self.source_type} {self.source_id}"


class AtomVersion(OrgModel):
    """What an atom said before it was put right; for auditors. Digests chain, so that a missing link is seen.

    `digest` is an HMAC of the previous digest, the version, the text's own hash, who and when; a redaction empties the
    text and leaves the chain whole.
    """

    goes_with = GOES_WITH

    class Because(models.TextChoices):
        WRITTEN = "written", "Written"
        ERROR = "error", "It was wrong"
        CHANGE = "change", "The fact changed"

    atom = OrgForeignKey(Atom, models.CASCADE, related_name="versions")
    version = models.PositiveIntegerField()
    kind = models.CharField(max_length=10, choices=Kind.choices)
    content = models.TextField(blank=True)
    because = models.CharField(max_length=7, choices=Because.choices)
    reason = models.CharField(max_length=500, blank=True)
    actor_kind = models.CharField(max_length=10, choices=ActorKind.choices)
    actor_id = models.BigIntegerField(null=True, blank=True)
    actor_label = models.CharField(max_length=150, blank=True)
    at = models.DateTimeField()
    valid_from = models.DateTimeField()
    valid_until = models.DateTimeField(null=True, blank=True)
    content_hash = models.CharField(max_length=64)
    previous_digest = models.CharField(max_length=64, blank=True)
    digest = models.CharField(max_length=64)

    class Meta(OrgModel.Meta):
        constraints = [
            *tenant_constraints("atom_version", atom="memory.Atom"),
            models.UniqueConstraint(fields=["org", "atom", "version"], name="atom_version_number"),
        ]

    def __str__(self) -> str:
        return f"Version {self.version}"


class AtomConflict(RecordingModel):
    """Two atoms of one subject that contradict each other; both are shown until somebody decides."""

    goes_with = GOES_WITH

    older = OrgForeignKey(Atom, models.CASCADE, related_name="+")
    newer = OrgForeignKey(Atom, models.CASCADE, related_name="+")
    slot = models.CharField(max_length=60, blank=True)
    status = FSMField(
        choices=ConflictStatus.choices, default=ConflictStatus.OPEN, max_length=8, protected=True, db_index=False
    )
    kept = models.CharField(max_length=5, blank=True)
    note = models.CharField(max_length=500, blank=True)
    found_at = models.DateTimeField()
    resolved_at = models.DateTimeField(null=True, blank=True)
    resolved_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.SET_NULL, null=True, blank=True, related_name="+", db_index=False
    )

    class Meta(RecordingModel.Meta):
        constraints = [
            *tenant_constraints("atom_conflict", older="memory.Atom", newer="memory.Atom"),
            models.UniqueConstraint(fields=["org", "older", "newer"], name="atom_conflict_once"),
            models.CheckConstraint(condition=Q(status__in=ConflictStatus.values), name="atom_conflict_status"),
            models.CheckConstraint(condition=Q(kept__in=["", "older", "newer", "both"]), name="atom_conflict_kept"),
        ]
        indexes = [
            models.Index(fields=["org", "newer"], name="atom_conflict_newer"),
            models.Index(fields=["org", "-id"], condition=Q(status=ConflictStatus.OPEN), name="atom_conflict_open"),
        ]

    def __str__(self) -> str:
        return f"Conflict {self.pk}"

    def find(self, *, actor: Actor, at: datetime) -> None:
        """Note a new conflict."""
        self.found_at = at
        self.record(
            lambda row: events.ConflictFound(conflict_id=row.pk, older_id=row.older_id, newer_id=row.newer_id),
            actor=actor,
            at=at,
        )

    @transition(field=status, source=ConflictStatus.OPEN, target=ConflictStatus.RESOLVED)
    def resolve(self, *, kept: str, note: str, actor: Actor, at: datetime) -> None:
        """`older`, `newer` or `both` hold."""
        self.kept, self.note, self.resolved_at, self.resolved_by_id = kept, note, at, actor.user_id
        self.record(events.ConflictResolved(conflict_id=self.pk, kept=kept), actor=actor, at=at)
