"""Re-scores: what is being scored anew and why, how far it is, start one, stop one."""

from __future__ import annotations

import hashlib
from typing import Any

from django.contrib import admin, messages
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseNotModified, HttpResponseRedirect
from django.http.response import HttpResponseBase
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils.http import parse_etags
from django.utils.timezone import now
from django.views.decorators.http import require_GET, require_POST
from unfold.widgets import BASE_INPUT_CLASSES

from flowledger.backoffice import pages
from flowledger.backoffice.navigation import Group, Menu
from flowledger.backoffice.refusals import explain
from flowledger.backoffice.requests import actor_of, org_of
from flowledger.errors import FlowLedgerError
from flowledger.tenancy.actors import Role
from flowledger.tenancy.permissions import may
from spotlight.machines import RescoreStatus
from spotlight.models import Cause, RescoreRun, Spotlight
from spotlight.services.rescores import cancel_rescore, start_rescore

PER_PAGE = 50
POLL_SECONDS = 2
LOOKS = {
    RescoreStatus.RUNNING: "warning",
    RescoreStatus.DONE: "success",
    RescoreStatus.SUPERSEDED: "default",
    RescoreStatus.CANCELLED: "default",
}
SELECTS = " ".join([*BASE_INPUT_CLASSES, "pr-8!", "appearance-none", "truncate"])
RELATED = ("spotlight", "client", "contact", "started_by")


@require_GET
def rescores(request: HttpRequest) -> HttpResponseBase:
    """The re-scores of the organisation, newest first, with a form to start one."""
    org = org_of(request)
    before = request.GET.get("before", "")
    rows = RescoreRun.objects.for_org(org).select_related(*RELATED).order_by("-pk")
    if before.isascii() and before.isdigit() and len(before) < 19:
        rows = rows.filter(pk__lt=int(before))
    found = list(rows[: PER_PAGE + 1])
    may_start = may(actor_of(request), "rescore_all")
    profiles = Spotlight.objects.for_org(org).active().order_by("name", "pk")
    context = {
        **admin.site.each_context(request),
        "title": "Re-scores",
        "runs": [_line(run) for run in found[:PER_PAGE]],
        "next_link": f"?before={found[PER_PAGE - 1].pk}" if len(found) > PER_PAGE else "",
        "may_start": may_start,
        "profiles": list(profiles.values_list("pk", "name")) if may_start else [],
        "select_classes": SELECTS,
    }
    return TemplateResponse(request, "spotlight/rescores/list.html", context)


@require_GET
def one_rescore(request: HttpRequest, pk: int) -> HttpResponseBase:
    """One re-score with its progress."""
    run = _run(request, pk)
    context = {**admin.site.each_context(request), "title": f"Re-score {run.pk}", **_progress_context(request, run)}
    return TemplateResponse(request, "spotlight/rescores/one.html", context)


@require_GET
def rescore_progress(request: HttpRequest, pk: int) -> HttpResponseBase:
    """The progress alone; 304 while it is as the asker has it."""
    run = _run(request, pk)
    etag = _etag(run)
    if etag in parse_etags(request.headers.get("If-None-Match", "")):
        answer: HttpResponse = HttpResponseNotModified()
    else:
        answer = TemplateResponse(request, "spotlight/rescores/progress.html", _progress_context(request, run))
    answer["ETag"] = etag
    return answer


@require_POST
def rescore_start(request: HttpRequest) -> HttpResponseBase:
    """Score everything anew, against one profile or all active ones; on to its progress."""
    org, wanted = org_of(request), request.POST.get("spotlight", "")
    spotlight: Spotlight | None = None
    if wanted:
        if not (wanted.isascii() and wanted.isdigit() and len(wanted) < 19):
            raise Http404("There is no such profile.")
        spotlight = Spotlight.objects.for_org(org).filter(pk=int(wanted)).order_by("pk").first()
        if spotlight is None:
            raise Http404("There is no such profile.")
    try:
        run = start_rescore(org=org, spotlight=spotlight, cause=Cause.MANUAL, actor=actor_of(request), at=now())
    except FlowLedgerError as error:
        messages.error(request, explain(error))
        return HttpResponseRedirect(reverse("admin:rescores"))
    return _to(run)


@require_POST
def rescore_cancel(request: HttpRequest, pk: int) -> HttpResponseBase:
    """Stop it."""
    run = _run(request, pk)
    try:
        cancel_rescore(org=org_of(request), rescore_id=pk, actor=actor_of(request), at=now())
        messages.success(request, "The re-score was stopped. What it had scored stays.")
    except FlowLedgerError as error:
        messages.error(request, explain(error))
    return _to(run)


def _run(request: HttpRequest, pk: int) -> RescoreRun:
    rows = RescoreRun.objects.for_org(org_of(request)).select_related(*RELATED)
    run: RescoreRun | None = rows.filter(pk=pk).order_by("pk").first()
    if run is None:
        raise Http404("There is no such re-score.")
    return run


def _to(run: RescoreRun) -> HttpResponseRedirect:
    return HttpResponseRedirect(reverse("admin:rescore", args=[run.pk]))


def _etag(run: RescoreRun) -> str:
    return f'"{hashlib.sha256(f"rescore-{run.pk}-{run.row_version}".encode()).hexdigest()[:32]}"'


def _line(run: RescoreRun) -> dict[str, Any]:
    """A run as lists and its own page show it."""
    total = max(run.items_total, run.done_count)
    return {
        "run": run,
        "look": LOOKS[RescoreStatus(run.status)],
        "is_working": run.status == RescoreStatus.RUNNING,
        "whose": run.client or run.contact,
        "total": total,
        "shown": {"done": f"{run.done_count:,}", "total": f"{total:,}", "changed": f"{run.changed_count:,}"},
        "percent": 100 * run.done_count // total if total else 0,
    }


def _progress_context(request: HttpRequest, run: RescoreRun) -> dict[str, Any]:
    verb = "rescore" if run.client_id or run.contact_id else "rescore_all"
    return {
        **_line(run),
        "etag": _etag(run),
        "poll_seconds": POLL_SECONDS,
        "may_cancel": run.status == RescoreStatus.RUNNING and may(actor_of(request), verb),
    }


def register() -> None:
    """Put the pages below the site's root; the list stands in the menu."""
    menu = Menu(Group.SETUP, icon="autorenew", order=66, title="Re-scores")
    pages.register_page(pages.Page("rescores", "rescores/", rescores, Role.VIEWER, menu))
    for name, route, view, role in (
        ("rescore_start", "rescores/start/", rescore_start, Role.MANAGER),
        ("rescore", "rescores/<int:pk>/", one_rescore, Role.VIEWER),
        ("rescore_progress", "rescores/<int:pk>/progress/", rescore_progress, Role.VIEWER),
        ("rescore_cancel", "rescores/<int:pk>/cancel/", rescore_cancel, Role.REP),
    ):
        pages.register_page(pages.Page(name, route, view, role))


register()
