"""Two releases at once: an older worker meets an event that only the newer one knows."""

import pytest

from tests.faults.parcels import ParcelLost
from tests.faults.processes import PATIENT, wait_for

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.long_fault]


def test_an_unknown_event_waits_for_a_worker_that_knows_it(start_worker, ledger):
    ledger.ship(20)
    lost = ledger.ship(5, fact=ParcelLost)
    ledger.ship(20)
    start_worker(FAULT_KNOWS_LOST="false", **PATIENT)
    wait_for("all that it knows", lambda: ledger.open_count() == len(lost))
    wait_for("its letting go", lambda: not any(ledger.rows()[move].claimed for move in lost))
    for move in lost:
        row = ledger.rows()[move]
        assert row.open
        assert (row.attempts, row.crashes) == (0, 0)
        assert row.waits_seconds > 0

    start_worker(**PATIENT).wait_until_up()
    ledger.inject("old release")
    wait_for("the rest", lambda: ledger.all_ended() or (ledger.hurry() and False))
    ledger.audit()
