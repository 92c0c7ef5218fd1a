"""An embedded Redis, reached through one Unix socket in a directory that only its user may enter."""

import contextlib
import os
import signal
import socket
import subprocess
from pathlib import Path

from flowledger.embedded import processes
from flowledger.embedded.binaries import Binaries
from flowledger.embedded.errors import EmbeddedServerError
from flowledger.embedded.places import Account

_START_SECONDS = 60.0
_STOP_SECONDS = 15.0
_SETTINGS = {
    "port": "0",
    "databases": "256",
    "daemonize": "no",
    "pidfile": "redis.pid",
    "dir": "./",
    "unixsocketperm": "777",  # the directory around it is 0700
    "save": "",
    "tcp-keepalive": "60",
}


class RedisServer:
    """The Redis files in `directory` and, while it is started, the server process."""

    def __init__(self, directory: Path, *, log: Path, durable: bool) -> None:
        self.directory = directory
        self.log = log
        self.durable = durable
        self._process: subprocess.Popen[bytes] | None = None
        self._binaries: Binaries | None = None
        self._account: Account | None = None
        self._socket: Path | None = None

    def place(self, *, binaries: Binaries, account: Account, sockets: Path) -> None:
        """Say which program to run, as whom, and where the socket goes. Precedes the first start."""
        self._binaries, self._account, self._socket = binaries, account, sockets / "redis.sock"

    @property
    def url(self) -> str:
        """For Celery: kombu's spelling of a Unix socket."""
        return f"redis+socket://{self._placed()[2]}?virtual_host=0"

    @property
    def cache_url(self) -> str:
        """For Django's cache and redis-py: their spelling, and a database of its own."""
        return f"unix://{self._placed()[2]}?db=1"

    @property
    def pid(self) -> int | None:
        return self._process.pid if self._process is not None and self._process.poll() is None else None

    def start(self) -> None:
        """Start the server and wait until it answers; does nothing when it runs."""
        if self.pid is not None:
            return
        binaries, account, socket_path = self._placed()
        self.directory.mkdir(mode=0o700, exist_ok=True)
        if account.uid != os.geteuid():
            for path in (self.directory, *self.directory.iterdir()):
                os.chown(path, account.uid, account.gid)
        self.clear_leftovers()
        settings = {**_SETTINGS, "unixsocket": str(socket_path), "appendonly": "yes" if self.durable else "no"}
        command = [str(binaries.redis_server)]
        for name, value in settings.items():
            command += [f"--{name}", value]
        with processes.open_log(self.log) as output:
            self._process = processes.spawn(
                command,
                directory=self.directory,
                account=account,
                output=output,
                on_parent_death=signal.SIGTERM,
            )
        ended = self._process.poll
        processes.wait_until(lambda: ended() is not None or self._answers(), seconds=_START_SECONDS)
        if not self._answers():
            self.stop()
            raise EmbeddedServerError(f"Redis did not start; the end of {self.log}:\n{processes.last_lines(self.log)}")

    def stop(self, *, kill: bool = False) -> None:
        """Stop the server and wait for its end; with `kill` it gets no chance to write anything."""
        if self._process is None:
            return
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGKILL if kill else signal.SIGTERM)
            try:
                self._process.wait(_STOP_SECONDS)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
        self._process = None

    def _placed(self) -> tuple[Binaries, Account, Path]:
        if self._binaries is None or self._account is None or self._socket is None:
            raise EmbeddedServerError("This server has not been started.")
        return self._binaries, self._account, self._socket

    def clear_leftovers(self) -> None:
        """Two servers on one append-only file would ruin it: end the one that outlived its parent."""
        pid_file = self.directory / "redis.pid"
        with contextlib.suppress(FileNotFoundError, ValueError):
            processes.end_orphan(int(pid_file.read_text()), directory=self.directory, gently=signal.SIGTERM)
        pid_file.unlink(missing_ok=True)

    def _answers(self) -> bool:
        """Whether it has loaded its file and answers a PING."""
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as client:
            client.settimeout(5)
            try:
                client.connect(str(self._placed()[2]))
                client.sendall(b"PING\r\n")
                return client.recv(64).startswith(b"+PONG")
            except OSError:
                return False
