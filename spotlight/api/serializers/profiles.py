"""Profiles with their criteria, their fields, the rules of forms, and versions."""

from __future__ import annotations

from operator import attrgetter
from typing import Any

from drf_spectacular.utils import OpenApiExample, extend_schema_field, extend_schema_serializer
from rest_framework import serializers

from flowledger.api.fields import ID_SCHEMA, NumberField, OrgRelatedField
from flowledger.api.serializers import Body, OrgSerializer
from spotlight.models import (
    FieldRule,
    FieldType,
    Operator,
    Spotlight,
    SpotlightCriterion,
    SpotlightField,
    SpotlightVersion,
)
from spotlight.services.criteria import MOST_CRITERIA, MOST_WEIGHT
from spotlight.services.field_shapes import MOST_ORDER
from spotlight.services.versions import LONGEST_NOTE

_PLAIN_VALUE = {"type": ["string", "number", "boolean"]}
VALUE_SCHEMA = {
    "description": "A text, number, yes or no, or date; two ascending bounds for between, a list for in.",
    "anyOf": [_PLAIN_VALUE, {"type": "array", "items": _PLAIN_VALUE}],
}
DEFINITION_SCHEMA = {
    "type": "object",
    "required": ["name", "domain", "criteria"],
    "properties": {
        "name": {"type": "string"},
        "domain": {"type": "string"},
        "criteria": {
            "type": "array",
            "items": {
                "type": "object",
                "properties": {
                    "criterion_id": ID_SCHEMA,
                    "field_name": {"type": "string"},
                    "label": {"type": "string"},
                    "field_type": {"type": "string", "enum": FieldType.values},
                    "enum_values": {"type": "array", "items": {"type": "string"}},
                    "aliases": {"type": "array", "items": {"type": "string"}},
                    "operator": {"type": "string", "enum": Operator.values},
                    "value": VALUE_SCHEMA,
                    "weight": {"type": "number"},
                    "required": {"type": "boolean"},
                },
            },
        },
    },
}


@extend_schema_field(VALUE_SCHEMA)
class ValueField(serializers.JSONField):
    """What a comparison asks for; the use case checks it against the field and the operator."""


def _texts(**more: Any) -> serializers.ListField:
    return serializers.ListField(child=serializers.CharField(max_length=200), required=False, **more)


class CriterionBody(Body):
    """A criterion of a profile; its field by `field_id` or `field_name`.

    With `field_type` (and `enum_values`, `label`, `aliases`) a field that the domain does not have yet is made.
    """

    criterion_id = serializers.IntegerField(min_value=1, required=False)
    field_id = serializers.IntegerField(min_value=1, required=False)
    field_name = serializers.CharField(max_length=60, required=False)  # type: ignore[assignment]
    field_type = serializers.ChoiceField(choices=FieldType.choices, required=False)
    label = serializers.CharField(max_length=120, required=False, allow_blank=True)  # type: ignore[assignment]
    enum_values = _texts()
    aliases = _texts()
    operator = serializers.ChoiceField(choices=Operator.choices)
    value = ValueField()
    weight = NumberField(max_digits=7, decimal_places=3, min_value=0, max_value=MOST_WEIGHT, required=False)
    required = serializers.BooleanField(required=False)  # type: ignore[assignment]


class _InOrder(serializers.ListSerializer[Any]):
    """The criteria of a profile as they stand in it; written ones as `CriterionBody` takes them."""

    def to_representation(self, data: Any) -> Any:
        return super().to_representation(sorted(data.all(), key=attrgetter("position", "pk")))


class ProfileCriterionSerializer(CriterionBody):
    """A criterion within its profile."""

    class Meta:
        list_serializer_class = _InOrder

    def to_representation(self, instance: SpotlightCriterion) -> dict[str, Any]:
        field = instance.field
        return {
            "criterion_id": instance.pk,
            "field_id": field.pk,
            "field_name": field.field_name,
            "field_type": field.field_type,
            "label": str(field),
            "enum_values": field.enum_values,
            "aliases": field.aliases,
            "operator": instance.operator,
            "value": instance.value,
            "weight": float(instance.weight),
            "required": instance.required,
        }


@extend_schema_serializer(
    examples=[
        OpenApiExample(
            "Two criteria",
            request_only=True,
            value={
                "name": "Mid-size banks",
                "domain": "finance",
                "criteria": [
                    {"field_name": "industry", "field_type": "text", "operator": "=", "value": "Banking", "weight": 12},
                    {"field_name": "budget", "field_type": "number", "operator": ">=", "value": 100000, "weight": 10},
                ],
            },
        )
    ]
)
class SpotlightSerializer(OrgSerializer):
    """A profile; criteria, when written, take the place of all there are, and keep their identity by `criterion_id`.

    `version` grows with every change of the criteria. A profile that is not active, or whose criteria weigh nothing,
    is not evaluated.
    """

    criteria = ProfileCriterionSerializer(many=True, required=False, max_length=MOST_CRITERIA)  # type: ignore[call-arg]
    note = serializers.CharField(
        max_length=LONGEST_NOTE,
        required=False,
        allow_blank=True,
        write_only=True,
        help_text="Why; kept with the version.",
    )

    class Meta:
        model = Spotlight
        resource = "spotlight"
        fields = ("name", "domain", "description", "active", "version", "criteria", "note")
        read_only_fields = ("version",)


class CriterionSerializer(OrgSerializer):
    """A criterion by itself."""

    field_name = serializers.CharField(source="field.field_name", read_only=True)  # type: ignore[assignment]
    value = ValueField()
    position = serializers.IntegerField(min_value=0)

    class Meta:
        model = SpotlightCriterion
        resource = "criterion"
        fields = ("spotlight_id", "field_id", "field_name", "operator", "value", "weight", "required", "position")
        read_only_fields = fields


class NewCriterionBody(CriterionBody):
    """A criterion for the end of a profile."""

    criterion_id = None  # type: ignore[assignment]  # it gets one
    spotlight_id = OrgRelatedField(Spotlight, source="spotlight")


class CriterionChangeBody(CriterionBody):
    """What of a criterion is to be different; it stays in its profile."""

    criterion_id = None  # type: ignore[assignment]  # the address says which


class SpotlightFieldSerializer(OrgSerializer):
    """A field that all profiles of its domain share; facts are found by its name and its aliases, in any spelling."""

    display_order = serializers.IntegerField(min_value=0, max_value=MOST_ORDER, required=False)
    enum_values = _texts(help_text="What there is to choose from, for the type enum.")
    aliases = _texts(help_text="Other names under which the same fact comes in.")

    class Meta:
        model = SpotlightField
        resource = "field"
        fields = (
            "domain",
            "field_name",
            "label",
            "field_type",
            "is_required",
            "display_order",
            "enum_values",
            "aliases",
        )


class FieldRuleSerializer(OrgSerializer):
    """Shows, requires or hides a field of a form when another one has a value."""

    condition_value = ValueField()

    class Meta:
        model = FieldRule
        resource = "rule"
        fields = ("field_id", "condition_field_id", "operator", "condition_value", "effect")


@extend_schema_field(DEFINITION_SCHEMA)
class DefinitionField(serializers.JSONField):
    """All that the evaluation reads of a profile."""


class SpotlightVersionSerializer(OrgSerializer):
    """A profile as it was at one version; it is never changed."""

    definition = DefinitionField(read_only=True)

    class Meta:
        model = SpotlightVersion
        resource = "spotlight_version"
        fields = (
            "spotlight_id",
            "version",
            "origin",
            "note",
            "made_at",
            "made_by_user_id",
            "made_by_label",
            "definition",
        )
        read_only_fields = fields


class CloneBody(Body):
    """The name of the copy; without one it is that of the original with (copy)."""

    name = serializers.CharField(max_length=120, required=False)


class RevertBody(Body):
    """Why the profile goes back."""

    note = serializers.CharField(max_length=LONGEST_NOTE, required=False, allow_blank=True)
