"""Transactions that record events, as services do: Poisson arrivals, paced load, and when each commit was called."""

from __future__ import annotations

import random
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any, NamedTuple

from django.db import transaction
from django.utils import timezone

from flowledger.outbox import sql
from flowledger.outbox.events import event_type_of
from flowledger.outbox.recording import record_event
from flowledger.tenancy.actors import Actor, ActorKind, Origin
from flowledger.tenancy.scope import org_scope
from tests.bench.outbox.subscriptions import Pinged

SEED = 11


class Commit(NamedTuple):
    """When a commit was called and when it had returned, in seconds since the epoch."""

    called: float
    returned: float


def commit_ping(org_id: int, number: int) -> Commit:
    """One event in one transaction; `returned` is before the nudge is sent."""
    returned: list[float] = []
    with org_scope(org_id):
        # Before recording, so that it is the first to run after the commit.
        transaction.on_commit(lambda: returned.append(time.time()))
        record_event(org=org_id, event=Pinged(number), actor=Actor.system("bench"), at=timezone.now())
        called = time.time()
    return Commit(called, returned[0])


def arrivals(count: int, rate: float, commit: Callable[[int], Commit]) -> dict[int, Commit]:
    """So many commits, independent of each other, `rate` a second on average."""
    chance = random.Random(SEED)
    commits = {}
    for number in range(1, count + 1):
        time.sleep(chance.expovariate(rate))
        commits[number] = commit(number)
    return commits


def new_event(org_id: int, fact: Any) -> sql.NewEvent:
    """An event for recording many in one statement."""
    entry = event_type_of(fact)
    return sql.NewEvent(
        org_id=org_id,
        event_name=entry.name,
        item_type=entry.item,
        item_id=entry.item_id_of(fact),
        payload=entry.encode(fact),
        actor_kind=str(ActorKind.SYSTEM),
        actor_id=None,
        actor_label="bench",
        actor_user_id=None,
        origin=str(Origin.SYSTEM),
        occurred_at=timezone.now(),
        dedupe_key=None,
        correlation_id="",
        causation_id=None,
    )


def read_commits(process: subprocess.Popen[str]) -> dict[int, Commit]:
    """What a peer's producer printed."""
    output, _ = process.communicate(timeout=300)
    if process.returncode != 0:
        raise SystemExit(f"A producer failed:\n{output}")
    commits = {}
    for line in output.splitlines():
        number, called, returned = line.split()
        commits[int(number)] = Commit(float(called), float(returned))
    return commits


def load_command(rate: float, org_ids: list[int]) -> list[str]:
    """A process that records events for the realistic handler at a steady rate until it is ended."""
    return [sys.executable, "-m", "tests.bench.outbox.load", str(rate), *map(str, org_ids)]
