"""Match rates: which part of the signals is at least a medium match, per profile over time and lately."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from enum import StrEnum

from flowledger.tenancy.models import Organization
from spotlight.models import MatchAlert
from spotlight.reports.views import ScoreSummary
from spotlight.rules import MATCH_ALERTS, MatchAlerts
from workstream.reports import HealthFigure, Period, Report
from workstream.reports.tables import asked, percent

# Months that match rates show unless days are given.
MATCH_MONTHS = 3
BANDS = ("high_match", "medium_match", "low_match", "no_match")

_BANDS = """
count(*) AS signals,
count(*) FILTER (WHERE c.recommendation = 'high_match') AS high_match,
count(*) FILTER (WHERE c.recommendation = 'medium_match') AS medium_match,
count(*) FILTER (WHERE c.recommendation = 'low_match') AS low_match,
count(*) FILTER (WHERE c.recommendation = 'no_match') AS no_match,
round(avg(c.match_score), 4) AS mean_score,
round(avg(c.coverage), 4) AS mean_coverage
"""
_OVER_TIME = f"""
SELECT p.id AS spotlight_id, p.name AS spotlight_name,
       date_trunc(%(step)s, s.ts AT TIME ZONE %(timezone)s)::date AS period,
       {_BANDS}
  FROM workstream_signal s
  JOIN spotlight_spotlightscore c ON c.org_id = s.org_id AND c.signal_id = s.id
  JOIN spotlight_spotlight p ON p.org_id = c.org_id AND p.id = c.spotlight_id
 WHERE s.org_id = %(org_id)s AND s.ts >= %(since)s AND s.ts < %(until)s
   AND (p.id = %(spotlight_id)s OR (%(spotlight_id)s::bigint IS NULL AND p.active))
 GROUP BY p.id, p.name, 3
 ORDER BY p.name, p.id, 3
"""  # noqa: S608
_BEST = f"""
SELECT {_BANDS}
  FROM workstream_signal s
  JOIN spotlight_spotlightfit c ON c.org_id = s.org_id AND c.signal_id = s.id
 WHERE s.org_id = %(org_id)s AND s.ts >= %(since)s AND s.ts < %(until)s
"""  # noqa: S608
# Scores of an earlier version say nothing about the profile as it is; a re-score replaces them.
_LATELY = """
SELECT p.id AS spotlight_id, p.name AS spotlight_name, count(s.id) AS signals,
       count(s.id) FILTER (WHERE c.recommendation IN ('high_match', 'medium_match')) AS matched
  FROM spotlight_spotlight p
  LEFT JOIN (spotlight_spotlightscore c
             JOIN workstream_signal s ON s.org_id = c.org_id AND s.id = c.signal_id
                                     AND s.org_id = %(org_id)s AND s.ts >= %(since)s AND s.ts < %(until)s)
    ON c.org_id = p.org_id AND c.spotlight_id = p.id AND c.spotlight_version = p.version
 WHERE p.org_id = %(org_id)s AND p.active
 GROUP BY p.id, p.name
 ORDER BY p.id
"""


class Step(StrEnum):
    """How long a period is."""

    WEEK = "week"
    DAY = "day"
    MONTH = "month"


@dataclass(frozen=True)
class RecentRate:
    """How many of the newest signals an active profile matched."""

    spotlight_id: int
    spotlight_name: str
    signals: int
    matched: int

    @property
    def rate(self) -> Decimal:
        """The share, with four decimals; 0 of nothing."""
        return (Decimal(self.matched) / self.signals).quantize(Decimal("0.0001")) if self.signals else Decimal(0)

    def is_judged(self, rule: MatchAlerts) -> bool:
        """Whether there are enough signals to say anything."""
        return self.signals >= rule.least_signals

    def is_low(self, rule: MatchAlerts) -> bool:
        """Whether the rule asks for more."""
        return self.matched < rule.least_rate * self.signals


def score_summary(*, org: Organization) -> Report:
    """What signals and candidates score against every profile, active ones first; every profile has two rows."""
    rows = ScoreSummary.objects.for_org(org).order_by("-active", "spotlight_name", "spotlight_id", "-item_type")
    names = [field.attname for field in ScoreSummary._meta.concrete_fields if field.attname not in {"pk", "org_id"}]
    return Report(rows=list(rows.values(*names)))


def match_rates(
    *, org: Organization, period: Period, step: Step, spotlight_id: int | None = None, at: datetime
) -> Report:
    """Signals of the period by profile and week, day or month: their bands, match rate, mean score and coverage.

    Weeks and months are the organisation's own. Without `spotlight_id` all active profiles are shown; the totals count
    each signal once, by the best that it scores, overrides included.
    """
    known = {
        "org_id": org.pk,
        "since": period.since,
        "until": period.until,
        "timezone": period.timezone,
        "step": step.value,
        "spotlight_id": spotlight_id,
    }
    rows = asked(_OVER_TIME, known)
    (totals,) = asked(_BEST, known)
    for row in (*rows, totals):
        row["match_rate_percent"] = percent(row["high_match"] + row["medium_match"], row["signals"])
    return Report(rows=rows, period=period, health=[recent_health(org=org, at=at)], totals=totals)


def recent_rates(*, org: Organization, at: datetime) -> list[RecentRate]:
    """The active profiles with the signals of the last days that the rule `match_alerts` looks at."""
    days = timedelta(days=MATCH_ALERTS.of(org).window_days)
    return [RecentRate(**row) for row in asked(_LATELY, {"org_id": org.pk, "since": at - days, "until": at})]


def recent_health(*, org: Organization, at: datetime) -> HealthFigure:
    """The lowest match rate of the last days against the least that is asked for."""
    rule = MATCH_ALERTS.of(org)
    judged = [rate for rate in recent_rates(org=org, at=at) if rate.is_judged(rule)]
    lowest = min(judged, key=lambda rate: (rate.rate, rate.spotlight_name), default=None)
    return HealthFigure(
        name="lowest_match_rate",
        label="Lowest match rate",
        value=percent(lowest.matched, lowest.signals) if lowest else None,
        target=f"at least {rule.least_rate * 100:g} % for every profile",
        unit="percent",
        is_met=not lowest.is_low(rule) if lowest else None,
        sentence=_in_words(lowest, [rate for rate in judged if rate.is_low(rule)], rule),
    )


def alerts(*, org: Organization, period: Period) -> Report:
    """Stretches of low match rates that began or stood in the period, newest first."""
    found = MatchAlert.objects.for_org(org).touching(period.since, period.until).select_related("spotlight")
    rows = [
        {
            "match_alert_id": row.pk,
            "spotlight_id": row.spotlight_id,
            "spotlight_name": row.spotlight.name,
            "match_rate_percent": (row.match_rate * 100).quantize(Decimal("0.1")),
            "least_rate_percent": (row.least_rate * 100).quantize(Decimal("0.1")),
            "signals": row.signals,
            "window_days": row.window_days,
            "began_at": row.began_at,
            "ended_at": row.ended_at,
        }
        for row in found.order_by("-began_at", "-pk")
    ]
    return Report(rows=rows, period=period)


def _in_words(lowest: RecentRate | None, low: Sequence[RecentRate], rule: MatchAlerts) -> str:
    days = f"the last {rule.window_days} days" if rule.window_days > 1 else "the last day"
    if lowest is None:
        return f"No active profile has scored {rule.least_signals:,} signals of {days}."
    sentence = f"“{lowest.spotlight_name}” matched {lowest.matched:,} of {lowest.signals:,} signals of {days}."
    if len(low) > 1:
        sentence += f" {len(low)} profiles match too few."
    return sentence
