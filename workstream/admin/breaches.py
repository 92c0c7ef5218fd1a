"""Breaches of service levels across all items: what is open, what was resolved and by what."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from unfold.contrib.filters.admin import ChoicesDropdownFilter, DropdownFilter, RangeDateFilter
from unfold.decorators import display
from unfold.paginator import InfinitePaginator

from flowledger.backoffice.navigation import Group, Menu
from flowledger.backoffice.org_admin import ReadOnlyOrgAdmin
from workstream.admin.columns import ago
from workstream.admin.items import link_to
from workstream.models import SlaBreach
from workstream.models.sla import SlaItem


class ItemTypeFilter(DropdownFilter):
    """By the kind of item that is in breach."""

    title = "item type"
    parameter_name = "item_type"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return list(SlaItem.choices)

    def queryset(self, request: HttpRequest, queryset: QuerySet[SlaBreach]) -> QuerySet[SlaBreach]:
        chosen = self.value()
        return queryset.filter(**{f"{chosen}__isnull": False}) if chosen in SlaItem.values else queryset


class StandingFilter(DropdownFilter):
    """Open breaches, or the ones that were resolved."""

    title = "standing"
    parameter_name = "standing"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [("open", "Open"), ("resolved", "Resolved")]

    def queryset(self, request: HttpRequest, queryset: QuerySet[SlaBreach]) -> QuerySet[SlaBreach]:
        chosen = self.value()
        return queryset.filter(resolved_at__isnull=chosen == "open") if chosen in {"open", "resolved"} else queryset


@admin.register(SlaBreach)
class SlaBreachAdmin(ReadOnlyOrgAdmin):
    """Made and resolved by the clocks; nothing is changed here."""

    menu = Menu(Group.OPERATIONS, icon="timer_off", order=40, title="SLA breaches")
    paginator = InfinitePaginator
    list_display = ("item", "reason", "standing", "rule", "breached", "resolved_at")
    list_display_links = ("reason",)
    list_select_related = ("rule", "signal", "candidate", "pursuit")
    list_filter = (
        StandingFilter,
        ItemTypeFilter,
        ("metric", ChoicesDropdownFilter),
        ("reason_code", ChoicesDropdownFilter),
        ("breached_at", RangeDateFilter),
    )
    ordering = ("-breached_at", "-pk")
    fields = ("item", "reason", "standing", "metric", "rule_link", "breached_at", "resolved_at", "resolved_by")
    readonly_fields = ("item", "reason", "standing", "rule_link")

    breached = ago("breached_at", description="Since")

    @display(description="Item")
    def item(self, obj: SlaBreach) -> str:
        return link_to(obj.signal or obj.candidate or obj.pursuit)

    @display(description="Reason", ordering="reason_code")
    def reason(self, obj: SlaBreach) -> str:
        return str(obj.get_reason_code_display())

    @display(description="Standing", label={"Open": "danger", "Resolved": "success"})
    def standing(self, obj: SlaBreach) -> str:
        return "Open" if obj.resolved_at is None else "Resolved"

    @display(description="Rule")
    def rule_link(self, obj: SlaBreach) -> str:
        return link_to(obj.rule)
