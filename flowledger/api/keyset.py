"""Keyset reading: the rows after a given row, in any declared order, at the same cost on every page.

An order is a list of columns that ends in the primary key. Where all run the same way and hold no NULL the condition
is one row comparison, which a matching index answers directly. A leading column with NULLs splits the order into
two segments, with and without a value, each of which is such a comparison again. The rest is spelled out.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Any

from django.db import models
from django.db.models import F, Func, Q, Value
from django.db.models.constants import LOOKUP_SEP
from django.db.models.expressions import OrderBy


@dataclass(frozen=True)
class Column:
    """One step of an order: a path such as `client__name`, its direction, and where its NULLs go."""

    path: str
    field: models.Field[Any, Any]
    descending: bool = False
    nulls_first: bool = False
    nullable: bool = False

    def value_of(self, row: Any) -> Any:
        """The row's value in this column, through joined rows."""
        value = row
        for name in self.path.split(LOOKUP_SEP):
            if value is None:
                return None
            value = getattr(value, name)
        return value

    def is_null(self) -> Q:
        return Q(**{f"{self.path}__isnull": True})

    def equals(self, value: Any) -> Q:
        return self.is_null() if value is None else Q(**{self.path: value})

    def beyond(self, value: Any) -> Q | None:
        """Rows that come strictly later by this column alone; None when none can."""
        if value is None:
            return ~self.is_null() if self.nulls_first else None
        later = Q(**{f"{self.path}__{'lt' if self.descending else 'gt'}": value})
        return later if self.nulls_first or not self.nullable else later | self.is_null()


class RowComparison(Func):
    """`(a, b) > (x, y)`: one condition that an index on (a, b) answers."""

    output_field = models.BooleanField()

    def __init__(self, columns: Sequence[Column], values: Sequence[Any]) -> None:
        self.operator = "<" if columns[0].descending else ">"
        left = [F(column.path) for column in columns]
        right = [Value(value, output_field=column.field) for column, value in zip(columns, values, strict=True)]
        super().__init__(*left, *right)

    def as_sql(self, compiler: Any, connection: Any, **extra: Any) -> tuple[str, list[Any]]:  # type: ignore[override]
        parts: list[str] = []
        parameters: list[Any] = []
        for expression in self.get_source_expressions():
            sql, values = compiler.compile(expression)
            parts.append(sql)
            parameters.extend(values)
        half = len(parts) // 2
        return f"({', '.join(parts[:half])}) {self.operator} ({', '.join(parts[half:])})", parameters


def order_of(rows: models.QuerySet[Any]) -> list[Column]:
    """The columns by which the queryset is ordered, with the primary key as the last: an order without ties."""
    columns = [_column(rows, term) for term in rows.query.order_by]
    if not any(column.path == rows.model._meta.pk.name for column in columns):
        descending = bool(columns) and columns[-1].descending
        columns.append(_column(rows, "-pk" if descending else "pk"))
    return columns


def in_order(rows: models.QuerySet[Any], columns: Sequence[Column]) -> models.QuerySet[Any]:
    """The queryset in exactly this order; NULLS is only written where it differs from PostgreSQL's own choice."""
    terms = []
    for column in columns:
        unusual = column.nullable and column.nulls_first != column.descending
        terms.append(
            OrderBy(
                F(column.path),
                descending=column.descending,
                nulls_first=True if unusual and column.nulls_first else None,
                nulls_last=True if unusual and not column.nulls_first else None,
            )
        )
    return rows.order_by(*terms)


def segments_after(
    rows: models.QuerySet[Any], columns: Sequence[Column], values: Sequence[Any]
) -> Iterator[models.QuerySet[Any]]:
    """What follows the row with these values, as querysets to be read one after another; mostly one, at most two."""
    first, value = columns[0], values[0]
    ordered = in_order(rows, columns)
    if not first.nullable:
        yield ordered.filter(_after(columns, values))
        return
    if value is None:
        if len(columns) > 1:
            yield in_order(rows, columns[1:]).filter(first.is_null(), _after(columns[1:], values[1:]))
        if first.nulls_first:
            yield ordered.filter(~first.is_null())
        return
    solid = [Column(first.path, first.field, first.descending, first.nulls_first), *columns[1:]]
    yield ordered.filter(~first.is_null(), _after(solid, values))
    if not first.nulls_first:
        yield in_order(rows, columns[1:] or columns).filter(first.is_null())


def _after(columns: Sequence[Column], values: Sequence[Any]) -> Any:
    """The condition for rows strictly after the values; columns are compared from the left."""
    one_way = len({column.descending for column in columns}) == 1
    if one_way and not any(column.nullable for column in columns):
        return RowComparison(columns, values)
    condition = Q(pk__in=[])
    equal = Q()
    for column, value in zip(columns, values, strict=True):
        beyond = column.beyond(value)
        if beyond is not None:
            condition |= equal & beyond
        equal &= column.equals(value)
    if columns[0].nullable or values[0] is None:
        return condition
    # Implied by the rest, but a range that the index on the leading column can start from.
    bound = "lte" if columns[0].descending else "gte"
    return Q(**{f"{columns[0].path}__{bound}": values[0]}) & condition


def _column(rows: models.QuerySet[Any], term: Any) -> Column:
    """Raises TypeError for an order that is no column: such a list cannot be continued."""
    nulls_first: bool | None = None
    if isinstance(term, OrderBy):
        if not isinstance(term.expression, F):
            raise TypeError(f"A list can only be ordered by columns and annotations, not by {term.expression!r}.")
        path, descending = term.expression.name, term.descending  # type: ignore[attr-defined]
        if term.nulls_first or term.nulls_last:
            nulls_first = bool(term.nulls_first)
    elif isinstance(term, F):
        path, descending = term.name, False  # type: ignore[attr-defined]
    elif isinstance(term, str) and term != "?":
        path, descending = term.lstrip("-"), term.startswith("-")
    else:
        raise TypeError(f"A list can only be ordered by columns and annotations, not by {term!r}.")
    path, field, nullable = _resolve(rows, path)
    return Column(path, field, descending, descending if nulls_first is None else nulls_first, nullable)


def _resolve(rows: models.QuerySet[Any], path: str) -> tuple[str, models.Field[Any, Any], bool]:
    """The column behind a path: its attribute path, its field, and whether it can be NULL."""
    if path in rows.query.annotations:
        return path, rows.query.annotations[path].output_field, True
    model: Any = rows.model
    names: list[str] = []
    nullable = False
    field: Any = None
    for name in path.split(LOOKUP_SEP):
        field = model._meta.pk if name == "pk" else model._meta.get_field(name)
        nullable = nullable or field.null
        names.append(field.name)
        model = field.related_model
    if field.is_relation:
        names[-1] = field.attname
        field = field.target_field
    return LOOKUP_SEP.join(names), field, nullable


def to_json(value: Any) -> Any:
    """A column's value for a cursor, without loss."""
    if isinstance(value, datetime | date):
        return value.isoformat()
    if isinstance(value, Decimal):
        return str(value)
    return value


def from_json(column: Column, value: Any) -> Any:
    """The inverse of `to_json`. Raises ValidationError, ValueError or TypeError for a value that is none."""
    return None if value is None else column.field.to_python(value)
