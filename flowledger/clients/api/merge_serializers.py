"""Merges, their previews, and pairs to be decided, as the API shows and takes them."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from flowledger.api.converters import MAX_ID
from flowledger.api.fields import ID_SCHEMA
from flowledger.api.serializers import Body, OrgSerializer
from flowledger.clients.models import Client, Contact, IdentityConflict, MergeRecord
from flowledger.clients.services import MERGE_FIELDS, RESOLUTIONS, Sides
from flowledger.clients.services.merge_fields import pairs_of

COUNTS_SCHEMA = {"type": "object", "additionalProperties": {"type": "integer", "minimum": 0}}
OBJECT_SCHEMA = {"type": "object", "additionalProperties": True}
CHOICES = ("survivor", "loser", "both")


@extend_schema_field(COUNTS_SCHEMA)
class CountsField(serializers.JSONField):
    """Counts by reference: `{"workstream.signal.contact": 12}`."""


@extend_schema_field(OBJECT_SCHEMA)
class StateField(serializers.JSONField):
    """All columns of a row as they were."""


@extend_schema_field({"type": ["string", "number", "boolean", "object", "array", "null"]})
class ValueField(serializers.JSONField):
    """The value of one column."""


class ChoicesField(serializers.Field[Any, Any, Any, Any]):
    """Which side each named field is taken from; the use case says what can be chosen."""

    def to_internal_value(self, data: Any) -> dict[str, str]:
        if not isinstance(data, dict) or not all(isinstance(each, str) for each in data.values()):
            raise serializers.ValidationError('This is an object such as {"name": "loser"}.')
        return data

    def to_representation(self, value: Any) -> Any:
        return value


def _choices_schema(model: type[Any]) -> dict[str, Any]:
    choice = {"type": "string", "enum": list(CHOICES)}
    return {"type": "object", "properties": dict.fromkeys(MERGE_FIELDS[model], choice), "additionalProperties": False}


@extend_schema_field(_choices_schema(Contact))
class ContactChoicesField(ChoicesField):
    """Choices of the fields of a contact."""


@extend_schema_field(_choices_schema(Client))
class ClientChoicesField(ChoicesField):
    """Choices of the fields of a client."""


@extend_schema_field({"type": "object", "additionalProperties": {"type": "string", "enum": list(CHOICES)}})
class ResolveChoicesField(ChoicesField):
    """Choices of the fields of a contact or a client."""


class _PairBody(Body):
    """Which two are merged. `both` joins JSON objects; a field that is not named fills what the survivor lacks."""

    survivor_id = serializers.IntegerField(min_value=1, max_value=MAX_ID)
    loser_id = serializers.IntegerField(min_value=1, max_value=MAX_ID)
    reason = serializers.CharField(max_length=500, required=False, allow_blank=True)


class ContactMergeBody(_PairBody):
    """A merge of two contacts."""

    # The metaclass takes declared fields out of the class: the serializer's own `fields` stays what it is.
    fields = ContactChoicesField(required=False)  # type: ignore[assignment]


class ClientMergeBody(_PairBody):
    """A merge of two clients."""

    fields = ClientChoicesField(required=False)  # type: ignore[assignment]


class MergeSerializer(OrgSerializer):
    """A merge: what was chosen, what moved, and whether it stands."""

    moved = CountsField(read_only=True)
    left = CountsField(read_only=True)
    choices = serializers.DictField(child=serializers.CharField(), read_only=True)

    class Meta:
        model = MergeRecord
        resource = "merge"
        fields: tuple[str, ...] = (
            *("entity_type", "survivor_id", "loser_id", "choices", "moved", "left", "reason"),
            *("merged_at", "merged_by_user_id", "merged_by_label", "undone_at", "undone_by_user_id"),
        )


class KeptChangeSerializer(serializers.Serializer[Any]):
    """What was changed after the merge and what the undo left as it is."""

    model = serializers.CharField()
    id = serializers.IntegerField()
    field = serializers.CharField()
    reason = serializers.CharField()
    value = ValueField()
    before = ValueField()


class UndoReportSerializer(serializers.Serializer[Any]):
    """What an undo gave back; `kept` lists the first thousand of `kept_count` changes."""

    returned = CountsField(required=False)
    kept_count = serializers.IntegerField(required=False)
    kept = KeptChangeSerializer(many=True, required=False)


class MergeDetailSerializer(MergeSerializer):
    """A merge with both states before it, the survivor after it, and the report of its undo."""

    survivor_before = StateField(read_only=True)
    loser_before = StateField(read_only=True)
    survivor_after = StateField(read_only=True)
    undo_report = serializers.SerializerMethodField()

    class Meta(MergeSerializer.Meta):
        fields = (*MergeSerializer.Meta.fields, "survivor_before", "loser_before", "survivor_after", "undo_report")

    @extend_schema_field(UndoReportSerializer(allow_null=True))
    def get_undo_report(self, merge: MergeRecord) -> Any:
        return merge.undo_report or None


class MergeFieldSerializer(serializers.Serializer[Any]):
    """One field on both sides, and what a merge takes when nothing else is chosen."""

    name = serializers.CharField()
    label = serializers.CharField()  # type: ignore[assignment]
    survivor = ValueField()
    loser = ValueField()
    differs = serializers.BooleanField()
    choice = serializers.ChoiceField(choices=CHOICES)
    result = ValueField()


class MergeMovesSerializer(serializers.Serializer[Any]):
    """How many rows of one kind would move, and how many stay because the survivor has their twins."""

    label = serializers.CharField()  # type: ignore[assignment]
    name = serializers.CharField()
    moved = serializers.IntegerField()
    left = serializers.IntegerField()


class MergePreviewSerializer(serializers.Serializer[Any]):
    """What a merge would do."""

    entity_type = serializers.CharField(source="kind")
    survivor_id = serializers.IntegerField(source="survivor.pk")
    loser_id = serializers.IntegerField(source="loser.pk")
    fields = MergeFieldSerializer(many=True)  # type: ignore[assignment]
    moves = MergeMovesSerializer(many=True)


class ConflictSideSerializer(serializers.Serializer[Any]):
    """One of a pair, as it is today."""

    id = serializers.IntegerField()
    name = serializers.CharField(allow_blank=True)


class ComparedFieldSerializer(serializers.Serializer[Any]):
    """One field of both of a pair."""

    name = serializers.CharField()
    label = serializers.CharField()  # type: ignore[assignment]
    first = ValueField()
    second = ValueField()
    differs = serializers.BooleanField()


class IdentityConflictSerializer(OrgSerializer):
    """A pair to be decided; a side that was merged is shown as its survivor."""

    entity_type = serializers.SerializerMethodField()
    sides = serializers.SerializerMethodField()
    status = serializers.SerializerMethodField()
    explanation = StateField(read_only=True)

    class Meta:
        model = IdentityConflict
        resource = "conflict"
        fields: tuple[str, ...] = (
            *("kind", "entity_type", "sides", "score", "explanation", "occurrences", "first_seen", "last_seen"),
            *("status", "resolved_at", "resolved_by_user_id", "note"),
        )

    def sides_of(self, conflict: IdentityConflict) -> Sides:
        sides: Sides = self.context["sides"][conflict.pk]
        return sides

    @extend_schema_field({"type": "string", "enum": ["contact", "client"]})
    def get_entity_type(self, conflict: IdentityConflict) -> str:
        return str(self.sides_of(conflict).kind)

    @extend_schema_field(ConflictSideSerializer(many=True))
    def get_sides(self, conflict: IdentityConflict) -> Any:
        sides = self.sides_of(conflict)
        return [{"id": row.pk, "name": str(row)} for row in (sides.first, sides.second)]

    @extend_schema_field({"type": "string", "enum": ["open", "merged", "kept_apart"]})
    def get_status(self, conflict: IdentityConflict) -> str:
        return str(self.sides_of(conflict).status_of(conflict))


class IdentityConflictDetailSerializer(IdentityConflictSerializer):
    """A pair side by side."""

    compared = serializers.SerializerMethodField()

    class Meta(IdentityConflictSerializer.Meta):
        fields = (*IdentityConflictSerializer.Meta.fields, "compared")

    @extend_schema_field(ComparedFieldSerializer(many=True))
    def get_compared(self, conflict: IdentityConflict) -> Any:
        sides = self.sides_of(conflict)
        return [
            {
                "name": pair.name,
                "label": pair.label,
                "first": pair.survivor,
                "second": pair.loser,
                "differs": pair.differs,
            }
            for pair in pairs_of(sides.first, sides.second, {})
        ]


class ResolveConflictBody(Body):
    """What a pair is: the same (`merge`, with the survivor) or not (`keep_apart`)."""

    resolution = serializers.ChoiceField(choices=RESOLUTIONS)
    survivor_id = serializers.IntegerField(min_value=1, max_value=MAX_ID, required=False, allow_null=True)
    fields = ResolveChoicesField(required=False)  # type: ignore[assignment]
    note = serializers.CharField(max_length=500, required=False, allow_blank=True)


class ResolvedConflictSerializer(IdentityConflictSerializer):
    """A decided pair and the merge that the decision was, if it was one."""

    merge_id = serializers.SerializerMethodField()

    class Meta(IdentityConflictSerializer.Meta):
        fields = (*IdentityConflictSerializer.Meta.fields, "merge_id")

    @extend_schema_field({"anyOf": [ID_SCHEMA, {"type": "null"}]})
    def get_merge_id(self, conflict: IdentityConflict) -> int | None:
        merge_id: int | None = self.context.get("merge_id")
        return merge_id
