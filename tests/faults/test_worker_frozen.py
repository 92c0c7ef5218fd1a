"""A process that stood still for longer than its lease: what it does when it goes on has no effect."""

import time

import pytest

from tests.faults.processes import LEASE_SECONDS, wait_for

pytestmark = pytest.mark.django_db(transaction=True)

HANDLING = "slow:0.6"


@pytest.mark.long_fault
@pytest.mark.parametrize("zombies", [6])
def test_a_late_completion_matches_nothing(start_worker, ledger, rng, zombies):
    worker = start_worker()
    worker.wait_until_up()
    for _ in range(zombies):
        ledger.ship(10)
        moves = ledger.ship(4, orders=HANDLING)
        ledger.ship(10)

        def in_hand(moves=tuple(moves)):
            return [call for call in ledger.calls() if call.move_id in moves and call.ended_at is None]

        call = rng.choice(wait_for("a slow call", in_hand))
        with worker.frozen(call.pid):
            time.sleep(LEASE_SECONDS * 1.5)
        wait_for("the end of all", ledger.all_ended)
        # The zombie came back and believed it was through; the effect is its successor's.
        calls = ledger.calls_of(call.move_id)
        assert len(calls) >= 2
        assert calls[0].pid == call.pid
        assert ledger.effect_pid(call.move_id) != call.pid
    ledger.audit()
