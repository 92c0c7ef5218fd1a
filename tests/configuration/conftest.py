"""One organisation with people of every role, and keys of its own that only these tests declare."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from flowledger.configuration import reading
from flowledger.configuration.registry import Key, declarations_end_here, declare
from flowledger.tenancy.actors import Actor, Origin
from flowledger.tenancy.models import Organization
from tests.api.conftest import client_for, key_for, member_of, no_limits, org, other_org  # noqa: F401
from tests.backoffice.conftest import abroad, as_role, browse, home  # noqa: F401
from tests.configuration.limits import Limits


@pytest.fixture(autouse=True)
def _nothing_remembered() -> Iterator[None]:
    reading.forget_everything()
    yield
    reading.forget_everything()


@pytest.fixture
def limits() -> Iterator[Key[Limits]]:
    """A declared key."""
    with declarations_end_here():
        yield declare("memory_rule", "limits", schema=Limits, default=Limits(most=10), help="For tests.")


@pytest.fixture
def admin(org: Organization) -> Actor:  # noqa: F811
    return Actor.system("Ada", origin=Origin.USER)
