"""The gaps between attempts by the database's clock, and dead letters that are retried twice at once."""

import threading
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from django.db import connection
from django.utils import timezone

from flowledger.errors import Conflict
from flowledger.outbox.services import retry_dead_letter
from flowledger.tenancy.actors import Actor, Role
from tests.faults.processes import wait_for
from tests.faults.servers.conftest import THIRD, WITH_THIRD

pytestmark = pytest.mark.django_db(transaction=True)

MINUTES = (1, 2, 4, 8, 16, 32, 60, 60, 60)


def test_gaps_double_up_to_an_hour_jitter_included(start_worker, ledger):
    """Ten failures, with the gaps skipped in the database instead of waited for."""
    start_worker(OUTBOX_MAX_ATTEMPTS=str(len(MINUTES) + 1))
    moves = ledger.ship(3, orders="raise", parcels=3)
    for attempt, minutes in enumerate(MINUTES, start=1):

        def tried(attempt: int = attempt) -> bool:
            rows = [ledger.rows()[move] for move in moves]
            return all(row.attempts == attempt and not row.claimed and row.waits_seconds > 5 for row in rows)

        wait_for(f"attempt {attempt}", tried)
        for row in ledger.rows().values():
            # The rows were looked at a moment later than they were put back.
            assert 0.8 * minutes * 60 - 10 <= row.waits_seconds <= min(1.2 * minutes * 60, 3600)
        assert all(call.attempt <= attempt for call in ledger.calls()), "tried before it was time"
        assert ledger.hurry() == len(moves)
    wait_for("the end", ledger.all_ended)
    ledger.inject("failure", len(MINUTES) * len(moves), batches=0)
    ledger.audit(poison=moves)


@pytest.mark.long_fault
def test_dead_letters_retried_twice_at_once_take_effect_once(start_worker, ledger):
    """Its two handlers that had succeeded are not run again, the third is run once."""
    start_worker(*WITH_THIRD, OUTBOX_MAX_ATTEMPTS="1")
    for turn in range(8):
        moves = ledger.ship(10, orders=f"unmended:{turn}", parcels=10)
        wait_for("the dead letters", ledger.all_ended)
        rows = ledger.rows()
        assert all(rows[move].dead for move in moves)
        calls = len(ledger.calls())
        ledger.inject("failure", len(moves))
        (ledger.directory / f"mended-{turn}").touch()
        refused = at_once(4, lambda ids=[rows[move].event_id for move in moves]: retry_all(ledger.org, ids))
        # Each was retried by one of the four; the other three were told.
        assert sum(refused) == 3 * len(moves)
        ledger.inject("retry", 4 * len(moves), batches=0)
        wait_for("the retried", ledger.all_ended)
        # The journal is kept by the two that had succeeded.
        assert len(ledger.calls()) == calls
        assert [ledger.effects()[move, THIRD] for move in moves] == [1] * len(moves)
    ledger.audit()


def retry_all(org: Any, event_ids: list[int]) -> int:
    """Retry each; answers how many were no dead letters any more."""
    manager = replace(Actor.system("Maria"), role=Role.MANAGER)
    refused = 0
    for event_id in event_ids:
        try:
            retry_dead_letter(org=org, event_id=event_id, actor=manager, at=timezone.now())
        except Conflict:
            refused += 1
    return refused


def at_once(number: int, work: Callable[[], int]) -> list[int]:
    """The answers of so many threads that begin together."""
    barrier = threading.Barrier(number)
    answers: list[int] = []

    def run() -> None:
        try:
            barrier.wait()
            answers.append(work())
        finally:
            connection.close()

    threads = [threading.Thread(target=run) for _ in range(number)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return answers
