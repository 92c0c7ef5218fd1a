"""The application's Celery with the fault tests' events and handlers: `celery -A tests.faults.worker worker`.

FAULT_KNOWS_LOST=false makes it an older release that does not know one of the events, FAULT_MEMORY_MB limits what a
process of the pool may have beyond what it started with.
"""

import os
import resource
from pathlib import Path
from typing import Any

from celery import signals

from flowledger.celery import app
from tests.faults.parcels import declare_events, directory, subscribe_handlers

__all__ = ["app"]

_lost = os.environ.get("FAULT_KNOWS_LOST", "true") == "true"
_limits = {
    name: float(os.environ[f"FAULT_{name.upper()}"])
    for name in ("soft_seconds", "hard_seconds")
    if f"FAULT_{name.upper()}" in os.environ
}

declare_events(lost=_lost)
subscribe_handlers(lost=_lost, **_limits)


@signals.worker_process_init.connect
def _leave_mark(**kwargs: Any) -> None:
    """Tell the test which processes are the pool's."""
    (directory() / f"pool-{os.getppid()}-{os.getpid()}").touch()


@signals.worker_process_init.connect
def _limit_memory(**kwargs: Any) -> None:
    if megabytes := os.environ.get("FAULT_MEMORY_MB"):
        used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
        limit = used + int(megabytes) * 1024 * 1024
        resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
