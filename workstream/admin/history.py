"""Ledgers that nobody edits: gate checks and stage history across all items; clusters of signals."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.contrib.admin import SimpleListFilter
from django.db.models import QuerySet
from django.http import HttpRequest
from unfold.contrib.filters.admin import RangeDateFilter
from unfold.decorators import display

from flowledger.backoffice.navigation import Group, Menu
from flowledger.backoffice.org_admin import ReadOnlyOrgAdmin
from workstream.admin.drilling import EnteredFilter
from workstream.admin.inlines import missing_names
from workstream.admin.items import link_to
from workstream.machines import CandidateStatus, PursuitStage
from workstream.models import GateCheck, SignalCluster, StageHistory


@admin.register(GateCheck)
class GateCheckAdmin(ReadOnlyOrgAdmin):
    """Every look of the gate engine, passed or blocked."""

    menu = Menu(Group.OPERATIONS, icon="rule", order=50)
    list_display = ("gate", "passed", "pursuit", "missing", "actor_label", "origin", "checked_at")
    list_filter = ("gate", "passed", "origin", ("checked_at", RangeDateFilter))
    ordering = ("-checked_at", "-pk")
    fields = ("gate", "from_stage", "passed", "pursuit", "missing", "actor_label", "origin", "checked_at")
    readonly_fields = ("missing",)

    @display(description="Missing")
    def missing(self, obj: GateCheck) -> str:
        return missing_names(obj)


class StateFilter(SimpleListFilter):
    """By state, from the machines: asking the table for its values would read all of it."""

    title = "state"
    parameter_name = "state"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [*CandidateStatus.choices, *PursuitStage.choices]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        return queryset.filter(state=self.value()) if self.value() else queryset


@admin.register(StageHistory)
class StageHistoryAdmin(ReadOnlyOrgAdmin):
    """Which state an item was in, from when to when."""

    menu = Menu(Group.OPERATIONS, icon="history", order=60)
    list_display = ("state_name", "item", "entered_at", "left_at", "actor_label", "origin", "is_inferred")
    list_select_related = ("candidate", "pursuit")
    list_filter = (StateFilter, "origin", "is_inferred", ("entered_at", RangeDateFilter), EnteredFilter)
    ordering = ("-pk",)
    fields = ("state_name", "item", "entered_at", "left_at", "actor_label", "origin", "is_inferred")
    readonly_fields = ("state_name", "item")

    @display(description="State", ordering="state")
    def state_name(self, obj: StageHistory) -> str:
        return obj.state.replace("_", " ").capitalize()

    @display(description="Item")
    def item(self, obj: StageHistory) -> str:
        return link_to(obj.candidate or obj.pursuit)


@admin.register(SignalCluster)
class SignalClusterAdmin(ReadOnlyOrgAdmin):
    """Signals that are one buying event; reached from a signal."""

    list_display = ("__str__", "algorithm", "algorithm_version", "created_at")
    ordering = ("-pk",)
    fields = ("label", "algorithm", "algorithm_version", "parameters", "created_at")
