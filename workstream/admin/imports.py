"""CSV imports: upload, map with a preview of what would happen, watch it run, read the result, take it back."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any, BinaryIO, cast

from django.contrib import admin, messages
from django.core.files.uploadedfile import UploadedFile
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseNotModified, HttpResponseRedirect
from django.http.response import HttpResponseBase
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils.http import parse_etags
from django.utils.timezone import now
from django.views.decorators.http import require_GET, require_http_methods, require_POST
from unfold.widgets import BASE_INPUT_CLASSES

from flowledger.api.exports import csv_file
from flowledger.backoffice import pages
from flowledger.backoffice.navigation import Group, Menu
from flowledger.backoffice.refusals import explain
from flowledger.backoffice.requests import actor_of, org_of
from flowledger.errors import FlowLedgerError
from flowledger.tenancy.actors import Role
from workstream import services
from workstream.admin.items import page_of
from workstream.intake.csv_mapping import KINDS
from workstream.intake.csv_reading import ENCODINGS
from workstream.machines import ImportStatus
from workstream.models import ImportChange, ImportRow, ImportRun
from workstream.models.imports import ImportKind, ImportMode, RowOutcome
from workstream.reports import imports as reports
from workstream.services.import_undo import UNDONE_MODELS

PER_PAGE = 50
POLL_SECONDS = 2
KEPT_SHOWN = 200
ERRORS_SHOWN = 20
SAMPLES = 3
LOOKS = {
    ImportStatus.UPLOADED: "info",
    ImportStatus.RUNNING: "warning",
    ImportStatus.DONE: "success",
    ImportStatus.CANCELLED: "default",
    ImportStatus.UNDOING: "warning",
    ImportStatus.UNDONE: "default",
}
OUTCOME_LOOKS = {RowOutcome.CREATED: "success", RowOutcome.UPDATED: "info", RowOutcome.REJECTED: "danger"}
MODES = [
    (ImportMode.CREATE, "Enter new ones; leave those that are there as they are"),
    (ImportMode.UPSERT, "Enter new ones and change those that are there"),
    (ImportMode.UPDATE, "Change those that are there; enter nobody"),
]
DELIMITERS = [("", "Find out"), (",", "Comma"), (";", "Semicolon"), ("\t", "Tab"), ("|", "Vertical bar")]
INPUTS = " ".join(BASE_INPUT_CLASSES)
SELECTS = " ".join([*BASE_INPUT_CLASSES, "pr-8!", "appearance-none", "truncate"])


@require_GET
def imports(request: HttpRequest) -> HttpResponseBase:
    """The imports of the organisation, newest first."""
    before = request.GET.get("before", "")
    rows = ImportRun.objects.for_org(org_of(request)).select_related("started_by").order_by("-pk")
    if before.isascii() and before.isdigit() and len(before) < 19:
        rows = rows.filter(pk__lt=int(before))
    found = list(rows[: PER_PAGE + 1])
    context = {
        **admin.site.each_context(request),
        "title": "Imports",
        "runs": [{"run": run, "look": LOOKS[ImportStatus(run.status)]} for run in found[:PER_PAGE]],
        "next_link": f"?before={found[PER_PAGE - 1].pk}" if len(found) > PER_PAGE else "",
    }
    return TemplateResponse(request, "workstream/imports/list.html", context)


@require_http_methods(["GET", "HEAD", "POST"])
def new_import(request: HttpRequest) -> HttpResponseBase:
    """The form of an upload; after it, on to the columns."""
    refusal: Any = ""
    given = {name: request.POST.get(name, "") for name in ("kind", "encoding", "delimiter", "headings")}
    if request.method == "POST":
        upload = request.FILES.get("file")
        try:
            if not isinstance(upload, UploadedFile) or upload.file is None:
                refusal = "Choose a file."
            else:
                run = services.create_import(
                    org=org_of(request),
                    kind=given["kind"],
                    file_name=upload.name or "",
                    file=cast(BinaryIO, upload.file),
                    encoding=given["encoding"],
                    delimiter=given["delimiter"],
                    has_headings={"yes": True, "no": False}.get(given["headings"]),
                    actor=actor_of(request),
                    at=now(),
                )
                return _to(run)
        except FlowLedgerError as error:
            refusal = explain(error)
    context = {
        **admin.site.each_context(request),
        "title": "Import a CSV file",
        "refusal": refusal,
        "given": given,
        "kinds": ImportKind.choices,
        "encodings": [("", "Find out"), *((name, name) for name in ENCODINGS)],
        "delimiters": DELIMITERS,
        "headings": [("", "Find out"), ("yes", "Yes"), ("no", "No, the first row is data")],
        "input_classes": INPUTS,
        "select_classes": SELECTS,
    }
    return TemplateResponse(request, "workstream/imports/new.html", context)


@require_GET
def one_import(request: HttpRequest, pk: int) -> HttpResponseBase:
    """Before it is started the columns and the preview; from then on progress and result."""
    run = _run(request, pk)
    context = {**admin.site.each_context(request), "title": f"Import of {run.file_name}", "run": run}
    if run.status == ImportStatus.UPLOADED:
        return TemplateResponse(request, "workstream/imports/mapping.html", {**context, **_mapping_context(run)})
    context |= _progress_context(request, run)
    return TemplateResponse(request, "workstream/imports/result.html", context)


@require_GET
def import_progress(request: HttpRequest, pk: int) -> HttpResponseBase:
    """Progress and result alone; 304 while they are as the asker has them."""
    run = _run(request, pk)
    etag = _etag(run)
    if etag in parse_etags(request.headers.get("If-None-Match", "")):
        answer: HttpResponse = HttpResponseNotModified()
    else:
        answer = TemplateResponse(request, "workstream/imports/progress.html", _progress_context(request, run))
    answer["ETag"] = etag
    return answer


@require_POST
def import_preview(request: HttpRequest, pk: int) -> HttpResponseBase:
    """Keep the columns as they are chosen so far, and show what the first rows would do."""
    run, org = _run(request, pk), org_of(request)
    context: dict[str, Any] = {"run": run}
    try:
        run = _keep_choices(request, run)
        rows = services.preview_import(org=org, import_id=pk, actor=actor_of(request), at=now())
        context["rows"] = [
            {
                "row": row,
                "label": RowOutcome(row.outcome).label,
                "look": OUTCOME_LOOKS.get(RowOutcome(row.outcome), "default"),
            }
            for row in rows
        ]
        context["run"] = run
    except FlowLedgerError as error:
        context["refusal"] = explain(error)
    return TemplateResponse(request, "workstream/imports/preview.html", context)


@require_POST
def import_start(request: HttpRequest, pk: int) -> HttpResponseBase:
    """Keep the choices and start."""
    run = _run(request, pk)
    try:
        _keep_choices(request, run)
        services.start_import(org=org_of(request), import_id=pk, actor=actor_of(request), at=now())
    except FlowLedgerError as error:
        messages.error(request, explain(error))
    return _to(run)


@require_POST
def import_cancel(request: HttpRequest, pk: int) -> HttpResponseBase:
    """Stop it."""
    run = _run(request, pk)
    try:
        services.cancel_import(org=org_of(request), import_id=pk, actor=actor_of(request), at=now())
        messages.success(request, "The import was stopped. What it had imported stays and can be undone.")
    except FlowLedgerError as error:
        messages.error(request, explain(error))
    return _to(run)


@require_POST
def import_undo(request: HttpRequest, pk: int) -> HttpResponseBase:
    """Take it back."""
    run = _run(request, pk)
    try:
        services.undo_import(org=org_of(request), import_id=pk, actor=actor_of(request), at=now())
    except FlowLedgerError as error:
        messages.error(request, explain(error))
    return _to(run)


@require_GET
def import_errors(request: HttpRequest, pk: int) -> HttpResponseBase:
    """The error file."""
    run = _run(request, pk)
    rows = reports.rejected_rows(run).order_by("number").iterator()
    lines = (reports.error_line(run, row) for row in rows)
    return csv_file(f"import-{run.pk}-errors", reports.error_columns(run), lines, bom=True)


def _run(request: HttpRequest, pk: int) -> ImportRun:
    run: ImportRun | None = ImportRun.objects.for_org(org_of(request)).filter(pk=pk).order_by("pk").first()
    if run is None:
        raise Http404("There is no such import.")
    return run


def _to(run: ImportRun) -> HttpResponseRedirect:
    return HttpResponseRedirect(reverse("admin:import", args=[run.pk]))


# --- columns ---


def _keep_choices(request: HttpRequest, run: ImportRun) -> ImportRun:
    """What the form says: a field for each column by its place, the mode, the switch."""
    mapping = {heading: request.POST.get(f"column_{place}", "") for place, heading in enumerate(run.headers)}
    fields = {
        "mapping": mapping,
        "mode": request.POST.get("mode", run.mode),
        "fires_rules": request.POST.get("fires_rules") == "on",
    }
    return services.change_import(
        org=org_of(request), import_id=run.pk, fields=fields, actor=actor_of(request), at=now()
    )


def _mapping_context(run: ImportRun) -> dict[str, Any]:
    known = KINDS[run.kind]
    rows = ImportRow.objects.for_org(run.org_id).filter(run=run).order_by("number")
    samples = list(rows.exclude(outcome=RowOutcome.REJECTED).values_list("cells", flat=True)[:SAMPLES])
    options = [(name, mapped.label) for name, mapped in known.fields.items()]
    columns = []
    for place, heading in enumerate(run.headers):
        # A member of an object bears the heading's name: whatever the file has can be kept.
        member = heading.replace(".", " ")[:60].strip()
        members = [(f"{name}.{member}", f"{name.replace('_', ' ').capitalize()}: {member}") for name in known.objects]
        chosen = run.mapping.get(heading, "")
        offered = [*options, *(each for each in members if each[0] not in dict(options))]
        if chosen and chosen not in dict(offered):
            offered.append((chosen, chosen))
        shown = [cells[place] for cells in samples if place < len(cells) and cells[place]]
        columns.append({"place": place, "heading": heading, "options": offered, "chosen": chosen, "samples": shown})
    return {
        "columns": columns,
        "modes": MODES if run.kind != ImportKind.SIGNALS else [],
        "form_id": "import-form",
        "select_classes": SELECTS,
    }


# --- progress and result ---


def _etag(run: ImportRun) -> str:
    return f'"{hashlib.sha256(f"import-{run.pk}-{run.row_version}".encode()).hexdigest()[:32]}"'


def _progress_context(request: HttpRequest, run: ImportRun) -> dict[str, Any]:
    is_working = run.status in (ImportStatus.RUNNING, ImportStatus.UNDOING)
    done, total = run.rows_done, run.rows_total
    if run.status == ImportStatus.UNDOING:
        waiting = ImportChange.objects.for_org(run.org_id).filter(run=run, undone_at__isnull=True)
        left = waiting.filter(model__in=_COUNTED).values("model", "item_id").distinct().count()
        done = run.undone_count + run.kept_count
        total = done + left
    rejected = reports.rejected_rows(run).order_by("number")
    return {
        "run": run,
        "etag": _etag(run),
        "is_working": is_working,
        "look": LOOKS[ImportStatus(run.status)],
        "poll_seconds": POLL_SECONDS,
        "done": done,
        "total": total,
        "percent": 100 if not total else done * 100 // total,
        "may_undo": run.status in (ImportStatus.DONE, ImportStatus.CANCELLED) and bool(run.started_at),
        "rejected": [] if is_working else [_wrong(row) for row in rejected[:ERRORS_SHOWN]],
        "kept": _kept(run) if run.status == ImportStatus.UNDONE else [],
        "kept_shown": KEPT_SHOWN,
    }


_COUNTED = [model._meta.label_lower for model in UNDONE_MODELS if model._meta.label_lower != "clients.identitykey"]


def _wrong(row: ImportRow) -> Mapping[str, Any]:
    sentences = [sentence[:1].upper() + sentence[1:] for sentence in reports.sentences_of(row)]
    return {"number": row.number, "sentences": sentences, "cells": [cell for cell in row.cells if cell][:4]}


def _kept(run: ImportRun) -> list[Mapping[str, Any]]:
    """The records that the undo left, each once, with a link where there is a page."""
    changes: dict[tuple[str, int], ImportChange] = {}
    for change in reports.kept_changes(run)[: KEPT_SHOWN * 2]:
        changes.setdefault((change.model, change.item_id), change)
    models = {model._meta.label_lower: model for model in UNDONE_MODELS}
    found: list[Mapping[str, Any]] = []
    for label, model in models.items():
        wanted = [change for (name, _), change in changes.items() if name == label]
        rows: Any = model._default_manager.filter(org=run.org_id, pk__in=[change.item_id for change in wanted])
        by_id = {row.pk: row for row in rows}
        for change in wanted:
            row = by_id.get(change.item_id)
            found.append(
                {
                    "kind": str(model._meta.verbose_name).capitalize(),
                    "name": str(row) if row is not None else str(change.item_id),
                    "link": page_of(row) if row is not None else "",
                    "row_number": change.row_number,
                    "reason": change.kept_reason,
                }
            )
    return sorted(found, key=lambda each: each["row_number"])[:KEPT_SHOWN]


def register() -> None:
    """Put the pages below the site's root; the list stands in the menu."""
    menu = Menu(Group.INTAKE, icon="upload_file", order=40, title="Imports")
    pages.register_page(pages.Page("imports", "imports/", imports, Role.MANAGER, menu))
    for name, route, view in (
        ("import_new", "imports/new/", new_import),
        ("import", "imports/<int:pk>/", one_import),
        ("import_progress", "imports/<int:pk>/progress/", import_progress),
        ("import_preview", "imports/<int:pk>/preview/", import_preview),
        ("import_start", "imports/<int:pk>/start/", import_start),
        ("import_cancel", "imports/<int:pk>/cancel/", import_cancel),
        ("import_undo", "imports/<int:pk>/undo/", import_undo),
        ("import_errors", "imports/<int:pk>/errors/", import_errors),
    ):
        pages.register_page(pages.Page(name, route, view, Role.MANAGER))


register()
