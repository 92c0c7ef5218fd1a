"""A pair of embedded servers that belongs to one data directory, held by one process at a time."""

import contextlib
import fcntl
import json
import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Self

from flowledger.embedded import processes
from flowledger.embedded.binaries import reachable_binaries
from flowledger.embedded.errors import AlreadyRunning
from flowledger.embedded.places import (
    THROW_AWAY_PREFIX,
    make_runtime_directory,
    remove_runtime_directory,
    runtime_directory,
    server_account,
    throw_away_base,
)
from flowledger.embedded.postgresql import PostgreSQL
from flowledger.embedded.redis_server import RedisServer
from flowledger.embedded.state import LOCK_NAME, STATE_NAME, read_state

_LOCK_PATIENCE = 2.0
_DYING_OWNER_PATIENCE = 30.0


class EmbeddedServers:
    """PostgreSQL and Redis over one data directory; a context manager.

    `durable=False` trades every guarantee against a power cut for speed. `with_postgres` and `with_redis` leave
    one of them out, for when the environment names a server for it already.

    Start it from a thread that lives as long as the servers shall: they end with it (see `die_with_parent`).
    """

    def __init__(
        self, data_dir: Path, *, durable: bool = True, with_postgres: bool = True, with_redis: bool = True
    ) -> None:
        self.data_dir = data_dir.resolve()
        self.postgres = PostgreSQL(self.data_dir / "postgres", log=self.data_dir / "postgres.log", durable=durable)
        self.redis = RedisServer(self.data_dir / "redis", log=self.data_dir / "redis.log", durable=durable)
        self._with_postgres = with_postgres
        self._with_redis = with_redis
        self._lock: int | None = None

    @property
    def database_url(self) -> str:
        return self.postgres.url

    @property
    def redis_url(self) -> str:
        return self.redis.url

    @property
    def cache_url(self) -> str:
        return self.redis.cache_url

    @property
    def environment(self) -> dict[str, str]:
        """The variables that point the application at these servers."""
        variables = {}
        if self._with_postgres:
            variables["DATABASE_URL"] = self.database_url
        if self._with_redis:
            variables |= {"REDIS_URL": self.redis_url, "CACHE_URL": self.cache_url}
        return variables

    def start(self) -> None:
        """Start both servers on what the data directory holds, or on nothing.

        Raises AlreadyRunning while another process holds the data directory. What a killed process left is waited
        for, ended or removed. Leaves nothing running when it fails.
        """
        self.data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._acquire_lock(patience=_LOCK_PATIENCE)
        try:
            account = server_account(self.postgres.directory)
            runtime = runtime_directory(self.data_dir)
            sockets = make_runtime_directory(runtime, account)
            binaries = reachable_binaries(account, copy_to=runtime / "programs")
            if self._with_postgres:
                self.postgres.place(binaries=binaries, account=account, sockets=sockets)
                self.postgres.start()
            if self._with_redis:
                self.redis.place(binaries=binaries, account=account, sockets=sockets)
                self.redis.start()
            self.publish()
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """Stop both, Redis first, and let go of the data directory."""
        if self._lock is None:
            return
        try:
            self.redis.stop()
            self.postgres.stop()
            (self.data_dir / STATE_NAME).unlink(missing_ok=True)
            remove_runtime_directory(runtime_directory(self.data_dir))
        finally:
            self._release_lock()

    def discard(self, *, patience: float = 0.0) -> None:
        """End what still runs over the data directory and remove it.

        Raises AlreadyRunning when it is still in use after `patience` seconds: an owner that is ending lets go of it
        last of all.
        """
        self._acquire_lock(patience=patience)
        try:
            self.postgres.clear_leftovers()
            self.redis.clear_leftovers()
            remove_runtime_directory(runtime_directory(self.data_dir))
            shutil.rmtree(self.data_dir)
        finally:
            self._release_lock()

    def publish(self, **facts: str) -> None:
        """Write the state file that `discover` reads; `facts` are shown to a second start that is refused."""
        state = {"pid": os.getpid(), "environment": self.environment, "facts": facts}
        unfinished = self.data_dir / f"{STATE_NAME}.unfinished"
        unfinished.write_text(json.dumps(state, indent=2))
        unfinished.chmod(0o600)
        unfinished.replace(self.data_dir / STATE_NAME)

    def dead(self) -> str | None:
        """The name of a server that should run and does not."""
        if self._with_postgres and self.postgres.pid is None:
            return "postgres"
        if self._with_redis and self.redis.pid is None:
            return "redis"
        return None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def _release_lock(self) -> None:
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def _acquire_lock(self, *, patience: float) -> None:
        """Take the data directory, or say who has it.

        The kernel drops the lock of a process that dies, however it dies. Where the recorded owner is dead and the
        lock is not free yet, one of its children is on its way out: that is worth some patience.
        """
        descriptor = os.open(self.data_dir / LOCK_NAME, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        began = time.monotonic()
        while True:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                state = read_state(self.data_dir)
                owner_lives = state is not None and processes.is_alive(state.pid)
                dying = patience > 0 and state is not None and not owner_lives
                if time.monotonic() - began >= (_DYING_OWNER_PATIENCE if dying else patience):
                    os.close(descriptor)
                    where = "".join(f"\n  {name}: {value}" for name, value in state.facts.items()) if state else ""
                    pid = state.pid if state else "unknown"
                    raise AlreadyRunning(
                        f"FlowLedger already runs on {self.data_dir} (process {pid}). Stop it first, or set "
                        f"FLOWLEDGER_DATA_DIR to run another one beside it.{where}"
                    ) from None
                time.sleep(processes.POLL_SECONDS)
            else:
                self._lock = descriptor
                return


@contextlib.contextmanager
def throw_away_servers(*, with_postgres: bool = True, with_redis: bool = True) -> Iterator[EmbeddedServers]:
    """A pair over an empty data directory that is removed afterwards; also removes what killed runs left."""
    base = throw_away_base()
    _sweep(base)
    directory = Path(tempfile.mkdtemp(prefix=f"{THROW_AWAY_PREFIX}-{os.geteuid()}-", dir=base))
    try:
        with EmbeddedServers(directory, durable=False, with_postgres=with_postgres, with_redis=with_redis) as servers:
            yield servers
    finally:
        shutil.rmtree(directory, ignore_errors=True)


def _sweep(base: Path) -> None:
    """Remove throw-away data directories of ours that no process holds any more."""
    for directory in base.glob(f"{THROW_AWAY_PREFIX}-{os.geteuid()}-*"):
        servers = EmbeddedServers(directory, durable=False)
        # No lock file yet: somebody is just making it.
        if directory.stat().st_uid != os.geteuid() or not (directory / LOCK_NAME).exists():
            continue
        with contextlib.suppress(AlreadyRunning, FileNotFoundError):
            servers.discard()
