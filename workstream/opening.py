"""From a stored business calendar to arithmetic in its open time."""

from __future__ import annotations

import functools

from workstream.business_time import BusinessTime, OpenHours, parse_windows
from workstream.models import BusinessCalendar

ALWAYS_OPEN = BusinessTime(None)
_KEPT = 512


def business_time_of(calendar: BusinessCalendar | None) -> BusinessTime:
    """The open time of a calendar, or of the whole clock without one.

    What is laid out of a calendar is kept under its id, its version and the moment of that edit; an edit of its closing
    days is one of it, and one that was rolled back has another moment, so nothing stale is used.
    """
    if calendar is None:
        return ALWAYS_OPEN
    return _kept(_Key(calendar))


class _Key:
    """A calendar that is the same when id, version and moment of the edit are."""

    def __init__(self, calendar: BusinessCalendar) -> None:
        self.calendar = calendar
        self.identity = (calendar.pk, calendar.version, calendar.updated_at)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Key) and self.identity == other.identity

    def __hash__(self) -> int:
        return hash(self.identity)


@functools.lru_cache(maxsize=_KEPT)
def _kept(key: _Key) -> BusinessTime:
    return BusinessTime(hours_of(key.calendar))


def hours_of(calendar: BusinessCalendar) -> OpenHours:
    """What a stored calendar says; its closing days are read."""
    return OpenHours(
        timezone=calendar.timezone,
        windows=parse_windows(calendar.windows),
        country=calendar.country,
        subdivision=calendar.subdivision,
        closing_days=frozenset(calendar.closing_days.values_list("date", flat=True)),
    )
