"""`/api/workstream/today`: what wants attention now, most pressing first."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from typing import Any

from django.utils.timezone import now
from drf_spectacular.utils import extend_schema
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response

from flowledger.api import etags
from flowledger.api.filters import ChoicesFilter, IdsFilter, OrgFilterSet, TextsFilter, YesNoFilter
from flowledger.api.viewsets import OrgViewSet
from flowledger.errors import InvalidInput
from workstream import services
from workstream.api.serializers.today import (
    ITEM_TYPES,
    SnoozeBody,
    SnoozeSerializer,
    TodayCountsSerializer,
    TodayPageSerializer,
    TodayRowSerializer,
)
from workstream.models import TodayItem
from workstream.models.today import Badge, Tier
from workstream.reports import today


class TodayFilterSet(OrgFilterSet):
    """Filters of the panel; `mine` are the items that the caller owns."""

    badge = ChoicesFilter(choices=[(badge.label, badge.label) for badge in Badge])
    tier = ChoicesFilter(choices=[(tier.label, tier.label) for tier in Tier])
    item_type = ChoicesFilter(choices=[(name, name) for name in ITEM_TYPES])
    owner_user_id = IdsFilter("owner_id")
    mine = YesNoFilter()
    tag = TextsFilter()

    def wanted(self) -> today.TodayFilters:
        """What was asked for, once it is valid."""
        given = self.form.cleaned_data
        owners = list(given["owner_user_id"])
        if given["mine"] and given["mine"][-1]:
            user_id = self.request.auth.actor.user_id
            if user_id is None:
                raise InvalidInput("An API key owns nothing.", fields={"mine": ["Name the owner by owner_user_id."]})
            owners = [user_id]
        return today.TodayFilters(
            badges=[badge.value for badge in Badge if badge.label in given["badge"]],
            tiers=[tier.value for tier in Tier if tier.label in given["tier"]],
            owners=owners,
            tags=given["tag"],
            item_types=given["item_type"],
        )

    def filter_queryset(self, queryset: Any) -> Any:
        return today.narrow(queryset, org=self.request.auth.org, filters=self.wanted())


class TodayViewSet(OrgViewSet):
    """The Today panel. Its ETag is the panel's version with the question and the asker: hours in an answer may age."""

    model = TodayItem
    resource = "today"
    scope = "workstream"
    serializer_class = TodayRowSerializer
    filterset_class = TodayFilterSet
    search = OrgViewSet.search_words
    body_classes = {"snooze": SnoozeBody}
    versioned_reads = frozenset({"list"})

    def scoped_queryset(self, rows: Any) -> Any:
        return rows.shown().in_order().select_related("owner")

    @extend_schema(responses=TodayPageSerializer)
    def list(self, request: Request) -> Response:
        """One page of the panel; polling it unchanged costs a 304."""
        whole = today.today_version(self.org)
        etag = self._etag(whole.version)
        if etags.is_fresh(request.headers, etag):
            return Response(status=304, headers={"ETag": f"W/{etag}"})
        rows = self.filter_queryset(self.get_queryset())
        page = self.paginate_queryset(rows) or []
        described = today.described(page, org=self.org, at=now(), actor=self.actor)
        response = self.get_paginated_response(TodayRowSerializer(described, many=True).data)
        response.data["counts"] = TodayCountsSerializer(self._header(whole)).data
        response["ETag"] = f"W/{etag}"
        return response

    @extend_schema(responses=SnoozeSerializer)
    @action(detail=False, methods=["post"])
    def snooze(self, request: Request) -> Response:
        """Put an item off the panel until a time, or bring it back."""
        row = services.snooze_item(org=self.org, **self.body(), actor=self.actor, at=now())
        return Response(SnoozeSerializer(row).data)

    def _header(self, whole: today.PanelVersion) -> today.PanelVersion:
        """Counts for the question; it has been found valid."""
        asked = TodayFilterSet(
            self.request.query_params, queryset=TodayItem.objects.for_org(self.org), request=self.request
        )
        asked.form.full_clean()
        filters = replace(asked.wanted(), q=self.request.query_params.get("q", ""))
        return today.panel_header(org=self.org, filters=filters, whole=whole)

    def _etag(self, version: int) -> str:
        asker = (self.principal.name, self.actor.role.value)
        question = sorted(self.request.query_params.lists())
        digest = hashlib.sha256(repr((asker, question)).encode()).hexdigest()[:16]
        return f'"today-{self.org.pk}-{version}-{digest}"'
