"""What the suite does with the application's own code: `python -m tests.bench.sla.inside build|sweep|plans`.

The last line of the output is the answer as JSON.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from datetime import UTC, datetime
from typing import Any

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "flowledger.settings")
django.setup()

from django.db import connection, transaction  # noqa: E402
from django.test import Client  # noqa: E402
from django.test.utils import CaptureQueriesContext  # noqa: E402

from flowledger.tenancy.scope import org_scope, system_scope  # noqa: E402
from tests.bench.sla import world  # noqa: E402
from workstream.services.sla_sweep import sweep  # noqa: E402

_CHOOSE = """
SELECT id FROM workstream_slaclock
 WHERE stopped_at IS NULL AND paused_at IS NULL AND breached_at IS NULL AND due_at IS NOT NULL
 ORDER BY md5(id::text) LIMIT %s
"""
_FALL_DUE = """
UPDATE workstream_slaclock SET due_at = %s - interval '1 minute', warned_at = coalesce(warned_at, warn_at)
 WHERE id = ANY(%s)
"""
_TAKE_BACK = (
    "UPDATE workstream_slaclock SET due_at = due_at + interval '30 hours', breached_at = NULL WHERE id = ANY(%s)"
)
_FORGET = "DELETE FROM workstream_slabreach WHERE clock_id = ANY(%s)"


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.bench.sla.inside", description=__doc__)
    parser.add_argument("verb", choices=["build", "sweep", "plans"])
    parser.add_argument("--org", type=int, default=0)
    parser.add_argument("--candidates", type=int, default=0)
    parser.add_argument("--pursuits", type=int, default=0)
    parser.add_argument("--organizations", type=int, default=0)
    parser.add_argument("--due", type=int, default=0)
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--token", default="")
    parser.add_argument("--path", action="append", default=[])
    given = parser.parse_args()
    verbs: dict[str, Any] = {"build": _build, "sweep": _sweep, "plans": _plans}
    print(json.dumps(verbs[given.verb](given)), flush=True)


def _build(given: argparse.Namespace) -> dict[str, int]:
    size = world.Size(given.candidates, given.pursuits, given.organizations)
    return world.build(largest_id=given.org, size=size, at=datetime.now(UTC))


def _sweep(given: argparse.Namespace) -> dict[str, Any]:
    """Seconds of each sweep, with so many clocks fallen due before it; the first one warms and is not counted."""
    seconds: list[float] = []
    with system_scope("bench"), connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM workstream_slaclock WHERE stopped_at IS NULL")
        running = cursor.fetchone()[0]
        cursor.execute(_CHOOSE, [given.due])
        chosen = [row[0] for row in cursor.fetchall()]
    assert len(chosen) == given.due, f"only {len(chosen)} clocks can fall due"
    for turn in range(given.rounds + 1):
        at = datetime.now(UTC)
        if chosen:
            with system_scope("bench"), connection.cursor() as cursor:
                cursor.execute(_FALL_DUE, [at, chosen])
        began = time.perf_counter()
        result = sweep(at=at)
        if turn:
            seconds.append(time.perf_counter() - began)
        assert (result.breached, result.warned, result.failures) == (given.due, 0, []), result
        if chosen:
            with system_scope("bench"), connection.cursor() as cursor:
                cursor.execute(_FORGET, [chosen])
                cursor.execute(_TAKE_BACK, [chosen])
    return {"seconds": seconds, "running": running}


def _plans(given: argparse.Namespace) -> dict[str, int]:
    """Print the plan of every SELECT behind each address, and of the sweep's statements."""
    client = Client(SERVER_NAME="localhost")
    shown = 0
    for path in given.path:
        with CaptureQueriesContext(connection) as captured:
            answer = client.get(path, headers={"Authorization": f"Bearer {given.token}"})
        assert answer.status_code == 200, (path, answer.status_code, answer.content[:300])
        statements = [query["sql"] for query in captured if "workstream_" in query["sql"]]
        with org_scope(given.org):
            for statement in statements:
                shown += _plan(path, statement)
    at = datetime.now(UTC)
    with CaptureQueriesContext(connection) as captured:
        sweep(at=at)
    for query in captured:
        if "workstream_slaclock" in query["sql"]:
            with system_scope("bench"), transaction.atomic():
                shown += _plan("sweep, nothing due", query["sql"])
                transaction.set_rollback(True)
    return {"plans": shown}


def _plan(title: str, statement: str) -> int:
    with connection.cursor() as cursor:
        try:
            with transaction.atomic():
                cursor.execute("EXPLAIN (ANALYZE, BUFFERS, SETTINGS) " + statement.replace("%", "%%"), [])
                lines = [row[0] for row in cursor.fetchall()]
        except Exception as error:
            lines = [f"no plan: {error}"]
    print(f"\n-- {title}\n{' '.join(statement.split())[:1000]}", flush=True)
    print("\n".join(f"   {line}" for line in lines), flush=True)
    return 1


if __name__ == "__main__":
    main()
