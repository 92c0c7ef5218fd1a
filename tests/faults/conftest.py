"""Real workers in processes of their own, against the test database."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from django.db import connection

from flowledger.outbox.events import declarations_end_here
from flowledger.outbox.models import WorkEvent
from flowledger.outbox.recording import record_event
from flowledger.tenancy.actors import Actor
from flowledger.tenancy.models import Organization
from flowledger.tenancy.scope import org_scope, system_scope
from tests.faults.parcels import ParcelWeighed, declare_event

ROOT = Path(__file__).resolve().parents[2]
PATIENCE_SECONDS = 60.0
COMMAND = (
    *("-m", "celery", "-A", "tests.faults.worker", "worker"),
    *("--queues=outbox", "--concurrency=2", "--without-gossip", "--without-mingle", "--loglevel=INFO"),
)


def wait_for(what: str, condition: Callable[[], Any], *, seconds: float = PATIENCE_SECONDS) -> Any:
    """The first true answer of the condition; fails the test when there is none in time."""
    until = time.monotonic() + seconds
    while not (answer := condition()):
        if time.monotonic() > until:
            pytest.fail(f"Waited {seconds:.0f} s in vain: {what}")
        time.sleep(0.02)
    return answer


class Worker:
    """One Celery worker with two processes, in a process group of its own."""

    def __init__(self, log: Path, arguments: tuple[str, ...], environment: dict[str, str]) -> None:
        self.log = log
        with log.open("ab") as output:
            self.process = subprocess.Popen(
                [sys.executable, *COMMAND, *arguments],
                cwd=ROOT,
                env={**os.environ, **environment},
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def kill(self) -> None:
        """SIGKILL for the main process and its children at once."""
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait(timeout=10)

    def terminate(self) -> int:
        """SIGTERM for the main process, as a platform sends it; answers the exit status."""
        self.process.terminate()
        return self.process.wait(timeout=PATIENCE_SECONDS)

    def terminate_all(self) -> None:
        """SIGTERM for the main process and its children at once, as a terminal or a process manager sends it."""
        os.killpg(self.process.pid, signal.SIGTERM)
        self.process.wait(timeout=PATIENCE_SECONDS)


@pytest.fixture
def start_worker(transactional_db: None, tmp_path: Path) -> Iterator[Callable[..., Worker]]:
    """Start workers with short leases and a beat; whatever still runs at the end is killed."""
    workers: list[Worker] = []
    database = urlsplit(os.environ["DATABASE_URL"])._replace(path=f"/{connection.settings_dict['NAME']}").geturl()

    def start(*arguments: str, **environment: str) -> Worker:
        settings = {
            "DATABASE_URL": database,
            "OUTBOX_LEASE_SECONDS": "2",
            "OUTBOX_RENEW_SECONDS": "1",
            "OUTBOX_BATCH_SIZE": "25",
            "OUTBOX_TICK_SECONDS": "0.2",
            "LOG_JSON": "true",
        }
        workers.append(Worker(tmp_path / "worker.log", arguments or ("--beat",), settings | environment))
        return workers[-1]

    yield start
    for worker in workers:
        if worker.process.poll() is None:
            worker.kill()


@pytest.fixture
def effects(transactional_db: None) -> Iterator[Callable[[], dict[tuple[int, str], int]]]:
    """How often each handler's effect of each event is in the database."""
    with connection.cursor() as cursor:
        cursor.execute("CREATE TABLE fault_effect (event_id bigint, handler text)")

    def count() -> dict[tuple[int, str], int]:
        with connection.cursor() as cursor:
            cursor.execute("SELECT event_id, handler, count(*) FROM fault_effect GROUP BY 1, 2")
            return {(event_id, handler): number for event_id, handler, number in cursor.fetchall()}

    yield count
    with connection.cursor() as cursor:
        cursor.execute("DROP TABLE fault_effect")


@pytest.fixture
def weigh(transactional_db: None) -> Iterator[Callable[[int], list[int]]]:
    """Record that so many parcels were weighed, in one committed transaction each; answers the events' keys."""
    with system_scope("tests"):
        org = Organization.objects.create(name="Weighers")

    def record(number: int) -> list[int]:
        for parcel in range(number):
            with org_scope(org):
                record_event(
                    org=org,
                    event=ParcelWeighed(parcel % 7),
                    actor=Actor.system("tests"),
                    at=org.created_at,
                )
        with system_scope("tests"):
            return list(WorkEvent.all_orgs.order_by("pk").values_list("pk", flat=True))[-number:]

    with declarations_end_here():
        declare_event()
        yield record


def all_processed() -> bool:
    """Whether no event is waiting any more."""
    with system_scope("tests"):
        return not WorkEvent.all_orgs.filter(processed_at=None, dead_letter_at=None).exists()
