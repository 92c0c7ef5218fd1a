"""What every report answers, and asking a function of the database for rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from django.db import connection

from workstream.reports.health import HealthFigure
from workstream.reports.periods import Period


@dataclass(frozen=True)
class Report:
    """Rows of figures, the range that they are about, and the health that they are to be read with."""

    rows: list[dict[str, Any]]
    period: Period | None = None
    health: Sequence[HealthFigure] = ()
    totals: dict[str, Any] = field(default_factory=dict)


def asked(sql: str, params: Sequence[Any] | Mapping[str, Any]) -> list[dict[str, Any]]:
    """The rows of one statement, by the names of its columns."""
    with connection.cursor() as cursor:
        cursor.execute(sql, params)
        names = [column.name for column in cursor.description or ()]
        return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]


def percent(part: int, whole: int) -> Decimal | None:
    """The share with one decimal; None of nothing."""
    return (Decimal(100 * part) / whole).quantize(Decimal("0.1")) if whole else None


def hours(seconds: float | None, *, places: str = "0.01") -> Decimal | None:
    """Seconds as hours; None stays None."""
    return None if seconds is None else (Decimal(seconds) / 3600).quantize(Decimal(places))
