"""A process that looks for work by itself while the worker that started it hears nothing from Redis.

PostgreSQL alone is enough to deliver: Redis only says when to look. The stand-in is forked from the worker's main
process, as the processes of its pool are, and ends with the first tick, with its worker, or with its shutdown.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Sequence
from typing import Any

import structlog
from billiard.context import Process  # type: ignore[import-untyped]
from celery import Celery
from celery.concurrency.prefork import process_initializer
from django.db import DatabaseError, connections

from flowledger.outbox import shutdown
from flowledger.outbox.conf import OutboxSettings
from flowledger.outbox.wake import DRAIN_TASK, EMAIL_TASK

log = structlog.get_logger(__name__)

# One turn: a stand-in that is no longer needed is gone after it.
_TURN_SECONDS = 2.0
_PATIENCE_SECONDS = 5.0
_dismissed = False


class StandIn:
    """At most one such process of one worker; used by its main thread only."""

    def __init__(self, app: Celery, hostname: str, tasks: Sequence[str]) -> None:
        self._app = app
        self._hostname = hostname
        self._tasks = tuple(tasks)
        self._process: Any = None

    def work(self) -> None:
        """Have it at work: start it, and start it again when what it handled has killed it."""
        if not self._tasks or shutdown.requested() or (self._process is not None and self._process.is_alive()):
            return
        log.warning("worker goes on without the broker")
        self._process = Process(target=_work, args=(self._app, self._hostname, self._tasks, os.getpid()), daemon=True)
        self._process.start()

    def dismiss(self, *, wait: bool = False) -> None:
        """Let it finish the event in hand and go."""
        if self._process is None:
            return
        if self._process.is_alive():
            self._process.terminate()
            if not wait:
                return
            self._process.join(_PATIENCE_SECONDS)
        self._process = None


def _work(app: Celery, hostname: str, tasks: Sequence[str], worker: int) -> None:
    process_initializer(app, hostname)
    signal.signal(signal.SIGTERM, _note_dismissal)
    pause = OutboxSettings.read().tick_seconds
    while not _is_over(worker):
        for task in tasks:
            try:
                _TURNS[task]()
            except DatabaseError as error:
                log.warning("the database is away too", error=str(error))
                connections.close_all()
        until = time.monotonic() + pause
        while time.monotonic() < until and not _is_over(worker):
            time.sleep(0.1)
    connections.close_all()


def _is_over(worker: int) -> bool:
    return _dismissed or shutdown.requested() or os.getppid() != worker


def _note_dismissal(number: int, frame: Any) -> None:
    global _dismissed
    _dismissed = True


def _drain() -> None:
    from flowledger.outbox.drain import DrainLimits, drain

    drain(DrainLimits(batch_size=OutboxSettings.read().batch_size, seconds=_TURN_SECONDS))


def _send_emails() -> None:
    from flowledger.outbox.emails import send_outgoing_emails

    send_outgoing_emails()


_TURNS = {DRAIN_TASK: _drain, EMAIL_TASK: _send_emails}
