"""Celery workers and beats in processes of their own, and the signals that befall them."""

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from django.conf import settings
from django.db import connection

ROOT = Path(__file__).resolve().parents[2]
# So long that only a test that would never end runs into it, on a crowded machine too.
PATIENCE_SECONDS = 120.0
LEASE_SECONDS = 2
BATCH_SIZE = 25
# For runs in which no lease should run out, however long a crowded machine keeps a process waiting.
PATIENT = {"OUTBOX_LEASE_SECONDS": "120"}
APPLICATION = ("-m", "celery", "-A", "tests.faults.worker")

Count = Callable[..., None]


def wait_for(what: str, condition: Callable[[], Any], *, seconds: float = PATIENCE_SECONDS) -> Any:
    """The first true answer of the condition; fails the test when there is none in time."""
    until = time.monotonic() + seconds
    while not (answer := condition()):
        if time.monotonic() > until:
            pytest.fail(f"Waited {seconds:.0f} s in vain: {what}")
        time.sleep(0.02)
    return answer


@dataclass(frozen=True)
class Place:
    """The servers that a run happens on."""

    database_url: str
    redis_url: str
    cache_url: str

    @classmethod
    def of_this_run(cls) -> "Place":
        """The servers of the whole test run, and the test database of this process."""
        database = urlsplit(os.environ["DATABASE_URL"])._replace(path=f"/{connection.settings_dict['NAME']}").geturl()
        return cls(database_url=database, redis_url=settings.REDIS_URL, cache_url=settings.CACHE_URL)

    @property
    def environment(self) -> dict[str, str]:
        return {"DATABASE_URL": self.database_url, "REDIS_URL": self.redis_url, "CACHE_URL": self.cache_url}


class CeleryProcess:
    """A Celery command in a process group of its own, with its output in a file."""

    def __init__(self, log: Path, arguments: tuple[str, ...], environment: dict[str, str], count: Count) -> None:
        self.log = log
        self._count = count
        with log.open("ab") as output:
            self.process = subprocess.Popen(
                [sys.executable, *APPLICATION, *arguments],
                cwd=ROOT,
                env={**os.environ, **environment},
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def kill_main(self) -> None:
        """SIGKILL for the main process alone; its children are left behind."""
        self._count("kill", batches=0)
        self.process.kill()
        self.process.wait(timeout=PATIENCE_SECONDS)

    def terminate(self) -> int:
        """SIGTERM for the main process, as a platform sends it; answers the exit status."""
        self._count("term", batches=2)
        self.process.terminate()
        return self.process.wait(timeout=PATIENCE_SECONDS)

    def clear_away(self) -> None:
        """End whatever is left of it; uncounted, for the end of a test."""
        with suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait(timeout=PATIENCE_SECONDS)


class Worker(CeleryProcess):
    """One Celery worker with a pool of processes."""

    def __init__(
        self, log: Path, arguments: tuple[str, ...], environment: dict[str, str], count: Count, marks: Path
    ) -> None:
        self._marks = marks
        super().__init__(log, ("worker", *arguments), environment, count)

    def children(self) -> list[int]:
        """The live processes of the pool, orphaned ones too; not an embedded beat."""
        marks = self._marks.glob(f"pool-{self.process.pid}-*")
        return sorted(pid for mark in marks if _alive(pid := int(mark.name.rpartition("-")[2])))

    def kill_main(self) -> None:
        """SIGKILL for the main process alone; its children are left behind, with their batches in hand."""
        self._count("orphan", len(self.children()))
        super().kill_main()

    def wait_until_up(self, processes: int = 2) -> None:
        wait_for("the worker's processes", lambda: len(self.children()) >= processes)

    def kill(self) -> None:
        """SIGKILL for the main process and its children at once."""
        children = self.children()
        self._count("kill", len(children), batches=len(children))
        self._count("kill", batches=0)
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait(timeout=PATIENCE_SECONDS)
        wait_for("the end of the children", lambda: not self.children())

    def kill_child(self, rng: random.Random) -> int | None:
        """SIGKILL for one process of the pool; answers which, None when there was none just then."""
        children = self.children()
        if not children:
            return None
        victim = rng.choice(children)
        try:
            os.kill(victim, signal.SIGKILL)
        except ProcessLookupError:
            return None
        self._count("kill")
        return victim

    def terminate_all(self) -> None:
        """SIGTERM for the main process and its children at once, as a terminal or a process manager sends it."""
        self._count("term", batches=2)
        os.killpg(self.process.pid, signal.SIGTERM)
        self.process.wait(timeout=PATIENCE_SECONDS)

    @contextmanager
    def frozen(self, pid: int) -> Iterator[None]:
        """A process that stands still inside, as on a machine that was suspended."""
        self._count("stop")
        os.kill(pid, signal.SIGSTOP)
        try:
            yield
        finally:
            os.kill(pid, signal.SIGCONT)


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
        # A process that nobody has waited for yet answers signals and does nothing any more.
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (ProcessLookupError, FileNotFoundError):
        return False
    return state not in "ZX"


class Fleet:
    """Starts workers and beats on one set of servers, with short leases; what still runs is ended with it."""

    def __init__(self, place: Place, directory: Path, count: Count) -> None:
        self.place = place
        self.directory = directory
        self._count = count
        self.started: list[CeleryProcess] = []

    def _environment(self, changes: dict[str, str]) -> dict[str, str]:
        return {
            **self.place.environment,
            "OUTBOX_LEASE_SECONDS": str(LEASE_SECONDS),
            "OUTBOX_RENEW_SECONDS": "1",
            "OUTBOX_BATCH_SIZE": str(BATCH_SIZE),
            "OUTBOX_TICK_SECONDS": "0.2",
            "LOG_JSON": "true",
            "FAULT_DIRECTORY": str(self.directory),
            **changes,
        }

    def _log(self) -> Path:
        return self.directory / f"process-{len(self.started) + 1}.log"

    def worker(self, *arguments: str, processes: int = 2, **environment: str) -> Worker:
        """Start a worker; with a beat inside unless arguments are given."""
        options = (
            *("--queues=outbox", f"--concurrency={processes}", "--without-gossip", "--without-mingle"),
            *("--loglevel=INFO", f"--hostname=fault{len(self.started) + 1}@%h"),
        )
        worker = Worker(
            self._log(),
            (*options, *(arguments or ("--beat",))),
            self._environment(environment),
            self._count,
            self.directory,
        )
        self.started.append(worker)
        return worker

    def beat(self, **environment: str) -> CeleryProcess:
        """Start a beat of its own."""
        beat = CeleryProcess(
            self._log(),
            ("beat", "--scheduler", "celery.beat:Scheduler", "--loglevel=INFO"),
            self._environment(environment),
            self._count,
        )
        self.started.append(beat)
        return beat

    def end(self) -> None:
        """End what still runs, and say what it complained of; pytest shows that when the test failed."""
        for process in self.started:
            process.clear_away()
            lines = process.log.read_text(errors="replace").splitlines()
            telling = [line for line in lines if '"level": "info"' not in line and "INFO" not in line]
            print(f"--- {process.log} ({len(lines)} lines), what was no mere information:")  # noqa: T201
            print("\n".join(line[:600] for line in telling[-25:]))  # noqa: T201
