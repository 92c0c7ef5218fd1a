"""When an email is welcome: quiet hours over midnight and over clock changes, digests, and never."""

from __future__ import annotations

from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from workstream.email_times import Wishes, next_email_at
from workstream.models.notifications import EmailMode

BERLIN = ZoneInfo("Europe/Berlin")
AT_ONCE, DIGEST, OFF = EmailMode.IMMEDIATE, EmailMode.DIGEST, EmailMode.OFF
NIGHT = {"quiet_from": time(22), "quiet_to": time(7)}
LUNCH = {"quiet_from": time(12), "quiet_to": time(13, 30)}


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def berlin(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=BERLIN).astimezone(UTC)


class TestAtOnce:
    @pytest.mark.parametrize(
        ("hours", "at", "expected"),
        [
            ({}, "2026-03-04 23:30", "2026-03-04 23:30"),
            (NIGHT, "2026-03-04 21:59", "2026-03-04 21:59"),
            (NIGHT, "2026-03-04 22:00", "2026-03-05 07:00"),
            (NIGHT, "2026-03-04 23:59", "2026-03-05 07:00"),
            (NIGHT, "2026-03-05 00:00", "2026-03-05 07:00"),
            (NIGHT, "2026-03-05 06:59", "2026-03-05 07:00"),
            (NIGHT, "2026-03-05 07:00", "2026-03-05 07:00"),
            (LUNCH, "2026-03-05 11:59", "2026-03-05 11:59"),
            (LUNCH, "2026-03-05 12:00", "2026-03-05 13:30"),
            (LUNCH, "2026-03-05 13:30", "2026-03-05 13:30"),
            # Over both changes of the clock the end is the wall's.
            (NIGHT, "2026-03-28 23:00", "2026-03-29 07:00"),
            (NIGHT, "2026-10-24 23:00", "2026-10-25 07:00"),
        ],
    )
    def test_unless_the_hours_are_quiet(self, hours, at, expected):
        assert next_email_at(Wishes(AT_ONCE, BERLIN, **hours), at=berlin(at)) == berlin(expected)

    def test_quiet_hours_are_those_of_the_persons_zone(self):
        at = utc("2026-03-04 22:30")

        assert next_email_at(Wishes(AT_ONCE, ZoneInfo("America/New_York"), **NIGHT), at=at) == at
        assert next_email_at(Wishes(AT_ONCE, ZoneInfo("Asia/Tokyo"), **NIGHT), at=at) == at
        assert next_email_at(Wishes(AT_ONCE, BERLIN, **NIGHT), at=at) == utc("2026-03-05 06:00")

    def test_an_end_that_spring_leaves_out_is_the_leap(self):
        wishes = Wishes(AT_ONCE, BERLIN, quiet_from=time(22), quiet_to=time(2, 30))

        assert next_email_at(wishes, at=berlin("2026-03-29 01:00")) == utc("2026-03-29 01:00")

    def test_an_end_that_comes_twice_in_autumn_is_the_last_of_them(self):
        """Between the two the wall clock shows a quiet time again; nobody is woken in between."""
        wishes = Wishes(AT_ONCE, BERLIN, quiet_from=time(22), quiet_to=time(2, 30))

        assert next_email_at(wishes, at=utc("2026-10-25 01:10")) == utc("2026-10-25 01:30")


class TestDigest:
    @pytest.mark.parametrize(
        ("at", "expected"),
        [
            ("2026-03-04 07:59", "2026-03-04 08:00"),
            ("2026-03-04 08:00", "2026-03-04 08:00"),
            ("2026-03-04 08:01", "2026-03-05 08:00"),
            ("2026-03-28 12:00", "2026-03-29 08:00"),
        ],
    )
    def test_goes_out_at_its_time_of_day(self, at, expected):
        assert next_email_at(Wishes(DIGEST, BERLIN), at=berlin(at)) == berlin(expected)

    def test_waits_for_the_end_of_quiet_hours(self):
        wishes = Wishes(DIGEST, BERLIN, digest_time=time(6), **NIGHT)

        assert next_email_at(wishes, at=berlin("2026-03-04 12:00")) == berlin("2026-03-05 07:00")

    def test_at_a_time_that_spring_leaves_out_goes_out_at_the_leap(self):
        wishes = Wishes(DIGEST, BERLIN, digest_time=time(2, 30))

        assert next_email_at(wishes, at=berlin("2026-03-28 12:00")) == utc("2026-03-29 01:00")

    def test_at_a_time_that_comes_twice_goes_out_at_the_first(self):
        wishes = Wishes(DIGEST, BERLIN, digest_time=time(2, 30))

        assert next_email_at(wishes, at=berlin("2026-10-24 12:00")) == utc("2026-10-25 00:30")


@pytest.mark.parametrize("hours", [{}, NIGHT])
def test_off_is_never(hours):
    assert next_email_at(Wishes(OFF, BERLIN, **hours), at=berlin("2026-03-04 12:00")) is None


ZONES = st.sampled_from(["UTC", "Europe/Berlin", "America/St_Johns", "Australia/Lord_Howe", "Asia/Kathmandu"])
TIMES = st.builds(time, st.integers(0, 23), st.sampled_from([0, 15, 30, 45]))


@settings(max_examples=150, deadline=None)
@given(
    zone=ZONES,
    hours=st.tuples(TIMES, TIMES).filter(lambda pair: pair[0] != pair[1]),
    at=st.datetimes(datetime(2025, 1, 1), datetime(2027, 12, 31)),
)
def test_an_email_comes_at_the_first_minute_that_is_not_quiet(zone, hours, at):
    """Against looking at the wall clock minute by minute."""
    wishes = Wishes(AT_ONCE, ZoneInfo(zone), quiet_from=hours[0], quiet_to=hours[1])
    moment = at.replace(second=0, microsecond=0, tzinfo=UTC)

    def is_quiet(instant: datetime) -> bool:
        shown = instant.astimezone(wishes.zone).time()
        begin, end = hours
        return begin <= shown < end if begin < end else shown >= begin or shown < end

    slow = moment
    while is_quiet(slow):
        slow += timedelta(minutes=1)
    assert next_email_at(wishes, at=moment) == slow
