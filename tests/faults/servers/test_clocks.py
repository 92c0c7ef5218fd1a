"""A worker whose clock is ten minutes off: only the database's clock counts."""

import time
import uuid
from pathlib import Path
from typing import Any

import pytest
from django.db import connection

from tests.faults.processes import wait_for

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.long_fault]

_LIBRARIES = sorted(Path("/usr/lib").glob("*/faketime/libfaketime.so.1"))


@pytest.fixture(params=["+10m", "-10m"])
def skewed(request) -> dict[str, str]:
    """What makes a process believe in another time."""
    if not _LIBRARIES:
        pytest.skip("libfaketime is missing (Debian: apt-get install faketime): NO TEST OF SKEWED CLOCKS")
    # Waiting goes by the monotonic clock, which nobody sets.
    return {
        "LD_PRELOAD": str(_LIBRARIES[0]),
        "FAKETIME": request.param,
        "FAKETIME_DONT_FAKE_MONOTONIC": "1",
        "FAKETIME_NO_CACHE": "1",
    }


LEASE = AHEAD = 6.0


def test_nothing_is_claimed_early_and_no_lease_is_taken_early(fleet, ledger, skewed):
    """The beat's clock is right, so that to a worker ahead of it every tick has long expired."""
    fleet.beat()
    worker = fleet.worker("--pool=prefork", OUTBOX_LEASE_SECONDS=str(int(LEASE)), **skewed)
    ledger.inject("skewed clock")
    ledger.ship(5)
    wait_for("the worker to be at work", ledger.all_ended)

    began = time.monotonic()
    later = ledger.ship(before_commit=lambda: alter("available_at = clock_timestamp() + %s * interval '1 s'", AHEAD))
    held = ledger.ship(
        before_commit=lambda: alter("claimed_by = %s, claimed_at = clock_timestamp(), attempts = 1", uuid.uuid4())
    )
    free = ledger.ship()
    wait_for("the end of all", ledger.all_ended)
    assert worker.process.poll() is None
    # The journal is kept by the machine's monotonic clock, which is this process's too.
    started = {call.move_id: call.started_at - began for call in reversed(ledger.calls())}
    assert started[free[0]] < AHEAD
    assert AHEAD <= started[later[0]] < 3 * AHEAD
    assert LEASE <= started[held[0]] < 3 * LEASE
    rows = ledger.rows()
    assert [rows[move].crashes for move in (*later, *held, *free)] == [0, 1, 0]
    ledger.audit()


def alter(columns: str, value: Any) -> None:
    """Change how the event of this transaction will be delivered, before anybody sees it."""
    with connection.cursor() as cursor:
        cursor.execute(
            f"UPDATE outbox_workevent SET {columns} WHERE id = (SELECT max(id) FROM outbox_workevent)", [value]
        )
