"""How criteria, values and points are put into words: short, in plain English, and never rounded to something else."""

from __future__ import annotations

from decimal import ROUND_FLOOR, Decimal
from typing import Any

from spotlight.evaluation.comparing import (
    ABOVE,
    AT_LEAST,
    AT_MOST,
    BELOW,
    BETWEEN,
    CONTAINS,
    EQUAL,
    IN,
    MATCHES,
    NOT_EQUAL,
)
from spotlight.evaluation.reading import DATE, NUMBER, problem_of, read, shortened
from spotlight.evaluation.types import Component, Criterion

MINUS = "−"
MOST_LISTED = 5
# Below this numbers stand as they are: a year, a head count.
SHORT_FROM = 10_000


def label_of(criterion: Criterion) -> str:
    """The field as it stands inside a sentence: "annual revenue", "CRM in use"."""
    label = criterion.label or criterion.field_name.replace("_", " ")
    is_word = len(label) < 2 or not label[1].isupper()
    return label[:1].lower() + label[1:] if is_word else label


def sentence_of(criterion: Criterion, component: Component, points: Decimal) -> str:
    """What a criterion made of the facts: "+12 industry match: Financial Services"."""
    return f"{points_text(points)} {label_of(criterion)} {_finding(criterion, component)}"


def wish_of(criterion: Criterion) -> str:
    """What would meet the criterion, after "If budget": "were 100k or more"."""
    operator, value = criterion.operator, criterion.value
    if operator == BETWEEN:
        low, high = (value_text(criterion.field_type, each) for each in value)
        return f"were between {low} and {high}"
    if operator == IN:
        return (
            f"were {range_text(criterion)}" if len(value) > 1 else f"were {value_text(criterion.field_type, value[0])}"
        )
    written = value_text(criterion.field_type, value)
    after, before = ("later", "earlier") if criterion.field_type == DATE else ("more", "less")
    return {
        EQUAL: f"were {written}",
        NOT_EQUAL: f"were not {written}",
        AT_LEAST: f"were {written} or {after}",
        AT_MOST: f"were {written} or {before}",
        ABOVE: f"were {'after' if criterion.field_type == DATE else 'more than'} {written}",
        BELOW: f"were {'before' if criterion.field_type == DATE else 'less than'} {written}",
        CONTAINS: f"contained “{written}”",
        MATCHES: f"matched “{written}”",
    }[operator]


def range_text(criterion: Criterion) -> str:
    """What is wanted: "100k+", "50k–200k", "one of Banking, Insurance"."""
    kind, operator, value = criterion.field_type, criterion.operator, criterion.value
    if operator == BETWEEN:
        low, high = (value_text(kind, each) for each in value)
        return f"{low} to {high}" if kind == DATE or low.startswith(MINUS) else f"{low}–{high}"
    if operator == IN:
        listed = ", ".join(value_text(kind, each) for each in value[:MOST_LISTED])
        more = f" and {len(value) - MOST_LISTED} more" if len(value) > MOST_LISTED else ""
        return f"one of {listed}{more}"
    written = value_text(kind, value)
    if kind == DATE:
        form = {AT_LEAST: "{} or later", ABOVE: "after {}", AT_MOST: "{} or earlier", BELOW: "before {}"}
    else:
        form = {AT_LEAST: "{}+", ABOVE: "over {}", AT_MOST: "up to {}", BELOW: "under {}"}
    texts = {NOT_EQUAL: "anything but {}", CONTAINS: "containing “{}”", MATCHES: "matching “{}”"}
    return {**form, **texts}.get(operator, "{}").replace("{}", written)


def value_text(field_type: str, value: Any) -> str:
    """A value, or several, as people write them."""
    if isinstance(value, list | tuple):
        return ", ".join(value_text(field_type, each) for each in value)
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int | float):
        return number_text(value)
    return str(shortened(str(value)))


def number_text(number: float) -> str:
    """50k, 1.2m, 99,999: as short as it is without a digit lost, to four decimals."""
    size = round(Decimal(str(abs(number))), 4)
    sign = MINUS if number < 0 and size else ""
    if size >= SHORT_FROM:
        for unit, times in (("bn", 10**9), ("m", 10**6), ("k", 10**3)):
            counted = size / times
            if counted >= 1 and counted == round(counted, 2):
                return f"{sign}{_plain(counted)}{unit}"
        return f"{sign}{_plain(size, ',')}"
    return f"{sign}{_plain(size)}"


def points_text(points: Decimal) -> str:
    """+12, −5, +2.5, 0; to two decimals, unless more are needed to show that there are any."""
    for places in (2, 7):
        size = round(abs(points), places)
        if size:
            return f"{MINUS if points < 0 else '+'}{_plain(size)}"
    return "0"


def share_text(share: Decimal) -> str:
    """0.85: to two decimals, rounded down so that no band seems to be reached, and to four where there were none."""
    floor = share.quantize(Decimal("0.01"), rounding=ROUND_FLOOR)
    return str(floor if floor or not share else share)


def percent_text(share: Decimal) -> str:
    """A share in per cent, without a digit lost."""
    return f"{_plain(share * 100)}%"


def _plain(number: Decimal, thousands: str = "") -> str:
    return f"{number.normalize():{thousands}f}"


def _finding(criterion: Criterion, component: Component) -> str:
    """Match, below range, no match or unknown, with the value seen and the range."""
    kind, operator, credit = criterion.field_type, criterion.operator, component.credit
    if credit is None:
        reason = f": {problem_of(kind, component.seen)}" if component.seen is not None else ""
        return f"unknown{reason}{' (required)' if criterion.required else ''}"
    seen, wanted = value_text(kind, component.seen), range_text(criterion)
    if operator in (AT_LEAST, ABOVE, AT_MOST, BELOW, BETWEEN):
        if credit == 1:
            return f"match: {seen} of {wanted}"
        nearly = f" ({percent_text(Decimal(str(credit)))} credit)" if credit else ""
        return f"{_side(criterion, component.seen)} range: {seen} of {wanted}{nearly}"
    if operator in (CONTAINS, MATCHES):
        verb = ("contains", "does not contain") if operator == CONTAINS else ("matches", "does not match")
        found = f"“{seen}” {verb[0 if credit else 1]} “{value_text(kind, criterion.value)}”"
        return f"match: {found}" if credit else f"no match: {found}"
    if operator == NOT_EQUAL:
        return f"match: {seen}, not {value_text(kind, criterion.value)}" if credit else f"excluded: {seen}"
    if credit:
        return f"match: {seen}, {wanted}" if operator == IN else f"match: {seen}"
    return f"no match: {seen}, not {wanted}"


def _side(criterion: Criterion, seen: Any) -> str:
    """On which side of the range the value seen lies, or the first of several."""
    values = read(criterion.field_type, seen).values
    bounds = read(criterion.field_type, criterion.value).values
    is_low = criterion.operator in (AT_LEAST, ABOVE) or (
        criterion.operator == BETWEEN and bool(values) and bool(bounds) and values[0] < bounds[0]
    )
    if criterion.field_type == NUMBER:
        return "below" if is_low else "above"
    return "before" if is_low else "after"
