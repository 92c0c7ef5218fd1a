"""SLA sweep, Today, boards, counts and funnel at 1M candidates and 300k pursuits in 100 organisations.

Figures: sweep_ms (parameters clocks: running ones, due: fallen due before each sweep), today_ms, today_304_ms,
board_ms, stats_ms, funnel_ms, velocity_ms (parameters stat: p50, p95; clients: concurrent connections). The reads are
first pages of the largest organisation, a fifth of everything, under two web workers with row-level security on, timed
at the client from the first byte sent to the last byte read. The plans behind them are printed.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tests.bench.figures import Figures
from tests.bench.sla.sizes import FULL, HUNDREDTH, QUICK, QUICK_HUNDREDTH, Shape
from tests.bench.suite_api import ROOT, Application, application

CLIENTS = (1, 8)
REQUESTS = 400
DUE = 1_000
READS = {
    "today_ms": ("/api/workstream/today",),
    "board_ms": ("/api/workstream/board/candidates", "/api/workstream/board/pursuits"),
    "stats_ms": ("/api/workstream/stats",),
    "funnel_ms": ("/api/workstream/funnel",),
    "velocity_ms": ("/api/workstream/velocity",),
}


def run(figures: Figures, *, quick: bool) -> None:
    small, large = (QUICK_HUNDREDTH, QUICK) if quick else (HUNDREDTH, FULL)
    for shape in (small, large):
        print(f"== {shape.candidates:,} candidates in {shape.organizations} organisations", flush=True)
        with tempfile.TemporaryDirectory(prefix="flowledger-bench-") as directory, application(Path(directory)) as app:
            began = time.perf_counter()
            counts = _inside(
                app,
                "build",
                org=app.org_id,
                candidates=shape.candidates,
                pursuits=shape.pursuits,
                organizations=shape.organizations,
            )
            print(f"   built in {time.perf_counter() - began:.0f} s: {counts}", flush=True)
            # The token of before has run out by now.
            app.token = ""
            app.sign_in()
            if shape is large:
                _read(figures, app, requests=60 if quick else REQUESTS)
                _inside(
                    app, "plans", *(path for paths in READS.values() for path in paths), org=app.org_id, token=app.token
                )
            _sweep(figures, app, shape, quick=quick)


def _sweep(figures: Figures, app: Application, shape: Shape, *, quick: bool) -> None:
    """With nothing due first: what falls due later leaves events behind."""
    for due in (0, min(DUE, shape.candidates // 20) if quick else DUE):
        rounds = 5 if quick else 40
        found = _inside(app, "sweep", due=due, rounds=rounds)
        print(f"   {found['running']:,} clocks were running, {due:,} due", flush=True)
        figures.add_times("sweep_ms", found["seconds"], clocks=shape.clocks, due=due)


def _read(figures: Figures, app: Application, *, requests: int) -> None:
    for clients in CLIENTS:
        for figure, paths in READS.items():
            _play(app, paths * 20, clients=clients)
            asked = [paths[number % len(paths)] for number in range(requests)]
            figures.add_times(figure, _play(app, asked, clients=clients), clients=clients)
        etags = {path: _etag(app, path) for path in READS["today_ms"]}
        unchanged = list(READS["today_ms"]) * requests
        _play(app, unchanged[:20], clients=clients, etags=etags)
        figures.add_times("today_304_ms", _play(app, unchanged, clients=clients, etags=etags), clients=clients)


def _etag(app: Application, path: str) -> str:
    connection = app.connect()
    connection.request("GET", path, headers={"Authorization": f"Bearer {app.token}"})
    response = connection.getresponse()
    response.read()
    return str(response.headers["ETag"])


def _play(app: Application, paths: Sequence[str], *, clients: int, etags: dict[str, str] | None = None) -> list[float]:
    """Seconds per read, `clients` of them in flight; with ETags each must be answered 304, else 200."""
    times: list[float] = []
    errors: list[str] = []
    queue = iter(paths)
    lock = threading.Lock()
    expected = 304 if etags else 200

    def client() -> None:
        connection = app.connect()
        while not errors:
            with lock:
                path = next(queue, None)
            if path is None:
                return
            headers = {"Authorization": f"Bearer {app.token}"}
            if etags:
                headers["If-None-Match"] = etags[path]
            began = time.perf_counter()
            connection.request("GET", path, headers=headers)
            response = connection.getresponse()
            answer = response.read()
            times.append(time.perf_counter() - began)
            if response.status != expected:
                errors.append(f"GET {path} → {response.status}: {answer[:500]!r}")

    threads = [threading.Thread(target=client) for _ in range(clients)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if errors:
        raise SystemExit(errors[0])
    return times


def _inside(app: Application, verb: str, *paths: str, **options: Any) -> dict[str, Any]:
    """Run a part of the suite with the application's own code; its output is shown, its last line is the answer."""
    words = [f"--{name}={value}" for name, value in options.items()] + [f"--path={path}" for path in paths]
    command = [sys.executable, "-m", "tests.bench.sla.inside", verb, *words]
    with subprocess.Popen(command, cwd=ROOT, env=app.environment, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        last = ""
        for line in process.stdout:
            if last:
                print(last, end="", flush=True)
            last = line
    if process.returncode:
        raise SystemExit(f"{verb} failed.")
    answer: dict[str, Any] = json.loads(last)
    return answer
