"""The page of ingest health: every way in with its last success, its last error, counts and lag."""

from __future__ import annotations

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
from flowledger.backoffice.requests import org_of
from workstream.machines import RejectStatus
from workstream.reports.ingest import Standing, WayIn, ingest_health

SAID = {
    Standing.OK: "Works",
    Standing.FAILING: "Failing",
    Standing.IDLE: "Quiet for a week",
    Standing.NEVER: "Nothing yet",
    Standing.OFF: "Switched off",
}
COLOURS = {
    Standing.OK: "text-green-700 dark:text-green-400",
    Standing.FAILING: "text-red-700 dark:text-red-400",
}


@require_safe
def show(request: HttpRequest) -> HttpResponseBase:
    """The table. A browser that stays on it asks again every 30 seconds."""
    at = now()
    ways = [
        {
            "way": way,
            "said": SAID[way.standing],
            "colour": COLOURS.get(way.standing, ""),
            "lag": _duration(way.lag_seconds),
            "rejects": _rejects_of(way),
        }
        for way in ingest_health(org=org_of(request), at=at)
    ]
    context = {**admin.site.each_context(request), "title": "Ingest health", "ways": ways, "at": at}
    return TemplateResponse(request, "workstream/ingest_health.html", context)


def _rejects_of(way: WayIn) -> str:
    """The rejects of the way that wait to be fixed."""
    chosen = {"status__exact": RejectStatus.OPEN.value, "channel__exact": way.channel}
    if way.source_id is not None:
        chosen["source__id__exact"] = str(way.source_id)
    return f"{reverse('admin:workstream_intakereject_changelist')}?{urlencode(chosen)}"


def _duration(seconds: float | None) -> str:
    if seconds is None:
        return "–"
    for unit, size in (("d", 86_400), ("h", 3_600), ("min", 60)):
        if abs(seconds) >= size:
            return f"{seconds / size:.1f} {unit}"
    return f"{seconds:.1f} s"


pages.register_page(
    pages.Page(
        "ingest_health",
        "intake/health/",
        show,
        menu=Menu(Group.INTAKE, icon="monitor_heart", order=40, title="Ingest health"),
    )
)
