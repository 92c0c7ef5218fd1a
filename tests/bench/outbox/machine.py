"""The machine under a run: durable servers, a database per system, the peers' environment, and processes."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psycopg

from flowledger.embedded.servers import EmbeddedServers

ROOT = Path(__file__).resolve().parents[3]
PEERS = ROOT / ".bench-peers"
PEERS_LOCK = ROOT / "tests" / "bench" / "peers.lock"
PATIENCE_SECONDS = 300.0
# FlowLedger's broker and cache have 0 and 1.
PEERS_REDIS_DATABASE = 5


class BenchFailed(SystemExit):
    """The run cannot go on; ends the program with what happened."""


class Machine:
    """Servers that are really durable, and what all the measurements need of them."""

    def __init__(self, servers: EmbeddedServers, directory: Path) -> None:
        self.servers = servers
        self.directory = directory
        self.admin = psycopg.connect(servers.postgres.superuser_url, autocommit=True)
        settings = self.admin.execute(
            "SELECT name, setting FROM pg_settings WHERE name IN ('fsync', 'synchronous_commit', 'full_page_writes')"
        ).fetchall()
        if any(value != "on" for _, value in settings):
            raise BenchFailed(f"The servers are not durable: {settings}")

    def make_database(self, name: str) -> str:
        """An empty database of the application's role; answers its address."""
        self.admin.execute(f"CREATE DATABASE {name} OWNER flowledger")
        return self.url_of(self.servers.database_url, name)

    def connect(self, database_url: str) -> psycopg.Connection[Any]:
        """A superuser's connection to a database: past row-level security and triggers, for setting up and reading."""
        name = urlsplit(database_url).path.lstrip("/")
        return psycopg.connect(self.url_of(self.servers.postgres.superuser_url, name), autocommit=True)

    @staticmethod
    def url_of(database_url: str, name: str) -> str:
        return urlsplit(database_url)._replace(path=f"/{name}").geturl()

    def settle(self, database_url: str) -> None:
        """Begin every round from the same state: vacuumed, analysed, checkpointed, whatever ran before."""
        with self.connect(database_url) as connection:
            connection.execute("VACUUM (ANALYZE)")
        self.admin.execute("CHECKPOINT")

    def wal_position(self) -> int:
        (position,) = self.admin.execute("SELECT pg_wal_lsn_diff(pg_current_wal_insert_lsn(), '0/0')").fetchone() or (
            0,
        )
        return int(position)

    def spawn(
        self,
        command: Sequence[str],
        *,
        environment: Mapping[str, str] | None = None,
        log: str = "processes",
        talks: bool = False,
    ) -> subprocess.Popen[str]:
        """A process in a group of its own; what it says on stderr goes to `<log>.log`.

        With `talks` its input and output are pipes.
        """
        with (self.directory / f"{log}.log").open("ab") as output:
            return subprocess.Popen(
                list(command),
                cwd=ROOT,
                env={**os.environ, **(environment or {})},
                stdin=subprocess.PIPE if talks else subprocess.DEVNULL,
                stdout=subprocess.PIPE if talks else output,
                stderr=output,
                text=True,
                start_new_session=True,
            )

    def last_lines(self, log: str) -> str:
        return "\n".join((self.directory / f"{log}.log").read_text(errors="replace").splitlines()[-15:])


@contextlib.contextmanager
def running_machine() -> Iterator[Machine]:
    """Durable servers over a new directory, removed afterwards; the environment points at them."""
    directory = Path(tempfile.mkdtemp(prefix="flowledger-bench-"))
    try:
        with EmbeddedServers(directory / "data", durable=True) as servers:
            os.environ.update(servers.environment)
            yield Machine(servers, directory)
    finally:
        shutil.rmtree(directory, ignore_errors=True)


def peers_python() -> str:
    """The interpreter of the peers' environment; made from the lock file when it is not there or another."""
    python, installed = PEERS / "bin" / "python", PEERS / "installed.lock"
    if not installed.exists() or installed.read_bytes() != PEERS_LOCK.read_bytes():
        print(f"Installing what is measured beside FlowLedger into {PEERS.name}.", flush=True)
        subprocess.run([sys.executable, "-m", "venv", "--clear", str(PEERS)], check=True)
        pip = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        subprocess.run([*pip, "--require-hashes", "-r", str(PEERS_LOCK)], check=True)
        shutil.copyfile(PEERS_LOCK, installed)
    return str(python)


class Crew:
    """Processes that get ready, wait for a word, work, and end: their start-up is not measured."""

    def __init__(self, processes: list[subprocess.Popen[str]], *, failure: Callable[[], str]) -> None:
        self.processes = processes
        self._failure = failure

    def wait_until_ready(self) -> None:
        for process in self.processes:
            assert process.stdout is not None
            if process.stdout.readline().strip() != "ready":
                raise BenchFailed(f"A process did not get ready:\n{self._failure()}")

    def go(self) -> None:
        for process in self.processes:
            assert process.stdin is not None
            process.stdin.write("go\n")
            process.stdin.flush()

    def wait(self) -> None:
        """Until all have ended by themselves."""
        for process in self.processes:
            if process.wait(timeout=PATIENCE_SECONDS) != 0:
                raise BenchFailed(f"A process failed:\n{self._failure()}")

    def __enter__(self) -> Crew:
        return self

    def __exit__(self, *_: object) -> None:
        for process in self.processes:
            end(process)


def end(process: subprocess.Popen[str], *, gently: signal.Signals = signal.SIGTERM) -> None:
    """End a process and its group; what does not end by itself is killed."""
    if process.poll() is None:
        process.send_signal(gently)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(timeout=20)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    for pipe in (process.stdin, process.stdout):
        if pipe is not None:
            with contextlib.suppress(OSError):
                pipe.close()


def wait_for(what: str, condition: Callable[[], Any], *, seconds: float = PATIENCE_SECONDS, pause: float = 0.02) -> Any:
    """The first true answer; ends the run when there is none in time."""
    until = time.monotonic() + seconds
    while not (answer := condition()):
        if time.monotonic() > until:
            raise BenchFailed(f"Waited {seconds:.0f} s in vain: {what}")
        time.sleep(pause)
    return answer
