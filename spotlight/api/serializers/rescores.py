"""Re-scores of many items with their progress."""

from __future__ import annotations

from drf_spectacular.utils import OpenApiExample, extend_schema_serializer
from rest_framework import serializers

from flowledger.api.fields import OrgRelatedField
from flowledger.api.serializers import Body, OrgSerializer
from flowledger.clients.models import Client, Contact
from spotlight.models import RescoreRun, Spotlight


class RescoreSerializer(OrgSerializer):
    """One re-score: `done_count` of `items_total` items are scored, `changed_count` of them have another score."""

    class Meta:
        model = RescoreRun
        resource = "rescore"
        fields = (
            "spotlight_id",
            "client_id",
            "contact_id",
            "cause",
            "reason",
            "status",
            "item_type",
            "items_total",
            "done_count",
            "changed_count",
            "fires_rules",
            "failure",
            "started_by_user_id",
            "started_at",
            "finished_at",
        )
        read_only_fields = fields


@extend_schema_serializer(
    examples=[
        OpenApiExample("One profile", value={"spotlight_id": 4, "reason": "The spring list has come"}),
        OpenApiExample("One client", value={"client_id": 17}),
    ]
)
class RescoreBody(Body):
    """What to score anew: everything against all active profiles, unless narrowed."""

    spotlight_id = OrgRelatedField(Spotlight, source="spotlight", required=False, help_text="This profile alone.")
    client_id = OrgRelatedField(Client, source="client", required=False, help_text="The items of this client alone.")
    contact_id = OrgRelatedField(
        Contact, source="contact", required=False, help_text="The items of this contact alone."
    )
    reason = serializers.CharField(max_length=500, required=False, allow_blank=True, default="")
