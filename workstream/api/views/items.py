"""What hangs off every item: activities, tasks and links."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from django.utils.timezone import now
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response

from workstream import services
from workstream.api.serializers.items import (
    ActivityBody,
    ActivitySerializer,
    LinkBody,
    LinkSerializer,
    TaskBody,
    TaskSerializer,
)
from workstream.models import Activity, Task, WorkItemLink


class ActivitiesMixin:
    """`/{item}/{id}/activities`: the timeline of an item, and logging on it. Listed after OrgViewSet."""

    body_classes: ClassVar[Mapping[str, type[serializers.BaseSerializer[Any]]]] = {
        "log_activity": ActivityBody,
        "create_task": TaskBody,
        "link_elsewhere": LinkBody,
    }

    def _below(self: Any, model: Any) -> Any:
        return model.objects.for_org(self.org).filter(**{self.resource: self.kwargs["pk"]})

    def _where(self: Any) -> dict[str, Any]:
        return {"org": self.org, "item_type": self.resource, "item_id": self.kwargs["pk"], "actor": self.actor}

    @extend_schema(responses=ActivitySerializer(many=True))
    @action(detail=True, methods=["get"])
    def activities(self: Any, request: Request, pk: int) -> Response:
        """The timeline, newest first."""
        self.require_exists()
        return self.reply_list(self._below(Activity).order_by("-happened_at", "-pk"), ActivitySerializer)

    @extend_schema(responses={201: ActivitySerializer})
    @activities.mapping.post
    def log_activity(self: Any, request: Request, pk: int) -> Response:
        """Log what happened; the item is touched."""
        activity = services.log_activity(**self._where(), **self.body(), at=now())
        return self.reply(activity, status=201, serializer_class=ActivitySerializer, resource="activity")


class WorkMixin(ActivitiesMixin):
    """Activities, and `/{item}/{id}/tasks` and `/{item}/{id}/links`. Listed after OrgViewSet."""

    @extend_schema(responses=TaskSerializer(many=True))
    @action(detail=True, methods=["get"])
    def tasks(self: Any, request: Request, pk: int) -> Response:
        """The item's tasks, soonest first."""
        self.require_exists()
        return self.reply_list(self._below(Task).order_by("due_at", "pk"), TaskSerializer)

    @extend_schema(responses={201: TaskSerializer})
    @tasks.mapping.post
    def create_task(self: Any, request: Request, pk: int) -> Response:
        """Open a task on the item."""
        task = services.create_task(**self._where(), **self.body(), at=now())
        return self.reply(task, status=201, serializer_class=TaskSerializer, resource="task")

    @extend_schema(responses=LinkSerializer(many=True))
    @action(detail=True, methods=["get"])
    def links(self: Any, request: Request, pk: int) -> Response:
        """What the item points at elsewhere."""
        self.require_exists()
        return self.reply_list(self._below(WorkItemLink).order_by("pk"), LinkSerializer)

    @extend_schema(responses={201: LinkSerializer})
    @links.mapping.post
    def link_elsewhere(self: Any, request: Request, pk: int) -> Response:
        """Point from the item to something elsewhere."""
        link = services.link_item(**self._where(), **self.body(), at=now())
        return self.reply(link, status=201, serializer_class=LinkSerializer, resource="link")
