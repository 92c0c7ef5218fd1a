"""Keys of machines, kept by administrators: GET|POST /api/api-keys, DELETE /{id}, POST /{id}/rotate."""

from __future__ import annotations

from typing import Any

from django.utils.timezone import now
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response

from flowledger.api.fields import InstantField
from flowledger.api.mixins import ListModelMixin, RetrieveModelMixin
from flowledger.api.serializers import Body, OrgSerializer
from flowledger.api.viewsets import OrgViewSet
from flowledger.tenancy import services
from flowledger.tenancy.actors import Role
from flowledger.tenancy.models import ApiKey
from flowledger.tenancy.services import API_KEY_SCOPES


class ApiKeySerializer(OrgSerializer):
    """A key without its secret, which is stored as a hash only."""

    class Meta:
        model = ApiKey
        resource = "api_key"
        fields = ["name", "role", "scopes", "expires_at", "revoked_at", "last_used_at", "created_by_user_id"]


class IssuedApiKeySerializer(ApiKeySerializer):
    """A key in full, this once."""

    key = serializers.CharField(read_only=True)

    class Meta(ApiKeySerializer.Meta):
        fields = [*ApiKeySerializer.Meta.fields, "key"]


class IssueBody(Body):
    """What the key is called and what it may do."""

    name = serializers.CharField(max_length=100)
    role = serializers.ChoiceField(choices=Role.choices, default=Role.REP)
    scopes = serializers.ListField(
        child=serializers.ChoiceField(choices=[(scope, scope) for scope in API_KEY_SCOPES]), allow_empty=False
    )
    expires_at = InstantField(required=False, allow_null=True)


class ApiKeyViewSet(OrgViewSet, ListModelMixin, RetrieveModelMixin):
    """API keys of the organisation."""

    model = ApiKey
    resource = "api_key"
    scope = None
    # Its answers show a credential, which is stored nowhere.
    idempotent = False
    serializer_class = ApiKeySerializer
    action_roles = dict.fromkeys(("list", "retrieve", "create", "destroy", "rotate"), Role.ADMIN)
    body_classes = {"create": IssueBody}
    ordering_fields = ("name", "created_at", "expires_at", "last_used_at")

    def scoped_queryset(self, rows: Any) -> Any:
        return rows.order_by("-created_at", "-pk")

    @extend_schema(responses={201: IssuedApiKeySerializer})
    def create(self, request: Request) -> Response:
        """Issue a key; `key` is shown in this answer and never again."""
        given = self.body()
        key, text = services.issue_api_key(
            org=self.org,
            name=given["name"],
            role=Role(given["role"]),
            scopes=given["scopes"],
            expires_at=given.get("expires_at"),
            actor=self.actor,
            at=now(),
        )
        key.key = text  # type: ignore[attr-defined]
        return self.reply(key, status=201, serializer_class=IssuedApiKeySerializer)

    @extend_schema(responses={200: ApiKeySerializer})
    def destroy(self, request: Request, pk: int) -> Response:
        """Revoke a key for good; it stays listed."""
        return self.reply(services.revoke_api_key(org=self.org, key_id=pk, actor=self.actor, at=now()))

    @extend_schema(responses=IssuedApiKeySerializer)
    @action(detail=True, methods=["post"])
    def rotate(self, request: Request, pk: int) -> Response:
        """Replace the secret; the old one stops at once."""
        key, text = services.rotate_api_key(org=self.org, key_id=pk, actor=self.actor, at=now())
        key.key = text  # type: ignore[attr-defined]
        return self.reply(key, serializer_class=IssuedApiKeySerializer)
