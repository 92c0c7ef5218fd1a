"""Who calls: a bearer token of a person or the key of a machine, both checked inside the organisation they name.

A credential names its organisation, so the scope opens first and the look-up of the membership or key runs behind
row-level security like everything after it. Both are read on every request: what was revoked a moment ago is refused.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Protocol

from django.utils.timezone import now
from drf_spectacular.extensions import OpenApiAuthenticationExtension
from rest_framework.authentication import BaseAuthentication
from rest_framework.exceptions import AuthenticationFailed
from rest_framework.request import Request
from rest_framework_simplejwt.exceptions import TokenError

from flowledger.api.tokens import AccessToken, password_stamp
from flowledger.tenancy.actors import Actor, Origin
from flowledger.tenancy.models import ApiKey, Membership, Organization, User
from flowledger.tenancy.services import touch_api_key

BAD_CREDENTIAL = "The access token is invalid or has expired; refresh it or sign in again."
BAD_KEY = "The API key is unknown, revoked or expired."
LAST_USE_PRECISION = timedelta(minutes=1)


class Scoping(Protocol):
    """The view, as far as authentication needs it."""

    def open_scope(self, org_id: int) -> None: ...


@dataclass(frozen=True)
class Principal:
    """The caller of one request: `request.auth`."""

    org: Organization
    actor: Actor
    key: ApiKey | None = None

    @property
    def name(self) -> str:
        """Identifies the caller in throttles and idempotency records."""
        return f"{self.actor.kind.value}:{self.actor.pk}"


def _credential(request: Request, scheme: str) -> str | None:
    """The text after the scheme in the Authorization header, or None for another scheme or none."""
    given, _, text = request.META.get("HTTP_AUTHORIZATION", "").partition(" ")
    return text.strip() if given.lower() == scheme else None


def _view_of(request: Request) -> Scoping:
    view: Scoping = request.parser_context["view"]
    return view


def _request_id(request: Request) -> str:
    return getattr(request._request, "request_id", "")


class BearerAuthentication(BaseAuthentication):
    """`Authorization: Bearer <access token>`; role and membership are today's, not the token's."""

    def authenticate(self, request: Request) -> tuple[User, Principal] | None:
        text = _credential(request, "bearer")
        if text is None:
            return None
        try:
            token = AccessToken(text.encode())  # type: ignore[arg-type]
        except TokenError:
            raise AuthenticationFailed(BAD_CREDENTIAL) from None
        _view_of(request).open_scope(token["org_id"])
        try:
            membership = (
                Membership.objects.for_org(token["org_id"])
                .select_related("user", "org")
                .get(user_id=int(token["user_id"]), is_active=True, user__is_active=True)
            )
        except Membership.DoesNotExist:
            raise AuthenticationFailed("This account is no longer a member of the organisation.") from None
        if password_stamp(membership.user) != token["stamp"]:
            raise AuthenticationFailed("The password was changed; sign in again.")
        actor = Actor.for_membership(membership, origin=Origin.API, request_id=_request_id(request))
        return membership.user, Principal(org=membership.org, actor=actor)

    def authenticate_header(self, request: Request) -> str:
        return 'Bearer realm="api"'


class ApiKeyAuthentication(BaseAuthentication):
    """`Authorization: Api-Key fl_<org>_<id>_<secret>`."""

    def authenticate(self, request: Request) -> tuple[None, Principal] | None:
        text = _credential(request, "api-key")
        if text is None:
            return None
        parts = ApiKey.parse(text)
        if parts is None:
            raise AuthenticationFailed(BAD_KEY)
        org_id, key_id, secret = parts
        _view_of(request).open_scope(org_id)
        try:
            key = ApiKey.objects.for_org(org_id).select_related("org").get(pk=key_id)
        except ApiKey.DoesNotExist:
            raise AuthenticationFailed(BAD_KEY) from None
        at = now()
        if not key.matches(secret) or not key.is_live(at):
            raise AuthenticationFailed(BAD_KEY)
        stale = at - LAST_USE_PRECISION
        if key.last_used_at is None or key.last_used_at <= stale:
            touch_api_key(org=key.org, key_id=key.pk, at=at, stale_before=stale)
        return None, Principal(org=key.org, actor=Actor.for_api_key(key, request_id=_request_id(request)), key=key)

    def authenticate_header(self, request: Request) -> str:
        return 'Api-Key realm="api"'


class BearerScheme(OpenApiAuthenticationExtension):
    """Documents BearerAuthentication."""

    target_class = "flowledger.api.authentication.BearerAuthentication"
    name = "bearer"

    def get_security_definition(self, auto_schema: Any) -> dict[str, Any]:
        return {
            "type": "http",
            "scheme": "bearer",
            "bearerFormat": "JWT",
            "description": "Access token of POST /api/auth/token; it names the organisation and lives 15 minutes.",
        }


class ApiKeyScheme(OpenApiAuthenticationExtension):
    """Documents ApiKeyAuthentication."""

    target_class = "flowledger.api.authentication.ApiKeyAuthentication"
    name = "apiKey"

    def get_security_definition(self, auto_schema: Any) -> dict[str, Any]:
        return {
            "type": "apiKey",
            "in": "header",
            "name": "Authorization",
            "description": "`Authorization: Api-Key fl_…`; limited to the scopes of the key.",
        }
