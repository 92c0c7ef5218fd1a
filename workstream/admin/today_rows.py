"""A row of the Today page as a person reads it: the due time in words, the terms of its rank, what to do next."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, time, timedelta
from typing import Any
from urllib.parse import urlencode
from zoneinfo import ZoneInfo

from django.contrib import admin
from django.urls import reverse
from django.utils.timesince import timesince, timeuntil

from flowledger.backoffice.transition_admin import RETURN_TO, TransitionButton
from flowledger.tenancy.actors import Actor
from flowledger.tenancy.permissions import may
from workstream.models import Candidate, Pursuit
from workstream.models.today import NextVerb
from workstream.reports.today import PanelRow

MODELS: Mapping[str, Any] = {"candidate": Candidate, "pursuit": Pursuit}
# The button of the item's page that does what the panel names.
BUTTONS: Mapping[tuple[str, str], str] = {
    ("candidate", NextVerb.TRIAGE): "triage",
    ("candidate", NextVerb.RESUME): "triage",
    ("candidate", NextVerb.PROMOTE): "promote",
    ("pursuit", NextVerb.START_PINK): "pink",
    ("pursuit", NextVerb.START_RED): "red",
    ("pursuit", NextVerb.SUBMIT): "submit",
    ("pursuit", NextVerb.WIN): "won",
}
ICONS: Mapping[str, str] = {
    NextVerb.TRIAGE: "fact_check",
    NextVerb.RESUME: "play_arrow",
    NextVerb.PROMOTE: "rocket_launch",
    NextVerb.START_PINK: "arrow_forward",
    NextVerb.START_RED: "arrow_forward",
    NextVerb.COMPLETE_PINK: "checklist",
    NextVerb.COMPLETE_RED: "checklist",
    NextVerb.WRITE_PROPOSAL: "edit_document",
    NextVerb.SUBMIT: "send",
    NextVerb.WIN: "trophy",
    NextVerb.LOG_CALL: "call",
}


@dataclass(frozen=True)
class Due:
    """A due time in words, and exactly for whoever hovers."""

    words: str
    exact: str
    moment: datetime
    is_past: bool


@dataclass(frozen=True)
class Action:
    """What to do next: a button that acts at once (`posts`), else a link to the page that asks or shows."""

    label: str
    icon: str
    link: str
    posts: bool


def due_of(row: PanelRow, *, here: ZoneInfo, at: datetime) -> Due | None:
    """When a row's clock is due, else its date; None where it has neither."""
    if row.sla_due_at is not None:
        moment = row.sla_due_at.astimezone(here)
        return Due(due_in_words(moment, at), f"{moment:%A %d %B %Y, %H:%M} {moment:%Z}", moment, moment <= at)
    if row.due_date is None:
        return None
    midnight = datetime.combine(row.due_date + timedelta(days=1), time(0), here)
    days = (row.due_date - at.astimezone(here).date()).days
    return Due(_day_in_words(days), f"{row.due_date:%A %d %B %Y}, until midnight {midnight:%Z}", midnight, days < 0)


def due_in_words(moment: datetime, at: datetime) -> str:
    """How far off a moment is, or how long it has passed."""
    if moment <= at:
        return f"{timesince(moment, at, depth=1)} overdue"
    return f"due in {timeuntil(moment, at, depth=1)}"


def _day_in_words(days: int) -> str:
    if days < 0:
        return f"{-days} day{'s' if days < -1 else ''} past its date"
    return {0: "due today", 1: "due tomorrow"}.get(days, f"due in {days} days")


def action_of(row: PanelRow, *, actor: Actor, back: str) -> Action:
    """The next action for somebody; who may not take it is led to the item instead, and so is who needs its page."""
    step = row.next_action
    if step is None:
        return Action("Open", "open_in_new", item_link(row), posts=False)
    icon = ICONS.get(step.verb, "arrow_forward")
    button = button_for(row.item_type, step.verb)
    if button is None or not may(actor, button.verb, row):
        return Action(step.label, icon, item_link(row), posts=False)
    link = reverse(f"admin:workstream_{row.item_type}_transition", args=[row.item_id, button.name])
    return Action(step.label, icon, f"{link}?{urlencode({RETURN_TO: back})}", posts=button.form is None)


def button_for(item_type: str, verb: str) -> TransitionButton | None:
    """The button on the item's own page that does what the panel names; None where the page is needed itself."""
    page: Any = admin.site.get_model_admin(MODELS[item_type])
    name = BUTTONS.get((item_type, verb))
    found: TransitionButton | None = next((each for each in page.transitions if each.name == name), None)
    return found


def item_link(row: PanelRow) -> str:
    """The page of the item of a row."""
    return reverse(f"admin:workstream_{row.item_type}_change", args=[row.item_id])
