"""Business calendars: opening windows, holidays, closing days, and a preview of the next due times."""

from __future__ import annotations

import re
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo, available_timezones

from django import forms
from django.contrib import admin
from django.http import HttpRequest, HttpResponseNotAllowed
from django.http.response import HttpResponseBase
from django.template.response import TemplateResponse
from django.urls import URLPattern, path
from django.utils.timezone import now
from holidays.registry import COUNTRIES
from unfold.decorators import display

from flowledger.backoffice.forms import OrgModelForm
from flowledger.backoffice.navigation import Group, Menu
from flowledger.backoffice.org_admin import OrgAdmin
from flowledger.backoffice.refusals import explain
from flowledger.backoffice.requests import actor_of, org_of
from flowledger.errors import FlowLedgerError
from flowledger.tenancy.actors import Role
from workstream.admin.windows import DAY_NAMES, ClosingDaysField, WindowsField, windows_in_words
from workstream.business_time import WEEKDAYS
from workstream.models import BusinessCalendar
from workstream.models.calendars import working_week
from workstream.services import calendars as services

FIELDS = ("name", "timezone", "windows", "country", "subdivision")

PREVIEWED = ("timezone", "windows", "country", "subdivision", "closing_days")
PREVIEWED_HOURS = (1, 4, 8, 24, 72)
PREVIEWED_WINDOWS = 8


def countries() -> list[tuple[str, str]]:
    """Every country whose public holidays are known."""
    spaced = re.compile(r"(?<=[a-z])(?=[A-Z])")
    named = {code: spaced.sub(" ", name) for name, code, *_more in COUNTRIES.values()}
    return [("", "No public holidays"), *sorted(named.items(), key=lambda entry: entry[1])]


def time_zones() -> list[tuple[str, str]]:
    """Every time zone of the IANA database, less the name for whatever the server has."""
    return [(name, name) for name in sorted(available_timezones() - {"localtime"})]


class CalendarForm(OrgModelForm):
    timezone = forms.ChoiceField(choices=time_zones)
    country = forms.ChoiceField(choices=countries, required=False, help_text="Its public holidays are closed.")
    windows = WindowsField(
        required=False,
        initial=working_week,
        label="Open",
        help_text="Per day, for example 09:00–12:30, 13:30–17:00. An empty day is closed; 24:00 is midnight.",
    )
    closing_days = ClosingDaysField(
        required=False,
        label="Closing days",
        help_text="Days on which you are closed besides public holidays. Clear a date to remove it.",
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if self.is_new and self.org is not None and "timezone" in self.fields:
            self.initial["timezone"] = self.org.timezone
        if "closing_days" in self.fields and not self.is_new:
            days = self.instance.closing_days.order_by("date")
            self.initial["closing_days"] = list(days.values("date", "name"))


@admin.register(BusinessCalendar)
class BusinessCalendarAdmin(OrgAdmin):
    """Kept by managers. What a change would do shows beside the form before it is stored."""

    menu = Menu(Group.SETUP, icon="calendar_month", order=31, title="Business calendars")
    form = CalendarForm
    change_form_template = "workstream/sla/calendar.html"
    add_role = change_role = delete_role = Role.MANAGER
    list_display = ("name", "timezone", "hours", "holidays", "version", "updated_at")
    ordering = ("name", "pk")

    def get_fieldsets(self, request: HttpRequest, obj: Any = None) -> Any:
        if not self.allows(request, self.change_role):
            return [(None, {"fields": ("name", "timezone", "hours", "country", "subdivision", "days", "version")})]
        fields = (*FIELDS, "closing_days")
        return [(None, {"fields": fields if obj is None else (*fields, "version")})]

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        return [*super().get_readonly_fields(request, obj), "hours", "days", "version"]

    @display(description="Open")
    def hours(self, obj: BusinessCalendar) -> str:
        days = zip(WEEKDAYS, DAY_NAMES, strict=True)
        open_days = [f"{name[:3]} {windows_in_words(obj.windows[day])}" for day, name in days if obj.windows.get(day)]
        return "; ".join(open_days)

    @display(description="Holidays")
    def holidays(self, obj: BusinessCalendar) -> str:
        return "-".join(part for part in (obj.country, obj.subdivision) if part) or "–"

    @display(description="Closing days")
    def days(self, obj: BusinessCalendar) -> str:
        return ", ".join(str(day) for day in obj.closing_days.order_by("date")) or "–"

    def save_through(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> Any:
        names = [name for name in form.changed_data if name in FIELDS] if change else FIELDS
        fields = {name: form.cleaned_data[name] for name in names}
        days = form.cleaned_data["closing_days"]
        org, actor, at = org_of(request), actor_of(request), now()
        if not change:
            return services.create_calendar(org=org, fields=fields, closing_days=days, actor=actor, at=at)
        return services.update_calendar(
            org=org, calendar_id=obj.pk, fields=fields, closing_days=days, actor=actor, at=at
        )

    def delete_through(self, request: HttpRequest, obj: Any) -> None:
        services.delete_calendar(org=org_of(request), calendar_id=obj.pk, actor=actor_of(request), at=now())

    # --- what it would do ---

    def get_urls(self) -> list[URLPattern]:
        view = self.admin_site.admin_view(self.preview_view)
        return [path("preview/", view, name="workstream_businesscalendar_preview"), *super().get_urls()]

    def preview_view(self, request: HttpRequest) -> HttpResponseBase:
        """When something that starts now would be due by the calendar that is in the form. Stores nothing."""
        if request.method != "POST":
            return HttpResponseNotAllowed(["POST"])
        form = self.get_form(request, None)(request.POST)
        wrong = [str(error) for name, errors in form.errors.items() if name in PREVIEWED for error in errors]
        context: dict[str, Any] = {"refusal": " ".join(wrong)}
        try:
            context |= {} if wrong else self._preview(request, form.cleaned_data)
        except FlowLedgerError as error:
            context["refusal"] = explain(error)
        return TemplateResponse(request, "workstream/sla/calendar_preview.html", context)

    def _preview(self, request: HttpRequest, given: dict[str, Any]) -> dict[str, Any]:
        at = now()
        fields = {name: given[name] for name in FIELDS if name in PREVIEWED}
        here = ZoneInfo(given.get("timezone") or org_of(request).timezone)
        previews = [
            services.preview_deadline(
                org=org_of(request),
                fields=fields,
                closing_days=given.get("closing_days") or (),
                start_at=at,
                hours=hours,
                actor=actor_of(request),
                at=at,
            )
            for hours in PREVIEWED_HOURS
        ]
        return {
            "at": at.astimezone(here),
            "zone": str(here),
            "dues": [
                (hours, each.due_at.astimezone(here)) for hours, each in zip(PREVIEWED_HOURS, previews, strict=True)
            ],
            "opens": [_stretch(each, here) for each in previews[-1].stretches[:PREVIEWED_WINDOWS]],
        }


def _stretch(stretch: tuple[datetime, datetime], here: ZoneInfo) -> tuple[datetime, datetime]:
    begin, end = (moment.astimezone(here) for moment in stretch)
    return begin, end
