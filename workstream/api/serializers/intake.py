"""What came in: results of many rows, and what could not become a signal."""

from __future__ import annotations

import base64
from typing import Any

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from flowledger.api.converters import MAX_ID
from flowledger.api.errors import describe
from flowledger.api.serializers import Body, OrgSerializer
from workstream.api.serializers.bulk import ERROR_SCHEMA
from workstream.models.intake import IntakeReject
from workstream.services.rejects import MAX_REPLAYED, Replayed

SENTENCES_SCHEMA = {
    "type": "object",
    "additionalProperties": {"type": "array", "items": {"type": "string"}},
    "description": "Sentences by field.",
}
# Of what came in, so much is shown as text.
SHOWN_TEXT = 4_000


@extend_schema_field(SENTENCES_SCHEMA)
class SentencesField(serializers.JSONField):
    """What is wrong, by field."""


@extend_schema_field({"type": "object", "additionalProperties": True})
class FieldsField(serializers.JSONField):
    """Raw signal fields by name."""

    def to_internal_value(self, data: Any) -> Any:
        value = super().to_internal_value(data)
        if not isinstance(value, dict):
            raise serializers.ValidationError("This is a JSON object.")
        return value


class BulkResultSerializer(serializers.Serializer[object]):
    """What became of one row.

    `created` and `repeated` name the signal; `rejected` says why and names the stored reject; `failed` was not entered
    and is to be sent again.
    """

    row = serializers.IntegerField(min_value=1)
    status = serializers.ChoiceField(choices=["created", "repeated", "rejected", "failed"])
    signal_id = serializers.IntegerField()
    contact_id = serializers.IntegerField(allow_null=True)
    client_id = serializers.IntegerField(allow_null=True)
    identity_status = serializers.CharField(allow_null=True)
    reject_id = serializers.IntegerField()
    code = serializers.CharField()
    error = serializers.CharField()

    sometimes_absent = (
        *("signal_id", "contact_id", "client_id", "identity_status"),
        *("reject_id", "code", "error", "fields"),
    )

    def get_fields(self) -> dict[str, Any]:
        """`fields` is a name that serializers keep for themselves."""
        return {**super().get_fields(), "fields": SentencesField()}


class RejectSerializer(OrgSerializer):
    """Something that came in and could not become a signal."""

    class Meta:
        model = IntakeReject
        resource = "reject"
        fields = (
            "channel",
            "source_id",
            "content_type",
            "sha256",
            "sender",
            "received_at",
            "last_received_at",
            "occurrences",
            "code",
            "reason",
            "errors",
            "fields",
            "status",
            "signal_id",
            "closed_at",
            "closed_by_user_id",
            "note",
        )
        read_only_fields = tuple(name for name in fields if name != "fields")

    def get_fields(self) -> dict[str, Any]:
        """`fields` and `errors` are names that serializers keep for themselves."""
        return {**super().get_fields(), "errors": SentencesField(read_only=True), "fields": FieldsField()}


class RejectDetailSerializer(RejectSerializer):
    """A reject with what came in, as text as far as it is text, and byte for byte."""

    body_text = serializers.SerializerMethodField(help_text=f"Its first {SHOWN_TEXT} characters, read as UTF-8.")
    body_base64 = serializers.SerializerMethodField()

    class Meta(RejectSerializer.Meta):
        fields = (*RejectSerializer.Meta.fields, "body_text", "body_base64")  # type: ignore[assignment]
        read_only_fields = tuple(name for name in fields if name != "fields")

    def get_body_text(self, reject: IntakeReject) -> str:
        return text_of(reject)

    def get_body_base64(self, reject: IntakeReject) -> str:
        return base64.b64encode(bytes(reject.body)).decode()


class DiscardRejectBody(Body):
    """Why nobody wants it."""

    note = serializers.CharField(max_length=500, required=False, allow_blank=True, default="")


class ReplayManyBody(Body):
    """The rejects to replay."""

    reject_ids = serializers.ListField(
        child=serializers.IntegerField(min_value=1, max_value=MAX_ID), min_length=1, max_length=MAX_REPLAYED
    )


class ReplayedSerializer(serializers.Serializer[Any]):
    """What became of a reject that was replayed."""

    reject_id = serializers.IntegerField(min_value=1)
    ok = serializers.SerializerMethodField()
    signal_id = serializers.IntegerField(min_value=1, allow_null=True)
    is_repeat = serializers.BooleanField(help_text="The signal was there already.")
    error = serializers.SerializerMethodField()

    def get_ok(self, replayed: Replayed) -> bool:
        return replayed.error is None

    @extend_schema_field(ERROR_SCHEMA)
    def get_error(self, replayed: Replayed) -> dict[str, Any] | None:
        """The body that the single endpoint would have answered with."""
        return None if replayed.error is None else describe(replayed.error)[1]


class ReplaysSerializer(serializers.Serializer[Any]):
    """A result for every id, in the order asked."""

    results = ReplayedSerializer(many=True)


def text_of(reject: IntakeReject) -> str:
    """The beginning of what came in, for people."""
    return bytes(reject.body)[: SHOWN_TEXT * 4].decode("utf-8", "replace").replace("\x00", "�")[:SHOWN_TEXT]
