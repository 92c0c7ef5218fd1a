"""The other queues and the raw loop, each in its own database of the same server."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit

import redis

from tests.bench.outbox.contenders import Contender, Work
from tests.bench.outbox.machine import PEERS_REDIS_DATABASE, Crew, Machine, end, wait_for
from tests.bench.outbox.peers import load, raw
from tests.bench.outbox.peers.signs import READY, TALLIES, read_tallies

PEER = "tests.bench.outbox.peers"


class _FromDatabase(Contender):
    """Workers that wait for a word and end with the backlog; the times stand in the system's own tables."""

    module: str
    arguments: tuple[str, ...] = ()
    log: str
    times: str

    def __init__(self, machine: Machine, python: str, url: str, *, work: Work, procs: int, events: int) -> None:
        super().__init__(machine, work=work, procs=procs, events=events)
        self.database_url = url
        self.python = python

    def command(self, *words: str) -> list[str]:
        return [self.python, "-m", f"{PEER}.{self.module}", self.database_url, *words]

    def call(self, *words: str) -> None:
        process = self.machine.spawn(self.command(*words), log=self.log)
        if process.wait() != 0:
            raise SystemExit(f"{self.label}: {' '.join(words)} failed.\n{self.machine.last_lines(self.log)}")

    @contextmanager
    def workers(self) -> Iterator[None]:
        processes = [
            self.machine.spawn(self.command(*self.arguments), log=self.log, talks=True) for _ in range(self.procs)
        ]
        with Crew(processes, failure=lambda: self.machine.last_lines(self.log)) as self.crew:
            self.crew.wait_until_ready()
            yield

    def begin(self) -> None:
        self.crew.go()

    def wait(self) -> None:
        self.crew.wait()

    def timing(self) -> tuple[int, float]:
        with self.machine.connect(self.database_url) as connection:
            row = connection.execute(self.times).fetchone()
        assert row is not None
        return int(row[0]), float(row[1] or 0)


class Raw(_FromDatabase):
    """The limit: from the first claim's transaction to the last completion's."""

    system = "raw"
    config = "batch 100"
    module = "raw"
    log = "raw"
    times = """SELECT count(*), extract(epoch FROM max(processed_at) - min(claimed_at))
                 FROM raw_event WHERE processed_at IS NOT NULL"""

    def fill(self) -> None:
        with self.machine.connect(self.database_url) as connection:
            connection.execute("TRUNCATE raw_event")
            connection.execute(
                """INSERT INTO raw_event (org_id, kind, aggregate_key, payload)
                   SELECT 1 + n %% %(orgs)s, 'noop', 'parcel:' || n, jsonb_build_object(
                       'item_id', n, 'stage', 'red', 'value', '125000.00', 'title', %(title)s::text)
                     FROM generate_series(1, %(events)s) n""",
                {"orgs": load.ORGANISATIONS, "events": self.events, "title": load.TITLE},
            )


class PgQueuer(_FromDatabase):
    """Its drain mode on asyncpg and uvloop: from the first `picked` to the last `successful` of its log table."""

    system = "pgqueuer"
    module = "pgqueuer_peer"
    log = "pgqueuer"
    times = """SELECT count(*) FILTER (WHERE status = 'successful'),
                      extract(epoch FROM max(created) FILTER (WHERE status = 'successful')
                                       - min(created) FILTER (WHERE status = 'picked'))
                 FROM pgqueuer_log"""

    def __init__(self, machine: Machine, python: str, url: str, *, procs: int, events: int, batch: int) -> None:
        super().__init__(machine, python, url, work="noop", procs=procs, events=events)
        self.config = f"batch {batch}"
        self.arguments = ("drain", str(batch))

    def fill(self) -> None:
        with self.machine.connect(self.database_url) as connection:
            connection.execute("TRUNCATE pgqueuer, pgqueuer_log, pgqueuer_statistics")
        self.call("fill", str(self.events))
        with self.machine.connect(self.database_url) as connection:
            # The log of the enqueueing is no part of the drain.
            connection.execute("TRUNCATE pgqueuer_log")


class Procrastinate(_FromDatabase):
    """Its own worker without waiting for more: from the first `started` to the last `succeeded` of its events."""

    system = "procrastinate"
    module = "procrastinate_peer"
    log = "procrastinate"
    times = """SELECT count(*) FILTER (WHERE type = 'succeeded'),
                      extract(epoch FROM max(at) FILTER (WHERE type = 'succeeded')
                                       - min(at) FILTER (WHERE type = 'started'))
                 FROM procrastinate_events"""

    def __init__(
        self, machine: Machine, python: str, url: str, *, work: Work, procs: int, events: int, concurrency: int
    ) -> None:
        super().__init__(machine, python, url, work=work, procs=procs, events=events)
        self.config = f"concurrency {concurrency}"
        self.arguments = ("drain", str(concurrency))

    def fill(self) -> None:
        with self.machine.connect(self.database_url) as connection:
            connection.execute("TRUNCATE procrastinate_jobs, procrastinate_events, procrastinate_periodic_defers")
            connection.execute(load.EMPTY.format(accounts=self.events))
        self.call("fill", "work" if self.work == "handler" else "noop", str(self.events))


class CeleryRedis(Contender):
    """One task per event through Redis, timed by the workers' own clock in shared memory.

    The tasks are sent once and kept in Redis under another name; a round copies them to the queue when the workers
    are ready.
    """

    system = "celery"

    def __init__(
        self, machine: Machine, python: str, url: str, *, work: Work, procs: int, events: int, pool: str
    ) -> None:
        super().__init__(machine, work=work, procs=procs, events=events)
        self.database_url = url
        self.config = f"{procs} solo workers" if pool == "solo" else f"prefork {procs}"
        self.pool = pool
        self.python = python
        self.tallies = machine.directory / "tallies"
        self.environment = celery_environment(machine, url) | {TALLIES: str(self.tallies)}
        self.redis = redis.Redis(
            unix_socket_path=urlsplit(machine.servers.cache_url).path, db=PEERS_REDIS_DATABASE, socket_timeout=60
        )

    @property
    def _kept(self) -> str:
        return f"kept:{self.work}:{self.events}"

    def fill(self) -> None:
        shutil.rmtree(self.tallies, ignore_errors=True)
        self.tallies.mkdir()
        self.redis.delete("bench", "unacked", "unacked_index")
        with self.machine.connect(self.database_url) as connection:
            connection.execute(load.EMPTY.format(accounts=self.events))
        if not self.redis.exists(self._kept):
            words = ["-m", f"{PEER}.celery_peer", "fill", "work" if self.work == "handler" else "noop"]
            process = self.machine.spawn(
                [self.python, *words, str(self.events)], environment=self.environment, log="celery"
            )
            if process.wait() != 0:
                raise SystemExit(f"{self.label}: sending failed.\n{self.machine.last_lines('celery')}")
            self.redis.rename("bench", self._kept)

    @contextmanager
    def workers(self) -> Iterator[None]:
        count, concurrency = (self.procs, 1) if self.pool == "solo" else (1, self.procs)
        ready = [self.machine.directory / f"celery-ready-{number}" for number in range(count)]
        processes = []
        try:
            for number, path in enumerate(ready):
                path.unlink(missing_ok=True)
                processes.append(
                    self.machine.spawn(
                        celery_command(self.python, self.pool, concurrency, number),
                        environment=self.environment | {READY: str(path)},
                        log="celery",
                    )
                )
            wait_for("Celery's workers to start", lambda: all(path.exists() for path in ready), seconds=60)
            yield
        finally:
            for process in processes:
                end(process)

    def begin(self) -> None:
        # Blocked consumers are woken by a list that appears, however it does.
        self.redis.copy(self._kept, "bench:copy", replace=True)
        self.redis.rename("bench:copy", "bench")

    def wait(self) -> None:
        wait_for(
            f"{self.label} to finish", lambda: read_tallies(self.tallies)[0] >= self.events, seconds=600, pause=0.05
        )

    def timing(self) -> tuple[int, float]:
        return read_tallies(self.tallies)


def celery_environment(machine: Machine, database_url: str) -> dict[str, str]:
    """The variables of every Celery process of the peers."""
    broker = machine.servers.redis_url.replace("virtual_host=0", f"virtual_host={PEERS_REDIS_DATABASE}")
    return {
        "BENCH_BROKER_URL": broker,
        "BENCH_DATABASE_URL": database_url,
        "DJANGO_SETTINGS_MODULE": f"{PEER}.settings",
    }


def celery_command(python: str, pool: str, concurrency: int, number: int) -> list[str]:
    options = f"--pool={pool} --concurrency={concurrency} --hostname=bench{number}@%h --loglevel=WARNING"
    quiet = "--without-gossip --without-mingle --without-heartbeat"
    return [python, "-m", "celery", "-A", f"{PEER}.celery_peer", "worker", *options.split(), *quiet.split()]


def prepare(machine: Machine, python: str) -> dict[str, str]:
    """A database with its tables for every system; answers their addresses."""
    urls = {name: machine.make_database(f"bench_{name}") for name in ("raw", "pgqueuer", "procrastinate", "celery")}
    for name, url in urls.items():
        # As the application's role, so that the tables are its own.
        with machine.connect(url) as connection:
            connection.execute("SET ROLE flowledger")
            if name == "raw":
                connection.execute(raw.TABLE)
            if name in {"procrastinate", "celery"}:
                connection.execute(load.TABLES)
    PgQueuer(machine, python, urls["pgqueuer"], procs=1, events=0, batch=1).call("install")
    Procrastinate(machine, python, urls["procrastinate"], work="noop", procs=1, events=0, concurrency=1).call("install")
    return urls
