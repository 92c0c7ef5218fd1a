"""CSV imports: what is uploaded, how it is mapped, what became of it."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import OpenApiExample, extend_schema_field, extend_schema_serializer
from rest_framework import serializers

from flowledger.api.fields import InstantField
from flowledger.api.serializers import Body, OrgSerializer
from workstream.intake.csv_mapping import allowed_fields
from workstream.intake.csv_reading import DELIMITERS, ENCODINGS
from workstream.models import ImportChange, ImportRun
from workstream.models.imports import ImportKind, ImportMode, RowOutcome

_TEXTS_BY_FIELD = {"type": "object", "additionalProperties": {"type": "array", "items": {"type": "string"}}}


@extend_schema_field({"type": "array", "items": {"type": "string"}})
class TextsField(serializers.ReadOnlyField):
    """Texts, as they are."""


@extend_schema_field({"type": "object", "additionalProperties": {"type": "string"}})
class TextByNameField(serializers.ReadOnlyField):
    """Texts by name, as they are."""


@extend_schema_field(_TEXTS_BY_FIELD)
class SentencesField(serializers.ReadOnlyField):
    """Sentences by field; "" for the row as a whole."""


class ImportSerializer(OrgSerializer):
    """One uploaded file and its import."""

    delimiter = serializers.CharField(read_only=True, trim_whitespace=False)
    headers = TextsField(help_text="The headings of the file's columns, each once.")
    mapping = TextByNameField(help_text="{heading: field}; columns that are left out are not read.")
    allowed_fields = serializers.SerializerMethodField(help_text="What a column may be mapped to.")
    rows_done = serializers.SerializerMethodField(help_text="Rows that have an outcome, out of `rows_total`.")

    class Meta:
        model = ImportRun
        resource = "import"
        fields = (
            "kind",
            "mode",
            "file_name",
            "file_sha256",
            "file_bytes",
            "encoding",
            "delimiter",
            "headers",
            "mapping",
            "allowed_fields",
            "fires_rules",
            "status",
            "rows_total",
            "rows_done",
            "created_count",
            "updated_count",
            "unchanged_count",
            "rejected_count",
            "undone_count",
            "kept_count",
            "failure",
            "started_by_user_id",
            "started_at",
            "finished_at",
            "undo_started_at",
            "undone_at",
        )
        read_only_fields = fields

    @extend_schema_field({"type": "array", "items": {"type": "string"}})
    def get_allowed_fields(self, run: ImportRun) -> list[str]:
        return allowed_fields(run.kind)

    @extend_schema_field({"type": "integer", "minimum": 0})
    def get_rows_done(self, run: ImportRun) -> int:
        return run.rows_done


class UploadBody(Body):
    """A CSV file. Encoding, delimiter and whether headings come first are found out if not said."""

    file = serializers.FileField(allow_empty_file=True, max_length=255)
    kind = serializers.ChoiceField(choices=ImportKind.choices, default=ImportKind.SIGNALS)
    encoding = serializers.ChoiceField(choices=ENCODINGS, required=False)
    delimiter = serializers.ChoiceField(choices=DELIMITERS, required=False)
    has_headings = serializers.BooleanField(required=False, allow_null=True, default=None)


@extend_schema_serializer(
    examples=[
        OpenApiExample(
            "Map and choose",
            value={"mapping": {"E-Mail": "email", "Company": "company_name"}, "mode": "upsert", "fires_rules": False},
        )
    ]
)
class ImportOptionsBody(Body):
    """What is set before an import is started."""

    mapping = serializers.DictField(
        child=serializers.CharField(max_length=200, allow_blank=True, allow_null=True),
        required=False,
        help_text="{heading: field}; null or blank leaves a column out. It replaces the mapping as a whole.",
    )
    mode = serializers.ChoiceField(choices=ImportMode.choices, required=False)
    fires_rules = serializers.BooleanField(required=False, help_text="Off: nobody is notified and no automation fires.")


class PreviewedRowSerializer(serializers.Serializer[Any]):
    """A row of the file and what importing it now would do."""

    row_number = serializers.IntegerField(source="number", min_value=1)
    cells = TextsField()
    outcome = serializers.ChoiceField(choices=RowOutcome.choices)
    effects = TextsField()

    def get_fields(self) -> dict[str, Any]:
        """`errors` is a name that serializers keep for themselves."""
        return {**super().get_fields(), "errors": SentencesField()}


class KeptSerializer(OrgSerializer):
    """A record that the undo left as it is, in whole or in part, and why."""

    item_type = serializers.SerializerMethodField()

    class Meta:
        model = ImportChange
        resource = "import_change"
        fields = ("row_number", "item_type", "item_id", "is_creation", "before", "after", "kept_reason", "undone_at")
        read_only_fields = fields

    undone_at = InstantField(read_only=True, allow_null=True)

    @extend_schema_field({"type": "string", "enum": ["signal", "contact", "client"]})
    def get_item_type(self, change: ImportChange) -> str:
        return change.model.rpartition(".")[2]
