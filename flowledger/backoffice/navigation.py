"""Menu and badges of the back office: groups in the order of a working day, entries declared by the admin pages."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from django.conf import settings
from django.contrib import admin
from django.http import HttpRequest
from django.templatetags.static import static
from django.urls import reverse

from flowledger.backoffice import pages
from flowledger.backoffice.requests import actor_if_any


class Group(StrEnum):
    """Headings of the menu, in its order."""

    PIPELINE = "Pipeline"
    INTAKE = "Intake"
    WORK = "Work"
    CLIENTS = "Clients"
    ANALYTICS = "Analytics"
    OPERATIONS = "Operations"
    SETUP = "Set-up"


@dataclass(frozen=True)
class Menu:
    """Where an admin page stands in the menu.

    `icon` is a Material Symbols name, lower `order` comes first, `title` replaces the model's plural name. `count` says
    how much waits there; a number above nought stands beside the entry.
    """

    group: Group
    icon: str
    order: int = 100
    title: str = ""
    count: Callable[[HttpRequest], int] | None = None


@dataclass(frozen=True)
class Entry:
    """A line of the menu that the person may use; `add_link` is empty when they may not add."""

    menu: Menu
    title: str
    link: str
    add_link: str


def entries(request: HttpRequest) -> dict[Group, list[Entry]]:
    """What the person behind the request may open, by group; empty without an organisation."""
    found: dict[Group, list[Entry]] = {group: [] for group in Group}
    if actor_if_any(request) is None:
        return {}
    for model, page in admin.site._registry.items():
        menu: Menu | None = getattr(page, "menu", None)
        if menu is None or not page.has_module_permission(request) or not page.has_view_permission(request):
            continue
        name = f"admin:{model._meta.app_label}_{model._meta.model_name}"
        title = menu.title or str(model._meta.verbose_name_plural)
        found[menu.group].append(
            Entry(
                menu=menu,
                title=title[:1].upper() + title[1:],
                link=reverse(f"{name}_changelist"),
                add_link=reverse(f"{name}_add") if page.has_add_permission(request) else "",
            )
        )
    for own in pages.pages():
        if own.menu is not None and own.allows(request):
            link = reverse(f"admin:{own.name}")
            found[own.menu.group].append(Entry(menu=own.menu, title=own.menu.title, link=link, add_link=""))
    for group in found.values():
        group.sort(key=lambda entry: (entry.menu.order, entry.title))
    return {group: lines for group, lines in found.items() if lines}


def sidebar(request: HttpRequest) -> list[dict[str, Any]]:
    """The menu in the form that Unfold's side bar wants."""
    if actor_if_any(request) is None:
        return []
    start = [{"title": "Overview", "icon": "apps", "link": reverse("admin:overview")}]
    landing = pages.landing()
    if landing is not None:
        start.insert(0, {"title": landing.title, "icon": landing.icon, "link": reverse("admin:index")})
    groups = [
        {
            "title": str(group),
            "items": [_item(request, entry) for entry in lines],
        }
        for group, lines in entries(request).items()
    ]
    return [{"items": start}, *groups]


def _item(request: HttpRequest, entry: Entry) -> dict[str, Any]:
    """A line of the side bar, with the number of what waits there."""
    item: dict[str, Any] = {"title": entry.title, "icon": entry.menu.icon, "link": entry.link}
    if entry.menu.count is not None and (number := entry.menu.count(request)):
        item |= {"badge": number, "badge_variant": "warning"}
    return item


def organization_name(request: HttpRequest) -> str:
    """The organisation under the title of the side bar."""
    org = getattr(request, "org", None)
    return str(org.name) if org is not None else ""


def environment_badge(request: HttpRequest) -> list[str] | None:
    """A label beside the title, anywhere but in production."""
    return None if settings.PRODUCTION else ["Development", "warning"]


def favicon(request: HttpRequest) -> str:
    return static("backoffice/icon.svg")
