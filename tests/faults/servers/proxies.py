"""Proxies between the application and its servers, which lose what a test tells them to lose."""

import contextlib
import select
import shutil
import socket
import struct
import tempfile
import threading
from pathlib import Path
from types import TracebackType
from typing import Self
from urllib.parse import parse_qs, urlsplit

from flowledger.embedded.servers import EmbeddedServers

_CHUNK = 65_536


class _Proxy:
    """Accepts connections on a Unix socket and passes bytes on, each connection in a thread of its own."""

    def __init__(self, name: str, target: str) -> None:
        # Paths of sockets may have a hundred characters.
        self.directory = Path(tempfile.mkdtemp(prefix="fl-proxy-", dir="/tmp"))
        self._target = target
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(self.directory / name))
        self._listener.listen(64)
        self._open: set[socket.socket] = set()
        self._lock = threading.Lock()
        self._ended = threading.Event()

    def __enter__(self) -> Self:
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ended.set()
        # Wakes the thread that accepts.
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self.hang_up()
        shutil.rmtree(self.directory)

    def hang_up(self) -> None:
        """End every connection."""
        with self._lock:
            for each in self._open:
                with contextlib.suppress(OSError):
                    each.shutdown(socket.SHUT_RDWR)

    def _accept(self) -> None:
        while not self._ended.is_set():
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        server = socket.socket(socket.AF_UNIX)
        with self._lock:
            self._open |= {client, server}
        try:
            server.connect(self._target)
            self._pass_on(client, server)
        except OSError:
            pass
        finally:
            with self._lock:
                self._open -= {client, server}
            client.close()
            server.close()

    def _pass_on(self, client: socket.socket, server: socket.socket) -> None:
        raise NotImplementedError


class RedisProxy(_Proxy):
    """A way to a Redis that swallows everything, or answers that it is loading, while told to."""

    def __init__(self, servers: EmbeddedServers) -> None:
        super().__init__("redis.sock", urlsplit(servers.cache_url).path)
        self._mode = "forward"

    @property
    def redis_url(self) -> str:
        return f"redis+socket://{self.directory}/redis.sock?virtual_host=0"

    @property
    def cache_url(self) -> str:
        return f"unix://{self.directory}/redis.sock?db=1"

    def forward(self) -> None:
        self._mode = "forward"

    def swallow(self) -> None:
        """From now on nothing arrives, in either direction, and nobody is told; connections are taken."""
        self._mode = "swallow"

    def load(self) -> None:
        """From now on every command is answered as by a server that reads its file."""
        self._mode = "load"

    def _pass_on(self, client: socket.socket, server: socket.socket) -> None:
        while True:
            ready, _, _ = select.select([client, server], [], [])
            for end in ready:
                data = end.recv(_CHUNK)
                if not data:
                    return
                if self._mode == "forward":
                    (server if end is client else client).sendall(data)
                elif self._mode == "load" and end is client:
                    commands = data.count(b"\r\n*") + data.startswith(b"*")
                    client.sendall(b"-LOADING Redis is loading the dataset in memory\r\n" * commands)


class CommitProxy(_Proxy):
    """A way to a PostgreSQL that loses the answer to COMMIT: the server has committed, the client cannot know.

    `lose(words)` arms it for the next transaction in which a statement contained the words.
    """

    def __init__(self, database_url: str) -> None:
        parts = urlsplit(database_url)
        self._url = parts
        super().__init__(".s.PGSQL.5432", f"{parse_qs(parts.query)['host'][0]}/.s.PGSQL.5432")
        self._words = b""
        self._left = 0
        self.lost = 0

    @property
    def database_url(self) -> str:
        return self._url._replace(query=f"host={self.directory}").geturl()

    def lose(self, words: str, *, times: int = 1) -> None:
        """Lose the answers to the next commits of transactions that said this."""
        with self._lock:
            self._words, self._left = words.encode(), times

    def _pass_on(self, client: socket.socket, server: socket.socket) -> None:
        conversation = _Conversation()
        while True:
            ready, _, _ = select.select([client, server], [], [])
            if server in ready:
                data = server.recv(_CHUNK)
                if not data:
                    return
                client.sendall(data)
            if client in ready:
                data = client.recv(_CHUNK)
                if not data:
                    return
                for message in conversation.messages(data):
                    loses = conversation.commits(message) and self._is_to_lose(conversation.said)
                    server.sendall(message)
                    if loses:
                        # The answer says that it is durable; only then the line goes dead.
                        server.recv(_CHUNK)
                        self.lost += 1
                        return

    def _is_to_lose(self, said: bytes) -> bool:
        with self._lock:
            if self._left and self._words in said:
                self._left -= 1
                return True
        return False


class _Conversation:
    """What a client of PostgreSQL has said since its transaction began, in the frontend protocol."""

    def __init__(self) -> None:
        self.said = b""
        self._rest = b""
        self._started = False
        self._prepared: dict[bytes, bytes] = {}

    def messages(self, data: bytes) -> list[bytes]:
        """The whole messages up to here."""
        self._rest += data
        found = []
        while True:
            # The first message has no type before its length.
            kind = 1 if self._started else 0
            if len(self._rest) < kind + 4:
                return found
            (length,) = struct.unpack("!I", self._rest[kind : kind + 4])
            if len(self._rest) < kind + length:
                return found
            found.append(self._rest[: kind + length])
            self._rest = self._rest[kind + length :]
            self._started = True

    def commits(self, message: bytes) -> bool:
        """Whether the message is the COMMIT; takes note of every statement on the way there."""
        kind, body = message[:1], message[5:]
        statement = b""
        if kind == b"Q":
            statement = body.rstrip(b"\0")
        elif kind == b"P":
            name, statement, _ = body.split(b"\0", 2)
            self._prepared[name] = statement
        elif kind == b"B":
            _, name, _ = body.split(b"\0", 2)
            statement = self._prepared.get(name, b"")
        if statement.upper().startswith(b"BEGIN"):
            self.said = b""
        self.said += statement
        return statement.upper() == b"COMMIT"
