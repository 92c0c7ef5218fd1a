"""Producers that roll back, or commit late."""

import threading
import time

import pytest
from django.db import connection

from flowledger.outbox import broker
from flowledger.outbox.wake import DRAIN_TASK, heed
from tests.faults.ledger import Changed
from tests.faults.processes import PATIENT, wait_for
from tests.faults.test_ticks import ticks_waiting

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.long_fault]


def change_mind() -> None:
    raise Changed


def test_a_rollback_leaves_neither_event_nor_nudge(start_worker, ledger, settings):
    settings.OUTBOX_WAKE = True
    broker.ask_again()
    ticks_waiting(clear=True)
    heed(DRAIN_TASK)
    ledger.ship(20, before_commit=change_mind)
    ledger.inject("rollback", 20, batches=0)
    assert ledger.rows() == {}
    assert ticks_waiting() == 0

    ledger.ship()
    assert ticks_waiting() == 1
    start_worker("--pool=prefork", **PATIENT)
    wait_for("the one that was meant", ledger.all_ended)
    ledger.audit()


def test_a_late_commit_is_found_behind_the_low_water_mark(start_worker, ledger):
    written, go = threading.Event(), threading.Event()

    def wait_to_commit() -> None:
        written.set()
        go.wait(60)

    late: list[int] = []

    def write_late() -> None:
        late.extend(ledger.ship(before_commit=wait_to_commit))
        connection.close()

    ledger.org  # noqa: B018  (made before the threads need it)
    writer = threading.Thread(target=write_late)
    writer.start()
    assert written.wait(30)
    start_worker(**PATIENT)
    committed_at = 0.0
    began = time.monotonic()
    # Never idle: the claims go on from where they were, and the late one lies before that.
    while time.monotonic() - began < 12:
        if ledger.open_count() < 200:
            ledger.ship(50)
        if not committed_at and time.monotonic() - began > 6:
            assert ledger.effect_count() > 50
            go.set()
            writer.join()
            committed_at = time.monotonic()
    ledger.inject("late commit", batches=0)
    wait_for("the end of all", ledger.all_ended)
    (call,) = ledger.calls_of(late[0])
    assert call.event_id == min(row.event_id for row in ledger.rows().values())
    assert call.started_at - committed_at < 10
    ledger.audit()
