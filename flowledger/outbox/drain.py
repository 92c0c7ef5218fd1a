"""The drain: claims events, hands them to their handlers, and ends each as handled, waiting for a retry, or dead.

What it guarantees: no event is held by two live workers; a handler's database effects and its receipt are one
transaction, so they happen once however often the event is delivered; a worker that lost its lease can complete
nothing; a failing handler neither repeats nor blocks the others; events of one item go in the order of writing as
long as none waits for a retry.
"""

from __future__ import annotations

import os
import socket
import time
import traceback
import uuid
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from enum import Enum, auto
from typing import Self

import structlog
from django.db import DatabaseError, connection
from structlog.contextvars import bound_contextvars

from flowledger.outbox import shutdown, sql
from flowledger.outbox.causes import Cause, caused_by
from flowledger.outbox.conf import OutboxSettings
from flowledger.outbox.events import is_known
from flowledger.outbox.leases import LeaseKeeper
from flowledger.outbox.registry import Delivery, Handler, handlers_for
from flowledger.tenancy.actors import ActorKind, Origin
from flowledger.tenancy.models import Organization
from flowledger.tenancy.scope import org_scope, system_scope

log = structlog.get_logger(__name__)

# An event that this release does not know was written by a newer one: its workers are about to come.
_UNKNOWN_EVENT_SECONDS = 60
# How often at least the claim looks at everything again, behind its low-water mark too.
_UNBOUNDED_CLAIM_SECONDS = 1.0


@dataclass(frozen=True)
class DrainLimits:
    """How much one drain takes at a time and how long it goes on."""

    batch_size: int
    seconds: float

    @classmethod
    def from_settings(cls) -> Self:
        conf = OutboxSettings.read()
        return cls(batch_size=conf.batch_size, seconds=conf.drain_seconds)


@dataclass
class DrainResult:
    """What a drain did; `exhausted` when it stopped because nothing was ready."""

    claimed: int = 0
    handled: int = 0
    failed: int = 0
    dead: int = 0
    lost: int = 0
    given_back: int = 0
    exhausted: bool = False


class _Outcome(Enum):
    DONE = auto()
    ALREADY_DONE = auto()
    LEASE_LOST = auto()


class _LeaseLost(Exception):
    """Raised inside a handler's transaction to roll it back: somebody else holds the event now."""


@dataclass
class _Batch:
    """Claimed events of one token, and those of them that are not at their end yet."""

    token: uuid.UUID
    events: list[sql.ClaimedEvent]
    orgs: dict[int, Organization] = field(default_factory=dict)
    open_ids: set[int] = field(default_factory=set)


def drain(limits: DrainLimits | None = None) -> DrainResult:
    """Deliver what is ready, batch by batch, until nothing is, the time is up, or the worker shuts down."""
    limits = limits or DrainLimits.from_settings()
    result = DrainResult()
    _give_back_expired()
    until = time.monotonic() + limits.seconds
    low_water: datetime | None = None
    looked_at_all = float("-inf")
    while not shutdown.requested() and time.monotonic() < until:
        started = time.monotonic()
        if low_water is not None and started - looked_at_all > _UNBOUNDED_CLAIM_SECONDS:
            low_water = None
        if low_water is None:
            looked_at_all = started
        ready = _claim_ready(limits.batch_size, low_water)
        _deliver(ready, result)
        crashed = _claim_crashed()
        _deliver(crashed, result)
        if ready.events:
            low_water = max(event.available_at for event in ready.events)
        elif not crashed.events:
            if low_water is None:
                result.exhausted = True
                break
            low_water = None
    return result


def drain_all() -> DrainResult:
    """Deliver everything that is ready, and what that causes, in this thread; for commands and tests."""
    return drain(DrainLimits(batch_size=OutboxSettings.read().batch_size, seconds=float("inf")))


def _give_back_expired() -> None:
    conf = OutboxSettings.read()
    with system_scope("outbox leases"):
        rows = sql.give_back_expired(lease_seconds=conf.lease_seconds, crash_limit=conf.crash_limit)
    for event_id, org_id, name, crashes, dead in rows:
        report = log.error if dead else log.warning
        report(
            "event dead" if dead else "lease expired",
            event_id=event_id,
            org_id=org_id,
            event_name=name,
            crashes=crashes,
        )


def _claim_ready(limit: int, low_water: datetime | None) -> _Batch:
    token = uuid.uuid4()
    with system_scope("outbox claim"):
        return _batch(token, sql.claim_ready(token=token, limit=limit, low_water=low_water))


def _claim_crashed() -> _Batch:
    token = uuid.uuid4()
    with system_scope("outbox claim"):
        return _batch(token, sql.claim_crashed(token=token))


def _batch(token: uuid.UUID, events: list[sql.ClaimedEvent]) -> _Batch:
    org_ids = {event.org_id for event in events}
    orgs = Organization.objects.in_bulk(org_ids) if org_ids else {}
    return _Batch(token=token, events=events, orgs=orgs, open_ids={event.id for event in events})


def _deliver(batch: _Batch, result: DrainResult) -> None:
    """Hand the events of a batch out, in the order of writing; gives back what a shutdown leaves untried."""
    if not batch.events:
        return
    result.claimed += len(batch.events)
    with LeaseKeeper(sql.renew_event_lease, token=batch.token, seconds=OutboxSettings.read().renew_seconds):
        try:
            _complete_unsubscribed(batch, result)
            for event in batch.events:
                if event.id not in batch.open_ids:
                    continue
                if shutdown.requested():
                    break
                if is_known(event.event_name):
                    _deliver_one(event, batch, result)
                else:
                    _postpone_unknown(event, batch)
                # Only now: what interrupts the line before leaves the event to be given back.
                batch.open_ids.discard(event.id)
        finally:
            if batch.open_ids:
                result.given_back += _give_back(batch.token, batch.open_ids)


def _complete_unsubscribed(batch: _Batch, result: DrainResult) -> None:
    ids = [
        event.id
        for event in batch.events
        if is_known(event.event_name) and not handlers_for(event.event_name, Origin(event.origin))
    ]
    if ids:
        with system_scope("outbox completion"):
            result.handled += sql.complete_many(token=batch.token, ids=ids)
        batch.open_ids.difference_update(ids)


def _postpone_unknown(event: sql.ClaimedEvent, batch: _Batch) -> None:
    log.warning("event unknown to this release", event_id=event.id, org_id=event.org_id, event_name=event.event_name)
    with system_scope("outbox give back"):
        sql.give_back(token=batch.token, ids=[event.id], delay_seconds=_UNKNOWN_EVENT_SECONDS)


def _give_back(token: uuid.UUID, ids: Iterable[int]) -> int:
    try:
        with system_scope("outbox give back"):
            return sql.give_back(token=token, ids=list(ids))
    except DatabaseError as error:
        # The lease does it then, a few minutes later.
        log.warning("events not given back", error=str(error))
        return 0


def _deliver_one(event: sql.ClaimedEvent, batch: _Batch, result: DrainResult) -> None:
    """Run every handler that has no receipt yet, each in a transaction of its own, and end the event."""
    subscribed = handlers_for(event.event_name, Origin(event.origin))
    failures: list[sql.Failure] = []
    cause = Cause(
        event_id=event.id,
        correlation_id=event.correlation_id or f"event-{event.id}",
        origin=Origin(event.origin),
    )
    with (
        bound_contextvars(
            event_id=event.id,
            event_name=event.event_name,
            org_id=event.org_id,
            correlation_id=cause.correlation_id,
            worker=_worker_name(),
        ),
        caused_by(cause),
    ):
        for position, handler in enumerate(subscribed, start=1):
            # The last success takes the completion into its transaction.
            completes = position == len(subscribed) and not failures
            started = time.perf_counter()
            try:
                outcome = _run(handler, event, batch, completes=completes)
            except Exception as error:  # noqa: BLE001  (the one place where anything may be raised)
                failure = _failure(handler, error)
                failures.append(failure)
                # The traceback is kept with the event.
                log.warning("handler failed", handler=handler.name, attempt=event.attempts, error=failure.error)
                _leave_broken_connection()
                continue
            if outcome is _Outcome.LEASE_LOST:
                result.lost += 1
                log.warning("lease lost", handler=handler.name)
                return
            if outcome is _Outcome.DONE:
                milliseconds = round((time.perf_counter() - started) * 1000, 2)
                log.info("event handled", handler=handler.name, processing_time_ms=milliseconds)
        if failures:
            _fail(event, batch, failures, result)
        else:
            result.handled += 1


def _run(handler: Handler, event: sql.ClaimedEvent, batch: _Batch, *, completes: bool) -> _Outcome:
    """One handler, its receipt and the fence in one transaction."""
    try:
        with org_scope(event.org_id):
            already = not sql.write_receipt(
                org_id=event.org_id, event_id=event.id, handler=handler.name, token=batch.token
            )
            if not already:
                handler.run(_delivery(event, batch.orgs[event.org_id], handler))
            # The fence comes last, so that a renewal of the lease never waits for a long handler.
            fence = sql.complete if completes else sql.hold
            if not fence(org_id=event.org_id, event_id=event.id, token=batch.token):
                raise _LeaseLost
    except _LeaseLost:
        return _Outcome.LEASE_LOST
    return _Outcome.ALREADY_DONE if already else _Outcome.DONE


def _delivery(event: sql.ClaimedEvent, org: Organization, handler: Handler) -> Delivery:
    return Delivery(
        event_id=event.id,
        org=org,
        event_name=event.event_name,
        item_type=event.item_type,
        item_id=event.item_id,
        payload_text=event.payload,
        actor_kind=ActorKind(event.actor_kind),
        actor_id=event.actor_id,
        actor_label=event.actor_label,
        actor_user_id=event.actor_user_id,
        occurred_at=event.occurred_at,
        recorded_at=event.recorded_at,
        origin=Origin(event.origin),
        correlation_id=event.correlation_id or f"event-{event.id}",
        causation_id=event.causation_id,
        attempts=event.attempts,
        handler=handler.name,
    )


def _failure(handler: Handler, error: Exception) -> sql.Failure:
    # PostgreSQL's texts hold no NUL, and an error message may quote one.
    trace = "".join(traceback.format_exception(error)).replace("\x00", "\\x00")
    message = f"{type(error).__name__}: {error}".replace("\x00", "\\x00")
    return sql.Failure(handler=handler.name, error=message[:1000], traceback=trace[-20_000:])


def _leave_broken_connection() -> None:
    """After a handler lost the database, go on with a new connection; a broken one would fail the whole batch."""
    if not connection.in_atomic_block and connection.connection is not None and not connection.is_usable():
        connection.close()


def _fail(event: sql.ClaimedEvent, batch: _Batch, failures: list[sql.Failure], result: DrainResult) -> None:
    conf = OutboxSettings.read()
    with system_scope("outbox failure"):
        dead = sql.fail(
            org_id=event.org_id,
            event_id=event.id,
            token=batch.token,
            attempt=event.attempts,
            failures=failures,
            max_attempts=conf.max_attempts,
        )
    if dead is None:
        result.lost += 1
        log.warning("lease lost")
        return
    result.failed += 1
    if dead:
        result.dead += 1
        log.error("event dead", handlers=[failure.handler for failure in failures], attempts=event.attempts)


def _worker_name() -> str:
    return f"{socket.gethostname()}:{os.getpid()}"
