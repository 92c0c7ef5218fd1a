"""Use cases of business calendars."""

from __future__ import annotations

import functools
import zoneinfo
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from itertools import islice
from typing import Any, NamedTuple, NoReturn

from django.db import IntegrityError, transaction

from flowledger.errors import Conflict, InvalidInput
from flowledger.tenancy.actors import Actor
from flowledger.tenancy.models import Organization
from flowledger.tenancy.permissions import authorize
from flowledger.tenancy.usecases import use_case
from workstream.business_time import BusinessTime, MalformedWindows, NeverOpen, OpenHours, parse_windows, places
from workstream.models import BusinessCalendar, ClosingDay
from workstream.opening import hours_of

CALENDAR_FIELDS = frozenset({"name", "timezone", "windows", "country", "subdivision"})
MOST_CLOSING_DAYS = 1000
# Longer thresholds are no SLA but a mistake in the unit.
MOST_HOURS = 10_000
SHOWN_STRETCHES = 100


class Stretch(NamedTuple):
    """A time without a break at which a calendar is open."""

    opens_at: datetime
    closes_at: datetime


@dataclass(frozen=True)
class Preview:
    """When something would be due, and the open times passed on the way; `is_cut` when more than are shown."""

    due_at: datetime
    stretches: tuple[Stretch, ...]
    is_cut: bool


@use_case
def create_calendar(
    *,
    org: Organization,
    fields: Mapping[str, Any],
    closing_days: Sequence[Mapping[str, Any]] = (),
    actor: Actor,
    at: datetime,
) -> BusinessCalendar:
    """Add a calendar, its closing days ({date, name}) with it.

    Raises PermissionRefused, InvalidInput for an unknown zone, country or subdivision, windows that are backwards or
    overlap, or a closing day given twice, Conflict on a taken name.
    """
    authorize(actor, "edit_sla")
    calendar = BusinessCalendar(org=org)
    _write(calendar, fields)
    days = _named_days(closing_days)
    calendar.note_creation(actor=actor, at=at)
    _save(calendar)
    _keep_days(calendar, days)
    return calendar


@use_case
def update_calendar(
    *,
    org: Organization,
    calendar_id: int,
    fields: Mapping[str, Any],
    closing_days: Sequence[Mapping[str, Any]] | None = None,
    actor: Actor,
    at: datetime,
) -> BusinessCalendar:
    """Change a calendar; closing days, when given, take the place of all there are. What changes nothing is no edit.

    The event of the edit has the open clocks that run by the calendar computed anew. Raises NotFound,
    PermissionRefused, and as `create_calendar`.
    """
    calendar: BusinessCalendar = BusinessCalendar.objects.for_org(org).locked().fetch(calendar_id)
    authorize(actor, "edit_sla")
    before = {name: getattr(calendar, name) for name in CALENDAR_FIELDS}
    _write(calendar, fields)
    days = None if closing_days is None else _named_days(closing_days)
    own = dict(calendar.closing_days.values_list("date", "name"))
    if all(getattr(calendar, name) == value for name, value in before.items()) and days in (None, own):
        return calendar
    calendar.note_change(actor=actor, at=at)
    _save(calendar)
    if days is not None and days != own:
        ClosingDay.objects.for_org(org).filter(calendar=calendar).delete()
        _keep_days(calendar, days)
    return calendar


@use_case
def delete_calendar(*, org: Organization, calendar_id: int, actor: Actor, at: datetime) -> None:
    """Delete a calendar with its closing days. Raises NotFound, PermissionRefused, Conflict while rules count by it."""
    # Locked against being named too: whoever gives a rule this calendar locks it first.
    rows = BusinessCalendar.objects.for_org(org).select_for_update(of=("self",))
    calendar: BusinessCalendar = rows.fetch(calendar_id)
    authorize(actor, "edit_sla")
    rules = [str(rule) for rule in calendar.rules.order_by("pk")[:5]]
    if rules:
        raise Conflict(
            f"SLA rules count by the calendar '{calendar.name}' ({'; '.join(rules)}). "
            "Give them another calendar first; a rule that is no longer active keeps its calendar for its history."
        )
    calendar.delete()


@use_case
def preview_deadline(
    *,
    org: Organization,
    calendar_id: int | None = None,
    fields: Mapping[str, Any] | None = None,
    closing_days: Sequence[Mapping[str, Any]] | None = None,
    start_at: datetime,
    hours: float,
    actor: Actor,
    at: datetime,
) -> Preview:
    """What a threshold of so many open hours would do: when it is reached, and the open times passed on the way.

    By a stored calendar, by that calendar as `fields` and `closing_days` would change it, or by one that is described
    only; nothing is stored. Raises NotFound, PermissionRefused, InvalidInput as `create_calendar` does and for a
    calendar that has not as many open hours.
    """
    authorize(actor, "view")
    calendar = BusinessCalendar(org=org, name="Preview")
    if calendar_id is not None:
        calendar = BusinessCalendar.objects.for_org(org).fetch(calendar_id)
    if not 0 < hours <= MOST_HOURS:
        _refuse("hours", f"Give more than 0 and at most {MOST_HOURS:,} hours.")
    _write(calendar, {"timezone": org.timezone, **(fields or {})} if calendar_id is None else fields or {})
    described = _described(calendar)
    if closing_days is not None:
        described = replace(described, closing_days=frozenset(_named_days(closing_days)))
    time = BusinessTime(described)
    try:
        due_at = time.add(start_at, hours * 3600)
    except NeverOpen as refusal:
        _refuse("windows", str(refusal))
    found = tuple(Stretch(*each) for each in islice(time.open_stretches(start_at, due_at), SHOWN_STRETCHES + 1))
    return Preview(due_at, found[:SHOWN_STRETCHES], is_cut=len(found) > SHOWN_STRETCHES)


def _described(calendar: BusinessCalendar) -> OpenHours:
    if not calendar._state.adding:
        return hours_of(calendar)
    return OpenHours(calendar.timezone, parse_windows(calendar.windows), calendar.country, calendar.subdivision)


def _write(calendar: BusinessCalendar, fields: Mapping[str, Any]) -> None:
    unknown = sorted(set(fields) - CALENDAR_FIELDS)
    if unknown:
        raise InvalidInput(f"There is no field {', '.join(unknown)} to write.")
    for name, value in fields.items():
        setattr(calendar, name, value.strip() if isinstance(value, str) else value)
    if not calendar.name:
        _refuse("name", "A calendar needs a name.")
    if calendar.timezone not in _zones():
        _refuse("timezone", f"'{calendar.timezone}' is no time zone; write its IANA name, for example Europe/Berlin.")
    document: object = calendar.windows
    if not isinstance(document, dict):
        _refuse("windows", "Give the windows by weekday, for example {'mon': [['09:00', '17:00']]}.")
    try:
        windows = parse_windows(document)
    except MalformedWindows as refusal:
        _refuse("windows", str(refusal))
    if not any(windows):
        _refuse("windows", "A calendar needs at least one window; without any, nothing would ever be due.")
    _place(calendar)


def _place(calendar: BusinessCalendar) -> None:
    """Check country and subdivision, and bring both into the spelling in which their holidays are known."""
    country = calendar.country = calendar.country.upper()
    if not country:
        if calendar.subdivision:
            _refuse("subdivision", "A subdivision needs its country.")
        return
    if country not in places():
        _refuse("country", f"The public holidays of '{country}' are not known; write an ISO 3166 code such as DE.")
    if calendar.subdivision:
        known = {each.lower(): each for each in places()[country]}
        found = known.get(calendar.subdivision.lower())
        if found is None:
            choices = f"choose from: {', '.join(sorted(known.values()))}" if known else "it has none; leave it empty"
            _refuse("subdivision", f"'{calendar.subdivision}' is no subdivision of {country} with holidays; {choices}.")
        calendar.subdivision = found


def _named_days(closing_days: Sequence[Mapping[str, Any]]) -> dict[date, str]:
    days: dict[date, str] = {}
    for each in closing_days:
        if each["date"] in days:
            _refuse("closing_days", f"{each['date']:%Y-%m-%d} is given twice.")
        days[each["date"]] = str(each.get("name", "")).strip()
    if len(days) > MOST_CLOSING_DAYS:
        _refuse("closing_days", f"Give at most {MOST_CLOSING_DAYS:,} closing days.")
    return days


def _keep_days(calendar: BusinessCalendar, days: Mapping[date, str]) -> None:
    rows = [ClosingDay(org_id=calendar.org_id, calendar=calendar, date=day, name=name) for day, name in days.items()]
    ClosingDay.objects.for_org(calendar.org_id).bulk_create(rows)


def _save(calendar: BusinessCalendar) -> None:
    try:
        with transaction.atomic():
            calendar.save()
    except IntegrityError as error:
        raise Conflict(f"There is a calendar named '{calendar.name}' already; change that one instead.") from error


def _refuse(field: str, sentence: str) -> NoReturn:
    raise InvalidInput(sentence, fields={field: [sentence]})


@functools.cache
def _zones() -> frozenset[str]:
    return frozenset(zoneinfo.available_timezones())
