"""SLA clocks, their rules and calendars, and the Today panel, in the past tense: ids and JSON values only."""

from __future__ import annotations

from dataclasses import dataclass

from flowledger.outbox.events import event


@event("sla.warned", item_from_fact=True)
@dataclass(frozen=True)
class SlaWarned:
    """An item came near the end of its time, or past its due date, or was left untouched for long."""

    item_type: str
    item_id: int
    clock_id: int
    rule_id: int | None
    metric: str
    due_at: str | None


@event("sla.breached", item_from_fact=True)
@dataclass(frozen=True)
class SlaBreached:
    """An item missed its time; the breach stays open until the metric's end condition comes."""

    item_type: str
    item_id: int
    breach_id: int
    clock_id: int
    rule_id: int
    metric: str
    reason_code: str
    due_at: str


@event("sla.resolved", item_from_fact=True)
@dataclass(frozen=True)
class SlaResolved:
    """What an open breach was waiting for has come; `resolved_by` names the event."""

    item_type: str
    item_id: int
    breach_id: int
    clock_id: int
    rule_id: int
    metric: str
    resolved_by: str


@event("sla.recompute_continued", item="sla_rule", item_id="rule_id")
@dataclass(frozen=True)
class SlaRecomputeContinued:
    """A part of a rule's open clocks was computed anew; the rest follows, from the id `after_clock_id` on."""

    rule_id: int
    clocks: int
    after_clock_id: int


@event("sla.recomputed", item="sla_rule", item_id="rule_id")
@dataclass(frozen=True)
class SlaRecomputed:
    """The open clocks of a rule were computed anew after an edit of the rule or its calendar."""

    rule_id: int
    clocks: int


@event("sla.touch_recompute_continued")
@dataclass(frozen=True)
class SlaTouchRecomputeContinued:
    """A part of the touch clocks follows other hours; the rest follows, from the id `after_clock_id` on."""

    clocks: int
    after_clock_id: int


@event("sla.rule_changed", item="sla_rule", item_id="rule_id")
@dataclass(frozen=True)
class SlaRuleChanged:
    """An SLA rule was made or edited; the payload is the rule as it is now."""

    rule_id: int
    version: int
    item_type: str
    stage: str
    metric: str
    threshold_hours: str
    warn_before_hours: str | None
    calendar_id: int | None
    is_active: bool


@event("sla.calendar_changed", item="business_calendar", item_id="calendar_id")
@dataclass(frozen=True)
class BusinessCalendarChanged:
    """A business calendar was made or edited, its closing days with it."""

    calendar_id: int
    version: int


@event("today.snoozed", item_from_fact=True)
@dataclass(frozen=True)
class TodaySnoozed:
    """An item was put off the Today panel until a time, or (`until` null) brought back before it."""

    item_type: str
    item_id: int
    until: str | None


@event("today.outdated")
@dataclass(frozen=True)
class TodayOutdated:
    """The weights behind an organisation's Today panel changed: its rows behind this one are to be computed anew."""

    after_id: int
