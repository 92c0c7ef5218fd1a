"""List filters that only links set: the rows behind a number of a report, told in the filter's title."""

from __future__ import annotations

from datetime import date, datetime, time, timedelta
from typing import Any, ClassVar
from zoneinfo import ZoneInfo

from django.contrib.admin import SimpleListFilter
from django.db.models import QuerySet
from django.http import HttpRequest

from flowledger.backoffice.requests import org_of
from flowledger.tenancy.models import Organization
from workstream.models import Solution

NOTHING = "none"


def days(first: date, last: date) -> str:
    """The value of a filter by days."""
    return f"{first.isoformat()}..{last.isoformat()}"


class DaysFilter(SimpleListFilter):
    """Whole days of the organisation's time zone, both ends with them; subclasses say the column."""

    column: ClassVar[str]

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        self._org = org_of(request)
        chosen = self._chosen()
        return [(str(self.value()), f"{chosen[0]:%d %b %Y} to {chosen[1]:%d %b %Y}")] if chosen else []

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        chosen = self._chosen()
        if chosen is None:
            return queryset
        first, last = chosen
        since, until = _midnight(self._org, first), _midnight(self._org, last + timedelta(days=1))
        return queryset.filter(**{f"{self.column}__gte": since, f"{self.column}__lt": until})

    def _chosen(self) -> tuple[date, date] | None:
        first, _, last = (self.value() or "").partition("..")
        try:
            chosen = date.fromisoformat(first), date.fromisoformat(last)
        except ValueError:
            return None
        return chosen if 1900 <= chosen[0].year <= chosen[1].year <= 2200 else None


class ClosedFilter(DaysFilter):
    """Pursuits by the day on which they were closed."""

    title = "closed"
    parameter_name = "closed"
    column = "closed_at"


class EnteredFilter(DaysFilter):
    """Stays by the day on which they began."""

    title = "entered"
    parameter_name = "entered"
    column = "entered_at"


class ProductFilter(SimpleListFilter):
    """Pursuits by the solution of their candidate; `none` for those without."""

    title = "product"
    parameter_name = "product"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        value = self.value() or ""
        if value == NOTHING:
            return [(NOTHING, "No product")]
        if not _is_id(value):
            return []
        names = Solution.objects.for_org(org_of(request)).filter(pk=int(value)).values_list("name", flat=True)
        return [(value, name) for name in names]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        value = self.value() or ""
        if value == NOTHING:
            return queryset.filter(candidate__solution=None)
        return queryset.filter(candidate__solution=int(value)) if _is_id(value) else queryset


def _is_id(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) < 19


def _midnight(org: Organization, day: date) -> datetime:
    return datetime.combine(day, time.min, ZoneInfo(org.timezone))
