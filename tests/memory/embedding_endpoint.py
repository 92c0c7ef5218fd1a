"""A real embeddings endpoint on this machine that records what it is asked, and can misbehave in many ways."""

from __future__ import annotations

import hashlib
import json
import math
import re
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

WIDTH = 64
# What means the same points in the same direction.
_SAME = {"cost": "price", "dear": "price", "expensive": "price", "phone": "call", "ring": "call", "telephone": "call"}


def vector_of(text: str) -> list[float]:
    """Words as directions by their hash; synonyms share one."""
    numbers = [0.0] * WIDTH
    for word in re.findall(r"\w+", text.lower()):
        digest = hashlib.sha256(_SAME.get(word, word).encode()).digest()
        numbers[digest[0] % WIDTH] += 1.0 if digest[1] % 2 else -1.0
    return numbers


def cosine(one: list[float], other: list[float]) -> float:
    """Without any packing."""
    dot = sum(a * b for a, b in zip(one, other, strict=True))
    return dot / (math.hypot(*one) * math.hypot(*other))


class FakeEndpoint:
    """What the server was asked, and what it answers next: `reply(texts)` gives (status, body or its parts)."""

    def __init__(self) -> None:
        self.asked: list[dict[str, Any]] = []
        self.headers: list[dict[str, str]] = []
        self.url = ""
        self.reply: Callable[[list[str]], tuple[int, Any]] = self.answer
        # Called with the texts before they are answered, in the server's thread.
        self.meanwhile: Callable[[list[str]], None] = lambda texts: None

    @property
    def texts(self) -> list[str]:
        """Every text that ever arrived."""
        return [text for body in self.asked for text in body["input"]]

    def answer(self, texts: list[str]) -> tuple[int, Any]:
        """Vectors, the last one first, as the interface allows."""
        rows = [{"index": place, "embedding": vector_of(text)} for place, text in enumerate(texts)]
        return 200, {"object": "list", "data": rows[::-1]}


@contextmanager
def fake_endpoint() -> Iterator[FakeEndpoint]:
    """The server, for as long as the block lasts."""
    fake = FakeEndpoint()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            fake.asked.append(body)
            fake.headers.append(dict(self.headers.items()))
            fake.meanwhile(body["input"])
            status, answer = fake.reply(body["input"])
            parts = (
                answer
                if isinstance(answer, list)
                else [answer if isinstance(answer, bytes) else json.dumps(answer).encode()]
            )
            self.send_response(status)
            self.send_header("Content-Length", str(sum(len(part) for part in parts)))
            if 300 <= status < 400:
                self.send_header("Location", f"{fake.url}/elsewhere")
            self.end_headers()
            for number, part in enumerate(parts):
                if number:
                    time.sleep(0.2)
                try:
                    self.wfile.write(part)
                    self.wfile.flush()
                except OSError:
                    return

        def log_message(self, *args: Any) -> None:
            """Nothing to the terminal."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    fake.url = f"http://127.0.0.1:{server.server_address[1]}/v1"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield fake
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
