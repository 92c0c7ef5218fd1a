"""Pages and cursors of lists: `{"data": […], "pagination": {page, limit, total, next_cursor}}`."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from django.core import signing
from django.core.exceptions import ValidationError
from django.db import models
from rest_framework.pagination import BasePagination
from rest_framework.request import Request
from rest_framework.response import Response

from flowledger.api import keyset
from flowledger.errors import InvalidInput

DEFAULT_LIMIT = 50
MAX_LIMIT = 200
EXACT_TOTAL = 10_000
MAX_PAGE = 1_000_000

PAGE_PARAMETERS = ("page", "limit", "cursor")

_signer = signing.Signer(salt="flowledger.api.cursor")


@dataclass(frozen=True)
class Total:
    """How many rows a list has: counted up to EXACT_TOTAL, the planner's estimate beyond."""

    rows: int
    is_estimate: bool = False


@dataclass(frozen=True)
class Place:
    """What a cursor holds: the last row read, its page, and the total counted when the reading began."""

    values: list[Any]
    page: int
    total: Total


class OrgPagination(BasePagination):
    """Pages by number for people, a cursor for programs; either way the answer offers the cursor of what follows."""

    display_page_controls = False

    def paginate_queryset(self, queryset: Any, request: Request, view: Any = None) -> list[Any]:
        """One page of rows. Raises InvalidInput for page, limit or cursor values that mean nothing."""
        self.limit = min(_positive(request, "limit", DEFAULT_LIMIT), MAX_LIMIT)
        columns = keyset.order_of(queryset)
        question = _question(request, columns)
        if text := request.query_params.get("cursor"):
            if "page" in request.query_params:
                raise InvalidInput("Read by page or by cursor, not both.", fields={"cursor": ["Leave out page."]})
            place = _read_cursor(text, question, columns)
            rows = _following(queryset, columns, place.values, self.limit + 1)
            self.page, self.total = place.page, place.total
        else:
            self.page = _positive(request, "page", 1)
            if self.page > MAX_PAGE:
                raise InvalidInput(
                    "Pages this deep are read by cursor.", fields={"page": [f"This must be at most {MAX_PAGE}."]}
                )
            start = (self.page - 1) * self.limit
            rows = list(keyset.in_order(queryset, columns)[start : start + self.limit + 1])
            self.total = _total(queryset, start, len(rows), self.limit)
        self.next_cursor = None
        if len(rows) > self.limit:
            rows = rows[: self.limit]
            self.next_cursor = _write_cursor(question, columns, rows[-1], self.page + 1, self.total)
        return rows

    def get_paginated_response(self, data: Any) -> Response:
        pagination: dict[str, Any] = {
            "page": self.page,
            "limit": self.limit,
            "total": self.total.rows,
            "next_cursor": self.next_cursor,
        }
        if self.total.is_estimate:
            pagination["total_is_estimate"] = True
        return Response({"data": data, "pagination": pagination})

    def get_paginated_response_schema(self, schema: dict[str, Any]) -> dict[str, Any]:
        return {
            "type": "object",
            "required": ["data", "pagination"],
            "properties": {"data": schema, "pagination": {"$ref": "#/components/schemas/Pagination"}},
        }

    def get_schema_operation_parameters(self, view: Any) -> list[dict[str, Any]]:
        return [
            {
                "name": "page",
                "in": "query",
                "schema": {"type": "integer", "minimum": 1, "maximum": MAX_PAGE, "default": 1},
                "description": "Page number; use `cursor` to read far.",
            },
            {
                "name": "limit",
                "in": "query",
                "schema": {"type": "integer", "minimum": 1, "default": DEFAULT_LIMIT},
                "description": f"Rows a page; more than {MAX_LIMIT} means {MAX_LIMIT}.",
            },
            {
                "name": "cursor",
                "in": "query",
                "schema": {"type": "string"},
                "description": "`next_cursor` of the page before; filters and ordering must stay the same.",
            },
        ]


# The component that every list refers to.
PAGINATION_SCHEMA: dict[str, Any] = {
    "type": "object",
    "required": ["page", "limit", "total", "next_cursor"],
    "properties": {
        "page": {"type": "integer", "minimum": 1},
        "limit": {"type": "integer", "minimum": 1, "maximum": MAX_LIMIT},
        "total": {"type": "integer", "minimum": 0},
        "total_is_estimate": {
            "type": "boolean",
            "description": f"Present and true beyond {EXACT_TOTAL:,} rows, and where a search stopped at its newest.",
        },
        "next_cursor": {"type": ["string", "null"], "description": "null on the last page."},
    },
}


def _positive(request: Request, name: str, default: int) -> int:
    text = request.query_params.get(name)
    if text is None or text == "":
        return default
    if not (text.isascii() and text.isdigit() and len(text) <= 12 and int(text) > 0):
        raise InvalidInput(f"{name} must be a whole number from 1.", fields={name: ["This must be 1 or more."]})
    return int(text)


def _total(queryset: models.QuerySet[Any], start: int, read: int, limit: int) -> Total:
    """Free on the last page, an index count up to EXACT_TOTAL, then a look at the plan."""
    # A search stops at so many matches; whoever reaches that number may have more.
    cap = getattr(queryset, "capped_at", None) or EXACT_TOTAL + 1
    if read <= limit and (read or not start):
        return Total(start + read, is_estimate=start + read >= cap)
    keys = queryset.order_by().values("pk")
    counted = keys[: EXACT_TOTAL + 1].count()
    if counted <= EXACT_TOTAL:
        return Total(counted, is_estimate=counted >= cap)
    plan = json.loads(keys.explain(format="json"))
    return Total(max(int(plan[0]["Plan"]["Plan Rows"]), start + read, EXACT_TOTAL + 1), is_estimate=True)


def _following(
    queryset: models.QuerySet[Any], columns: Sequence[keyset.Column], values: Sequence[Any], count: int
) -> list[Any]:
    rows: list[Any] = []
    for segment in keyset.segments_after(queryset, columns, values):
        rows += segment[: count - len(rows)]
        if len(rows) >= count:
            break
    return rows


def _question(request: Request, columns: Sequence[keyset.Column]) -> str:
    """Fingerprint of what a list was asked for; a cursor answers the same question only."""
    parameters = sorted((name, values) for name, values in request.query_params.lists() if name not in PAGE_PARAMETERS)
    order = [(column.path, column.descending, column.nulls_first) for column in columns]
    return hashlib.sha256(repr((request.path, parameters, order)).encode()).hexdigest()[:16]


def _write_cursor(question: str, columns: Sequence[keyset.Column], row: Any, page: int, total: Total) -> str:
    values = [keyset.to_json(column.value_of(row)) for column in columns]
    return _signer.sign_object([question, page, total.rows, total.is_estimate, values])


def _read_cursor(text: str, question: str, columns: Sequence[keyset.Column]) -> Place:
    try:
        asked, page, rows, is_estimate, values = _signer.unsign_object(text)
        if asked != question:
            raise InvalidInput(
                "The cursor belongs to another list; start again without it.",
                fields={"cursor": ["Filters and ordering must stay the same while reading on."]},
            )
        restored = [keyset.from_json(column, value) for column, value in zip(columns, values, strict=True)]
    except (signing.BadSignature, ValueError, TypeError, ValidationError):
        raise InvalidInput(
            "The cursor is not one of ours; start again without it.", fields={"cursor": ["This is no cursor."]}
        ) from None
    return Place(restored, page, Total(rows, is_estimate))
