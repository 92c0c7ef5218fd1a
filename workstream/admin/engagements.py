"""Engagements: won business with its kickoff tasks."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.http import HttpRequest
from unfold.contrib.filters.admin import RangeDateFilter
from unfold.decorators import display

from flowledger.backoffice.navigation import Group, Menu
from workstream.admin.columns import amount
from workstream.admin.inlines import ActivityInline, LinkInline, TaskInline
from workstream.admin.items import ItemAdmin, link_to
from workstream.models import Engagement

SHOWN = ("title", "client", "owner", "worth", "started_on", "pursuit_link", "created_at")


@admin.register(Engagement)
class EngagementAdmin(ItemAdmin):
    """Opened by a win. Its facts are the pursuit's and stay; its tasks are worked here."""

    menu = Menu(Group.PIPELINE, icon="handshake", order=50)
    add_role = None
    list_display = ("title", "client", "owner", "worth", "started_on")
    list_filter = ("owner", ("started_on", RangeDateFilter))
    search_fields = ("title",)
    ordering = ("-started_on", "-pk")
    fields = SHOWN
    readonly_fields = SHOWN
    inlines = (TaskInline, ActivityInline, LinkInline)

    worth = amount("value", description="Value")

    @display(description="Pursuit")
    def pursuit_link(self, obj: Engagement) -> str:
        return link_to(obj.pursuit)

    def save_through(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> Any:
        """Nothing: the page only takes tasks, activities and links."""
