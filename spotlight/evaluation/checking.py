"""Whether a criterion makes sense: the value that its operator and the type of its field ask for, in one spelling."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from spotlight.evaluation.comparing import BETWEEN, CONTAINS, IN, MATCHES, OPERATORS, pattern_of
from spotlight.evaluation.reading import DATE, ENUM, NUMBER, fold, read

LONGEST_VALUE = 500
MOST_VALUES = 200
_NOUNS = {"text": "a text", NUMBER: "a number", "boolean": "yes or no", ENUM: "one of a list", DATE: "a date"}


def check_criterion(field_type: str, enum_values: Sequence[str], operator: str, value: Any) -> Any:
    """The value as criteria keep it: numbers as numbers, dates as ISO 8601, enums in the spelling of their list.

    Raises ValueError with a sentence for a value whose shape does not fit.
    """
    allowed = OPERATORS.get(field_type)
    if allowed is None:
        raise ValueError(f"“{field_type}” is no type of field; use {', '.join(OPERATORS)}.")
    if operator not in allowed:
        raise ValueError(f"“{operator}” does not compare {_NOUNS[field_type]}; use {', '.join(allowed)}.")
    if operator == BETWEEN:
        return _bounds(field_type, value)
    if operator == IN:
        return _listed(field_type, enum_values, value)
    if operator == MATCHES:
        return _pattern(value)
    if operator == CONTAINS and not isinstance(value, str):
        raise ValueError("“contains” needs a text.")
    return _single(field_type, enum_values, value)


def _bounds(field_type: str, value: Any) -> list[Any]:
    if not isinstance(value, list | tuple) or len(value) != 2:
        raise ValueError("“between” needs two bounds, the lower one first, such as [50000, 200000].")
    low, high = (_single(field_type, (), each) for each in value)
    if low >= high:
        raise ValueError("“between” needs two bounds, the lower one first.")
    return [low, high]


def _listed(field_type: str, enum_values: Sequence[str], value: Any) -> list[Any]:
    if not isinstance(value, list | tuple) or not value:
        raise ValueError("“in” needs a list with at least one value.")
    if len(value) > MOST_VALUES:
        raise ValueError(f"“in” takes at most {MOST_VALUES} values.")
    # Of two spellings of one value the first is kept.
    kept: dict[Any, Any] = {}
    for each in value:
        single = _single(field_type, enum_values, each)
        kept.setdefault(read(field_type, single).values[0], single)
    return list(kept.values())


def _pattern(value: Any) -> str:
    if not isinstance(value, str) or not value.strip():
        raise ValueError("“matches” needs a pattern, such as crm|erp.")
    pattern_of(value)
    return value


def _single(field_type: str, enum_values: Sequence[str], value: Any) -> Any:
    if isinstance(value, list | tuple | dict):
        raise ValueError(f"A single value is needed here, {_NOUNS[field_type]}.")
    if isinstance(value, str) and len(value) > LONGEST_VALUE:
        raise ValueError(f"A value has at most {LONGEST_VALUE} characters.")
    reading = read(field_type, value)
    if reading.problem:
        raise ValueError(f"{reading.problem}.")
    if not reading.values:
        raise ValueError(f"A value is needed, {_NOUNS[field_type]}.")
    if field_type != ENUM:
        return reading.shown[0]
    for each in enum_values:
        if fold(each) == reading.values[0]:
            return each
    listed = ", ".join(list(enum_values)[:10])
    raise ValueError(f"“{str(value)[:40]}” is not in the list of the field: {listed}.")
