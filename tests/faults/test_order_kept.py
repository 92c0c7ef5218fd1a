"""The events of one item reach each handler in the order of writing, through kills and retries."""

import time

import pytest

from tests.faults.parcels import FIRST, HANDLERS, SECOND
from tests.faults.processes import wait_for

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.long_fault]

PARCELS = 100


def test_only_a_waiting_retry_is_overtaken(fleet, ledger, rng):
    fleet.beat()
    workers = [fleet.worker("--pool=prefork"), fleet.worker("--pool=prefork")]
    for worker in workers:
        worker.wait_until_up()
    kills = 0
    while kills < 24:
        while ledger.open_count() < 200:
            for _ in range(5):
                ledger.ship(9, parcels=PARCELS)
                ledger.ship(orders="raise:1", parcels=PARCELS)
        time.sleep(0.25)
        kills += rng.choice(workers).kill_child(rng) is not None
        if kills % 8 == 0:
            ledger.hurry()
    wait_for("the end of all", lambda: ledger.all_ended() or (ledger.hurry() and False))

    failed = {call.move_id for call in ledger.calls() if call.failed}
    assert failed
    order = {name: ledger.order_of_effects(name) for name in HANDLERS}
    assert len(order[FIRST]) == PARCELS
    for moves in order[FIRST].values():
        unhindered = [move for move in moves if move not in failed]
        assert unhindered == sorted(unhindered)
    # The second handler failed nobody, so nobody waited for it.
    for moves in order[SECOND].values():
        unhindered = [move for move in moves if move not in failed]
        assert unhindered == sorted(unhindered)
    ledger.audit()


def test_a_crash_that_ends_in_a_waiting_retry_holds_up_nobody(start_worker, ledger):
    ledger.ship(20, parcels=1)
    (crashing,) = ledger.ship(orders="die_then_raise", parcels=1)
    later = ledger.ship(20, parcels=1)
    start_worker()
    wait_for("all but one", lambda: ledger.open_count() == 1)
    ledger.inject("kill")
    row = ledger.rows()[crashing]
    assert row.open
    assert row.crashes == 1
    assert row.waits_seconds > 10
    ledger.cure()
    ledger.hurry()
    wait_for("the end of all", ledger.all_ended)
    assert ledger.order_of_effects()[1][-len(later) :] == [*later[1:], crashing]
    ledger.audit()
