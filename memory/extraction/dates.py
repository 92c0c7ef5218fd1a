"""Days and periods that a sentence names."""

from __future__ import annotations

import datetime
import re

_MONTHS = {
    name: number
    for number, names in enumerate(
        (
            ("january", "jan"),
            ("february", "feb"),
            ("march", "mar"),
            ("april", "apr"),
            ("may",),
            ("june", "jun"),
            ("july", "jul"),
            ("august", "aug"),
            ("september", "sept", "sep"),
            ("october", "oct"),
            ("november", "nov"),
            ("december", "dec"),
        ),
        start=1,
    )
    for name in names
}
# `may` and `march` are words, too.
_CLEAR = "january|february|april|june|july|august|september|october|november|december"
_LONG = f"{_CLEAR}|may|march"
_ANY = f"{_LONG}|jan|feb|mar|apr|jun|jul|aug|sept|sep|oct|nov|dec"
_DAY = r"(?P<day>[0-3]?\d)(?:st|nd|rd|th)?"
_YEAR = r"(?P<year>(?:19|20)\d\d)"
_CERTAIN = (
    re.compile(rf"(?<![\d-]){_YEAR}-(?P<number>[01]\d)-(?P<day>[0-3]\d)(?![\d-])"),
    re.compile(rf"\b{_DAY}(?:\sof)?\s(?P<month>{_ANY})\b\.?(?:,?\s{_YEAR})?"),
    re.compile(rf"\b(?P<month>{_ANY})\b\.?\s{_DAY}\b(?!\s?%|[:.]\d|\d)(?:,?\s{_YEAR})?"),
    re.compile(rf"(?<![\d./-])(?P<day>[0-3]?\d)\.(?P<number>[01]?\d)\.{_YEAR}(?!\d)"),
)
_SLASHED = re.compile(r"(?<![\d./])[0-3]?\d/[0-3]?\d/(?:20)?\d\d(?![\d/])")
_BEFORE_MONTH = (
    "(?:in|by|before|until|till|from|since|during|early|late|mid|next|this|end of|start of|beginning of|for|through|to"
    "|after|as of|of|around)"
)
_WEEKDAY = r"(?:monday|tuesday|wednesday|thursday|friday|saturday|sunday)"
_PERIODS = (
    # Months need a word before them or a year behind.
    rf"\b{_BEFORE_MONTH}[\s-](?:(?:early|late|mid|end of)[\s-])?(?:{_CLEAR})\b",
    rf"\b{_BEFORE_MONTH}[\s-](?:(?:early|late|mid|end of)[\s-])?(?:may|march)\b(?!\s(?:be|have|i|we|not))",
    rf"\b(?:{_LONG})\s(?:19|20)\d\d\b",
    rf"\b(?:on|by|next|this|until|till|before|from|coming|due|for|after|to)\s(?:next |this |coming )?{_WEEKDAY}\b(?!s)",
    rf"^{_WEEKDAY}\b(?!s)",
    r"\bq[1-4](?:[ /'-]?(?:20)?\d\d)?\b",
    (
        r"\b(?:first|second|third|fourth|1st|2nd|3rd|4th|last|next|this|current) (?:quarter|half[- ]year"
        r"|half of (?:the year|20\d\d)|fiscal year|financial year)\b"
    ),
    (
        r"\b(?:by|at|before|until|till|around|from|near|towards?|after) (?:the )?(?:very )?(?:end|close|start"
        r"|beginning|middle) of (?:the |this |next )?(?:week|month|quarter|year|fiscal year|financial year|h[12]"
        r"|20\d\d)\b"
    ),
    r"\b(?:end|start|beginning) of (?:the )?(?:month|quarter|year|week)\b|\b(?:month|quarter|year)[ -]end\b",
    (
        r"\b(?:by|before|until|from|in|within|over|after|during) (?:the )?next (?:week|month|quarter|year|spring"
        r"|summer|autumn|fall|winter)\b"
    ),
    r"\bnext (?:week|month|quarter|year)\b",
    (
        r"\b(?:in|within) (?:the next |about |roughly |another )?(?:\d{1,3}|a|one|two|three|four|five|six|seven|eight"
        r"|nine|ten|eleven|twelve|a few|a couple of) (?:business |working |calendar )?(?:days?|weeks?|months?"
        r"|years?)(?: time)?\b"
    ),
    r"\b(?:by|until|before|due|on|for) (?:tomorrow|today|tonight|noon)\b|\btomorrow\b",
    (
        r"\b(?:calendar )?week (?:[1-5]?\d)\b|\bkw ?\d\d\b|\bh[12] (?:of )?20\d\d\b|\b(?:by|in|before|until"
        r"|from) 20[2-4]\d\b"
    ),
    r"\b(?:in|by|before|until) (?:early|late|mid)[ -]20[2-4]\d\b",
)
_PERIOD = re.compile("|".join(_PERIODS))
# What recurs names no day.
_RECURS = re.compile(rf"\b(?:every|each|always|usually|never)\b[^.,;]{{0,25}}{_WEEKDAY}|{_WEEKDAY}s\b")


def names_date(seen: str) -> bool:
    """Whether a sentence (in lower case) names a day or a period of the calendar."""
    if _SLASHED.search(seen) or any(_parts(match) for pattern in _CERTAIN for match in pattern.finditer(seen)):
        return True
    return _PERIOD.search(_RECURS.sub(" ", seen)) is not None


def date_in(seen: str, *, written_on: datetime.date | None) -> datetime.date | None:
    """The one day that a sentence names for certain; without a year it is the next after the text was written."""
    days = {day for pattern in _CERTAIN for match in pattern.finditer(seen) if (day := _day(match, written_on))}
    return days.pop() if len(days) == 1 else None


def _parts(match: re.Match[str]) -> tuple[int, int] | None:
    """Month and day, when there is such a day."""
    groups = match.groupdict()
    month = int(groups["number"]) if groups.get("number") else _MONTHS[groups["month"]]
    day = int(groups["day"])
    return (month, day) if 1 <= month <= 12 and 1 <= day <= 31 else None


def _day(match: re.Match[str], written_on: datetime.date | None) -> datetime.date | None:
    parts = _parts(match)
    if parts is None:
        return None
    year = match.groupdict().get("year")
    try:
        if year:
            return datetime.date(int(year), *parts)
        if written_on is None:
            return None
        day = datetime.date(written_on.year, *parts)
        return day if day >= written_on else datetime.date(written_on.year + 1, *parts)
    except ValueError:
        return None
