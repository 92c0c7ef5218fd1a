"""From commit to handler start: Poisson arrivals, the start stamped as the first thing in the handler.

Figures latency_ms (load, stat p50, p95, p99, max; nudge=lost where no nudge is sent): from the call of the commit, so
the time of the commit itself is in it; latency_after_commit_ms: from its return. Loads: idle; half, which is half of
what the three writes were measured at (`handler_per_s`), recorded meanwhile by another process. pgqueuer is measured
from the call of its producer's commit, procrastinate and Celery from the call that defers or sends.
"""

from __future__ import annotations

import time
from collections.abc import Sequence

from django.test import override_settings

from tests.bench.figures import Figures, quantile
from tests.bench.outbox.flowledger_contender import Outbox
from tests.bench.outbox.load import ACCOUNTS
from tests.bench.outbox.machine import Machine, end, wait_for
from tests.bench.outbox.peer_contenders import PEER, celery_command, celery_environment
from tests.bench.outbox.peers.signs import READY, STAMPS, TALLIES, read_stamps
from tests.bench.outbox.producing import Commit, arrivals, commit_ping, load_command, read_commits

RATE = 10.0
STATS = (("p50", 0.50), ("p95", 0.95), ("p99", 0.99), ("max", 1.0))


def measure(
    figures: Figures, outbox: Outbox, python: str, urls: dict[str, str], *, samples: int, half_load: float
) -> None:
    _idle(figures, outbox, samples)
    _half_loaded(figures, outbox, samples, half_load)
    _nudge_lost(figures, outbox, max(samples // 4, 20))
    for system in ("pgqueuer", "procrastinate", "celery"):
        _peer(figures, outbox.machine, python, urls[system], system, samples)


def _idle(figures: Figures, outbox: Outbox, samples: int) -> None:
    outbox.empty()
    with outbox.workers(2, beat=True), override_settings(OUTBOX_WAKE=True):
        _warm_up(outbox)
        commits = arrivals(samples, RATE, lambda number: commit_ping(_org(outbox, number), number))
        _add(figures, "flowledger", commits, _starts(outbox, commits), load="idle")


def _half_loaded(figures: Figures, outbox: Outbox, samples: int, rate: float) -> None:
    outbox.empty()
    outbox.empty_tables_of_handler(ACCOUNTS)
    with outbox.workers(2, beat=True), override_settings(OUTBOX_WAKE=True):
        _warm_up(outbox)
        producer = outbox.machine.spawn(
            load_command(rate, outbox.org_ids), environment={"OUTBOX_WAKE": "true"}, log="load"
        )
        try:
            time.sleep(3)
            # An organisation of its own would jump the queue; these wait among the others' events.
            commits = arrivals(samples, RATE, lambda number: commit_ping(_org(outbox, number), number))
            starts = _starts(outbox, commits)
        finally:
            end(producer)
        handled, seconds = outbox.done()
        _add(figures, "flowledger", commits, starts, load="half", events_per_s=round(handled / seconds))


def _nudge_lost(figures: Figures, outbox: Outbox, samples: int) -> None:
    outbox.empty()
    # The orchestrating process does not wake: only the beat does.
    with outbox.workers(2, beat=True):
        _warm_up(outbox)
        commits = arrivals(samples, 4.0, lambda number: commit_ping(_org(outbox, number), number))
        _add(figures, "flowledger", commits, _starts(outbox, commits), load="idle", nudge="lost")


def _warm_up(outbox: Outbox) -> None:
    """Both processes have their connections and plans; numbers below zero are not counted."""
    for number in range(1, 21):
        commit_ping(_org(outbox, number), -number)
        outbox.tick(2)
        time.sleep(0.05)
    wait_for("the first events", lambda: len(read_stamps(outbox.stamps)) >= 20, seconds=60)


def _org(outbox: Outbox, number: int) -> int:
    return outbox.org_ids[number % len(outbox.org_ids)]


def _starts(outbox: Outbox, commits: dict[int, Commit]) -> dict[int, float]:
    def all_started() -> dict[int, float] | None:
        starts = read_stamps(outbox.stamps)
        return starts if commits.keys() <= starts.keys() else None

    starts: dict[int, float] = wait_for("the last handlers to start", all_started, seconds=120)
    return starts


def _peer(figures: Figures, machine: Machine, python: str, url: str, system: str, samples: int) -> None:
    stamps, ready = machine.directory / "stamps-of-peer", machine.directory / "peer-ready"
    stamps.unlink(missing_ok=True)
    ready.unlink(missing_ok=True)
    environment = {STAMPS: str(stamps), READY: str(ready), TALLIES: str(machine.directory)}
    module = [python, "-m", f"{PEER}.{system}_peer"]
    if system == "celery":
        environment |= celery_environment(machine, url)
        servers = [celery_command(python, "prefork", 2, 0)]
    else:
        module.append(url)
        servers = [[*module, "serve"], [*module, "serve"]]
    processes = [machine.spawn(command, environment=environment, log=system) for command in servers]
    try:
        wait_for(f"{system} to start", ready.exists, seconds=60)
        time.sleep(1)
        producer = machine.spawn(
            [*module, "produce", str(samples), str(RATE)], environment=environment, log=system, talks=True
        )
        commits = read_commits(producer)
        wait_for(f"{system}'s last start", lambda: len(read_stamps(stamps)) >= samples, seconds=60)
        _add(figures, system, commits, read_stamps(stamps), load="idle")
    finally:
        for process in processes:
            end(process)


def _add(
    figures: Figures, system: str, commits: dict[int, Commit], starts: dict[int, float], **params: str | int
) -> None:
    since_call = [starts[number] - commit.called for number, commit in commits.items()]
    # A handler may start before its producer hears that the commit is done.
    since_return = [max(starts[number] - commit.returned, 0.0) for number, commit in commits.items()]
    samples = len(commits)
    _add_stats(figures, "latency_ms", system, since_call, samples, params)
    _add_stats(figures, "latency_after_commit_ms", system, since_return, samples, params)


def _add_stats(
    figures: Figures, figure: str, system: str, seconds: Sequence[float], samples: int, params: dict[str, str | int]
) -> None:
    for stat, share in STATS:
        figures.add(figure, 1000 * quantile(seconds, share), "ms", system=system, stat=stat, **params, samples=samples)
