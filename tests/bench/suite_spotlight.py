"""Evaluation of profiles, end to end and in memory; the re-score of an organisation; how well scores rank outcomes.

Figures: criteria_per_s (facts: new, seen or alone), signals_per_s (profiles, criteria, facts: new or unchanged; stat
median, min), rescore_s (signals; of: first or edited), auc and lift (system hand, learned or logistic; data). The rates
are of one process pinned to one core together with its database, so that they are rates of a core; see `spotlight`.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.bench.figures import Figures
from tests.bench.suite_api import ROOT, Application, application

PROFILES, CRITERIA = 20, 15


@dataclass(frozen=True)
class Extent:
    """How much of everything; the default is the real run."""

    evaluated: int = 2_000
    rounds: int = 5
    scored: int = 8_000
    rescored: tuple[int, ...] = (100_000, 1_000_000)
    outcomes: int = 10_000


QUICK = Extent(evaluated=200, rounds=2, scored=800, rescored=(2_000,), outcomes=1_000)


def run(figures: Figures, *, quick: bool, only: str = "") -> None:
    """The parts whose name begins with `only`: evaluate, score, rescore, quality."""
    extent = QUICK if quick else Extent()
    parts: dict[str, Callable[[Figures, Extent], None]] = {
        "evaluate": _evaluate,
        "score": _score,
        "rescore": _rescore,
        "quality": _quality,
    }
    for name, measure in parts.items():
        if name.startswith(only):
            print(f"== {name}", flush=True)
            began = time.monotonic()
            measure(figures, extent)
            print(f"   {name}: {time.monotonic() - began:.0f} s", flush=True)


def _evaluate(figures: Figures, extent: Extent) -> None:
    with _on_one_core(), _application() as app:
        _inside(app, "fill", signals=extent.evaluated, profiles=PROFILES)
        found = _inside(app, "evaluate", signals=extent.evaluated, rounds=extent.rounds)
    assert found["criteria"] == PROFILES * CRITERIA
    for facts, name in (("new", "new"), ("seen", "seen"), ("alone", "one_by_one")):
        figures.add("criteria_per_s", statistics.median(found[name]), "criteria/s", facts=facts)


def _score(figures: Figures, extent: Extent) -> None:
    with _on_one_core(), _application() as app:
        _inside(app, "fill", signals=extent.scored, profiles=PROFILES)
        found = _inside(app, "score", profiles=PROFILES)
    print(f"   {found['stored']:,} scores stored", flush=True)
    for facts in ("new", "unchanged"):
        shape = {"profiles": PROFILES, "criteria": CRITERIA, "facts": facts}
        figures.add("signals_per_s", statistics.median(found[facts]), "signals/s", **shape, stat="median")
        figures.add("signals_per_s", min(found[facts]), "signals/s", **shape, stat="min")


def _rescore(figures: Figures, extent: Extent) -> None:
    for signals in extent.rescored:
        with _application() as app:
            filled = _inside(app, "fill", signals=signals, profiles=1)
            print(f"   {filled['signals']:,} signals made in {filled['seconds']:.0f} s", flush=True)
            found = _inside(app, "rescore")
        print(f"   {found['moved']:,} scores have moved", flush=True)
        for of in ("first", "edited"):
            figures.add("rescore_s", found[of], "s", signals=signals, of=of)


def _quality(figures: Figures, extent: Extent) -> None:
    with _application() as app:
        found = _inside(app, "quality", outcomes=extent.outcomes)
    systems = {
        "hand": ("auc_before", "top_lift_before"),
        "learned": ("auc_after", "top_lift_after"),
        "logistic": ("unconstrained_auc", "unconstrained_top_lift"),
    }
    for data, quality in found.items():
        for system, (auc, lift) in systems.items():
            figures.add("auc", quality[auc], "", system=system, data=data)
            figures.add("lift", quality[lift], "×", system=system, data=data, share=0.1)


@contextmanager
def _application() -> Iterator[Application]:
    with tempfile.TemporaryDirectory(prefix="flowledger-bench-") as directory, application(Path(directory)) as app:
        yield app


@contextmanager
def _on_one_core() -> Iterator[None]:
    """Everything started inside, the servers too, shares one core."""
    cores = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(cores)})
    try:
        yield
    finally:
        os.sched_setaffinity(0, cores)


def _inside(app: Application, verb: str, **options: Any) -> dict[str, Any]:
    """Run a part of the suite with the application's own code; its output is shown, its last line is the answer."""
    words = [f"--{name}={value}" for name, value in {"org": app.org_id, **options}.items()]
    command = [sys.executable, "-m", "tests.bench.spotlight.inside", verb, *words]
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
