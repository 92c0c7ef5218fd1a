"""Clients, contacts and onboarding tasks as the API shows and takes them."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from flowledger.api.fields import DayField, MemberField
from flowledger.api.serializers import Body, OrgSerializer
from flowledger.clients.models import Client, Contact, OnboardingStatus, OnboardingTask


@extend_schema_field({"type": "object", "additionalProperties": True})
class ObjectField(serializers.JSONField):
    """A JSON object."""

    def to_internal_value(self, data: Any) -> Any:
        value = super().to_internal_value(data)
        if not isinstance(value, dict):
            raise serializers.ValidationError("This is a JSON object.")
        return value


class ClientSerializer(OrgSerializer):
    """A company. `domain` may be given as a URL or an address; the registrable domain is kept."""

    domain = serializers.CharField(max_length=500, required=False, allow_blank=True)
    attributes = ObjectField(required=False)

    class Meta:
        model = Client
        resource = "client"
        fields = (
            "name",
            "domain",
            "industry",
            "size_band",
            "annual_revenue",
            "country",
            "is_active",
            "attributes",
        )


class ContactSerializer(OrgSerializer):
    """A person. `phone` is kept in E.164, read in the organisation's region when it has no country code."""

    email = serializers.CharField(max_length=254, required=False, allow_blank=True)
    phone = serializers.CharField(max_length=60, required=False, allow_blank=True)
    preferences = ObjectField(required=False)
    social_links = ObjectField(required=False)

    class Meta:
        model = Contact
        resource = "contact"
        fields = ("client_id", "name", "email", "phone", "title", "preferences", "social_links", "is_active")


class ClientContactBody(Body):
    """A new contact of the client in the address."""

    name = serializers.CharField(max_length=200, required=False, allow_blank=True)
    email = serializers.CharField(max_length=254, required=False, allow_blank=True)
    phone = serializers.CharField(max_length=60, required=False, allow_blank=True)
    title = serializers.CharField(max_length=150, required=False, allow_blank=True)
    preferences = ObjectField(required=False)
    social_links = ObjectField(required=False)
    is_active = serializers.BooleanField(required=False)


class OnboardingTaskSerializer(OrgSerializer):
    """A step of taking on a client."""

    class Meta:
        model = OnboardingTask
        resource = "onboarding_task"
        fields = ("client_id", "title", "assignee_user_id", "due_date", "status", "done_at", "cancelled_at")


class OnboardingTaskBody(Body):
    """A new step."""

    title = serializers.CharField(max_length=200)
    assignee_user_id = MemberField(source="assignee", required=False, allow_null=True)
    due_date = DayField(required=False, allow_null=True)


class OnboardingTaskChangeBody(OnboardingTaskBody):
    """Changes of a step; `status` completes, cancels or reopens it."""

    status = serializers.ChoiceField(choices=OnboardingStatus.choices, required=False)
