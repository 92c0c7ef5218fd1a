"""What every system is measured by: one configuration, one round at a time, always in the same steps."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Literal

from tests.bench.outbox.machine import Machine

Work = Literal["noop", "handler"]


@dataclass(frozen=True)
class Round:
    """A backlog from its first start to its last end."""

    events: int
    seconds: float
    wal_bytes: int

    @property
    def per_second(self) -> float:
        return self.events / self.seconds


class Contender(ABC):
    """One system in one configuration.

    A round: the backlog is written while nobody works, the database is vacuumed and checkpointed, the workers get
    ready, and only then may they begin. The time runs from the first start to the last end that the system itself
    has noted, so neither the start of processes nor the end of their connections counts for any of them.
    """

    system: str
    config: str
    database_url: str

    def __init__(self, machine: Machine, *, work: Work, procs: int, events: int) -> None:
        self.machine = machine
        self.work = work
        self.procs = procs
        self.events = events

    @property
    def label(self) -> str:
        return f"{self.system} {self.config} {self.work} procs={self.procs}"

    def run(self) -> Round:
        self.fill()
        self.machine.settle(self.database_url)
        with self.workers():
            before = self.machine.wal_position()
            self.begin()
            self.wait()
            wal = self.machine.wal_position() - before
        done, seconds = self.timing()
        if done != self.events:
            raise SystemExit(f"{self.label}: {done:,} of {self.events:,} events were handled.")
        return Round(events=done, seconds=seconds, wal_bytes=wal)

    @abstractmethod
    def fill(self) -> None:
        """Empty what the last round left and write the backlog."""

    @contextmanager
    @abstractmethod
    def workers(self) -> Iterator[None]:
        """Workers that are ready and do nothing yet."""

    @abstractmethod
    def begin(self) -> None:
        """Let them work."""

    @abstractmethod
    def wait(self) -> None:
        """Until the backlog is done."""

    @abstractmethod
    def timing(self) -> tuple[int, float]:
        """How many events were done, and the seconds from the first start to the last end."""
