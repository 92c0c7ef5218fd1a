"""The ledger itself: an audit that cannot fail would prove nothing, so every kind of damage is done to it once."""

from collections.abc import Callable

import pytest

from tests.faults.ledger import Ledger
from tests.faults.parcels import FIRST, HANDLERS, JOURNAL, SECOND

pytestmark = pytest.mark.django_db(transaction=True)

EFFECT = "INSERT INTO fault_effect (event_id, handler, move_id, parcel_id) VALUES (%s, %s, %s, 1)"


def handle(ledger: Ledger, moves: list[int]) -> None:
    """Do by hand what a perfect worker does."""
    for move in moves:
        event_id = ledger.rows()[move].event_id
        for name in HANDLERS:
            ledger.execute(EFFECT, [event_id, name, move])
            with (ledger.directory / JOURNAL).open("a") as journal:
                journal.write(f"start 1.0 1 {event_id} {name} {move} 1\nend 2.0 1 {event_id} {name} {move} 1\n")
        ledger.execute(
            "UPDATE outbox_workevent SET processed_at = now(), handled_by = %s WHERE id = %s",
            [list(HANDLERS), event_id],
        )


def lose_event(ledger: Ledger, move: int) -> None:
    ledger.execute("UPDATE outbox_workevent SET processed_at = NULL WHERE id = %s", [ledger.rows()[move].event_id])


def kill_innocent(ledger: Ledger, move: int) -> None:
    ledger.execute(
        "UPDATE outbox_workevent SET processed_at = NULL, dead_letter_at = now() WHERE id = %s",
        [ledger.rows()[move].event_id],
    )


def double_effect(ledger: Ledger, move: int) -> None:
    ledger.execute(EFFECT, [ledger.rows()[move].event_id, SECOND, move])


def lose_effect(ledger: Ledger, move: int) -> None:
    ledger.execute("DELETE FROM fault_effect WHERE move_id = %s AND handler = %s", [move, FIRST])


def lose_change(ledger: Ledger, move: int) -> None:
    ledger.execute("DELETE FROM fault_move WHERE move_id = %s", [move])


def change_without_event(ledger: Ledger, move: int) -> None:
    ledger.execute("INSERT INTO fault_move VALUES (%s, 1, 1)", [move + 1000])


def forget_commit(ledger: Ledger, move: int) -> None:
    ledger.committed.remove(move)
    ledger.taken_back.add(move)


def deliver_without_cause(ledger: Ledger, move: int) -> None:
    with (ledger.directory / JOURNAL).open("a") as journal:
        journal.write(f"start 3.0 1 {ledger.rows()[move].event_id} {FIRST} {move} 2\n")


@pytest.mark.parametrize(
    ("damage", "complaint"),
    [
        (lose_event, "1 lost"),
        (kill_innocent, "1 innocent dead letters"),
        (double_effect, "1 effects doubled"),
        (lose_effect, "1 processed without their effect"),
        (lose_effect, "1 receipts without an effect"),
        (lose_change, "1 events without their move"),
        (lose_change, "1 committed moves that are gone"),
        (change_without_event, "1 moves without their event"),
        (forget_commit, "1 moves that were taken back and are there"),
        (deliver_without_cause, "called 4 times, 3 at most"),
    ],
)
def test_the_audit_names_every_damage(ledger: Ledger, damage: Callable[[Ledger, int], None], complaint: str):
    moves = ledger.ship(3)
    handle(ledger, moves)
    ledger.audit()

    damage(ledger, moves[1])
    with pytest.raises(AssertionError, match=complaint):
        ledger.audit()
