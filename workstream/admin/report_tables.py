"""Reports as pages show them: charts, tables whose numbers lead to the rows behind them, and the rows of the file."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from decimal import Decimal
from typing import Any
from urllib.parse import urlencode

from django.urls import reverse

from workstream.admin.drilling import NOTHING, days
from workstream.machines import CandidateStatus, PursuitStage
from workstream.models.today import Tier
from workstream.rendering import money
from workstream.reports import Grouping, HealthFigure, Period, Report, Step

STAGES: Mapping[str, str] = {**dict(CandidateStatus.choices), **dict(PursuitStage.choices)}
COLOURS = (
    *("var(--color-primary-600)", "var(--color-primary-300)", "var(--color-base-500)"),
    *("var(--color-primary-900)", "var(--color-base-300)", "var(--color-primary-500)"),
)
BAD, GOOD = "var(--color-red-500)", "var(--color-green-500)"
DASH = "–"


@dataclass(frozen=True)
class Cell:
    """A number and the list behind it, or a text."""

    text: str
    link: str = ""


@dataclass(frozen=True)
class Chart:
    """A drawing: `data` is Chart.js's, as JSON; Unfold's own script draws it. `legend` names the colours."""

    title: str
    kind: str
    data: str
    legend: Sequence[tuple[str, str]] = ()


@dataclass(frozen=True)
class Figures:
    """All that a page shows; `columns` and `rows` are the file."""

    headings: Sequence[str]
    lines: Sequence[Sequence[Cell]]
    columns: Sequence[str]
    rows: Sequence[Mapping[str, Any]]
    charts: Sequence[Chart] = ()
    health: Sequence[HealthFigure] = ()
    cards: Sequence[tuple[str, str]] = field(default_factory=tuple)
    is_empty: bool = False


def funnel(report: Report) -> Figures:
    """Stages with their counts; each leads to the list of its items."""
    lines = [
        [Cell(row["item_type"].capitalize()), Cell(STAGES[row["stage"]]), Cell(f"{row['items']:,}", _items_in(row))]
        for row in report.rows
    ]
    charts = [
        bar_chart(
            f"{kind.capitalize()}s",
            [STAGES[row["stage"]] for row in report.rows if row["item_type"] == kind],
            {"Items": [row["items"] for row in report.rows if row["item_type"] == kind]},
        )
        for kind in ("candidate", "pursuit")
    ]
    return Figures(
        headings=("Item", "Stage", "Items"),
        lines=lines,
        columns=("item_type", "stage", "items"),
        rows=report.rows,
        charts=charts,
        health=report.health,
        is_empty=not any(row["items"] for row in report.rows),
    )


def velocity(report: Report) -> Figures:
    """Stages by month; what entered leads to the stays, and the lines draw the medians."""
    months = sorted({row["month"] for row in report.rows})
    medians: dict[str, dict[date, Any]] = {}
    for row in report.rows:
        if row["median_hours"] is not None:
            medians.setdefault(row["stage"], {})[row["month"]] = float(row["median_hours"])
    drawn = {STAGES[stage]: [values.get(month) for month in months] for stage, values in medians.items()}
    columns = (
        *("item_type", "stage", "month", "entered", "finished", "measured", "median_hours", "p90_hours"),
        *("advanced", "dropped", "conversion_percent", "drop_off_percent"),
    )
    assert report.period is not None
    lines = [
        [
            Cell(STAGES[row["stage"]]),
            Cell(f"{row['month']:%B %Y}"),
            Cell(f"{row['entered']:,}", _stays(row["stage"], _within(report.period, row["month"], Step.MONTH))),
            Cell(_number(row["median_hours"])),
            Cell(_number(row["p90_hours"])),
            Cell(percentage(row["conversion_percent"])),
            Cell(percentage(row["drop_off_percent"])),
        ]
        for row in report.rows
    ]
    return Figures(
        headings=("Stage", "Entered in", "Entered", "Median hours", "p90 hours", "Conversion", "Drop-off"),
        lines=lines,
        columns=columns,
        rows=report.rows,
        charts=[line_chart("Median hours in the stage", [f"{month:%b %Y}" for month in months], drawn)]
        if drawn
        else [],
        health=report.health,
        is_empty=not report.rows,
    )


def compliance(report: Report) -> Figures:
    """Metrics with what was met and breached; breaches lead to their list."""
    breaches = reverse("admin:workstream_slabreach_changelist")

    def line(row: Mapping[str, Any], name: str, **of: str) -> list[Cell]:
        standing = f"{breaches}?{urlencode({**of, 'standing': 'open'})}"
        return [
            Cell(name),
            Cell(f"{row['met']:,}"),
            Cell(f"{row['breached']:,}", f"{breaches}?{urlencode(of)}"),
            Cell(f"{row['open']:,}"),
            Cell(f"{row['open_breaches']:,}", standing),
            Cell(percentage(row["compliance_percent"])),
        ]

    names = [row["label"] for row in report.rows]
    drawn = {"Met": [row["met"] for row in report.rows], "Breached": [row["breached"] for row in report.rows]}
    return Figures(
        headings=("Metric", "Met", "Breached", "Running in time", "Open breaches", "Compliance"),
        lines=[
            *(line(row, row["label"], metric__exact=row["metric"]) for row in report.rows),
            line(report.totals, "All"),
        ],
        columns=("metric", "met", "breached", "open", "open_breaches", "compliance_percent"),
        rows=report.rows,
        charts=[bar_chart("Met and breached", names, drawn, colours=(GOOD, BAD))],
        health=report.health,
        is_empty=not any(report.totals[name] for name in ("met", "breached", "open", "open_breaches")),
    )


def workload(report: Report) -> Figures:
    """Owners with their items by tier; each number leads to the Today panel, filtered."""
    tiers = Tier.labels
    lines = []
    for row in report.rows:
        owner = str(row["owner_id"] or NOTHING)
        lines.append(
            [
                Cell(_owner(row)),
                Cell(f"{row['items']:,}", _today(owner=owner)),
                *(Cell(f"{row[tier]:,}", _today(owner=owner, tier=tier)) for tier in tiers),
                Cell(f"{row['breaches']:,}", _today(owner=owner, badge="red")),
                Cell(f"{row['stale']:,}"),
                Cell(f"{row['snoozed']:,}"),
                Cell(_number(row["mean_hours_since_touch"])),
                Cell(_number(row["longest_hours_since_touch"])),
            ]
        )
    drawn = {tier.capitalize(): [row[tier] for row in report.rows] for tier in tiers}
    columns = (
        *("owner_id", "owner_name", "items", *tiers, "breaches", "stale", "snoozed"),
        *("mean_hours_since_touch", "longest_hours_since_touch"),
    )
    return Figures(
        headings=(
            *("Owner", "Items", *(tier.capitalize() for tier in tiers), "Breaches", "Stale", "Snoozed"),
            *("Hours since touch", "Longest"),
        ),
        lines=lines,
        columns=columns,
        rows=report.rows,
        charts=[bar_chart("Items by tier", [_owner(row) for row in report.rows], drawn)] if report.rows else [],
        is_empty=not report.rows,
    )


def outcomes(report: Report, *, by: Grouping, step: Step) -> Figures:
    """Groups with won and lost, money and days; won and lost lead to the pursuits."""
    assert report.period is not None
    names = [_group_name(row, by, step) for row in report.rows]
    lines = []
    for name, row in [*zip(names, report.rows, strict=True), ("All", report.totals)]:
        filters = _group_filters(row, by, step, report.period)
        lines.append(
            [
                Cell(name),
                Cell(f"{row['won']:,}", _pursuits(stage__exact="won", **filters)),
                Cell(f"{row['lost']:,}", _pursuits(stage__exact="lost", **filters)),
                Cell(percentage(row["win_rate_percent"])),
                Cell(_revenue(row)),
                Cell(_number(row["median_days_to_close"], places=1)),
                Cell(_number(row["p90_days_to_close"], places=1)),
            ]
        )
    drawn = {"Won": [row["won"] for row in report.rows], "Lost": [row["lost"] for row in report.rows]}
    takings = {f"Revenue, {row['currency']}": [float(each["revenue"]) for each in report.rows] for row in report.rows}
    grouped = {"period": ("period",), "product": ("solution_id", "solution_name"), "agent": ("owner_id", "owner_name")}
    figures = (
        *("won", "lost", "win_rate_percent", "currency", "revenue", "other_revenue"),
        *("median_days_to_close", "p90_days_to_close", "median_won_days_to_close", "p90_won_days_to_close"),
    )
    heading = {"period": step.value.capitalize(), "product": "Product", "agent": "Agent"}[by.value]
    return Figures(
        headings=(heading, "Won", "Lost", "Win rate", "Revenue", "Median days to close", "p90 days to close"),
        lines=lines,
        columns=(*grouped[by.value], *figures),
        rows=[{**row, "other_revenue": _elsewhere(row)} for row in report.rows],
        charts=[bar_chart("Won and lost", names, drawn, colours=(GOOD, BAD)), bar_chart("Revenue", names, takings)],
        health=report.health,
        is_empty=not report.rows,
    )


# Links ---------------------------------------------------------------------------------------------------------------


def _items_in(row: Mapping[str, Any]) -> str:
    field_name = "status" if row["item_type"] == "candidate" else "stage"
    return reverse(f"admin:workstream_{row['item_type']}_changelist") + f"?{field_name}__exact={row['stage']}"


def _stays(stage: str, period: tuple[date, date]) -> str:
    return (
        f"{reverse('admin:workstream_stagehistory_changelist')}?{urlencode({'state': stage, 'entered': days(*period)})}"
    )


def _today(**filters: str) -> str:
    return f"{reverse('admin:index')}?{urlencode(filters)}"


def _pursuits(**filters: str) -> str:
    return f"{reverse('admin:workstream_pursuit_changelist')}?{urlencode(filters)}"


def _group_filters(row: Mapping[str, Any], by: Grouping, step: Step, period: Period) -> dict[str, str]:
    """What narrows the list of pursuits to a group; the line of totals is all of the period."""
    if "period" in row and by is Grouping.PERIOD:
        return {"closed": days(*_within(period, row["period"], step))}
    filters = {"closed": days(period.first, period.last)}
    if by is Grouping.PRODUCT and "solution_id" in row:
        filters["product"] = str(row["solution_id"] or NOTHING)
    if by is Grouping.AGENT and "owner_id" in row:
        owner = row["owner_id"]
        filters |= {"owner__isnull": "True"} if owner is None else {"owner__id__exact": str(owner)}
    return filters


def _within(period: Period, first: date, step: Step) -> tuple[date, date]:
    """The days of a month or quarter that lie in the period."""
    months = first.year * 12 + first.month - 1 + (1 if step is Step.MONTH else 3)
    last = date(months // 12, months % 12 + 1, 1) - timedelta(days=1)
    return max(first, period.first), min(last, period.last)


# Words ---------------------------------------------------------------------------------------------------------------


def _number(value: Decimal | None, *, places: int = 2) -> str:
    return DASH if value is None else f"{value:,.{places}f}"


def percentage(value: Decimal | None) -> str:
    """A percentage with its sign; a dash for none."""
    return DASH if value is None else f"{value} %"


def _owner(row: Mapping[str, Any]) -> str:
    return row["owner_name"] or "Nobody"


def _group_name(row: Mapping[str, Any], by: Grouping, step: Step) -> str:
    if by is Grouping.PRODUCT:
        return row["solution_name"] or "No product"
    if by is Grouping.AGENT:
        return _owner(row)
    first: date = row["period"]
    return f"{first:%b %Y}" if step is Step.MONTH else f"Q{(first.month + 2) // 3} {first.year}"


def _elsewhere(row: Mapping[str, Any]) -> list[str]:
    return [f"{each['currency']} {each['revenue']}" for each in row["other_revenue"]]


def _revenue(row: Mapping[str, Any]) -> str:
    others = [money(each["revenue"], each["currency"]) for each in row["other_revenue"]]
    return ", ".join([money(row["revenue"], row["currency"]), *others])


# Charts --------------------------------------------------------------------------------------------------------------


def bar_chart(
    title: str, labels: Sequence[str], sets: Mapping[str, Sequence[Any]], *, colours: Sequence[str] = COLOURS
) -> Chart:
    """One bar per label and set, the sets by name."""
    datasets = [
        {"label": name, "data": list(values), "backgroundColor": colours[place % len(colours)]}
        for place, (name, values) in enumerate(sets.items())
    ]
    legend = [(str(each["label"]), str(each["backgroundColor"])) for each in datasets] if len(datasets) > 1 else ()
    return Chart(title, "bar", json.dumps({"labels": list(labels), "datasets": datasets}), legend)


def line_chart(title: str, labels: Sequence[str], sets: Mapping[str, Sequence[Any]]) -> Chart:
    """One line per set, by name; None leaves a gap."""
    datasets = [
        {"label": name, "data": list(values), "borderColor": COLOURS[place % len(COLOURS)]}
        for place, (name, values) in enumerate(sets.items())
    ]
    legend = [(str(each["label"]), str(each["borderColor"])) for each in datasets]
    return Chart(title, "line", json.dumps({"labels": list(labels), "datasets": datasets}), legend)
