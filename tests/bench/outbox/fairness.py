"""One organisation's single event behind another's backlog that two processes are draining.

Figure fair_wait_ms (stat p50, p95, max; pending, the backlog at least that was there at every sample): from the call of
the commit to the start of the handler.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable

from django.test import override_settings

from tests.bench.figures import Figures, quantile
from tests.bench.outbox.flowledger_contender import Outbox
from tests.bench.outbox.machine import wait_for
from tests.bench.outbox.peers.signs import read_stamps
from tests.bench.outbox.producing import Commit, commit_ping
from tests.bench.outbox.subscriptions import NOOP

SEED = 5
PAUSE_SECONDS = (0.05, 0.15)


def measure(figures: Figures, outbox: Outbox, *, pending: int, samples: int) -> None:
    waits: list[float] = []
    while len(waits) < samples:
        found = _waits_in_one_drain(outbox, pending=pending, samples=samples - len(waits), first=len(waits) + 1)
        if not found:
            raise SystemExit("The backlog was drained before one sample was taken.")
        waits += found
    for stat, share in (("p50", 0.5), ("p95", 0.95), ("max", 1.0)):
        figures.add("fair_wait_ms", 1000 * quantile(waits, share), "ms", stat=stat, pending=pending, samples=len(waits))


def _waits_in_one_drain(outbox: Outbox, *, pending: int, samples: int, first: int) -> list[float]:
    """Waits of the events that were committed while at least `pending` others were still to do."""
    chance = random.Random(SEED + first)
    loud, *quiet = outbox.org_ids
    backlog = 3 * pending
    outbox.empty()
    outbox.fill(NOOP, backlog, org_ids=[loud])
    outbox.machine.settle(outbox.database_url)
    commits: dict[int, Commit] = {}
    with outbox.workers(2), override_settings(OUTBOX_WAKE=True):
        outbox.tick(2)
        wait_for("the drain to begin", _begun(outbox), seconds=60)
        time.sleep(0.1)
        for number in range(first, first + samples):
            if _enough_done(outbox, loud, backlog - pending):
                break
            commits[number] = commit_ping(quiet[number % len(quiet)], number)
            time.sleep(chance.uniform(*PAUSE_SECONDS))
        wait_for("the last samples", lambda: commits.keys() <= read_stamps(outbox.stamps).keys(), seconds=120)
        starts = read_stamps(outbox.stamps)
    return [starts[number] - commit.called for number, commit in commits.items()]


def _begun(outbox: Outbox) -> Callable[[], bool]:
    query = "SELECT EXISTS (SELECT FROM outbox_workevent WHERE processed_at IS NOT NULL)"
    return lambda: bool((outbox.sql.execute(query).fetchone() or (False,))[0])


def _enough_done(outbox: Outbox, org_id: int, number: int) -> bool:
    """Whether the event at that place of the organisation's queue is done; one step through an index."""
    row = outbox.sql.execute(
        """SELECT processed_at IS NOT NULL FROM outbox_workevent
            WHERE org_id = %s AND org_id > 0 AND item_type = 'parcel' AND item_id = %s""",
        [org_id, number],
    ).fetchone()
    return bool(row and row[0])
