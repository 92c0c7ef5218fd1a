"""Servers that a test may break: a Redis of its own, or a pair with a migrated database, and the books over them.

A PostgreSQL takes ten seconds to migrate, so the tests of one session share one; each leaves it running and empty.
"""

import random
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from celery import current_app
from django.core.management import call_command

from flowledger.embedded.servers import EmbeddedServers, throw_away_servers
from flowledger.outbox import broker
from flowledger.outbox.events import declarations_end_here
from tests.faults.conftest import counted
from tests.faults.ledger import Ledger, django_on, open_ledger
from tests.faults.parcels import declare_events
from tests.faults.processes import Fleet, Place, Worker

# The handler of `third.py`.
THIRD = "faults.third"
WITH_THIRD = ("--beat", "--include=tests.faults.servers.third")
# By this name the sessions of the workers are known to the database.
WORKERS = "fault-worker"


@pytest.fixture(autouse=True)
def asleep(settings: Any) -> Iterator[None]:
    """No nudges unless a test wants them: what it is about may be down."""
    settings.OUTBOX_WAKE = False
    broker.ask_again()
    yield
    broker.ask_again()


@pytest.fixture
def own_redis(settings: Any) -> Iterator[EmbeddedServers]:
    """A Redis of this test alone, which the test's own process uses too."""
    with throw_away_servers(with_postgres=False) as servers:
        settings.CACHE_URL = servers.cache_url
        yield servers


@pytest.fixture
def redis_worker(fleet: Fleet, own_redis: EmbeddedServers) -> Callable[..., Worker]:
    """Start a worker on the Redis of this test."""

    def start(*arguments: str, **environment: str) -> Worker:
        return fleet.worker(
            *arguments, **{"REDIS_URL": own_redis.redis_url, "CACHE_URL": own_redis.cache_url, **environment}
        )

    return start


@pytest.fixture(scope="session")
def own_servers(django_db_blocker: Any) -> Iterator[EmbeddedServers]:
    """A pair of servers for tests that break PostgreSQL."""
    with throw_away_servers() as servers:
        with django_db_blocker.unblock(), django_on(servers.database_url):
            call_command("migrate", verbosity=0)
        yield servers


@pytest.fixture
def own_ledger(
    request: pytest.FixtureRequest, own_servers: EmbeddedServers, django_db_blocker: Any, settings: Any, tmp_path: Path
) -> Iterator[Ledger]:
    """The books of this test, on `own_servers`; they run and are empty afterwards, whatever the test did."""
    settings.CACHE_URL = own_servers.cache_url
    place = Place(own_servers.database_url, own_servers.redis_url, own_servers.cache_url)
    with django_db_blocker.unblock(), django_on(place.database_url), declarations_end_here():
        declare_events()
        try:
            with open_ledger(place, tmp_path) as books, counted(request, books):
                yield books
        finally:
            own_servers.postgres.start()
            own_servers.redis.start()
            call_command("flush", interactive=False, verbosity=0, inhibit_post_migrate=True)


@pytest.fixture
def own_fleet(own_ledger: Ledger) -> Iterator[Fleet]:
    """Starts processes on `own_servers`."""
    fleet = Fleet(own_ledger.place, own_ledger.directory, own_ledger.inject)
    yield fleet
    fleet.end()


@pytest.fixture
def nudged(settings: Any, own_redis: EmbeddedServers, monkeypatch: pytest.MonkeyPatch) -> None:
    """Commits of this process nudge through the Redis of this test."""
    settings.OUTBOX_WAKE = True
    monkeypatch.setattr(current_app.conf, "broker_write_url", own_redis.redis_url)


def named(database_url: str, name: str = WORKERS) -> str:
    """The address with a name for its sessions."""
    return f"{database_url}{'&' if '?' in database_url else '?'}application_name={name}"


def as_owner(ledger: Ledger, *statements: str) -> None:
    """Run statements as the role that owns the tables, each in a transaction of its own."""
    with psycopg.connect(ledger.place.database_url, autocommit=True) as owner:
        for statement in statements:
            owner.execute(statement)  # type: ignore[call-overload]


class Sessions:
    """The workers' sessions on a database, seen and ended by the role that owns them."""

    def __init__(self, database_url: str) -> None:
        self._connection = psycopg.connect(database_url, autocommit=True)

    def pids(self) -> list[int]:
        found = self._connection.execute("SELECT pid FROM pg_stat_activity WHERE application_name = %s", [WORKERS])
        return sorted(pid for (pid,) in found.fetchall())

    def end_one(self, rng: random.Random) -> bool:
        """End one of them, if there is any."""
        pids = self.pids()
        if not pids:
            return False
        row = self._connection.execute("SELECT pg_terminate_backend(%s)", [rng.choice(pids)]).fetchone()
        return bool(row and row[0])

    def end_all(self) -> int:
        found = self._connection.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = %s", [WORKERS]
        )
        return len(found.fetchall())

    def close(self) -> None:
        self._connection.close()
