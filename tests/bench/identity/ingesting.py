"""How fast signals come in by each channel, until they are resolved, and what the web workers need of memory for it.

The organisation has a base of contacts and clients, and the signals are the labelled records: known people, new people
of known companies, misspelt companies, strangers. Web workers, Celery workers and the beat run. A REST or bulk signal
is resolved when it is answered; a CSV row is when the import says that it is done, from the upload on.
"""

from __future__ import annotations

import http.client
import json
import os
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.bench.figures import Figures
from tests.bench.identity import signals
from tests.bench.identity.labelled import Record
from tests.bench.outbox.machine import end
from tests.bench.suite_api import ROOT, Application

CLIENTS = 4
WORKER = "-m celery --app flowledger worker --concurrency 2 --loglevel WARNING --without-gossip --without-mingle"
BEAT = "-m celery --app flowledger beat --scheduler celery.beat:Scheduler --loglevel WARNING"
NDJSON = "application/x-ndjson"


@contextmanager
def workers(app: Application, directory: Path) -> Iterator[None]:
    """The processes of `Procfile` beside the web."""
    commands = (WORKER, f"{BEAT} --schedule {directory / 'beat'} --pidfile {directory / 'beat.pid'}")
    with (directory / "workers.log").open("ab") as log:
        processes = [
            subprocess.Popen(
                [sys.executable, *command.split()],
                cwd=ROOT,
                env=app.environment,
                stdout=log,
                stderr=log,
                text=True,
                start_new_session=True,
            )
            for command in commands
        ]
        try:
            yield
        finally:
            for process in processes:
                end(process)


def measure(figures: Figures, app: Application, records: Sequence[Record], *, single: int) -> None:
    """Each channel once, with keys of its own; the bulk call twice, of which the second must create nothing."""
    rest = [("POST", "/api/signals", signals.fields_of(one, batch="rest")) for one in records[:single]]
    app.play(rest[:20], clients=1)
    began = time.perf_counter()
    app.play(rest[20:], clients=CLIENTS)
    figures.add("ingest_per_s", (len(rest) - 20) / (time.perf_counter() - began), "signals/s", channel="rest")

    sign_in_again(app)
    body = signals.ndjson(records, batch="bulk")
    with watched_memory(app) as memory:
        seconds, lines = bulk(app, body)
    _require(lines, {"created"}, len(records))
    figures.add("bulk_ingest_s", seconds, "s", rows=len(records))
    figures.add("ingest_per_s", len(records) / seconds, "signals/s", channel="bulk")
    figures.add("web_memory_mb", memory.before, "MiB", rows=len(records), stat="before")
    figures.add("web_memory_mb", memory.peak, "MiB", rows=len(records), stat="peak")
    seconds, lines = bulk(app, body)
    _require(lines, {"repeated"}, len(records))
    figures.add("bulk_repeat_s", seconds, "s", rows=len(records))

    sign_in_again(app)
    seconds, run = import_csv(app, signals.csv_file(records, batch="csv"))
    print(
        f"   csv: { ({name: run[name] for name in ('status', 'created_count', 'rejected_count', 'failure')}) }",
        flush=True,
    )
    if (run["status"], run["created_count"]) != ("done", len(records)):
        raise SystemExit(f"The import did not create {len(records)} signals: {run}")
    figures.add("csv_ingest_s", seconds, "s", rows=len(records))
    figures.add("ingest_per_s", len(records) / seconds, "signals/s", channel="csv")


def sign_in_again(app: Application) -> None:
    """The token of before may run out."""
    app.token = ""
    app.sign_in()


def bulk(app: Application, body: bytes) -> tuple[float, list[dict[str, Any]]]:
    """Seconds from the first byte sent to the last line read, and the lines."""
    connection = _connect(app)
    began = time.perf_counter()
    connection.request("POST", "/api/signals/bulk", body, {**_headers(app), "Content-Type": NDJSON})
    response = connection.getresponse()
    answer = response.read()
    seconds = time.perf_counter() - began
    if response.status != 200:
        raise SystemExit(f"bulk → {response.status}: {answer[:500]!r}")
    return seconds, [json.loads(line) for line in answer.splitlines()]


def _require(lines: Sequence[dict[str, Any]], statuses: set[str], rows: int) -> None:
    other = [line for line in lines if line["status"] not in statuses]
    if len(lines) != rows or other:
        raise SystemExit(f"{len(lines)} of {rows} rows were answered, {len(other)} of them otherwise: {other[:2]}")


def import_csv(app: Application, body: bytes) -> tuple[float, dict[str, Any]]:
    """Seconds from the upload to the last row, and the run."""
    connection = _connect(app)
    began = time.perf_counter()
    run = _call(app, connection, "POST", "/api/signals/import", *_form(body))
    path = f"/api/signals/import/{run['import_id']}"
    _call(app, connection, "POST", f"{path}/start", b"{}", "application/json")
    while run["status"] in {"uploaded", "running"}:
        time.sleep(0.1)
        run = _call(app, connection, "GET", path)
    return time.perf_counter() - began, run


def _form(body: bytes) -> tuple[bytes, str]:
    """A form with the file and what it holds."""
    edge = uuid.uuid4().hex
    parts = (
        b'Content-Disposition: form-data; name="kind"\r\n\r\nsignals',
        b'Content-Disposition: form-data; name="file"; filename="leads.csv"\r\nContent-Type: text/csv\r\n\r\n' + body,
    )
    text = b"".join(b"--" + edge.encode() + b"\r\n" + part + b"\r\n" for part in parts)
    return text + b"--" + edge.encode() + b"--\r\n", f"multipart/form-data; boundary={edge}"


def _call(
    app: Application,
    connection: http.client.HTTPConnection,
    method: str,
    path: str,
    body: bytes | None = None,
    content_type: str = "",
) -> dict[str, Any]:
    headers = _headers(app) | ({"Content-Type": content_type} if content_type else {})
    connection.request(method, path, body, headers)
    response = connection.getresponse()
    answer = response.read()
    if response.status not in {200, 201}:
        raise SystemExit(f"{method} {path} → {response.status}: {answer[:500]!r}")
    found: dict[str, Any] = json.loads(answer)
    return found


def _connect(app: Application) -> http.client.HTTPConnection:
    return http.client.HTTPConnection("127.0.0.1", app.port, timeout=600)


def _headers(app: Application) -> dict[str, str]:
    return {"Authorization": f"Bearer {app.token}"}


class Memory:
    """Resident memory of the largest web worker, in MiB."""

    before = 0.0
    peak = 0.0


@contextmanager
def watched_memory(app: Application) -> Iterator[Memory]:
    """Looks at the web workers every tenth of a second meanwhile."""
    memory = Memory()
    pids = _web_workers(app)
    memory.before = memory.peak = _largest(pids)
    over = threading.Event()

    def watch() -> None:
        while not over.wait(0.1):
            memory.peak = max(memory.peak, _largest(pids))

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        yield memory
    finally:
        over.set()
        thread.join()


def _web_workers(app: Application) -> list[int]:
    """Processes whose command line names the port."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and int(entry.name) != os.getpid():
            try:
                command = (entry / "cmdline").read_bytes()
            except OSError:
                continue
            if f"--bind=127.0.0.1:{app.port}".encode() in command:
                found.append(int(entry.name))
    return found


def _largest(pids: Sequence[int]) -> float:
    sizes = [0.0]
    for pid in pids:
        try:
            status = Path(f"/proc/{pid}/status").read_text()
        except OSError:
            continue
        sizes += [int(line.split()[1]) / 1024 for line in status.splitlines() if line.startswith("VmRSS")]
    return max(sizes)
