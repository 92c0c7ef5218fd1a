"""Handing claimed events to their handlers: together while all goes well, alone when something fails.

The events of one organisation run together in one transaction, which one statement ends for all of them. When anything
in it fails, nothing of it has happened, and each event is tried alone, each handler behind a savepoint.
"""

from __future__ import annotations

import os
import socket
import time
import traceback
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import NamedTuple

import structlog
from django.db import connection, transaction

from flowledger.outbox import metrics, shutdown, sql
from flowledger.outbox.causes import caused_by
from flowledger.outbox.conf import OutboxSettings
from flowledger.outbox.registry import Delivery, Handler, handlers_for
from flowledger.outbox.watch import HandlerTimedOut, Watch
from flowledger.tenancy.models import Organization
from flowledger.tenancy.scope import org_scope

log = structlog.get_logger(__name__)

# A transaction that handles many events ends after so long: its locks are in somebody's way.
_SLICE_SECONDS = 0.05
# Up to so many events are logged one by one.
_LOGGED_SINGLY = 20


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


class _LeaseLost(Exception):
    """Raised inside a transaction to roll it back: somebody else holds an event of it now."""


class _ConnectionLost(Exception):
    """Raised inside a transaction that is gone already, with the handler during which it went."""


class _Run(NamedTuple):
    """One call of a handler that has ended well."""

    handler: Handler
    events: Sequence[sql.ClaimedEvent]
    seconds: float


class Delivering:
    """The attempts of one drain."""

    def __init__(self, watch: Watch, result: DrainResult) -> None:
        self._watch = watch
        self._result = result
        self.handler_seconds = 0.0

    def deliver(
        self, org: Organization, events: list[sql.ClaimedEvent], token: uuid.UUID, open_ids: set[int], *, together: bool
    ) -> None:
        place = 0
        while place < len(events) and not shutdown.requested():
            # One alone gains nothing from being tried together first.
            if together and len(events) - place > 1:
                tried, done = self._try_together(org, events[place:], token)
                if done:
                    open_ids.difference_update(event.id for event in events[place : place + tried])
                    place += tried
                    continue
            else:
                tried = 1
            for event in events[place : place + tried]:
                if shutdown.requested():
                    return
                self._try_alone(org, event, token, just_claimed=together and len(events) == 1)
                # Only now: what interrupts the line before leaves the event to be given back.
                open_ids.discard(event.id)
            place += tried

    def _try_together(
        self, org: Organization, events: Sequence[sql.ClaimedEvent], token: uuid.UUID
    ) -> tuple[int, bool]:
        """Handle as many of the events as fit into a slice, in one transaction; all of them or none.

        Answers how many were tried, and whether they are handled.
        """
        receipts: dict[int, list[str]] = {}
        runs: list[_Run] = []
        tried = 0
        until = time.monotonic() + _SLICE_SECONDS
        try:
            with org_scope(org.pk):
                batches: dict[Handler, list[sql.ClaimedEvent]] = {}
                for event in events:
                    tried += 1
                    names = receipts[event.id] = []
                    for handler in handlers_for(event.event_name, event.origin):
                        if handler.name in event.handled_by:
                            continue
                        names.append(handler.name)
                        if handler.batch:
                            batches.setdefault(handler, []).append(event)
                        else:
                            runs.append(self._call(handler, (event,), org))
                    if time.monotonic() > until or shutdown.requested():
                        break
                runs += [self._call(handler, group, org) for handler, group in batches.items()]
                if sql.finish(org_id=org.pk, token=token, receipts=receipts) < len(receipts):
                    raise _LeaseLost
        except (Exception, HandlerTimedOut) as error:  # noqa: BLE001  (whose fault it is, the events tried alone tell)
            log.info("events apart", org_id=org.pk, events=tried, reason=f"{type(error).__name__}: {error}"[:200])
            _leave_broken_connection()
            return tried, False
        self._result.handled += len(receipts)
        _report(runs, events[:tried], org)
        return tried, True

    def _try_alone(
        self, org: Organization, event: sql.ClaimedEvent, token: uuid.UUID, *, just_claimed: bool = False
    ) -> None:
        """Handle one event in one transaction, each handler behind a savepoint, and write what came of it.

        What was claimed a moment ago is held; its end asks in any case.
        """
        runs: list[_Run] = []
        failures: list[sql.Failure] = []
        dead: bool | None = False
        subscribed = [
            handler for handler in handlers_for(event.event_name, event.origin) if handler.name not in event.handled_by
        ]
        try:
            try:
                with org_scope(org.pk):
                    if not just_claimed and not sql.holds(org_id=org.pk, event_id=event.id, token=token):
                        raise _LeaseLost
                    for handler in subscribed:
                        self._try_handler(handler, event, org, runs, failures)
                    dead = self._end(event, org, token, [run.handler.name for run in runs], failures)
            except _ConnectionLost:
                # What the others did is gone with the transaction, and so are their receipts.
                _leave_broken_connection()
                runs = []
                with org_scope(org.pk):
                    dead = self._end(event, org, token, [], failures)
        except _LeaseLost:
            self._result.lost += 1
            metrics.count_attempts(event.event_name, "lost", 1)
            log.warning("lease lost", event_id=event.id, event_name=event.event_name, org_id=org.pk)
            return
        if failures:
            self._result.failed += 1
            self._result.dead += bool(dead)
            self._report_failure(event, failures, dead=bool(dead))
        else:
            self._result.handled += 1
            _report(runs, (event,), org)

    def _try_handler(
        self,
        handler: Handler,
        event: sql.ClaimedEvent,
        org: Organization,
        runs: list[_Run],
        failures: list[sql.Failure],
    ) -> None:
        try:
            with transaction.atomic():
                runs.append(self._call(handler, (event,), org))
                # What is checked at the end of the transaction is this handler's fault too.
                with connection.cursor() as cursor:
                    cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
                    cursor.execute("SET CONSTRAINTS ALL DEFERRED")
        except (Exception, HandlerTimedOut) as error:
            if runs and runs[-1].handler is handler:
                runs.pop()
            failures.append(_failure(handler, error))
            if connection.connection is None or connection.connection.closed:
                raise _ConnectionLost from error

    def _end(
        self,
        event: sql.ClaimedEvent,
        org: Organization,
        token: uuid.UUID,
        succeeded: list[str],
        failures: list[sql.Failure],
    ) -> bool | None:
        """Write receipts and completion, or receipts and failure; answers whether the event is dead now."""
        if not failures:
            if sql.finish(org_id=org.pk, token=token, receipts={event.id: succeeded}) != 1:
                raise _LeaseLost
            return False
        dead = sql.fail(
            org_id=org.pk,
            event_id=event.id,
            token=token,
            attempt=event.attempts,
            receipts=succeeded,
            failures=failures,
            max_attempts=OutboxSettings.read().max_attempts,
        )
        if dead is None:
            raise _LeaseLost
        return dead

    def _call(self, handler: Handler, events: Sequence[sql.ClaimedEvent], org: Organization) -> _Run:
        deliveries = [Delivery(event, org, handler.name) for event in events]
        started = self._watch.begin(handler, events)
        try:
            if handler.batch:
                handler.run(deliveries)
            else:
                with caused_by(deliveries[0]):
                    handler.run(deliveries[0])
        finally:
            self._watch.end()
            seconds = time.monotonic() - started
            self.handler_seconds += seconds
        return _Run(handler, events, seconds)

    def _report_failure(self, event: sql.ClaimedEvent, failures: list[sql.Failure], *, dead: bool) -> None:
        metrics.count_attempts(event.event_name, "dead" if dead else "failed", 1)
        facts = {"event_id": event.id, "event_name": event.event_name, "org_id": event.org_id, "worker": worker_name()}
        for failure in failures:
            # The traceback is kept with the event.
            log.warning("handler failed", handler=failure.handler, attempt=event.attempts, error=failure.error, **facts)
        if dead:
            log.error("event dead", handlers=[each.handler for each in failures], attempts=event.attempts, **facts)


def _failure(handler: Handler, error: BaseException) -> sql.Failure:
    # PostgreSQL's texts hold no NUL, and an error message may quote one.
    trace = "".join(traceback.format_exception(error)).replace("\x00", "\\x00")
    message = f"{type(error).__name__}: {error}".replace("\x00", "\\x00")
    return sql.Failure(handler=handler.name, error=message[:1000], traceback=trace[-20_000:])


def _leave_broken_connection() -> None:
    """After a handler lost the database, go on with a new connection; a broken one would fail the whole batch."""
    if not connection.in_atomic_block and connection.connection is not None and not connection.is_usable():
        connection.close()


def _report(runs: Sequence[_Run], events: Sequence[sql.ClaimedEvent], org: Organization) -> None:
    """Log and count what is committed."""
    counts: dict[str, int] = {}
    for event in events:
        counts[event.event_name] = counts.get(event.event_name, 0) + 1
    for name, number in counts.items():
        metrics.count_attempts(name, "handled", number)
    metrics.observe_delay(events[0].waited)
    seconds: dict[str, float] = {}
    for handler, handled, took in runs:
        seconds[handler.name] = seconds.get(handler.name, 0.0) + took
        metrics.observe_handler(handler.name, handled[0].event_name if len(handled) == 1 else "", took, len(handled))
    if len(events) > _LOGGED_SINGLY:
        log.info(
            "events handled",
            org_id=org.pk,
            worker=worker_name(),
            events=counts,
            event_ids=[event.id for event in events],
            processing_time_ms={name: round(1000 * took, 2) for name, took in seconds.items()},
        )
        return
    for handler, handled, took in runs:
        for event in handled:
            log.info(
                "event handled",
                event_id=event.id,
                event_name=event.event_name,
                org_id=org.pk,
                correlation_id=event.correlation_id or f"event-{event.id}",
                worker=worker_name(),
                handler=handler.name,
                processing_time_ms=round(1000 * took, 2),
            )


def worker_name() -> str:
    """Host and process, as logs name a worker."""
    return f"{_host()}:{os.getpid()}"


@cache
def _host() -> str:
    return socket.gethostname()
