"""The analytics page of profiles: match rates over time, conversion by band, field usage, and alerts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, timedelta
from functools import partial
from typing import Any
from urllib.parse import urlencode

from django.http import HttpRequest
from django.urls import reverse
from django.utils.timezone import now

from flowledger.backoffice import pages
from flowledger.backoffice.navigation import Group, Menu
from flowledger.tenancy.models import Organization
from spotlight import reports
from spotlight.models import Recommendation
from workstream.admin.analytics import Analysis, chosen, show
from workstream.admin.drilling import days
from workstream.admin.report_tables import BAD, DASH, GOOD, Cell, Figures, bar_chart, line_chart, percentage
from workstream.reports import Period, Report

CHOICES: Mapping[str, Sequence[tuple[str, str]]] = {
    "shown": [
        ("match_rate", "Match rate over time"),
        ("conversion", "Conversion by band"),
        ("fields", "Field usage"),
        ("scores", "Scores now"),
    ],
    "step": [("week", "Weeks"), ("day", "Days"), ("month", "Months")],
}
BAND_NAMES: Mapping[str, str] = dict(Recommendation.choices)
UNKNOWN = "var(--color-base-300)"


def build(org: Organization, period: Period, request: HttpRequest) -> Figures:
    """The figures that the page was asked for."""
    match chosen(request, "shown", CHOICES["shown"]):
        case "conversion":
            return conversion(reports.conversion(org=org, period=period))
        case "fields":
            return field_usage(reports.field_usage(org=org, period=period))
        case "scores":
            return scores(reports.score_summary(org=org))
    step = reports.Step(chosen(request, "step", CHOICES["step"]))
    return match_rates(reports.match_rates(org=org, period=period, step=step, at=now()), step=step)


def match_rates(report: Report, *, step: reports.Step) -> Figures:
    """Profiles by week, day or month; the numbers lead to the scores, the lines draw the match rates."""
    assert report.period is not None
    starts = sorted({row["period"] for row in report.rows})
    rates: dict[str, dict[date, float]] = {}
    coverages: dict[str, dict[date, float]] = {}
    for row in report.rows:
        rates.setdefault(row["spotlight_name"], {})[row["period"]] = float(row["match_rate_percent"])
        coverages.setdefault(row["spotlight_name"], {})[row["period"]] = float(row["mean_coverage"])
    labels = [_named(start, step) for start in starts]
    lines = []
    for row in report.rows:
        of = {
            "spotlight__id__exact": str(row["spotlight_id"]),
            "received": days(*_within(report.period, row["period"], step)),
        }
        lines.append(
            [
                Cell(row["spotlight_name"]),
                Cell(_named(row["period"], step)),
                Cell(f"{row['signals']:,}", _scores(**of)),
                *(Cell(f"{row[band]:,}", _scores(recommendation__exact=band, **of)) for band in BAND_NAMES),
                Cell(percentage(row["match_rate_percent"])),
                Cell(f"{row['mean_score']:.2f}"),
                Cell(f"{row['mean_coverage']:.2f}"),
            ]
        )
    drawn = {name: [values.get(start) for start in starts] for name, values in rates.items()}
    known = {name: [values.get(start) for start in starts] for name, values in coverages.items()}
    return Figures(
        headings=(
            *("Profile", step.value.capitalize(), "Signals", *BAND_NAMES.values(), "Match rate"),
            *("Mean score", "Coverage"),
        ),
        lines=lines,
        columns=(
            *("spotlight_id", "spotlight_name", "period", "signals", *BAND_NAMES, "match_rate_percent"),
            *("mean_score", "mean_coverage"),
        ),
        rows=report.rows,
        charts=[line_chart("Match rate, %", labels, drawn), line_chart("Mean coverage", labels, known)]
        if drawn
        else [],
        health=report.health,
        is_empty=not report.rows,
    )


def conversion(report: Report) -> Figures:
    """Bands with what became of their signals; the numbers lead to the signals' best scores."""
    assert report.period is not None
    received = days(report.period.first, report.period.last)
    lines = []
    for row in [*report.rows, {**report.totals, "recommendation": ""}]:
        of = {"received": received}
        if row["recommendation"]:
            of["recommendation__exact"] = row["recommendation"]
        lines.append(
            [
                Cell(BAND_NAMES.get(row["recommendation"], "All")),
                Cell(f"{row['signals']:,}", _fits(**of)),
                Cell(f"{row['with_candidate']:,}", _fits(became="candidate", **of)),
                Cell(f"{row['with_pursuit']:,}", _fits(became="pursuit", **of)),
                Cell(f"{row['won']:,}", _fits(became="won", **of)),
                Cell(f"{row['lost']:,}", _fits(became="lost", **of)),
                Cell(percentage(row["candidate_percent"])),
                Cell(percentage(row["won_percent"])),
                Cell(percentage(row["win_rate_percent"])),
            ]
        )
    names = [BAND_NAMES[row["recommendation"]] for row in report.rows]
    reached = {"Candidate": "candidate_percent", "Pursuit": "pursuit_percent", "Won": "won_percent"}
    shares = {name: [_plain(row[column]) for row in report.rows] for name, column in reached.items()}
    decided = {"Won": [row["won"] for row in report.rows], "Lost": [row["lost"] for row in report.rows]}
    return Figures(
        headings=("Band", "Signals", "Candidates", "Pursuits", "Won", "Lost", "To candidate", "To won", "Win rate"),
        lines=lines,
        columns=(
            *("recommendation", "signals", "with_candidate", "with_pursuit", "won", "lost"),
            *("candidate_percent", "pursuit_percent", "won_percent", "win_rate_percent"),
        ),
        rows=report.rows,
        charts=[
            bar_chart("Of the signals of a band became, %", names, shares),
            bar_chart("Won and lost", names, decided, colours=(GOOD, BAD)),
        ],
        is_empty=not report.totals["signals"],
    )


def field_usage(report: Report) -> Figures:
    """Criteria with how often they are known and met."""
    lines = [
        [
            Cell(row["spotlight_name"], reverse("admin:spotlight_spotlight_change", args=[row["spotlight_id"]])),
            Cell(row["criterion"]),
            Cell(f"{float(row['weight']):g}"),
            Cell(f"{row['signals']:,}"),
            Cell(percentage(row["known_percent"])),
            *(Cell(f"{row[f'from_{source}']:,}") for source in ("signal", "enrichment", "client", "contact")),
            Cell(percentage(row["met_percent"])),
            Cell(percentage(row["partial_percent"])),
            Cell(percentage(row["unmet_percent"])),
        ]
        for row in report.rows
    ]
    seen = [row for row in report.rows if row["signals"]]
    drawn = {name: [row[name.lower()] for row in seen] for name in ("Met", "Partial", "Unmet")}
    drawn["Unknown"] = [row["signals"] - row["known"] for row in seen]
    names = [f"{row['spotlight_name']}: {row['criterion']}" for row in seen]
    colours = (GOOD, "var(--color-primary-300)", BAD, UNKNOWN)
    return Figures(
        headings=(
            *(
                "Profile",
                "Criterion",
                "Weight",
                "Signals",
                "Known",
                "From the signal",
                "Enrichment",
                "Client",
                "Contact",
            ),
            *("Met", "Partly", "Not met"),
        ),
        lines=lines,
        columns=(
            *("spotlight_id", "spotlight_name", "criterion_id", "field_name", "criterion", "weight", "required"),
            *("signals", "known", "from_signal", "from_enrichment", "from_client", "from_contact"),
            *("met", "partial", "unmet", "known_percent", "met_percent", "partial_percent", "unmet_percent"),
        ),
        rows=report.rows,
        charts=[bar_chart("What the newest signals say, by criterion", names, drawn, colours=colours)] if seen else [],
        is_empty=not seen,
    )


def scores(report: Report) -> Figures:
    """Profiles with their bands as they stand now."""
    lines = []
    for row in report.rows:
        of = {"spotlight__id__exact": str(row["spotlight_id"])}
        name = row["spotlight_name"] if row["active"] else f"{row['spotlight_name']} (inactive)"
        lines.append(
            [
                Cell(name, reverse("admin:spotlight_spotlight_change", args=[row["spotlight_id"]])),
                Cell(f"{row['item_type'].capitalize()}s"),
                *(Cell(f"{row[each]:,}") for each in ("items", *BAND_NAMES)),
                Cell(percentage(row["match_rate_percent"])),
                Cell(DASH if row["mean_coverage"] is None else f"{row['mean_coverage']:.2f}"),
                Cell(f"{row['outdated']:,}"),
                Cell(f"{row['overridden']:,}"),
            ]
        )
        if row["item_type"] == "signal":
            lines[-1][3:7] = [Cell(f"{row[band]:,}", _scores(recommendation__exact=band, **of)) for band in BAND_NAMES]
    signals = [row for row in report.rows if row["item_type"] == "signal" and row["items"]]
    drawn = {label: [row[band] for row in signals] for band, label in BAND_NAMES.items()}
    names = [row["spotlight_name"] for row in signals]
    return Figures(
        headings=(
            *("Profile", "Items", "Scored", *BAND_NAMES.values(), "Match rate", "Coverage"),
            *("Of an earlier version", "Overridden"),
        ),
        lines=lines,
        columns=(
            *("spotlight_id", "spotlight_name", "active", "version", "item_type", "items", *BAND_NAMES),
            *("match_rate_percent", "mean_score", "mean_coverage", "outdated", "overridden", "last_evaluated_at"),
        ),
        rows=report.rows,
        charts=[bar_chart("Signals by recommendation", names, drawn)] if signals else [],
        is_empty=not any(row["items"] for row in report.rows),
    )


# Links and words -----------------------------------------------------------------------------------------------------


def _scores(**filters: str) -> str:
    return f"{reverse('admin:spotlight_spotlightscore_changelist')}?{urlencode(filters)}"


def _fits(**filters: str) -> str:
    return f"{reverse('admin:spotlight_spotlightfit_changelist')}?{urlencode(filters)}"


def _within(period: Period, first: date, step: reports.Step) -> tuple[date, date]:
    """The days of a week, day or month that lie in the period."""
    match step:
        case reports.Step.WEEK:
            last = first + timedelta(days=6)
        case reports.Step.MONTH:
            last = (first.replace(day=28) + timedelta(days=4)).replace(day=1) - timedelta(days=1)
        case _:
            last = first
    return max(first, period.first), min(last, period.last)


def _named(first: date, step: reports.Step) -> str:
    return f"{first:%b %Y}" if step is reports.Step.MONTH else f"{first.day} {first:%b %Y}"


def _plain(value: Any) -> float | None:
    return None if value is None else float(value)


PROFILES = Analysis(
    "profiles",
    "Profile matches",
    "target",
    build,
    "No signal of these days was scored.",
    months=reports.MATCH_MONTHS,
    choices=CHOICES,
)
pages.register_page(
    pages.Page(
        f"analytics_{PROFILES.name}",
        "analytics/profiles/",
        partial(show, analysis=PROFILES),
        menu=Menu(Group.ANALYTICS, icon=PROFILES.icon, order=60, title=PROFILES.title),
    )
)
