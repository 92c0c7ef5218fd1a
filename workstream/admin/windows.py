"""Form fields of a calendar: one plain text input of opening windows per weekday, and one line per closing day."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import date
from typing import Any

from django import forms
from django.template.loader import render_to_string
from django.utils.datastructures import MultiValueDict
from django.utils.safestring import SafeString, mark_safe
from unfold.widgets import BASE_INPUT_CLASSES

from workstream.business_time import WEEKDAYS, MalformedWindows, parse_windows

BLANK_LINES = 3
MOST_LINES = 1000
DAY_NAMES = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
LONGEST_DAY = 200
_DASH = re.compile(r"\s*[-–—]\s*")


def windows_in_words(pairs: list[list[str]]) -> str:
    """The windows of a day as somebody would type them."""
    return ", ".join("–".join(map(str, pair)) for pair in pairs)


def windows_from_words(text: str) -> list[list[str]]:
    """`9-12:30, 13:30–17` as pairs of HH:MM; what is no time goes on as it was typed, to be refused by name."""
    return [[_time(part) for part in _DASH.split(piece.strip())] for piece in text.split(",") if piece.strip()]


def _time(text: str) -> str:
    hours, _, minutes = text.partition(":")
    is_time = hours.isascii() and hours.isdigit() and (not minutes or (minutes.isascii() and minutes.isdigit()))
    return f"{int(hours):02d}:{int(minutes or 0):02d}" if is_time else text


class TemplateWidget(forms.Widget):
    """A widget of several inputs, rendered with the project's templates, which Django's renderer does not look into."""

    template_name: str
    use_fieldset = True

    def render(self, name: str, value: Any, attrs: dict[str, Any] | None = None, renderer: Any = None) -> SafeString:
        return mark_safe(render_to_string(self.template_name, self.get_context(name, value, attrs)))  # noqa: S308


class WindowsWidget(TemplateWidget):
    """Seven inputs, Monday first; an empty one is a day that is closed."""

    template_name = "workstream/widgets/windows.html"

    def get_context(self, name: str, value: Any, attrs: dict[str, Any] | None) -> dict[str, Any]:
        context = super().get_context(name, value, attrs)
        windows = value or {}
        context["widget"] |= {
            "days": [
                {"name": f"{name}_{day}", "label": label, "value": windows_in_words(windows.get(day) or [])}
                for day, label in zip(WEEKDAYS, DAY_NAMES, strict=True)
            ],
            "longest": LONGEST_DAY,
            "input_classes": " ".join(BASE_INPUT_CLASSES),
        }
        return context

    def value_from_datadict(
        self, data: Mapping[str, Any], files: MultiValueDict[str, Any], name: str
    ) -> dict[str, list[list[str]]]:
        typed = {day: windows_from_words(str(data.get(f"{name}_{day}", ""))[:LONGEST_DAY]) for day in WEEKDAYS}
        return {day: pairs for day, pairs in typed.items() if pairs}

    def value_omitted_from_data(self, data: Mapping[str, Any], files: MultiValueDict[str, Any], name: str) -> bool:
        return not any(f"{name}_{day}" in data for day in WEEKDAYS)


class WindowsField(forms.Field):
    """Windows per weekday in the form in which a calendar stores them."""

    widget = WindowsWidget

    def clean(self, value: Any) -> Any:
        cleaned = super().clean(value)
        try:
            parse_windows(cleaned or {})
        except MalformedWindows as error:
            raise forms.ValidationError(str(error)) from error
        return cleaned

    def has_changed(self, initial: Any, data: Any) -> bool:
        return _open_days(initial) != _open_days(data)


def _open_days(windows: Any) -> dict[str, list[list[str]]]:
    """Without the days that are closed, which may be left out or empty."""
    return {day: [list(pair) for pair in pairs] for day, pairs in (windows or {}).items() if pairs}


class ClosingDaysWidget(TemplateWidget):
    """A date and what it is, line by line, and some empty lines for more."""

    template_name = "workstream/widgets/closing_days.html"

    def get_context(self, name: str, value: Any, attrs: dict[str, Any] | None) -> dict[str, Any]:
        context = super().get_context(name, value, attrs)
        context["widget"] |= {
            "lines": [*(value or ()), *({} for _ in range(BLANK_LINES))],
            "input_classes": " ".join(BASE_INPUT_CLASSES),
        }
        return context

    def value_from_datadict(
        self, data: Mapping[str, Any], files: MultiValueDict[str, Any], name: str
    ) -> list[dict[str, Any]]:
        """Lines without a date are left out: that is how a day is removed."""
        many: Any = data
        dates, names = many.getlist(f"{name}_date")[:MOST_LINES], many.getlist(f"{name}_name")
        lines = zip(dates, [*names, *[""] * len(dates)], strict=False)
        return [{"date": day.strip(), "name": text.strip()} for day, text in lines if day.strip()]

    def value_omitted_from_data(self, data: Mapping[str, Any], files: MultiValueDict[str, Any], name: str) -> bool:
        return f"{name}_date" not in data


class ClosingDaysField(forms.Field):
    """Closing days as the service takes them; it refuses a day that is given twice."""

    widget = ClosingDaysWidget

    def clean(self, value: Any) -> list[dict[str, Any]]:
        days = []
        for line in super().clean(value) or ():
            try:
                days.append({**line, "date": date.fromisoformat(str(line["date"]))})
            except ValueError as error:
                raise forms.ValidationError(f"'{line['date']}' is no date; write it as 2026-12-24.") from error
        return days

    def has_changed(self, initial: Any, data: Any) -> bool:
        return _written(initial) != _written(data)


def _written(days: Any) -> list[tuple[str, str]]:
    return sorted((str(day["date"]), day["name"]) for day in days or ())
