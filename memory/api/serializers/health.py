"""The health of memory as it travels."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers

from flowledger.api.fields import InstantField, NumberField


def _seconds(help_text: str) -> NumberField:
    return NumberField(max_digits=12, decimal_places=1, allow_null=True, help_text=help_text)


class MemoryHealthSerializer(serializers.Serializer[Any]):
    """What memory holds and what waits in it; decisions to statuses count active atoms."""

    active = serializers.IntegerField()
    superseded = serializers.IntegerField()
    archived = serializers.IntegerField()
    redacted = serializers.IntegerField()
    pinned = serializers.IntegerField()
    decisions = serializers.IntegerField()
    risks = serializers.IntegerField()
    preferences = serializers.IntegerField()
    notes = serializers.IntegerField()
    statuses = serializers.IntegerField()
    last_written_at = InstantField(allow_null=True)
    due = serializers.IntegerField(help_text="Expired, and not archived yet.")
    oldest_due_seconds = _seconds("For how long the first of them has been due.")
    conflicts = serializers.IntegerField(help_text="To be decided.")
    holds = serializers.IntegerField(help_text="Standing legal holds.")
    cards = serializers.IntegerField()
    marks = serializers.IntegerField(help_text="Cards to be built anew.")
    marks_due = serializers.IntegerField(help_text="Those whose time has come.")
    oldest_mark_seconds = _seconds("For how long the first of them has waited.")
    jobs_waiting = serializers.IntegerField(help_text="Texts that wait for the language model.")
    jobs_failed = serializers.IntegerField()
    oldest_job_seconds = _seconds("For how long the first of them has waited.")
    embedded = serializers.IntegerField(help_text="Active atoms for everyone with a vector of their text.")
    open_to_all = serializers.IntegerField(help_text="Active atoms for everyone.")
    epoch = serializers.IntegerField(allow_null=True, help_text="Grows with every redaction.")
    terms_refreshed_at = InstantField(allow_null=True)
    redactions = serializers.IntegerField()
    unerased = serializers.IntegerField(help_text="Redactions whose text may still stand in files of the database.")
    oldest_unerased_at = InstantField(allow_null=True)
