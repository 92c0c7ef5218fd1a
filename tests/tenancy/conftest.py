"""Two organisations and no scope: these tests open the scopes that they are about."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest

from flowledger.tenancy.models import Organization
from flowledger.tenancy.scope import current_scope, system_scope

AT = datetime(2025, 3, 4, 5, 6, 7, tzinfo=UTC)


@pytest.fixture(autouse=True)
def crossing(settings: Any) -> Iterator[None]:
    """In the place of the suite's own: nothing is open before a test of scopes, and nothing after it."""
    settings.OUTBOX_WAKE = False
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
    assert current_scope() is None
    yield
    assert current_scope() is None


@pytest.fixture
def org(db: None) -> Organization:
    with system_scope("tests"):
        return Organization.objects.create(name="Harbour")


@pytest.fixture
def other_org(db: None) -> Organization:
    with system_scope("tests"):
        return Organization.objects.create(name="Lighthouse")
