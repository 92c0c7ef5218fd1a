"""Boards: columns, sums and cards."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import OpenApiExample, extend_schema_field, extend_schema_serializer
from rest_framework import serializers

from flowledger.api.fields import ID_SCHEMA, DayField, InstantField, MoneyField, NumberField
from workstream.api.serializers.items import BADGES
from workstream.api.serializers.pursuits import PROGRESS_SCHEMA
from workstream.machines import CandidateStatus, PursuitStage
from workstream.models.candidates import ValueBand
from workstream.models.today import Tier


class SumsSerializer(serializers.Serializer[Any]):
    """What a column is worth in one currency."""

    currency = serializers.CharField()
    value = MoneyField(max_digits=20)
    weighted_value = MoneyField(
        source="weighted", max_digits=20, allow_null=True, help_text="By probability; null for candidates."
    )


@extend_schema_field({"anyOf": [PROGRESS_SCHEMA, {"type": "null"}]})
class CardProgressField(serializers.ReadOnlyField):
    """Required checklist items per review; null for a candidate."""


@extend_schema_field({"anyOf": [ID_SCHEMA, {"type": "null"}]})
class IdField(serializers.ReadOnlyField):
    """An identifier, or null."""


class CardSerializer(serializers.Serializer[Any]):
    """One item on a board."""

    item_id = serializers.IntegerField(min_value=1)
    label = serializers.CharField()  # type: ignore[assignment]
    client_id = IdField()
    client_name = serializers.CharField(allow_null=True)
    value = MoneyField(allow_null=True, help_text="A candidate's estimate, a pursuit's forecast.")
    currency = serializers.CharField()
    probability = NumberField(3, 2, allow_null=True, help_text="null for a candidate.")
    owner_user_id = IdField(source="owner_id")
    owner_name = serializers.CharField(allow_null=True)
    badge = serializers.ChoiceField(choices=[(badge, badge) for badge in BADGES])
    priority_tier = serializers.ChoiceField(
        choices=[(tier.label, tier.label) for tier in Tier],
        source="tier",
        allow_null=True,
        help_text="As on the Today panel; null while the item is not on it.",
    )
    checklist = CardProgressField()
    icp_band = serializers.CharField(allow_null=True)
    value_band = serializers.ChoiceField(choices=ValueBand.choices)
    due_date = DayField(source="due", allow_null=True)
    last_touch_at = InstantField()
    days_since_touch = serializers.IntegerField(min_value=0)
    tags = serializers.ListField(child=serializers.CharField())
    row_version = serializers.IntegerField(min_value=1)


class ColumnSerializer(serializers.Serializer[Any]):
    """One state of a board; count and sums are those of every item in it, not of the cards shown."""

    state = serializers.ChoiceField(choices=[*CandidateStatus.choices, *PursuitStage.choices])
    label = serializers.CharField()  # type: ignore[assignment]
    is_closed = serializers.BooleanField()
    allowed_transitions = serializers.ListField(
        source="allowed", child=serializers.CharField(), help_text="The states that a card may be moved to."
    )
    count = serializers.IntegerField(min_value=0)
    sums = SumsSerializer(many=True)
    cards = CardSerializer(many=True)
    next = serializers.SerializerMethodField(help_text="Give it as `cursor`, with `column`; null after the last card.")

    def get_next(self, column: Any) -> str | None:
        """The view signs the place where the cards go on."""
        cursor: str | None = self.context["cursor_of"](column)
        return cursor


@extend_schema_serializer(
    many=False,
    examples=[
        OpenApiExample(
            "A board of pursuits",
            value={
                "order": "priority",
                "counts_are_lower_bounds": False,
                "columns": [
                    {
                        "state": "red",
                        "label": "Red review",
                        "is_closed": False,
                        "allowed_transitions": ["pink", "submit"],
                        "count": 1,
                        "sums": [{"currency": "EUR", "value": "48000.00", "weighted_value": "28800.00"}],
                        "cards": [
                            {
                                "item_id": 71,
                                "label": "Press line for Harbour Works",
                                "client_id": 12,
                                "client_name": "Harbour Works",
                                "value": "48000.00",
                                "currency": "EUR",
                                "probability": 0.6,
                                "owner_user_id": 4,
                                "owner_name": "rita",
                                "badge": "amber",
                                "priority_tier": "high",
                                "checklist": {
                                    "pink": {"done": 4, "required": 4, "percent": 100},
                                    "red": {"done": 1, "required": 4, "percent": 25},
                                },
                                "icp_band": "high",
                                "value_band": "med",
                                "due_date": "2026-04-01",
                                "last_touch_at": "2026-03-02T09:00:00Z",
                                "days_since_touch": 3,
                                "tags": ["press"],
                                "row_version": 6,
                            }
                        ],
                        "next": None,
                    }
                ],
            },
            response_only=True,
        )
    ],
)
class BoardSerializer(serializers.Serializer[Any]):
    """The columns of a board, in the order of the machine."""

    order = serializers.ChoiceField(choices=["priority", "due_date"])
    counts_are_lower_bounds = serializers.BooleanField(
        help_text="true where a search stopped at its 10,000 newest matches; else counts and sums are exact."
    )
    columns = ColumnSerializer(many=True)
