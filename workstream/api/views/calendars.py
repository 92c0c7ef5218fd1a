"""`/api/sla/calendars`."""

from __future__ import annotations

from typing import Any

from django.utils.timezone import now
from drf_spectacular.utils import extend_schema
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response

from flowledger.api.mixins import ListModelMixin, RetrieveModelMixin
from flowledger.api.viewsets import OrgViewSet
from flowledger.tenancy.actors import Role
from workstream import services
from workstream.api.serializers.calendars import CalendarPreviewBody, CalendarPreviewSerializer, CalendarSerializer
from workstream.models import BusinessCalendar


class CalendarViewSet(OrgViewSet, ListModelMixin, RetrieveModelMixin):
    """Business calendars, by name: opening windows, public holidays and own closing days that SLA rules count by."""

    model = BusinessCalendar
    resource = "calendar"
    scope = "workstream"
    serializer_class = CalendarSerializer
    action_roles = {
        "create": Role.MANAGER,
        "partial_update": Role.MANAGER,
        "destroy": Role.MANAGER,
        "preview": Role.VIEWER,
    }
    body_classes = {"preview": CalendarPreviewBody}

    def scoped_queryset(self, rows: Any) -> Any:
        return rows.order_by("name", "pk").prefetch_related("closing_days")

    @extend_schema(responses={201: CalendarSerializer})
    def create(self, request: Request) -> Response:
        """Add a calendar with its closing days."""
        calendar = services.create_calendar(org=self.org, **self._written(), actor=self.actor, at=now())
        return self.reply(calendar, status=201)

    def partial_update(self, request: Request, pk: int) -> Response:
        """Change a calendar; running clocks are computed anew."""
        calendar = services.update_calendar(org=self.org, calendar_id=pk, **self._written(), actor=self.actor, at=now())
        return self.reply(calendar)

    def destroy(self, request: Request, pk: int) -> Response:
        """Delete a calendar; refused while SLA rules count by it."""
        services.delete_calendar(org=self.org, calendar_id=pk, actor=self.actor, at=now())
        return Response(status=204)

    @extend_schema(responses=CalendarPreviewSerializer)
    @action(detail=False, methods=["post"])
    def preview(self, request: Request) -> Response:
        """When a number of open hours would be over, and the open times passed on the way; nothing is stored."""
        preview = services.preview_deadline(org=self.org, **self.body(), actor=self.actor, at=now())
        return Response(CalendarPreviewSerializer(preview).data)

    def _written(self) -> dict[str, Any]:
        fields = self.body()
        days = {"closing_days": fields.pop("closing_days")} if "closing_days" in fields else {}
        return {"fields": fields, **days}
