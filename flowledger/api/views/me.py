"""GET /api/me: who the credential is, and where else they may go."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from flowledger.api.base import OrgAPIView
from flowledger.api.permissions import ANY_KEY
from flowledger.tenancy.actors import Role
from flowledger.tenancy.services import organizations_of


class MembershipSerializer(serializers.Serializer[object]):
    """One organisation that the person can sign in to."""

    org_id = serializers.IntegerField()
    org_name = serializers.CharField()
    role = serializers.ChoiceField(choices=Role.choices)


class MeSerializer(serializers.Serializer[object]):
    """The caller. An API key has no user and no memberships."""

    user_id = serializers.IntegerField(allow_null=True)
    username = serializers.CharField(allow_null=True)
    org_id = serializers.IntegerField()
    role = serializers.ChoiceField(choices=Role.choices)
    memberships = MembershipSerializer(many=True)


class MeView(OrgAPIView):
    """The caller of the API."""

    scope = ANY_KEY
    # The list of a person's organisations is read after their scope has closed: a scope cannot widen itself.
    stays_in_scope = False

    @extend_schema(responses=MeSerializer)
    def get(self, request: Request) -> Response:
        """User, organisation and today's role, with the organisations that the user belongs to."""
        user: Any = request.user
        memberships = organizations_of(user) if user else []
        return Response(
            {
                "user_id": user.pk if user else None,
                "username": user.get_username() if user else None,
                "org_id": self.org.pk,
                "role": self.actor.role.value,
                "memberships": [
                    {"org_id": member.org_id, "org_name": member.org.name, "role": member.role}
                    for member in memberships
                ],
            }
        )
