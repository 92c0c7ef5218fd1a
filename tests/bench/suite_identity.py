"""Ingestion to resolved signals, the cost of resolution up to a million contacts, and its quality beside Splink.

Figures: f1, precision, recall (system flowledger or splink; parameters entity: contact or client; at: linked and
proposed, or best, half and precise, see `identity.comparison`), f1_of_corruption (corruption), auto_link_precision,
auto_link_recall (entity), ingest_per_s (channel rest, bulk or csv), bulk_ingest_s, bulk_repeat_s, csv_ingest_s (rows),
web_memory_mb (stat before, peak), resolve_ms (contacts; way single with stat p50 and p95, or chunk: per signal in
chunks of 500), ratio (of=resolve_ms, way). The data is labelled and made anew from the seed that nothing was tuned on
(`identity.labelled`). Pairs are counted the same way for both systems (`identity.scoring`).
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.bench.figures import Figures
from tests.bench.identity import comparison, ingesting
from tests.bench.identity.labelled import SEEDS, make
from tests.bench.outbox.machine import peers_python
from tests.bench.suite_api import ROOT, Application, application


@dataclass(frozen=True)
class Extent:
    """How much of everything; the default is the real run."""

    labelled: int = 10_000
    bulk_rows: int = 10_000
    single: int = 1_000
    sizes: tuple[int, ...] = (10_000, 100_000, 1_000_000)
    rounds: int = 3


QUICK = Extent(labelled=1_000, bulk_rows=500, single=100, sizes=(10_000,), rounds=1)


def run(figures: Figures, *, quick: bool, only: str = "") -> None:
    """The parts whose name begins with `only`: quality, ingest, resolve."""
    extent = QUICK if quick else Extent()
    parts: dict[str, Callable[[Figures, Application, Path, Extent], None]] = {
        "quality": _quality,
        "ingest": _ingest,
        "resolve": _resolve,
    }
    for name, measure in parts.items():
        if name.startswith(only):
            print(f"== {name}", flush=True)
            began = time.monotonic()
            with (
                tempfile.TemporaryDirectory(prefix="flowledger-bench-") as directory,
                application(Path(directory)) as app,
            ):
                measure(figures, app, Path(directory), extent)
            print(f"   {name}: {time.monotonic() - began:.0f} s", flush=True)


def _quality(figures: Figures, app: Application, directory: Path, extent: Extent) -> None:
    python = peers_python()
    labelled = make(SEEDS["held-out"], contacts=extent.labelled, records=extent.labelled)
    out = directory / "answers.json"
    found = _inside(app, "quality", contacts=extent.labelled, records=extent.labelled, out=out)
    print(f"   flowledger took {found['seconds']:.0f} s", flush=True)
    splink = comparison.ask_splink(labelled, python, directory)
    comparison.add(figures, labelled, json.loads(out.read_text()), splink)


def _ingest(figures: Figures, app: Application, directory: Path, extent: Extent) -> None:
    there = _inside(app, "load", org=app.org_id, contacts=extent.labelled)
    print(f"   over {there['contacts']:,} contacts and {there['clients']:,} clients", flush=True)
    records = make(SEEDS["held-out"], contacts=extent.labelled, records=extent.bulk_rows).records
    ingesting.sign_in_again(app)
    with ingesting.workers(app, directory):
        ingesting.measure(figures, app, records, single=extent.single)


def _resolve(figures: Figures, app: Application, directory: Path, extent: Extent) -> None:
    """The same signals at every size: four of ten known contacts, two each new people, misspelt companies, unknown."""
    costs: dict[str, list[float]] = {"single": [], "chunk": []}
    for contacts in extent.sizes:
        grown = _inside(app, "grow", org=app.org_id, contacts=contacts)
        print(f"   {grown['contacts']:,} contacts in {grown['seconds']:.0f} s", flush=True)
        found = _inside(app, "resolve", org=app.org_id, rounds=extent.rounds)
        figures.add_times("resolve_ms", found["singles"], contacts=contacts, way="single")
        per_signal = statistics.median(found["chunks"])
        figures.add("resolve_ms", 1000 * per_signal, "ms", contacts=contacts, way="chunk", stat="p50")
        costs["single"].append(statistics.median(found["singles"]))
        costs["chunk"].append(per_signal)
    for way, values in costs.items():
        figures.add("ratio", values[-1] / values[0], "×", of="resolve_ms", way=way, contacts=extent.sizes[-1])
    _inside(app, "plans", org=app.org_id)


def _inside(app: Application, verb: str, **options: Any) -> dict[str, Any]:
    """Run a part of the suite with the application's own code; its output is shown, its last line is the answer."""
    words = [f"--{name}={value}" for name, value in options.items()]
    command = [sys.executable, "-m", "tests.bench.identity.inside", verb, *words]
    environment = {**app.environment, "OUTBOX_WAKE": "false"}
    with subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True) as process:
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
