"""Won and lost: how many, how often, for how much and how fast, by period, product and agent."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime
from decimal import Decimal
from enum import StrEnum
from typing import Any

from django.db.models import Aggregate, Count, DateField, F, FloatField, Q, Sum
from django.db.models.functions import TruncMonth, TruncQuarter

from flowledger.tenancy.models import Organization
from workstream.machines import PursuitStage
from workstream.reports.health import pursuit_creation
from workstream.reports.periods import Period
from workstream.reports.tables import Report, percent
from workstream.reports.views import SalesOutcome

# Months that outcomes show unless days are given.
OUTCOME_MONTHS = 12

_WON, _LOST = Q(outcome=PursuitStage.WON), Q(outcome=PursuitStage.LOST)
_SECONDS_A_DAY = 86_400


class Grouping(StrEnum):
    """What outcomes are told apart by."""

    PERIOD = "period"
    PRODUCT = "product"
    AGENT = "agent"


class Step(StrEnum):
    """How long a period is."""

    MONTH = "month"
    QUARTER = "quarter"


class Percentile(Aggregate):
    """The value below which the share lies, between two rows linearly: `Percentile("x", share="0.9")`."""

    function = "percentile_cont"
    template = "%(function)s(%(share)s) WITHIN GROUP (ORDER BY %(expressions)s)"
    output_field = FloatField()

    def __init__(self, expression: str, *, share: str, filter: Q | None = None) -> None:  # noqa: A002
        super().__init__(F(expression), share=share, filter=filter)


_COLUMNS: dict[Grouping, tuple[str, ...]] = {
    Grouping.PERIOD: ("period",),
    Grouping.PRODUCT: ("solution_id", "solution_name"),
    Grouping.AGENT: ("owner_id", "owner_name"),
}


def columns_of(by: Sequence[Grouping]) -> list[str]:
    """The columns that tell the rows of these groupings apart."""
    return [column for grouping in Grouping if grouping in by for column in _COLUMNS[grouping]]


def outcomes(*, org: Organization, period: Period, by: Sequence[Grouping], step: Step, at: datetime) -> Report:
    """What was closed in the period, by the groupings; months and quarters are the organisation's own.

    Money is never added across currencies: `revenue` is what was won in the organisation's currency, and
    `other_revenue` lists the rest. Days run from the promotion to the close; those of a win have columns of their own.
    """
    closed = SalesOutcome.objects.for_org(org).filter(closed_at__gte=period.since, closed_at__lt=period.until)
    truncate = TruncMonth if step is Step.MONTH else TruncQuarter
    closed = closed.annotate(period=truncate("closed_on", output_field=DateField()))
    columns = columns_of(by)
    figures = closed.order_by().values(*columns).annotate(**_figures()) if columns else []
    money: dict[tuple[Any, ...], dict[str, Decimal]] = {}
    everything: dict[str, Decimal] = {}
    won = closed.filter(_WON).order_by().values(*columns, "currency").annotate(revenue=Sum("value"))
    for row in won:
        money.setdefault(_key(row, columns), {})[row["currency"]] = row["revenue"]
        everything[row["currency"]] = everything.get(row["currency"], Decimal(0)) + row["revenue"]
    rows = [_row(row, money.get(_key(row, columns), {}), org) for row in figures]
    rows.sort(key=lambda row: tuple(_sortable(row[column]) for column in columns))
    totals = _row(closed.aggregate(**_figures()), everything, org)
    return Report(rows=rows, period=period, health=[pursuit_creation(org=org, at=at)], totals=totals)


def _figures() -> dict[str, Any]:
    return {
        "won": Count("id", filter=_WON),
        "lost": Count("id", filter=_LOST),
        "median": Percentile("seconds_to_close", share="0.5"),
        "p90": Percentile("seconds_to_close", share="0.9"),
        "median_won": Percentile("seconds_to_close", share="0.5", filter=_WON),
        "p90_won": Percentile("seconds_to_close", share="0.9", filter=_WON),
    }


def _key(row: dict[str, Any], columns: Sequence[str]) -> tuple[Any, ...]:
    return tuple(row[column] for column in columns)


def _row(figures: dict[str, Any], revenue: dict[str, Decimal], org: Organization) -> dict[str, Any]:
    """A row of the report: shares, days and money from what was counted."""
    row = dict(figures)
    days = {name: _days(row.pop(name)) for name in ("median", "p90", "median_won", "p90_won")}
    return {
        **row,
        "win_rate_percent": percent(row["won"], row["won"] + row["lost"]),
        "currency": org.currency,
        "revenue": revenue.get(org.currency, Decimal(0)),
        "other_revenue": [
            {"currency": currency, "revenue": amount}
            for currency, amount in sorted(revenue.items())
            if currency != org.currency
        ],
        **{f"{name}_days_to_close": value for name, value in days.items()},
    }


def _days(seconds: float | None) -> Decimal | None:
    """With four decimals, which is finer than a minute."""
    return None if seconds is None else (Decimal(seconds) / _SECONDS_A_DAY).quantize(Decimal("0.0001"))


def _sortable(value: Any) -> tuple[bool, Any]:
    """Nobody and nothing last."""
    if isinstance(value, date):
        return (False, value.isoformat())
    return (value is None, value if value is not None else "")
