"""How much of a wish a value meets: one function from a read value to credit for each operator."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import lru_cache
from typing import Any

import re2

from spotlight.evaluation.reading import (
    BOOLEAN,
    DATE,
    ENUM,
    LONGEST_SHOWN,
    NUMBER,
    TEXT,
    Reading,
    fold,
    read,
    shortened,
)
from spotlight.evaluation.types import WHOLE, Criterion, Scale

EQUAL, NOT_EQUAL = "=", "!="
ABOVE, AT_LEAST, BELOW, AT_MOST, BETWEEN = ">", ">=", "<", "<=", "between"
IN, CONTAINS, MATCHES = "in", "contains", "matches"

# What an operator may compare.
OPERATORS: dict[str, tuple[str, ...]] = {
    TEXT: (EQUAL, NOT_EQUAL, IN, CONTAINS, MATCHES),
    NUMBER: (EQUAL, NOT_EQUAL, ABOVE, AT_LEAST, BELOW, AT_MOST, BETWEEN, IN),
    BOOLEAN: (EQUAL, NOT_EQUAL),
    ENUM: (EQUAL, NOT_EQUAL, IN),
    DATE: (EQUAL, NOT_EQUAL, ABOVE, AT_LEAST, BELOW, AT_MOST, BETWEEN, IN),
}
LONGEST_PATTERN = 500
PATTERN_MEMORY = 1 << 20
MOST_SHOWN_ELEMENTS = 5
# What is not met earns less than the whole, however near it is; at a bound that is excluded, and beside it, this much.
_ALMOST = WHOLE - 1
_EXCLUDED = 9_900

# From a value for comparison, and the same for people, to credit in ten-thousandths.
Compare = Callable[[Any, Any], int]


class Comparison:
    """What one criterion asks of values, compiled; `compare` is the credit of a single one."""

    __slots__ = ("_is_negative", "_span", "compare")

    def __init__(self, *, field_type: str, operator: str, value: Any, scale: Scale) -> None:
        """Raises ValueError when the value is not of the shape that `check_criterion` gives."""
        if operator not in OPERATORS.get(field_type, ()):
            raise ValueError(f"“{operator}” does not compare a field of type {field_type}.")
        self._is_negative = operator == NOT_EQUAL
        self.compare, self._span = _compiled(field_type, operator, value, scale)

    def credit(self, reading: Reading) -> tuple[int, Any]:
        """Credit in ten-thousandths with the value that earns or costs it, of a reading that has values.

        Of several values the best one counts; nothing may be the one that is not wanted.
        """
        values, shown = reading.values, reading.shown
        if len(values) == 1:
            credit = self.compare(values[0], shown[0])
            return credit, self._part(shown[0], credit)
        earned = list(map(self.compare, values, shown))
        credit = min(earned) if self._is_negative else max(earned)
        if bool(credit) is self._is_negative:
            # Nothing is wanted among them, or nothing unwanted.
            parts = [shortened(each) for each in shown[:MOST_SHOWN_ELEMENTS]]
            return credit, [*parts, "…"] if len(shown) > MOST_SHOWN_ELEMENTS else parts
        return credit, self._part(shown[earned.index(credit)], credit)

    def _part(self, shown: Any, credit: int) -> Any:
        """A short value whole, of a long text the part that was looked for."""
        if not isinstance(shown, str) or len(shown) <= LONGEST_SHOWN:
            return shown
        start, end = self._span(shown) if credit and self._span else (0, 0)
        lead = max(0, min(start - (LONGEST_SHOWN - (end - start)) // 2, start))
        if not lead:
            return shortened(shown)
        return f"…{shortened(shown[lead:].lstrip(), LONGEST_SHOWN - 1)}"


def comparison_of(criterion: Criterion, scale: Scale) -> Comparison:
    """The comparison of a criterion, compiled once for all that ask the same."""
    try:
        key = json.dumps(criterion.value, sort_keys=True)
        return _comparison(criterion.field_type, criterion.operator, key, scale)
    except ValueError as refused:
        raise ValueError(f"Criterion {criterion.criterion_id} ({criterion.field_name}): {refused}") from None


@lru_cache(maxsize=2_048)
def _comparison(field_type: str, operator: str, value: str, scale: Scale) -> Comparison:
    return Comparison(field_type=field_type, operator=operator, value=json.loads(value), scale=scale)


def pattern_of(text: str) -> Any:
    """A pattern that searches without regard to case, in time linear in the text. Raises ValueError."""
    if len(text) > LONGEST_PATTERN:
        raise ValueError(f"A pattern has at most {LONGEST_PATTERN} characters.")
    options = re2.Options()
    options.case_sensitive = False
    options.log_errors = False
    options.max_mem = PATTERN_MEMORY
    try:
        return re2.compile(text, options)
    except (re2.error, UnicodeEncodeError) as refused:
        reason = refused.args[0].decode("utf-8", "replace") if isinstance(refused, re2.error) else "it is not Unicode"
        raise ValueError(f"The pattern does not compile: {reason}.") from None


def _compiled(
    field_type: str, operator: str, value: Any, scale: Scale
) -> tuple[Compare, Callable[[str], tuple[int, int]] | None]:
    """The comparison, and for parts of texts where they are found."""
    if operator == MATCHES:
        pattern = pattern_of(str(value))
        return lambda _, shown: WHOLE if pattern.search(shown) else 0, lambda shown: pattern.search(shown).span()
    if operator == CONTAINS:
        part = fold(str(value))
        return lambda read_value, _: WHOLE if part in read_value else 0, lambda shown: _place(shown, part)
    if operator == BETWEEN:
        low, high = (_one(field_type, bound) for bound in _bounds(value))
        return _between(low, high, *_reaches(field_type, low, high, scale)), None
    if operator == IN:
        wanted = frozenset(_one(field_type, each) for each in _listed(value))
        return lambda read_value, _: WHOLE if read_value in wanted else 0, None
    bound = _one(field_type, value)
    if operator == EQUAL:
        return lambda read_value, _: WHOLE if read_value == bound else 0, None
    if operator == NOT_EQUAL:
        return lambda read_value, _: 0 if read_value == bound else WHOLE, None
    reach, _ = _reaches(field_type, bound, bound, scale)
    return _to_bound(bound, reach, is_floor=operator in (ABOVE, AT_LEAST), is_strict=operator in (ABOVE, BELOW)), None


def _one(field_type: str, value: Any) -> Any:
    """What a criterion's value is compared as."""
    reading = read(field_type, value)
    if len(reading.values) != 1:
        raise ValueError(f"{reading.problem or 'It needs one value'}.")
    return reading.values[0]


def _bounds(value: Any) -> tuple[Any, Any]:
    if not isinstance(value, list | tuple) or len(value) != 2:
        raise ValueError("“between” needs two bounds.")
    return value[0], value[1]


def _listed(value: Any) -> list[Any]:
    if not isinstance(value, list | tuple) or not value:
        raise ValueError("“in” needs a list of values.")
    return list(value)


def _reaches(field_type: str, low: float, high: float, scale: Scale) -> tuple[float, float]:
    """How far below the low bound and above the high one something is still earned."""
    if field_type == DATE:
        return float(scale.date_margin_days), float(scale.date_margin_days)
    return _reach(low, high - low, scale), _reach(high, high - low, scale)


def _reach(bound: float, width: float, scale: Scale) -> float:
    # The smallest numbers that there are come to nothing by a margin below 1.
    return scale.number_margin * (max(abs(bound), width) or 1.0) or 1.0


def _to_bound(bound: float, reach: float, *, is_floor: bool, is_strict: bool) -> Compare:
    most = _EXCLUDED if is_strict else _ALMOST

    def compare(value: float, _: Any) -> int:
        gap = bound - value if is_floor else value - bound
        if gap < 0 or (gap == 0 and not is_strict):
            return WHOLE
        return _partial(gap, reach, most)

    return compare


def _between(low: float, high: float, reach_below: float, reach_above: float) -> Compare:
    def compare(value: float, _: Any) -> int:
        if value < low:
            return _partial(low - value, reach_below, _ALMOST)
        if value > high:
            return _partial(value - high, reach_above, _ALMOST)
        return WHOLE

    return compare


def _partial(gap: float, reach: float, most: int) -> int:
    """Credit falls evenly with the distance, to nothing at the reach."""
    if gap >= reach:
        return 0
    return min(most, round((1 - gap / reach) * WHOLE))


def _place(text: str, part: str) -> tuple[int, int]:
    """About where a folded part stands in a text: folding may move it by a few characters."""
    start = max(0, text.casefold().find(part))
    return start, min(len(text), start + len(part))
