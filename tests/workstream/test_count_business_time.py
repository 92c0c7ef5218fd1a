"""Open time against a model that looks at the clock on the wall every minute, and against examples worked by hand."""

from __future__ import annotations

import string
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import holidays
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from workstream.business_time import (
    WEEKDAYS,
    BusinessTime,
    MalformedWindows,
    NeverOpen,
    OpenHours,
    holidays_of,
    parse_windows,
)

MINUTE = timedelta(minutes=1)
HOUR = 3600
OFFICE = {day: [["09:00", "17:00"]] for day in WEEKDAYS[:5]}
ALWAYS = {day: [["00:00", "24:00"]] for day in WEEKDAYS}
# Zones with a moment at or near which their clocks were or will be changed, or something else is odd.
ODD = [
    ("Europe/Berlin", "2026-03-29T01:00"),
    ("Europe/Berlin", "2026-10-25T01:00"),
    ("America/New_York", "2026-03-08T07:00"),
    ("America/New_York", "2026-11-01T06:00"),
    ("Australia/Lord_Howe", "2026-04-04T15:00"),  # half an hour back
    ("Australia/Lord_Howe", "2026-10-03T15:30"),
    ("America/St_Johns", "2010-11-07T02:31"),  # at one minute past midnight back into the day before
    ("America/St_Johns", "2010-03-14T03:31"),
    ("America/Sao_Paulo", "2018-11-04T03:00"),  # midnight does not exist
    ("America/Sao_Paulo", "2018-02-18T02:00"),  # the last hour of a day comes twice
    ("Pacific/Apia", "2011-12-30T10:00"),  # a whole date does not exist
    ("Africa/Casablanca", "2026-02-15T02:00"),  # an hour back for Ramadan
    ("Asia/Kathmandu", "2026-01-01T00:00"),
    ("Pacific/Chatham", "2026-04-04T14:00"),
    ("Antarctica/Troll", "2026-03-29T01:00"),  # two hours
    ("UTC", "2025-12-31T23:59"),
    ("Pacific/Kiritimati", "2027-12-31T12:00"),
    ("America/Chicago", "2021-12-31T12:00"),  # New Year's Day is observed in the year before
]
COUNTRIES = [("", ""), ("DE", "BY"), ("DE", ""), ("US", ""), ("GB", "SCT"), ("NP", "")]


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def local(text: str, zone: str = "Europe/Berlin", *, fold: int = 0) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone), fold=fold)


def calendar(windows: dict[str, list[list[str]]], zone: str = "Europe/Berlin", **more: object) -> BusinessTime:
    return BusinessTime(OpenHours(zone, parse_windows(windows), **more))  # type: ignore[arg-type]


class ByTheMinute:
    """The slow, obvious model: somebody looks at the clock on the wall every minute."""

    def __init__(self, hours: OpenHours) -> None:
        self.hours, self.zone = hours, ZoneInfo(hours.timezone)
        self.closed = set(hours.closing_days)
        if hours.country:
            years = range(1994, 2040)
            self.closed |= set(holidays.country_holidays(hours.country, subdiv=hours.subdivision or None, years=years))

    def is_open(self, at: datetime) -> bool:
        wall = at.astimezone(self.zone)
        minute = wall.hour * 60 + wall.minute
        return wall.date() not in self.closed and any(a <= minute < b for a, b in self.hours.windows[wall.weekday()])

    def elapsed(self, start: datetime, end: datetime) -> int:
        seconds = 0
        while start < end:
            seconds += 60 * self.is_open(start)
            start += MINUTE
        return seconds

    def add(self, start: datetime, minutes: int, *, until: datetime) -> datetime | None:
        while minutes and start < until:
            minutes -= self.is_open(start)
            start += MINUTE
        return None if minutes else start


@st.composite
def windows_of_a_day(draw: st.DrawFn) -> tuple[tuple[int, int], ...]:
    """Up to three windows that do not overlap; they may touch, reach midnight, or be the whole day."""
    if draw(st.booleans()) and draw(st.booleans()):
        return ((0, 1440),)
    edges = sorted(draw(st.sets(st.integers(0, 96), max_size=6)))
    found = [(15 * a, 15 * b) for a, b in zip(edges[::2], edges[1::2], strict=False)]
    if found and found[-1][1] < 1440 and draw(st.booleans()):
        found.append((found[-1][1], found[-1][1] + 15))
    return tuple(found)


@st.composite
def situations(draw: st.DrawFn) -> tuple[OpenHours, datetime]:
    """A calendar and an instant near which it has something to show."""
    zone, moment = draw(st.sampled_from(ODD))
    start = utc(moment) + draw(st.integers(-3000, 3000)) * MINUTE
    country, subdivision = draw(st.sampled_from(COUNTRIES))
    days = draw(st.frozensets(st.integers(-2, 6), max_size=2))
    hours = OpenHours(
        timezone=zone,
        windows=tuple(draw(windows_of_a_day()) for _ in WEEKDAYS),
        country=country,
        subdivision=subdivision,
        closing_days=frozenset((start + timedelta(days=each)).date() for each in days),
    )
    return hours, start


instants = st.datetimes(datetime(1995, 1, 1), datetime(2037, 12, 31)).map(lambda each: each.replace(tzinfo=UTC))


class TestAgainstTheClockOnTheWall:
    @given(situations(), st.integers(0, 5000))
    @settings(max_examples=250, deadline=None)
    def test_elapsed(self, situation: tuple[OpenHours, datetime], minutes: int):
        hours, start = situation
        end = start + minutes * MINUTE

        assert BusinessTime(hours).elapsed(start, end) == ByTheMinute(hours).elapsed(start, end)

    @given(situations(), st.integers(1, 2500))
    @settings(max_examples=250, deadline=None)
    def test_add(self, situation: tuple[OpenHours, datetime], minutes: int):
        hours, start = situation
        until = start + timedelta(days=6)
        expected = ByTheMinute(hours).add(start, minutes, until=until)
        try:
            found = BusinessTime(hours).add(start, 60 * minutes)
        except NeverOpen:
            assert not any(hours.windows)
            return

        assert found == expected if expected else found > until

    @given(situations())
    @settings(max_examples=250, deadline=None)
    def test_is_open(self, situation: tuple[OpenHours, datetime]):
        hours, start = situation

        assert BusinessTime(hours).is_open(start) is ByTheMinute(hours).is_open(start)

    @given(situations(), st.integers(1, 4000))
    @settings(max_examples=100, deadline=None)
    def test_the_stretches_passed_are_open_and_all(self, situation: tuple[OpenHours, datetime], minutes: int):
        hours, start = situation
        time, end = BusinessTime(hours), start + minutes * MINUTE
        found = list(time.open_stretches(start, end))

        assert sum((until - since for since, until in found), timedelta()).total_seconds() == time.elapsed(start, end)
        for since, until in found:
            assert start <= since < until <= end
            assert time.elapsed(since, until) == (until - since).total_seconds()
        assert all(earlier[1] <= later[0] for earlier, later in pairwise(found))


class TestLaws:
    """Over decades and to the microsecond, where no minute-by-minute look would come to an end."""

    @given(situations(), instants, st.integers(0, 4_000 * HOUR * 1_000_000))
    @settings(max_examples=150, deadline=None)
    def test_what_was_added_has_elapsed(self, situation: tuple[OpenHours, datetime], start: datetime, amount: int):
        hours, _ = situation
        time, seconds = BusinessTime(hours), amount / 1_000_000
        try:
            end = time.add(start, seconds)
        except NeverOpen:
            return

        assert time.elapsed(start, end) == seconds
        if amount:
            assert time.elapsed(start, end - timedelta(microseconds=1)) < seconds

    @given(situations(), instants, st.integers(0, 2_000 * HOUR), st.integers(0, 500 * HOUR))
    @settings(max_examples=100, deadline=None)
    def test_more_is_never_sooner(
        self, situation: tuple[OpenHours, datetime], start: datetime, seconds: int, more: int
    ):
        time = BusinessTime(situation[0])
        try:
            later = time.add(start, seconds + more)
        except NeverOpen:
            return

        assert time.add(start, seconds) <= later
        assert time.add(start + timedelta(seconds=more), seconds) >= time.add(start, seconds)
        assert time.add(time.add(start, seconds), more) == later

    @given(situations(), st.lists(instants, min_size=3, max_size=3))
    @settings(max_examples=100, deadline=None)
    def test_spans_add_up(self, situation: tuple[OpenHours, datetime], moments: list[datetime]):
        time = BusinessTime(situation[0])
        first, second, third = sorted(moments)
        whole = round(time.elapsed(first, third) * 1_000_000)

        assert whole == sum(round(time.elapsed(*span) * 1_000_000) for span in ((first, second), (second, third)))
        assert whole <= (third - first) / timedelta(microseconds=1)

    @given(instants, st.integers(0, 10**12))
    def test_without_hours_time_is_time(self, start: datetime, amount: int):
        end = BusinessTime().add(start, amount / 1_000_000)

        assert end - start == timedelta(microseconds=amount)
        assert BusinessTime().elapsed(start, end) == amount / 1_000_000
        assert BusinessTime().is_open(start)
        assert list(BusinessTime().open_stretches(start, end)) == [(start, end)]


class TestByHand:
    def test_an_afternoon_goes_on_in_the_next_morning(self):
        due = calendar(OFFICE).add(local("2026-11-19T16:00"), 3 * HOUR)

        assert due == local("2026-11-20T11:00")

    def test_a_weekend_is_left_out(self):
        office = calendar(OFFICE)

        assert office.add(local("2026-11-20T16:00"), 2 * HOUR) == local("2026-11-23T10:00")
        assert office.elapsed(local("2026-11-20T16:00"), local("2026-11-23T10:00")) == 2 * HOUR

    def test_what_ends_with_the_day_is_due_at_its_end(self):
        assert calendar(OFFICE).add(local("2026-11-20T09:00"), 8 * HOUR) == local("2026-11-20T17:00")

    def test_nothing_is_due_at_once(self):
        start = local("2026-11-21T12:00")

        assert calendar(OFFICE).add(start, 0) == start

    def test_a_partial_week_with_a_lunch_break(self):
        split = calendar({"tue": [["08:00", "12:00"], ["13:00", "15:30"]], "thu": [["22:00", "24:00"]]})

        assert split.elapsed(local("2026-11-16T00:00"), local("2026-11-23T00:00")) == 8.5 * HOUR
        assert split.add(local("2026-11-17T11:30"), HOUR) == local("2026-11-17T13:30")
        assert split.add(local("2026-11-17T15:00"), 2.5 * HOUR) == local("2026-11-20T00:00")
        assert split.add(local("2026-11-17T15:00"), 2.75 * HOUR) == local("2026-11-24T08:15")

    def test_windows_meet_at_midnight(self):
        night = calendar({"mon": [["22:00", "24:00"]], "tue": [["00:00", "06:00"]]})

        assert night.add(local("2026-11-16T23:00"), 4 * HOUR) == local("2026-11-17T03:00")
        assert night.is_open(local("2026-11-16T23:59"))
        assert night.is_open(local("2026-11-17T00:00"))
        assert not night.is_open(local("2026-11-17T06:00"))

    def test_the_lost_hour_in_berlin(self):
        """Sunday 29 March 2026 has 23 hours; what spans the gap is shorter, what lies in it does not open."""
        day = (local("2026-03-29T00:00"), local("2026-03-30T00:00"))

        assert calendar(ALWAYS).elapsed(*day) == 23 * HOUR
        assert calendar({"sun": [["01:00", "04:00"]]}).elapsed(*day) == 2 * HOUR
        assert calendar({"sun": [["02:15", "02:45"]]}).elapsed(*day) == 0
        assert calendar({"sun": [["02:30", "05:00"]]}).elapsed(*day) == 2 * HOUR
        assert calendar({"sun": [["02:30", "05:00"]]}).add(day[0], HOUR) == local("2026-03-29T04:00")

    def test_the_hour_that_comes_twice_in_berlin(self):
        """Sunday 25 October 2026 has 25 hours; what lies in the repeated hour opens twice."""
        day = (local("2026-10-25T00:00"), local("2026-10-26T00:00"))

        assert calendar(ALWAYS).elapsed(*day) == 25 * HOUR
        assert calendar({"sun": [["01:00", "04:00"]]}).elapsed(*day) == 4 * HOUR
        assert calendar({"sun": [["02:15", "02:45"]]}).elapsed(*day) == HOUR
        assert calendar({"sun": [["02:15", "02:45"]]}).add(day[0], 2700) == utc("2026-10-25T01:30")

    @pytest.mark.parametrize("time", [BusinessTime(), calendar(ALWAYS)], ids=["no hours", "all hours"])
    def test_times_of_one_zone_are_not_subtracted_as_the_wall_shows_them(self, time: BusinessTime):
        night = (local("2026-03-28T12:00"), local("2026-03-29T12:00"))
        doubled = (local("2026-10-25T02:30", fold=0), local("2026-10-25T02:30", fold=1))

        assert time.elapsed(*night) == 23 * HOUR
        assert time.add(night[0], 23 * HOUR) == night[1]
        assert time.elapsed(*doubled) == HOUR
        assert sum((until - since for since, until in time.open_stretches(*doubled)), timedelta()) == 60 * MINUTE

    def test_new_york_changes_on_other_days(self):
        spring = (local("2026-03-08T00:00", "America/New_York"), local("2026-03-09T00:00", "America/New_York"))
        autumn = (local("2026-11-01T00:00", "America/New_York"), local("2026-11-02T00:00", "America/New_York"))
        always = calendar(ALWAYS, "America/New_York")

        assert [always.elapsed(*day) / HOUR for day in (spring, autumn)] == [23, 25]
        office = calendar(OFFICE, "America/New_York")
        assert office.add(utc("2026-03-06T21:00"), 2 * HOUR) == utc("2026-03-09T14:00")  # 16:00 EST, 10:00 EDT

    def test_lord_howe_changes_by_half_an_hour(self):
        always = calendar(ALWAYS, "Australia/Lord_Howe")

        def hours_of(day: str, after: str) -> float:
            return always.elapsed(*(local(f"{each}T00:00", "Australia/Lord_Howe") for each in (day, after))) / HOUR

        assert hours_of("2026-04-05", "2026-04-06") == 24.5
        assert hours_of("2026-10-04", "2026-10-05") == 23.5

    def test_kathmandu_is_a_quarter_of_an_hour_off(self):
        office = calendar(OFFICE, "Asia/Kathmandu")

        assert office.add(utc("2026-11-19T03:00"), HOUR) == utc("2026-11-19T04:15")  # opens 03:15 UTC

    def test_samoa_left_out_a_friday(self):
        friday = calendar({"fri": [["09:00", "17:00"]]}, "Pacific/Apia")

        assert friday.elapsed(utc("2011-12-28T00:00"), utc("2012-01-05T00:00")) == 0
        assert friday.add(utc("2011-12-28T00:00"), HOUR) == local("2012-01-06T10:00", "Pacific/Apia")

    def test_public_holidays_of_a_region_are_closed(self):
        """Epiphany, Tuesday 6 January 2026, is a holiday in Bavaria and none in Hamburg."""
        bavaria = calendar(OFFICE, country="DE", subdivision="BY")
        hamburg = calendar(OFFICE, country="DE", subdivision="HH")
        start = local("2026-01-05T16:00")

        assert bavaria.add(start, 2 * HOUR) == local("2026-01-07T10:00")
        assert hamburg.add(start, 2 * HOUR) == local("2026-01-06T10:00")

    def test_a_holiday_that_is_observed_on_another_day(self):
        """Independence Day 2026 is a Saturday and kept on Friday 3 July."""
        office = calendar(OFFICE, "America/New_York", country="US")

        assert office.add(local("2026-07-02T16:00", "America/New_York"), 2 * HOUR) == utc("2026-07-06T14:00")

    def test_own_closing_days_are_closed(self):
        office = calendar(OFFICE, closing_days=frozenset({date(2026, 11, 23), date(2026, 11, 24)}))

        assert office.add(local("2026-11-20T16:00"), 2 * HOUR) == local("2026-11-25T10:00")

    def test_ten_years_of_an_office(self):
        """2020 to 2029: 3,653 days from a Wednesday on, 2,609 of them Monday to Friday."""
        assert calendar(OFFICE).elapsed(local("2020-01-01T00:00"), local("2030-01-01T00:00")) == 2609 * 8 * HOUR

    def test_backwards_is_nothing(self):
        assert calendar(OFFICE).elapsed(local("2026-11-20T12:00"), local("2026-11-20T11:00")) == 0
        assert calendar(OFFICE).elapsed(local("2026-11-20T12:00"), local("2026-11-20T12:00")) == 0


class TestNeverOpen:
    def test_a_calendar_without_windows(self):
        with pytest.raises(NeverOpen, match="does not open for 1 hours in the next 100 years"):
            calendar({}).add(local("2026-11-20T12:00"), HOUR)

    def test_more_than_a_century_can_give(self):
        minute_a_week = calendar({"mon": [["09:00", "09:01"]]})

        assert minute_a_week.add(local("2026-11-16T08:00"), 60) == local("2026-11-16T09:01")
        with pytest.raises(NeverOpen):
            minute_a_week.add(local("2026-11-16T08:00"), 100 * HOUR)


class TestParseWindows:
    def test_reads_days_in_any_order_and_sorts(self):
        found = parse_windows({"wed": [["13:00", "24:00"], ["00:00", "12:00"]], "mon": [["09:00", "09:30"]], "tue": []})

        assert found == (((540, 570),), (), ((0, 720), (780, 1440)), (), (), (), ())

    @pytest.mark.parametrize(
        ("document", "sentence"),
        [
            ({"monday": [["09:00", "17:00"]]}, "'monday' is no weekday"),
            ({"mon": "09:00-17:00"}, "Give mon as a list of windows"),
            ({"mon": ["09:00"]}, "Give each window of mon as"),
            ({"mon": [["09:00"]]}, "Give each window of mon as"),
            ({"mon": [["9:00", "17:00"]]}, "'9:00' of mon is no time"),
            ({"mon": [["09:60", "17:00"]]}, "'09:60' of mon is no time"),
            ({"mon": [["09:00", "24:01"]]}, "'24:01' of mon is no time"),
            ({"mon": [["+9:00", "17:00"]]}, "'\\+9:00' of mon is no time"),
            ({"mon": [["٠٩:٠٠", "17:00"]]}, "of mon is no time"),
            ({"mon": [[9, 17]]}, "'9' of mon is no time"),
            ({"mon": [["17:00", "09:00"]]}, "The window 17:00–09:00 of mon ends before it begins"),
            ({"mon": [["09:00", "09:00"]]}, "ends before it begins"),
            ({"mon": [["09:00", "12:00"], ["11:59", "13:00"]]}, "Two windows of mon overlap.*before 11:59"),
        ],
    )
    def test_refuses_what_cannot_be(self, document: dict[str, object], sentence: str):
        with pytest.raises(MalformedWindows, match=sentence):
            parse_windows(document)

    @given(st.dictionaries(st.sampled_from(WEEKDAYS), st.lists(st.lists(st.text(string.printable)))))
    def test_refuses_rubbish_with_a_sentence(self, document: dict[str, list[list[str]]]):
        try:
            assert len(parse_windows(document)) == 7
        except MalformedWindows as refusal:
            assert str(refusal).endswith(".")


class TestHolidaysOf:
    def test_are_those_of_the_region(self):
        assert date(2026, 1, 6) in holidays_of("DE", "BY", 2026)
        assert date(2026, 1, 6) not in holidays_of("DE", "HH", 2026)

    @pytest.mark.parametrize(("country", "subdivision"), [("XX", ""), ("DE", "XX")])
    def test_unknown_places_are_refused(self, country: str, subdivision: str):
        with pytest.raises(NotImplementedError):
            holidays_of(country, subdivision, 2026)
