"""The clocks of an item: started, paused, resumed and ended by the services, in the transaction that moves the item.

The caller holds the item's lock and has stored its move. Starting costs one look at the organisation's rules and one
INSERT for all clocks, ending one UPDATE; only a clock that was late costs more, for its breach. Where two come at once,
the second finds nothing to do.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from flowledger.tenancy.actors import Actor
from flowledger.tenancy.models import Organization
from workstream import breaches
from workstream.machines import (
    CLOSED_STAGES,
    CandidateStatus,
    ProposalStatus,
    PursuitStage,
    state_field,
)
from workstream.models import Activity, Candidate, Proposal, Pursuit, Signal, SlaClock, SlaRule
from workstream.models.activities import Direction
from workstream.models.sla import RULED_METRICS, SlaMetric, SlaOutcome
from workstream.opening import business_time_of
from workstream.sla_rules import calendar_version, is_in_force, moments, rules_in_force, rules_of, untouched_for
from workstream.sql import clocks as sql

__all__ = [
    "begin",
    "begin_many",
    "cancel",
    "due_clock_warns_at",
    "moved",
    "pause",
    "proposal_sent",
    "resume",
    "rules_in_force",
    "set_due_date",
    "start",
    "stop",
    "touch",
]

Item = Signal | Candidate | Pursuit
SOFT_METRICS = (SlaMetric.TOUCH, SlaMetric.DUE_DATE)
# What runs from an item's creation.
FROM_CREATION: dict[type[Any], tuple[SlaMetric, ...]] = {
    Signal: (SlaMetric.TRIAGE,),
    Candidate: (SlaMetric.TRIAGE, *SOFT_METRICS),
    Pursuit: (SlaMetric.PROPOSAL, *SOFT_METRICS),
}
CLOSED = frozenset(
    {
        CandidateStatus.PROMOTED.value,
        CandidateStatus.ARCHIVED.value,
        *(stage.value for stage in CLOSED_STAGES),
    }
)


def begin(item: Item, *, at: datetime) -> None:
    """Start what runs from the creation of an item; a signal's triage counts from when it happened."""
    start(item, *FROM_CREATION[type(item)], at=at, since=item.ts if isinstance(item, Signal) else at)


def begin_many(signals: Sequence[Signal], *, at: datetime) -> None:
    """Start the triage of new signals of one organisation, in the two statements that one of them costs."""
    if not signals:
        return
    rules = rules_in_force(signals[0].org_id, item_type=item_type_of(signals[0]), at=at)
    wanted = [rule for rule in rules if rule.metric in FROM_CREATION[Signal]]
    rows: list[SlaClock] = []
    for signal in signals:
        state = _state(signal)
        rows += _by_rules(signal, [rule for rule in wanted if rule.stage in ("", state)], signal.ts)
    _insert(signals[0].org_id, rows)


def start(item: Item, *metrics: SlaMetric, at: datetime, since: datetime | None = None) -> None:
    """Start these metrics of an item from `since` (`at` when not given), by every rule in force at `at`.

    A rule that is bound to a state starts only when the item is in it. What runs already goes on as it is; a due date
    that is not set starts nothing.
    """
    began = since or at
    rows: list[SlaClock] = []
    if SlaMetric.TOUCH in metrics:
        rows.append(_clock(item, metric=SlaMetric.TOUCH, started_at=began, warn_at=began + untouched_for(item.org_id)))
    due = due_day_of(item) if SlaMetric.DUE_DATE in metrics else None
    if due is not None:
        warn_at = due_clock_warns_at(item.org, due)
        rows.append(_clock(item, metric=SlaMetric.DUE_DATE, started_at=began, warn_at=warn_at))
    wanted = [metric for metric in metrics if metric in RULED_METRICS]
    if wanted:
        rules = rules_in_force(item.org_id, item_type=item_type_of(item), at=at)
        state = _state(item)
        rows += _by_rules(item, [rule for rule in rules if rule.metric in wanted and rule.stage in ("", state)], began)
    _insert(item.org_id, rows)


def stop(
    item: Item | Sequence[Item],
    *metrics: SlaMetric,
    at: datetime,
    by: str,
    actor: Actor,
    happened_at: datetime | None = None,
    since: datetime | None = None,
) -> None:
    """End these metrics of an item, or of several of one kind, because what they waited for has come.

    `by` is the name of that event and `happened_at` its time, where it is told of later than it came. What was late
    and not seen by the sweep gets its breach here. With `since` clocks that started later go on.
    """
    _end(item, metrics, SlaOutcome.MET, at=at, by=by, actor=actor, happened_at=happened_at, since=since)


def cancel(item: Item | Sequence[Item], *metrics: SlaMetric, at: datetime, by: str, actor: Actor) -> None:
    """End these metrics because they are not wanted any more; what was late by now is a breach all the same."""
    _end(item, metrics, SlaOutcome.CANCELLED, at=at, by=by, actor=actor)


def moved(item: Candidate | Pursuit, *, at: datetime, by: str, actor: Actor) -> None:
    """Bring the clocks of an item to the state that it has just entered; `by` is the event of the move.

    Leaving `new` ends a candidate's triage, entering `submit` a pursuit's proposal time. A rule that is bound to a
    state measures the stay in it, except that being on hold is no leaving: there every ruled clock stands still.
    """
    before, now = item.previous_state, _state(item)
    if now in CLOSED:
        outcome = SlaOutcome.CANCELLED if now == CandidateStatus.ARCHIVED else SlaOutcome.MET
        _end(item, tuple(SlaMetric), outcome, at=at, by=by, actor=actor)
        return
    rules = rules_of(item.org_id, item_type=item_type_of(item))
    if now == CandidateStatus.ON_HOLD:
        pause(item, at=at, actor=actor)
    else:
        # Back from hold, what belongs to another state than the one come back to was left with going on hold.
        bound = [rule for rule in rules if rule.stage]
        left = [rule.pk for rule in bound if (rule.stage != now if _is_back(item) else rule.stage == before)]
        ended = (SlaMetric.TRIAGE,) if before == CandidateStatus.NEW else ()
        if now == PursuitStage.SUBMIT:
            ended = (SlaMetric.PROPOSAL,)
        if left or ended:
            _end(item, ended, SlaOutcome.MET, at=at, by=by, actor=actor, rule_ids=left)
        if _is_back(item):
            resume(item, at=at, rules=rules)
    entered = [rule for rule in rules if rule.stage == now and is_in_force(rule, at=at)]
    if any(rule.metric == SlaMetric.RESPONSE for rule in entered) and not _awaits_answer(item):
        entered = [rule for rule in entered if rule.metric != SlaMetric.RESPONSE]
    _insert(item.org_id, _by_rules(item, entered, at))


def pause(item: Item, *, at: datetime, actor: Actor) -> None:
    """Let a candidate's ruled clocks stand still; what was due before and not seen by the sweep is breached."""
    paused = sql.pause(org_id=item.org_id, candidate_id=item.pk, at=at)
    breaches.open_missed(item.org_id, paused, at=at, actor=actor)


def resume(item: Item, *, at: datetime, rules: Iterable[SlaRule] | None = None) -> None:
    """Let a candidate's paused clocks run on with exactly the time that each had left, in its rule's own time."""
    rows = SlaClock.objects.for_org(item.org_id).filter(
        candidate_id=item.pk, rule__isnull=False, paused_at__isnull=False, stopped_at__isnull=True
    )
    clocks: list[SlaClock] = list(rows.locked().order_by("pk"))
    if not clocks:
        return
    known = {rule.pk: rule for rule in rules or rules_of(item.org_id, item_type=item_type_of(item))}
    sql.move(org_id=item.org_id, clocks=[_resumed(clock, known, at) for clock in clocks])


def touch(
    item: Item, *, at: datetime, actor: Actor, happened_at: datetime | None = None, direction: str = Direction.INTERNAL
) -> None:
    """Somebody did something on an item: its touch clock begins anew, a signal's triage ends, and what the other side
    did on a pursuit ends the wait for its answer, when it came after the proposal.
    """
    happened_at = happened_at or at
    by = "activity.logged"
    if isinstance(item, Signal):
        stop(item, SlaMetric.TRIAGE, at=at, by=by, actor=actor, happened_at=happened_at)
        return
    sql.touch(
        org_id=item.org_id,
        item_type=item_type_of(item),
        item_id=item.pk,
        at=happened_at,
        untouched=untouched_for(item.org_id),
    )
    if isinstance(item, Pursuit) and direction == Direction.INBOUND:
        stop(item, SlaMetric.RESPONSE, at=at, by=by, actor=actor, happened_at=happened_at, since=happened_at)


def proposal_sent(pursuit: Pursuit, *, at: datetime, actor: Actor) -> None:
    """Wait for the answer to a version from now on; the wait for the answer to one before ends."""
    cancel(pursuit, SlaMetric.RESPONSE, at=at, by="proposal.sent", actor=actor)
    start(pursuit, SlaMetric.RESPONSE, at=at)


def set_due_date(item: Candidate | Pursuit, *, on: date | None, at: datetime, actor: Actor) -> None:
    """Let an open item's due-date clock begin anew for another date, or end without one."""
    if _state(item) in CLOSED:
        return
    if on is None:
        _end(item, (SlaMetric.DUE_DATE,), SlaOutcome.CANCELLED, at=at, by="due date removed", actor=actor)
        return
    running = SlaClock.objects.for_org(item.org_id).filter(
        **{item_type_of(item): item.pk}, metric=SlaMetric.DUE_DATE, rule__isnull=True, stopped_at__isnull=True
    )
    if not running.update(started_at=at, warn_at=due_clock_warns_at(item.org, on), warned_at=None):
        start(item, SlaMetric.DUE_DATE, at=at)


def due_clock_warns_at(org: Organization, on: date) -> datetime:
    """Midnight after a date where the organisation is; an item is past its due date from then on."""
    return datetime.combine(on + timedelta(days=1), time(0), ZoneInfo(org.timezone))


def due_day_of(item: Item) -> date | None:
    """The date an item is due; a signal has none."""
    if isinstance(item, Signal):
        return None
    return item.next_step_due if isinstance(item, Candidate) else item.due_date


def item_type_of(item: Item) -> str:
    """signal, candidate or pursuit."""
    return item._meta.model_name or ""


def _end(
    item: Item | Sequence[Item],
    metrics: Sequence[SlaMetric],
    outcome: SlaOutcome,
    *,
    at: datetime,
    by: str,
    actor: Actor,
    happened_at: datetime | None = None,
    since: datetime | None = None,
    rule_ids: Iterable[int] = (),
) -> None:
    items = list(item) if isinstance(item, Sequence) else [item]
    if not items:
        return
    org_id = items[0].org_id
    ended = sql.end(
        org_id=org_id,
        item_type=item_type_of(items[0]),
        item_ids=[each.pk for each in items],
        metrics=metrics,
        rule_ids=rule_ids,
        ended_at=happened_at or at,
        since=since,
        outcome=outcome,
        by=by,
    )
    breaches.settle(org_id, ended, at=at, by=by, actor=actor)


def _resumed(clock: SlaClock, rules: Mapping[int, SlaRule], at: datetime) -> sql.NewMoments:
    """A paused clock from now on: what was left of its time when it was paused begins now."""
    assert clock.rule_id is not None and clock.due_at is not None and clock.warn_at is not None  # noqa: PT018
    assert clock.paused_at is not None
    open_time = business_time_of(rules[clock.rule_id].calendar)
    since = clock.paused_at

    def later(moment: datetime) -> datetime:
        return moment if moment <= since else open_time.add(at, open_time.elapsed(since, moment))

    return sql.NewMoments(
        id=clock.pk,
        due_at=later(clock.due_at),
        warn_at=later(clock.warn_at),
        paused_at=None,
        paused_seconds=clock.paused_seconds + round(open_time.elapsed(since, at)),
        warned_at=clock.warned_at,
        breached_at=clock.breached_at,
        rule_version=clock.rule_version,
        calendar_version=clock.calendar_version,
    )


def _by_rules(item: Item, rules: Iterable[SlaRule], began: datetime) -> list[SlaClock]:
    rows = []
    for rule in rules:
        found = moments(rule, started_at=began)
        if found is not None:
            due_at, warn_at = found
            rows.append(_clock(item, metric=rule.metric, started_at=began, rule=rule, due_at=due_at, warn_at=warn_at))
    return rows


def _clock(item: Item, *, rule: SlaRule | None = None, **values: Any) -> SlaClock:
    return SlaClock(
        org_id=item.org_id,
        rule=rule,
        rule_version=0 if rule is None else rule.version,
        calendar_version=0 if rule is None else calendar_version(rule),
        **{f"{item_type_of(item)}_id": item.pk},
        **values,
    )


def _insert(org_id: int, rows: list[SlaClock]) -> None:
    if rows:
        SlaClock.objects.for_org(org_id).bulk_create(rows, ignore_conflicts=True)


def _state(item: Item) -> str:
    field: Any = state_field(type(item))
    return str(field.get_state(item))


def _is_back(item: Candidate | Pursuit) -> bool:
    return item.previous_state == CandidateStatus.ON_HOLD


def _awaits_answer(item: Candidate | Pursuit) -> bool:
    """Whether the newest proposal that was sent has found no answer yet."""
    sent = Proposal.objects.for_org(item.org_id).filter(
        pursuit_id=item.pk, status=ProposalStatus.SENT, sent_at__isnull=False
    )
    newest = sent.order_by("-version").values_list("sent_at", flat=True).first()
    if newest is None:
        return False
    answers = Activity.objects.for_org(item.org_id).filter(
        pursuit_id=item.pk, direction=Direction.INBOUND, happened_at__gte=newest
    )
    return not answers.exists()
