"""Counters and histograms of delivery: added up in the process, and every other second in Redis for all of them.

Many processes on many hosts deliver, and any web process may be asked (ADR 0019). Each adds its own numbers in memory,
where that costs a microsecond; a thread that lives while there is something to tell adds them to one Redis hash. While
Redis is down they wait here. A process that is killed takes at most two seconds of numbers with it; what a handler did
is never counted here alone, the database has the truth.
"""

from __future__ import annotations

import json
import os
import threading
import time
from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import redis
from django.conf import settings

from flowledger.outbox.broker import impatient_client

Outcome = Literal["handled", "failed", "dead", "lost", "given_back"]

# The number belongs to the layout below: a release with other buckets counts in a hash of its own.
KEY = "flowledger:metrics:1"
FLUSH_SECONDS = 2.0
_IDLE_ROUNDS = 5
# In a thread of its own, so that it may take its time; a request never waits for it.
_SOCKET_SECONDS = 2.0


@dataclass(frozen=True)
class Metric:
    """One family of series; without `bounds` a counter, with them a histogram of seconds."""

    name: str
    help: str
    labels: tuple[str, ...]
    bounds: tuple[float, ...] = ()


_SHORT = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5)
CLAIMS = Metric("flowledger_outbox_claim_seconds", "Time to claim a batch, by lane.", ("lane",), _SHORT)
CLAIMED = Metric("flowledger_outbox_claimed_events", "Events claimed, by lane.", ("lane",))
HANDLERS = Metric(
    "flowledger_outbox_handler_seconds",
    "Time that a handler took for one event, its share where it took several at once.",
    ("event", "handler"),
    (*_SHORT, 5.0, 10.0, 30.0, 60.0, 120.0),
)
DELAYS = Metric(
    "flowledger_outbox_start_delay_seconds",
    "Time from recording an event to the start of its handlers; of each batch the oldest.",
    (),
    (0.001, 0.0025, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1.0, 2.0, 5.0, 30.0, 300.0, 3600.0),
)
ATTEMPTS = Metric("flowledger_outbox_attempts", "Tries to deliver an event, by what came of it.", ("event", "outcome"))
METRICS = [CLAIMS, CLAIMED, HANDLERS, DELAYS, ATTEMPTS]

_MIXED = "mixed"

_Series = tuple[str, ...]
_lock = threading.Lock()
# By (metric, label values): of a counter the number, of a histogram the sum and the number in each bucket.
_waiting: dict[_Series, list[float]] = {}
_flusher: threading.Thread | None = None


# --- what upper apps call: declared at import, so that whoever is asked knows every name --------------------------


def declare(metric: Metric) -> Metric:
    """Have a family of an upper app added up and told like these. Raises TypeError for a name that is taken."""
    if metric.name in {known.name for known in METRICS}:
        raise TypeError(f"There are two metrics called '{metric.name}'.")
    METRICS.append(metric)
    return metric


def count(metric: Metric, *labels: str, number: float = 1) -> None:
    """Add to the counter of these label values."""
    if number:
        _count((metric.name, *labels), number)


def observe(metric: Metric, *labels: str, seconds: float) -> None:
    """Put one measurement into the histogram of these label values."""
    _observe((metric.name, *labels), metric.bounds, seconds, 1)


# --- what the drain calls: about a microsecond, and never an error -----------------------------------------------


def observe_claim(lane: str, seconds: float, events: int) -> None:
    """A claim of one lane took so long and found so many events."""
    _observe((CLAIMS.name, lane), CLAIMS.bounds, seconds, 1)
    if events:
        _count((CLAIMED.name, lane), events)


def observe_handler(handler: str, event_name: str, seconds: float, events: int = 1) -> None:
    """A handler took so long for so many events; `event_name` is empty when their names differ."""
    if events > 0:
        _observe((HANDLERS.name, event_name or _MIXED, handler), HANDLERS.bounds, seconds / events, events)


def observe_delay(seconds: float) -> None:
    """So long after it was recorded an event met its handlers."""
    _observe((DELAYS.name,), DELAYS.bounds, seconds, 1)


def count_attempts(event_name: str, outcome: Outcome, events: int) -> None:
    """So many tries to deliver an event came to this."""
    _count((ATTEMPTS.name, event_name, outcome), events)


def _count(series: _Series, number: float) -> None:
    with _lock:
        cells = _waiting.get(series)
        if cells is None:
            cells = _waiting[series] = [0.0]
        cells[0] += number
    if _flusher is None:
        _start_flusher()


def _observe(series: _Series, bounds: Sequence[float], seconds: float, times: int) -> None:
    bucket = bisect_left(bounds, seconds) + 1
    with _lock:
        cells = _waiting.get(series)
        if cells is None:
            cells = _waiting[series] = [0.0] * (len(bounds) + 2)
        cells[0] += seconds * times
        cells[bucket] += times
    if _flusher is None:
        _start_flusher()


# --- adding up over processes ------------------------------------------------------------------------------------


def flush() -> bool:
    """Add what is waiting to everybody's numbers; False when Redis is down, and then it goes on waiting.

    Where Redis took the numbers and its answer was lost, they are added twice.
    """
    global _waiting
    with _lock:
        taken, _waiting = _waiting, {}
    if not taken:
        return True
    try:
        with impatient_client(settings.CACHE_URL, seconds=_SOCKET_SECONDS).pipeline(transaction=True) as pipeline:
            for series, cells in taken.items():
                for place, number in enumerate(cells):
                    if number:
                        pipeline.hincrbyfloat(KEY, json.dumps([*series, place]), number)
            pipeline.execute()
    except (redis.RedisError, OSError):
        with _lock:
            for series, cells in taken.items():
                newer = _waiting.get(series, [0.0] * len(cells))
                _waiting[series] = [sum(pair) for pair in zip(cells, newer, strict=True)]
        return False
    return True


def recorded() -> dict[_Series, list[float]] | None:
    """The numbers of all processes by (metric, label values), as they are kept here; None when Redis is down."""
    try:
        stored = impatient_client(settings.CACHE_URL, seconds=_SOCKET_SECONDS).hgetall(KEY)
    except (redis.RedisError, OSError):
        return None
    lengths = {metric.name: len(metric.bounds) + 2 if metric.bounds else 1 for metric in METRICS}
    found: dict[_Series, list[float]] = {}
    for name, number in stored.items():
        *series, place = json.loads(name)
        if series[0] in lengths:
            cells = found.setdefault(tuple(series), [0.0] * lengths[series[0]])
            cells[place] = float(number)
    return found


def _start_flusher() -> None:
    global _flusher
    with _lock:
        if _flusher is not None:
            return
        _flusher = threading.Thread(target=_keep_flushing, name="outbox-metrics", daemon=True)
        try:
            _flusher.start()
        except RuntimeError:
            # The interpreter is ending, or there are no threads to be had: the next number tries again.
            _flusher = None


def _keep_flushing() -> None:
    """Flush until nothing has come for a while; an idle process has no thread that wakes up."""
    global _flusher
    idle = 0
    while True:
        time.sleep(FLUSH_SECONDS)
        idle = 0 if _waiting else idle + 1
        flush()
        with _lock:
            if idle >= _IDLE_ROUNDS and not _waiting:
                _flusher = None
                return


def _begin_anew_after_fork() -> None:
    """A child has neither its parent's thread nor its parent's numbers, which the parent will tell."""
    global _lock, _waiting, _flusher
    _lock, _waiting, _flusher = threading.Lock(), {}, None


os.register_at_fork(after_in_child=_begin_anew_after_fork)
