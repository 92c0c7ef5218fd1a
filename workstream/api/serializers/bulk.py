"""Moving many items at once: what is asked, and what became of each row."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import OpenApiExample, extend_schema_field, extend_schema_serializer
from rest_framework import serializers

from flowledger.api.converters import MAX_ID
from flowledger.api.errors import describe
from flowledger.api.fields import ID_SCHEMA, InstantField
from flowledger.api.serializers import Body
from workstream.api.serializers.candidates import PromoteBody
from workstream.machines import CandidateStatus, PursuitStage
from workstream.services.bulk import CANDIDATE_TARGETS, Moved

MOST_ROWS = 500

ERROR_SCHEMA = {
    "anyOf": [
        *(
            {"$ref": f"#/components/schemas/{name}"}
            for name in ("ValidationError", "Forbidden", "NotFound", "Conflict", "GateBlocked", "InvalidTransition")
        ),
        {"type": "null"},
    ],
    "description": "What the move of this row alone would have been refused with.",
}


def _ids() -> serializers.ListField:
    return serializers.ListField(
        child=serializers.IntegerField(min_value=1, max_value=MAX_ID), min_length=1, max_length=MOST_ROWS
    )


# Which members say something about which target; elsewhere they would be ignored, so they are refused.
MEANT_FOR = {
    "reason": {CandidateStatus.ON_HOLD, CandidateStatus.ARCHIVED},
    "resume_at": {CandidateStatus.ON_HOLD},
    "fields": {CandidateStatus.PROMOTED},
}
NEEDS_REASON = MEANT_FOR["reason"]


@extend_schema_serializer(
    examples=[
        OpenApiExample(
            "Put on hold", value={"ids": [12, 15, 40], "to": "on_hold", "reason": "Budget is decided in May"}
        ),
        OpenApiExample("Promote", value={"ids": [12, 15], "to": "promoted", "fields": {"probability": 0.6}}),
    ]
)
class CandidatesMoveBody(Body):
    """Candidates to move to one status, with what that verb takes."""

    ids = _ids()
    to = serializers.ChoiceField(choices=[(status.value, status.label) for status in CANDIDATE_TARGETS])
    reason = serializers.CharField(max_length=500, required=False)
    resume_at = InstantField(required=False, allow_null=True)

    def get_fields(self) -> dict[str, Any]:
        """`fields` is a name that serializers keep for themselves."""
        return {**super().get_fields(), "fields": PromoteBody(required=False)}

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        errors = {
            name: [f"This has no meaning for a move to {attrs['to']}."]
            for name, targets in MEANT_FOR.items()
            if name in attrs and attrs["to"] not in targets
        }
        if attrs["to"] in NEEDS_REASON and "reason" not in attrs:
            errors["reason"] = ["This field is required."]
        if errors:
            raise serializers.ValidationError(errors)
        return attrs


@extend_schema_serializer(
    examples=[
        OpenApiExample("Into the red review", value={"ids": [71, 72], "to": "red"}),
        OpenApiExample("Lost", value={"ids": [80], "to": "lost", "reason": "They bought elsewhere"}),
    ]
)
class PursuitsMoveBody(Body):
    """Pursuits to move to one stage; a loss also needs its reason."""

    ids = _ids()
    to = serializers.ChoiceField(choices=PursuitStage.choices)
    reason = serializers.CharField(max_length=1000, required=False, allow_blank=True, default="")


class MovedSerializer(serializers.Serializer[Any]):
    """What became of one row."""

    id = serializers.IntegerField(source="item_id", min_value=1)
    ok = serializers.SerializerMethodField()
    state = serializers.CharField(allow_null=True, help_text="Where it is now; null for a row that does not exist.")
    previous_state = serializers.CharField(allow_null=True, help_text="What it left; null when it did not move.")
    pursuit_id = serializers.SerializerMethodField()
    error = serializers.SerializerMethodField()

    def get_ok(self, moved: Moved) -> bool:
        return moved.error is None

    @extend_schema_field(
        {"anyOf": [ID_SCHEMA, {"type": "null"}], "description": "The one pursuit of a candidate that was promoted."}
    )
    def get_pursuit_id(self, moved: Moved) -> int | None:
        return moved.pursuit_id

    @extend_schema_field(ERROR_SCHEMA)
    def get_error(self, moved: Moved) -> dict[str, Any] | None:
        """The body that the single endpoint would have answered with."""
        return None if moved.error is None else describe(moved.error)[1]


@extend_schema_serializer(
    examples=[
        OpenApiExample(
            "One of two moved",
            value={
                "moved": 1,
                "refused": 1,
                "results": [
                    {
                        "id": 71,
                        "ok": True,
                        "state": "red",
                        "previous_state": "pink",
                        "pursuit_id": None,
                        "error": None,
                    },
                    {
                        "id": 72,
                        "ok": False,
                        "state": "qual",
                        "previous_state": None,
                        "pursuit_id": None,
                        "error": {
                            "error": "A pursuit cannot go from qual to red; possible next states: pink.",
                            "code": "invalid_transition",
                            "state_machine": "pursuit",
                            "current_state": "qual",
                            "attempted_state": "red",
                            "allowed_transitions": ["pink"],
                        },
                    },
                ],
            },
            response_only=True,
        )
    ]
)
class MovesSerializer(serializers.Serializer[Any]):
    """A result for every id, in the order asked; `moved` and `refused` count rows, each once."""

    moved = serializers.IntegerField(min_value=0)
    refused = serializers.IntegerField(min_value=0)
    results = MovedSerializer(many=True)


def moves(results: list[Moved]) -> dict[str, Any]:
    """The answer to a bulk move."""
    rows = {result.item_id: result for result in results}.values()
    refused = sum(row.error is not None for row in rows)
    shown = {"moved": len(rows) - refused, "refused": refused, "results": results}
    return dict(MovesSerializer(shown).data)
