"""The watch over one drain: keeps the lease of the batch in hand alive and ends handlers that take too long."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
import traceback
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from types import FrameType, TracebackType
from typing import Any, NamedTuple, Self
from uuid import UUID

import structlog
from django.db import DatabaseError, connection

from flowledger.outbox import sql
from flowledger.outbox.conf import OutboxSettings
from flowledger.outbox.registry import Handler, handlers
from flowledger.tenancy.scope import system_scope

log = structlog.get_logger(__name__)

_SIGNAL = signal.SIGALRM
_RING_SECONDS = 0.5


class HandlerTimedOut(KeyboardInterrupt):
    """The handler took longer than its soft limit.

    An interrupt and not an Exception: a handler that catches everything must not catch this, and the database driver
    cancels the running statement for interrupts only.
    """


class _Call(NamedTuple):
    """A handler at work with some events."""

    handler: Handler
    events: Sequence[sql.ClaimedEvent]
    started: float
    soft: float
    hard: float


class Watch:
    """A context manager around a drain; one batch is in its hands at a time.

    The lease is renewed by a thread with a database connection of its own. At a soft limit the thread sends a signal,
    because only a signal interrupts a handler wherever it is; outside of a process's main thread there are none. Beyond
    its hard limit a handler cannot be ended, so the process is, after the thread has put the culprit into the lane
    where events are tried alone and given back the others.
    """

    def __init__(self) -> None:
        conf = OutboxSettings.read()
        self._renew_seconds = conf.renew_seconds
        self._crash_limit = conf.crash_limit
        self._soft = conf.soft_seconds
        self._hard = conf.hard_seconds
        limits = [conf.soft_seconds, *(each.soft_seconds for each in handlers() if each.soft_seconds)]
        limits += [conf.hard_seconds, *(each.hard_seconds for each in handlers() if each.hard_seconds)]
        self._tick = min(1.0, self._renew_seconds, min(limits) / 4)
        self._call: _Call | None = None
        self._held: tuple[UUID, set[int]] | None = None
        self._renew_at = 0.0
        self._left = threading.Event()
        self._thread: threading.Thread | None = None
        self._drain_thread = threading.get_ident()
        self._listens = False
        self._previous: Any = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._left.set()
        if self._thread is not None:
            self._thread.join(timeout=10)
            self._stop_listening()

    @contextmanager
    def hold(self, token: UUID, open_ids: set[int]) -> Iterator[None]:
        """Keep the lease of these events; those that the drain takes out of the set meanwhile are left alone."""
        self._renew_at = time.monotonic() + self._renew_seconds
        self._held = (token, open_ids)
        if self._thread is None:
            # Only now: most ticks find nothing to do.
            self._thread = threading.Thread(target=self._keep, name="outbox-watch", daemon=True)
            self._thread.start()
            self._listen()
        try:
            yield
        finally:
            self._held = None

    def begin(self, handler: Handler, events: Sequence[sql.ClaimedEvent]) -> float:
        """A handler starts; answers when, on the clock of `time.monotonic`."""
        started = time.monotonic()
        self._call = _Call(
            handler, events, started, handler.soft_seconds or self._soft, handler.hard_seconds or self._hard
        )
        return started

    def end(self) -> None:
        """The handler has ended, in whatever way."""
        self._call = None

    # --- soft limits: in the drain's own thread ---

    def _listen(self) -> None:
        if threading.current_thread() is threading.main_thread():
            self._previous = signal.signal(_SIGNAL, self._ring)
            self._listens = True

    def _stop_listening(self) -> None:
        if self._listens:
            self._listens = False
            signal.signal(_SIGNAL, self._previous or signal.SIG_DFL)

    def _ring(self, number: int, frame: FrameType | None) -> None:
        call = self._call
        if call is not None and time.monotonic() - call.started > call.soft:
            # It rings once; the hard limit is for what goes on all the same.
            self._call = call._replace(soft=float("inf"))
            raise HandlerTimedOut(f"It took longer than its limit of {call.soft:g} s.")

    # --- leases and hard limits: in the watch's thread ---

    def _keep(self) -> None:
        ring_at = 0.0
        try:
            while not self._left.wait(self._tick):
                call, held = self._call, self._held
                age = time.monotonic() - call.started if call else 0.0
                if call and age > call.hard:
                    self._end_process(call)
                if call and age > call.soft and self._listens and time.monotonic() >= ring_at:
                    # To that thread, not to the process: a wait in C code notices only a signal of its own. Not again
                    # at once: the driver looks for signals every tenth of a second, and each one starts that anew.
                    signal.pthread_kill(self._drain_thread, _SIGNAL)
                    ring_at = time.monotonic() + _RING_SECONDS
                if held is not None and time.monotonic() >= self._renew_at:
                    self._renew(*held)
        finally:
            connection.close()

    def _renew(self, token: UUID, open_ids: set[int]) -> None:
        """A renewal that fails is tried again soon: a lease that runs out meanwhile costs one more delivery, and the
        token keeps this worker from completing anything."""
        try:
            with system_scope("outbox lease renewal"):
                sql.renew_event_lease(token=token, ids=sorted(open_ids))
            self._renew_at = time.monotonic() + self._renew_seconds
        except (DatabaseError, RuntimeError) as error:
            # RuntimeError: the set changed while it was being sorted.
            log.warning("lease not renewed", token=str(token), error=str(error))
            connection.close()

    def _end_process(self, call: _Call) -> None:
        message = f"{call.handler.name} took longer than {call.hard:g} s and could not be interrupted."
        frame = sys._current_frames().get(self._drain_thread)
        stack = "".join(traceback.format_stack(frame)) if frame else ""
        culprits = [event.id for event in call.events]
        log.critical("handler ends its worker", handler=call.handler.name, event_ids=culprits, seconds=call.hard)
        try:
            with system_scope("outbox hard limit"):
                self._put_back(call, culprits, sql.Failure(call.handler.name, message, stack[-20_000:]))
        except DatabaseError as error:
            # The leases do it then, a few minutes later.
            log.warning("events not given back", error=str(error))
        os.kill(os.getpid(), signal.SIGKILL)

    def _put_back(self, call: _Call, culprits: list[int], failure: sql.Failure) -> None:
        if self._held is None:
            return
        token, open_ids = self._held
        sql.crash(token=token, ids=culprits, error=f"{failure.handler}: {failure.error}", crash_limit=self._crash_limit)
        sql.give_back(token=token, ids=sorted(set(open_ids) - set(culprits)))
        for event in call.events:
            sql.keep_failures(org_id=event.org_id, event_id=event.id, attempt=event.attempts, failures=[failure])
