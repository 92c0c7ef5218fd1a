"""One organisation with people of every role who act in it, and clients of its API."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from flowledger.tenancy.actors import Actor, Origin, Role
from flowledger.tenancy.models import Membership, Organization
from tests.api.conftest import (  # noqa: F401
    client_for,
    crossing,
    key_for,
    member_of,
    no_limits,
    org,
    other_org,
)
from tests.backoffice.conftest import abroad, as_role, browse, home  # noqa: F401  (for the back-office pages)
from tests.client import ApiClient, bearer


def actor_of(membership: Membership) -> Actor:
    """The member, acting through the API."""
    return Actor.for_membership(membership, origin=Origin.API)


@pytest.fixture
def rep(org: Organization, member_of: Callable[..., Membership]) -> Membership:  # noqa: F811
    return member_of(org, Role.REP, username="rita", email="rita@harbour.example")


@pytest.fixture
def colleague(org: Organization, member_of: Callable[..., Membership]) -> Membership:  # noqa: F811
    return member_of(org, Role.REP, username="carl", email="carl@harbour.example")


@pytest.fixture
def manager(org: Organization, member_of: Callable[..., Membership]) -> Membership:  # noqa: F811
    return member_of(org, Role.MANAGER, username="maria", email="maria@harbour.example")


@pytest.fixture
def viewer(org: Organization, member_of: Callable[..., Membership]) -> Membership:  # noqa: F811
    return member_of(org, Role.VIEWER, username="viktor")


@pytest.fixture
def as_rep(rep: Membership) -> ApiClient:
    return ApiClient(bearer(rep))


@pytest.fixture
def as_colleague(colleague: Membership) -> ApiClient:
    return ApiClient(bearer(colleague))


@pytest.fixture
def as_manager(manager: Membership) -> ApiClient:
    return ApiClient(bearer(manager))


@pytest.fixture
def as_viewer(viewer: Membership) -> ApiClient:
    return ApiClient(bearer(viewer))


@pytest.fixture
def as_stranger(other_org: Organization, member_of: Any) -> ApiClient:  # noqa: F811
    return ApiClient(bearer(member_of(other_org, Role.ADMIN, username="stranger")))
