"""Inputs for the value that a field is compared with: what they look like follows from field type and operator."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from django import forms
from django.utils.datastructures import MultiValueDict
from unfold.widgets import BASE_INPUT_CLASSES

from spotlight.models import FieldType, Operator
from workstream.admin.windows import TemplateWidget

YES_OR_NO = [("true", "Yes"), ("false", "No")]
INPUTS = " ".join(BASE_INPUT_CLASSES)
SELECTS = " ".join([*BASE_INPUT_CLASSES, "pr-8!", "appearance-none", "truncate"])

_SIZES = (Operator.AT_LEAST, Operator.ABOVE, Operator.AT_MOST, Operator.BELOW, Operator.BETWEEN)
OPERATORS: Mapping[FieldType, Sequence[Operator]] = {
    FieldType.TEXT: (Operator.EQUAL, Operator.NOT_EQUAL, Operator.IN, Operator.CONTAINS, Operator.MATCHES),
    FieldType.NUMBER: (*_SIZES, Operator.EQUAL, Operator.NOT_EQUAL, Operator.IN),
    FieldType.BOOLEAN: (Operator.EQUAL, Operator.NOT_EQUAL),
    FieldType.ENUM: (Operator.EQUAL, Operator.NOT_EQUAL, Operator.IN),
    FieldType.DATE: (*_SIZES, Operator.EQUAL, Operator.NOT_EQUAL, Operator.IN),
}
WORDS_OF_DATES = {
    Operator.AT_LEAST: "on or after",
    Operator.ABOVE: "after",
    Operator.AT_MOST: "on or before",
    Operator.BELOW: "before",
    Operator.EQUAL: "on",
    Operator.NOT_EQUAL: "not on",
}


def operators_of(field_type: FieldType) -> list[tuple[str, str]]:
    """How the values of a type can be compared, as choices."""
    words = WORDS_OF_DATES if field_type == FieldType.DATE else {}
    return [(each.value, words.get(each, str(each.label))) for each in OPERATORS[field_type]]


class ValueWidget(TemplateWidget):
    """One value, two bounds, a line for each of several values, or a choice among the values of the field."""

    template_name = "spotlight/builder/value.html"

    def __init__(self, attrs: dict[str, Any] | None = None) -> None:
        super().__init__(attrs)
        self.suit(FieldType.TEXT, Operator.EQUAL, ())

    def suit(self, field_type: FieldType, operator: str, enum_values: Sequence[str]) -> None:
        """Become what the field and the operator ask for."""
        is_boolean = field_type == FieldType.BOOLEAN
        self.choices = YES_OR_NO if is_boolean else [(each, each) for each in enum_values]
        self.input_type = "date" if field_type == FieldType.DATE else "text"
        self.is_number = field_type == FieldType.NUMBER
        self.is_boolean = is_boolean
        if operator == Operator.BETWEEN:
            self.kind = "bounds"
        elif operator == Operator.IN:
            self.kind = "boxes" if field_type == FieldType.ENUM else "lines"
        else:
            self.kind = "choice" if is_boolean or field_type == FieldType.ENUM else "single"

    def get_context(self, name: str, value: Any, attrs: dict[str, Any] | None) -> dict[str, Any]:
        context = super().get_context(name, value, attrs)
        texts = [_text(each) for each in (value if isinstance(value, list | tuple) else [value])]
        choices = list(self.choices)
        if self.kind in ("choice", "boxes"):
            # A value that the list lost meanwhile stays visible until somebody chooses another.
            choices += [(text, text) for text in texts if text and text not in dict(choices)]
        context["widget"] |= {
            "kind": self.kind,
            "choices": choices,
            "texts": texts,
            "text": texts[0] if texts else "",
            "lower": texts[0] if texts else "",
            "upper": texts[1] if len(texts) > 1 else "",
            "lines": "\n".join(texts),
            "rows": min(max(len(texts), 2), 6),
            "input_type": self.input_type,
            "is_number": self.is_number,
            "input_classes": INPUTS,
            "select_classes": SELECTS,
        }
        return context

    def value_from_datadict(self, data: Mapping[str, Any], files: MultiValueDict[str, Any], name: str) -> Any:
        many: Any = data
        given = many.getlist(name) if hasattr(many, "getlist") else [data[name]] if name in data else []
        texts = [str(each).strip() for each in given]
        if self.kind == "bounds":
            return [texts[0] if texts else "", str(data.get(f"{name}_upper", "")).strip()]
        if self.kind == "boxes":
            return [text for text in texts if text]
        if self.kind == "lines":
            return [line.strip() for text in texts for line in text.splitlines() if line.strip()]
        text = texts[0] if texts else ""
        return {"true": True, "false": False}.get(text, text) if self.is_boolean else text


class ValueField(forms.Field):
    """A value in the shape that the operator asks for; whether it fits is for `check_criterion` to say."""

    widget = ValueWidget

    def suit(self, field_type: FieldType, operator: str, enum_values: Sequence[str]) -> None:
        """Ask for what the field and the operator need."""
        widget: Any = self.widget
        widget.suit(field_type, operator, enum_values)

    def validate(self, value: Any) -> None:
        """False is an answer; a bound that is missing is none."""
        parts = value if isinstance(value, list) else [value]
        if not parts or any(part is None or part == "" for part in parts):
            raise forms.ValidationError(str(self.error_messages["required"]), code="required")
        if any("\x00" in str(part) for part in parts):
            raise forms.ValidationError("Null characters are not allowed.", code="null")

    def has_changed(self, initial: Any, data: Any) -> bool:
        return _texts(initial) != _texts(data)


def _texts(value: Any) -> list[str]:
    return [_text(each) for each in (value if isinstance(value, list | tuple) else [value])]


def _text(value: Any) -> str:
    """A stored value as somebody would type it."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return "" if value is None else str(value)
