"""The analytics pages: funnel, velocity, SLA compliance, workload and outcomes, drawn and with the rows behind them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from functools import partial
from urllib.parse import urlencode

from django.contrib import admin
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.template.response import TemplateResponse
from django.utils.timezone import now
from django.views.decorators.http import require_safe
from unfold.widgets import BASE_INPUT_CLASSES

from flowledger.api.exports import csv_file
from flowledger.backoffice import pages
from flowledger.backoffice.navigation import Group, Menu
from flowledger.backoffice.requests import org_of
from flowledger.errors import InvalidInput
from flowledger.tenancy.models import Organization
from workstream import reports
from workstream.admin import report_tables as tables
from workstream.admin.report_tables import Figures

Build = Callable[[Organization, reports.Period, HttpRequest], Figures]


@dataclass(frozen=True)
class Analysis:
    """One page: its place in the menu, how it asks for its figures, and how many months it shows; 0 for only now."""

    name: str
    title: str
    icon: str
    build: Build
    empty: str
    months: int = 0
    choices: Mapping[str, Sequence[tuple[str, str]]] = field(default_factory=dict)


def _funnel(org: Organization, period: reports.Period, request: HttpRequest) -> Figures:
    return tables.funnel(reports.funnel(org=org, at=now()))


def _velocity(org: Organization, period: reports.Period, request: HttpRequest) -> Figures:
    return tables.velocity(reports.velocity(org=org, period=period))


def _compliance(org: Organization, period: reports.Period, request: HttpRequest) -> Figures:
    return tables.compliance(reports.sla_compliance(org=org, period=period))


def _workload(org: Organization, period: reports.Period, request: HttpRequest) -> Figures:
    return tables.workload(reports.workload(org=org, at=now()))


def _outcomes(org: Organization, period: reports.Period, request: HttpRequest) -> Figures:
    step = reports.Step(chosen(request, "step", OUTCOME_CHOICES["step"]))
    by = reports.Grouping(chosen(request, "group_by", OUTCOME_CHOICES["group_by"]))
    return tables.outcomes(reports.outcomes(org=org, period=period, by=[by], step=step, at=now()), by=by, step=step)


OUTCOME_CHOICES: Mapping[str, Sequence[tuple[str, str]]] = {
    "group_by": [("period", "By period"), ("product", "By product"), ("agent", "By agent")],
    "step": [("month", "Months"), ("quarter", "Quarters")],
}
ANALYSES = (
    Analysis("funnel", "Funnel", "filter_alt", _funnel, "There are no candidates and pursuits yet."),
    Analysis(
        "velocity",
        "Velocity",
        "speed",
        _velocity,
        "Nothing entered a stage in these days.",
        months=reports.VELOCITY_MONTHS,
    ),
    Analysis(
        "sla_compliance",
        "SLA compliance",
        "timer",
        _compliance,
        "No clock ended in these days, and none runs.",
        months=reports.COMPLIANCE_MONTHS,
    ),
    Analysis("workload", "Workload", "group", _workload, "Nothing stands on the Today panel."),
    Analysis(
        "outcomes",
        "Outcomes",
        "emoji_events",
        _outcomes,
        "Nothing was won or lost in these days.",
        months=reports.OUTCOME_MONTHS,
        choices=OUTCOME_CHOICES,
    ),
)


@require_safe
def show(request: HttpRequest, *, analysis: Analysis) -> HttpResponseBase:
    """The page, or with `?format=csv` its rows as a file. Days that mean nothing are told and not used."""
    org, complaint = org_of(request), ""
    try:
        period = _period(request, org, analysis)
    except InvalidInput as error:
        complaint = error.message
        period = reports.period_of(org, None, None, months=max(analysis.months, 1), at=now())
    figures = analysis.build(org, period, request)
    if request.GET.get("format") == "csv":
        return csv_file(analysis.name.replace("_", "-"), figures.columns, figures.rows, bom=True)
    context = {
        **admin.site.each_context(request),
        "title": analysis.title,
        "analysis": analysis,
        "figures": figures,
        "period": period if analysis.months else None,
        "complaint": complaint,
        "selects": [
            {"name": name, "options": options, "value": chosen(request, name, options)}
            for name, options in analysis.choices.items()
        ],
        "csv_link": f"?{urlencode({**request.GET.dict(), 'format': 'csv'})}",
        "input_classes": " ".join(BASE_INPUT_CLASSES),
    }
    return TemplateResponse(request, "workstream/analytics.html", context)


def _period(request: HttpRequest, org: Organization, analysis: Analysis) -> reports.Period:
    days: list[date | None] = []
    for name in ("from", "to"):
        text = request.GET.get(name, "")
        try:
            days.append(date.fromisoformat(text) if text else None)
        except ValueError:
            raise InvalidInput(f"'{text[:20]}' is no date.") from None
    return reports.period_of(org, days[0], days[1], months=max(analysis.months, 1), at=now())


def chosen(request: HttpRequest, name: str, options: Iterable[tuple[str, str]]) -> str:
    """The value of a choice; the first where none of them is given."""
    values = [value for value, _ in options]
    given = request.GET.get(name, "")
    return given if given in values else values[0]


def register() -> None:
    """Put the pages into the menu."""
    for place, analysis in enumerate(ANALYSES, start=1):
        pages.register_page(
            pages.Page(
                f"analytics_{analysis.name}",
                f"analytics/{analysis.name.replace('_', '-')}/",
                partial(show, analysis=analysis),
                menu=Menu(Group.ANALYTICS, icon=analysis.icon, order=10 * place, title=analysis.title),
            )
        )


register()
