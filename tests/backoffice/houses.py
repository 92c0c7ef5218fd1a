"""An organisation with people of every role, for tests of the back office and of its pages in a browser."""

from __future__ import annotations

from dataclasses import dataclass, field

from django.utils.timezone import now

from flowledger.tenancy.actors import Actor, Role
from flowledger.tenancy.models import ApiKey, Membership, Organization, User
from flowledger.tenancy.scope import org_scope, system_scope
from flowledger.tenancy.services import issue_api_key


@dataclass
class House:
    """An organisation and its people by role."""

    org: Organization
    people: dict[Role, User] = field(default_factory=dict)

    def membership(self, role: Role) -> Membership:
        with org_scope(self.org):
            return Membership.objects.for_org(self.org).get(user=self.people[role])

    def key(self, name: str = "loader") -> ApiKey:
        return issue_api_key(
            org=self.org,
            name=name,
            role=Role.MANAGER,
            scopes=["signals:write"],
            expires_at=None,
            actor=Actor.system("tests"),
            at=now(),
        )[0]


def make_user(name: str, **more: object) -> User:
    user = User(username=name, email=f"{name}@example.org", is_staff=True, **more)
    user.set_unusable_password()
    user.save()
    return user


def make_house(name: str) -> House:
    with system_scope("tests"):
        org = Organization.objects.create(name=name)
        people = {role: make_user(f"{name}-{role}".lower().replace(" ", "-")) for role in Role}
        for role, user in people.items():
            Membership.all_orgs.create(org=org, user=user, role=role)
    return House(org, people)
