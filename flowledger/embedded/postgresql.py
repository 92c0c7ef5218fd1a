"""An embedded PostgreSQL: one cluster, reached through one Unix socket by the user who started it.

Nobody needs a password: `peer` authentication takes the word of the kernel about who is at the other end of the
socket, and only the user who started the server may be any database role. There is no TCP listener.

The server is given its data directory as its working directory and told that it is `/proc/self/cwd`: so it never
walks the path to it, which may lead through directories that its account cannot enter.
"""

import os
import pwd
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Literal

import psycopg
from psycopg import sql

from flowledger.embedded import processes
from flowledger.embedded.binaries import Binaries
from flowledger.embedded.errors import EmbeddedServerError
from flowledger.embedded.places import Account

StopMode = Literal["smart", "fast", "immediate", "kill"]

SUPERUSER = "postgres"
ROLE = "flowledger"
DATABASE = "flowledger"
PORT = 5432  # names the socket; nothing listens on the network

_STOP_SIGNALS: dict[StopMode, signal.Signals] = {
    "smart": signal.SIGTERM,
    "fast": signal.SIGINT,
    "immediate": signal.SIGQUIT,
    "kill": signal.SIGKILL,
}
_HERE = "/proc/self/cwd"
_START_SECONDS = 120.0
_STOP_SECONDS = 30.0
_SMALL_SHARED_MEMORY = 512 * 1024**2

_SETTINGS = {
    "listen_addresses": "",
    "port": str(PORT),
    "unix_socket_permissions": "0777",  # the directory around it is 0700
    "max_connections": "200",
    "shared_buffers": "256MB",
    "work_mem": "16MB",
    "maintenance_work_mem": "128MB",
    "effective_cache_size": "1GB",
    "random_page_cost": "1.1",
    "max_wal_size": "2GB",
    "jit": "off",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "log_line_prefix": "%m [%p] %q%u@%d ",
}
# With these a crash of the machine, though not of the server, ruins the cluster: fit for data nobody wants back.
_THROW_AWAY_SETTINGS = {
    "fsync": "off",
    "full_page_writes": "off",
    "wal_level": "minimal",
    "max_wal_senders": "0",
    "shared_buffers": "128MB",
    "autovacuum_naptime": "10min",
}


class PostgreSQL:
    """The cluster in `directory` and, while it is started, its server process."""

    def __init__(self, directory: Path, *, log: Path, durable: bool) -> None:
        self.directory = directory
        self.log = log
        self.durable = durable
        self._process: subprocess.Popen[bytes] | None = None
        self._binaries: Binaries | None = None
        self._account: Account | None = None
        self._sockets: Path | None = None

    def place(self, *, binaries: Binaries, account: Account, sockets: Path) -> None:
        """Say which programs to run, as whom, and where the socket goes. Precedes the first start."""
        self._binaries, self._account, self._sockets = binaries, account, sockets

    @property
    def url(self) -> str:
        return f"postgres://{ROLE}@/{DATABASE}?host={self._placed()[2]}"

    @property
    def superuser_url(self) -> str:
        """For what only a superuser may do: the application never gets this one."""
        return f"postgres://{SUPERUSER}@/{DATABASE}?host={self._placed()[2]}"

    @property
    def pid(self) -> int | None:
        return self._process.pid if self._process is not None and self._process.poll() is None else None

    def start(self) -> None:
        """Make the cluster if there is none, start its server, and wait until it takes connections.

        Does nothing when it runs. A server that outlived its parent is ended first.
        """
        if self.pid is not None:
            return
        _, account, sockets = self._placed()
        if not (self.directory / "PG_VERSION").exists():
            self._initialise()
        self._refuse_other_version()
        self.clear_leftovers()
        self._write_access_rules(account)
        for attempt in range(20):
            position = self.log.stat().st_size if self.log.exists() else 0
            if self._launch(sockets):
                break
            output = processes.last_lines(self.log)
            if "pre-existing shared memory block" not in self._output_since(position) or attempt == 19:
                raise EmbeddedServerError(f"PostgreSQL did not start; the end of {self.log}:\n{output}")
            time.sleep(0.25)  # the last one's backends are still on their way out
        self._ensure_roles_and_database()

    def stop(self, mode: StopMode = "fast") -> None:
        """Stop the server and wait for its end. `immediate` and `kill` are crashes: the next start recovers."""
        if self._process is None:
            return
        if self._process.poll() is None:
            self._process.send_signal(_STOP_SIGNALS[mode])
            try:
                self._process.wait(_STOP_SECONDS)
            except subprocess.TimeoutExpired:
                self._process.send_signal(signal.SIGQUIT)
                self._process.wait(_STOP_SECONDS)
        self._process = None

    def _placed(self) -> tuple[Binaries, Account, Path]:
        if self._binaries is None or self._account is None or self._sockets is None:
            raise EmbeddedServerError("This server has not been started.")
        return self._binaries, self._account, self._sockets

    def _initialise(self) -> None:
        """Make the cluster aside and move it into place whole: a killed initdb leaves nothing to start from."""
        binaries, account, _ = self._placed()
        unfinished = self.directory.with_name(self.directory.name + ".unfinished")
        if unfinished.exists():
            shutil.rmtree(unfinished)
        unfinished.mkdir(mode=0o700)
        if account.uid != os.geteuid():
            os.chown(unfinished, account.uid, account.gid)
        command = [
            binaries.initdb,
            f"--pgdata={self._path_for_server(unfinished)}",
            f"--username={SUPERUSER}",
            "--auth=peer",
            "--encoding=UTF8",
            "--locale-provider=builtin",
            "--locale=C.UTF-8",
            "--no-instructions",
        ]
        if not self.durable:
            command.append("--no-sync")
        with tempfile.TemporaryFile() as output:
            process = processes.spawn(
                command,
                directory=unfinished,
                account=account,
                output=output,
                on_parent_death=signal.SIGTERM,
                # initdb asks for the locale it was given even where only the C library's own exists.
                environment=processes.server_environment(),
            )
            if process.wait() != 0:
                output.seek(0)
                raise EmbeddedServerError(f"initdb failed:\n{output.read().decode(errors='replace')}")
        if self.directory.exists():
            shutil.rmtree(self.directory)
        unfinished.rename(self.directory)

    def _refuse_other_version(self) -> None:
        binaries, _, _ = self._placed()
        found = (self.directory / "PG_VERSION").read_text().strip()
        answer = subprocess.run([binaries.postgres, "--version"], capture_output=True, text=True, check=True, cwd="/")
        wanted = answer.stdout.split()[2].split(".")[0]
        if found != wanted:
            raise EmbeddedServerError(
                f"{self.directory} was made by PostgreSQL {found}; the programs here are PostgreSQL {wanted}. "
                "Restore a backup into a new data directory, or remove this one if its data is worthless."
            )

    def clear_leftovers(self) -> None:
        """End the server of a killed parent, and drop the pid file of one that did not end by itself.

        PostgreSQL trusts a pid file whose id some other process has by now, and then refuses to start. We hold the
        lock of the data directory and have looked at the process, so we know better.
        """
        pid_file = self.directory / "postmaster.pid"
        try:
            pid = int(pid_file.read_text().split("\n", 1)[0])
        except (FileNotFoundError, ValueError):
            pid_file.unlink(missing_ok=True)
            return
        processes.end_orphan(pid, directory=self.directory, gently=signal.SIGINT)
        pid_file.unlink(missing_ok=True)

    def _write_access_rules(self, account: Account) -> None:
        """Let the user who starts the server, and nobody else, be any database role."""
        us = pwd.getpwuid(os.geteuid()).pw_name
        rules = {
            "pg_hba.conf": "local all all peer map=owner\n",
            "pg_ident.conf": f'owner "{us}" all\n',
        }
        for name, text in rules.items():
            path = self.directory / name
            path.write_text(text)
            path.chmod(0o600)
            if account.uid != os.geteuid():
                os.chown(path, account.uid, account.gid)

    def _launch(self, sockets: Path) -> bool:
        """Start the process; True once it is ready, False when it ended instead."""
        binaries, account, _ = self._placed()
        settings = {**_SETTINGS, "unix_socket_directories": str(sockets)}
        if not self.durable:
            settings |= _THROW_AWAY_SETTINGS
        if not _has_roomy_shared_memory():
            settings["dynamic_shared_memory_type"] = "mmap"
        command = [binaries.postgres, "-D", self._path_for_server(self.directory)]
        for name, value in settings.items():
            command += ["-c", f"{name}={value}"]
        with processes.open_log(self.log) as output:
            self._process = processes.spawn(
                command,
                directory=self.directory,
                account=account,
                output=output,
                on_parent_death=signal.SIGINT,
            )
        ended = self._process.poll
        if not processes.wait_until(lambda: ended() is not None or self._is_ready(), seconds=_START_SECONDS):
            self.stop("immediate")
            return False
        return self.pid is not None

    def _is_ready(self) -> bool:
        """The postmaster writes its state on the eighth line of its pid file."""
        try:
            lines = (self.directory / "postmaster.pid").read_text().split("\n")
        except FileNotFoundError:
            return False
        return len(lines) > 7 and lines[7].strip() == "ready" and lines[0] == str(self.pid)

    def _output_since(self, position: int) -> str:
        with self.log.open("rb") as log:
            log.seek(position)
            return log.read().decode(errors="replace")

    @staticmethod
    def _path_for_server(directory: Path) -> str:
        return _HERE if sys.platform == "linux" else str(directory.resolve())

    def _ensure_roles_and_database(self) -> None:
        """Make the application's role, not a superuser, and its database; again after an interrupted first start.

        `vector` is the one extension the application needs and may not create; in `template1` it reaches the
        test databases too.
        """
        with self._connect_as_superuser("template1") as connection:
            connection.execute("CREATE EXTENSION IF NOT EXISTS vector")
            if not connection.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", [ROLE]).fetchone():
                connection.execute(
                    sql.SQL("CREATE ROLE {} LOGIN CREATEDB CREATEROLE NOSUPERUSER").format(sql.Identifier(ROLE))
                )
        with self._connect_as_superuser("postgres") as connection:
            if not connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", [DATABASE]).fetchone():
                connection.execute(
                    sql.SQL("CREATE DATABASE {} OWNER {}").format(sql.Identifier(DATABASE), sql.Identifier(ROLE))
                )

    def _connect_as_superuser(self, database: str) -> "psycopg.Connection[tuple[object, ...]]":
        return psycopg.connect(
            host=str(self._placed()[2]),
            port=PORT,
            user=SUPERUSER,
            dbname=database,
            autocommit=True,
            connect_timeout=10,
        )


def _has_roomy_shared_memory() -> bool:
    """Containers often have 64 MB of /dev/shm, on which parallel queries fail."""
    try:
        return shutil.disk_usage("/dev/shm").total >= _SMALL_SHARED_MEMORY  # noqa: S108
    except OSError:
        return sys.platform != "linux"
