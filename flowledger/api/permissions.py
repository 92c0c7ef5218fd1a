"""What the caller may reach: the role that an action needs, and the scope that a machine's key needs."""

from __future__ import annotations

from typing import Any, Protocol

from rest_framework.permissions import SAFE_METHODS, BasePermission
from rest_framework.request import Request

from flowledger.errors import PermissionRefused
from flowledger.tenancy.actors import Role

# `scope` of views that any key may read, whatever its scopes.
ANY_KEY = "*"


class Guarded(Protocol):
    """A kernel view, as far as permission needs it."""

    scope: str | None

    def role_needed(self) -> Role | None: ...


class RoleAndScope(BasePermission):
    """Role before scope; ownership of a row is the service's question, in `authorize`."""

    def has_permission(self, request: Request, view: Any) -> bool:
        """False without a credential (401); raises PermissionRefused with a sentence that says what is missing."""
        if request.auth is None:
            return False
        guarded: Guarded = view
        needed = guarded.role_needed()
        if needed is None:  # the method is not answered here: 405
            return True
        role = request.auth.actor.role  # type: ignore[union-attr]
        if not role.at_least(needed):
            raise PermissionRefused(
                f"This needs the role {needed.value}; you act as {role.value}. "
                "Ask an administrator of your organisation."
            )
        if request.auth.key is not None:
            _require_scope(request, guarded)
        return True


def _require_scope(request: Request, view: Guarded) -> None:
    if view.scope == ANY_KEY:
        return
    if view.scope is None:
        raise PermissionRefused("API keys cannot be used here; sign in as a person.")
    wanted = f"{view.scope}:{'read' if request.method in SAFE_METHODS else 'write'}"
    if not request.auth.key.allows(wanted):
        raise PermissionRefused(f"The API key lacks the scope {wanted}.")
