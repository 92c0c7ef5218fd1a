"""What one claim of 100 costs as the table grows, in history and in backlog.

Figures claim_ms (rows, state, stat p50, p95): the claim of 100 events through the application's connection, rolled
back each time; look_ms: finding out whose turn it is. With state=processed that many rows are history and 1,000 are
pending, with state=pending that many are pending. empty_look_ms: looking when nothing is pending, as an idle tick does.
ratio (versus, of=claim_ms, state): the largest size over the smallest.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Sequence

from django.db import transaction

from flowledger.outbox import sql
from flowledger.tenancy.scope import system_scope
from tests.bench.figures import Figures, quantile
from tests.bench.outbox.flowledger_contender import Outbox
from tests.bench.outbox.subscriptions import NOOP

LIMIT = 100
SMALL = 1_000


def measure(figures: Figures, outbox: Outbox, *, sizes: Sequence[int], claims: int) -> None:
    outbox.empty()
    _grow(outbox, sizes, processed=True, measure=lambda rows: _measure_history(figures, outbox, rows, claims))
    outbox.empty()
    _grow(outbox, sizes, processed=False, measure=lambda rows: _measure_claims(figures, claims, rows, "pending"))
    outbox.empty()
    for state in ("processed", "pending"):
        small, large = (figures.value("claim_ms", rows=size, state=state, stat="p50") for size in (sizes[0], sizes[-1]))
        figures.add("ratio", large / small, "x", versus=f"{sizes[0]} rows", of="claim_ms", state=state)


def _grow(outbox: Outbox, sizes: Sequence[int], *, processed: bool, measure: Callable[[int], None]) -> None:
    rows = 0
    for size in sizes:
        began = time.monotonic()
        outbox.fill(NOOP, size - rows, processed=processed, first=rows + 1)
        rows = size
        outbox.machine.settle(outbox.database_url)
        print(f"   {size:,} rows: grown in {time.monotonic() - began:.0f} s", flush=True)
        measure(size)


def _measure_history(figures: Figures, outbox: Outbox, rows: int, claims: int) -> None:
    """Nothing pending, then a little; the little is forgotten again, the history stays."""
    _add(figures, "empty_look_ms", [_timed_look() for _ in range(claims)], rows, "processed")
    outbox.fill(NOOP, SMALL, first=1_000_000_000)
    outbox.machine.settle(outbox.database_url)
    _measure_claims(figures, claims, rows, "processed")
    outbox.empty(only_open=True)


def _measure_claims(figures: Figures, claims: int, rows: int, state: str) -> None:
    for _ in range(5):
        _timed_claim()
    _add(figures, "look_ms", [_timed_look() for _ in range(claims)], rows, state)
    _add(figures, "claim_ms", [_timed_claim() for _ in range(claims)], rows, state)


def _timed_look() -> float:
    with system_scope("benchmark"):
        began = time.perf_counter()
        sql.look()
        return time.perf_counter() - began


def _timed_claim() -> float:
    with system_scope("benchmark"):
        orgs = sql.look().orgs
        began = time.perf_counter()
        events, _ = sql.claim_fresh(token=uuid.uuid4(), limit=LIMIT, orgs=orgs)
        seconds = time.perf_counter() - began
        transaction.set_rollback(True)
    if len(events) != LIMIT:
        raise SystemExit(f"A claim of {LIMIT} found {len(events)} events.")
    return seconds


def _add(figures: Figures, figure: str, seconds: Sequence[float], rows: int, state: str) -> None:
    for stat, share in (("p50", 0.5), ("p95", 0.95)):
        figures.add(figure, 1000 * quantile(seconds, share), "ms", rows=rows, state=state, stat=stat)
