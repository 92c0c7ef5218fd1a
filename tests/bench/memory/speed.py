"""How long a search takes: 100,000 and a million atoms of a hundred organisations, one client and four.

The whole use case is timed, from the question to the hits with their passages and sources, in processes of their own
that each keep one connection. Organisations ask as often as they are large. Figure: search_ms (atoms, clients, stat).
"""

from __future__ import annotations

import argparse
import json
import os
import random
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

from tests.bench.figures import Figures
from tests.bench.suite_api import ROOT, application

SIZES = (100_000, 1_000_000)
ORGANISATIONS = 100
CLIENTS = (1, 4)
SEARCHES = 400
WARM = 60


def run(figures: Figures, *, quick: bool = False) -> None:
    """Fill a database for each size and search in it."""
    sizes, organisations, searches = ((4_000,), 4, 40) if quick else (SIZES, ORGANISATIONS, SEARCHES)
    for atoms in sizes:
        with (
            tempfile.TemporaryDirectory(prefix="flowledger-bench-") as directory,
            application(Path(directory)) as app,
        ):
            environment = {**app.environment, "OUTBOX_WAKE": "false"}
            began = time.perf_counter()
            questions = Path(directory) / "questions.json"
            _inside(environment, "fill", atoms=atoms, organisations=organisations, questions=questions)
            print(f"   {atoms:,} atoms made and counted in {time.perf_counter() - began:.0f} s", flush=True)
            for clients in CLIENTS:
                seconds = measure(environment, questions, clients=clients, searches=searches)
                figures.add_times("search_ms", seconds, atoms=atoms, clients=clients)


def measure(environment: dict[str, str], questions: Path, *, clients: int, searches: int) -> list[float]:
    """Seconds of each search of so many clients at once."""
    processes = [
        _started(environment, "search", questions=questions, searches=searches // clients, seed=seed)
        for seed in range(clients)
    ]
    answers = [process.communicate()[0] for process in processes]
    if any(process.returncode for process in processes):
        raise SystemExit("A client failed.")
    return [each for answer in answers for each in json.loads(answer.splitlines()[-1])]


def _inside(environment: dict[str, str], verb: str, **options: Any) -> None:
    process = _started(environment, verb, **options)
    output, _ = process.communicate()
    if process.returncode:
        raise SystemExit(f"{verb} failed: {output[-2000:]}")


def _started(environment: dict[str, str], verb: str, **options: Any) -> subprocess.Popen[str]:
    words = [f"--{name}={value}" for name, value in options.items()]
    command = [sys.executable, "-m", "tests.bench.memory.speed", verb, *words]
    return subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True)


# --- with the application's own code -----------------------------------------------------------------------------


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.bench.memory.speed", description=__doc__)
    parser.add_argument("verb", choices=["fill", "search"])
    parser.add_argument("--atoms", type=int, default=1_000)
    parser.add_argument("--organisations", type=int, default=2)
    parser.add_argument("--questions", type=Path, required=True)
    parser.add_argument("--searches", type=int, default=SEARCHES)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "flowledger.settings")
    import django

    django.setup()
    {"fill": _fill, "search": _search}[given.verb](given)


def _fill(given: argparse.Namespace) -> None:
    """Organisations with their atoms, their words counted and the tables analysed."""
    from django.db import connection
    from django.utils import timezone

    from flowledger.tenancy.actors import Actor
    from flowledger.tenancy.models import Organization
    from flowledger.tenancy.scope import org_scope, system_scope
    from memory.services.ledger import ledger_of
    from memory.services.terms import refresh_terms
    from tests.bench.memory import stock

    with system_scope("bench"):
        orgs = [Organization.objects.create(name=f"Search {number}") for number in range(given.organisations)]
    questions = stock.fill(os.environ["DATABASE_URL"], [org.pk for org in orgs], atoms=given.atoms)
    given.questions.write_text(json.dumps([asdict(question) for question in questions]))
    with connection.cursor() as cursor:
        cursor.execute("VACUUM ANALYZE")
    actor = Actor.system("bench")
    for org in orgs:
        with org_scope(org):
            ledger_of(org)
        while refresh_terms(org=org, actor=actor, at=timezone.now()):
            pass


def _search(given: argparse.Namespace) -> None:
    """One client: its searches, after some that warm it up."""
    from django.utils import timezone

    from flowledger.tenancy.actors import Actor
    from flowledger.tenancy.models import Organization
    from flowledger.tenancy.scope import system_scope
    from memory.services.search import search

    questions = json.loads(given.questions.read_text())
    random.Random(given.seed).shuffle(questions)
    with system_scope("bench"):
        orgs = Organization.objects.in_bulk({question["org_id"] for question in questions})
    actor, seconds = Actor.system("bench"), []
    while len(questions) < WARM + given.searches:
        questions += questions
    for question in questions[: WARM + given.searches]:
        began = time.perf_counter()
        search(org=orgs[question["org_id"]], question=question["text"], actor=actor, at=timezone.now())
        seconds.append(time.perf_counter() - began)
    print(json.dumps(seconds[WARM:]))


if __name__ == "__main__":
    main()
