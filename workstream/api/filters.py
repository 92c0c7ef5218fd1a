"""Filters of the pipeline's lists."""

from __future__ import annotations

from typing import Any, ClassVar

from django.db.models import Q, QuerySet
from django.db.models.functions import Lower

from flowledger.api.filters import (
    ChoicesFilter,
    DayFilter,
    IdsFilter,
    InstantFilter,
    NumberFilter,
    OneFilter,
    OrgFilterSet,
    TextsFilter,
    YesNoFilter,
)
from flowledger.clients.api.filters import ClientIdsFilter, ContactIdsFilter
from workstream.machines import CandidateStatus, ProposalStatus, PursuitStage, SignalDisposition, TaskStatus
from workstream.models.candidates import ValueBand
from workstream.models.signals import SourceType
from workstream.models.sla import METRIC_ALIASES, RULED_METRICS, BreachReason, SlaItem, metric_named


class TagsFilter(TextsFilter):
    """Items that carry one of the tags, in any case; an item with several of them is listed once."""

    def filter(self, qs: QuerySet[Any], value: Any) -> QuerySet[Any]:
        if not value:
            return qs
        links: Any = qs.model._meta.get_field("tag_links").related_model
        named = links.objects.for_org(self.parent.request.auth.org).annotate(key=Lower("tag__name"))
        return qs.filter(
            pk__in=named.filter(key__in=[name.lower() for name in value]).values(qs.model._meta.model_name)
        )


class SignalFilters(OrgFilterSet):
    source_type = ChoicesFilter(choices=SourceType.choices)
    disposition = ChoicesFilter(choices=SignalDisposition.choices)
    owner_user_id = IdsFilter("owner_id")
    contact_id = ContactIdsFilter("contact_id")
    client_id = ClientIdsFilter("client_id")
    cluster_id = IdsFilter("cluster_id")
    dedupe_key = TextsFilter("dedupe_key")
    ts_from = InstantFilter("ts", lookup_expr="gte")
    ts_to = InstantFilter("ts", lookup_expr="lt")
    urgency_min = NumberFilter("urgency_score", lookup_expr="gte")


class CandidateFilters(OrgFilterSet):
    status = ChoicesFilter(choices=CandidateStatus.choices)
    value_band = ChoicesFilter(choices=ValueBand.choices)
    owner_user_id = IdsFilter("owner_id")
    client_id = ClientIdsFilter("client_id")
    contact_id = ContactIdsFilter("contact_id")
    problem_id = IdsFilter("problem_id")
    solution_id = IdsFilter("solution_id")
    tag = TagsFilter("tag_links")
    next_step_due_to = DayFilter("next_step_due", lookup_expr="lte")
    untouched_since = InstantFilter("last_touch_at", lookup_expr="lt")
    created_from = InstantFilter("created_at", lookup_expr="gte")


class PursuitFilters(OrgFilterSet):
    stage = ChoicesFilter(choices=PursuitStage.choices)
    owner_user_id = IdsFilter("owner_id")
    candidate_id = IdsFilter("candidate_id")
    client_id = ClientIdsFilter("client_id")
    contact_id = ContactIdsFilter("contact_id")
    tag = TagsFilter("tag_links")
    due_from = DayFilter("due_date", lookup_expr="gte")
    due_to = DayFilter("due_date", lookup_expr="lte")
    value_min = NumberFilter("forecast_value", lookup_expr="gte")
    value_max = NumberFilter("forecast_value", lookup_expr="lte")
    created_from = InstantFilter("created_at", lookup_expr="gte")


class MineFilter(YesNoFilter):
    """`true`: the items of the person who asks; a key has none."""

    def filter(self, qs: QuerySet[Any], value: Any) -> QuerySet[Any]:
        if not (value and value[-1]):
            return qs
        user_id = self.parent.request.auth.actor.user_id
        return qs.none() if user_id is None else qs.filter(owner_id=user_id)


class BadgeFilter(ChoicesFilter):
    """Items whose badge is one of these, read from their clocks."""

    def filter(self, qs: Any, value: Any) -> Any:
        return qs.badged(value) if value else qs


class OneChoiceFilter(ChoicesFilter):
    """One of a fixed set that says what is shown of the rows; which rows there are stays the same."""

    takes_many = False

    def filter(self, qs: QuerySet[Any], value: Any) -> QuerySet[Any]:
        return qs


class CardsFilter(OneFilter):
    """How many cards a column shows."""

    schema: ClassVar[dict[str, Any]] = {"type": "integer", "minimum": 1, "default": 25}

    def convert(self, text: str) -> int:
        if not (text.isascii() and text.isdigit() and len(text) <= 9 and int(text) > 0):
            raise ValueError("This must be a whole number from 1.")
        return int(text)

    def filter(self, qs: QuerySet[Any], value: Any) -> QuerySet[Any]:
        return qs


class ClosedFilter(YesNoFilter):
    """Whether the closed columns are shown as well."""

    def filter(self, qs: QuerySet[Any], value: Any) -> QuerySet[Any]:
        return qs


class _BoardFilters(OrgFilterSet):
    """What both boards can be asked for."""

    closed = ClosedFilter(help_text="Show the closed columns too.")
    order = OneChoiceFilter(
        choices=[("priority", "As on the Today panel"), ("due_date", "Soonest due first")],
        help_text="Of the open columns, `priority` unless said; a closed column has its latest arrivals first.",
    )
    limit = CardsFilter(help_text="Cards in each column; more than 100 means 100.")
    owner_user_id = IdsFilter("owner_id")
    mine = MineFilter(help_text="Only what the caller owns.")
    client_id = ClientIdsFilter("client_id")
    tag = TagsFilter("tag_links")
    badge = BadgeFilter(choices=[("red", "Red"), ("amber", "Amber"), ("green", "Green")])


class CandidateBoardFilters(_BoardFilters):
    column = ChoicesFilter("status", choices=CandidateStatus.choices, help_text="These columns only, closed or not.")
    value_min = NumberFilter("estimated_value", lookup_expr="gte")
    value_max = NumberFilter("estimated_value", lookup_expr="lte")


class PursuitBoardFilters(_BoardFilters):
    column = ChoicesFilter("stage", choices=PursuitStage.choices, help_text="These columns only, closed or not.")
    value_min = NumberFilter("forecast_value", lookup_expr="gte")
    value_max = NumberFilter("forecast_value", lookup_expr="lte")


class ProposalFilters(OrgFilterSet):
    status = ChoicesFilter(choices=ProposalStatus.choices)
    pursuit_id = IdsFilter("pursuit_id")


class TaskFilters(OrgFilterSet):
    status = ChoicesFilter(choices=TaskStatus.choices)
    assignee_user_id = IdsFilter("assignee_id")
    due_to = InstantFilter("due_at", lookup_expr="lte")
    candidate_id = IdsFilter("candidate_id")
    pursuit_id = IdsFilter("pursuit_id")
    engagement_id = IdsFilter("engagement_id")


class EngagementFilters(OrgFilterSet):
    client_id = ClientIdsFilter("client_id")
    owner_user_id = IdsFilter("owner_id")
    pursuit_id = IdsFilter("pursuit_id")


class MetricFilter(ChoicesFilter):
    """Rows about one of these metrics, by name or alias."""

    def __init__(self, field_name: str | None = None, **kwargs: Any) -> None:
        kwargs.pop("choices", None)
        names = [*(metric.value for metric in RULED_METRICS), *METRIC_ALIASES]
        super().__init__(field_name, choices=[(name, name) for name in names], **kwargs)

    def convert(self, text: str) -> str:
        return metric_named(super().convert(text))


class ClockedItemFilter(ChoicesFilter):
    """Rows about items of these kinds."""

    def filter(self, qs: QuerySet[Any], value: Any) -> QuerySet[Any]:
        kinds = Q()
        for kind in value or ():
            kinds |= Q(**{f"{kind}__isnull": False})
        return qs.filter(kinds)


class OpenFilter(YesNoFilter):
    """`true`: what is not resolved yet; `false`: what is."""

    def filter(self, qs: QuerySet[Any], value: Any) -> QuerySet[Any]:
        return qs.filter(resolved_at__isnull=value[-1]) if value else qs


class SlaRuleFilters(OrgFilterSet):
    item_type = ChoicesFilter(choices=SlaItem.choices)
    metric = MetricFilter()
    calendar_id = IdsFilter("calendar_id")
    is_active = YesNoFilter()


class SlaBreachFilters(OrgFilterSet):
    metric = MetricFilter()
    item_type = ClockedItemFilter(choices=SlaItem.choices)
    signal_id = IdsFilter("signal_id")
    candidate_id = IdsFilter("candidate_id")
    pursuit_id = IdsFilter("pursuit_id")
    rule_id = IdsFilter("rule_id")
    open = OpenFilter()
    reason_code = ChoicesFilter(choices=BreachReason.choices)
    breached_after = InstantFilter("breached_at", lookup_expr="gte")
    breached_before = InstantFilter("breached_at", lookup_expr="lt")
