"""Business calendars: when an organisation is open."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django.db import models
from django.db.models import Q

from flowledger.outbox.recording import RecordingModel
from flowledger.tenancy.actors import Actor
from flowledger.tenancy.constraints import tenant_constraints
from flowledger.tenancy.fields import OrgForeignKey
from flowledger.tenancy.models import OrgModel
from workstream import events


def working_week() -> dict[str, list[list[str]]]:
    """Monday to Friday, nine to five."""
    return {day: [["09:00", "17:00"]] for day in ("mon", "tue", "wed", "thu", "fri")}


class BusinessCalendar(RecordingModel):
    """Opening windows per weekday in one time zone, less public holidays and the organisation's own closing days.

    `windows` maps mon … sun to lists of [from, to] as HH:MM, to exclusive, "24:00" for midnight; a missing day is
    closed. `version` grows with every edit; clocks that run by an older one are computed anew.
    """

    name = models.CharField(max_length=100)
    timezone = models.CharField(max_length=64, help_text="IANA name, for example Europe/Berlin.")
    windows = models.JSONField(default=working_week)
    country = models.CharField(max_length=2, blank=True, help_text="ISO 3166; its public holidays are closed.")
    subdivision = models.CharField(max_length=10, blank=True, help_text="ISO 3166-2 part after the country, e.g. BY.")
    version = models.PositiveIntegerField(default=1, editable=False)

    class Meta(OrgModel.Meta):
        constraints = [
            *tenant_constraints("business_calendar"),
            models.UniqueConstraint(fields=["org", "name"], name="business_calendar_name"),
            models.CheckConstraint(condition=~Q(name=""), name="business_calendar_has_name"),
            models.CheckConstraint(
                condition=Q(subdivision="") | ~Q(country=""), name="business_calendar_subdivision_of_country"
            ),
        ]

    def __str__(self) -> str:
        return self.name

    def note_creation(self, *, actor: Actor, at: datetime) -> None:
        """Record that the calendar is there."""
        self.record(lambda row: _changed(row), actor=actor, at=at)

    def note_change(self, *, actor: Actor, at: datetime) -> None:
        """Count the edit and record it."""
        self.version += 1
        self.record(lambda row: _changed(row), actor=actor, at=at)


def _changed(row: Any) -> events.BusinessCalendarChanged:
    return events.BusinessCalendarChanged(calendar_id=row.pk, version=row.version)


class ClosingDay(OrgModel):
    """A day on which the organisation is closed besides public holidays."""

    calendar = OrgForeignKey(BusinessCalendar, models.CASCADE, related_name="closing_days")
    date = models.DateField()
    name = models.CharField(max_length=100, blank=True)

    class Meta(OrgModel.Meta):
        constraints = [
            *tenant_constraints("closing_day", calendar="workstream.BusinessCalendar"),
            models.UniqueConstraint(fields=["org", "calendar", "date"], name="closing_day_once"),
        ]

    def __str__(self) -> str:
        return f"{self.date:%Y-%m-%d} {self.name}".strip()
