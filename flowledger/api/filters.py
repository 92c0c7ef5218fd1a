"""Filters of lists: several values by repetition or comma, and every value checked before the database sees it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, date, datetime, time
from decimal import Decimal, InvalidOperation
from typing import Any, ClassVar

import django_filters
from django import forms
from django.core.exceptions import ImproperlyConfigured
from django.db.models import Q, QuerySet
from django.utils.dateparse import parse_date, parse_datetime

from flowledger.api.converters import MAX_ID

MAX_VALUES = 200
NONE = "none"


class _Texts(forms.Widget):
    """All values of a parameter: `?stage=qual&stage=pink` and `?stage=qual,pink` alike."""

    def value_from_datadict(self, data: Any, files: Any, name: str) -> list[str]:
        given = data.getlist(name) if hasattr(data, "getlist") else [data[name]] if name in data else []
        return [part.strip() for text in given for part in str(text).split(",") if part.strip()]


class _Values(forms.Field):
    """Converts each text; the converter raises ValueError with the sentence to show."""

    widget = _Texts

    def __init__(self, *, convert: Callable[[str], Any], **kwargs: Any) -> None:
        self.convert = convert
        super().__init__(**kwargs)

    def clean(self, value: Any) -> list[Any]:
        if len(value) > MAX_VALUES:
            raise forms.ValidationError(f"At most {MAX_VALUES} values can be given.")
        values = []
        for text in value:
            if "\x00" in text:
                raise forms.ValidationError("NUL characters cannot be searched for.")
            try:
                values.append(self.convert(text))
            except ValueError as error:
                raise forms.ValidationError(str(error)) from None
        return values


class InFilter(django_filters.Filter):
    """Rows whose column is one of the given values. Base of the filters below; `schema` documents one value."""

    field_class = _Values
    schema: ClassVar[dict[str, Any]] = {"type": "string"}
    takes_many = True

    def __init__(self, field_name: str | None = None, **kwargs: Any) -> None:
        super().__init__(field_name, lookup_expr="in", convert=self.convert, **kwargs)

    def convert(self, text: str) -> Any:
        """One value from its text. Raises ValueError with a sentence."""
        return text

    def value_schema(self) -> dict[str, Any]:
        """JSON schema of one value."""
        return dict(self.schema)

    def filter(self, qs: QuerySet[Any], value: Any) -> QuerySet[Any]:
        if not value:
            return qs
        condition = Q(**{f"{self.field_name}__in": [v for v in value if v is not None]})
        if None in value:
            condition |= Q(**{f"{self.field_name}__isnull": True})
        return qs.filter(condition)


class TextsFilter(InFilter):
    """Exact texts."""


class ChoicesFilter(InFilter):
    """Values of a fixed set; another value is refused with the list of choices."""

    def __init__(self, field_name: str | None = None, *, choices: Iterable[tuple[Any, Any]], **kwargs: Any) -> None:
        self.values = [str(value) for value, _ in choices]
        super().__init__(field_name, **kwargs)

    def convert(self, text: str) -> str:
        if text not in self.values:
            raise ValueError(f"'{text}' is not one of: {', '.join(self.values)}.")
        return text

    def value_schema(self) -> dict[str, Any]:
        return {"type": "string", "enum": self.values}


class IdsFilter(InFilter):
    """Identifiers of related rows, by column (`owner_id`); `none` finds rows without one."""

    def convert(self, text: str) -> int | None:
        if text.lower() == NONE:
            return None
        if not (text.isascii() and text.isdigit() and len(text) <= 19 and 1 <= int(text) <= MAX_ID):
            raise ValueError(f"'{text}' is no identifier.")
        return int(text)

    def value_schema(self) -> dict[str, Any]:
        return {"anyOf": [{"type": "integer", "format": "int64"}, {"type": "string", "const": NONE}]}


class OneFilter(InFilter):
    """Base of filters with a single value, compared by `lookup_expr` (gte, lt, …)."""

    takes_many = False

    def __init__(self, field_name: str | None = None, *, lookup_expr: str = "exact", **kwargs: Any) -> None:
        super().__init__(field_name, **kwargs)
        self.lookup_expr = lookup_expr

    def filter(self, qs: QuerySet[Any], value: Any) -> QuerySet[Any]:
        return qs.filter(**{f"{self.field_name}__{self.lookup_expr}": value[-1]}) if value else qs


class YesNoFilter(OneFilter):
    """`true` or `false`."""

    schema = {"type": "boolean"}

    def convert(self, text: str) -> bool:
        try:
            return {"true": True, "1": True, "yes": True, "false": False, "0": False, "no": False}[text.lower()]
        except KeyError:
            raise ValueError(f"'{text}' is neither true nor false.") from None


class InstantFilter(OneFilter):
    """A time in ISO 8601; without an offset it is UTC, a bare date is its first instant."""

    schema = {"type": "string", "format": "date-time"}

    def convert(self, text: str) -> datetime:
        # A literal + arrives as a space in a query string.
        repaired = text.replace(" ", "+") if "T" in text else text
        try:
            instant = parse_datetime(repaired)
            day = None if instant else parse_date(text)
        except ValueError:
            instant, day = None, None
        if instant is None and day is None:
            raise ValueError(f"'{text}' is no time in ISO 8601.")
        instant = instant or datetime.combine(day, time.min, UTC)  # type: ignore[arg-type]
        return instant if instant.tzinfo else instant.replace(tzinfo=UTC)

    def value_schema(self) -> dict[str, Any]:
        return {"anyOf": [{"type": "string", "format": "date-time"}, {"type": "string", "format": "date"}]}


class DayFilter(OneFilter):
    """A date in ISO 8601."""

    schema = {"type": "string", "format": "date"}

    def convert(self, text: str) -> date:
        try:
            day = parse_date(text)
        except ValueError:
            day = None
        if day is None:
            raise ValueError(f"'{text}' is no date in ISO 8601.")
        return day


class NumberFilter(OneFilter):
    """A decimal number."""

    schema = {"type": "number"}

    def convert(self, text: str) -> Decimal:
        try:
            number = Decimal(text)
        except InvalidOperation:
            number = Decimal("NaN")
        if not number.is_finite() or abs(number) > Decimal(10) ** 18:
            raise ValueError(f"'{text}' is no usable number.")
        return number


class OrgFilterSet(django_filters.FilterSet):
    """Filters of one list, each declared: what django-filter would generate for a relation crosses organisations."""

    @classmethod
    def get_filters(cls) -> Any:
        filters = super().get_filters()
        for name, one in filters.items():
            if not isinstance(one, InFilter):
                raise ImproperlyConfigured(f"{cls.__name__}.{name} must be a filter of flowledger.api.filters.")
        return filters


def filter_parameters(filterset: type[OrgFilterSet]) -> list[dict[str, Any]]:
    """The filters as OpenAPI query parameters."""
    parameters = []
    for name, one in filterset.get_filters().items():
        value = one.value_schema()
        parameter: dict[str, Any] = {"name": name, "in": "query", "schema": value}
        if one.takes_many:
            parameter |= {"schema": {"type": "array", "items": value}, "style": "form", "explode": True}
        if help_text := one.extra.get("help_text"):
            parameter["description"] = str(help_text)
        parameters.append(parameter)
    return parameters


def refuse_unknown(given: Iterable[str], known: Sequence[str]) -> dict[str, list[str]]:
    """Sentences for parameters that a list does not know: a misspelt filter must not answer everything."""
    unknown = [name for name in given if name not in known]
    return {name: [f"Unknown parameter; this list knows: {', '.join(sorted(known))}."] for name in unknown}
