"""Locks of others: a locked table, handlers that wait for each other, vacuum and re-indexing in the middle of it."""

import os
import threading
import time
from datetime import timedelta

import psycopg
import pytest
from django.db import connection
from django.utils import timezone

from flowledger.outbox import partitions
from tests.faults.processes import wait_for
from tests.faults.servers.conftest import THIRD, WITH_THIRD, as_owner

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.mark.long_fault
@pytest.mark.parametrize("seconds", [3, 35])
def test_a_locked_table_is_waited_for(start_worker, ledger, seconds):
    """Longer than a lease of two seconds, so that claims run out behind it."""
    worker = start_worker()
    ledger.ship(30)
    wait_for("some effects", lambda: ledger.effect_count() > 5)
    with psycopg.connect(ledger.place.database_url) as holder:
        holder.execute("LOCK TABLE outbox_workevent IN ACCESS EXCLUSIVE MODE")
        ledger.inject("table lock", batches=2)
        time.sleep(seconds)
    ledger.ship(10)
    wait_for("the rest", ledger.all_ended)
    assert worker.process.poll() is None
    assert max(row.attempts for row in ledger.rows().values()) <= 2
    ledger.audit()


@pytest.fixture
def rows_to_lock(ledger):
    as_owner(
        ledger,
        "CREATE TABLE fault_lock (id bigint PRIMARY KEY, taken bigint NOT NULL DEFAULT 0)",
        "INSERT INTO fault_lock (id) VALUES (1), (2)",
        "GRANT ALL ON fault_lock TO PUBLIC",
    )
    yield
    as_owner(ledger, "DROP TABLE fault_lock")


@pytest.mark.long_fault
def test_handlers_in_opposite_order_both_come_to_their_end(start_worker, ledger, rows_to_lock):
    one, other = ledger.new_org("One"), ledger.new_org("Other")
    start_worker(*WITH_THIRD, OUTBOX_BATCH_SIZE="1", OUTBOX_LEASE_SECONDS="30").wait_until_up()
    for _ in range(4):
        before = deadlocks(ledger)
        ledger.ship(org=one, orders="lock:1,2")
        ledger.ship(org=other, orders="lock:2,1")
        wait_for("the deadlock", lambda least=before + 1: deadlocks(ledger) >= least)
        ledger.inject("deadlock")
        wait_for("both ends", lambda: ledger.hurry() >= 0 and ledger.all_ended())
    effects = ledger.effects()
    assert [number for (_, name), number in effects.items() if name == THIRD] == [1] * 8
    # Who lost was charged once each time; who won, never.
    assert sorted(row.attempts for row in ledger.rows().values()) == [1] * 4 + [2] * 4
    ledger.audit()


def deadlocks(ledger) -> int:
    """How often somebody lost, by the handlers' own notes."""
    return sum(1 for _ in ledger.directory.glob("deadlock-*"))


@pytest.mark.long_fault
def test_upkeep_in_the_middle_of_it(start_worker, ledger):
    """VACUUM, REINDEX CONCURRENTLY and the partitions' job, over and over while four processes drain."""
    start_worker(processes=4, FAULT_EFFECT_SECONDS="0.001")
    ledger.ship_at_once(3000)
    ended = threading.Event()
    trouble: list[BaseException] = []

    def keep_up() -> None:
        ahead = 1
        try:
            with psycopg.connect(ledger.place.database_url, autocommit=True) as upkeep:
                while not ended.is_set():
                    for statement in (
                        "VACUUM (ANALYZE) outbox_workevent_open",
                        "REINDEX TABLE CONCURRENTLY outbox_workevent_open",
                        "VACUUM (FREEZE) outbox_workevent_open",
                    ):
                        upkeep.execute(statement)  # type: ignore[call-overload]
                        ledger.inject(" ".join(statement.split()[:1]).lower(), batches=0)
                    ahead += 1
                    partitions.keep_partitions(at=timezone.now() + timedelta(days=40), ahead=ahead % 12)
                    ledger.inject("partitions kept", batches=0)
        except BaseException as error:
            trouble.append(error)
        finally:
            connection.close()

    thread = threading.Thread(target=keep_up)
    thread.start()
    try:
        for _ in range(10):
            ledger.ship(50)
        wait_for("the end of all", ledger.all_ended)
    finally:
        ended.set()
        thread.join()
    assert trouble == []
    assert os.getpid() not in {call.pid for call in ledger.calls()}
    ledger.audit()
