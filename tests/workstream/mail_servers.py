"""Real mail servers for tests: IMAP by pymap and SMTP by aiosmtpd, each in a thread of its own."""

from __future__ import annotations

import asyncio
import imaplib
import socket
import threading
from argparse import ArgumentParser
from contextlib import AsyncExitStack
from typing import Any

from pymap.backend.dict import DictBackend
from pymap.imap import IMAPService

USER, PASSWORD = "sales", "a mailbox password"


class ImapServer:
    """An in-memory IMAP server with one user; `stop()` and `start()` make another one, with another UIDVALIDITY."""

    def __init__(self) -> None:
        self.port = free_port()
        self.start()

    def start(self) -> None:
        ready = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._run(ready)), daemon=True)
        self._thread.start()
        assert ready.wait(20)

    def stop(self) -> None:
        self._loop.call_soon_threadsafe(self._ended.set)
        self._thread.join(20)

    async def _run(self, ready: threading.Event) -> None:
        self._loop, self._ended = asyncio.get_running_loop(), asyncio.Event()
        backend, config = await DictBackend.init(self._arguments())
        config.apply_context()
        async with AsyncExitStack() as stack:
            await backend.start(stack)
            await IMAPService(backend, config).start(stack)
            ready.set()
            await self._ended.wait()

    def _arguments(self) -> Any:
        parser = ArgumentParser()
        parser.set_defaults(debug=False, skip_services=[], passlib_cfg=None)
        subparsers = parser.add_subparsers(dest="backend")
        DictBackend.add_subparser("dict", subparsers)
        IMAPService.add_arguments(parser)
        own = ["--host", "127.0.0.1", "--port", str(self.port), "--no-tls"]
        return parser.parse_args([*own, "dict", "--demo-user", USER, "--demo-password", PASSWORD])

    def client(self) -> imaplib.IMAP4:
        """Logged in, with the inbox selected."""
        client = imaplib.IMAP4("127.0.0.1", self.port, timeout=20)
        client.login(USER, PASSWORD)
        client.select("INBOX")
        return client

    def put(self, *messages: bytes, folder: str = "INBOX") -> None:
        """Store messages as the server got them."""
        client = self.client()
        for message in messages:
            status, said = client.append(folder, None, None, message)  # type: ignore[arg-type]
            assert status == "OK", said
        client.logout()

    def flags(self) -> list[bytes]:
        """What the server says of the flags of the inbox's messages."""
        client = self.client()
        found = client.fetch("1:*", "(UID FLAGS)")[1]
        client.logout()
        return [each for each in found if isinstance(each, bytes)]

    def count(self, folder: str = "INBOX") -> int:
        client = self.client()
        number = int(client.select(folder)[1][0] or b"0")
        client.logout()
        return number


class SilentServer:
    """A server that takes connections and answers with `says`, then nothing, or breaks off."""

    def __init__(self, says: bytes = b"", *, breaks_off: bool = False) -> None:
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.port = self._socket.getsockname()[1]
        self.connections = 0
        self._held: list[socket.socket] = []
        self._says, self._breaks_off = says, breaks_off
        threading.Thread(target=self._run, daemon=True).start()

    def _run(self) -> None:
        while True:
            try:
                held, _ = self._socket.accept()
            except OSError:
                return
            self.connections += 1
            held.sendall(self._says)
            self._held.append(held)
            if self._breaks_off:
                held.close()

    def stop(self) -> None:
        # A thread that waits in accept() would keep the port open for one more connection.
        self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()
        for held in self._held:
            held.close()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
