"""Pytest plugin: one throw-away PostgreSQL and Redis per run, up before the settings are read.

Loaded by `-p tests.servers`: a conftest would come too late, because pytest-django reads the settings before any.
Under pytest-xdist the controller owns the servers; its workers inherit the addresses and take their own Redis
databases (pytest-django gives them their own PostgreSQL database). With DATABASE_URL and REDIS_URL set nothing is
started.
"""

import os
import re
from collections.abc import Generator
from contextlib import ExitStack

import pytest

from flowledger.embedded.servers import throw_away_servers

_REDIS_DATABASE = re.compile(r"(?P<before>virtual_host=|[?&]db=|^rediss?://[^/]+/)(?P<number>\d+)")


@pytest.hookimpl(wrapper=True)
def pytest_load_initial_conftests(early_config: pytest.Config, args: list[str]) -> Generator[None, None, None]:
    """Start what the environment does not name; stopped when pytest is done with its configuration."""
    asked_for_help = {"-h", "--help", "--version", "-V"} & set(args)
    if not asked_for_help:
        worker = os.environ.get("PYTEST_XDIST_WORKER")
        if worker:
            _take_own_redis_databases(int(worker.removeprefix("gw")))
        else:
            _start_servers(early_config)
    return (yield)


def _start_servers(config: pytest.Config) -> None:
    missing = [name for name in ("DATABASE_URL", "REDIS_URL") if not os.environ.get(name)]
    if not missing:
        return
    stack = ExitStack()
    servers = stack.enter_context(
        throw_away_servers(with_postgres="DATABASE_URL" in missing, with_redis="REDIS_URL" in missing)
    )
    for name, address in servers.environment.items():
        os.environ[name] = os.environ.get(name) or address
    config.add_cleanup(stack.close)


def _take_own_redis_databases(worker: int) -> None:
    """Two databases per worker, one for the broker and one for the cache; 0 and 1 are the controller's."""
    for name, offset in (("REDIS_URL", 0), ("CACHE_URL", 1)):
        if url := os.environ.get(name):
            number = 2 * (worker + 1) + offset
            os.environ[name] = _REDIS_DATABASE.sub(rf"\g<before>{number}", url, count=1)
