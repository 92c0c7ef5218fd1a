"""Ticks and nudges lost, doubled and in floods: they carry nothing, so nothing is lost or doubled with them."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from celery import current_app

from flowledger.outbox import broker
from flowledger.outbox.health import end_heartbeat, services_health
from flowledger.outbox.wake import DRAIN_TASK, heed
from tests.faults.processes import PATIENT, wait_for

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def awake(settings: Any) -> Iterator[None]:
    """Commits nudge, and the nudges of earlier tests are forgotten."""
    settings.OUTBOX_WAKE = True
    broker.ask_again()
    ticks_waiting(clear=True)
    heed(DRAIN_TASK)
    yield
    broker.ask_again()


def ticks_waiting(*, clear: bool = False) -> int:
    """How many ticks no worker has taken yet."""
    with current_app.connection_for_read() as broker_connection:
        queue = broker_connection.default_channel.client
        if clear:
            queue.delete("outbox")
        return int(queue.llen("outbox"))


class TestDeadBeat:
    def test_a_commit_wakes_the_worker(self, start_worker, ledger, awake):
        start_worker("--pool=prefork", **PATIENT)
        ledger.ship()
        wait_for("the first event", ledger.all_ended)
        for _ in range(5):
            ledger.ship()
            wait_for("an event of the idle system", ledger.all_ended)
        ledger.audit()

    @pytest.mark.long_fault
    def test_nudges_alone_carry_on_and_the_health_report_misses_the_beat(self, fleet, ledger, awake):
        end_heartbeat("beat", "any")
        beat = fleet.beat()
        fleet.worker("--pool=prefork", **PATIENT)
        wait_for("the heartbeats", lambda: services_health()["beat"] and services_health()["workers"])
        beat.kill_main()
        silent: Callable[[], bool] = lambda: not services_health()["beat"]  # noqa: E731
        while not silent():
            ledger.ship(3)
            wait_for("events without a beat", ledger.all_ended)
        assert services_health()["workers"]
        ledger.ship(50)
        wait_for("the rest", ledger.all_ended)
        ledger.audit()


class TestDoubledTicks:
    @pytest.mark.long_fault
    def test_two_beats_do_no_harm(self, fleet, ledger):
        ticks_waiting(clear=True)
        fleet.beat()
        fleet.beat()
        fleet.worker("--pool=prefork", **PATIENT)
        ledger.inject("second beat", batches=0)
        for _ in range(10):
            ledger.ship(30)
            wait_for("a part", ledger.all_ended)
        assert ledger.overlapping_calls() == []
        assert {call.attempt for call in ledger.calls()} == {1}
        # Two beats tick twice as often, and nothing piles up.
        assert wait_for("the ticks taken", lambda: ticks_waiting() < 10)
        ledger.audit()

    @pytest.mark.long_fault
    def test_a_flood_of_ticks_is_only_many_looks(self, start_worker, ledger):
        ticks_waiting(clear=True)
        worker = start_worker("--pool=prefork", **PATIENT)
        worker.wait_until_up()
        ledger.ship(100)
        for _ in range(200):
            current_app.send_task(DRAIN_TASK, ignore_result=True)
        ledger.inject("tick", 200, batches=0)
        ledger.ship(100)
        wait_for("the flood to be over", lambda: ticks_waiting() == 0)
        for _ in range(2):
            current_app.send_task(DRAIN_TASK, ignore_result=True)
        wait_for("the end of all", ledger.all_ended)
        assert ledger.overlapping_calls() == []
        assert {call.attempt for call in ledger.calls()} == {1}
        ledger.audit()
