"""`/api/spotlights/rescores`: scoring many items anew in the background."""

from __future__ import annotations

from typing import Any

from django.utils.timezone import now
from drf_spectacular.utils import extend_schema
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response

from flowledger.api.filters import ChoicesFilter, IdsFilter, OrgFilterSet
from flowledger.api.mixins import ListModelMixin, RetrieveModelMixin
from flowledger.api.viewsets import OrgViewSet
from spotlight.api.serializers.rescores import RescoreBody, RescoreSerializer
from spotlight.machines import RescoreStatus
from spotlight.models import Cause, RescoreRun
from spotlight.services.rescores import cancel_rescore, start_rescore
from workstream.api.serializers.items import EmptyBody


class RescoreFilters(OrgFilterSet):
    """By state, by what is scored, and by why."""

    status = ChoicesFilter(choices=RescoreStatus.choices)
    cause = ChoicesFilter(choices=Cause.choices)
    spotlight_id = IdsFilter("spotlight_id")
    client_id = IdsFilter("client_id")
    contact_id = IdsFilter("contact_id")


class RescoreViewSet(OrgViewSet, ListModelMixin, RetrieveModelMixin):
    """Re-scores, newest first; a change of a profile starts one by itself."""

    model = RescoreRun
    resource = "rescore"
    scope = "workstream"
    serializer_class = RescoreSerializer
    filterset_class = RescoreFilters
    body_classes = {"create": RescoreBody, "cancel": EmptyBody}

    def scoped_queryset(self, rows: Any) -> Any:
        return rows.order_by("-pk")

    @extend_schema(responses={201: RescoreSerializer})
    def create(self, request: Request) -> Response:
        """Score anew in the background; poll the re-score for its progress. Everybody's items need a manager."""
        run = start_rescore(org=self.org, **self.body(), cause=Cause.MANUAL, actor=self.actor, at=now())
        return self.reply(run, status=201)

    @action(detail=True, methods=["post"])
    def cancel(self, request: Request, pk: int) -> Response:
        """Stop it after the batch in hand; what is scored stays."""
        self.body()
        return self.reply(cancel_rescore(org=self.org, rescore_id=pk, actor=self.actor, at=now()))
