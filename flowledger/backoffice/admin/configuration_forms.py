"""The form of one configuration key, made from its JSON schema: a field for every scalar and every set of choices."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

from django import forms

from flowledger.backoffice.forms import style
from flowledger.configuration.registry import Key
from flowledger.tenancy.models import Organization

LONG_TEXT = 200


@dataclass(frozen=True)
class Leaf:
    """A part of the value that has a form field: where it is, its schema, and what it holds now."""

    path: tuple[str, ...]
    schema: Mapping[str, Any]
    value: Any

    @property
    def name(self) -> str:
        """The field's name, which is the path that a refusal names."""
        return ".".join(("value", *self.path))

    @property
    def label(self) -> str:
        return " – ".join(part.replace("_", " ") for part in self.path).capitalize() or "Value"


class ConfigForm(forms.Form):
    """The value, from when to when, and why. `value()` is the JSON value; what it means, the service judges."""

    reason = forms.CharField(
        max_length=1000, widget=forms.Textarea(attrs={"rows": 2}), help_text="Stays in the history for ever."
    )
    effective_from = forms.DateTimeField(
        required=False, widget=forms.DateTimeInput(), label="Holds from", help_text="At once when left empty."
    )
    effective_to = forms.DateTimeField(
        required=False,
        widget=forms.DateTimeInput(),
        label="Holds until",
        help_text="Without an end it replaces what is planned for later; with one, what it interrupts goes on after.",
    )
    expected_version = forms.IntegerField(min_value=0, widget=forms.HiddenInput)

    def __init__(self, *args: Any, key: Key[Any], value: Any, org: Organization, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.zone = ZoneInfo(org.timezone)
        self.leaves = list(leaves_of(key.schema(), value))
        for leaf in self.leaves:
            self.fields[leaf.name] = field_of(leaf)
        self.order_fields([*(leaf.name for leaf in self.leaves), "effective_from", "effective_to", "reason"])
        for name in ("effective_from", "effective_to"):
            self.fields[name].help_text = f"{org.timezone} time. {self.fields[name].help_text}"
        for field in self.fields.values():
            style(field)

    def value(self) -> Any:
        """The JSON value that the fields make up."""
        if self.leaves and not self.leaves[0].path:
            return self._part(self.leaves[0])
        whole: dict[str, Any] = {}
        for leaf in self.leaves:
            place = whole
            for part in leaf.path[:-1]:
                place = place.setdefault(part, {})
            place[leaf.path[-1]] = self._part(leaf)
        return whole

    def moment(self, name: str) -> datetime | None:
        """A time as it is read on the clocks of the organisation."""
        given: datetime | None = self.cleaned_data.get(name)
        return given.replace(tzinfo=self.zone) if given is not None else None

    def refuse(self, fields: Mapping[str, list[str]], message: str) -> None:
        """Show a refusal of the service beside the fields that it is about."""
        if not fields:
            self.add_error(None, message)
        for path, sentences in fields.items():
            name = path
            while name not in self.fields and "." in name:
                name = name.rpartition(".")[0]
            rest = path.removeprefix(name).strip(".")
            for sentence in sentences:
                known = name in self.fields
                self.add_error(
                    name if known else None,
                    f"{rest}: {sentence}" if known and rest else sentence if known else f"{path}: {sentence}",
                )

    def _part(self, leaf: Leaf) -> Any:
        given: Any = self.cleaned_data.get(leaf.name)
        if isinstance(given, Decimal):
            # Decimals are written as text in JSON, floats as numbers.
            is_decimal = any(part.get("type") == "string" for part in leaf.schema.get("anyOf", ()))
            return str(given) if is_decimal else float(given)
        if isinstance(self.fields[leaf.name], forms.MultipleChoiceField) and isinstance(leaf.value, list):
            # What was chosen before keeps its order, in which pages list it.
            kept = [one for one in leaf.value if one in given]
            return [*kept, *(one for one in given if one not in kept)]
        return given


def leaves_of(schema: Mapping[str, Any], value: Any) -> Iterator[Leaf]:
    """The parts of a value that have a form field each, in the order of its schema."""
    definitions = schema.get("$defs", {})

    def walk(node: Mapping[str, Any], path: tuple[str, ...], here: Any) -> Iterator[Leaf]:
        node = _resolved(node, definitions)
        if node.get("type") == "object" and node.get("properties"):
            for name, child in node["properties"].items():
                yield from walk(child, (*path, name), here.get(name) if isinstance(here, dict) else None)
        else:
            if node.get("type") == "array":
                node = {**node, "items": _resolved(node.get("items", {}), definitions)}
            yield Leaf(path, node, here)

    return walk(schema, (), value)


def _resolved(node: Mapping[str, Any], definitions: Mapping[str, Any]) -> Mapping[str, Any]:
    if "$ref" in node:
        return {**definitions[str(node["$ref"]).rsplit("/", 1)[1]], **{k: v for k, v in node.items() if k != "$ref"}}
    return node


def field_of(leaf: Leaf) -> forms.Field:
    """The form field of one part."""
    schema = leaf.schema
    common: dict[str, Any] = {
        "label": leaf.label,
        "initial": leaf.value,
        "help_text": _bounds(schema) or str(schema.get("description", "")),
    }
    kind = schema.get("type")
    if kind == "boolean":
        return forms.BooleanField(required=False, **common)
    if kind == "integer":
        return forms.IntegerField(min_value=schema.get("minimum"), max_value=schema.get("maximum"), **common)
    if kind == "string" and "enum" in schema:
        return forms.ChoiceField(choices=_choices(schema["enum"]), **common)
    if kind == "string" and "format" not in schema:
        return _text_field(schema, common)
    if kind == "array" and "enum" in schema["items"]:
        return forms.MultipleChoiceField(
            choices=_choices(schema["items"]["enum"]),
            required=False,
            widget=forms.CheckboxSelectMultiple,
            **common,
        )
    numbers = [part for part in schema.get("anyOf", ()) if part.get("type") == "number"]
    if kind == "number" or numbers:
        optional = any(part.get("type") == "null" for part in schema.get("anyOf", ()))
        bounds = numbers[0] if numbers else schema
        common["help_text"] = _bounds(bounds)
        return forms.DecimalField(required=not optional, min_value=_decimal(bounds.get("minimum")), **common)
    return _JsonListField(initial=leaf.value, label=leaf.label, help_text=_shape(schema))


def _text_field(schema: Mapping[str, Any], common: dict[str, Any]) -> forms.Field:
    longest = schema.get("maxLength")
    wide = longest is None or longest > LONG_TEXT
    # As it was typed: a template may well begin or end with a line break.
    return forms.CharField(
        max_length=longest,
        strip=False,
        required=bool(schema.get("minLength")),
        widget=forms.Textarea(attrs={"rows": 4 if longest and longest <= 1000 else 18}) if wide else forms.TextInput(),
        **common,
    )


class _JsonListField(forms.CharField):
    """Lists of objects, as JSON text."""

    widget = forms.Textarea

    def __init__(self, *, initial: Any, **kwargs: Any) -> None:
        text = json.dumps(initial, indent=2, ensure_ascii=False)
        rows = min(30, max(4, text.count("\n") + 2))
        attributes = {"rows": rows, "class": "font-mono", "spellcheck": "false"}
        super().__init__(initial=text, widget=forms.Textarea(attrs=attributes), **kwargs)

    def clean(self, value: Any) -> Any:
        text = super().clean(value)
        try:
            return json.loads(text)
        except (ValueError, RecursionError) as error:
            place = f" in line {error.lineno}" if isinstance(error, json.JSONDecodeError) else ""
            raise forms.ValidationError(f"This is no JSON{place}.") from None


def _choices(values: list[str]) -> list[tuple[str, str]]:
    return [(value, value.replace("_", " ").capitalize()) for value in values]


def _decimal(number: float | None) -> Decimal | None:
    return None if number is None else Decimal(str(number))


def _bounds(schema: Mapping[str, Any]) -> str:
    least, most = schema.get("minimum"), schema.get("maximum")
    if least is not None and most is not None:
        return f"From {least:g} to {most:g}."
    return f"At least {least:g}." if least is not None else ""


def _shape(schema: Mapping[str, Any]) -> str:
    """What a list may hold, in words: the fields of its items with their types."""
    items = schema.get("items", {})
    required = set(items.get("required", ()))
    parts = [
        f"{name} ({_type_of(node)}{'' if name in required else ', optional'})"
        for name, node in items.get("properties", {}).items()
    ]
    return f"A JSON list. Each item has: {', '.join(parts)}." if parts else "JSON."


def _type_of(node: Mapping[str, Any]) -> str:
    if "enum" in node:
        return " | ".join(map(str, node["enum"]))
    if "anyOf" in node:
        return "number" if any(part.get("type") == "number" for part in node["anyOf"]) else "any"
    return {"boolean": "true or false", "integer": "whole number", "string": "text"}.get(str(node.get("type")), "any")
