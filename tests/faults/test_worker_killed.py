"""`kill -9` of workers in the middle of a batch: every event is handled, every effect is there once."""

import time

import pytest

from flowledger.outbox.models import OutgoingEmail
from flowledger.tenancy.scope import system_scope
from tests.faults.parcels import FIRST, HANDLERS, SECOND
from tests.faults.processes import LEASE_SECONDS, wait_for

pytestmark = pytest.mark.django_db(transaction=True)


class TestKilledPoolProcesses:
    @pytest.mark.parametrize(
        ("storm", "kills"),
        [("short", 6), *(pytest.param(f"long {n}", 36, marks=pytest.mark.long_fault) for n in range(1, 6))],
    )
    def test_a_storm_of_kills_costs_repeats_and_nothing_else(self, start_worker, ledger, rng, storm, kills):
        worker = start_worker()
        worker.wait_until_up()
        ledger.ship(150)
        done = 0
        while done < kills:
            if ledger.open_count() < 100:
                ledger.ship(50)
            time.sleep(0.25)
            if worker.kill_child(rng) is not None:
                done += 1
        began = time.monotonic()
        wait_for("an empty backlog after the last kill", ledger.all_ended)
        # The short one runs beside other tests, on a machine that may be busy with them.
        assert storm == "short" or time.monotonic() - began < LEASE_SECONDS + 30
        assert worker.process.poll() is None
        ledger.audit()

    def test_no_moment_of_a_delivery_is_a_bad_one_to_die(self, start_worker, ledger):
        ledger.ship(20, parcels=1000)
        orders = ("die_before_effect", "die_after_effect", "die_after_completion")
        moves = {order: ledger.ship(orders=order, parcels=1000)[0] for order in orders}
        ledger.ship(20, parcels=1000)
        start_worker()
        wait_for("the end of all", ledger.all_ended)
        died = {order for order, move in moves.items() if (ledger.directory / f"died-{move}").exists()}
        assert died == set(orders)
        ledger.inject("kill", len(died))

        calls = {
            order: [len([call for call in ledger.calls_of(move, name) if call.ended_at]) for name in HANDLERS]
            for order, move in moves.items()
        }
        assert calls["die_before_effect"] == [1, 1]
        assert calls["die_after_effect"] == [1, 1]
        # It had been completed: nobody called again.
        assert len(ledger.calls_of(moves["die_after_completion"], FIRST)) == 1
        assert len(ledger.calls_of(moves["die_after_completion"], SECOND)) == 1
        ledger.audit()

    @pytest.mark.long_fault
    def test_a_message_is_sent_again_under_its_old_key_when_the_sender_dies_in_the_call(self, start_worker, ledger):
        start_worker("--beat", "--queues=outbox,outgoing", EMAIL_BACKEND="tests.faults.mailbox.Mailbox")
        (move,) = ledger.ship(orders="email")
        wait_for("the event", ledger.all_ended)

        def sent() -> bool:
            with system_scope("tests"):
                return OutgoingEmail.all_orgs.filter(status="sent").exists()

        wait_for("the second try", sent)
        ledger.inject("kill")
        keys = (ledger.directory / "mailbox").read_text().split()
        assert keys == [f"{ledger.org.pk}-move-{move}"] * 2
        ledger.audit()


@pytest.mark.long_fault
class TestKilledWorkers:
    def test_every_event_is_handled_once_when_whole_workers_are_killed(self, start_worker, ledger):
        events, kills = 200, 3
        ledger.ship(events)
        for kill in range(1, kills + 1):
            worker = start_worker()
            enough = events * 2 * kill // (kills + 2)
            wait_for("some effects", lambda least=enough: ledger.effect_count() >= least)
            worker.kill()
            assert not ledger.all_ended()
        start_worker()
        wait_for("the rest", ledger.all_ended)
        # The kills really hit batches in hand.
        assert sum(row.crashes for row in ledger.rows().values()) >= kills
        ledger.audit()

    def test_orphans_of_a_killed_main_process_do_not_run_beside_its_successor(self, fleet, ledger):
        ledger.ship(300)
        first_beat = fleet.beat()
        first = fleet.worker("--pool=prefork")
        wait_for("some effects", lambda: ledger.effect_count() > 20)
        first.kill_main()
        first_beat.kill_main()
        ledger.ship(100)

        fleet.beat()
        # The beat's first ticks are there before the worker is: what counts is the worker's way back.
        second = fleet.worker("--pool=prefork")
        second.wait_until_up()
        restarted = time.monotonic()
        ledger.ship(100)
        old = set(first.children())
        resumed = wait_for(
            "a call by the new worker",
            lambda: [call for call in ledger.calls() if call.pid in second.children() and call.pid not in old],
        )
        assert resumed[0].started_at - restarted < 5
        wait_for("the end of all", ledger.all_ended)
        assert ledger.overlapping_calls() == []
        ledger.audit()
