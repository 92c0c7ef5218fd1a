"""Which organisation a session works in: remembered, checked again at every request, changed by a choice."""

from __future__ import annotations

from dataclasses import dataclass

import structlog
from django.http import HttpRequest

from flowledger.tenancy.actors import Actor, Origin
from flowledger.tenancy.models import Membership, Organization, User
from flowledger.tenancy.scope import org_scope, system_scope
from flowledger.tenancy.services import organizations_of

SESSION_KEY = "org_id"
CHOICES_SHOWN = 100
# Pages about the account itself: open without an organisation; with one they show its menu.
PERSONAL_PAGES = frozenset({"logout", "password_change", "password_change_done"})

audit = structlog.get_logger("flowledger.audit")


@dataclass(frozen=True)
class Admission:
    """A live right to work in an organisation. `membership` is None for a superuser without one."""

    org: Organization
    membership: Membership | None
    actor: Actor


def may_enter(user: User) -> bool:
    """Whether the account is let into the back office at all; what it sees there is decided by memberships."""
    return user.is_authenticated and user.is_active and (user.is_staff or user.is_superuser)


def remembered(request: HttpRequest) -> int | None:
    """The organisation chosen in this session."""
    org_id = request.session.get(SESSION_KEY)
    return org_id if isinstance(org_id, int) else None


def forget(request: HttpRequest) -> None:
    request.session.pop(SESSION_KEY, None)


def only_organization(user: User) -> int | None:
    """The organisation of somebody who has exactly one. A superuser always chooses."""
    if user.is_superuser:
        return None
    memberships = organizations_of(user)
    return memberships[0].org_id if len(memberships) == 1 else None


def admit(user: User, org_id: int, *, request_id: str = "") -> Admission | None:
    """The user's right to work in the organisation as of now, or None. Runs inside the organisation's scope."""
    rows = Membership.objects.for_org(org_id).filter(user_id=user.pk, is_active=True)
    membership: Membership | None = rows.select_related("org").first()
    if user.is_superuser:
        org = membership.org if membership else Organization.objects.filter(pk=org_id).first()
        if org is None:
            return None
        return Admission(org, membership, Actor.for_superuser(user, request_id=request_id))
    if membership is None:
        return None
    membership.user = user
    actor = Actor.for_membership(membership, origin=Origin.USER, request_id=request_id)
    return Admission(membership.org, membership, actor)


def choose(request: HttpRequest, user: User, org_id: int) -> bool:
    """Work in this organisation from now on. False, and nothing changed, when the user has no right to."""
    with org_scope(org_id):
        admission = admit(user, org_id)
    if admission is None:
        audit.warning("organization_refused", user_id=user.pk, org_id=org_id, path=request.path)
        return False
    if admission.membership is None:
        audit.info("organization_entered_by_superuser", user_id=user.pk, org_id=org_id)
    request.session[SESSION_KEY] = org_id
    return True


def choices_for(user: User, *, containing: str = "") -> list[Organization]:
    """The organisations the user may choose from, by name; for superusers the first hundred containing the text."""
    if not user.is_superuser:
        return [membership.org for membership in organizations_of(user)]
    with system_scope("a superuser chooses an organisation"):
        found = Organization.objects.filter(name__icontains=containing) if containing else Organization.objects.all()
        return list(found.order_by("name", "pk")[:CHOICES_SHOWN])
