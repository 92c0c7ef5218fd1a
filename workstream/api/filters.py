"""Filters of the pipeline's lists."""

from __future__ import annotations

from typing import Any

from django.db.models import QuerySet
from django.db.models.functions import Lower

from flowledger.api.filters import (
    ChoicesFilter,
    DayFilter,
    IdsFilter,
    InstantFilter,
    NumberFilter,
    OrgFilterSet,
    TextsFilter,
)
from workstream.machines import CandidateStatus, ProposalStatus, PursuitStage, SignalDisposition, TaskStatus
from workstream.models.candidates import ValueBand
from workstream.models.signals import SourceType


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
    contact_id = IdsFilter("contact_id")
    client_id = IdsFilter("client_id")
    cluster_id = IdsFilter("cluster_id")
    dedupe_key = TextsFilter("dedupe_key")
    ts_from = InstantFilter("ts", lookup_expr="gte")
    ts_to = InstantFilter("ts", lookup_expr="lt")
    urgency_min = NumberFilter("urgency_score", lookup_expr="gte")


class CandidateFilters(OrgFilterSet):
    status = ChoicesFilter(choices=CandidateStatus.choices)
    value_band = ChoicesFilter(choices=ValueBand.choices)
    owner_user_id = IdsFilter("owner_id")
    client_id = IdsFilter("client_id")
    contact_id = IdsFilter("contact_id")
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
    client_id = IdsFilter("client_id")
    contact_id = IdsFilter("contact_id")
    tag = TagsFilter("tag_links")
    due_from = DayFilter("due_date", lookup_expr="gte")
    due_to = DayFilter("due_date", lookup_expr="lte")
    value_min = NumberFilter("forecast_value", lookup_expr="gte")
    value_max = NumberFilter("forecast_value", lookup_expr="lte")
    created_from = InstantFilter("created_at", lookup_expr="gte")


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
    client_id = IdsFilter("client_id")
    owner_user_id = IdsFilter("owner_id")
    pursuit_id = IdsFilter("pursuit_id")
