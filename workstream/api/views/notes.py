"""`/api/clients/{id}/notes` and `/api/contacts/{id}/notes`: activities on those who buy."""

from __future__ import annotations

from typing import Any

from django.utils.timezone import now
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from flowledger.api.base import Target
from flowledger.api.viewsets import OrgViewSet
from flowledger.clients.models import Client, Contact
from flowledger.clients.services.survivors import standing
from workstream import services
from workstream.api.serializers.items import ActivityBody, ActivitySerializer
from workstream.models import Activity


class ClientNotesViewSet(OrgViewSet):
    """Notes and other activities on a client."""

    model = Activity
    resource = "activity"
    scope = "clients"
    serializer_class = ActivitySerializer
    body_classes = {"create": ActivityBody}
    on = "client"
    on_model: Any = Client

    def target(self) -> Target | None:
        return Target(self.on, self.on_model.objects.for_org(self.org).filter(pk=self.kwargs["pk"]))

    @extend_schema(responses=ActivitySerializer(many=True))
    def list(self, request: Request, pk: int) -> Response:
        """The timeline, newest first; by the id of a tombstone that of its survivor."""
        rows = Activity.objects.for_org(self.org).filter(**{self.on: standing(self.on_model, org=self.org, pk=pk)})
        return self.reply_list(rows.order_by("-happened_at", "-pk"))

    @extend_schema(responses={201: ActivitySerializer})
    def create(self, request: Request, pk: int) -> Response:
        """Log a note or another activity."""
        activity = services.log_activity(
            org=self.org, item_type=self.on, item_id=pk, **self.body(), actor=self.actor, at=now()
        )
        return self.reply(activity, status=201)


class ContactNotesViewSet(ClientNotesViewSet):
    """Notes and other activities on a contact."""

    on = "contact"
    on_model = Contact
