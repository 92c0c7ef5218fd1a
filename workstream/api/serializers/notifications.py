"""What people are told, and how they want to be told."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from flowledger.api.serializers import Body, OrgSerializer
from workstream.models import Notification
from workstream.models.notifications import EmailMode


@extend_schema_field({"type": "string", "pattern": "^([01][0-9]|2[0-3]):[0-5][0-9]$"})
class ClockTimeField(serializers.TimeField):
    """A time of day in hours and minutes."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(format="%H:%M", input_formats=["%H:%M", "%H:%M:%S"], **kwargs)


class NotificationSerializer(OrgSerializer):
    """One thing that the caller was told."""

    class Meta:
        model = Notification
        resource = "notification"
        fields = ("kind", "title", "body", "item_type", "item_id", "happened_at", "read_at")


class ReadAllSerializer(serializers.Serializer[Any]):
    """How many notifications were unread."""

    marked = serializers.IntegerField()


class PreferenceSerializer(Body):
    """How the caller wants to be told; times are in `timezone`, which is the organisation's when empty."""

    email_mode = serializers.ChoiceField(choices=EmailMode.choices)
    digest_time = ClockTimeField()
    quiet_from = ClockTimeField(allow_null=True)
    quiet_to = ClockTimeField(allow_null=True)
    timezone = serializers.CharField(allow_blank=True, max_length=64)
