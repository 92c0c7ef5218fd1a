"""Which fields of a form show and which must be filled in, by what the other fields say."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from spotlight.evaluation.comparing import Comparison
from spotlight.evaluation.reading import fold_name, read
from spotlight.evaluation.types import WHOLE, Scale

SHOW, REQUIRE, HIDE = "show", "require", "hide"
_SCALE = Scale()


@dataclass(frozen=True)
class FormField:
    """One field of a form."""

    field_name: str
    field_type: str
    is_required: bool = False


@dataclass(frozen=True)
class FormRule:
    """What happens to a field while the value of another one meets a condition."""

    field_name: str
    condition_field: str
    operator: str
    condition_value: Any
    effect: str


@dataclass(frozen=True)
class FieldState:
    """How a field stands in the form; one that does not show is never required."""

    visible: bool
    required: bool


def form_state(
    fields: Iterable[FormField], rules: Iterable[FormRule], data: Mapping[str, Any]
) -> dict[str, FieldState]:
    """How every field stands while the form says `data`.

    A field with rules that show it is hidden until one of them holds; a rule that hides it wins over those. A rule
    whose field says nothing, or nothing that can be read, does not hold. What `data` says counts, shown or hidden.
    """
    known = {field.field_name: field for field in fields}
    told = {fold_name(name): value for name, value in data.items()}
    holding: dict[tuple[str, str], list[bool]] = {}
    for rule in rules:
        condition = known.get(rule.condition_field)
        holds = condition is not None and _holds(rule, condition, told.get(fold_name(rule.condition_field)))
        holding.setdefault((rule.field_name, rule.effect), []).append(holds)
    states = {}
    for name, field in known.items():
        visible = any(holding.get((name, SHOW), [True])) and not any(holding.get((name, HIDE), ()))
        required = field.is_required or any(holding.get((name, REQUIRE), ()))
        states[name] = FieldState(visible=visible, required=visible and required)
    return states


def _holds(rule: FormRule, condition: FormField, raw: Any) -> bool:
    """Only what is met in full holds; being near a bound does not."""
    reading = read(condition.field_type, raw)
    if not reading.values:
        return False
    comparison = Comparison(
        field_type=condition.field_type, operator=rule.operator, value=rule.condition_value, scale=_SCALE
    )
    return comparison.credit(reading)[0] == WHOLE
