"""Handlers that take longer than the lease: renewal keeps the claim, and without renewal the effect is still one."""

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.faults.ledger import Ledger
from tests.faults.parcels import HANDLERS
from tests.faults.processes import wait_for

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.long_fault]

LEASE = 4


@contextmanager
def renewals_lost(ledger: Ledger) -> Iterator[None]:
    """The database takes every renewal of a lease and forgets it."""
    ledger.execute("RESET ROLE")
    ledger.execute(
        """
        CREATE FUNCTION fault_forget() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            IF OLD.claimed_by = NEW.claimed_by AND NEW.claimed_at > OLD.claimed_at AND NEW.processed_at IS NULL THEN
                RETURN NULL;
            END IF;
            RETURN NEW;
        END $$
        """
    )
    ledger.execute(
        "CREATE TRIGGER fault_forget BEFORE UPDATE ON outbox_workevent_open"
        " FOR EACH ROW EXECUTE FUNCTION fault_forget()"
    )
    ledger.reconnect()
    try:
        yield
    finally:
        ledger.execute("RESET ROLE")
        ledger.execute("DROP TRIGGER fault_forget ON outbox_workevent_open")
        ledger.execute("DROP FUNCTION fault_forget()")
        ledger.reconnect()


def test_a_renewed_lease_is_not_a_limit_of_running_time(start_worker, ledger):
    (move,) = ledger.ship(orders=f"slow:{LEASE * 3}")
    ledger.ship(30)
    start_worker(OUTBOX_LEASE_SECONDS=str(LEASE))
    wait_for("the end of all", ledger.all_ended)
    assert len(ledger.calls_of(move)) == 1
    assert ledger.rows()[move].crashes == 0
    ledger.audit()


def test_without_renewal_it_is_delivered_again_and_has_one_effect(start_worker, ledger):
    (move,) = ledger.ship(orders=f"slow_once:{LEASE * 3}")
    with renewals_lost(ledger):
        start_worker(OUTBOX_LEASE_SECONDS=str(LEASE))
        ledger.inject("renewals lost")
        wait_for("the end", ledger.all_ended)
    assert ledger.rows()[move].crashes == 1
    first, second = ledger.calls_of(move)
    # The one that was too slow has to come to its end before its effect can be judged.
    wait_for("the end of the slow call", lambda: all(call.ended_at for call in ledger.calls_of(move)))
    assert ledger.effect_pid(move) == second.pid != first.pid
    ledger.audit()


def test_a_batch_may_take_many_times_its_lease(start_worker, ledger):
    ledger.ship(50)
    # A batch of 25 events for two handlers: five leases, unless the worker has learnt to take less.
    start_worker(FAULT_EFFECT_SECONDS=str(LEASE / 10), OUTBOX_LEASE_SECONDS=str(LEASE))
    wait_for("the end of all", ledger.all_ended)
    assert [row for row in ledger.rows().values() if row.crashes] == []
    assert len(ledger.calls()) == 50 * len(HANDLERS)
    ledger.audit()
