"""Throughput of all systems: rounds interleaved, so that a noisy minute hits all; medians, and ratios of medians.

Figures: noop_per_s and handler_per_s, the best configuration of each system with the parameters procs, config, rounds,
min, max (FlowLedger has a second row: handler=batch); noop_of_config_per_s and handler_of_config_per_s, every
configuration that was tried; wal_bytes_per_event (procs=2, no-op); ratio (versus, procs, of: the figure).
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass, field
from statistics import median

from tests.bench.figures import Figures
from tests.bench.outbox.contenders import Contender, Round, Work
from tests.bench.outbox.flowledger_contender import FlowLedger, Outbox
from tests.bench.outbox.peer_contenders import CeleryRedis, PgQueuer, Procrastinate, Raw

SEED = 3


@dataclass(frozen=True)
class Sizes:
    """Backlogs per round: smaller for the slow, so that every round takes seconds."""

    rounds: int = 5
    procs: tuple[int, ...] = (2, 1)
    noop: int = 100_000
    procrastinate: int = 5_000
    celery: int = 10_000
    handler: int = 10_000
    procrastinate_handler: int = 3_000
    celery_handler: int = 3_000


@dataclass
class Series:
    """All rounds of one contender."""

    contender: Contender
    rounds: list[Round] = field(default_factory=list)

    @property
    def rates(self) -> list[float]:
        return [each.per_second for each in self.rounds]

    @property
    def rate(self) -> float:
        return median(self.rates)


def measure(figures: Figures, outbox: Outbox, python: str, urls: dict[str, str], sizes: Sizes) -> None:
    noop = _run_rounds(_noop_contenders(outbox, python, urls, sizes), sizes.rounds)
    _add(figures, "noop", noop)
    for series in noop:
        if series.contender.procs == 2 and series.contender.system != "celery":
            wal = median(each.wal_bytes / each.events for each in series.rounds)
            contender = series.contender
            figures.add("wal_bytes_per_event", wal, "bytes", system=contender.system, procs=2, config=contender.config)
    handler = _run_rounds(_handler_contenders(outbox, python, urls, sizes), sizes.rounds)
    _add(figures, "handler", handler)


def _noop_contenders(outbox: Outbox, python: str, urls: dict[str, str], sizes: Sizes) -> list[Contender]:
    machine = outbox.machine
    contenders: list[Contender] = []
    for procs in sizes.procs:
        contenders += [
            FlowLedger(outbox, work="noop", procs=procs, events=sizes.noop),
            Raw(machine, python, urls["raw"], work="noop", procs=procs, events=sizes.noop),
            *(
                PgQueuer(machine, python, urls["pgqueuer"], procs=procs, events=sizes.noop, batch=batch)
                for batch in (100, 500)
            ),
            FlowLedger(outbox, work="noop", procs=procs, events=sizes.noop, handler="batch"),
            *(_procrastinate(outbox, python, urls, procs, "noop", sizes.procrastinate)),
            *(_celery(outbox, python, urls, procs, "noop", sizes.celery)),
        ]
    return contenders


def _handler_contenders(outbox: Outbox, python: str, urls: dict[str, str], sizes: Sizes) -> list[Contender]:
    return [
        FlowLedger(outbox, work="handler", procs=2, events=sizes.handler),
        *_procrastinate(outbox, python, urls, 2, "handler", sizes.procrastinate_handler),
        *_celery(outbox, python, urls, 2, "handler", sizes.celery_handler),
    ]


def _procrastinate(
    outbox: Outbox, python: str, urls: dict[str, str], procs: int, work: Work, events: int
) -> list[Contender]:
    return [
        Procrastinate(
            outbox.machine, python, urls["procrastinate"], work=work, procs=procs, events=events, concurrency=each
        )
        for each in (5, 10)
    ]


def _celery(outbox: Outbox, python: str, urls: dict[str, str], procs: int, work: Work, events: int) -> list[Contender]:
    return [
        CeleryRedis(outbox.machine, python, urls["celery"], work=work, procs=procs, events=events, pool=pool)
        for pool in ("prefork", "solo")
    ]


def _run_rounds(contenders: Sequence[Contender], rounds: int) -> list[Series]:
    all_series = [Series(contender) for contender in contenders]
    chance = random.Random(SEED)
    for number in range(1, rounds + 1):
        # A new order each round: nobody is always the one after the same neighbour.
        for series in chance.sample(all_series, len(all_series)):
            series.rounds.append(series.contender.run())
            print(f"   round {number}: {series.contender.label}: {series.rates[-1]:,.0f}/s", flush=True)
    return all_series


def _add(figures: Figures, work: Work, all_series: Sequence[Series]) -> None:
    best: dict[tuple[str, int], Series] = {}
    for series in all_series:
        contender = series.contender
        key = contender.system, contender.procs
        if contender.system == "flowledger":
            handler = contender.config.removeprefix("handler=")
            _add_row(figures, f"{work}_per_s", series, handler=handler)
            if handler == "single":
                best[key] = series
            continue
        _add_row(figures, f"{work}_of_config_per_s", series, config=contender.config)
        if key not in best or series.rate > best[key].rate:
            best[key] = series
    for (system, _), series in best.items():
        if system != "flowledger":
            _add_row(figures, f"{work}_per_s", series, config=series.contender.config)
    for (system, procs), series in best.items():
        ours = best["flowledger", procs]
        if system != "flowledger":
            figures.add("ratio", ours.rate / series.rate, "x", versus=system, procs=procs, of=f"{work}_per_s")


def _add_row(figures: Figures, figure: str, series: Series, **params: str) -> None:
    figures.add(
        figure,
        series.rate,
        "events/s",
        system=series.contender.system,
        procs=series.contender.procs,
        **params,
        rounds=len(series.rounds),
        min=round(min(series.rates)),
        max=round(max(series.rates)),
    )
