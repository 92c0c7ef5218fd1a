"""Time during which somebody is there: opening windows in a time zone, less public holidays and closing days.

A calendar is open whenever the clock on its wall shows a time inside a window. So a window that spans the hour left out
in spring is an hour shorter that day, one that spans the hour that comes twice is an hour longer, one inside the hour
left out does not open at all, and one inside the repeated hour opens twice.

The open stretches of one year are laid out once, in microseconds of UTC and with the sum of all before each; adding and
measuring are then a binary search at either end and one look per year in between, however long the span.
"""

from __future__ import annotations

import functools
from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from itertools import accumulate, pairwise
from typing import Any
from zoneinfo import ZoneInfo

import holidays

WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
MINUTES_A_DAY = 24 * 60
# How far ahead open time is looked for.
HORIZON_YEARS = 100

_SECOND = 1_000_000
_MINUTE = 60 * _SECOND
_DAY = MINUTES_A_DAY * _MINUTE
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_EPOCH_DAY = date(1970, 1, 1).toordinal()
# No zone has changed its offset twice within this time since 1900, so none is missed between two looks.
_LOOK = 24 * 60 * 60
_FIRST_YEAR, _LAST_YEAR = 2, 9998

# From and to as minutes of the local day, `to` exclusive; 1440 is midnight at its end.
Window = tuple[int, int]


class NeverOpen(ValueError):
    """A calendar has less open time within the horizon than was asked for."""


class MalformedWindows(ValueError):
    """Opening windows that cannot be; the text is a sentence that says which and why."""


@dataclass(frozen=True)
class OpenHours:
    """When somebody is there.

    `windows` holds one tuple of windows per weekday, Monday first; they may touch. `country` and `subdivision` are ISO
    codes whose public holidays are closed all day ("" for none), as are `closing_days`.
    """

    timezone: str
    windows: tuple[tuple[Window, ...], ...]
    country: str = ""
    subdivision: str = ""
    closing_days: frozenset[date] = frozenset()

    def windows_of(self, day: date) -> tuple[Window, ...]:
        """The windows of one local date; none on a holiday or a closing day."""
        windows = self.windows[day.weekday()]
        if not windows or day in self.closing_days:
            return ()
        if self.country and day in holidays_of(self.country, self.subdivision, day.year):
            return ()
        return windows


@dataclass(frozen=True)
class _Stretches:
    """The open stretches of one UTC year in order and apart, each with the open time before it."""

    starts: tuple[int, ...]
    ends: tuple[int, ...]
    before: tuple[int, ...]
    total: int

    def passed(self, at: int) -> int:
        """Open time of this year before an instant."""
        place = bisect_right(self.starts, at) - 1
        if place < 0:
            return 0
        return self.before[place] + min(at, self.ends[place]) - self.starts[place]

    def reached(self, amount: int) -> int:
        """The first instant before which this much of the year's open time lies; the year has as much."""
        place = bisect_left(self.before, amount) - 1
        return self.starts[place] + amount - self.before[place]


@dataclass(frozen=True)
class BusinessTime:
    """Arithmetic in open time; without hours, in time as such. Instants are aware, and UTC when returned."""

    hours: OpenHours | None = None
    _years: dict[int, _Stretches] = field(default_factory=dict, init=False, repr=False, compare=False)

    def add(self, start: datetime, seconds: float) -> datetime:
        """The first instant at which that much open time has passed since `start`; `start` itself for nothing.

        Raises NeverOpen when the calendar has less within the next hundred years.
        """
        wanted = round(seconds * _SECOND)
        if wanted <= 0:
            return start
        begin = _instant(start)
        if self.hours is None:
            return _moment(begin + wanted)
        year = _year_of(begin)
        wanted += self._year(year).passed(begin)
        for each in range(year, min(year + HORIZON_YEARS, _LAST_YEAR) + 1):
            stretches = self._year(each)
            if wanted <= stretches.total:
                return _moment(stretches.reached(wanted))
            wanted -= stretches.total
        raise NeverOpen(f"This calendar does not open for {seconds / 3600:g} hours in the next {HORIZON_YEARS} years.")

    def elapsed(self, start: datetime, end: datetime) -> float:
        """Seconds of open time between two instants; nothing when the second is not after the first."""
        begin, finish = _instant(start), _instant(end)
        if finish <= begin:
            return 0.0
        if self.hours is None:
            return (finish - begin) / _SECOND
        first, last = _year_of(begin), _year_of(finish)
        open_time = self._year(last).passed(finish) - self._year(first).passed(begin)
        open_time += sum(self._year(each).total for each in range(first, last))
        return open_time / _SECOND

    def is_open(self, at: datetime) -> bool:
        """Whether a window is open at an instant; at its very end it is closed."""
        if self.hours is None:
            return True
        instant = _instant(at)
        stretches = self._year(_year_of(instant))
        place = bisect_right(stretches.starts, instant) - 1
        return place >= 0 and instant < stretches.ends[place]

    def open_stretches(self, start: datetime, end: datetime) -> Iterator[tuple[datetime, datetime]]:
        """The times between two instants at which it is open, in order, cut to the span; parted at New Year of UTC."""
        begin, finish = _instant(start), _instant(end)
        if self.hours is None:
            yield _moment(begin), _moment(finish)
            return
        for year in range(_year_of(begin), _year_of(finish) + 1):
            stretches = self._year(year)
            for place in range(bisect_right(stretches.ends, begin), bisect_left(stretches.starts, finish)):
                yield _moment(max(stretches.starts[place], begin)), _moment(min(stretches.ends[place], finish))

    def _year(self, year: int) -> _Stretches:
        found = self._years.get(year)
        if found is None:
            assert self.hours is not None
            found = self._years[year] = _lay_out(self.hours, year)
        return found


def parse_windows(document: Mapping[str, Any]) -> tuple[tuple[Window, ...], ...]:
    """Windows per weekday from `{"mon": [["09:00", "17:00"]], …}`; a missing day is closed, "24:00" is midnight.

    Raises MalformedWindows on an unknown day, something that is no time, a window that ends before it begins, or two
    that overlap.
    """
    unknown = [str(day) for day in document if day not in WEEKDAYS]
    if unknown:
        raise MalformedWindows(f"'{unknown[0]}' is no weekday; the days are {', '.join(WEEKDAYS)}.")
    return tuple(_parse_day(day, document.get(day) or []) for day in WEEKDAYS)


@functools.lru_cache(maxsize=4096)
def holidays_of(country: str, subdivision: str, year: int) -> frozenset[date]:
    """The public holidays of a country, or of a part of it, in one year; observed days with them.

    Raises NotImplementedError for a country or subdivision that is not known.
    """
    return frozenset(holidays.country_holidays(country, subdiv=subdivision or None, years=year))


@functools.cache
def places() -> Mapping[str, tuple[str, ...]]:
    """The countries whose public holidays are known, each with its subdivisions that have some of their own."""
    return {
        country: tuple(parts) for country, parts in holidays.list_supported_countries(include_aliases=False).items()
    }


def _parse_day(day: str, pairs: Any) -> tuple[Window, ...]:
    if not isinstance(pairs, list | tuple):
        raise MalformedWindows(f"Give {day} as a list of windows, each [from, to].")
    windows = []
    for pair in pairs:
        if not isinstance(pair, list | tuple) or len(pair) != 2:
            raise MalformedWindows(f"Give each window of {day} as [from, to], for example ['09:00', '17:00'].")
        begin, end = (_parse_time(day, value) for value in pair)
        if end <= begin:
            raise MalformedWindows(
                f"The window {pair[0]}–{pair[1]} of {day} ends before it begins; "
                "one that runs past midnight is two, the first until 24:00."
            )
        windows.append((begin, end))
    windows.sort()
    for earlier, later in pairwise(windows):
        if later[0] < earlier[1]:
            raise MalformedWindows(f"Two windows of {day} overlap; join them, or end the first before {_clock(later)}.")
    return tuple(windows)


def _parse_time(day: str, value: Any) -> int:
    hours, colon, minutes = value.partition(":") if isinstance(value, str) else ("", "", "")
    if colon and len(hours) == len(minutes) == 2 and (hours + minutes).isascii() and (hours + minutes).isdigit():
        minute = int(hours) * 60 + int(minutes)
        if int(minutes) < 60 and minute <= MINUTES_A_DAY:
            return minute
    raise MalformedWindows(f"'{value}' of {day} is no time; write HH:MM between 00:00 and 24:00.")


def _clock(window: Window) -> str:
    return f"{window[0] // 60:02d}:{window[0] % 60:02d}"


def _lay_out(hours: OpenHours, year: int) -> _Stretches:
    """The open stretches of a UTC year: each window of each local date by each offset, cut to when that is in force."""
    found: list[tuple[int, int]] = []
    for since, until, offset in _offsets(hours.timezone, year):
        first = (since + offset) // _DAY + _EPOCH_DAY
        last = (until + offset - 1) // _DAY + _EPOCH_DAY
        for ordinal in range(first, last + 1):
            midnight = (ordinal - _EPOCH_DAY) * _DAY - offset
            for begin, end in hours.windows_of(date.fromordinal(ordinal)):
                opened, closed = max(midnight + begin * _MINUTE, since), min(midnight + end * _MINUTE, until)
                if opened < closed:
                    found.append((opened, closed))
    joined: list[tuple[int, int]] = []
    for opened, closed in sorted(found):
        if joined and opened <= joined[-1][1]:
            joined[-1] = joined[-1][0], max(closed, joined[-1][1])
        else:
            joined.append((opened, closed))
    *before, total = accumulate((closed - opened for opened, closed in joined), initial=0)
    return _Stretches(
        tuple(opened for opened, _ in joined), tuple(closed for _, closed in joined), tuple(before), total
    )


@functools.lru_cache(maxsize=1024)
def _offsets(timezone: str, year: int) -> tuple[tuple[int, int, int], ...]:
    """The offsets of a zone in a UTC year as (since, until, offset), in order and without a gap, in microseconds."""
    zone = ZoneInfo(timezone)

    def offset_at(second: int) -> int:
        shift = (_EPOCH + timedelta(seconds=second)).astimezone(zone).utcoffset()
        return (shift or timedelta()) // timedelta(microseconds=1)

    begin, end = (_instant(datetime(each, 1, 1, tzinfo=UTC)) // _SECOND for each in (year, year + 1))
    changes = [(begin, offset_at(begin))]
    for look in (*range(begin + _LOOK, end, _LOOK), end - 1):
        offset = offset_at(look)
        if offset != changes[-1][1]:
            seconds = range(look - _LOOK, look)
            changes.append((seconds.start + bisect_left(seconds, 1, key=lambda at: offset_at(at) == offset), offset))
    ends = [since for since, _ in changes[1:]] + [end]
    return tuple(
        (since * _SECOND, until * _SECOND, offset) for (since, offset), until in zip(changes, ends, strict=True)
    )


def _year_of(instant: int) -> int:
    year = _moment(instant).year
    if not _FIRST_YEAR <= year <= _LAST_YEAR:
        raise NeverOpen(f"The year {year} is outside every calendar.")
    return year


def _instant(at: datetime) -> int:
    """Microseconds since 1970. Through UTC, because Python subtracts two times of one zone as the wall shows them."""
    return (at - _EPOCH) // timedelta(microseconds=1)


def _moment(instant: int) -> datetime:
    return _EPOCH + timedelta(microseconds=instant)
