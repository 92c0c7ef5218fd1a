"""Two organisations with people of every role, and browsers that are logged in."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from django.test import Client

from flowledger.tenancy.actors import Role
from flowledger.tenancy.models import User
from tests.backoffice.houses import House, make_house, make_user


@pytest.fixture
def home(db: None) -> House:
    return make_house("Alder")


@pytest.fixture
def abroad(db: None) -> House:
    return make_house("Birch")


@pytest.fixture
def superuser(db: None) -> User:
    return make_user("root", is_superuser=True)


@pytest.fixture
def browse() -> Callable[[User], Client]:
    """A client with CSRF checks off, logged in as the user; nothing is asked or chosen for them."""

    def log_in(user: User) -> Client:
        client = Client()
        client.force_login(user)
        return client

    return log_in


@pytest.fixture
def as_role(home: House, browse: Callable[[User], Client]) -> Callable[[Role], Client]:
    return lambda role: browse(home.people[role])


@pytest.fixture
def admin_client(as_role: Callable[[Role], Client]) -> Client:
    """The administrator of `home`; shadows pytest-django's, which is a superuser."""
    return as_role(Role.ADMIN)
