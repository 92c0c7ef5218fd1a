"""The order of the suite's measurements. Import it when Django is set up against the run's own servers."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field

from tests.bench.figures import Figures
from tests.bench.outbox import (
    claims,
    fairness,
    idle,
    latency,
    peer_contenders,
    recording_cost,
    subscriptions,
    throughput,
)
from tests.bench.outbox.flowledger_contender import Outbox
from tests.bench.outbox.machine import Machine
from tests.bench.outbox.throughput import Sizes


@dataclass(frozen=True)
class Extent:
    """How much of everything; the default is the real run."""

    throughput: Sizes = field(default_factory=Sizes)
    latency_samples: int = 200
    fair_pending: int = 100_000
    fair_samples: int = 24
    claim_sizes: tuple[int, ...] = (10_000, 1_000_000, 5_000_000)
    claims: int = 60
    record_calls: int = 600
    record_bulks: int = 40
    idle_seconds: float = 15.0
    held_events: int = 300_000
    held_rounds: int = 3


SHORT = Extent(
    throughput=Sizes(
        procs=(2,),
        noop=50_000,
        procrastinate=2_000,
        celery=4_000,
        handler=4_000,
        procrastinate_handler=800,
        celery_handler=1_500,
    ),
    latency_samples=100,
    claim_sizes=(10_000, 1_000_000),
    held_events=100_000,
    held_rounds=1,
)

TRIAL = Extent(
    throughput=Sizes(
        rounds=1,
        procs=(2,),
        noop=5_000,
        procrastinate=300,
        celery=500,
        handler=500,
        procrastinate_handler=100,
        celery_handler=100,
    ),
    latency_samples=12,
    fair_pending=10_000,
    fair_samples=4,
    claim_sizes=(1_000, 5_000, 20_000),
    claims=10,
    record_calls=50,
    record_bulks=3,
    idle_seconds=3.0,
    held_events=5_000,
    held_rounds=1,
)


def run(figures: Figures, machine: Machine, python: str, extent: Extent, *, only: str) -> None:
    """All measurements, or those whose name begins with `only`."""
    subscriptions.replace_all()
    outbox = Outbox(machine)
    urls = peer_contenders.prepare(machine, python)

    def half_load() -> float:
        rates = [row.value for row in figures.rows if (row.figure, row.system) == ("handler_per_s", "flowledger")]
        return rates[0] / 2 if rates else 100.0

    parts: dict[str, Callable[[], None]] = {
        "recording": lambda: recording_cost.measure(
            figures, outbox, calls=extent.record_calls, bulks=extent.record_bulks
        ),
        "throughput": lambda: throughput.measure(figures, outbox, python, urls, extent.throughput),
        "fairness": lambda: fairness.measure(figures, outbox, pending=extent.fair_pending, samples=extent.fair_samples),
        "latency": lambda: latency.measure(
            figures, outbox, python, urls, samples=extent.latency_samples, half_load=half_load()
        ),
        "idle": lambda: idle.measure_idle(figures, outbox, seconds=extent.idle_seconds),
        "held": lambda: idle.measure_held_snapshot(
            figures, outbox, events=extent.held_events, rounds=extent.held_rounds
        ),
        "claims": lambda: claims.measure(figures, outbox, sizes=extent.claim_sizes, claims=extent.claims),
    }
    for name, measure in parts.items():
        if name.startswith(only):
            print(f"== {name}", flush=True)
            began = time.monotonic()
            measure()
            print(f"   {name}: {time.monotonic() - began:.0f} s", flush=True)
