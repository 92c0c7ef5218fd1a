"""`/api/clients` and `/api/contacts`."""

from __future__ import annotations

from typing import Any

from django.utils.timezone import now
from drf_spectacular.utils import extend_schema
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response

from flowledger.api.base import Target
from flowledger.api.mixins import ListModelMixin, RetrieveModelMixin
from flowledger.api.viewsets import OrgViewSet
from flowledger.clients import services
from flowledger.clients.api.filters import ClientFilters, ContactFilters
from flowledger.clients.api.serializers import (
    ClientContactBody,
    ClientSerializer,
    ContactSerializer,
    OnboardingTaskBody,
    OnboardingTaskChangeBody,
    OnboardingTaskSerializer,
)
from flowledger.clients.models import Client, Contact, OnboardingTask
from flowledger.tenancy.actors import Role


class DirectoryViewSet(OrgViewSet, ListModelMixin, RetrieveModelMixin):
    """What clients and contacts have in common: newest first, without the tombstones of merges, searchable."""

    scope = "clients"
    search = OrgViewSet.search_words

    def scoped_queryset(self, rows: Any) -> Any:
        rows = rows.order_by("-pk")
        return rows.current() if self.action == "list" else rows


class ClientViewSet(DirectoryViewSet):
    """Companies, their contacts and what is to be done to take them on."""

    model = Client
    resource = "client"
    serializer_class = ClientSerializer
    filterset_class = ClientFilters
    ordering_fields = {"created_at": "created_at", "name": "name", "client_id": "pk"}
    action_roles = {"destroy": Role.MANAGER}
    body_classes = {
        "create_contact": ClientContactBody,
        "create_task": OnboardingTaskBody,
        "update_task": OnboardingTaskChangeBody,
    }

    def target(self) -> Target | None:
        if "task_id" not in self.kwargs:
            return super().target()
        tasks = OnboardingTask.objects.for_org(self.org).filter(client_id=self.kwargs["pk"])
        return Target("onboarding_task", tasks.filter(pk=self.kwargs["task_id"]))

    def create(self, request: Request) -> Response:
        """Enter a company."""
        client = services.create_client(org=self.org, fields=self.body(), actor=self.actor, at=now())
        return self.reply(client, status=201)

    def partial_update(self, request: Request, pk: int) -> Response:
        """Change fields; `is_active: false` retires the company."""
        client = services.update_client(org=self.org, client_id=pk, fields=self.body(), actor=self.actor, at=now())
        return self.reply(client)

    def destroy(self, request: Request, pk: int) -> Response:
        """Delete with contacts and notes; refused while pipeline items name the client or one of its contacts."""
        services.delete_client(org=self.org, client_id=pk, actor=self.actor, at=now())
        return Response(status=204)

    @extend_schema(responses=ContactSerializer(many=True))
    @action(detail=True, methods=["get"])
    def contacts(self, request: Request, pk: int) -> Response:
        """The client's people, newest first."""
        self.require_exists()
        rows = Contact.objects.for_org(self.org).current().filter(client_id=pk)
        return self.reply_list(rows.order_by("-pk"), ContactSerializer)

    @extend_schema(responses={201: ContactSerializer})
    @contacts.mapping.post
    def create_contact(self, request: Request, pk: int) -> Response:
        """Enter a person of the client."""
        fields = {**self.body(), "client": Client.objects.for_org(self.org).fetch(pk)}
        contact = services.create_contact(org=self.org, fields=fields, actor=self.actor, at=now())
        return self.reply(contact, status=201, serializer_class=ContactSerializer, resource="contact")

    @extend_schema(responses=OnboardingTaskSerializer(many=True))
    @action(detail=True, methods=["get"])
    def tasks(self, request: Request, pk: int) -> Response:
        """The client's onboarding tasks by due date."""
        self.require_exists()
        rows = OnboardingTask.objects.for_org(self.org).filter(client_id=pk)
        return self.reply_list(rows.for_list(), OnboardingTaskSerializer)

    @extend_schema(responses={201: OnboardingTaskSerializer})
    @tasks.mapping.post
    def create_task(self, request: Request, pk: int) -> Response:
        """Add a step to taking the client on."""
        task = services.create_onboarding_task(
            org=self.org, client_id=pk, fields=self.body(), actor=self.actor, at=now()
        )
        return self.reply(task, status=201, serializer_class=OnboardingTaskSerializer, resource="onboarding_task")

    @extend_schema(responses=OnboardingTaskSerializer)
    @action(detail=True, methods=["patch"], url_path="tasks/<id:task_id>")
    def update_task(self, request: Request, pk: int, task_id: int) -> Response:
        """Change a step; `status` completes, cancels or reopens it."""
        fields = self.body()
        status = fields.pop("status", None)
        task = services.update_onboarding_task(
            org=self.org, client_id=pk, task_id=task_id, fields=fields, status=status, actor=self.actor, at=now()
        )
        return self.reply(task, serializer_class=OnboardingTaskSerializer, resource="onboarding_task")


class ContactViewSet(DirectoryViewSet):
    """People."""

    model = Contact
    resource = "contact"
    serializer_class = ContactSerializer
    filterset_class = ContactFilters
    ordering_fields = {"created_at": "created_at", "name": "name", "contact_id": "pk"}
    action_roles = {"destroy": Role.MANAGER}

    def create(self, request: Request) -> Response:
        """Enter a person."""
        contact = services.create_contact(org=self.org, fields=self.body(), actor=self.actor, at=now())
        return self.reply(contact, status=201)

    def partial_update(self, request: Request, pk: int) -> Response:
        """Change fields; `is_active: false` retires the contact."""
        contact = services.update_contact(org=self.org, contact_id=pk, fields=self.body(), actor=self.actor, at=now())
        return self.reply(contact)

    def destroy(self, request: Request, pk: int) -> Response:
        """Delete with notes; refused while pipeline items name the contact."""
        services.delete_contact(org=self.org, contact_id=pk, actor=self.actor, at=now())
        return Response(status=204)
