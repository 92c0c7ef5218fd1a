"""CSV imports: the file's rows, what became of each, and what undoing needs."""

from __future__ import annotations

from datetime import datetime
from typing import Any, ClassVar

from django.conf import settings
from django.db import models
from django.db.models import F, Q
from django_fsm import FSMField, transition

from flowledger.outbox.recording import RecordingModel
from flowledger.tenancy.actors import Actor
from flowledger.tenancy.constraints import tenant_constraints
from flowledger.tenancy.fields import OrgForeignKey
from flowledger.tenancy.models import OrgModel
from flowledger.tenancy.querysets import OrgManager
from workstream import events
from workstream.machines import ImportStatus
from workstream.querysets import ImportRowQuerySet, ImportRunQuerySet


class ImportKind(models.TextChoices):
    """What the rows of a file are."""

    SIGNALS = "signals", "Signals"
    CONTACTS = "contacts", "Contacts"
    CLIENTS = "clients", "Clients"


class ImportMode(models.TextChoices):
    """What a row may do to records that exist; signals are always kept as received, so theirs is `create`."""

    CREATE = "create", "Create only"
    UPDATE = "update", "Update only"
    UPSERT = "upsert", "Create and update"


class ImportRun(RecordingModel):
    """One uploaded file and its import; the counters are written with the rows that they count."""

    kind = models.CharField(max_length=8, choices=ImportKind.choices)
    mode = models.CharField(max_length=6, choices=ImportMode.choices, default=ImportMode.CREATE)
    file_name = models.CharField(max_length=255)
    file_sha256 = models.CharField(max_length=64)
    file_bytes = models.BigIntegerField()
    encoding = models.CharField(max_length=40)
    delimiter = models.CharField(max_length=1)
    headers = models.JSONField(default=list)
    # {column heading: field}; a heading that is left out is not read.
    mapping = models.JSONField(default=dict, blank=True)
    # Off: the events have the origin `import`, so that nobody is emailed and no automation fires.
    fires_rules = models.BooleanField(default=False)
    status = FSMField(
        choices=ImportStatus.choices, default=ImportStatus.UPLOADED, max_length=9, protected=True, db_index=False
    )
    rows_total = models.PositiveIntegerField(default=0)
    created_count = models.PositiveIntegerField(default=0)
    updated_count = models.PositiveIntegerField(default=0)
    unchanged_count = models.PositiveIntegerField(default=0)
    rejected_count = models.PositiveIntegerField(default=0)
    undone_count = models.PositiveIntegerField(default=0)
    # What users changed or used since and the undo left as it is.
    kept_count = models.PositiveIntegerField(default=0)
    started_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.SET_NULL, null=True, blank=True, related_name="+", db_index=False
    )
    started_at = models.DateTimeField(null=True, blank=True, editable=False)
    finished_at = models.DateTimeField(null=True, blank=True, editable=False)
    undo_started_at = models.DateTimeField(null=True, blank=True, editable=False)
    undone_at = models.DateTimeField(null=True, blank=True, editable=False)
    failure = models.CharField(max_length=500, blank=True, editable=False)

    all_orgs: ClassVar[Any] = models.Manager.from_queryset(ImportRunQuerySet)()
    objects: ClassVar[Any] = OrgManager.from_queryset(ImportRunQuerySet)()

    class Meta(RecordingModel.Meta):
        constraints = [
            *tenant_constraints("import_run"),
            models.CheckConstraint(condition=Q(kind__in=ImportKind.values), name="import_run_kind"),
            models.CheckConstraint(condition=Q(mode__in=ImportMode.values), name="import_run_mode"),
            models.CheckConstraint(condition=Q(status__in=ImportStatus.values), name="import_run_status"),
            models.CheckConstraint(
                condition=Q(
                    rows_total__gte=F("created_count") + F("updated_count") + F("unchanged_count") + F("rejected_count")
                ),
                name="import_run_counts",
            ),
        ]
        indexes = [
            models.Index(fields=["org", "-id"], name="import_run_list"),
            # Cross-tenant: what a worker takes up.
            models.Index(
                fields=["id"],
                condition=Q(status__in=[ImportStatus.RUNNING, ImportStatus.UNDOING]),
                name="import_run_to_do",
            ),
        ]

    def __str__(self) -> str:
        return self.file_name

    @property
    def rows_done(self) -> int:
        """Rows that have an outcome."""
        return self.created_count + self.updated_count + self.unchanged_count + self.rejected_count

    @transition(field=status, source=ImportStatus.UPLOADED, target=ImportStatus.RUNNING)
    def start(self, *, actor: Actor, at: datetime) -> None:
        """Mapping and options are final; workers take it up."""
        self.started_at, self.started_by_id = at, actor.user_id
        self.record(events.ImportStarted(import_id=self.pk), actor=actor, at=at)

    @transition(field=status, source=ImportStatus.RUNNING, target=ImportStatus.DONE)
    def finish(self, *, actor: Actor, at: datetime) -> None:
        """Every row has its outcome."""
        self.finished_at = at
        self.record(
            events.ImportFinished(
                import_id=self.pk,
                created=self.created_count,
                updated=self.updated_count,
                unchanged=self.unchanged_count,
                rejected=self.rejected_count,
            ),
            actor=actor,
            at=at,
        )

    @transition(field=status, source=[ImportStatus.UPLOADED, ImportStatus.RUNNING], target=ImportStatus.CANCELLED)
    def cancel(self, *, actor: Actor, at: datetime) -> None:
        """Rows that have no outcome yet stay without; what was imported stays and can be undone."""
        self.finished_at = at
        self.record(events.ImportCancelled(import_id=self.pk), actor=actor, at=at)

    @transition(field=status, source=[ImportStatus.DONE, ImportStatus.CANCELLED], target=ImportStatus.UNDOING)
    def begin_undo(self, *, actor: Actor, at: datetime) -> None:
        """Workers take back what it created and updated."""
        self.undo_started_at = at
        self.record(events.ImportUndoStarted(import_id=self.pk), actor=actor, at=at)

    @transition(field=status, source=ImportStatus.UNDOING, target=ImportStatus.UNDONE)
    def finish_undo(self, *, actor: Actor, at: datetime) -> None:
        """Everything is as before, except what `kept_count` counts."""
        self.undone_at = at
        self.record(
            events.ImportUndone(import_id=self.pk, undone=self.undone_count, kept=self.kept_count), actor=actor, at=at
        )


class RowOutcome(models.TextChoices):
    """What became of a row."""

    PENDING = "pending", "Not yet"
    CREATED = "created", "Created"
    UPDATED = "updated", "Updated"
    UNCHANGED = "unchanged", "Nothing new"
    REJECTED = "rejected", "Rejected"
    UNDONE = "undone", "Undone"
    KEPT = "kept", "Kept by the undo"


class ImportRow(OrgModel):
    """One row of a file as it was, and its outcome."""

    run = OrgForeignKey(ImportRun, models.CASCADE, related_name="rows")
    # Counting from 1 for the first row below the headings, as spreadsheets would minus one.
    number = models.PositiveIntegerField()
    cells = models.JSONField()
    outcome = models.CharField(max_length=9, choices=RowOutcome.choices, default=RowOutcome.PENDING)
    # The signal, contact or client that it became or changed.
    item_id = models.BigIntegerField(null=True, blank=True)
    errors = models.JSONField(default=dict, blank=True)

    all_orgs: ClassVar[Any] = models.Manager.from_queryset(ImportRowQuerySet)()
    objects: ClassVar[Any] = OrgManager.from_queryset(ImportRowQuerySet)()

    class Meta(OrgModel.Meta):
        constraints = [
            *tenant_constraints("import_row", run="workstream.ImportRun"),
            models.UniqueConstraint(fields=["org", "run", "number"], name="import_row_number"),
            models.CheckConstraint(condition=Q(outcome__in=RowOutcome.values), name="import_row_outcome"),
        ]
        indexes = [
            # The next rows to import or undo, the error file.
            models.Index(fields=["org", "run", "outcome", "number"], name="import_row_by_outcome"),
        ]

    def __str__(self) -> str:
        return f"Row {self.number}"


class ImportChange(OrgModel):
    """One record that an import created or changed, with what its undo needs."""

    run = OrgForeignKey(ImportRun, models.CASCADE, related_name="changes")
    row_number = models.PositiveIntegerField()
    # `workstream.signal`, `clients.contact`, `clients.client`.
    model = models.CharField(max_length=60)
    item_id = models.BigIntegerField()
    is_creation = models.BooleanField()
    # {column: value before}; empty for a creation. After: what was written, of a creation every column.
    before = models.JSONField(default=dict, blank=True)
    after = models.JSONField(default=dict, blank=True)
    # The record's version as the import left it: another one means that its values are to be compared.
    version_after = models.PositiveIntegerField()
    # When the undo dealt with it.
    undone_at = models.DateTimeField(null=True, blank=True)
    # Why the undo left it as it is, in whole or in part.
    kept_reason = models.CharField(max_length=300, blank=True)

    class Meta(OrgModel.Meta):
        constraints = [*tenant_constraints("import_change", run="workstream.ImportRun")]
        indexes = [
            # The undo, kind by kind; all changes of one record together.
            models.Index(
                fields=["org", "run", "model", "item_id", "id"],
                condition=Q(undone_at__isnull=True),
                name="import_change_to_undo",
            ),
            # What the undo kept, in the order of the file.
            models.Index(
                fields=["org", "run", "row_number", "id"],
                condition=~Q(kept_reason=""),
                name="import_change_kept",
            ),
        ]

    def __str__(self) -> str:
        return f"{'Created' if self.is_creation else 'Changed'} {self.model} {self.item_id}"
