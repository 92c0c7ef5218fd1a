"""What the outbox costs when nothing happens, and what an old snapshot costs it when much does.

Figures idle_queries_per_s (statements of all sessions, from the server's own log), idle_cpu_percent (of one core; part
worker, beat, postgres, redis, all), with a worker of two processes and the beat; held_snapshot_ratio: the rate of
draining no-op events while another session holds a snapshot from before, over the rate without.
"""

from __future__ import annotations

import os
import subprocess
import time
from pathlib import Path
from statistics import median

from tests.bench.figures import Figures
from tests.bench.outbox.contenders import Round
from tests.bench.outbox.flowledger_contender import FlowLedger, Outbox

TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")
SETTLING_SECONDS = 5.0


def measure_idle(figures: Figures, outbox: Outbox, *, seconds: float) -> None:
    outbox.empty()
    outbox.machine.settle(outbox.database_url)
    with outbox.workers(2, beat=True) as (worker, beat):
        outbox.tick(2)
        time.sleep(SETTLING_SECONDS)
        parts = {
            "worker": [worker.pid],
            "beat": [beat.pid],
            "postgres": [outbox.machine.servers.postgres.pid or 0],
            "redis": [outbox.machine.servers.redis.pid or 0],
        }
        before = {part: _cpu_seconds(pids) for part, pids in parts.items()}
        began = time.monotonic()
        time.sleep(seconds)
        passed = time.monotonic() - began
        used = {part: 100 * (_cpu_seconds(pids) - before[part]) / passed for part, pids in parts.items()}
        statements = _count_statements(outbox, seconds)
    figures.add("idle_queries_per_s", statements, "statements/s", procs=2)
    for part, percent in {**used, "all": sum(used.values())}.items():
        figures.add("idle_cpu_percent", percent, "% of a core", part=part, procs=2)


def measure_held_snapshot(figures: Figures, outbox: Outbox, *, events: int, rounds: int) -> None:
    contender = FlowLedger(outbox, work="noop", procs=2, events=events)
    rates: dict[bool, list[float]] = {True: [], False: []}
    for _ in range(rounds):
        for held in (False, True):
            rates[held].append((_run_held(outbox, contender) if held else contender.run()).per_second)
            print(f"   snapshot held={held}: {rates[held][-1]:,.0f}/s", flush=True)
    free, held_rate = median(rates[False]), median(rates[True])
    figures.add("held_snapshot_ratio", held_rate / free, "x", events=events, procs=2, rounds=rounds)
    figures.add("held_snapshot_per_s", held_rate, "events/s", events=events, held=True, procs=2)
    figures.add("held_snapshot_per_s", free, "events/s", events=events, held=False, procs=2)


def _run_held(outbox: Outbox, contender: FlowLedger) -> Round:
    """A session that has read something before the backlog was written, and keeps its view to the end."""
    contender.outbox.empty()
    with outbox.machine.connect(outbox.database_url) as reader:
        reader.execute("BEGIN ISOLATION LEVEL REPEATABLE READ")
        reader.execute("SELECT count(*) FROM tenancy_organization")
        done = contender.run()
        reader.execute("ROLLBACK")
    return done


def _count_statements(outbox: Outbox, seconds: float) -> float:
    """Statements per second in a window of its own: logging them costs."""
    log = outbox.machine.servers.postgres.log
    admin = outbox.machine.admin
    admin.execute("ALTER SYSTEM SET log_statement = 'all'")
    admin.execute("SELECT pg_reload_conf()")
    time.sleep(1)
    before = _logged(log)
    time.sleep(seconds)
    after = _logged(log)
    admin.execute("ALTER SYSTEM RESET log_statement")
    admin.execute("SELECT pg_reload_conf()")
    return (after - before) / seconds


def _logged(log: Path) -> int:
    """Statements in the log; every one begins with its kind, in the simple and in the extended protocol."""
    text = log.read_text(errors="replace")
    return text.count("LOG:  statement: ") + text.count("LOG:  execute ")


def _cpu_seconds(pids: list[int]) -> float:
    """Of processes and all their descendants that live."""
    found = subprocess.run(["ps", "-eo", "pid=,ppid="], capture_output=True, text=True, check=True).stdout
    children: dict[int, list[int]] = {}
    for line in found.splitlines():
        pid, parent = map(int, line.split())
        children.setdefault(parent, []).append(pid)
    queue, total = list(pids), 0.0
    while queue:
        pid = queue.pop()
        queue += children.get(pid, [])
        try:
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue
        total += (int(fields[11]) + int(fields[12])) / TICKS_PER_SECOND
    return total
