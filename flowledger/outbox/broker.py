"""The small Redis client of wake-ups and heartbeats: never waits long, and leaves a silent Redis alone for a while."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from functools import cache
from typing import TypeVar

import redis
import structlog
from django.conf import settings
from redis.backoff import NoBackoff
from redis.retry import Retry

T = TypeVar("T")

log = structlog.get_logger(__name__)

# A request that wakes a worker must not feel a Redis that is down: this bounds the cost of finding out …
_SOCKET_SECONDS = 0.05
# … and for so long nobody tries again.
_SILENCE_SECONDS = 3.0
_LOG_EVERY_SECONDS = 60.0

_lock = threading.Lock()
_silent_until = 0.0
_logged_at = float("-inf")


@cache
def impatient_client(url: str, *, seconds: float) -> redis.Redis:
    """A client that tries once and waits no longer than `seconds` for a connection or an answer."""
    return redis.Redis.from_url(
        url,
        socket_timeout=seconds,
        socket_connect_timeout=seconds,
        # The library's own default is three more tries.
        retry=Retry(NoBackoff(), 0),
        decode_responses=True,
    )


def ask_redis(what: str, question: Callable[[redis.Redis], T], *, otherwise: T) -> T:
    """The answer of Redis, or `otherwise` when it is down; never raises and never takes a tenth of a second.

    After a failure nobody asks for three seconds; a failure is logged at most once a minute.
    """
    if is_silent():
        return otherwise
    try:
        return question(impatient_client(settings.CACHE_URL, seconds=_SOCKET_SECONDS))
    except (redis.RedisError, OSError) as error:
        note_failure(what, error)
        return otherwise


def note_failure(what: str, error: BaseException) -> None:
    """Leave the broker alone for a while, and say so now and then."""
    global _silent_until, _logged_at
    now = time.monotonic()
    with _lock:
        _silent_until = now + _SILENCE_SECONDS
        if now - _logged_at < _LOG_EVERY_SECONDS:
            return
        _logged_at = now
    log.warning("broker unreachable", doing=what, error=f"{type(error).__name__}: {error}")


def is_silent() -> bool:
    """Whether Redis failed a moment ago and is left alone."""
    return time.monotonic() < _silent_until


def ask_again() -> None:
    """Forget that the broker was silent, so that the next question is really asked."""
    global _silent_until
    _silent_until = 0.0
