"""Two organisations, and clients of every role and kind of credential."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime
from typing import Any

import pytest
from django.utils.timezone import now

from flowledger.tenancy.actors import Actor, Role
from flowledger.tenancy.models import ApiKey, Membership, Organization, User
from flowledger.tenancy.scope import system_scope
from flowledger.tenancy.services import API_KEY_SCOPES, issue_api_key
from tests.client import ApiClient, bearer

PASSWORD = "correct horse battery staple"


@pytest.fixture(autouse=True)
def no_limits(settings: Any) -> None:
    settings.API_THROTTLES = dict.fromkeys(settings.API_THROTTLES, 0)
    settings.OUTBOX_WAKE = False
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]


@pytest.fixture(autouse=True)
def crossing(request: pytest.FixtureRequest) -> Iterator[None]:
    """Tests may read and write everywhere; the requests they make open scopes of their own."""
    if "transactional_db" in request.fixturenames or "db" not in request.fixturenames:
        yield
        return
    request.getfixturevalue("db")
    with system_scope("tests"):
        yield


@pytest.fixture
def org(db: None) -> Organization:
    with system_scope("tests"):
        return Organization.objects.create(name="Harbour")


@pytest.fixture
def other_org(db: None) -> Organization:
    with system_scope("tests"):
        return Organization.objects.create(name="Lighthouse")


@pytest.fixture
def member_of(db: None) -> Callable[..., Membership]:
    def join(org: Organization, role: Role = Role.REP, *, user: User | None = None, **user_fields: Any) -> Membership:
        with system_scope("tests"):
            if user is None:
                username = user_fields.pop("username", f"{role}-{User.objects.count()}")
                user = User(username=username, **user_fields)
                user.set_password(PASSWORD)
                user.save()
            return Membership.all_orgs.create(org=org, user=user, role=role)

    return join


@pytest.fixture
def key_for(db: None) -> Callable[..., tuple[ApiKey, str]]:
    def issue(
        org: Organization, *scopes: str, role: Role = Role.ADMIN, expires_at: datetime | None = None
    ) -> tuple[ApiKey, str]:
        actor = Actor.system("tests")
        return issue_api_key(
            org=org,
            name="loader",
            role=role,
            scopes=scopes or API_KEY_SCOPES,
            expires_at=expires_at,
            actor=actor,
            at=now(),
        )

    return issue


@pytest.fixture
def client_for(
    org: Organization, member_of: Callable[..., Membership], key_for: Callable[..., tuple[ApiKey, str]]
) -> Callable[..., ApiClient]:
    """A client of a role, of a membership, of a key's scopes, or (None) of nobody."""

    def make(who: Role | Membership | str | list[str] | None = Role.ADMIN, *, of: Organization = org) -> ApiClient:
        if who is None:
            return ApiClient()
        if isinstance(who, list):
            return ApiClient(f"Api-Key {key_for(of, *who)[1]}")
        if isinstance(who, Membership):
            return ApiClient(bearer(who))
        return ApiClient(bearer(member_of(of, Role(who))))

    return make
