"""`/api/tasks` and `/api/engagements`."""

from __future__ import annotations

from typing import Any

from django.utils.timezone import now
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response

from flowledger.api.mixins import ListModelMixin, RetrieveModelMixin
from flowledger.api.viewsets import OrgViewSet
from workstream import services
from workstream.api.filters import EngagementFilters, TaskFilters
from workstream.api.serializers.items import EmptyBody, TaskSerializer
from workstream.api.serializers.pursuits import EngagementSerializer
from workstream.api.views.items import WorkMixin
from workstream.models import Engagement, Task


class TaskViewSet(OrgViewSet, ListModelMixin, RetrieveModelMixin):
    """Tasks of the organisation, soonest due first; they are opened below their item."""

    model = Task
    resource = "task"
    scope = "workstream"
    serializer_class = TaskSerializer
    filterset_class = TaskFilters
    ordering_fields = ("due_at", "created_at")
    body_classes = {"done": EmptyBody, "cancel": EmptyBody}

    def scoped_queryset(self, rows: Any) -> Any:
        return rows.order_by("due_at", "pk")

    @action(detail=True, methods=["post"])
    def done(self, request: Request, pk: int) -> Response:
        """Mark done."""
        self.body()
        return self.reply(services.complete_task(org=self.org, task_id=pk, actor=self.actor, at=now()))

    @action(detail=True, methods=["post"])
    def cancel(self, request: Request, pk: int) -> Response:
        """Drop."""
        self.body()
        return self.reply(services.cancel_task(org=self.org, task_id=pk, actor=self.actor, at=now()))


class EngagementViewSet(OrgViewSet, ListModelMixin, RetrieveModelMixin, WorkMixin):
    """Won business, newest first."""

    model = Engagement
    resource = "engagement"
    scope = "workstream"
    serializer_class = EngagementSerializer
    filterset_class = EngagementFilters
    ordering_fields = ("started_on", "value", "created_at")
    body_classes = WorkMixin.body_classes

    def scoped_queryset(self, rows: Any) -> Any:
        return rows.order_by("-started_on", "-pk")
