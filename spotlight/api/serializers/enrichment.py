"""What providers say of clients and contacts."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from drf_spectacular.utils import OpenApiExample, extend_schema_field, extend_schema_serializer
from rest_framework import serializers

from flowledger.api.fields import InstantField, OrgRelatedField
from flowledger.api.serializers import Body, OrgSerializer
from flowledger.clients.models import Client, Contact
from spotlight.models import EnrichedFact
from spotlight.services.enrichment import LONGEST_NAME


@extend_schema_field({"description": "Any JSON value.", "type": ["string", "number", "boolean", "array", "object"]})
class AnyValueField(serializers.JSONField):
    """A JSON value, as it is."""


class EnrichedFactSerializer(OrgSerializer):
    """The newest word of one provider on one field."""

    value = AnyValueField(read_only=True)

    class Meta:
        model = EnrichedFact
        resource = "fact"
        fields = ("client_id", "contact_id", "field_name", "value", "provider", "confidence", "fetched_at")
        read_only_fields = fields


@extend_schema_serializer(
    examples=[
        OpenApiExample(
            "A company",
            value={
                "client_id": 17,
                "provider": "Company register",
                "facts": {"industry": "Financial Services", "employees": 240, "listed": False},
                "confidence": 0.9,
            },
        )
    ]
)
class FactsBody(Body):
    """What a provider says of one client or one contact; a null takes back what it said before."""

    client_id = OrgRelatedField(Client, source="client", required=False)
    contact_id = OrgRelatedField(Contact, source="contact", required=False)
    provider = serializers.CharField(max_length=LONGEST_NAME)
    facts = serializers.DictField(child=AnyValueField(allow_null=True), help_text="{field: value}")
    confidence = serializers.DecimalField(max_digits=3, decimal_places=2, min_value=0, max_value=1, default=Decimal(1))
    fetched_at = InstantField(required=False, help_text="When the provider was asked; now unless given.")


class StoredFactsSerializer(serializers.Serializer[Any]):
    """What became of the facts; items of the client or contact are scored anew when something changed."""

    changed = serializers.ListField(child=serializers.CharField(), help_text="The fields that are news, sorted.")
