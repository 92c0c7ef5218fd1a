"""Scores as lists, the rows behind the figures: what each profile computed, the best of each item, and alerts."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.db.models import Exists, OuterRef, QuerySet
from django.http import HttpRequest
from unfold.contrib.filters.admin import ChoicesDropdownFilter, DropdownFilter, RelatedDropdownFilter
from unfold.decorators import display
from unfold.paginator import InfinitePaginator

from flowledger.backoffice.navigation import Group, Menu
from flowledger.backoffice.org_admin import ReadOnlyOrgAdmin
from flowledger.backoffice.requests import org_of
from spotlight.models import MatchAlert, Recommendation, SpotlightFit, SpotlightScore
from workstream.admin.columns import ago, badge
from workstream.admin.drilling import DaysFilter
from workstream.admin.items import link_to
from workstream.models import CandidateSignal, Pursuit

RECOMMENDATION_COLOURS = {
    Recommendation.HIGH.value: "success",
    Recommendation.MEDIUM.value: "info",
    Recommendation.LOW.value: "warning",
    Recommendation.NONE.value: "",
}


class ReceivedFilter(DaysFilter):
    """Scores of signals by the day on which the signal came."""

    title = "received"
    parameter_name = "received"
    column = "signal__ts"


class ReachedFilter(DropdownFilter):
    """Signals by how far they got."""

    title = "became"
    parameter_name = "became"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        self._org = org_of(request)
        return [("candidate", "A candidate"), ("pursuit", "A pursuit"), ("won", "Won"), ("lost", "Lost")]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        chosen = self.value()
        if chosen not in {"candidate", "pursuit", "won", "lost"}:
            return queryset
        links = CandidateSignal.objects.for_org(self._org).filter(signal=OuterRef("signal_id"))
        if chosen == "candidate":
            return queryset.filter(Exists(links))
        # Inside the pursuits, so one further out.
        of_signal = CandidateSignal.objects.for_org(self._org).filter(signal=OuterRef(OuterRef("signal_id")))
        pursuits = Pursuit.objects.for_org(self._org).filter(candidate__in=of_signal.values("candidate_id"))
        if chosen == "pursuit":
            return queryset.filter(Exists(pursuits))
        if chosen == "won":
            return queryset.filter(Exists(pursuits.filter(stage="won")))
        # Of several pursuits one that was won says more.
        return queryset.filter(Exists(pursuits.filter(stage="lost")), ~Exists(pursuits.filter(stage="won")))


class ScoreList(ReadOnlyOrgAdmin):
    """What the lists of scores share; figures lead here, the menu does not."""

    paginator = InfinitePaginator
    list_select_related = ("spotlight", "signal", "candidate")
    ordering = ("-pk",)

    recommended = badge("recommendation", RECOMMENDATION_COLOURS, description="Recommendation")
    evaluated = ago("evaluated_at", description="Evaluated")

    @display(description="Item")
    def item(self, obj: Any) -> str:
        return link_to(obj.signal or obj.candidate)


@admin.register(SpotlightScore)
class SpotlightScoreAdmin(ScoreList):
    """What each profile computed."""

    list_display = ("match_score", "recommended", "item", "spotlight", "coverage", "evaluated")
    list_filter = (
        ("spotlight", RelatedDropdownFilter),
        ("recommendation", ChoicesDropdownFilter),
        ReceivedFilter,
    )
    fields = (
        *("item", "spotlight", "spotlight_version", "match_score", "recommendation", "coverage"),
        *("matched_fields", "total_fields", "algorithm_version", "evaluated_at"),
    )
    readonly_fields = ("item",)


@admin.register(SpotlightFit)
class SpotlightFitAdmin(ScoreList):
    """The best of the active profiles, overrides included."""

    list_display = ("match_score", "recommended", "item", "spotlight", "is_override", "coverage", "evaluated")
    list_filter = (
        ("spotlight", RelatedDropdownFilter),
        ("recommendation", ChoicesDropdownFilter),
        ReachedFilter,
        ReceivedFilter,
    )
    fields = ("item", "spotlight", "match_score", "recommendation", "coverage", "is_override", "evaluated_at")
    readonly_fields = ("item",)


class StandingFilter(DropdownFilter):
    """Alerts that stand, or that are over."""

    title = "standing"
    parameter_name = "standing"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [("open", "Stands"), ("over", "Over")]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        chosen = self.value()
        return queryset.filter(ended_at__isnull=chosen == "open") if chosen in {"open", "over"} else queryset


@admin.register(MatchAlert)
class MatchAlertAdmin(ReadOnlyOrgAdmin):
    """Begun and ended by the daily watch; nothing is changed here."""

    menu = Menu(Group.ANALYTICS, icon="notification_important", order=70, title="Low-match alerts")
    list_display = ("spotlight", "rate", "signals", "window_days", "began", "ended_at")
    list_filter = (StandingFilter, ("spotlight", RelatedDropdownFilter))
    ordering = ("-began_at", "-pk")
    fields = ("profile", "rate", "signals", "window_days", "began_at", "ended_at")
    readonly_fields = ("profile", "rate")

    began = ago("began_at", description="Since")

    @display(description="Profile")
    def profile(self, obj: MatchAlert) -> str:
        return link_to(obj.spotlight)

    @display(description="Matched")
    def rate(self, obj: MatchAlert) -> str:
        return f"{obj.match_rate * 100:.1f} % of at least {float(obj.least_rate) * 100:g} %"
