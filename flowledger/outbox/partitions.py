"""The partitions of the event table: which months there are, and the months that are made ahead (ADR 0018).

What is pending or dead lies in the default partition, `outbox_workevent_open`; what is processed lies in its month's.
An event that is completed in a month without a partition stays in the open one: it is delivered all the same, and moves
when the partition is made, however many months later.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, date, datetime

import structlog
from django.db import OperationalError, connection, transaction
from psycopg.errors import DeadlockDetected, LockNotAvailable

from flowledger.errors import Unavailable
from flowledger.tenancy.scope import system_scope

log = structlog.get_logger(__name__)

_NAME = re.compile(r"outbox_workevent_y(?P<year>\d{4})m(?P<month>\d{2})")

_PARTITIONS = """
SELECT child.relname FROM pg_inherits JOIN pg_class child ON child.oid = inhrelid
 WHERE inhparent = 'outbox_workevent'::regclass
"""
_MONTHS_IN_THE_OPEN_ONE = """
SELECT DISTINCT date_trunc('month', processed_at AT TIME ZONE 'UTC')::date
  FROM outbox_workevent_open WHERE processed_at IS NOT NULL
"""


class PartitionsBusy(Unavailable):
    """The lock that a change of the partitions needs for some milliseconds was not to be had."""

    code = "partitions_busy"


@dataclass(frozen=True, order=True)
class MonthPartition:
    """The events that were processed in one month, by UTC; `month` is its first day."""

    month: date

    @property
    def label(self) -> str:
        """For example y2026m05."""
        return f"y{self.month:%Y}m{self.month:%m}"

    @property
    def table(self) -> str:
        return f"outbox_workevent_{self.label}"

    @property
    def starts_at(self) -> datetime:
        return datetime(self.month.year, self.month.month, 1, tzinfo=UTC)

    @property
    def ends_at(self) -> datetime:
        """The first moment that is no longer in it."""
        return MonthPartition(later(self.month, months=1)).starts_at


@dataclass(frozen=True)
class KeptPartitions:
    """The months that were made, and how many events moved into them from the open partition."""

    made: tuple[MonthPartition, ...]
    moved: int


def month_of(at: datetime) -> date:
    """The first day of the month, by UTC."""
    return at.astimezone(UTC).date().replace(day=1)


def later(month: date, *, months: int) -> date:
    """The first day of the month so many months later; earlier for a negative number."""
    years, index = divmod(month.month - 1 + months, 12)
    return date(month.year + years, index + 1, 1)


def month_partitions() -> list[MonthPartition]:
    """Every month that has a partition, oldest first."""
    with connection.cursor() as cursor:
        cursor.execute(_PARTITIONS)
        names = [_NAME.fullmatch(name) for (name,) in cursor.fetchall()]
    return sorted(MonthPartition(date(int(name["year"]), int(name["month"]), 1)) for name in names if name)


def keep_partitions(*, at: datetime, ahead: int, patience_seconds: float = 30.0) -> KeptPartitions:
    """Make what is missing of this month, the `ahead` next ones, and past ones whose events lie in the open partition.

    Running it twice, or in two processes at once, is harmless. Each month is one transaction: whoever reads sees every
    event exactly once throughout, and a run that is killed leaves the rest to the next. Nobody is held up for longer
    than the database needs to look through the open partition: milliseconds, unless a long outage has filled it. Must
    not be called inside a transaction. Raises PartitionsBusy when other transactions do not let go of the table for
    `patience_seconds`.
    """
    made: list[MonthPartition] = []
    moved = 0
    wanted = [MonthPartition(later(month_of(at), months=number)) for number in range(ahead + 1)]
    # The months that everybody is about to need come before the ones that may take minutes.
    for partition in [*wanted, *(each for each in _misplaced() if each not in wanted)]:
        if partition in month_partitions():
            continue
        events = _make(partition, patience_seconds)
        # None: another process has made it between the look and the lock.
        if events is not None:
            made.append(partition)
            moved += events
            log.info("partition made", partition=partition.table, moved=events)
    return KeptPartitions(made=tuple(made), moved=moved)


def is_busy(error: OperationalError) -> bool:
    """Whether a lock was not to be had in time; worth another try."""
    return isinstance(error.__cause__, LockNotAvailable | DeadlockDetected)


def _misplaced() -> list[MonthPartition]:
    with system_scope("outbox partitions"), connection.cursor() as cursor:
        cursor.execute(_MONTHS_IN_THE_OPEN_ONE)
        return sorted(MonthPartition(month) for (month,) in cursor.fetchall())


def _make(partition: MonthPartition, patience_seconds: float) -> int | None:
    try:
        with transaction.atomic(durable=True), connection.cursor() as cursor:
            # It takes as long as there is to move; it holds others up for the lock's moment only.
            cursor.execute("SET LOCAL statement_timeout = 0")
            cursor.execute(
                "SELECT outbox_add_partition(%s, make_interval(secs => %s))", [partition.month, patience_seconds]
            )
            (moved,) = cursor.fetchone()
    except OperationalError as error:
        if not is_busy(error):
            raise
        raise PartitionsBusy(
            f"The partition {partition.table} could not be made: other transactions hold the event table. "
            "Nothing has changed; the next run tries again.",
            partition=partition.table,
        ) from error
    return None if moved is None else int(moved)
