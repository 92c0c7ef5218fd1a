"""JSON web tokens: what they claim, and the stamp that a changed password breaks."""

from __future__ import annotations

from rest_framework_simplejwt.exceptions import TokenError
from rest_framework_simplejwt.tokens import AccessToken as SimpleAccessToken
from rest_framework_simplejwt.tokens import RefreshToken as SimpleRefreshToken

from flowledger.tenancy.models import Membership, User

CLAIMS = ("user_id", "org_id", "role", "stamp")


def password_stamp(user: User) -> str:
    """Changes when the password does, and tells nothing about it."""
    return user.get_session_auth_hash()[:24]


class AccessToken(SimpleAccessToken):
    """Fifteen minutes of acting for one organisation."""

    def verify(self) -> None:
        """Raises TokenError for a token that claims no user or organisation: it is not one of ours."""
        super().verify()
        _require_claims(self)


class RefreshToken(SimpleRefreshToken):
    """One link of a token family; used once, then replaced by the next."""

    access_token_class = AccessToken
    no_copy_claims: tuple[str, ...] = (*SimpleRefreshToken.no_copy_claims, "family")  # type: ignore[assignment]

    def verify(self) -> None:
        """As for access tokens; whether it is the current one of its family, the family's row says."""
        super().verify()
        _require_claims(self)
        if not isinstance(self.payload.get("family"), int):
            raise TokenError("Token has no family")

    @classmethod
    def for_membership(cls, membership: Membership, *, family_id: int) -> RefreshToken:
        """A new link of the family with today's role."""
        token = cls()
        token["user_id"] = str(membership.user_id)
        token["org_id"] = membership.org_id
        token["role"] = membership.role
        token["stamp"] = password_stamp(membership.user)
        token["family"] = family_id
        return token


def _require_claims(token: SimpleAccessToken | SimpleRefreshToken) -> None:
    claims = token.payload
    if not (isinstance(claims.get("org_id"), int) and str(claims.get("user_id", "")).isdigit() and claims.get("stamp")):
        raise TokenError("Token lacks claims")
