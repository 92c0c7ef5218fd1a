"""Merges of contacts and clients, with everything that undoing one needs."""

from __future__ import annotations

from typing import Any, ClassVar

from django.conf import settings
from django.db import models
from django.db.models import F, Q

from flowledger.clients.models.directory import is_object
from flowledger.clients.querysets import MergeRecordQuerySet
from flowledger.outbox.recording import RecordingModel
from flowledger.tenancy.constraints import tenant_constraints
from flowledger.tenancy.fields import OrgForeignKey
from flowledger.tenancy.models import OrgModel
from flowledger.tenancy.querysets import OrgManager


class MergedKind(models.TextChoices):
    """What was merged."""

    CONTACT = "contact", "Contact"
    CLIENT = "client", "Client"


class MergeRecord(RecordingModel):
    """One merge: who survived, what was chosen, both states before. Keys are plain numbers: it outlives its rows."""

    entity_type = models.CharField(max_length=7, choices=MergedKind.choices)
    survivor_id = models.BigIntegerField()
    loser_id = models.BigIntegerField()
    # {field: "survivor" | "loser"}, as it was asked for and filled in.
    choices = models.JSONField(default=dict, blank=True)
    survivor_before = models.JSONField()
    loser_before = models.JSONField()
    # The survivor as the merge left it: what differs at the undo was changed since.
    survivor_after = models.JSONField()
    # {"workstream.signal.contact": count}: what moved, and what stayed because the survivor has its twin.
    moved = models.JSONField(default=dict, blank=True)
    left = models.JSONField(default=dict, blank=True)
    merged_at = models.DateTimeField()
    merged_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.SET_NULL, null=True, blank=True, related_name="+", db_index=False
    )
    merged_by_label = models.CharField(max_length=200, blank=True)
    reason = models.CharField(max_length=500, blank=True)
    undone_at = models.DateTimeField(null=True, blank=True)
    undone_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.SET_NULL, null=True, blank=True, related_name="+", db_index=False
    )
    # {"kept": [what was changed since, up to a limit], "kept_count": …, "returned": {"workstream.signal.contact": …}}
    undo_report = models.JSONField(default=dict, blank=True)

    all_orgs: ClassVar[Any] = models.Manager.from_queryset(MergeRecordQuerySet)()
    objects: ClassVar[Any] = OrgManager.from_queryset(MergeRecordQuerySet)()

    class Meta(RecordingModel.Meta):
        constraints = [
            *tenant_constraints("merge_record"),
            models.CheckConstraint(condition=Q(entity_type__in=MergedKind.values), name="merge_record_entity_type"),
            models.CheckConstraint(condition=~Q(survivor_id=F("loser_id")), name="merge_record_two"),
            *(
                models.CheckConstraint(condition=is_object(name), name=f"merge_record_{name}_object")
                for name in (
                    *("choices", "survivor_before", "loser_before", "survivor_after", "moved", "left"),
                    "undo_report",
                )
            ),
            # Merged once: a loser is a tombstone until its merge is undone.
            models.UniqueConstraint(
                fields=["org", "entity_type", "loser_id"],
                condition=Q(undone_at__isnull=True),
                name="merge_record_standing",
            ),
        ]
        indexes = [
            models.Index(fields=["org", "-merged_at", "-id"], name="merge_record_list"),
            models.Index(fields=["org", "entity_type", "survivor_id"], name="merge_record_of_survivor"),
        ]

    def __str__(self) -> str:
        return f"Merge of {self.entity_type} {self.loser_id} into {self.survivor_id}"


class MergedRow(OrgModel):
    """One reference that a merge moved from the loser to the survivor, and the row's version on both sides of it."""

    merge = OrgForeignKey(MergeRecord, models.CASCADE, related_name="rows")
    # `workstream.signal` and the name of its foreign key.
    model = models.CharField(max_length=100)
    field = models.CharField(max_length=60)
    row_id = models.BigIntegerField()
    version_before = models.PositiveIntegerField()
    version_after = models.PositiveIntegerField()
    updated_before = models.DateTimeField()

    class Meta(OrgModel.Meta):
        constraints = [
            *tenant_constraints("merged_row", merge="clients.MergeRecord"),
            models.UniqueConstraint(fields=["org", "merge", "model", "field", "row_id"], name="merged_row_once"),
        ]

    def __str__(self) -> str:
        return f"{self.model} {self.row_id}.{self.field}"
