"""Which SLA rules an organisation has, and when what they measure is due."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

import structlog

from flowledger.tenancy.models import Organization
from workstream.business_time import NeverOpen
from workstream.models import BusinessCalendar, SlaRule
from workstream.opening import business_time_of
from workstream.rules import SLA_DEFAULTS, UNTOUCHED_HOURS

log = structlog.get_logger(__name__)
_HOUR = 3600


def rules_of(org: Organization | int, *, item_type: str) -> list[SlaRule]:
    """Every rule about a kind of item with its calendar, the ones not in force too; the first look makes the defaults.

    The rules are held against `FOR UPDATE` until the transaction ends: a recompute waits for whoever starts clocks by
    what it has replaced, so that none of them is missed.
    """
    org_id = org if isinstance(org, int) else org.pk
    rules = _held(org_id)
    if not rules:
        seed_default_rules(org)
        rules = _held(org_id)
    return [rule for rule in rules if rule.item_type == item_type]


def rules_in_force(org: Organization | int, *, item_type: str, at: datetime) -> list[SlaRule]:
    """The rules by which a clock on such an item starts at a moment."""
    return [rule for rule in rules_of(org, item_type=item_type) if is_in_force(rule, at=at)]


def is_in_force(rule: SlaRule, *, at: datetime) -> bool:
    """Whether clocks start by the rule at a moment; its range includes its begin and not its end."""
    if not rule.is_active:
        return False
    return (rule.active_from is None or rule.active_from <= at) and (rule.active_to is None or at < rule.active_to)


def seed_default_rules(org: Organization | int) -> None:
    """The rules of a new organisation from the registry. However many do it at once, each rule is there once."""
    org_id = org if isinstance(org, int) else org.pk
    SlaRule.objects.for_org(org).bulk_create(
        [
            SlaRule(
                org_id=org_id,
                item_type=default.item_type,
                metric=default.metric,
                threshold_hours=default.threshold_hours,
                warn_before_hours=default.warn_before_hours,
                default_key=default.default_key,
            )
            for default in SLA_DEFAULTS.of(org)
        ],
        ignore_conflicts=True,
    )


def moments(rule: SlaRule, *, started_at: datetime, paused_seconds: float = 0) -> tuple[datetime, datetime] | None:
    """When a clock by the rule is due and when it warns; None when the rule's calendar never opens for so long."""
    threshold = float(rule.threshold_hours * _HOUR)
    before = threshold / 4 if rule.warn_before_hours is None else float(rule.warn_before_hours * _HOUR)
    time = business_time_of(rule.calendar)
    try:
        due_at = time.add(started_at, threshold + paused_seconds)
        return due_at, time.add(started_at, threshold - before + paused_seconds)
    except NeverOpen:
        # A calendar that never opens must not keep anybody from selling.
        log.error("sla_rule_never_due", org_id=rule.org_id, rule_id=rule.pk, calendar_id=rule.calendar_id)
        return None


def untouched_for(org: Organization | int) -> timedelta:
    """How long an open item may go untouched before it turns amber, by the wall clock."""
    return timedelta(hours=float(UNTOUCHED_HOURS.of(org)))


def calendar_version(rule: SlaRule) -> int:
    """The version of the rule's calendar; 0 without one."""
    return 0 if rule.calendar is None else rule.calendar.version


def _held(org_id: int) -> list[SlaRule]:
    rules: Sequence[SlaRule] = list(
        SlaRule.objects.for_org(org_id).raw(
            "SELECT * FROM workstream_slarule WHERE org_id = %s ORDER BY id FOR KEY SHARE", [org_id]
        )
    )
    named = sorted({rule.calendar_id for rule in rules if rule.calendar_id is not None})
    if named:
        rows = BusinessCalendar.objects.for_org(org_id).raw(
            "SELECT * FROM workstream_businesscalendar WHERE org_id = %s AND id = ANY(%s) ORDER BY id FOR KEY SHARE",
            [org_id, named],
        )
        calendars = {calendar.pk: calendar for calendar in rows}
        for rule in rules:
            if rule.calendar_id is not None:
                rule.calendar = calendars[rule.calendar_id]
    return list(rules)
