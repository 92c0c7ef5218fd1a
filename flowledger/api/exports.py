"""Tables as CSV files: streamed, and safe to open in a spreadsheet."""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import date, datetime
from decimal import Decimal
from typing import Any

from django.db.models import QuerySet
from django.http import HttpResponse, StreamingHttpResponse
from rest_framework.request import Request

from flowledger.api.filters import OneFilter
from flowledger.errors import InvalidInput
from flowledger.tenancy.models import Organization
from flowledger.tenancy.scope import org_scope

FORMATS = ("json", "csv")
EXPORT_PARAMETERS = ("format", "bom")
# A spreadsheet takes what begins so for a formula, or hides what it begins with.
_FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")
_BATCH = 2_000
_BOM = "\ufeff"

Row = Mapping[str, Any]


def cell(value: Any) -> str:
    """The text of a cell. Texts that a spreadsheet would calculate get an apostrophe; numbers stay numbers."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, Decimal):
        return format(value, "f")
    if isinstance(value, int | float):
        return str(value)
    if isinstance(value, datetime | date):
        return value.isoformat()
    if isinstance(value, list | tuple):
        value = "; ".join(cell(each) for each in value)
    text = str(value)
    return f"'{text}" if text.lstrip(" ").startswith(_FORMULA_STARTS) else text


class _Line:
    """Takes the text that csv.writer writes and hands it on."""

    def write(self, text: str) -> str:
        return text


def lines(columns: Sequence[str], rows: Iterable[Row], *, bom: bool = False) -> Iterator[str]:
    """The file line by line, the names of the columns first; `bom` tells older spreadsheets that it is UTF-8."""
    write = csv.writer(_Line()).writerow
    yield (_BOM if bom else "") + write(columns)
    for row in rows:
        yield write([cell(row.get(name)) for name in columns])


def csv_response(name: str, columns: Sequence[str], rows: Iterable[Row], *, bom: bool) -> StreamingHttpResponse:
    """The file as an answer that a browser stores under `name`."""
    return StreamingHttpResponse(lines(columns, rows, bom=bom), headers=_headers(name))


def csv_file(name: str, columns: Sequence[str], rows: Iterable[Row], *, bom: bool) -> HttpResponse:
    """The same at once, for few rows and for pages, whose answers are read inside their scope."""
    return HttpResponse("".join(lines(columns, rows, bom=bom)), headers=_headers(name))


def _headers(name: str) -> dict[str, str]:
    return {
        "Content-Type": "text/csv; charset=utf-8",
        "Content-Disposition": f'attachment; filename="{name}.csv"',
        "X-Content-Type-Options": "nosniff",
    }


def rows_in_batches(org: Organization, rows: QuerySet[Any], to_row: Callable[[Any], Row]) -> Iterator[Row]:
    """Every row of a queryset in the order of its key, a batch at a time.

    An answer is sent after its request's transaction has ended, so each batch opens the organisation's scope anew and
    closes it before anything is sent: a slow reader holds neither a transaction nor a scope.
    """
    ordered, last = rows.order_by("pk"), 0
    while True:
        with org_scope(org.pk):
            batch = list(ordered.filter(pk__gt=last)[:_BATCH])
        yield from map(to_row, batch)
        if len(batch) < _BATCH:
            return
        last = batch[-1].pk


def wants_csv(request: Request) -> bool:
    """Whether `?format=csv` asks for the file, or an Accept header that takes CSV and not JSON.

    Raises InvalidInput for another format.
    """
    named = request.query_params.get("format")
    if named is not None:
        if named not in FORMATS:
            raise InvalidInput("format must be json or csv.", fields={"format": ["One of: json, csv."]})
        return named == "csv"
    accepted = {part.partition(";")[0].strip().lower() for part in request.headers.get("Accept", "").split(",")}
    return "text/csv" in accepted and "application/json" not in accepted


def wants_bom(request: Request) -> bool:
    """Whether `?bom=1` asks for a byte-order mark."""
    return request.query_params.get("bom", "").lower() in {"1", "true", "yes"}


class ExportFilter(OneFilter):
    """A parameter of the file, not of the rows: lets a filtered list know `format` or `bom`."""

    def filter(self, qs: QuerySet[Any], value: Any) -> QuerySet[Any]:
        return qs
