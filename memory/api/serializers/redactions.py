"""Redactions, erasures and exports of people."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from drf_spectacular.utils import OpenApiExample, extend_schema_field, extend_schema_serializer
from rest_framework import serializers

from flowledger.api.converters import MAX_ID
from flowledger.api.fields import InstantField
from flowledger.api.serializers import Body, OrgSerializer
from memory.models import AtomVersion, Redaction

REDACT, CORRECT = "redact", "correct"
NAMED_SCHEMA = {"type": "object", "additionalProperties": True}
ROWS_SCHEMA = {"type": "array", "items": {"type": "object", "additionalProperties": True}}


@extend_schema_field({"type": "object", "additionalProperties": {"type": "integer", "minimum": 0}})
class CountsField(serializers.JSONField):
    """Rows by table: {"workstream.activity": 3}."""


@extend_schema_field(NAMED_SCHEMA)
class NamedField(serializers.JSONField):
    """What was named: {"atom_ids": […]}, {"entity_type": …, "entity_id": …} and so on."""


class RedactionSerializer(OrgSerializer):
    """Who had content removed, when and why, and what was touched: counts and digests, never the text.

    `erased_at` is when the database files were rewritten and held it no more; backups of before hold it until
    `backups_until`.
    """

    named = NamedField(read_only=True)
    touched = CountsField(read_only=True)
    backups_until = serializers.SerializerMethodField()

    class Meta:
        model = Redaction
        resource = "redaction"
        fields = (
            *("target", "named", "reason", "actor_kind", "actor_label", "redacted_at", "atom_count", "touched"),
            *("digest", "erased_at", "backups_until"),
        )
        read_only_fields = fields

    @extend_schema_field({"type": ["string", "null"], "format": "date-time"})
    def get_backups_until(self, redaction: Redaction) -> str | None:
        return _instant(backups_end(redaction.erased_at))


def backups_end(erased_at: datetime | None) -> datetime | None:
    """When the last backup that was made before the files were rewritten is deleted; None before they are."""
    return None if erased_at is None else erased_at + timedelta(days=settings.MEMORY_BACKUP_DAYS)


def _instant(value: datetime | None) -> str | None:
    return None if value is None else InstantField().to_representation(value)


class DryRunSerializer(serializers.Serializer[Any]):
    """What would be removed: how many atoms, and at most how many rows of each table."""

    target = serializers.ChoiceField(choices=Redaction.Target.choices)
    named = NamedField()
    atom_count = serializers.IntegerField()
    touched = CountsField()


class EntityName(Body):
    """An entity by kind and id."""

    entity_type = serializers.CharField(max_length=20)
    entity_id = serializers.IntegerField(min_value=1, max_value=MAX_ID)


class SourceName(Body):
    """A row that was read, by kind and id."""

    source_type = serializers.CharField(max_length=20)
    source_id = serializers.IntegerField(min_value=1, max_value=MAX_ID)


@extend_schema_serializer(
    examples=[
        OpenApiExample("One atom", value={"atom_id": 12, "action": "redact", "reason": "Asked for by the person"}),
        OpenApiExample(
            "What would go with a client",
            value={
                "entity": {"entity_type": "client", "entity_id": 7},
                "action": "redact",
                "reason": "End of the contract",
                "dry_run": True,
            },
        ),
        OpenApiExample(
            "Put right",
            value={
                "atom_id": 12,
                "action": "correct",
                "reason": "Misheard on the phone",
                "correction_content": "They want two machines.",
            },
        ),
    ]
)
class RedactionBody(Body):
    """What is to be redacted or put right; one of `atom_id`, `entity` and `source`. Do not repeat it in the reason."""

    atom_id = serializers.IntegerField(required=False, min_value=1, max_value=MAX_ID)
    entity = EntityName(required=False)
    # A serializer keeps the name `source` for itself.
    action = serializers.ChoiceField(choices=[(REDACT, "Remove for good"), (CORRECT, "Put right")], default=REDACT)
    reason = serializers.CharField(max_length=500)
    correction_content = serializers.CharField(required=False, max_length=5_000)
    because = serializers.ChoiceField(
        choices=[each for each in AtomVersion.Because.choices if each[0] != AtomVersion.Because.WRITTEN],
        required=False,
        help_text="Of a correction: it was wrong all along (error, the default), or the fact changed.",
    )
    dry_run = serializers.BooleanField(default=False, help_text="Count what would go, and change nothing.")

    def get_fields(self) -> dict[str, Any]:
        """`source` is a name that serializers keep for themselves."""
        return {**super().get_fields(), "source": SourceName(required=False)}

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        errors: dict[str, list[str]] = {}
        named = [name for name in ("atom_id", "entity", "source") if name in attrs]
        if len(named) != 1:
            errors[named[1] if named else "atom_id"] = ["Give one of atom_id, entity and source."]
        if attrs["action"] == CORRECT:
            if named != ["atom_id"]:
                errors["action"] = ["Only an atom can be put right; give its atom_id."]
            if not attrs.get("correction_content"):
                errors["correction_content"] = ["Say what is right."]
            if attrs["dry_run"]:
                errors["dry_run"] = ["A correction has no dry run."]
        else:
            errors |= {
                name: ["This has a meaning for a correction only."]
                for name in ("correction_content", "because")
                if name in attrs
            }
        if errors:
            raise serializers.ValidationError(errors)
        return attrs


@extend_schema_serializer(
    examples=[
        OpenApiExample("What would go", value={"contact_id": 31, "reason": "Request of 3 May", "dry_run": True}),
        OpenApiExample("Erase", value={"contact_id": 31, "reason": "Request of 3 May"}),
    ]
)
class ErasureBody(Body):
    """Who is to be erased, and why; do not repeat their name in the reason."""

    contact_id = serializers.IntegerField(min_value=1, max_value=MAX_ID)
    reason = serializers.CharField(max_length=500)
    dry_run = serializers.BooleanField(default=False, help_text="Count what would go, and change nothing.")


class ExportedSource(serializers.Serializer[Any]):
    """Where an atom comes from."""

    system = serializers.CharField()
    source_type = serializers.CharField()
    source_id = serializers.IntegerField(allow_null=True)
    source_field = serializers.CharField(allow_blank=True)
    origin_id = serializers.CharField(allow_blank=True)
    url = serializers.CharField(allow_blank=True)
    event_name = serializers.CharField(allow_blank=True)
    occurred_at = InstantField()


class ExportedVersion(serializers.Serializer[Any]):
    """What an atom said before."""

    version = serializers.IntegerField()
    content = serializers.CharField(allow_blank=True)
    because = serializers.CharField()
    at = InstantField()


class ExportedAtom(serializers.Serializer[Any]):
    """One thing that is remembered of the person."""

    atom_id = serializers.IntegerField()
    kind = serializers.CharField()
    content = serializers.CharField(allow_blank=True)
    state = serializers.CharField()
    tags = serializers.ListField(child=serializers.CharField())
    entity_type = serializers.CharField()
    entity_id = serializers.IntegerField()
    occurred_at = InstantField()
    valid_from = InstantField()
    valid_until = InstantField(allow_null=True)
    redacted_at = InstantField(allow_null=True)
    sources = ExportedSource(many=True)
    versions = ExportedVersion(many=True)


@extend_schema_field({"type": "object", "additionalProperties": ROWS_SCHEMA})
class HeldField(serializers.JSONField):
    """Rows by table, as they are stored."""


class ExportSerializer(serializers.Serializer[Any]):
    """All that is held about a person: what is remembered, and the rows of every table."""

    contact_id = serializers.IntegerField()
    exported_at = InstantField()
    atoms = ExportedAtom(many=True)
    held = HeldField()
