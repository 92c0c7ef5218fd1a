"""The funnel: what stands in each stage now, and how fast and how well it goes on from there."""

from __future__ import annotations

from datetime import datetime

from flowledger.tenancy.models import Organization
from workstream.reports.health import TREND_DAYS, gate_pass_rate, pursuit_creation
from workstream.reports.periods import Period, last_days
from workstream.reports.tables import Report, asked, hours, percent
from workstream.reports.views import FunnelStage

# Months that velocity shows unless days are given.
VELOCITY_MONTHS = 3

_VELOCITY = """
SELECT item_type, stage, month, entered, finished, measured, advanced, dropped,
       seconds[1] AS median_seconds, seconds[2] AS p90_seconds
  FROM workstream_velocity(%s, %s)
 WHERE org_id = %s
 ORDER BY array_position(ARRAY['new', 'triaged', 'nurture', 'on_hold', 'promoted', 'archived',
                               'qual', 'pink', 'red', 'submit', 'won', 'lost'], stage), month
"""


def funnel(*, org: Organization, at: datetime) -> Report:
    """How many candidates and pursuits stand in each stage, counted now; every stage has a row."""
    rows = FunnelStage.objects.for_org(org).order_by("place").values("item_type", "stage", "items")
    return Report(
        rows=list(rows),
        health=[
            pursuit_creation(org=org, at=at),
            gate_pass_rate(org=org, period=last_days(org, TREND_DAYS, at=at)),
        ],
    )


def velocity(*, org: Organization, period: Period) -> Report:
    """Per stage and month of entry, for stays that began in the period.

    `measured` stays are over and have times that nobody guessed; the hours are theirs. Conversion and drop-off are
    shares of everything that entered.
    """
    rows = asked(_VELOCITY, [period.since, period.until, org.pk])
    for row in rows:
        row["median_hours"] = hours(row.pop("median_seconds"))
        row["p90_hours"] = hours(row.pop("p90_seconds"))
        row["conversion_percent"] = percent(row["advanced"], row["entered"])
        row["drop_off_percent"] = percent(row["dropped"], row["entered"])
    return Report(rows=rows, period=period, health=[gate_pass_rate(org=org, period=period)])
