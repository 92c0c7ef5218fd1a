"""What the pages of signals, candidates, pursuits and engagements have in common: word search and the event trail."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.contrib.admin.utils import quote
from django.db.models import QuerySet
from django.http import HttpRequest
from django.urls import reverse
from django.utils.html import format_html
from django.utils.timezone import now

from flowledger.backoffice.panels import panels_of
from flowledger.backoffice.requests import org_of
from flowledger.backoffice.transition_admin import TransitionAdmin
from flowledger.outbox.events import event_type, is_known
from flowledger.outbox.models import WorkEvent
from workstream.admin.clock_panel import clock_lines

TRAIL_SHOWN = 50


class ItemAdmin(TransitionAdmin):
    """A page of an item: buttons first, then panels, the fields, tabs, and at the end everything that happened."""

    change_form_template = "workstream/item.html"
    delete_role = None

    def render_change_form(
        self,
        request: HttpRequest,
        context: dict[str, Any],
        add: bool = False,
        change: bool = False,
        form_url: str = "",
        obj: Any = None,
    ) -> Any:
        if obj is not None:
            context["trail"] = trail_of(obj)
            context["clocks"] = clock_lines(obj, org=org_of(request), at=now())
            context["registered_panels"] = panels_of(request, obj)
        return super().render_change_form(request, context, add, change, form_url, obj)


class WordSearch:
    """Searches a list and its autocompletes by words, through the search function of the model's table."""

    def get_search_results(self, request: HttpRequest, queryset: Any, term: str) -> tuple[QuerySet[Any], bool]:
        return queryset.search(term), False


def trail_of(obj: Any) -> list[dict[str, Any]]:
    """The newest events of an item, each with its meaning in words."""
    rows = WorkEvent.objects.for_org(obj.org_id).filter(item_type=obj._meta.model_name, item_id=obj.pk)
    return [
        {
            "name": row.event_name,
            "meaning": event_type(row.event_name).doc.split("\n")[0] if is_known(row.event_name) else "",
            "happened_at": row.occurred_at,
            "who": row.actor_label,
            "origin": row.get_origin_display(),
        }
        for row in rows.order_by("-pk")[:TRAIL_SHOWN]
    ]


def page_of(obj: Any) -> str:
    """The address of the change page of a row."""
    return reverse(f"admin:{obj._meta.app_label}_{obj._meta.model_name}_change", args=[quote(obj.pk)])


def link_to(obj: Any, text: str = "") -> str:
    """A link to the page of a row; its name where it has no page, a dash for none."""
    if obj is None:
        return "–"
    if not admin.site.is_registered(type(obj)):
        return text or str(obj)
    return format_html('<a href="{}" class="text-link font-medium">{}</a>', page_of(obj), text or str(obj))
