"""The page of memory health: what it holds, what waits in it, and each figure beside its target."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

from django.contrib import admin
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils.timezone import now
from django.views.decorators.http import require_safe

from flowledger.backoffice import pages
from flowledger.backoffice.navigation import Group, Menu
from flowledger.backoffice.requests import actor_of, org_of
from flowledger.tenancy.permissions import may
from memory.machines import AtomState
from memory.models import Kind
from memory.reports import memory_health
from workstream.reports import HealthFigure

COLOURS = {True: "text-green-700 dark:text-green-400", False: "text-red-700 dark:text-red-400", None: ""}
SAID = {True: "Good", False: "Behind", None: "–"}
# The plural of a kind is the column that counts it.
PLURALS = {"decision": "decisions", "risk": "risks", "preference": "preferences", "note": "notes", "status": "statuses"}


@require_safe
def show(request: HttpRequest) -> HttpResponseBase:
    """The tables. A browser that stays on it asks again every 30 seconds."""
    at = now()
    report = memory_health(org=org_of(request), at=at)
    (row,) = report.rows
    context = {
        **admin.site.each_context(request),
        "title": "Memory health",
        "figures": [_figure(each) for each in report.health],
        "kinds": [_count(str(kind.label), row[PLURALS[kind.value]], "atom", kind__exact=kind.value) for kind in Kind],
        "states": [
            _count(
                str(state.label), row[state.value], "atom", **({} if state == AtomState.ACTIVE else {"state": state})
            )
            for state in AtomState
        ],
        "others": [*_others(row, is_admin=may(actor_of(request), "hold_memory"))],
        "at": at,
    }
    return TemplateResponse(request, "memory/health.html", context)


def _figure(figure: HealthFigure) -> dict[str, Any]:
    value = "–" if figure.value is None else f"{figure.value:,} {figure.unit}"
    return {"figure": figure, "value": value, "said": SAID[figure.is_met], "colour": COLOURS[figure.is_met]}


def _others(row: dict[str, Any], *, is_admin: bool) -> list[dict[str, Any]]:
    holds = _count("Legal holds", row["holds"], "legalhold") if is_admin else _count("Legal holds", row["holds"], "")
    return [
        _count("Conflicts to be decided", row["conflicts"], "atomconflict"),
        _count("Pinned", row["pinned"], "atom", is_pinned__exact=1),
        holds,
        _count("Redactions", row["redactions"], "redaction"),
        _count("Cards", row["cards"], ""),
    ]


def _count(label: str, number: int, model: str, **chosen: Any) -> dict[str, Any]:
    """A number that leads to its rows, where these have a page."""
    query = f"?{urlencode({name: str(value) for name, value in chosen.items()})}" if chosen else ""
    link = f"{reverse(f'admin:memory_{model}_changelist')}{query}" if model else ""
    return {"label": label, "number": f"{number:,}", "link": link}


pages.register_page(
    pages.Page(
        "memory_health",
        "memory/health/",
        show,
        menu=Menu(Group.OPERATIONS, icon="monitor_heart", order=68, title="Memory health"),
    )
)
