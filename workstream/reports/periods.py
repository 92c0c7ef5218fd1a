"""Ranges of days as reports are asked for them: whole days of the organisation's own time zone."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from flowledger.errors import InvalidInput
from flowledger.tenancy.models import Organization

_EARLIEST, _LATEST = date(1990, 1, 1), date(2200, 1, 1)


@dataclass(frozen=True)
class Period:
    """From the first instant of `first` to the first instant after `last`, in the zone."""

    first: date
    last: date
    timezone: str

    @property
    def since(self) -> datetime:
        return self._midnight(self.first)

    @property
    def until(self) -> datetime:
        return self._midnight(self.last + timedelta(days=1))

    def before(self) -> Period:
        """The same number of days just before."""
        days = self.last - self.first
        last = self.first - timedelta(days=1)
        return Period(first=last - days, last=last, timezone=self.timezone)

    def _midnight(self, day: date) -> datetime:
        return datetime.combine(day, time.min, ZoneInfo(self.timezone))


def local_day(org: Organization, *, at: datetime) -> date:
    """The date that it is where the organisation is."""
    return at.astimezone(ZoneInfo(org.timezone)).date()


def last_days(org: Organization, days: int, *, at: datetime) -> Period:
    """So many days, today among them."""
    last = local_day(org, at=at)
    return Period(first=last - timedelta(days=days - 1), last=last, timezone=org.timezone)


def period_of(org: Organization, first: date | None, last: date | None, *, months: int, at: datetime) -> Period:
    """The range that was asked for; without a beginning this month and the `months` - 1 before, without an end today.

    Raises InvalidInput for an end before the beginning and for years that nobody means.
    """
    last = last or local_day(org, at=at)
    if first is None:
        month = last.year * 12 + last.month - months
        first = date(month // 12, month % 12 + 1, 1)
    for name, day in (("from", first), ("to", last)):
        if not _EARLIEST <= day <= _LATEST:
            raise InvalidInput(
                f"{name} must lie between {_EARLIEST} and {_LATEST}.", fields={name: ["This year is out of range."]}
            )
    if last < first:
        raise InvalidInput("to must not lie before from.", fields={"to": [f"This must be {first} or later."]})
    return Period(first=first, last=last, timezone=org.timezone)
