"""What comes of clocks that were late where no sweep has seen it, and of breaches whose reason is gone.

Rows and their events are one write with the move that ended the clock.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any, cast

from flowledger.outbox.recording import record_events
from flowledger.tenancy.actors import Actor
from workstream.events import SlaBreached, SlaResolved
from workstream.models import SlaBreach, SlaClock
from workstream.models.sla import REASON_OF_METRIC, SlaMetric
from workstream.sql import clocks as sql


def open_missed(org_id: int, clocks: Iterable[sql.EndedClock], *, at: datetime, actor: Actor) -> None:
    """Open the breaches of clocks that stand still from now on, and were late before without the sweep seeing it."""
    breaches = _insert(org_id, _missed(clocks))
    _record(org_id, [_breached(breach) for breach in breaches], actor=actor, at=at)


def settle(org_id: int, ended: Iterable[sql.EndedClock], *, at: datetime, by: str, actor: Actor) -> None:
    """Give clocks that ended late their breaches, resolve those that are open, and record both."""
    # A breach that the sweep opened is resolved also where the end, told of later, was in time.
    ended = list(ended)
    known, missed = [clock for clock in ended if clock.was_breached], _missed(ended)
    breaches = _insert(org_id, missed, resolved_at=at, resolved_by=by)
    resolved = {breach.clock_id: breach.pk for breach in breaches}
    if known:
        resolved |= sql.resolve(org_id=org_id, clock_ids=[clock.id for clock in known], at=at, by=by)
    facts: list[Any] = [_breached(breach) for breach in breaches]
    facts += [_resolved(clock, resolved[clock.id], by) for clock in [*missed, *known] if clock.id in resolved]
    _record(org_id, facts, actor=actor, at=at)


def pardon(org_id: int, clocks: Sequence[SlaClock], *, at: datetime, by: str, actor: Actor) -> None:
    """Resolve the open breaches of clocks that run on, because by a new reckoning they are not late."""
    resolved = sql.resolve(org_id=org_id, clock_ids=[clock.pk for clock in clocks], at=at, by=by)
    facts = [
        SlaResolved(
            item_type=clock.item_type,
            item_id=clock.item_id,
            breach_id=resolved[clock.pk],
            clock_id=clock.pk,
            rule_id=_rule_id(clock),
            metric=str(clock.metric),
            resolved_by=by,
        )
        for clock in clocks
        if clock.pk in resolved
    ]
    _record(org_id, facts, actor=actor, at=at)


def _missed(clocks: Iterable[sql.EndedClock]) -> list[sql.EndedClock]:
    return [clock for clock in clocks if clock.breached_at is not None and not clock.was_breached]


def _insert(
    org_id: int, clocks: Sequence[sql.EndedClock], *, resolved_at: datetime | None = None, resolved_by: str = ""
) -> list[SlaBreach]:
    if not clocks:
        return []
    return cast(
        list[SlaBreach],
        SlaBreach.objects.for_org(org_id).bulk_create(
            SlaBreach(
                org_id=org_id,
                clock_id=clock.id,
                rule_id=_rule_id(clock),
                metric=clock.metric,
                reason_code=REASON_OF_METRIC[SlaMetric(clock.metric)],
                breached_at=cast(datetime, clock.breached_at),
                resolved_at=resolved_at,
                resolved_by=resolved_by,
                **{f"{clock.item_type}_id": clock.item_id},
            )
            for clock in clocks
        ),
    )


def _breached(breach: SlaBreach) -> SlaBreached:
    # A clock is breached at the moment it was due.
    return SlaBreached(
        item_type=breach.item_type,
        item_id=breach.item_id,
        breach_id=breach.pk,
        clock_id=breach.clock_id,
        rule_id=breach.rule_id,
        metric=str(breach.metric),
        reason_code=str(breach.reason_code),
        due_at=breach.breached_at.isoformat(),
    )


def _resolved(clock: sql.EndedClock, breach_id: int, by: str) -> SlaResolved:
    return SlaResolved(
        item_type=clock.item_type,
        item_id=clock.item_id,
        breach_id=breach_id,
        clock_id=clock.id,
        rule_id=_rule_id(clock),
        metric=clock.metric,
        resolved_by=by,
    )


def _rule_id(clock: SlaClock | sql.EndedClock) -> int:
    """The rule of a clock that has one: only by a rule anything is due, and the table says so."""
    assert clock.rule_id is not None
    return int(clock.rule_id)


def _record(org_id: int, facts: Sequence[Any], *, actor: Actor, at: datetime) -> None:
    if facts:
        record_events(facts=[(org_id, fact) for fact in facts], actor=actor, at=at)
