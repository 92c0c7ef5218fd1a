"""Whether the parts behind the application are alive: for the health endpoint, monitoring and the back office."""

from __future__ import annotations

from typing import TypedDict

from django.db import DatabaseError, connection

from flowledger.outbox import sql
from flowledger.outbox.broker import ask_redis, heartbeat_key, scan_count
from flowledger.tenancy.scope import system_scope

# Seen at least every few seconds; gone from the count when three heartbeats are missing.
HEARTBEAT_SECONDS = 5
HEARTBEAT_LIVES_SECONDS = 16


class ServicesHealth(TypedDict):
    """Which parts are reachable; workers by number, because none is as bad as a broker that is down."""

    database: bool
    broker: bool
    workers: int
    beat: bool


class OutboxHealth(TypedDict):
    """Pending events of all organisations, and for how long the one that is due longest has been due."""

    depth: int
    oldest_age_s: float


def services_health() -> ServicesHealth:
    """Ask every part; never raises. With the broker down no heartbeat can be seen."""
    broker = ask_redis("health", lambda redis: bool(redis.ping()), otherwise=False)
    pattern = heartbeat_key("worker", "*")
    return {
        "database": _database_answers(),
        "broker": broker,
        "workers": ask_redis("health", lambda redis: scan_count(redis, pattern), otherwise=0),
        "beat": ask_redis("health", lambda redis: bool(redis.exists(heartbeat_key("beat", "any"))), otherwise=False),
    }


def outbox_health() -> OutboxHealth:
    """The backlog. Raises DatabaseError when the database is gone."""
    with system_scope("outbox health"):
        depth, age = sql.depth_and_age()
    return {"depth": depth, "oldest_age_s": round(age, 3)}


def show_heartbeat(kind: str, name: str) -> None:
    """Note that the process lives; silently nothing while the broker is down."""
    ask_redis(
        "heartbeat", lambda redis: redis.set(heartbeat_key(kind, name), "1", ex=HEARTBEAT_LIVES_SECONDS), otherwise=None
    )


def end_heartbeat(kind: str, name: str) -> None:
    """Note that the process has ended in good order."""
    ask_redis("heartbeat", lambda redis: redis.delete(heartbeat_key(kind, name)), otherwise=0)


def _database_answers() -> bool:
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
    except DatabaseError:
        return False
    return True
