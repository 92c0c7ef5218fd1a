"""What an edit of an SLA rule would do to the clocks that run by it, worked out without doing it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from django.db.models import Q

from flowledger.errors import InvalidInput
from flowledger.tenancy.actors import Actor
from flowledger.tenancy.models import Organization
from flowledger.tenancy.permissions import authorize
from flowledger.tenancy.usecases import use_case
from workstream.business_time import BusinessTime
from workstream.models import BusinessCalendar, SlaClock, SlaRule
from workstream.opening import business_time_of
from workstream.sla_rules import moments

_MICROSECOND = timedelta(microseconds=1)
# Nothing that began before is still running.
_LONGEST = timedelta(days=365 * 20)


@dataclass(frozen=True)
class RulePreview:
    """When a clock that starts now would warn and be due, and what becomes of the clocks that run already.

    `running` of them are computed anew, or cancelled where the rule would be off; `late` of them are past their time as
    it stands, `late_after` would be.
    """

    warns_at: datetime
    due_at: datetime
    running: int
    late: int
    late_after: int


@use_case
def preview_rule(
    *,
    org: Organization,
    rule_id: int | None,
    threshold_hours: Decimal,
    warn_before_hours: Decimal | None,
    calendar_id: int | None,
    actor: Actor,
    at: datetime,
) -> RulePreview:
    """What a rule would do with these values; without `rule_id` it is a new one, by which nothing runs yet.

    A few counts whatever the number of clocks. Raises PermissionRefused, NotFound, InvalidInput for a calendar that
    never opens for so long.
    """
    authorize(actor, "edit_sla")
    calendar = None if calendar_id is None else BusinessCalendar.objects.for_org(org).fetch(calendar_id)
    rule = SlaRule(org=org, threshold_hours=threshold_hours, warn_before_hours=warn_before_hours, calendar=calendar)
    found = moments(rule, started_at=at)
    if found is None:
        sentence = "This calendar never opens for so long."
        raise InvalidInput(sentence, fields={"calendar": [sentence]})
    due_at, warns_at = found
    clocks = SlaClock.objects.for_org(org).filter(rule_id=rule_id, rule__isnull=False, stopped_at__isnull=True)
    return RulePreview(
        warns_at=warns_at,
        due_at=due_at,
        running=clocks.count(),
        late=clocks.filter(Q(paused_at__isnull=True, due_at__lte=at) | Q(breached_at__isnull=False)).count(),
        late_after=_late(clocks, rule, at),
    )


def _late(clocks: Any, rule: SlaRule, at: datetime) -> int:
    """How many clocks would be past their time by the rule: the ones that never stood still by one count."""
    plain = Q(paused_at__isnull=True, paused_seconds=0)
    began = latest_start(business_time_of(rule.calendar), float(rule.threshold_hours * 3600), at=at)
    late: int = 0 if began is None else clocks.filter(plain, started_at__lte=began).count()
    for started_at, seconds, paused_at in clocks.exclude(plain).values_list(
        "started_at", "paused_seconds", "paused_at"
    ):
        found = moments(rule, started_at=started_at, paused_seconds=seconds)
        late += found is not None and found[0] <= (paused_at or at)
    return late


def latest_start(time: BusinessTime, seconds: float, *, at: datetime) -> datetime | None:
    """The last moment from which so much open time has passed by `at`; None where it lies too far back.

    Open time up to `at` only shrinks with a later start, so the moment is found by halving.
    """
    span = timedelta(seconds=seconds)
    while time.elapsed(at - span, at) < seconds:
        span *= 2
        if span > _LONGEST:
            return None
    early, late = at - span, at
    while late - early > _MICROSECOND:
        middle = early + (late - early) / 2
        if time.elapsed(middle, at) >= seconds:
            early = middle
        else:
            late = middle
    return early
