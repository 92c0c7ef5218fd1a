"""Use cases of signing in: token families that rotate, notice reuse, and end."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from django.contrib.auth import authenticate
from django.contrib.auth.models import update_last_login
from rest_framework_simplejwt.exceptions import TokenError

from flowledger.api.models import TokenFamily
from flowledger.api.tokens import RefreshToken, password_stamp
from flowledger.errors import FlowLedgerError, InvalidInput, PermissionRefused
from flowledger.tenancy.models import Membership
from flowledger.tenancy.scope import org_scope
from flowledger.tenancy.services import organizations_of

# One sentence whatever was wrong: it tells a stranger neither names nor states of accounts.
WRONG_CREDENTIALS = "The user name or the password is not right."
WRONG_REFRESH = "The refresh token is invalid, used or expired; sign in again."


class SignInRefused(FlowLedgerError):
    """The credential does not open anything."""

    status = 401
    code = "authentication_failed"


@dataclass(frozen=True)
class Session:
    """A fresh pair of tokens and what they are good for."""

    access: str
    refresh: str
    org_id: int
    role: str


def sign_in(*, username: str, password: str, org_id: int | None, at: datetime) -> Session:
    """Open a session in one of the user's organisations.

    Raises SignInRefused for a wrong name or password or an account that is off, PermissionRefused for somebody who is
    no member, InvalidInput with the choices in `fields.org_id` when there are several and none is named.
    """
    user = authenticate(username=username, password=password)
    if user is None:
        raise SignInRefused(WRONG_CREDENTIALS)
    membership = _choose(organizations_of(user), org_id)
    with org_scope(membership.org_id):
        family = TokenFamily(org=membership.org, user=user, expires_at=at)
        family.save()
        session = _issue(family, membership)
    update_last_login(None, user)  # type: ignore[arg-type]
    return session


def _choose(memberships: list[Membership], org_id: int | None) -> Membership:
    if not memberships:
        raise PermissionRefused("This account belongs to no organisation; ask an administrator to add it.")
    if org_id is not None:
        for membership in memberships:
            if membership.org_id == org_id:
                return membership
        raise PermissionRefused(f"This account is not a member of organisation {org_id}.")
    if len(memberships) > 1:
        choices = "; ".join(f"{membership.org_id} ({membership.org.name})" for membership in memberships)
        raise InvalidInput(
            "This account belongs to several organisations; say which with org_id.",
            fields={"org_id": [f"Choose one of: {choices}."]},
        )
    return memberships[0]


def refresh_session(*, refresh: str, at: datetime) -> Session:
    """Replace a refresh token by the next of its family, with today's role.

    Raises SignInRefused for a token that is not the family's current one. A used token that comes back means that
    two hold the family, and one of them is a thief: the whole family ends. It also ends with the membership.
    """
    token = _parsed(refresh)
    with org_scope(token["org_id"]):
        session, reason = _rotate(token, at)
    if session is None:
        raise SignInRefused(WRONG_REFRESH if reason != "membership" else "This account is no longer a member.")
    return session


def _rotate(token: RefreshToken, at: datetime) -> tuple[Session | None, str]:
    """The next session, or None with the reason; a revocation is committed, so the refusal is raised outside."""
    org_id = token["org_id"]
    family = TokenFamily.objects.for_org(org_id).locked().filter(pk=token["family"]).order_by("pk").first()
    if family is None or family.revoked_at is not None or family.expires_at <= at:
        return None, "ended"
    if family.current_jti != token["jti"]:
        return None, _revoke(family, "reuse", at)
    membership = (
        Membership.objects.for_org(org_id)
        .select_related("user", "org")
        .filter(user_id=family.user_id, is_active=True, user__is_active=True)
        .order_by("pk")
        .first()
    )
    if membership is None:
        return None, _revoke(family, "membership", at)
    if password_stamp(membership.user) != token["stamp"]:
        return None, _revoke(family, "password", at)
    return _issue(family, membership), ""


def sign_out(*, refresh: str, at: datetime) -> None:
    """End the token's family; ending it again changes nothing. Raises SignInRefused for what is no token of ours."""
    token = _parsed(refresh)
    with org_scope(token["org_id"]):
        family = TokenFamily.objects.for_org(token["org_id"]).locked().filter(pk=token["family"]).order_by("pk").first()
        if family is not None and family.revoked_at is None:
            _revoke(family, "signed out", at)


def _parsed(refresh: str) -> RefreshToken:
    try:
        return RefreshToken(refresh)  # type: ignore[arg-type]
    except TokenError:
        raise SignInRefused(WRONG_REFRESH) from None


def _issue(family: TokenFamily, membership: Membership) -> Session:
    """Make the next pair and remember the refresh token's id as the only good one."""
    token = RefreshToken.for_membership(membership, family_id=family.pk)
    family.current_jti = token["jti"]
    family.expires_at = token.current_time + token.lifetime
    family.save(update_fields=["current_jti", "expires_at"])
    return Session(
        access=str(token.access_token), refresh=str(token), org_id=membership.org_id, role=str(membership.role)
    )


def _revoke(family: TokenFamily, reason: str, at: datetime) -> str:
    family.revoked_at, family.revoked_reason = at, reason
    family.save(update_fields=["revoked_at", "revoked_reason"])
    return reason
