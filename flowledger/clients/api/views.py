"""`/api/clients` and `/api/contacts`."""

from __future__ import annotations

from typing import Any, ClassVar

from django.db.models import Q
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
from flowledger.clients.api.merge_serializers import (
    ClientMergeBody,
    ContactMergeBody,
    MergePreviewSerializer,
    MergeSerializer,
)
from flowledger.clients.api.serializers import (
    ClientContactBody,
    ClientSerializer,
    ContactSerializer,
    OnboardingTaskBody,
    OnboardingTaskChangeBody,
    OnboardingTaskSerializer,
)
from flowledger.clients.models import Client, Contact, MergedKind, OnboardingTask
from flowledger.clients.services.survivors import require_standing, standing, survivor_of
from flowledger.tenancy.actors import Role

DIRECTORY_ROLES = {"destroy": Role.MANAGER, "merge": Role.MANAGER, "preview_merge": Role.MANAGER}
MERGES = {MergedKind.CONTACT: services.merge_contacts, MergedKind.CLIENT: services.merge_clients}


class DirectoryViewSet(OrgViewSet, ListModelMixin, RetrieveModelMixin):
    """What clients and contacts have in common: newest first, searchable, merged.

    Lists leave the tombstones of merges out; the address of one is read as that of its survivor and cannot be written.
    """

    scope = "clients"
    search = OrgViewSet.search_words
    kind: ClassVar[MergedKind]

    def target(self) -> Target | None:
        if "pk" not in self.kwargs:
            return None
        pk = self.kwargs["pk"]
        rows = self.model.objects.for_org(self.org).current()
        return Target(self.resource, rows.filter(Q(pk=pk) | Q(merged__pk=pk)))

    def retrieve(self, request: Request, pk: int) -> Response:
        """The object, by the id of a tombstone its survivor."""
        row = self.get_object()
        return self.reply_unless_known(survivor_of(row))

    @extend_schema(responses={201: MergeSerializer})
    @action(detail=False, methods=["post"])
    def merge(self, request: Request) -> Response:
        """Merge two: what names the loser names the survivor, and the loser's address leads there; can be undone."""
        asked = self.body()
        merged = MERGES[self.kind](org=self.org, choices=asked.pop("fields", {}), **asked, actor=self.actor, at=now())
        return self.reply(merged, status=201, serializer_class=MergeSerializer, resource="merge")

    @extend_schema(responses=MergePreviewSerializer)
    @action(detail=False, methods=["post"], url_path="merge/preview")
    def preview_merge(self, request: Request) -> Response:
        """What a merge would do: both sides field by field, and how much would move. Changes nothing."""
        asked = self.body()
        sides = {name: asked[name] for name in ("survivor_id", "loser_id")}
        preview = services.preview_merge(
            org=self.org, kind=self.kind, **sides, choices=asked.get("fields", {}), actor=self.actor
        )
        return Response(MergePreviewSerializer(preview).data)

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
    kind = MergedKind.CLIENT
    action_roles = DIRECTORY_ROLES
    body_classes = {
        "merge": ClientMergeBody,
        "preview_merge": ClientMergeBody,
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
        client = standing(Client, org=self.org, pk=pk)
        rows = Contact.objects.for_org(self.org).current().filter(client=client)
        return self.reply_list(rows.order_by("-pk"), ContactSerializer)

    @extend_schema(responses={201: ContactSerializer})
    @contacts.mapping.post
    def create_contact(self, request: Request, pk: int) -> Response:
        """Enter a person of the client."""
        client = Client.objects.for_org(self.org).fetch(pk)
        require_standing(client)
        fields = {**self.body(), "client": client}
        contact = services.create_contact(org=self.org, fields=fields, actor=self.actor, at=now())
        return self.reply(contact, status=201, serializer_class=ContactSerializer, resource="contact")

    @extend_schema(responses=OnboardingTaskSerializer(many=True))
    @action(detail=True, methods=["get"])
    def tasks(self, request: Request, pk: int) -> Response:
        """The client's onboarding tasks by due date."""
        client = standing(Client, org=self.org, pk=pk)
        rows = OnboardingTask.objects.for_org(self.org).filter(client=client)
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
    kind = MergedKind.CONTACT
    action_roles = DIRECTORY_ROLES
    body_classes = {"merge": ContactMergeBody, "preview_merge": ContactMergeBody}

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
