"""Founds the demonstration's company with its people; what is there stays."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from django.db import transaction

from flowledger.errors import Conflict
from flowledger.tenancy.actors import Actor, Origin, Role
from flowledger.tenancy.models import Membership, Organization, User
from flowledger.tenancy.scope import org_scope, system_scope
from flowledger.tenancy.services import bootstrap_organization
from workstream.demo import words
from workstream.demo.furnishing import furnish
from workstream.demo.seeding import seed
from workstream.demo.stories import invent

# Published in the source, so it opens nothing but a demonstration; production refuses to make one.
PASSWORD = "flowledger-demo"  # noqa: S105
MAIL_DOMAIN = "brightwater.example"


@dataclass(frozen=True)
class Login:
    """Somebody who may log in to the demonstration."""

    username: str
    first_name: str
    last_name: str
    role: Role


LOGINS = (
    Login("demo-admin", "Rosalind", "Marchetti", Role.ADMIN),
    Login("demo-manager", "Tobias", "Engström", Role.MANAGER),
    Login("demo-rep", "Imani", "Falconer", Role.REP),
    Login("demo-rep-2", "Luka", "Horvat", Role.REP),
    Login("demo-rep-3", "Saoirse", "Delaney", Role.REP),
    Login("demo-viewer", "Pavel", "Brandt", Role.VIEWER),
)


@dataclass(frozen=True)
class DemoOrganization:
    """The demonstration's organisation and whether this call founded it."""

    org: Organization
    created: bool


def ensure_demo_organization(*, at: datetime) -> DemoOrganization:
    """The demonstration, founded with all its data when it is not there; whole or not at all.

    Everything happened before `at`. Nothing is emailed: seeding is history. Raises Conflict when an organisation that
    is no demonstration has its name.
    """
    with transaction.atomic():
        with system_scope("find the demo organisation"):
            # One founder at a time; the next one finds what this one made.
            existing = Organization.objects.filter(name__iexact=words.ORGANIZATION).first()
        if existing is not None:
            if not existing.is_demo:
                raise Conflict(f"There is an organisation '{existing.name}' already, and it is no demonstration.")
            return DemoOrganization(existing, created=False)
        org = _found()
        seed(org=org, world=invent(), memberships=_memberships(org), at=at)
        furnish(org=org, manager=member_actor(org, "demo-manager", origin=Origin.IMPORT), at=at)
        return DemoOrganization(org, created=True)


def member_actor(org: Organization, username: str, *, origin: Origin = Origin.USER) -> Actor:
    """One of the demonstration's people as actor."""
    with org_scope(org):
        membership = Membership.objects.for_org(org).select_related("user").get(user__username=username)
        return Actor.for_membership(membership, origin=origin)


def _found() -> Organization:
    for login in LOGINS:
        org, user = bootstrap_organization(
            name=words.ORGANIZATION, username=login.username, password=PASSWORD, role=login.role
        )
        User.objects.filter(pk=user.pk).update(
            first_name=login.first_name, last_name=login.last_name, email=f"{login.username}@{MAIL_DOMAIN}"
        )
    with org_scope(org):
        org.is_demo, org.timezone, org.default_region, org.currency = True, "America/New_York", "US", "USD"
        org.save(update_fields=["is_demo", "timezone", "default_region", "currency", "updated_at"])
    return org


def _memberships(org: Organization) -> list[Membership]:
    with org_scope(org):
        return list(Membership.objects.for_org(org).select_related("user").order_by("pk"))
