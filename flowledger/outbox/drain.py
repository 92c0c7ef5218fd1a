"""The drain: claims events, hands them to their handlers, and ends each as handled, waiting for a retry, or dead.

What it guarantees: no event is held by two live workers; a handler's database effects and its receipt are one
transaction, so they happen once however often the event is delivered; a worker that lost its lease can complete
nothing; a failing handler neither repeats nor blocks the others; events of one item go in the order of writing as long
as none waits for a retry.

How it is fast: the events of one organisation in a batch run together in one transaction, which one statement ends for
all of them. When anything in it fails, nothing of it has happened, and each event is tried alone.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any, Self

import structlog
from django.db import DatabaseError, OperationalError, connection

from flowledger.outbox import metrics, shutdown, sql
from flowledger.outbox.conf import OutboxSettings
from flowledger.outbox.delivering import Delivering, DrainResult
from flowledger.outbox.events import is_known
from flowledger.outbox.pace import pace
from flowledger.outbox.turns import Turns
from flowledger.outbox.watch import Watch
from flowledger.tenancy.models import Organization
from flowledger.tenancy.scope import system_scope

log = structlog.get_logger(__name__)

# An event that this release does not know was written by a newer one: its workers are about to come.
_UNKNOWN_EVENT_SECONDS = 60
_RETRIES_AT_ONCE = 20
_EXPIRED_EVERY_SECONDS = 5.0
_KNOWN_ORG_SECONDS = 1.0
# A row that another worker completes this moment moves to another partition and cannot be locked any more; or another
# claim of the same organisation takes long.
_LOOK_AGAIN = {"40001", "55P03"}


@dataclass(frozen=True)
class DrainLimits:
    """How much one drain takes at a time at most, and how long it goes on."""

    batch_size: int
    seconds: float

    @classmethod
    def from_settings(cls) -> Self:
        conf = OutboxSettings.read()
        return cls(batch_size=conf.batch_size, seconds=conf.drain_seconds)


@dataclass
class _Batch:
    """Claimed events of one token, and those of them that are not at their end yet."""

    token: uuid.UUID
    events: list[sql.ClaimedEvent]
    open_ids: set[int] = field(init=False)

    def __post_init__(self) -> None:
        self.open_ids = {event.id for event in self.events}


def drain(limits: DrainLimits | None = None) -> DrainResult:
    """Deliver what is ready, batch by batch, until nothing is, the time is up, or the worker shuts down."""
    with Watch() as watch:
        return _Drain(limits or DrainLimits.from_settings(), watch).run()


def drain_all() -> DrainResult:
    """Deliver everything that is ready, and what that causes, in this thread; for commands and tests."""
    return drain(DrainLimits(batch_size=OutboxSettings.read().batch_size, seconds=float("inf")))


class _Drain:
    """One drain at work."""

    def __init__(self, limits: DrainLimits, watch: Watch) -> None:
        self._limits = limits
        self._watch = watch
        self._result = DrainResult()
        self._delivering = Delivering(watch, self._result)
        self._turns = Turns()
        self._expired_at = float("-inf")
        # Each until a moment from when it was read.
        self._orgs: dict[int, tuple[Organization, float]] = {}

    def run(self) -> DrainResult:
        until = time.monotonic() + self._limits.seconds
        retries = min(_RETRIES_AT_ONCE, self._limits.batch_size)
        while not shutdown.requested() and time.monotonic() < until:
            claimed, waiting = self._take_fresh()
            # Not before: who was woken by a commit wants to be quick.
            claimed += self._give_back_expired()
            if waiting.retries:
                claimed += self._take_alone("waiting", lambda token: sql.claim_waiting(token=token, limit=retries))
            if waiting.crashed:
                claimed += self._take_alone("crashed", lambda token: sql.claim_crashed(token=token))
            if claimed:
                continue
            if self._turns.saw_everything:
                self._result.exhausted = True
                break
            self._turns.forget()
        return self._result

    # --- lanes ---

    def _take_fresh(self) -> tuple[int, sql.Waiting]:
        """What was never tried: events of one organisation together. Answers how many, and what waits in all lanes."""
        limit = pace.limit(at_most=self._limits.batch_size)
        token = uuid.uuid4()
        began = time.monotonic()
        events = _claim(lambda: self._look_and_claim(token, limit))
        if not events:
            return 0, self._turns.waiting
        metrics.observe_claim("fresh", time.monotonic() - began, len(events))
        spent = self._delivering.handler_seconds
        self._deliver(_Batch(token, events), together=True)
        pace.learn(len(events), self._delivering.handler_seconds - spent)
        return len(events), self._turns.waiting

    def _look_and_claim(self, token: uuid.UUID, limit: int) -> list[sql.ClaimedEvent]:
        """All that comes before the handlers, in one transaction; as a rule in one statement.

        Who was woken by a commit wants to be quick. A statement cannot open a scope of its own inside a transaction.
        """
        if self._turns.knows_nothing and not connection.in_atomic_block:
            taken = self._turns.take(token=token, limit=limit)
            self._remember(_organization(row) for row in taken.organizations)
            return taken.events
        with system_scope("outbox claim"):
            self._turns.look()
            events = self._turns.claim(token=token, limit=limit)
            self._organizations({event.org_id for event in events})
            return events

    def _take_alone(self, lane: str, claim: Callable[[uuid.UUID], list[sql.ClaimedEvent]]) -> int:
        """What is tried again: each event alone."""
        token = uuid.uuid4()
        began = time.monotonic()
        events = _claim(lambda: _in_scope(claim, token))
        metrics.observe_claim(lane, time.monotonic() - began, len(events))
        self._deliver(_Batch(token, events), together=False)
        return len(events)

    def _give_back_expired(self) -> int:
        """Take events from workers that have died; answers how many there were."""
        if time.monotonic() < self._expired_at:
            return 0
        self._expired_at = time.monotonic() + _EXPIRED_EVERY_SECONDS
        conf = OutboxSettings.read()
        with system_scope("outbox leases"):
            rows = sql.give_back_expired(lease_seconds=conf.lease_seconds, crash_limit=conf.crash_limit)
        for event_id, org_id, name, crashes, dead in rows:
            metrics.count_attempts(name, "dead" if dead else "lost", 1)
            report = log.error if dead else log.warning
            report(
                "event dead" if dead else "lease expired",
                event_id=event_id,
                org_id=org_id,
                event_name=name,
                crashes=crashes,
            )
        if rows:
            self._turns.forget()
        return len(rows)

    # --- a batch ---

    def _deliver(self, batch: _Batch, *, together: bool) -> None:
        """Hand the events of a batch out, organisation by organisation; give back what a shutdown leaves untried."""
        if not batch.events:
            return
        self._result.claimed += len(batch.events)
        orgs = self._organizations({event.org_id for event in batch.events})
        with self._watch.hold(batch.token, batch.open_ids):
            try:
                for org_id, events in _by_org(batch.events).items():
                    known = [event for event in events if is_known(event.event_name)]
                    if len(known) < len(events):
                        self._postpone_unknown([event for event in events if not is_known(event.event_name)], batch)
                    self._delivering.deliver(orgs[org_id], known, batch.token, batch.open_ids, together=together)
            finally:
                if batch.open_ids:
                    self._give_back(batch)

    def _organizations(self, org_ids: set[int]) -> dict[int, Organization]:
        now = time.monotonic()
        known = {org_id: org for org_id, (org, until) in self._orgs.items() if now < until}
        if missing := org_ids - known.keys():
            with system_scope("outbox claim"):
                found = Organization.objects.in_bulk(missing)
            self._remember(found.values())
            known |= found
        return known

    def _remember(self, orgs: Iterable[Organization]) -> None:
        until = time.monotonic() + _KNOWN_ORG_SECONDS
        self._orgs |= {org.pk: (org, until) for org in orgs}

    # --- what is not handled ---

    def _postpone_unknown(self, events: list[sql.ClaimedEvent], batch: _Batch) -> None:
        for event in events:
            log.warning(
                "event unknown to this release", event_id=event.id, org_id=event.org_id, event_name=event.event_name
            )
        ids = [event.id for event in events]
        with system_scope("outbox give back"):
            sql.give_back(token=batch.token, ids=ids, delay_seconds=_UNKNOWN_EVENT_SECONDS)
        batch.open_ids.difference_update(ids)

    def _give_back(self, batch: _Batch) -> None:
        try:
            with system_scope("outbox give back"):
                self._result.given_back += sql.give_back(token=batch.token, ids=sorted(batch.open_ids))
        except DatabaseError as error:
            # The lease does it then, a few minutes later.
            log.warning("events not given back", error=str(error))
            return
        for event in batch.events:
            if event.id in batch.open_ids:
                metrics.count_attempts(event.event_name, "given_back", 1)


def _claim(claim: Callable[[], list[sql.ClaimedEvent]]) -> list[sql.ClaimedEvent]:
    """Claim, or nothing where the database asks to look again."""
    try:
        return claim()
    except OperationalError as error:
        if getattr(error.__cause__, "sqlstate", None) not in _LOOK_AGAIN:
            raise
        return []


def _in_scope(claim: Callable[[uuid.UUID], list[sql.ClaimedEvent]], token: uuid.UUID) -> list[sql.ClaimedEvent]:
    with system_scope("outbox claim"):
        return claim(token)


def _organization(row: dict[str, Any]) -> Organization:
    """The organisation of a row that came as JSON."""
    fields = Organization._meta.concrete_fields
    return Organization.from_db(
        connection.alias, [field.attname for field in fields], [field.to_python(row[field.attname]) for field in fields]
    )


def _by_org(events: Iterable[sql.ClaimedEvent]) -> dict[int, list[sql.ClaimedEvent]]:
    """The events of each organisation in the order of writing; the one with the fewest comes first."""
    groups: dict[int, list[sql.ClaimedEvent]] = {}
    for event in events:
        groups.setdefault(event.org_id, []).append(event)
    return dict(sorted(groups.items(), key=lambda group: len(group[1])))
