"""The SQL views of memory as read-only models; migrations make the views, Django never touches them."""

from __future__ import annotations

from django.db import models

from workstream.reports.views import ViewRow


class MemoryHealth(ViewRow):
    """What the memory of an organisation holds, what waits in it, and for how long."""

    org = models.OneToOneField("tenancy.Organization", models.DO_NOTHING, primary_key=True, related_name="+")
    active = models.BigIntegerField()
    superseded = models.BigIntegerField()
    archived = models.BigIntegerField()
    redacted = models.BigIntegerField()
    pinned = models.BigIntegerField()
    decisions = models.BigIntegerField()
    risks = models.BigIntegerField()
    preferences = models.BigIntegerField()
    notes = models.BigIntegerField()
    statuses = models.BigIntegerField()
    last_written_at = models.DateTimeField(null=True)
    due = models.BigIntegerField()
    oldest_due_seconds = models.DecimalField(max_digits=12, decimal_places=1, null=True)
    conflicts = models.BigIntegerField()
    holds = models.BigIntegerField()
    cards = models.BigIntegerField()
    marks = models.BigIntegerField()
    marks_due = models.BigIntegerField()
    oldest_mark_seconds = models.DecimalField(max_digits=12, decimal_places=1, null=True)
    jobs_waiting = models.BigIntegerField()
    jobs_failed = models.BigIntegerField()
    oldest_job_seconds = models.DecimalField(max_digits=12, decimal_places=1, null=True)
    embedded = models.BigIntegerField()
    open_to_all = models.BigIntegerField()
    epoch = models.BigIntegerField(null=True)
    terms_refreshed_at = models.DateTimeField(null=True)
    redactions = models.BigIntegerField()
    unerased = models.BigIntegerField()
    oldest_unerased_at = models.DateTimeField(null=True)

    class Meta(ViewRow.Meta):
        db_table = "v_memory_health"
