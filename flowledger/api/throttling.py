"""Request limits: sliding one-minute windows in Redis, all of a request's counters in one round trip.

A limit guards the service against one loud caller; it is no lock. When Redis is away, requests pass.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import redis
from django.conf import settings
from rest_framework.exceptions import Throttled
from rest_framework.request import Request
from rest_framework.throttling import BaseThrottle

from flowledger.outbox.broker import ask_redis

WINDOW_SECONDS = 60

# KEYS: one hash per counter. ARGV: now in milliseconds, then one limit per key. The window slides by weighing the
# previous minute with the share of it that still lies inside. Counts only when every limit allows the request.
# Answers milliseconds to wait, 0 when allowed.
SCRIPT = f"""
local now, window, wait = tonumber(ARGV[1]), {WINDOW_SECONDS * 1000}, 0
local minute = math.floor(now / window)
local passed = now - minute * window
for i, key in ipairs(KEYS) do
    local limit = tonumber(ARGV[i + 1])
    local row = redis.call('HMGET', key, 'minute', 'count', 'before')
    local at, count, before = tonumber(row[1] or -2), tonumber(row[2] or 0), tonumber(row[3] or 0)
    if at == minute - 1 then before, count = count, 0 elseif at ~= minute then before, count = 0, 0 end
    if before * (window - passed) / window + count + 1 > limit then
        local pause
        if count + 1 <= limit then
            pause = window - passed - (limit - count - 1) * window / before
        else
            pause = window - passed + math.max(0, window - (limit - 1) * window / count)
        end
        wait = math.max(wait, math.ceil(pause), 1)
    end
end
if wait == 0 then
    for i, key in ipairs(KEYS) do
        local at = tonumber(redis.call('HGET', key, 'minute') or -2)
        if at == minute - 1 then
            redis.call('HSET', key, 'before', redis.call('HGET', key, 'count') or 0, 'count', 0, 'minute', minute)
        elseif at ~= minute then
            redis.call('HSET', key, 'before', 0, 'count', 0, 'minute', minute)
        end
        redis.call('HINCRBY', key, 'count', 1)
        redis.call('PEXPIRE', key, 2 * window)
    end
end
return wait
"""
_SCRIPT_SHA = hashlib.sha1(SCRIPT.encode(), usedforsecurity=False).hexdigest()


@dataclass(frozen=True)
class Limit:
    """One counter of a request: whose it is, and how many requests a minute it allows."""

    name: str
    per_minute: int


def require_within(limits: Sequence[Limit]) -> None:
    """Count the request, or raise Throttled with the seconds to wait. A limit of zero requests is switched off."""
    active = [limit for limit in limits if limit.per_minute > 0]
    if not active:
        return
    keys = [f"flowledger:throttle:{limit.name}" for limit in active]
    numbers = [int(time.time() * 1000), *(limit.per_minute for limit in active)]
    wait = ask_redis("throttle", lambda client: _run(client, keys, numbers), otherwise=0)
    if wait > 0:
        raise Throttled(wait=wait / 1000)


def _run(client: redis.Redis, keys: list[str], numbers: list[int]) -> int:
    arguments: list[Any] = [*keys, *numbers]
    try:
        answer: Any = client.evalsha(_SCRIPT_SHA, len(keys), *arguments)
    except redis.exceptions.NoScriptError:
        answer = client.eval(SCRIPT, len(keys), *arguments)
    return int(answer)


def address_of(request: Request) -> str:
    """The caller's network address, as far as trusted proxies (NUM_PROXIES) tell it."""
    return str(BaseThrottle().get_ident(request))


def address_limit(request: Request) -> Limit:
    """The counter of the caller's address."""
    return Limit(f"address:{address_of(request)}", settings.API_THROTTLES["address"])


def caller_limit(org_id: int, name: str) -> Limit:
    """The counter of an authenticated caller, by its principal's name."""
    kind = "key" if name.startswith("api_key:") else "user"
    # A person has one allowance, a key belongs to its organisation anyway.
    owner = f"{org_id}:{name}" if kind == "key" else name
    return Limit(f"{kind}:{owner}", settings.API_THROTTLES[kind])


def login_limit(request: Request, username: str) -> Limit:
    """The counter of sign-in attempts for one name from one address."""
    return Limit(f"login:{address_of(request)}:{username.lower()[:150]}", settings.API_THROTTLES["login"])
