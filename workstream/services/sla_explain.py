"""Why a clock stands as it does: told from its row, its rule, its calendar and the stays of its item.

The moments are the clock's own, by which the sweep goes; reckoned are only the time that has passed and that is left.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from django.apps import apps

from flowledger.errors import InvalidInput
from flowledger.tenancy.models import Organization
from workstream.business_time import BusinessTime
from workstream.machines import CandidateStatus
from workstream.models import SlaBreach, SlaClock, StageHistory
from workstream.models.sla import CLOCKED_MODELS, SlaMetric
from workstream.opening import business_time_of

# Of an item that has been measured very often the newest are told.
MOST_CLOCKS = 100


@dataclass(frozen=True)
class Pause:
    """One time on hold: `seconds` of the rule's own time were not counted; until is null while it lasts."""

    since: datetime
    until: datetime | None
    by: str
    seconds: float


@dataclass(frozen=True)
class ClockStory:
    """One clock. Seconds are in the rule's own time: open time under a calendar, else by the clock on the wall.

    `state` is running, paused, met, breached or cancelled. `remaining_seconds` is negative once the time is over, and
    null for a clock that has ended or that can only warn.
    """

    clock_id: int
    metric: str
    state: str
    rule_id: int | None
    rule_version: int
    rule: str
    calendar: str
    calendar_version: int
    started_at: datetime
    warn_at: datetime | None
    due_at: datetime | None
    warned_at: datetime | None
    breached_at: datetime | None
    paused_at: datetime | None
    stopped_at: datetime | None
    stopped_by: str
    outcome: str
    elapsed_seconds: float
    remaining_seconds: float | None
    paused_seconds: float
    pauses: tuple[Pause, ...]
    sentences: tuple[str, ...]


def explain(*, org: Organization, item_type: str, item_id: int, at: datetime) -> list[ClockStory]:
    """Every clock that runs or ran on an item, running ones first, then the newest.

    Raises InvalidInput for a kind of item that has no clocks, NotFound for an item that is not there.
    """
    if item_type not in CLOCKED_MODELS:
        sentence = f"'{item_type}' has no clocks; choose from: {', '.join(CLOCKED_MODELS)}."
        raise InvalidInput(sentence, fields={"item_type": [sentence]})
    model: Any = apps.get_model(CLOCKED_MODELS[item_type])
    item = model.objects.for_org(org).fetch(item_id)
    rows = SlaClock.objects.for_org(org).filter(**{item_type: item}).select_related("rule__calendar")
    clocks = list(rows.order_by("-started_at", "-pk")[:MOST_CLOCKS])
    breaches = {row.clock_id: row for row in SlaBreach.objects.for_org(org).filter(clock__in=clocks).order_by("pk")}
    holds = _holds(org, item) if item_type == "candidate" else []
    stories = [_Teller(org, item, clock, at).story(breaches.get(clock.pk), holds) for clock in clocks]
    return sorted(stories, key=lambda story: story.stopped_at is not None)


def _holds(org: Organization, candidate: Any) -> list[StageHistory]:
    rows = StageHistory.objects.for_org(org).filter(candidate=candidate, state=CandidateStatus.ON_HOLD)
    return list(rows.order_by("entered_at", "pk"))


class _Teller:
    """One clock at one moment."""

    def __init__(self, org: Organization, item: Any, clock: SlaClock, at: datetime) -> None:
        self._zone = ZoneInfo(org.timezone)
        self._item = item
        self._clock = clock
        self._at = at
        self._calendar = clock.rule.calendar if clock.rule is not None else None
        self._time: BusinessTime = business_time_of(self._calendar)
        # Where its hand stands: at its end, where it was paused, or now.
        self._stands_at: datetime = clock.stopped_at or clock.paused_at or at

    def story(self, breach: SlaBreach | None, holds: Sequence[StageHistory]) -> ClockStory:
        clock = self._clock
        pauses = tuple(self._pauses(holds)) if clock.rule_id is not None else ()
        return ClockStory(
            clock_id=clock.pk,
            metric=clock.metric,
            state=clock.outcome or ("paused" if clock.paused_at else "running"),
            rule_id=clock.rule_id,
            rule_version=clock.rule_version,
            rule=str(clock.rule) if clock.rule is not None else "",
            calendar=self._calendar.name if self._calendar else "",
            calendar_version=clock.calendar_version,
            started_at=clock.started_at,
            warn_at=clock.warn_at,
            due_at=clock.due_at,
            warned_at=clock.warned_at,
            breached_at=clock.breached_at,
            paused_at=clock.paused_at,
            stopped_at=clock.stopped_at,
            stopped_by=clock.stopped_by,
            outcome=clock.outcome,
            elapsed_seconds=self._elapsed(),
            remaining_seconds=self._remaining(),
            paused_seconds=self._paused(),
            pauses=pauses,
            sentences=tuple(self._sentences(pauses, breach)),
        )

    # --- numbers ---

    def _elapsed(self) -> float:
        gross = self._time.elapsed(self._clock.started_at, self._stands_at)
        return max(gross - self._clock.paused_seconds, 0.0)

    def _remaining(self) -> float | None:
        due_at = self._clock.due_at
        if due_at is None or self._clock.stopped_at is not None:
            return None
        return self._time.elapsed(self._stands_at, due_at) or -self._time.elapsed(due_at, self._stands_at)

    def _paused(self) -> float:
        standing = self._time.elapsed(self._clock.paused_at, self._at) if self._clock.paused_at else 0.0
        return self._clock.paused_seconds + standing

    def _pauses(self, holds: Sequence[StageHistory]) -> list[Pause]:
        clock = self._clock
        end = clock.stopped_at or self._at
        found = []
        for hold in holds:
            since, until = max(hold.entered_at, clock.started_at), min(hold.left_at or end, end)
            if since < until or (hold.left_at is None and clock.paused_at is not None):
                seconds = self._time.elapsed(since, until)
                found.append(Pause(since, hold.left_at, hold.actor_label, seconds))
        return found

    # --- words ---

    def _sentences(self, pauses: Sequence[Pause], breach: SlaBreach | None) -> list[str]:
        clock = self._clock
        return [
            f"{clock.get_metric_display()} counts from {self._moment(clock.started_at)}, {self._beginning()}.",
            *self._rule_sentences(),
            *(self._pause_sentence(pause) for pause in pauses),
            *self._moment_sentences(),
            *self._end_sentences(),
            *self._breach_sentences(breach),
        ]

    def _beginning(self) -> str:
        clock = self._clock
        if clock.rule is not None and clock.rule.stage:
            return f"when the {clock.item_type} entered {clock.rule.stage}"
        return {
            SlaMetric.TRIAGE: "when the signal came in" if clock.signal_id else "when the candidate was created",
            SlaMetric.PROPOSAL: "when the candidate was promoted to this pursuit",
            SlaMetric.RESPONSE: "when the newest proposal was sent",
            SlaMetric.TOUCH: "when somebody last did something on it",
            SlaMetric.DUE_DATE: "when the due date was set",
        }[SlaMetric(clock.metric)]

    def _rule_sentences(self) -> list[str]:
        clock, rule = self._clock, self._clock.rule
        if rule is None:
            return ["It goes by no SLA rule: it warns, and cannot be breached."]
        if self._calendar is None:
            counted = "every hour, nights and weekends included"
        else:
            counted = f"only the hours in which the calendar {self._calendar.name} ({self._calendar.timezone}) is open"
        told = [f"Rule {rule.pk} counts {counted}."]
        if clock.rule_version == rule.version:
            told.append(f"It allows {rule.threshold_hours.normalize():f} hours.")
        elif clock.stopped_at is None:
            told.append(
                f"The rule was edited since: the clock still goes by version {clock.rule_version}, version "
                f"{rule.version} is about to replace it."
            )
        else:
            told.append(f"It ended under version {clock.rule_version} of the rule, which is now at {rule.version}.")
        return told

    def _pause_sentence(self, pause: Pause) -> str:
        by = f" by {pause.by}" if pause.by else ""
        if pause.until is None and self._clock.stopped_at is None:
            reason = f" ({self._item.hold_reason})" if self._item.hold_reason else ""
            resumes = f", until {self._moment(self._item.resume_at)}" if self._item.resume_at else ""
            return f"It stands still since {self._moment(pause.since)}: put on hold{by}{reason}{resumes}."
        until = pause.until or self._stands_at
        return (
            f"It stood still from {self._moment(pause.since)} to {self._moment(until)}, on hold{by}; "
            f"{_span(pause.seconds)} were not counted."
        )

    def _moment_sentences(self) -> list[str]:
        clock = self._clock
        told = []
        if clock.paused_at is not None:
            return [f"Of its time {_span(self._remaining() or 0)} are left, and begin when it runs on."]
        if clock.warned_at is not None:
            told.append(f"It warned at {self._moment(clock.warned_at)}.")
        elif clock.warn_at is not None and clock.stopped_at is None:
            told.append(f"It warns at {self._moment(clock.warn_at)}.")
        if clock.due_at is None:
            return told
        remaining = self._remaining()
        if remaining is None:
            told.append(f"It was due at {self._moment(clock.due_at)}; {_span(self._elapsed())} had passed at its end.")
        elif remaining >= 0:
            told.append(
                f"It is due at {self._moment(clock.due_at)}: {_span(self._elapsed())} have passed, {_span(remaining)} "
                "are left."
            )
        else:
            told.append(f"It was due at {self._moment(clock.due_at)} and is late by {_span(-remaining)}.")
        return told

    def _end_sentences(self) -> list[str]:
        clock = self._clock
        if clock.stopped_at is None:
            return []
        ends = {"met": "in time", "breached": "too late", "cancelled": "because it was not wanted any more"}
        by = f" by {clock.stopped_by}" if clock.stopped_by else ""
        return [f"It ended at {self._moment(clock.stopped_at)}{by}, {ends[clock.outcome]}."]

    def _breach_sentences(self, breach: SlaBreach | None) -> list[str]:
        if breach is None:
            return []
        what = f"{breach.get_reason_code_display()}: breach {breach.pk}"
        if breach.resolved_at is None:
            return [f"{what} is open since {self._moment(breach.breached_at)}."]
        return [f"{what} was resolved at {self._moment(breach.resolved_at)} by {breach.resolved_by}."]

    def _moment(self, at: datetime) -> str:
        local = at.astimezone(self._zone)
        return f"{local.day} {local:%B %Y, %H:%M} ({local:%Z})"


def _span(seconds: float) -> str:
    """A length of time in hours and minutes."""
    minutes = round(abs(seconds) / 60)
    hours, rest = divmod(minutes, 60)
    if not hours:
        return f"{rest} min"
    return f"{hours} h {rest} min" if rest else f"{hours} h"
