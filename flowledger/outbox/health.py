"""Whether the parts behind the application are alive: for the health endpoint, metrics and the back office."""

from __future__ import annotations

import select
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, TypedDict

import psycopg
from django.db import DatabaseError, InterfaceError, connection
from psycopg.pq import ConnStatus

from flowledger.outbox.broker import ask_redis
from flowledger.outbox.sql import operations as sql
from flowledger.tenancy.models import Organization
from flowledger.tenancy.scope import system_scope

# Seen at least every few seconds; counted as dead when three heartbeats are missing.
HEARTBEAT_SECONDS = 5
HEARTBEAT_LIVES_SECONDS = 16

_HEARTBEATS = "flowledger:heartbeats"
# By Redis's clock, so that the clocks of workers and web processes need not agree. What vanished without a farewell is
# remembered for a week: that is how one sees since when the beat is gone.
_SHOW = """
local now = redis.call('TIME')
redis.call('ZADD', KEYS[1], now[1], ARGV[1])
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', now[1] - 604800)
return 1
"""
_LOOK = """
return {redis.call('TIME')[1], redis.call('ZRANGE', KEYS[1], 0, -1, 'WITHSCORES')}
"""

# A probe waits this long for the database; the load balancer behind it has little patience.
DATABASE_SECONDS = 2
# The health of the outbox is asked by anybody, as often as they like.
_RECENT_SECONDS = 2.0
# Counting dead letters stops here.
MOST_DEAD = 10_000


class ServicesHealth(TypedDict):
    """Which parts are reachable; workers by number, because none is as bad as a broker that is down."""

    database: bool
    broker: bool
    workers: int
    beat: bool


class OutboxHealth(TypedDict):
    """Pending events of all organisations, for how long the one due longest has been due, and the dead-letter list.

    `depth` is counted up to some ten thousands and an estimate beyond; `dead_letters` is counted to 10,000.
    """

    depth: int
    depth_is_estimate: bool
    oldest_age_s: float
    dead_letters: int


class OrganizationOutbox(TypedDict):
    """What waits of one organisation: counted whole, from the view that analysts read."""

    pending: int
    retrying: int
    claimed: int
    dead_letters: int
    oldest_due_seconds: Decimal


@dataclass(frozen=True)
class Seen:
    """When a process showed itself for the last time; alive when that is not long ago."""

    name: str
    at: datetime
    is_alive: bool


@dataclass(frozen=True)
class Heartbeats:
    """Who showed themselves within a week; nobody is seen while the broker is down."""

    broker: bool
    workers: tuple[Seen, ...]
    beat: Seen | None

    @property
    def live_workers(self) -> list[str]:
        """Names of the workers that are alive."""
        return [worker.name for worker in self.workers if worker.is_alive]

    @property
    def beat_is_alive(self) -> bool:
        return self.beat is not None and self.beat.is_alive


def services_health() -> ServicesHealth:
    """Ask every part; never raises. With the broker down no heartbeat can be seen."""
    seen = heartbeats()
    return {
        "database": database_answers(),
        "broker": seen.broker,
        "workers": len(seen.live_workers),
        "beat": seen.beat_is_alive,
    }


# --- the outbox --------------------------------------------------------------------------------------------------

_recent: tuple[float, OutboxHealth] | None = None


def outbox_health() -> OutboxHealth:
    """The backlog now. Raises DatabaseError when the database is gone."""
    with system_scope("outbox health"):
        queue = sql.queue()
        dead = sql.count_dead(at_most=MOST_DEAD)
    return {
        "depth": queue.total(),
        "depth_is_estimate": queue.is_estimate,
        "oldest_age_s": round(queue.oldest_age, 3),
        "dead_letters": dead,
    }


def recent_outbox_health() -> OutboxHealth:
    """The backlog as this process saw it at most two seconds ago: however often it is asked, it costs little."""
    global _recent
    if _recent is None or time.monotonic() - _recent[0] > _RECENT_SECONDS:
        _recent = (time.monotonic(), outbox_health())
    return _recent[1]


def organization_outbox(*, org: Organization) -> OrganizationOutbox:
    """The organisation's own backlog; nought seconds where nothing is due."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT pending, retrying, claimed, dead_letters, coalesce(oldest_due_seconds, 0) "
            "FROM v_outbox_health WHERE org_id = %s",
            [org.pk],
        )
        pending, retrying, claimed, dead, seconds = cursor.fetchone() or (0, 0, 0, 0, Decimal(0))
    return {
        "pending": pending,
        "retrying": retrying,
        "claimed": claimed,
        "dead_letters": dead,
        "oldest_due_seconds": seconds,
    }


def ask_again() -> None:
    """Forget what was seen recently; for tests."""
    global _recent
    _recent = None


# --- heartbeats --------------------------------------------------------------------------------------------------


def show_heartbeat(kind: str, name: str) -> None:
    """Note that the process lives; silently nothing while the broker is down."""
    ask_redis("heartbeat", lambda redis: redis.eval(_SHOW, 1, _HEARTBEATS, f"{kind}:{name}"), otherwise=None)


def end_heartbeat(kind: str, name: str) -> None:
    """Note that the process has ended in good order."""
    ask_redis("heartbeat", lambda redis: redis.zrem(_HEARTBEATS, f"{kind}:{name}"), otherwise=0)


def heartbeats() -> Heartbeats:
    """Who is alive, in one question; never raises."""
    answer: Any = ask_redis("health", lambda redis: redis.eval(_LOOK, 1, _HEARTBEATS), otherwise=None)
    if answer is None:
        return Heartbeats(broker=False, workers=(), beat=None)
    now, members = float(answer[0]), answer[1]
    found: dict[str, list[Seen]] = {"worker": [], "beat": []}
    for member, shown in zip(members[::2], members[1::2], strict=True):
        kind, _, name = member.partition(":")
        alive = now - float(shown) <= HEARTBEAT_LIVES_SECONDS
        found.setdefault(kind, []).append(Seen(name, datetime.fromtimestamp(float(shown), UTC), alive))
    workers = tuple(sorted(found["worker"], key=lambda seen: seen.name))
    return Heartbeats(broker=True, workers=workers, beat=max(found["beat"], key=lambda seen: seen.at, default=None))


# --- the database ------------------------------------------------------------------------------------------------


def database_answers(*, seconds: int = DATABASE_SECONDS) -> bool:
    """Whether the database answers in time; never raises.

    A server that is down refuses at once; one that hangs, or a network that swallows everything, would keep an
    ordinary question waiting for minutes. A connection that does not answer is thrown away.
    """
    try:
        if connection.connection is None:
            # The ordinary time-out for connecting is a request's; a probe has less patience.
            parameters = {**connection.get_connection_params(), "connect_timeout": seconds}
            connection.get_new_connection(parameters).close()
            connection.ensure_connection()
        answers = _pings(connection.connection.pgconn, seconds)
    except (DatabaseError, InterfaceError, psycopg.Error):
        return False
    if not answers:
        connection.close()
    return answers


def _pings(server: Any, seconds: float) -> bool:
    """Ask one question over libpq without blocking; an error for an answer is an answer."""
    until = time.monotonic() + seconds
    try:
        server.send_query(b"SELECT 1")
        while (left := until - time.monotonic()) > 0:
            if not select.select([server.socket], [], [], left)[0]:
                return False
            server.consume_input()
            while not server.is_busy():
                if server.get_result() is None:
                    return bool(server.status == ConnStatus.OK)
    except (psycopg.Error, OSError, ValueError):
        return False
    return False
