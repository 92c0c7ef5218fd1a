"""The consumer of a worker's main process: it comes back from whatever befalls Redis, and notices when it is deaf.

Celery's own one may stop consuming silently after its broker was away. This one counts on nothing but what arrives:
when no task has arrived for a while although a process of the pool has time, it sends itself a tick through a queue
of its own. The tick arrives: then the beat is dead or other workers were quicker, and the tick has done the beat's
work. It does not arrive: then the consumer is deaf, and connects anew.
"""

from __future__ import annotations

import atexit
import os
import signal
import time
import warnings
from types import FrameType
from typing import Any
from uuid import uuid4

import structlog
from celery import Celery, shared_task, signals
from celery.bootsteps import RUN
from celery.exceptions import CPendingDeprecationWarning
from celery.worker import state
from celery.worker.consumer import Consumer
from celery.worker.loops import asynloop, synloop
from kombu.entity import Exchange, Queue
from kombu.exceptions import OperationalError
from redis import RedisError

from flowledger.outbox.conf import OutboxSettings
from flowledger.outbox.stand_in import StandIn
from flowledger.outbox.wake import DRAIN_TASK, EMAIL_TASK

log = structlog.get_logger(__name__)

LISTEN_TASK = "flowledger.outbox.consumer.listen"
# What a worker of a queue does when nobody else tells it to.
_WORK_OF_QUEUES = {"outbox": DRAIN_TASK, "outgoing": EMAIL_TASK}

_LOOK_SECONDS = 1.0
# Silence of so many ticks, and of this at least, is suspicious …
_SILENT_TICKS = 3
_SILENT_SECONDS = 2.0
# … so long may the own tick take …
_ANSWER_SECONDS = 3.0
# … and after so much silence the broker that takes no tick is taken for gone.
_GONE_SECONDS = 5.0
# The event loop turns at least once a second; Celery's calls to a silent Redis hold it up for six at most (twice the
# `socket_timeout`), but some, when their connection breaks at the wrong moment, for ever.
_STUCK_SECONDS = 8.0
_HOPELESSLY_STUCK_SECONDS = 60.0
_ALARM_SECONDS = 2.0
# Connecting anew has not helped so many times running: a new process may.
_HOPELESS = 5
# Celery waits up to 30 seconds between two tries; the backlog would wait with it.
_RETRY_SECONDS = 1.0
# The event loop waits for the answer, but only in a worker that has nothing to do.
_HASTE = {"socket_connect_timeout": 0.5, "socket_timeout": 0.5, "retry_on_timeout": False, "max_retries": 0}
_OWN_EXCHANGE = "own"
# A queue of a process that is gone must not stay in Redis for ever.
_OWN_QUEUE_SECONDS = 60


@shared_task(name=LISTEN_TASK, ignore_result=True, acks_late=False)
def listen(**kwargs: Any) -> None:
    """Arrive: the own tick of a worker whose queues have no work that could be done in any case."""


class _Stuck(BaseException):
    """Raised by the alarm; no Exception, because what the event loop hangs in tries again after those."""


# Parts of Celery's consumer that nobody here listens to. They speak to Redis too, with an endless patience in which the
# event loop stands still.
_LEFT_OUT = {"without_mingle": True, "without_gossip": True, "without_heartbeat": True}


class SteadyConsumer(Consumer):
    """Celery's consumer with a watch of its own, named by the setting `worker_consumer`."""

    def __init__(self, *args: Any, app: Celery, worker_options: dict[str, Any] | None = None, **kwargs: Any) -> None:
        self.loop = self._turn_until_stuck
        super().__init__(*args, app=app, worker_options={**(worker_options or {}), **_LEFT_OUT}, **kwargs)
        # New for each process: a message for a namesake that died is nobody's.
        name = f"own.{self.hostname}.{uuid4().hex[:12]}"
        self._own_queue = Queue(  # type: ignore[no-untyped-call]
            name,
            Exchange(_OWN_EXCHANGE),  # type: ignore[no-untyped-call]
            routing_key=name,
            expires=_OWN_QUEUE_SECONDS,
        )
        named = set(app.amqp.queues.consume_from)
        app.amqp.queues.select_add(self._own_queue)
        tasks = [task for queue, task in _WORK_OF_QUEUES.items() if queue in named]
        self._own_tasks = tasks or [LISTEN_TASK]
        self._stand_in = StandIn(app, self.hostname, tasks)
        self._silence_seconds = max(_SILENT_SECONDS, _SILENT_TICKS * OutboxSettings.read().tick_seconds)
        self._heard_at = time.monotonic()
        self._asked_at: float | None = None
        self._deaf_times = 0
        self._broker_is_silent = False
        # When the event loop turned; None while it is not meant to.
        self._turned_at: float | None = None
        signals.task_received.connect(self._hear)
        signals.worker_shutting_down.connect(self._dismiss_stand_in)
        # An alarm that rings while the interpreter ends would kill it.
        atexit.register(signal.setitimer, signal.ITIMER_REAL, 0)

    # --- while connected ---------------------------------------------------------------------------------------------

    def register_with_event_loop(self, hub: Any) -> None:
        super().register_with_event_loop(hub)
        self._expect_to_hear()
        self._turned_at = time.monotonic()
        # By a signal, because only that reaches a main thread that is stuck in a system call.
        signal.signal(signal.SIGALRM, self._ring)
        signal.setitimer(signal.ITIMER_REAL, _ALARM_SECONDS, _ALARM_SECONDS)
        # Celery takes it off again when the connection is lost.
        hub.call_repeatedly(_LOOK_SECONDS, self._look)

    def _turn_until_stuck(self, *args: Any) -> None:
        try:
            (asynloop if self.hub else synloop)(*args)
        except _Stuck as stuck:
            self.hub.reset()
            raise ConnectionError("The event loop was stuck.") from stuck

    def _hear(self, sender: Any = None, **kwargs: Any) -> None:
        self._heard_at = time.monotonic()
        self._asked_at = None
        self._deaf_times = 0

    def _expect_to_hear(self) -> None:
        self._heard_at = time.monotonic()
        self._asked_at = None

    def _look(self) -> None:
        """Called by the event loop; raises a connection error when the consumer is deaf, so that it connects anew."""
        if self.blueprint.state != RUN:
            # While the pool finishes what it has, the timers go on, and nothing is to be heard any more.
            return
        self._stand_in.dismiss()
        now = self._turned_at = time.monotonic()
        signals.heartbeat_sent.send(sender=self)
        if len(state.active_requests) >= self.pool.num_processes:
            # What it could hear now, nobody could do.
            self._expect_to_hear()
        elif self._asked_at is not None:
            if now - self._asked_at > _ANSWER_SECONDS:
                self._connect_anew("A tick of its own did not arrive.")
        elif now - self._heard_at > self._silence_seconds:
            if self._send_own_ticks():
                self._asked_at = now
            elif now - self._heard_at > self._silence_seconds + _GONE_SECONDS:
                self._broker_is_silent = True
                self._connect_anew("The broker answers nothing.")

    def _ring(self, number: int, frame: FrameType | None) -> None:
        """Called by the alarm in the main thread, wherever that is."""
        if self._turned_at is None or self.blueprint.state != RUN:
            return
        stuck = time.monotonic() - self._turned_at
        if stuck > _HOPELESSLY_STUCK_SECONDS:
            log.critical("worker ends, because its event loop is stuck", seconds=round(stuck, 1))
            os._exit(1)
        if stuck > _STUCK_SECONDS:
            where = f"{frame.f_code.co_filename}:{frame.f_lineno}" if frame else ""
            log.error("event loop is stuck", seconds=round(stuck, 1), where=where)
            raise _Stuck

    def _send_own_ticks(self) -> bool:
        try:
            # A connection of its own each time: that the broker takes new ones is half of the question.
            with self.app.connection_for_write(transport_options=_HASTE) as connection:
                for task in self._own_tasks:
                    self.app.send_task(
                        task, connection=connection, queue=self._own_queue, retry=False, ignore_result=True
                    )
        except (OperationalError, RedisError, OSError):
            return False
        return True

    def _connect_anew(self, why: str) -> None:
        asked = self._asked_at is not None
        self._deaf_times += asked
        log.error("worker hears nothing", why=why, seconds=round(time.monotonic() - self._heard_at, 1))
        self._asked_at = None
        self._turned_at = None
        if self._deaf_times >= _HOPELESS:
            log.critical("worker ends, because it goes on hearing nothing", times=self._deaf_times)
            # Celery reads it between two turns of the event loop; the supervisor sees the status.
            state.should_stop = 1
            return
        raise ConnectionError(why)

    def stop(self) -> None:
        # An alarm during the interpreter's last moments, when nobody handles it any more, would be its cause of death.
        signal.setitimer(signal.ITIMER_REAL, 0)
        super().stop()

    # --- while not ---------------------------------------------------------------------------------------------------

    def ensure_connected(self, conn: Any) -> Any:
        """As Celery does it, but never more than a second from the next try, and not idle meanwhile."""

        def tell(error: Exception, seconds: float) -> None:
            # The wait grows from one line to the next, so that a long night does not fill the log.
            if self.broker_connection_retry_attempt in (0, 5) or self.broker_connection_retry_attempt % 60 == 0:
                log.error("broker unreachable", error=str(error), tries=self.broker_connection_retry_attempt + 1)
            self.broker_connection_retry_attempt += 1

        self._turned_at = None
        if self._broker_is_silent:
            # Even the first try may take long.
            self._stand_in.work()
        conn = conn.ensure_connection(
            tell,
            self.app.conf.broker_connection_max_retries,
            interval_start=_RETRY_SECONDS,
            interval_step=0,
            interval_max=_RETRY_SECONDS,
            callback=self._wait_disconnected,
        )
        self.first_connection_attempt = False
        self.broker_connection_retry_attempt = 0
        self._broker_is_silent = False
        return conn

    def _wait_disconnected(self) -> None:
        state.maybe_shutdown()
        if time.monotonic() - self._heard_at > self._silence_seconds:
            self._stand_in.work()

    def on_connection_error_after_connected(self, exc: Exception) -> None:
        """Clean up as Celery does, and survive when that trips over the state in which the connection broke."""
        self._turned_at = None
        try:
            with warnings.catch_warnings():
                # Celery would announce its next default each time.
                warnings.simplefilter("ignore", CPendingDeprecationWarning)
                super().on_connection_error_after_connected(exc)
        except Exception:
            # Seen: an AttributeError when unacknowledged messages were to be given back; it would end the worker.
            log.warning("the broken connection was not closed in good order", exc_info=True)
            self.connection = None

    def _dismiss_stand_in(self, **kwargs: Any) -> None:
        self._stand_in.dismiss(wait=True)
