"""Waking a worker after a commit: one nudge per burst, never an error, never inside the transaction.

A nudge says "go and look" and carries nothing, so losing, doubling or delaying one is harmless: the beat looks every
second anyway.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import cache, partial
from typing import Any

from celery import current_app
from django.conf import settings
from django.db import connection, transaction
from kombu.exceptions import LimitExceeded, OperationalError
from kombu.pools import ProducerPool
from redis import Redis, RedisError

from flowledger.outbox import standby
from flowledger.outbox.broker import ask_redis, note_failure
from flowledger.outbox.causes import current_cause
from flowledger.outbox.conf import OutboxSettings

DRAIN_TASK = "flowledger.outbox.tasks.drain"
EMAIL_TASK = "flowledger.outbox.tasks.send_outgoing_emails"

_NUDGE_SECONDS = 5
# What the scripts of `standby` answer.
_RUNG, _CLAIMED = 1, 2
_DEBOUNCE_MILLISECONDS = 50
# Celery's own connections may wait for seconds and try for ever; a request must not.
_HASTE = {"socket_connect_timeout": 0.05, "socket_timeout": 0.05, "retry_on_timeout": False, "max_retries": 0}


def wake() -> None:
    """Nudge a worker towards the outbox once the current transaction is committed; once per transaction."""
    # Inside a handler the drain itself looks again right after.
    if current_cause() is None:
        _after_commit(_wake_outbox)


def wake_outgoing() -> None:
    """Nudge a worker towards the outgoing emails once the current transaction is committed."""
    _after_commit(_wake_outgoing)


def wake_task(task: str) -> None:
    """Nudge a worker towards a task of an app above once the current transaction is committed."""
    _after_commit(_nudging(task))


def nudge(task: str) -> bool:
    """Send a nudge now, unless one is already on its way; answers whether one was sent. Never raises."""
    place = ask_redis("wake", _ring_or_claim if task == DRAIN_TASK else _claim(task), otherwise=0)
    if place != _CLAIMED:
        return place == _RUNG
    try:
        with _producers(os.getpid(), _broker_url()).acquire(block=True, timeout=0.05) as producer:  # type: ignore[no-untyped-call]
            current_app.send_task(task, producer=producer, expires=_NUDGE_SECONDS, ignore_result=True, retry=False)
    except (OperationalError, LimitExceeded, RedisError, OSError) as error:
        note_failure("wake", error)
        return False
    return True


def stand_by() -> standby.Standby:
    """Wait a while for a commit, if nobody else does."""
    return standby.stand_by(_key(DRAIN_TASK))


def heed(task: str) -> None:
    """Take note of a nudge before looking: a commit from here on sends its own."""
    ask_redis("heed", lambda redis: redis.delete(_key(task)), otherwise=0)


def _broker_url() -> str:
    conf = current_app.conf
    return str(conf.broker_write_url or conf.broker_url)


@cache
def _producers(pid: int, url: str) -> ProducerPool:
    """Connections in a hurry, kept per process: a forked one must not share its parent's."""
    connections = current_app.connection_for_write(url, transport_options=_HASTE).Pool(limit=8)
    return ProducerPool(connections, limit=8)  # type: ignore[no-untyped-call]


def _key(task: str) -> str:
    return f"flowledger:nudge:{task}"


@cache
def _nudging(task: str) -> Callable[[], bool]:
    """The same function for the same task, by which it is known."""
    return partial(nudge, task)


def _ring_or_claim(redis: Redis) -> int:
    script = standby.ring_or_claim(settings.CACHE_URL)
    return int(script(keys=[standby.MARK, _key(DRAIN_TASK)], args=[_DEBOUNCE_MILLISECONDS], client=redis))


def _claim(task: str) -> Callable[[Redis], int]:
    return lambda redis: _CLAIMED if redis.set(_key(task), "1", nx=True, px=_DEBOUNCE_MILLISECONDS) else 0


def _wake_outbox() -> None:
    nudge(DRAIN_TASK)


def _wake_outgoing() -> None:
    nudge(EMAIL_TASK)


def _after_commit(wake_up: Any) -> None:
    if not OutboxSettings.read().wake:
        return
    # Django forgets the entries of a savepoint that is rolled back, so its own list is the only honest memory.
    if not any(entry[1] is wake_up for entry in connection.run_on_commit):
        transaction.on_commit(wake_up, robust=True)
