"""Business calendars and what they would do."""

from __future__ import annotations

from operator import attrgetter
from typing import Any

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from flowledger.api.fields import DayField, InstantField, NumberField
from flowledger.api.serializers import Body, OrgSerializer
from workstream.business_time import WEEKDAYS
from workstream.models import BusinessCalendar, ClosingDay
from workstream.services.calendars import CALENDAR_FIELDS, MOST_HOURS

_TIME_SCHEMA = {"type": "string", "pattern": "^[0-2][0-9]:[0-5][0-9]$"}
_WINDOW_SCHEMA = {"type": "array", "items": _TIME_SCHEMA, "minItems": 2, "maxItems": 2}
WINDOWS_SCHEMA = {
    "type": "object",
    "properties": {day: {"type": "array", "items": _WINDOW_SCHEMA} for day in WEEKDAYS},
    "additionalProperties": False,
}


@extend_schema_field(WINDOWS_SCHEMA)
class WindowsField(serializers.JSONField):
    """Opening windows per weekday, `{"mon": [["09:00", "17:00"]]}`; the use case checks them."""


class _ByDate(serializers.ListSerializer[Any]):
    def to_representation(self, data: Any) -> Any:
        return super().to_representation(sorted(data.all(), key=attrgetter("date")))


class ClosingDaySerializer(Body):
    """A day on which the organisation is closed."""

    class Meta:
        list_serializer_class = _ByDate

    date = DayField()
    name = serializers.CharField(
        max_length=ClosingDay._meta.get_field("name").max_length, required=False, allow_blank=True
    )


class CalendarSerializer(OrgSerializer):
    """When the organisation is open; closing days, when written, take the place of all there are."""

    windows = WindowsField(required=False)
    closing_days = ClosingDaySerializer(many=True, required=False)

    class Meta:
        model = BusinessCalendar
        resource = "calendar"
        fields = ("name", "timezone", "windows", "country", "subdivision", "closing_days", "version")
        read_only_fields = ("version",)


class CalendarPreviewBody(Body):
    """A start and a number of open hours; by a stored calendar, one described here, or both, where this one wins."""

    calendar_id = serializers.IntegerField(required=False, min_value=1)
    timezone = serializers.CharField(required=False, max_length=64)
    windows = WindowsField(required=False)
    country = serializers.CharField(required=False, max_length=2, allow_blank=True)
    subdivision = serializers.CharField(required=False, max_length=10, allow_blank=True)
    closing_days = ClosingDaySerializer(many=True, required=False)
    start_at = InstantField()
    hours = NumberField(max_digits=8, decimal_places=2, max_value=MOST_HOURS)

    def to_internal_value(self, data: Any) -> Any:
        """What describes the calendar goes together, as the use case takes it."""
        body = super().to_internal_value(data)
        fields = {name: body.pop(name) for name in CALENDAR_FIELDS & body.keys()}
        return {**body, "fields": fields, "hours": float(body["hours"])}


class _StretchSerializer(serializers.Serializer[Any]):
    opens_at = InstantField()
    closes_at = InstantField()


class CalendarPreviewSerializer(serializers.Serializer[Any]):
    """When it would be due, and the open times passed on the way; `is_cut` when there are more than are shown."""

    due_at = InstantField()
    stretches = _StretchSerializer(many=True)
    is_cut = serializers.BooleanField()
