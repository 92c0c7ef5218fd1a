"""Events whose handlers' effects cannot tell once from twice, and which a test can order to go wrong.

Every event carries `move_id`, the key of the state change it tells of, chosen by the producer before it commits; and
`orders`, what a handler is to do about it (see `_BEFORE` and `_AFTER` for the first, `_SECOND` for the second).
Each call of a handler leaves lines in the journal, a file that no rollback and no SIGKILL takes back.
"""

import os
import signal
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from django.db import connection, transaction

from flowledger.outbox.events import event
from flowledger.outbox.registry import Delivery, handler

MOVED, LOST = "fault.parcel_moved", "fault.parcel_lost"
FIRST, SECOND = "faults.first", "faults.second"
HANDLERS = (FIRST, SECOND)
JOURNAL, CURED = "journal", "cured"
EFFECT_SECONDS = 0.005


@dataclass(frozen=True)
class ParcelMoved:
    """A parcel was moved on."""

    parcel_id: int
    move_id: int
    orders: str = ""


@dataclass(frozen=True)
class ParcelLost:
    """A parcel was lost; only the newer release knows this event."""

    parcel_id: int
    move_id: int
    orders: str = ""


class Ordered(Exception):
    """The failure that a test asked for."""


def declare_events(*, lost: bool = True) -> None:
    event(MOVED, item="parcel")(ParcelMoved)
    if lost:
        event(LOST, item="parcel")(ParcelLost)


def subscribe_handlers(*, lost: bool = True, **limits: Any) -> None:
    """Subscribe both; the limits in seconds are the first's."""
    names = [MOVED, LOST] if lost else [MOVED]
    handler(names, name=FIRST, **limits)(obey)
    handler(names, name=SECOND)(take_effect)


def obey(delivery: Delivery) -> None:
    """Take effect, and before or after it whatever was ordered."""
    order, _, argument = delivery.event.orders.partition(":")
    with _journal(delivery):
        _BEFORE.get(order, _nothing)(delivery, argument)
        _effect(delivery)
        _AFTER.get(order, _nothing)(delivery, argument)


def take_effect(delivery: Delivery) -> None:
    """Count once more; the last handler of every event."""
    order, _, argument = delivery.event.orders.partition(":")
    with _journal(delivery):
        _effect(delivery)
        _SECOND.get(order, _nothing)(delivery, argument)


def _effect(delivery: Delivery) -> None:
    """One more row, and slow enough to be killed in between."""
    seconds = float(os.environ.get("FAULT_EFFECT_SECONDS", EFFECT_SECONDS))
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO fault_effect (event_id, handler, move_id, parcel_id, pid) VALUES (%s, %s, %s, %s, %s)",
            [delivery.event_id, delivery.handler, delivery.event.move_id, delivery.item_id, os.getpid()],
        )
        if seconds:
            cursor.execute("SELECT pg_sleep(%s)", [seconds])


# --- orders ------------------------------------------------------------------------------------------------------


def _nothing(delivery: Delivery, argument: str) -> None:
    """What every other event orders."""


def _raise(delivery: Delivery, argument: str) -> None:
    """Fail for ever, or while the attempt is not greater than the argument."""
    if not argument or delivery.attempts <= int(argument):
        raise Ordered(f"move {delivery.event.move_id}, attempt {delivery.attempts}")


def _exit(delivery: Delivery, argument: str) -> None:
    os._exit(70)


def _spin(delivery: Delivery, argument: str) -> None:
    """Never come back, without a system call that a signal could interrupt."""
    while not cured():
        while True:
            pass


def _ignore_all(delivery: Delivery, argument: str) -> None:
    """Never come back, and swallow every exception that is to end it."""
    while True:
        try:
            while True:
                time.sleep(0.01)
        except BaseException:
            continue


def _database_sleep(delivery: Delivery, argument: str) -> None:
    if not cured():
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_sleep(3600)")


def _slow(delivery: Delivery, argument: str) -> None:
    time.sleep(float(argument))


def _eat_memory(delivery: Delivery, argument: str) -> None:
    """Ask for more than the process may have (see `worker.py`), until the test calls it cured."""
    heap = []
    while not cured():
        heap.append(bytes(64 * 1024 * 1024))


def _die_once(delivery: Delivery, argument: str) -> None:
    """SIGKILL for this process, the first time only."""
    if once(f"died-{delivery.event.move_id}"):
        os.kill(os.getpid(), signal.SIGKILL)


def _die_then_raise(delivery: Delivery, argument: str) -> None:
    _die_once(delivery, argument)
    if not cured():
        raise Ordered(f"move {delivery.event.move_id}, attempt {delivery.attempts}")


def _die_once_after_commit(delivery: Delivery, argument: str) -> None:
    transaction.on_commit(lambda: _die_once(delivery, argument))


def _write_email(delivery: Delivery, argument: str) -> None:
    # Not at the top: Celery loads this module before the applications.
    from flowledger.outbox.emails import queue_email

    queue_email(
        org=delivery.org,
        key=f"move-{delivery.event.move_id}",
        to=["clerk@example.com"],
        subject="A parcel was moved",
        body="",
    )


def _slow_once(delivery: Delivery, argument: str) -> None:
    if once(f"slow-{delivery.event.move_id}"):
        time.sleep(float(argument))


_Order = Callable[[Delivery, str], None]
_BEFORE: dict[str, _Order] = {
    "raise": _raise,
    "exit": _exit,
    "spin": _spin,
    "ignore_all": _ignore_all,
    "database_sleep": _database_sleep,
    "eat_memory": _eat_memory,
    "die_before_effect": _die_once,
    "die_then_raise": _die_then_raise,
}
_AFTER: dict[str, _Order] = {
    "raise_late": _raise,
    "slow": _slow,
    "slow_once": _slow_once,
    "die_after_effect": _die_once,
    "email": _write_email,
}
_SECOND: dict[str, _Order] = {
    # The commit of the last handler's transaction is the event's completion.
    "die_after_completion": _die_once_after_commit,
}


# --- journal -----------------------------------------------------------------------------------------------------


def directory() -> Path:
    """Where the processes of a run leave their marks."""
    return Path(os.environ["FAULT_DIRECTORY"])


def cured() -> bool:
    """Whether the test has ended the hanging."""
    return (directory() / CURED).exists()


def once(name: str) -> bool:
    """Whether nobody asked for this name before, in any process."""
    try:
        os.close(os.open(directory() / name, os.O_CREAT | os.O_EXCL))
    except FileExistsError:
        return False
    return True


class _journal:  # noqa: N801  (reads as a statement)
    """Write down the beginning and the end of one call of a handler."""

    def __init__(self, delivery: Delivery) -> None:
        self._tail = f"{delivery.event_id} {delivery.handler} {delivery.event.move_id} {delivery.attempts}\n"

    def __enter__(self) -> None:
        self._write("start")

    def __exit__(self, kind: object, error: object, trace: object) -> None:
        self._write("end" if error is None else "fail")

    def _write(self, what: str) -> None:
        # The monotonic clock is the machine's, so lines of several processes compare.
        line = f"{what} {time.monotonic():.6f} {os.getpid()} {self._tail}".encode()
        descriptor = os.open(directory() / JOURNAL, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        try:
            if os.write(descriptor, line) != len(line):
                sys.exit("The journal took half a line.")
        finally:
            os.close(descriptor)
