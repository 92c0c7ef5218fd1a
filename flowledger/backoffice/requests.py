"""What the middleware found out about a back-office request: whose rows it is about, and who acts."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.http import HttpRequest

from flowledger.errors import ScopeError

if TYPE_CHECKING:
    from flowledger.tenancy.actors import Actor
    from flowledger.tenancy.models import Organization


def org_of(request: HttpRequest) -> Organization:
    """The organisation that the request works in. Raises ScopeError on a page that has none."""
    org: Organization | None = getattr(request, "org", None)
    if org is None:
        raise ScopeError(f"{request.path} was asked for without an organisation.")
    return org


def actor_of(request: HttpRequest) -> Actor:
    """The actor behind the request. Raises ScopeError on a page without an organisation."""
    actor: Actor | None = getattr(request, "actor", None)
    if actor is None:
        raise ScopeError(f"{request.path} was asked for without an organisation.")
    return actor


def actor_if_any(request: HttpRequest) -> Actor | None:
    """The actor, or None on the pages that need no organisation (log-in, password, chooser)."""
    return getattr(request, "actor", None)
