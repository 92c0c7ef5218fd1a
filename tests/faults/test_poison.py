"""Events that no worker survives or no handler manages: only they fail, and only they die."""

import pytest

from flowledger.outbox.models import HandlerFailure
from flowledger.tenancy.scope import system_scope
from tests.faults.ledger import Ledger, Row
from tests.faults.parcels import FIRST, SECOND
from tests.faults.processes import PATIENT, wait_for

pytestmark = pytest.mark.django_db(transaction=True)

MAX_ATTEMPTS, CRASH_LIMIT = 8, 5


def others(ledger: Ledger, move: int) -> list[Row]:
    return [row for row in ledger.rows().values() if row.move_id != move]


def failed_times(ledger: Ledger, move: int) -> int:
    return sum(call.failed for call in ledger.calls_of(move))


class TestRaisingHandler:
    def test_ninety_nine_of_a_hundred_are_processed_in_the_same_pass(self, start_worker, ledger):
        ledger.ship(50)
        (poison,) = ledger.ship(orders="raise_late")
        ledger.ship(49)
        start_worker(OUTBOX_BATCH_SIZE="100", **PATIENT)
        wait_for("all but one", lambda: ledger.open_count() == 1 and not ledger.rows()[poison].claimed)
        row = ledger.rows()[poison]
        assert row.open
        assert row.attempts == 1
        assert row.crashes == 0
        assert "Ordered: move" in row.last_error
        # A minute give or take a fifth, less the time that it took to look.
        assert 10 < row.waits_seconds <= 72
        assert {(other.processed, other.attempts > 1, other.crashes) for other in others(ledger, poison)} == {
            (True, False, 0)
        }
        # The second handler is not kept waiting for the first.
        assert ledger.effects()[poison, SECOND] == 1
        assert ledger.effects()[poison, FIRST] == 0

    @pytest.mark.long_fault
    def test_the_last_attempt_ends_in_the_dead_letters_with_its_error(self, start_worker, ledger):
        (poison,) = ledger.ship(orders="raise")
        (recovers,) = ledger.ship(orders="raise:2")
        start_worker(**PATIENT)
        for attempt in range(1, MAX_ATTEMPTS + 1):
            ledger.ship(20)
            wait_for("an attempt", lambda n=attempt: ledger.rows()[poison].attempts >= n)
            wait_for("its end", lambda: not ledger.rows()[poison].claimed)
            row = ledger.rows()[poison]
            assert row.dead == (attempt == MAX_ATTEMPTS)
            assert f"attempt {attempt}" in row.last_error
            ledger.hurry()
        wait_for("the end of all", ledger.all_ended)
        with system_scope("tests"):
            failure = HandlerFailure.all_orgs.get(event_id=row.event_id)
        assert (failure.handler, failure.attempt) == (FIRST, MAX_ATTEMPTS)
        assert "tests.faults.parcels.Ordered" in failure.traceback
        assert {call.attempt for call in ledger.calls_of(recovers) if call.failed} == {1, 2}
        assert [other for other in others(ledger, poison) if other.move_id != recovers and other.attempts > 1] == []
        ledger.audit(poison=[poison])


@pytest.mark.long_fault
class TestKillingHandler:
    def test_what_kills_its_worker_dies_alone(self, start_worker, ledger):
        ledger.ship(60)
        (poison,) = ledger.ship(orders="exit")
        ledger.ship(60)
        worker = start_worker()
        wait_for("the end of all", ledger.all_ended)
        row = ledger.rows()[poison]
        assert row.dead
        assert row.crashes == CRASH_LIMIT
        assert row.last_error
        assert len(ledger.calls_of(poison)) == CRASH_LIMIT
        ledger.inject("exit", CRASH_LIMIT)
        assert {other.crashes for other in others(ledger, poison)} <= {0, 1}
        assert worker.process.poll() is None
        ledger.audit(poison=[poison])

    def test_many_of_them_take_no_innocent_along(self, start_worker, ledger):
        poison = []
        for _ in range(6):
            ledger.ship(30)
            poison += ledger.ship(orders="exit", parcels=1000)
        start_worker(OUTBOX_BATCH_SIZE="50")
        wait_for("the end of all", ledger.all_ended)
        assert {move for move, row in ledger.rows().items() if row.dead} == set(poison)
        ledger.inject("exit", CRASH_LIMIT * len(poison))
        ledger.audit(poison=poison, batch_size=50)

    def test_memory_without_end_is_one_handlers_failure(self, start_worker, ledger):
        ledger.ship(20)
        (poison,) = ledger.ship(orders="eat_memory")
        ledger.ship(20)
        start_worker(FAULT_MEMORY_MB="512", **PATIENT)
        wait_for("all but one", lambda: ledger.open_count() == 1 and not ledger.rows()[poison].claimed)
        row = ledger.rows()[poison]
        assert "MemoryError" in row.last_error
        assert row.crashes == 0
        ledger.inject("out of memory")
        ledger.cure()
        ledger.hurry()
        wait_for("the end of all", ledger.all_ended)
        ledger.audit()


@pytest.mark.long_fault
class TestHangingHandler:
    @pytest.mark.parametrize("hang", ["spin", "database_sleep"])
    def test_the_soft_limit_makes_it_one_events_failure(self, start_worker, ledger, hang):
        ledger.ship(50)
        (poison,) = ledger.ship(orders=hang)
        ledger.ship(49)
        worker = start_worker(FAULT_SOFT_SECONDS="1", FAULT_HARD_SECONDS="30", OUTBOX_BATCH_SIZE="100", **PATIENT)
        worker.wait_until_up()
        processes = worker.children()
        wait_for("all but one", lambda: ledger.open_count() == 1 and not ledger.rows()[poison].claimed)
        row = ledger.rows()[poison]
        assert (row.attempts, row.crashes) == (1, 0)
        assert "HandlerTimedOut" in row.last_error
        assert row.waits_seconds > 10
        assert ledger.effects()[poison, FIRST] == 0
        assert ledger.effects()[poison, SECOND] == 1
        assert [other for other in others(ledger, poison) if other.attempts > 1 or other.crashes] == []
        assert worker.children() == processes
        ledger.inject("hang", failed_times(ledger, poison))

        ledger.cure()
        ledger.hurry()
        wait_for("the end of all", ledger.all_ended)
        ledger.audit(batch_size=100)

    def test_the_hard_limit_ends_the_process_and_charges_the_culprit_alone(self, start_worker, ledger):
        ledger.ship(50)
        (poison,) = ledger.ship(orders="ignore_all")
        ledger.ship(49)
        worker = start_worker(FAULT_SOFT_SECONDS="0.5", FAULT_HARD_SECONDS="1.5", OUTBOX_BATCH_SIZE="100", **PATIENT)
        wait_for("the end of all", ledger.all_ended)
        row = ledger.rows()[poison]
        assert row.dead
        assert row.crashes == CRASH_LIMIT
        assert len(ledger.calls_of(poison)) == CRASH_LIMIT
        ledger.inject("hang", CRASH_LIMIT)
        assert [other for other in others(ledger, poison) if other.crashes] == []
        assert worker.process.poll() is None
        ledger.audit(poison=[poison], batch_size=100)
