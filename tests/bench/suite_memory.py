"""Memory: what search finds beside PostgreSQL's full text and BM25, and what capture, cards and redaction cost.

Figures: recall_at_10, ndcg_at_10 (system flowledger, pg_fts, bm25; parameters questions: held-out, development, or
those of held-out that name or name nobody; joined: or, and; text: content, or with the names of clients and contacts in
front), search_ms (atoms, clients, stat), card_ms (state cold or warm, stat), write_ms (stat), redact_ms (atoms, stat),
searchable_s (stat), precision and recall (of extraction; statement, part). See `tests/bench/memory`.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.bench.figures import Figures
from tests.bench.identity import ingesting
from tests.bench.memory import corpus, extraction, scoring, searchable, speed
from tests.bench.memory.corpus import Question
from tests.bench.outbox.machine import peers_python
from tests.bench.suite_api import ROOT, Application, application


@dataclass(frozen=True)
class Extent:
    """How much of everything; the default is the real run."""

    drawn: int = 180
    cards: int = 100
    writes: int = 300
    redactions: int = 5
    redacted: int = 1_000
    noted: int = 100


QUICK = Extent(drawn=5, cards=10, writes=20, redactions=1, redacted=100, noted=5)


def run(figures: Figures, *, quick: bool, only: str = "") -> None:
    """The parts whose name begins with `only`: extraction, retrieval, costs, searchable, speed."""
    extent = QUICK if quick else Extent()
    parts: dict[str, Callable[[], None]] = {
        "extraction": lambda: _extraction(figures),
        "retrieval": lambda: _served(figures, extent, _retrieval, _costs),
        "searchable": lambda: _served(figures, extent, _searchable),
        "speed": lambda: _speed(figures, quick=quick),
    }
    for name, measure in parts.items():
        if name.startswith(only):
            print(f"== {name}", flush=True)
            began = time.monotonic()
            measure()
            print(f"   {name}: {time.monotonic() - began:.0f} s", flush=True)


def _served(figures: Figures, extent: Extent, *measures: Callable[[Figures, Application, Path, Extent], None]) -> None:
    """Measures, one after the other, on one new application."""
    with tempfile.TemporaryDirectory(prefix="flowledger-bench-") as name, application(Path(name)) as app:
        for measure in measures:
            measure(figures, app, Path(name), extent)


def _retrieval(figures: Figures, app: Application, directory: Path, extent: Extent) -> None:
    python = peers_python()
    found = _inside(app, "retrieval", drawn=extent.drawn, out=directory)
    questions = corpus.written().questions
    evidence = dict(enumerate(found["evidence"]))
    lost = [question.text for number, question in enumerate(questions) if not all(evidence[number])]
    print(f"   {len(questions)} questions; lines that no atom says: {lost or 'none'}", flush=True)
    rankings = {name: dict(enumerate(each)) for name, each in found["rankings"].items()}
    for way in ("content", "with_names"):
        source, target = directory / f"bm25-{way}.json", directory / f"bm25-{way}-answers.json"
        subprocess.run([python, "-m", "tests.bench.memory.bm25_peer", str(source), str(target)], cwd=ROOT, check=True)
        answers = json.loads(target.read_text())
        rankings[f"bm25 or {way}"] = {int(number): ids for number, ids in answers.items()}
    for asked, numbers in _groups(questions).items():
        for name, ranking in rankings.items():
            system, *ways = name.split()
            shape = dict(zip(("joined", "text"), ways, strict=True)) if ways else {}
            recall, ndcg = scoring.averages(ranking, evidence, numbers)
            figures.add("recall_at_10", recall, "share", system=system, questions=asked, **shape)
            figures.add("ndcg_at_10", ndcg, "share", system=system, questions=asked, **shape)
    figures.add("atoms", found["atoms"], "atoms")
    figures.add("questions", len(questions), "questions")


def _groups(questions: Sequence[Question]) -> dict[str, list[int]]:
    """The numbers of the questions of each half, and of those of the held-out half that name somebody, or nobody."""
    groups: dict[str, list[int]] = {}
    for number, question in enumerate(questions):
        groups.setdefault(question.half, []).append(number)
        if question.half == "held-out":
            groups.setdefault("naming" if question.names else "naming nobody", []).append(number)
    return groups


def _costs(figures: Figures, app: Application, directory: Path, extent: Extent) -> None:
    """On the organisation that the corpus was played in."""
    cards = _inside(app, "cards", rounds=extent.cards)
    for state in ("cold", "warm"):
        figures.add_times("card_ms", cards[state], state=state)
    figures.add_times("write_ms", _inside(app, "write", rounds=extent.writes)["single"])
    redacted = _inside(app, "redact", rounds=extent.redactions, atoms=extent.redacted)
    figures.add_times("redact_ms", redacted["times"], atoms=extent.redacted)


def _searchable(figures: Figures, app: Application, directory: Path, extent: Extent) -> None:
    with ingesting.workers(app, directory):
        seconds = searchable.measure(app, count=extent.noted)
    for stat, share in (("p50", 0.5), ("p95", 0.95)):
        figures.add("searchable_s", searchable.quantile(seconds, share), "s", stat=stat)


def _extraction(figures: Figures) -> None:
    for part in ("held_out", "development"):
        for statement, found in extraction.quality(extraction.labelled(part)).items():
            figures.add("precision", found.precision, "share", statement=str(statement), part=part)
            figures.add("recall", found.recall, "share", statement=str(statement), part=part)


def _speed(figures: Figures, *, quick: bool) -> None:
    speed.run(figures, quick=quick)


def _inside(app: Application, verb: str, **options: Any) -> dict[str, Any]:
    """Run a part of the suite with the application's own code; its output is shown, its last line is the answer."""
    words = [f"--{name}={value}" for name, value in {"org": app.org_id, **options}.items()]
    command = [sys.executable, "-m", "tests.bench.memory.inside", verb, *words]
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
