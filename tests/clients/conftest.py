"""Two organisations and who acts in them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from flowledger.tenancy.actors import Actor, Origin, Role
from flowledger.tenancy.models import Organization
from tests.backoffice.conftest import abroad, as_role, browse, home  # noqa: F401  (for the pages of the back office)
from tests.client import ApiClient, bearer
from tests.factories import MembershipFactory, OrganizationFactory


@pytest.fixture(autouse=True)
def quiet(settings: Any) -> None:
    settings.API_THROTTLES = dict.fromkeys(settings.API_THROTTLES, 0)
    settings.OUTBOX_WAKE = False


@pytest.fixture
def org(db: None) -> Organization:
    return OrganizationFactory(name="Harbour", default_region="DE")


@pytest.fixture
def other_org(db: None) -> Organization:
    return OrganizationFactory(name="Lighthouse")


@pytest.fixture
def actor_of(org: Organization) -> Callable[[Role], Actor]:
    """A member of `org` with the role, acting through the API."""
    return lambda role: Actor.for_membership(MembershipFactory(org=org, role=role), origin=Origin.API)


@pytest.fixture
def rep(actor_of: Callable[[Role], Actor]) -> Actor:
    return actor_of(Role.REP)


@pytest.fixture
def manager(actor_of: Callable[[Role], Actor]) -> Actor:
    return actor_of(Role.MANAGER)


@pytest.fixture
def api_for(org: Organization) -> Callable[..., ApiClient]:
    """A client of the API with a role, in `org` unless another is named."""
    return lambda role=Role.REP, of=org: ApiClient(bearer(MembershipFactory(org=of, role=role)))
