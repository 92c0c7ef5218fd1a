"""Events that were processed in some month, where they lie, and who stands in the way of a lock."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import Any

from django.db import connection, connections

from flowledger.outbox.partitions import month_partitions
from flowledger.tenancy.models import Organization
from flowledger.tenancy.scope import system_scope

_PROCESSED = """
INSERT INTO outbox_workevent (org_id, event_name, item_type, item_id, payload, actor_kind, actor_label, origin,
    occurred_at, recorded_at, attempts, handled_by, processed_at)
SELECT %s, 'parcel.sent', 'parcel', number, jsonb_build_object('parcel_id', number, 'note', %s::text), 'system',
    'clerk', 'system', %s, %s, 1, '{bench.noop}', %s FROM generate_series(1, %s) AS number
RETURNING id
"""


def rows(statement: str, *parameters: Any) -> list[tuple[Any, ...]]:
    """Ask as the login role in its current scope."""
    with connection.cursor() as cursor:
        cursor.execute(statement, parameters)
        return list(cursor.fetchall())


def run(statement: str, *parameters: Any) -> int:
    with connection.cursor() as cursor:
        cursor.execute(statement, parameters)
        return int(cursor.rowcount)


def processed(org: Organization, at: datetime, number: int = 1, *, note: str = "") -> list[int]:
    """So many events that were processed at that time; their keys."""
    with system_scope("tests"):
        return [key for (key,) in rows(_PROCESSED, org.pk, note, at, at, at, number)]


def places() -> dict[str, list[int]]:
    """The keys of the events of every partition that has some, by the partition's name."""
    found: dict[str, list[int]] = {}
    with system_scope("tests"):
        for place, key in rows("SELECT tableoid::regclass::text, id FROM outbox_workevent ORDER BY id"):
            found.setdefault(place.removeprefix("outbox_workevent_"), []).append(key)
    return found


def labels() -> list[str]:
    return [partition.label for partition in month_partitions()]


def put_back(before: list[Any]) -> None:
    """Drop the months that a test has made, and make those again that it has dropped."""
    after = month_partitions()
    for partition in set(after) - set(before):
        run(f"DROP TABLE {partition.table}")
    for partition in set(before) - set(after):
        run("SELECT outbox_add_partition(%s)", partition.month)


def in_threads(*functions: Callable[[], Any]) -> list[Any]:
    """Start all at one moment, each on a connection of its own; their answers, or the errors they ended with."""
    barrier = threading.Barrier(len(functions))
    answers: list[Any] = [None] * len(functions)

    def call(place: int, function: Callable[[], Any]) -> None:
        barrier.wait(timeout=30)
        try:
            answers[place] = function()
        except Exception as error:
            answers[place] = error
        finally:
            connections.close_all()

    threads = [threading.Thread(target=call, args=each) for each in enumerate(functions)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=60)
    assert not any(thread.is_alive() for thread in threads)
    return answers


@contextmanager
def in_background(function: Callable[[], Any]) -> Iterator[list[Any]]:
    """Let it run beside the block, on a connection of its own; its answer or error is in the list afterwards."""
    answer: list[Any] = []

    def call() -> None:
        try:
            answer.append(function())
        except Exception as error:
            answer.append(error)
        finally:
            connections.close_all()

    thread = threading.Thread(target=call)
    thread.start()
    try:
        yield answer
    finally:
        thread.join(timeout=60)
        assert not thread.is_alive()


@contextmanager
def a_reader() -> Iterator[Any]:
    """Another session that has read the events and keeps its transaction open; leave early with its `rollback()`."""
    session = connection.copy()
    session.set_autocommit(False)
    try:
        with session.cursor() as cursor:
            cursor.execute("SELECT count(*) FROM outbox_workevent")
        yield session
    finally:
        session.rollback()
        session.close()


# Other workers of the test run have databases of their own on the same server.
_HERE = "database = (SELECT oid FROM pg_database WHERE datname = current_database())"


def waits_for_the_table() -> bool:
    """Whether somebody wants the event table, or a partition, for itself and does not get it."""
    return bool(
        rows(
            f"SELECT 1 FROM pg_locks WHERE NOT granted AND mode = 'AccessExclusiveLock' AND {_HERE} "
            "AND relation IN (SELECT oid FROM pg_class WHERE relname LIKE 'outbox_workevent%%')"
        )
    )


def advisory_locks(*, granted: bool) -> list[int]:
    """Keys of the advisory locks that somebody holds or waits for."""
    return [
        key
        for (key,) in rows(
            f"SELECT classid::bigint << 32 | objid::bigint FROM pg_locks WHERE locktype = 'advisory' AND {_HERE} "
            "AND granted = %s",
            granted,
        )
    ]
