"""Signing in, staying in, signing out: POST /api/auth/token, /refresh, /logout."""

from __future__ import annotations

from dataclasses import asdict

from django.utils.timezone import now
from django.views.decorators.debug import sensitive_variables
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from flowledger.api import services, throttling
from flowledger.api.converters import MAX_ID
from flowledger.api.serializers import StrictFields
from flowledger.api.views.public import PublicAPIView
from flowledger.tenancy.actors import Role

# Longer texts are no password that anybody chose, and hashing them costs.
MAX_PASSWORD = 1_000
NO_STORE = {"Cache-Control": "no-store"}


class CredentialsBody(StrictFields, serializers.Serializer[object]):
    """Name and password, and the organisation where there are several."""

    username = serializers.CharField(max_length=150)
    password = serializers.CharField(max_length=MAX_PASSWORD, trim_whitespace=False)
    org_id = serializers.IntegerField(required=False, allow_null=True, min_value=1, max_value=MAX_ID)


class RefreshBody(StrictFields, serializers.Serializer[object]):
    """The refresh token that was issued last."""

    refresh = serializers.CharField(max_length=4_000)


class SessionSerializer(serializers.Serializer[services.Session]):
    """A pair of tokens; the access token lives 15 minutes, the refresh token until it is used."""

    access = serializers.CharField()
    refresh = serializers.CharField()
    org_id = serializers.IntegerField()
    role = serializers.ChoiceField(choices=Role.choices)


class SignedOutSerializer(serializers.Serializer[object]):
    """The session has ended."""

    signed_out = serializers.BooleanField()


class TokenView(PublicAPIView):
    """Sign in to one organisation."""

    more_statuses = (401, 403)

    @extend_schema(request=CredentialsBody, responses=SessionSerializer)
    @sensitive_variables()
    def post(self, request: Request) -> Response:
        """Exchange user name and password for an access token and a refresh token."""
        given = self.body(CredentialsBody)
        throttling.require_within([throttling.login_limit(request, given["username"])])
        session = services.sign_in(
            username=given["username"], password=given["password"], org_id=given.get("org_id"), at=now()
        )
        return Response(asdict(session), headers=NO_STORE)


class RefreshView(PublicAPIView):
    """Continue a session."""

    more_statuses = (401,)

    @extend_schema(request=RefreshBody, responses=SessionSerializer)
    @sensitive_variables()
    def post(self, request: Request) -> Response:
        """Exchange a refresh token for the next pair. A token that was used before ends the whole session."""
        session = services.refresh_session(refresh=self.body(RefreshBody)["refresh"], at=now())
        return Response(asdict(session), headers=NO_STORE)


class LogoutView(PublicAPIView):
    """End a session."""

    more_statuses = (401,)

    @extend_schema(request=RefreshBody, responses=SignedOutSerializer)
    @sensitive_variables()
    def post(self, request: Request) -> Response:
        """End the session that the refresh token belongs to; its access token runs out by itself."""
        services.sign_out(refresh=self.body(RefreshBody)["refresh"], at=now())
        return Response({"signed_out": True}, headers=NO_STORE)
