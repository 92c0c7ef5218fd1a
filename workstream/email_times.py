"""When a notification goes out by email: at once, with the day's digest, or when the quiet hours are over. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from workstream.models.notifications import EmailMode


@dataclass(frozen=True)
class Wishes:
    """How somebody wants email. Quiet hours may pass midnight; from and to are both there or both not, and differ."""

    mode: EmailMode
    zone: ZoneInfo
    digest_time: time = time(8)
    quiet_from: time | None = None
    quiet_to: time | None = None


def next_email_at(wishes: Wishes, *, at: datetime) -> datetime | None:
    """The first moment from `at` on at which an email is welcome; None when it never is.

    A digest goes out at its time of day in the person's zone, later where that is in their quiet hours. A time that
    the clocks leave out in spring means the moment after the gap, one that comes twice in autumn the first.
    """
    if wishes.mode == EmailMode.OFF:
        return None
    if wishes.mode == EmailMode.DIGEST:
        at = _next(wishes.digest_time, wishes.zone, at=at)
    return after_quiet_hours(wishes, at=at)


def after_quiet_hours(wishes: Wishes, *, at: datetime) -> datetime:
    """`at`, or where it lies in quiet hours their end."""
    if wishes.quiet_from is None or wishes.quiet_to is None or not _is_quiet(wishes, at):
        return at
    # In autumn the wall clock may show a quiet time again just after the end.
    end = _next(wishes.quiet_to, wishes.zone, at=at + timedelta(microseconds=1))
    return after_quiet_hours(wishes, at=end) if _is_quiet(wishes, end) else end


def _is_quiet(wishes: Wishes, at: datetime) -> bool:
    begin, end = wishes.quiet_from, wishes.quiet_to
    assert begin is not None and end is not None  # noqa: PT018
    shown = at.astimezone(wishes.zone).time()
    return begin <= shown < end if begin < end else shown >= begin or shown < end


def _next(wanted: time, zone: ZoneInfo, *, at: datetime) -> datetime:
    """The first moment from `at` on at which the wall clock shows a time, or has just leapt over it."""
    today = at.astimezone(zone).date()
    days = (today + timedelta(days=number) for number in range(-1, 3))
    return min(moment for day in days for moment in _moments(day, wanted, zone) if moment >= at)


def _moments(day: date, wanted: time, zone: ZoneInfo) -> Iterator[datetime]:
    first, second = (datetime.combine(day, wanted, zone).replace(fold=fold).astimezone(UTC) for fold in (0, 1))
    if second < first:
        # Left out: the wall clock leaps from before it to after it, somewhere between the two readings.
        yield _leap(second, first, zone)
        return
    yield first
    if second > first:
        yield second


def _leap(before: datetime, after: datetime, zone: ZoneInfo) -> datetime:
    """The moment at which the zone changes its offset, by halving; changes fall on whole seconds."""
    offset = before.astimezone(zone).utcoffset()
    low, high = int(before.timestamp()), int(after.timestamp())
    while high - low > 1:
        middle = (low + high) // 2
        if datetime.fromtimestamp(middle, zone).utcoffset() == offset:
            low = middle
        else:
            high = middle
    return datetime.fromtimestamp(high, UTC)
