"""The SLA sweep: what is due now, of all organisations, is warned about or in breach (sla-and-today.md, Clocks).

Any number may run at once: each takes the clocks that no other holds, batch by batch, and writes marks, breaches and
events of a batch in one transaction. Where a batch fails its rules go on their own, and of the rule that fails its
clocks, so that nothing holds up what has nothing to do with it.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from typing import Any

import structlog
from django.db import DatabaseError

from flowledger.errors import FlowLedgerError
from flowledger.outbox import metrics, shutdown
from flowledger.outbox.events import EventRefused
from flowledger.outbox.metrics import Metric
from flowledger.outbox.recording import record_events
from flowledger.tenancy.actors import Actor
from flowledger.tenancy.scope import system_scope
from workstream.events import SlaBreached, SlaWarned
from workstream.metrics import BREACHED, FAILURES, SWEEPS, WARNED
from workstream.models.sla import REASON_OF_METRIC, SlaMetric
from workstream.sql import sla as sql

log = structlog.get_logger(__name__)

BATCH = 500
ACTOR = Actor.system("SLA sweep")
# A rule with more failing clocks than this is at fault itself; what is left of it waits for the next sweep.
_ALONE_AT_MOST = 50
_REFUSALS = (DatabaseError, EventRefused, FlowLedgerError)


@dataclass(frozen=True)
class SweepFailure:
    """Clocks of one rule that could not be brought forward; the next sweep finds them again."""

    step: str
    org_id: int
    rule_id: int | None
    clocks: int
    error: str


@dataclass
class SweepResult:
    """What one sweep did. `breached` counts the breaches it opened."""

    warned: int = 0
    breached: int = 0
    failures: list[SweepFailure] = field(default_factory=list)


@dataclass(frozen=True)
class _Step:
    """One kind of thing that falls due: how it is looked for, taken and told."""

    name: str
    look: Callable[..., list[sql.Seen]]
    take: Callable[..., list[sql.DueClock]]
    take_named: Callable[..., list[sql.DueClock]]
    fact: Callable[[sql.DueClock], Any]
    counter: Metric


def sweep(*, at: datetime, limit: int = BATCH) -> SweepResult:
    """Warn about what has reached its warning by `at` and put into breach what was due before, `limit` a transaction.

    Warnings come first; a clock whose warning and end have both passed gets its breach alone. Raises DatabaseError only
    where not even looking for what is due succeeds.
    """
    began = time.monotonic()
    result = SweepResult()
    result.warned = _run(_WARN, at, limit, result)
    result.breached = _run(_BREACH, at, limit, result)
    metrics.observe(SWEEPS, seconds=time.monotonic() - began)
    return result


def _run(step: _Step, at: datetime, limit: int, result: SweepResult) -> int:
    """Everything of one step, each clock at most once; answers how many were told of."""
    told = 0
    after = sql.BEGINNING
    while not shutdown.requested():
        try:
            taken = _take(step, at, partial(step.take, at=at, after=after, limit=limit))
        except _REFUSALS as error:
            log.warning("SLA batch failed, its rules go on their own", step=step.name, error=str(error))
            with system_scope("SLA sweep"):
                sql.read_by_index()
                seen = step.look(at=at, after=after, limit=limit)
            told += _rule_by_rule(step, at, seen, result)
        else:
            told += _tell(step, taken)
            seen = [sql.Seen(clock.id, clock.org_id, clock.rule_id, clock.moment) for clock in taken]
        if len(seen) < limit:
            break
        after = sql.Mark(seen[-1].moment, seen[-1].id)
    return told


def _take(step: _Step, at: datetime, take: Callable[[], list[sql.DueClock]]) -> list[sql.DueClock]:
    """Marks, breaches and events of some clocks, in one transaction."""
    with system_scope("SLA sweep"):
        sql.read_by_index()
        clocks = take()
        record_events(facts=[(clock.org_id, step.fact(clock)) for clock in _news(step, clocks)], actor=ACTOR, at=at)
    return clocks


def _rule_by_rule(step: _Step, at: datetime, seen: Iterable[sql.Seen], result: SweepResult) -> int:
    """What is due of a failed batch, each rule in a transaction of its own."""
    told = 0
    groups: dict[tuple[int, int | None], list[int]] = {}
    for clock in seen:
        groups.setdefault((clock.org_id, clock.rule_id), []).append(clock.id)
    for (org_id, rule_id), ids in groups.items():
        try:
            told += _tell(step, _take(step, at, partial(step.take_named, at=at, ids=ids)))
        except _REFUSALS as error:
            log.warning("SLA rule failed, its clocks go on their own", rule_id=rule_id, org_id=org_id, error=str(error))
            told += _clock_by_clock(step, at, org_id, rule_id, ids, result)
    return told


def _clock_by_clock(
    step: _Step, at: datetime, org_id: int, rule_id: int | None, ids: Sequence[int], result: SweepResult
) -> int:
    """The clocks of a failing rule, until too many of them have failed in this sweep; those that did are reported."""
    told = 0
    rule = (step.name, org_id, rule_id)
    known = sum(each.clocks for each in result.failures if (each.step, each.org_id, each.rule_id) == rule)
    failed: list[int] = []
    error = "Too many of this rule have failed already."
    for place, clock_id in enumerate(ids):
        if known + len(failed) >= _ALONE_AT_MOST:
            failed += ids[place:]
            break
        try:
            told += _tell(step, _take(step, at, partial(step.take_named, at=at, ids=[clock_id])))
        except _REFUSALS as refusal:
            failed.append(clock_id)
            error = str(refusal).strip()
    if failed:
        _report(SweepFailure(step.name, org_id, rule_id, len(failed), error), failed, result)
    return told


def _report(failure: SweepFailure, clocks: Sequence[int], result: SweepResult) -> None:
    result.failures.append(failure)
    rule = "none" if failure.rule_id is None else str(failure.rule_id)
    metrics.count(FAILURES, failure.step, str(failure.org_id), rule, number=failure.clocks)
    log.error(
        "SLA clocks not swept",
        step=failure.step,
        org_id=failure.org_id,
        rule_id=failure.rule_id,
        clock_ids=clocks[:20],
        clocks=failure.clocks,
        error=failure.error,
    )


def _tell(step: _Step, clocks: list[sql.DueClock]) -> int:
    """Count what is committed now."""
    news = _news(step, clocks)
    for metric, number in Counter(clock.metric for clock in news).items():
        metrics.count(step.counter, metric, number=number)
    return len(news)


def _news(step: _Step, clocks: list[sql.DueClock]) -> list[sql.DueClock]:
    """Those that an event tells of: not the clock of an item that is in breach of the same rule already."""
    return [clock for clock in clocks if step is _WARN or clock.breach_id is not None]


def _warned(clock: sql.DueClock) -> SlaWarned:
    return SlaWarned(
        item_type=clock.item_type,
        item_id=clock.item_id,
        clock_id=clock.id,
        rule_id=clock.rule_id,
        metric=clock.metric,
        due_at=clock.due_at.isoformat() if clock.due_at else None,
    )


def _breached(clock: sql.DueClock) -> SlaBreached:
    # The constraints of the clock and the statement's own condition say that all three are there.
    assert clock.breach_id is not None and clock.rule_id is not None and clock.due_at is not None  # noqa: PT018
    return SlaBreached(
        item_type=clock.item_type,
        item_id=clock.item_id,
        breach_id=clock.breach_id,
        clock_id=clock.id,
        rule_id=clock.rule_id,
        metric=clock.metric,
        reason_code=str(REASON_OF_METRIC[SlaMetric(clock.metric)]),
        due_at=clock.due_at.isoformat(),
    )


_WARN = _Step("warn", sql.look_to_warn, sql.warn, sql.warn_named, _warned, WARNED)
_BREACH = _Step("breach", sql.look_to_breach, sql.breach, sql.breach_named, _breached, BREACHED)
