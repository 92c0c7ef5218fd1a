"""A language model for tests: a real HTTP server that records what it is asked and answers what the test says."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


def stated(kind: str, quote: str, topic: str = "", confidence: float = 0.9) -> dict[str, Any]:
    """One statement as a well-behaved model gives it."""
    return {"kind": kind, "quote": quote, "topic": topic, "confidence": confidence, "is_negated": False}


def completion(content: Any) -> bytes:
    """A chat completion with this content; what is no text is turned into JSON."""
    text = content if isinstance(content, str) else json.dumps(content)
    return json.dumps({"choices": [{"message": {"role": "assistant", "content": text}}]}).encode()


@dataclass
class ModelServer:
    """What the server answers (`body` after `delay` seconds, byte by byte when it `drips`), and what it was asked."""

    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = completion({"statements": []})
    delay: float = 0.0
    drips: bool = False
    asked: list[dict[str, Any]] = field(default_factory=list)
    keys: list[str] = field(default_factory=list)
    paths: list[str] = field(default_factory=list)
    url: str = ""

    def says(self, *statements: dict[str, Any]) -> None:
        """Answer with these statements from now on."""
        self.body = completion({"statements": list(statements)})

    @property
    def texts(self) -> list[str]:
        """The texts that were sent to be read."""
        return [json.loads(each["messages"][1]["content"])["text"] for each in self.asked]


@contextmanager
def model_server() -> Iterator[ModelServer]:
    """A server on a free port of the loopback, for the time of a test."""
    model = ModelServer()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            model.asked.append(asked)
            model.keys.append(self.headers.get("Authorization", ""))
            model.paths.append(self.path)
            body = model.body
            time.sleep(model.delay)
            try:
                self.send_response(model.status)
                for name, value in model.headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                for byte in [body[at : at + 1] for at in range(len(body))] if model.drips else [body]:
                    self.wfile.write(byte)
                    if model.drips:
                        self.wfile.flush()
                        time.sleep(0.05)
            except (BrokenPipeError, ConnectionResetError):
                # Whoever asked has given up.
                return

        def log_message(self, *args: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    model.url = f"http://127.0.0.1:{server.server_address[1]}/v1"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield model
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
