"""The stand of the fault tests: seeded chance, a ledger, and a fleet of real Celery processes.

A test asks for `ledger` and `fleet` (or `start_worker`, the fleet's worker alone), ships parcels, injects faults and
ends with `ledger.audit()`. `ledger.inject(kind)` counts what was done to it; the methods of the processes that send
signals count by themselves. The counts of all tests are printed at the end of the session.

Tests on servers of their own make a `Place`, migrate it, and use `open_ledger`, `django_on` and `Fleet` directly,
with `counted(request, ledger)` around them.

Marked `long_fault`, a test runs in `make faults` only (or when FAULTS=all, or with `-m long_fault`).
"""

import json
import os
import random
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from flowledger.outbox.events import declarations_end_here
from tests.faults.ledger import Ledger, open_ledger
from tests.faults.parcels import declare_events
from tests.faults.processes import Fleet, Place, Worker

SEED = os.environ.get("FAULT_SEED", "20261121")
HERE = Path(__file__).parent
_PROPERTY = "injected faults"
_injected: dict[str, Counter[str]] = {}


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave the long ones to `make faults`."""
    if os.environ.get("FAULTS") == "all" or "long_fault" in (config.option.markexpr or ""):
        return
    long = [item for item in items if item.get_closest_marker("long_fault")]
    if long:
        config.hook.pytest_deselected(items=long)
        items[:] = [item for item in items if not item.get_closest_marker("long_fault")]


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """Collect the counts, from the workers of pytest-xdist too."""
    if report.when == "teardown":
        for name, value in report.user_properties:
            if name == _PROPERTY:
                _injected[report.nodeid] = Counter(json.loads(str(value)))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print what was injected, by test and in all."""
    if not _injected:
        return
    terminalreporter.section(f"faults injected, seed {SEED}")
    total: Counter[str] = Counter()
    for test, faults in sorted(_injected.items()):
        terminalreporter.write_line(f"{test.removeprefix('tests/faults/'):<100} {_listed(faults)}")
        total += faults
    terminalreporter.write_line(f"{f'{len(_injected)} tests':<100} {_listed(total)}")


def _listed(faults: Counter[str]) -> str:
    return ", ".join(f"{kind} {number}" for kind, number in sorted(faults.items()))


@pytest.fixture
def rng(request: pytest.FixtureRequest) -> random.Random:
    """Chance that is the same in every run with the same FAULT_SEED."""
    return random.Random(f"{SEED}:{request.node.name}")


@contextmanager
def counted(request: pytest.FixtureRequest, ledger: Ledger) -> Iterator[None]:
    """Hand the ledger's count of faults to the report of the session."""
    try:
        yield
    finally:
        request.node.user_properties.append((_PROPERTY, json.dumps(ledger.faults)))


@pytest.fixture
def ledger(request: pytest.FixtureRequest, transactional_db: None, tmp_path: Path) -> Iterator[Ledger]:
    """The books of this test, on the servers of the whole run."""
    with declarations_end_here():
        declare_events()
        with open_ledger(Place.of_this_run(), tmp_path) as books, counted(request, books):
            yield books


@pytest.fixture
def fleet(ledger: Ledger) -> Iterator[Fleet]:
    """Starts the processes of this test."""
    processes = Fleet(ledger.place, ledger.directory, ledger.inject)
    yield processes
    processes.end()


@pytest.fixture
def start_worker(fleet: Fleet) -> Callable[..., Worker]:
    """Start a worker with short leases, a pool of two and a beat; see `Fleet.worker`."""
    return fleet.worker
