"""From the answer to a request that logs something to the first search that finds it, with real workers.

A note goes in over REST; a search for a word that stands in nothing else is asked every few hundredths of a second.
"""

from __future__ import annotations

import json
import time
import uuid
from typing import Any

from tests.bench.figures import quantile
from tests.bench.suite_api import Application

__all__ = ["measure", "quantile"]

PATIENCE_SECONDS = 30.0
_PAUSE = 0.02
# Workers wake up, and the first events bring their caches.
_WARMING = 3


def measure(app: Application, *, count: int) -> list[float]:
    """Seconds for each of so many notes on one candidate. Ends the run when one is not found in time."""
    candidate = _call(app, "POST", "/api/candidates", {"title": "Sorter for a bakery"})["id"]
    return [_seconds(app, candidate) for _ in range(count + _WARMING)][_WARMING:]


def _seconds(app: Application, candidate: int) -> float:
    word = f"z{uuid.uuid4().hex[:12]}"
    note = {"kind": "call", "summary": f"They call the machine {word} and would like to see it."}
    _call(app, "POST", f"/api/candidates/{candidate}/activities", note)
    began = time.perf_counter()
    while not _call(app, "GET", f"/api/memory/search?q={word}", None)["data"]:
        if time.perf_counter() - began > PATIENCE_SECONDS:
            raise SystemExit(f"A note was not found within {PATIENCE_SECONDS:.0f} s.")
        time.sleep(_PAUSE)
    return time.perf_counter() - began


def _call(app: Application, method: str, path: str, body: Any) -> dict[str, Any]:
    connection = app.connect()
    try:
        status, answer = app.ask(connection, method, path, body)
    finally:
        connection.close()
    if status not in {200, 201}:
        raise SystemExit(f"{method} {path} → {status}: {answer[:500]!r}")
    found: dict[str, Any] = json.loads(answer)
    return found
