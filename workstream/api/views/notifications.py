"""`/api/notifications`: what the caller was told, and how they want to be told. People only, and each their own."""

from __future__ import annotations

import hashlib
from typing import Any

from django.utils.timezone import now
from drf_spectacular.utils import extend_schema
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response

from flowledger.api import etags
from flowledger.api.base import OrgAPIView, Target
from flowledger.api.filters import ChoicesFilter, OrgFilterSet, YesNoFilter
from flowledger.api.viewsets import OrgViewSet
from flowledger.tenancy.actors import Role
from workstream import services
from workstream.api.serializers.items import EmptyBody
from workstream.api.serializers.notifications import (
    NotificationSerializer,
    PreferenceSerializer,
    ReadAllSerializer,
)
from workstream.models import Notification
from workstream.services.notifications import preference_of
from workstream.services.sla_notices import BREACHED, WARNED


class NotificationFilters(OrgFilterSet):
    """`unread=true` is what the bell counts."""

    unread = YesNoFilter(method="only_unread")
    kind = ChoicesFilter("kind", choices=[(WARNED, "Warned"), (BREACHED, "Breached")])

    def only_unread(self, rows: Any, name: str, value: list[bool]) -> Any:
        """Unread ones alone, or read ones alone."""
        return rows.filter(read_at__isnull=value[-1]) if value else rows


class NotificationViewSet(OrgViewSet):
    """What the caller was told, newest first. Polling an unchanged list costs a 304."""

    model = Notification
    resource = "notification"
    scope = None
    serializer_class = NotificationSerializer
    filterset_class = NotificationFilters
    action_roles = {"read": Role.VIEWER, "read_all": Role.VIEWER}
    versioned_reads = frozenset({"list"})
    body_classes = {"read": EmptyBody, "read_all": EmptyBody}

    def scoped_queryset(self, rows: Any) -> Any:
        return rows.filter(user_id=self.actor.user_id).order_by("-pk")

    def target(self) -> Target | None:
        """Somebody else's does not exist."""
        if "pk" not in self.kwargs:
            return None
        mine = self.model.objects.for_org(self.org).filter(user_id=self.actor.user_id)
        return Target(self.resource, mine.filter(pk=self.kwargs["pk"]))

    def list(self, request: Request) -> Response:
        """One page, or 304 while nothing was told and nothing was read."""
        etag = self._list_etag(request)
        if etags.is_fresh(request.headers, etag):
            return Response(status=304, headers={"ETag": etag})
        response = self.reply_list(self.filter_queryset(self.get_queryset()))
        response["ETag"] = etag
        return response

    @extend_schema(request=None)
    @action(detail=True, methods=["post"])
    def read(self, request: Request, pk: int) -> Response:
        """Mark as read."""
        self.body()
        row = services.mark_notification_read(org=self.org, notification_id=pk, actor=self.actor, at=now())
        return self.reply(row)

    @extend_schema(request=None, responses=ReadAllSerializer)
    @action(detail=False, methods=["post"], url_path="read-all")
    def read_all(self, request: Request) -> Response:
        """Mark everything as read."""
        self.body()
        marked = services.mark_all_notifications_read(org=self.org, actor=self.actor, at=now())
        return Response({"marked": marked})

    def _list_etag(self, request: Request) -> str:
        """The newest key rises with every notification, and between two of them the number of unread ones falls."""
        rows = self.model.objects.for_org(self.org).filter(user_id=self.actor.user_id)
        newest = rows.order_by("-pk").values_list("pk", flat=True).first() or 0
        asked = hashlib.sha256(repr(sorted(request.query_params.lists())).encode()).hexdigest()[:12]
        return f'"notifications-{self.actor.user_id}-{newest}-{rows.unread().count()}-{asked}"'


class NotificationPreferencesView(OrgAPIView):
    """How the caller wants to be told."""

    scope = None
    action_roles = {"patch": Role.VIEWER}
    body_classes = {"patch": PreferenceSerializer}

    @extend_schema(responses=PreferenceSerializer)
    def get(self, request: Request) -> Response:
        """The caller's preferences; what holds by default while none were set."""
        return Response(PreferenceSerializer(preference_of(org=self.org, actor=self.actor)).data)

    @extend_schema(request=PreferenceSerializer, responses=PreferenceSerializer)
    def patch(self, request: Request) -> Response:
        """Change some of them; emails that wait for their time follow."""
        row = services.set_notification_preferences(org=self.org, fields=self.body(), actor=self.actor, at=now())
        return Response(PreferenceSerializer(row).data)
