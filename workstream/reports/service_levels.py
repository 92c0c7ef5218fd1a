"""How the SLA was kept, who has how much before them, and whether events are delivered in time."""

from __future__ import annotations

from datetime import datetime, timedelta

from flowledger.outbox.health import organization_outbox
from flowledger.tenancy.models import Organization
from workstream.models.sla import RULED_METRICS, SlaMetric
from workstream.reports.health import breach_rate, outbox_latency
from workstream.reports.periods import Period
from workstream.reports.tables import Report, asked, hours, percent
from workstream.rules import UNTOUCHED_HOURS

# Months that compliance shows unless days are given.
COMPLIANCE_MONTHS = 3

_COMPLIANCE = """
SELECT metric, met, breached, open, open_breaches FROM workstream_sla_compliance(%s, %s) WHERE org_id = %s
"""
_WORKLOAD = """
SELECT w.owner_id, coalesce(nullif(btrim(concat_ws(' ', u.first_name, u.last_name)), ''), u.username, '') AS owner_name,
       w.items, w.urgent, w.high, w.medium, w.low, w.breaches, w.stale, w.snoozed, w.mean_seconds,
       extract(epoch FROM %(at)s - w.oldest_touch_at)::float8 AS longest_seconds
  FROM workstream_user_workload(%(at)s, %(stale_after)s) w
  LEFT JOIN tenancy_user u ON u.id = w.owner_id
 WHERE w.org_id = %(org_id)s
 ORDER BY w.breaches DESC, w.urgent DESC, w.items DESC, w.owner_id NULLS LAST
"""


def sla_compliance(*, org: Organization, period: Period) -> Report:
    """Per metric what was met and breached in the period, and what is open now, breached or not.

    A breach that still stands counts when it happened, one that is over when its clock ended. Cancelled clocks count
    nowhere.
    """
    found = {row["metric"]: row for row in asked(_COMPLIANCE, [period.since, period.until, org.pk])}
    rows = [found[metric.value] for metric in RULED_METRICS]
    for row in rows:
        row["label"] = SlaMetric(row["metric"]).label
        row["compliance_percent"] = percent(row["met"], row["met"] + row["breached"])
    met, breached = sum(row["met"] for row in rows), sum(row["breached"] for row in rows)
    totals = {
        "met": met,
        "breached": breached,
        "open": sum(row["open"] for row in rows),
        "open_breaches": sum(row["open_breaches"] for row in rows),
        "compliance_percent": percent(met, met + breached),
    }
    return Report(rows=rows, period=period, health=[breach_rate(met=met, breached=breached)], totals=totals)


def workload(*, org: Organization, at: datetime) -> Report:
    """Per owner what stands on the panel: items by tier, open breaches, and what nobody has touched for long.

    Stale is what the registry's `sla_rule/untouched_hours` says; `longest_hours_since_touch` is of the item that was
    left alone longest.
    """
    stale_after = timedelta(hours=float(UNTOUCHED_HOURS.of(org)))
    rows = asked(_WORKLOAD, {"at": at, "stale_after": stale_after, "org_id": org.pk})
    for row in rows:
        row["mean_hours_since_touch"] = hours(row.pop("mean_seconds"), places="0.1")
        row["longest_hours_since_touch"] = hours(row.pop("longest_seconds"), places="0.1")
    return Report(rows=rows)


def outbox(*, org: Organization) -> Report:
    """The organisation's own backlog of events, in one row."""
    backlog = organization_outbox(org=org)
    return Report(rows=[dict(backlog)], health=[outbox_latency(backlog)])
