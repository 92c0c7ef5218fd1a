"""Intake sources, and what a sample would become there."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from flowledger.api.serializers import Body, OrgSerializer
from workstream.api.doors import address_of_source
from workstream.models.intake import IntakeSource, SourceKind
from workstream.models.signals import SourceType
from workstream.services.sources import KEEP_PREVIOUS_HOURS, MAX_SECRET, MOST_KEEP_HOURS

_NAME = IntakeSource._meta.get_field("name").max_length


@extend_schema_field({"type": "object", "additionalProperties": True, "description": "By the schema of the kind."})
class OptionsField(serializers.JSONField):
    """The options of a source; the use case checks them by the schema of its kind."""


@extend_schema_field({"description": "Any JSON, or the body of a request as text."})
class SampleField(serializers.JSONField):
    """What would be posted."""


class SourceSerializer(OrgSerializer):
    """A configured way in. Its secret is never answered, only whether it has one."""

    options = OptionsField(read_only=True)
    address = serializers.SerializerMethodField()
    has_secret = serializers.SerializerMethodField()

    class Meta:
        model = IntakeSource
        resource = "source"
        fields = [
            "kind",
            "name",
            "source_type",
            "options",
            "is_active",
            "address",
            "has_secret",
            "previous_secret_until",
            "polled_at",
            "failed_at",
            "failure",
            "created_by_user_id",
        ]

    def get_address(self, source: IntakeSource) -> str:
        """Where it is posted to; blank for a mailbox, which is polled."""
        return address_of_source(self.context["request"], source)

    def get_has_secret(self, source: IntakeSource) -> bool:
        return bool(source.sealed_secret)


class KeptSourceSerializer(SourceSerializer):
    """A source with the secret that was made for it, this once; blank when none was made."""

    secret = serializers.CharField(source="secret_shown", read_only=True)

    class Meta(SourceSerializer.Meta):
        fields = [*SourceSerializer.Meta.fields, "secret"]


class UpdateSourceBody(Body):
    """What may change of a source; options replace all there are."""

    name = serializers.CharField(max_length=_NAME, required=False)
    source_type = serializers.ChoiceField(choices=SourceType.choices, required=False)
    options = OptionsField(required=False)
    is_active = serializers.BooleanField(required=False)
    secret = serializers.CharField(max_length=MAX_SECRET, required=False, trim_whitespace=False)


class CreateSourceBody(UpdateSourceBody):
    """A new source. Without a secret one is made, where the sender can be told it."""

    kind = serializers.ChoiceField(choices=SourceKind.choices)
    name = serializers.CharField(max_length=_NAME)


class RotateSecretBody(Body):
    """The new secret, or none to have one made; the old one stays good for so many hours."""

    secret = serializers.CharField(max_length=MAX_SECRET, required=False, trim_whitespace=False)
    keep_hours = serializers.IntegerField(
        min_value=0, max_value=MOST_KEEP_HOURS, required=False, default=KEEP_PREVIOUS_HOURS
    )


class SampleBody(Body):
    """A sample, and options to try instead of the stored ones."""

    sample = SampleField()
    content_type = serializers.CharField(max_length=200, required=False)
    options = OptionsField(required=False)


_PREVIEWED = {
    "type": "object",
    "required": ["fields", "errors"],
    "properties": {
        "fields": {"type": "object", "additionalProperties": True, "description": "Fields of the signal."},
        "errors": {
            "type": "object",
            "additionalProperties": {"type": "array", "items": {"type": "string"}},
            "description": "Sentences by field; without any it would become a signal.",
        },
    },
}


@extend_schema_field({"type": "array", "items": _PREVIEWED})
class PreviewedField(serializers.Field[Any, Any, Any, Any]):
    """What each item would become."""

    def to_representation(self, value: Any) -> list[dict[str, Any]]:
        return [{"fields": dict(each.fields), "errors": dict(each.errors)} for each in value]


class PreviewSerializer(serializers.Serializer[Any]):
    """Every item of the sample as the fields of a signal, or with what is wrong."""

    items = PreviewedField()


class SnippetSerializer(serializers.Serializer[Any]):
    """HTML to paste into a page, and the address of the hosted page."""

    html = serializers.CharField()
    page = serializers.CharField()
