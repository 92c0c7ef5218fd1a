"""CSV imports in tests: a file in, mapped, worked through, with what became of it."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Any

from flowledger.tenancy.actors import Actor
from flowledger.tenancy.models import Organization
from flowledger.tenancy.scope import org_scope
from workstream import services
from workstream.models import ImportChange, ImportRow, ImportRun
from workstream.services.import_rows import Progress, import_chunk
from workstream.services.import_undo import undo_chunk

AT = datetime(2026, 3, 2, 9, 30, tzinfo=UTC)
CLERK = Actor.system("clerk of the tests")


def text_of(headings: Sequence[str], rows: Iterable[Sequence[Any]], *, delimiter: str = ",") -> bytes:
    """A CSV file as a spreadsheet would write it."""
    out = io.StringIO()
    writer = csv.writer(out, delimiter=delimiter)
    writer.writerow(headings)
    writer.writerows(rows)
    return out.getvalue().encode()


def upload(org: Organization, body: bytes, *, kind: str = "signals", name: str = "leads.csv", **more: Any) -> ImportRun:
    return services.create_import(org=org, kind=kind, file_name=name, file=io.BytesIO(body), actor=CLERK, at=AT, **more)


def start(org: Organization, run: ImportRun, **fields: Any) -> ImportRun:
    if fields:
        services.change_import(org=org, import_id=run.pk, fields=fields, actor=CLERK, at=AT)
    return services.start_import(org=org, import_id=run.pk, actor=CLERK, at=AT)


def work(org: Organization, run: ImportRun, *, at: datetime = AT) -> ImportRun:
    """Every chunk of a running import, as one worker does them."""
    while import_chunk(org=org, run_id=run.pk, at=at) is Progress.MORE:
        pass
    return fresh(org, run)


def imported(org: Organization, body: bytes, *, kind: str = "signals", **fields: Any) -> ImportRun:
    """A file that has been imported."""
    run = upload(org, body, kind=kind)
    start(org, run, **fields)
    return work(org, run)


def undone(org: Organization, run: ImportRun, *, at: datetime = AT) -> ImportRun:
    services.undo_import(org=org, import_id=run.pk, actor=CLERK, at=at)
    while undo_chunk(org=org, run_id=run.pk, at=at) is Progress.MORE:
        pass
    return fresh(org, run)


def fresh(org: Organization, run: ImportRun) -> ImportRun:
    with org_scope(org):
        found: ImportRun = ImportRun.objects.for_org(org).get(pk=run.pk)
        return found


def outcomes(org: Organization, run: ImportRun) -> list[str]:
    with org_scope(org):
        return list(ImportRow.objects.for_org(org).filter(run=run).order_by("number").values_list("outcome", flat=True))


def errors(org: Organization, run: ImportRun) -> dict[int, dict[str, list[str]]]:
    with org_scope(org):
        rows = ImportRow.objects.for_org(org).filter(run=run).exclude(errors={}).order_by("number")
        return dict(rows.values_list("number", "errors"))


def kept(org: Organization, run: ImportRun) -> list[tuple[str, int, str]]:
    """What the undo left, with why."""
    with org_scope(org):
        rows = ImportChange.objects.for_org(org).filter(run=run).exclude(kept_reason="").order_by("pk")
        return list(rows.values_list("model", "item_id", "kept_reason"))


def counts(run: ImportRun) -> tuple[int, int, int, int]:
    """Created, updated, unchanged, rejected."""
    return run.created_count, run.updated_count, run.unchanged_count, run.rejected_count
