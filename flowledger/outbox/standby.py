"""Standing by: one drain that found nothing waits for the next commit instead of ending.

A commit wakes it through Redis, which takes a tenth of what Celery needs from sending to start. One drain of the whole
installation stands by at a time, marked in Redis under a key that ends by itself; who nudges takes the mark away, so a
burst wakes it once, and who finds no mark sends a tick as ever. Losing mark or wake-up is harmless: the beat looks.
"""

from __future__ import annotations

import time
from enum import Enum
from functools import cache

import redis
from django.conf import settings
from redis.commands.core import Script

from flowledger.outbox import shutdown
from flowledger.outbox.broker import impatient_client, is_silent, note_failure

MARK = "flowledger:standby"
BELL = "flowledger:standby:bell"
# A drain stands by for so long, then makes room for what else its worker has to do.
STANDBY_SECONDS = 2.0
# So often it looks whether its worker shuts down. What is marked for longer than that has died.
_LOOK_SECONDS = 0.5
_MARK_MILLISECONDS = 900
_ANSWER_SECONDS = 0.5

# Nobody else stands by, and no tick is on its way that a worker might have to take here.
_TAKE_PLACE = """
if redis.call('EXISTS', KEYS[2]) == 1 then return 0 end
if redis.call('SET', KEYS[1], ARGV[1], 'NX', 'PX', ARGV[2]) then return 1 end
return 0
"""

_allowed = False


def allow(*, processes: int) -> None:
    """A pool of one process has nobody else for its other work, so nothing in it stands by."""
    global _allowed
    _allowed = processes > 1


class Standby(Enum):
    """How standing by ended."""

    WOKEN = "a commit came"
    OVER = "the time is up"
    ELSEWHERE = "another does it, or nobody can"


def stand_by(tick_key: str) -> Standby:
    """Wait for a commit. Ends at once when another stands by, a tick is on its way, or Redis is away."""
    if not _allowed or shutdown.requested() or is_silent():
        return Standby.ELSEWHERE
    client = impatient_client(settings.CACHE_URL, seconds=_LOOK_SECONDS + _ANSWER_SECONDS)
    until = time.monotonic() + STANDBY_SECONDS
    try:
        while not shutdown.requested() and time.monotonic() < until:
            if not _take_place(settings.CACHE_URL)(keys=[MARK, tick_key], args=["1", _MARK_MILLISECONDS]):
                return Standby.ELSEWHERE
            if client.blpop([BELL], timeout=_LOOK_SECONDS):
                return Standby.WOKEN
            # Gone already when a commit came this moment: then its bell has rung, and the next look hears it.
            client.delete(MARK)
    except (redis.RedisError, OSError) as error:
        note_failure("standby", error)
        return Standby.ELSEWHERE
    return Standby.OVER


@cache
def _take_place(url: str) -> Script:
    return impatient_client(url, seconds=_LOOK_SECONDS + _ANSWER_SECONDS).register_script(_TAKE_PLACE)


# Rings for who stands by (1), else claims the right to send a tick (2), else one is on its way (0).
_RING_OR_CLAIM = f"""
if redis.call('DEL', KEYS[1]) == 1 then
    redis.call('LPUSH', '{BELL}', '1')
    redis.call('PEXPIRE', '{BELL}', 2000)
    return 1
end
if redis.call('SET', KEYS[2], '1', 'NX', 'PX', ARGV[1]) then return 2 end
return 0
"""


@cache
def ring_or_claim(url: str) -> Script:
    """Keys: the mark and the key of the tick; argument: for how many milliseconds the tick counts as on its way."""
    return impatient_client(url, seconds=_ANSWER_SECONDS).register_script(_RING_OR_CLAIM)
