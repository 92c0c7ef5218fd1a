"""What a raw value means as text, number, yes or no, or date, in the spellings that signals and enrichment bring.

What cannot be read is no value and never an error: the reading then says why.
"""

from __future__ import annotations

import math
import re
import unicodedata
from collections.abc import Callable, Mapping
from datetime import date, datetime
from decimal import Decimal
from functools import lru_cache
from typing import Any, NamedTuple

from spotlight.evaluation.types import Fact
from workstream.intake.csv_values import NO, YES

TEXT, NUMBER, BOOLEAN, ENUM, DATE = "text", "number", "boolean", "enum", "date"

LONGEST_TEXT = 10_000
LONGEST_NUMBER = 60
LONGEST_SHOWN = 120
LONGEST_QUOTE = 40
MOST_ELEMENTS = 100
LARGEST = 1e18

_CURRENCY = re.compile(
    r"(?:us|ca|au|nz|hk|s)?\$|[€£¥₹]"
    r"|(?:(?<![a-z])|(?<=\d[kmb]))(?:usd|eur|euros?|gbp|chf|jpy|cad|aud|nzd|sek|nok|dkk|pln|czk|inr)(?![a-z])"
)
_TIMES = {
    **dict.fromkeys(("k", "tsd", "thousand"), 10**3),
    **dict.fromkeys(("m", "mn", "mio", "million", "millions"), 10**6),
    **dict.fromkeys(("b", "bn", "mrd", "billion", "billions"), 10**9),
}
_ONE_NUMBER = re.compile(
    r"([-+]?) *(\d(?:[\d.,'’ ]*\d)?|[.,]\d+)(?:e([-+]?\d{1,2}))? *"
    rf"({'|'.join(sorted(_TIMES, key=len, reverse=True))})?\.? *%?"
)
_SPACED = re.compile(r"\d{1,3}(?:[ '’]\d{3})+(?:[.,]\d+)?")
# Groups of three; of two before the last one, as in India.
_GROUPED = re.compile(r"\d{1,3}([.,])(?:\d{2,3}\1)*\d{3}")
_RANGE = re.compile(
    r"\d\.? *[a-z]{0,8} *(?:[-–—]|\.{2,3}|\b(?:to|bis|and|und|à|a)\b) *\d"
    r"|^[<>≤≥]|^(?:up to|over|under|above|below|at least|at most|more than|less than|from|min|max|ab|bis|über|unter)\b"
    r"|\d *[a-z]{0,8} *(?:\+|\bor (?:more|less)\b|\band (?:more|up)\b)"
)
_DATE = re.compile(r"(\d{4}-\d{2}-\d{2})(?:[T ](\d{2}:\d{2}(?::\d{2}(?:\.\d+)?)?) ?(?:Z|[-+]\d{2}(?::?\d{2})?)?)?")
_TWO_DATES = re.compile(r"\d{4}-\d{2}-\d{2}\D{1,5}\d{4}-\d{2}-\d{2}")


class Reading(NamedTuple):
    """The values that a raw one holds, for comparison and for people; without any, `problem` says why if there is why.

    Numbers are compared as float, dates as ordinals, texts folded.
    """

    values: tuple[Any, ...]
    shown: tuple[Any, ...]
    problem: str = ""


NOTHING = Reading((), ())
# A value for comparison with the same for people, or what is wrong with the raw one.
_Read = tuple[Any, Any] | str


def read(field_type: str, raw: Any) -> Reading:
    """The values of a raw one; a list holds the values of its elements, less those that cannot be read."""
    reader = _READERS[field_type]
    if not isinstance(raw, list | tuple):
        if is_blank(raw):
            return NOTHING
        found = reader(raw)
        return Reading((), (), found) if isinstance(found, str) else Reading((found[0],), (found[1],))
    problem = ""
    pairs: list[tuple[Any, Any]] = []
    for element in raw[:MOST_ELEMENTS]:
        if is_blank(element):
            continue
        found = reader(element)
        if isinstance(found, str):
            problem = problem or found
        else:
            pairs.append(found)
    if not pairs:
        return Reading((), (), problem)
    values, shown = zip(*pairs, strict=True)
    return Reading(values, shown)


def is_blank(raw: Any) -> bool:
    """Whether a raw value says nothing: null, white space, or an empty list or object."""
    if raw is None:
        return True
    if isinstance(raw, str):
        return not raw or raw.isspace()
    return isinstance(raw, list | tuple | dict) and not raw


def fold(text: str) -> str:
    """As texts are compared: compatibility forms unified, without case, and with single spaces."""
    unified = text if text.isascii() else unicodedata.normalize("NFKC", text)
    return " ".join(unified.casefold().split())


@lru_cache(maxsize=8_192)
def fold_name(name: str) -> str:
    """As names of fields are compared: in lower case, with underscores for spaces and hyphens."""
    return "_".join(name[:LONGEST_TEXT].casefold().replace("-", " ").replace("_", " ").split())


def facts_from(data: Mapping[str, Any], source: str, rank: int = 0) -> dict[str, Fact]:
    """The facts of a plain mapping, without blank values; of two spellings of a name the first stands."""
    facts: dict[str, Fact] = {}
    for name, value in data.items():
        if not is_blank(value):
            facts.setdefault(fold_name(str(name)), Fact(value, source, rank))
    return facts


def shortened(value: Any, longest: int = LONGEST_SHOWN) -> Any:
    """A value for people in few characters; numbers, dates, yes and no stay."""
    if isinstance(value, str) and len(value) > longest:
        return f"{value[: longest - 1].rstrip()}…"
    return value


def raw_shown(raw: Any) -> Any:
    """A raw value that could not be read, in few characters."""
    if isinstance(raw, list | tuple):
        return [raw_shown(each) for each in raw[:3] if not isinstance(each, list | tuple)]
    if isinstance(raw, dict):
        return shortened(f"{{{', '.join(_clean(str(name)) for name in list(raw)[:5])}}}")
    if isinstance(raw, str):
        return shortened(_clean(raw))
    if isinstance(raw, bool) or (isinstance(raw, int | float) and abs(raw) <= LARGEST):
        return raw
    return shortened(_digits(raw)) if isinstance(raw, int) else shortened(str(raw))


def problem_of(field_type: str, shown: Any) -> str:
    """Why a value that was seen could not be read."""
    return read(field_type, shown).problem or f"{_quoted(shown)} cannot be read"


# --- readers, one for each type ---


def _read_text(raw: Any) -> _Read:
    if isinstance(raw, str):
        text = _clean(raw)
    elif isinstance(raw, bool):
        text = "yes" if raw else "no"
    elif isinstance(raw, date):
        text = raw.isoformat()
    elif isinstance(raw, int | float | Decimal):
        number = _read_number(raw)
        if isinstance(number, str):
            return number
        text = str(number[1])
    else:
        return f"{_quoted(raw)} is not a single value"
    folded = fold(text)
    return (folded, text) if folded else f"{_quoted(text)} is not a text"


def _read_number(raw: Any) -> _Read:
    if isinstance(raw, str):
        return _number_of(raw)
    if isinstance(raw, bool) or not isinstance(raw, int | float | Decimal):
        return f"{_quoted(raw)} is not a number"
    if isinstance(raw, float | Decimal) and not math.isfinite(raw):
        return f"{_quoted(raw)} is not a number"
    # Compared before it is made a float: a JSON integer may have any length.
    if not -LARGEST <= raw <= LARGEST:
        return f"{_quoted(raw)} is too large a number"
    value = float(raw)
    whole = int(value)
    return value, whole if whole == value else value


def _number_of(text: str) -> _Read:
    """Of a single separator before three digits people mean thousands, unless a zero or many digits stand before it."""
    quoted = f"{_quoted(text)} is not a number"
    plain = " ".join(unicodedata.normalize("NFKC", text[: LONGEST_NUMBER + 1]).casefold().replace("−", "-").split())
    if len(plain) > LONGEST_NUMBER:
        return quoted
    plain = _CURRENCY.sub("", plain).strip()
    match = _ONE_NUMBER.fullmatch(plain)
    if match is None:
        is_range = _RANGE.search(plain) is not None and _DATE.match(plain) is None
        return f"{_quoted(text)} is a range" if is_range else quoted
    sign, digits, exponent, unit = match.groups()
    bare = _bare(digits, has_unit=bool(unit))
    if bare is None:
        return quoted
    if not bare:
        return f"{_quoted(text)} can be read as two numbers"
    value = Decimal(f"{bare}e{exponent or 0}") * _TIMES.get(unit or "", 1)
    return _read_number(-value if sign == "-" else value)


def _bare(digits: str, *, has_unit: bool) -> str | None:
    """The digits with at most a decimal point; None if that is no number, empty if it may be two."""
    if not digits.replace(".", "").replace(",", "").isdigit():
        if _SPACED.fullmatch(digits) is None:
            return None
        return re.sub(r"[ '’]", "", digits).replace(",", ".")
    last = max(digits.rfind("."), digits.rfind(","))
    if last < 0:
        return digits
    whole, mark, rest = digits[:last], digits[last], digits[last + 1 :]
    if "." in whole or "," in whole:
        if mark in whole:
            return re.sub(r"[.,]", "", digits) if _GROUPED.fullmatch(digits) else None
        return f"{re.sub(r'[.,]', '', whole)}.{rest}" if _GROUPED.fullmatch(whole) else None
    if len(rest) == 3 and 1 <= len(whole) <= 3 and whole.strip("0"):
        return "" if has_unit else whole + rest
    return f"{whole or '0'}.{rest}"


def _read_boolean(raw: Any) -> _Read:
    if isinstance(raw, bool):
        return raw, raw
    word = fold(raw) if isinstance(raw, str) else ""
    if word in YES or (not isinstance(raw, str) and _is_number(raw, 1)):
        return True, True
    if word in NO or (not isinstance(raw, str) and _is_number(raw, 0)):
        return False, False
    return f"{_quoted(raw)} is neither yes nor no"


def _is_number(raw: Any, value: int) -> bool:
    return isinstance(raw, int | float | Decimal) and raw == value


def _read_date(raw: Any) -> _Read:
    """The date as it is written: a moment counts for the day that it names in its own zone."""
    if isinstance(raw, date):
        day = raw.date() if isinstance(raw, datetime) else raw
        return day.toordinal(), day.isoformat()
    text = raw.strip() if isinstance(raw, str) else ""
    match = _DATE.fullmatch(text)
    if match is not None:
        try:
            day = datetime.fromisoformat(f"{match[1]}T{match[2] or '00:00'}").date()
        except ValueError:
            return f"{_quoted(raw)} is not a day of the calendar"
        return day.toordinal(), day.isoformat()
    if _TWO_DATES.search(text[:LONGEST_NUMBER]):
        return f"{_quoted(raw)} is a range"
    return f"{_quoted(raw)} is not a date such as 2026-03-31"


_READERS: dict[str, Callable[[Any], _Read]] = {
    TEXT: _read_text,
    ENUM: _read_text,
    NUMBER: _read_number,
    BOOLEAN: _read_boolean,
    DATE: _read_date,
}


def _clean(text: str) -> str:
    """Without what neither the database nor UTF-8 takes: null characters and halves of surrogate pairs."""
    cut = text[:LONGEST_TEXT]
    if not cut.isascii():
        cut = cut.encode("utf-8", "replace").decode("utf-8")
    return cut.replace("\x00", "").strip()


def _digits(raw: int) -> str:
    """A huge integer by its size: Python refuses to write one of more than 4,300 digits."""
    return f"{'-' if raw < 0 else ''}1e{math.floor(raw.bit_length() * math.log10(2))}"


def _quoted(raw: Any) -> str:
    shown = raw_shown(raw)
    if isinstance(shown, bool):
        shown = "yes" if shown else "no"
    if isinstance(shown, list):
        shown = ", ".join(str(each) for each in shown)
    return f"“{shortened(str(shown), LONGEST_QUOTE)}”"
