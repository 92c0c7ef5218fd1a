"""The health targets of the pipeline, each measured, and said in a sentence (sla-and-today.md, Views)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Final

from django.db import connection

from flowledger.outbox.health import OrganizationOutbox
from flowledger.tenancy.models import Organization
from workstream.models import GateCheck, Pursuit
from workstream.reports.periods import Period, last_days

BREACH_RATE: Final = Decimal("5")
OUTBOX_SECONDS: Final = Decimal("30")
GATE_PASS_RATE: Final = Decimal("80")
# Pursuits of so many days are compared with those of as many days before.
TREND_DAYS: Final = 30
_TENTH = Decimal("0.1")


@dataclass(frozen=True)
class HealthFigure:
    """One figure beside its target; value and `is_met` are None where there is nothing to judge yet."""

    name: str
    label: str
    value: Decimal | None
    target: str
    unit: str
    is_met: bool | None
    sentence: str


def breach_rate(*, met: int, breached: int) -> HealthFigure:
    """Breaches among the clocks that were decided; to stay under 5 %."""
    decided = met + breached
    value = (Decimal(100 * breached) / decided).quantize(_TENTH) if decided else None
    return HealthFigure(
        name="breach_rate",
        label="Breach rate",
        value=value,
        target="under 5 %",
        unit="percent",
        is_met=100 * breached < BREACH_RATE * decided if decided else None,
        sentence=f"{breached:,} of {decided:,} clocks missed their time." if decided else "No clock has ended yet.",
    )


def gate_pass_rate(*, org: Organization, period: Period) -> HealthFigure:
    """Gate checks that let the pursuit pass, from the ledger; to stay above 80 %."""
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT count(*), count(*) FILTER (WHERE passed) FROM {_table(GateCheck)} "  # noqa: S608
            "WHERE org_id = %s AND checked_at >= %s AND checked_at < %s",
            [org.pk, period.since, period.until],
        )
        checks, passed = cursor.fetchone() or (0, 0)
    return HealthFigure(
        name="gate_pass_rate",
        label="Gate pass rate",
        value=(Decimal(100 * passed) / checks).quantize(_TENTH) if checks else None,
        target="above 80 %",
        unit="percent",
        is_met=100 * passed > GATE_PASS_RATE * checks if checks else None,
        sentence=f"{passed:,} of {checks:,} gate checks passed." if checks else "No gate was checked.",
    )


def pursuit_creation(*, org: Organization, at: datetime) -> HealthFigure:
    """Pursuits of the last 30 days in the organisation's time zone, against the 30 days before; to go upward."""
    now = last_days(org, TREND_DAYS, at=at)
    before = now.before()
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT count(*) FILTER (WHERE created_at >= %s), count(*) FROM {_table(Pursuit)} "  # noqa: S608
            "WHERE org_id = %s AND created_at >= %s AND created_at < %s",
            [now.since, org.pk, before.since, now.until],
        )
        recent, both = cursor.fetchone() or (0, 0)
    earlier = both - recent
    return HealthFigure(
        name="pursuit_creation",
        label="New pursuits",
        value=Decimal(recent),
        target="more than in the 30 days before",
        unit="pursuits",
        is_met=recent > earlier if both else None,
        sentence=f"{recent:,} in the last {TREND_DAYS} days, {earlier:,} in the {TREND_DAYS} days before.",
    )


def outbox_latency(backlog: OrganizationOutbox) -> HealthFigure:
    """For how long the event that is due longest has waited; to stay under 30 seconds."""
    waited = backlog["oldest_due_seconds"]
    return HealthFigure(
        name="outbox_latency",
        label="Outbox latency",
        value=waited,
        target="under 30 seconds",
        unit="seconds",
        is_met=waited < OUTBOX_SECONDS,
        sentence=f"{backlog['pending']:,} events wait, the oldest for {waited:.1f} seconds."
        if backlog["pending"]
        else "Nothing waits.",
    )


def _table(model: type[GateCheck] | type[Pursuit]) -> str:
    return connection.ops.quote_name(model._meta.db_table)
