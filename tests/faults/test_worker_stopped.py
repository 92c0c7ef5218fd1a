"""SIGTERM: the worker finishes or gives back the event in hand, gives back the rest at once and charges nobody."""

import time

import pytest

from tests.faults.processes import PATIENT, wait_for

pytestmark = pytest.mark.django_db(transaction=True)

# So long that only giving back can have freed an event.
LONG_LEASE = {**PATIENT, "OUTBOX_BATCH_SIZE": "100"}


@pytest.mark.parametrize("whom", ["main process", pytest.param("all processes", marks=pytest.mark.long_fault)])
def test_a_stopped_worker_leaves_nothing_claimed(start_worker, ledger, whom):
    ledger.ship(150)
    worker = start_worker(**LONG_LEASE)
    wait_for("some effects", lambda: ledger.effect_count() > 10)
    if whom == "main process":
        assert worker.terminate() == 0
    else:
        worker.terminate_all()
    rest = [row for row in ledger.rows().values() if row.open]
    assert rest
    assert [row for row in rest if row.claimed] == []
    assert [row for row in rest if row.attempts or row.crashes] == []

    start_worker(**LONG_LEASE)
    wait_for("the rest", ledger.all_ended)
    ledger.audit(batch_size=100)


@pytest.mark.long_fault
def test_a_rolling_deployment_charges_no_attempt(start_worker, ledger):
    workers = [start_worker(**LONG_LEASE), start_worker(**LONG_LEASE)]
    for worker in workers:
        worker.wait_until_up()
    for _ in range(6):
        ledger.ship(300)
        old = workers.pop(0)
        before = ledger.effect_count()
        wait_for("some effects", lambda least=before + 10: ledger.effect_count() >= least)
        assert old.terminate() == 0
        workers.append(start_worker(**LONG_LEASE))
        workers[-1].wait_until_up()
    began = time.monotonic()
    wait_for("the rest", ledger.all_ended)
    assert time.monotonic() - began < 60
    rows = ledger.rows().values()
    assert [row for row in rows if row.crashes or row.attempts > 1] == []
    ledger.audit(batch_size=100)
