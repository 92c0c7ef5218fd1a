"""`/api/contacts/merges`, `/api/clients/merges` and `/api/identity/conflicts`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

from django.utils.timezone import now
from drf_spectacular.utils import extend_schema
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response

from flowledger.api.base import Target
from flowledger.api.mixins import ListModelMixin, RetrieveModelMixin
from flowledger.api.viewsets import OrgViewSet
from flowledger.clients import services
from flowledger.clients.api.filters import ConflictFilters, MergeFilters
from flowledger.clients.api.merge_serializers import (
    IdentityConflictDetailSerializer,
    IdentityConflictSerializer,
    MergeDetailSerializer,
    MergeSerializer,
    ResolveConflictBody,
    ResolvedConflictSerializer,
)
from flowledger.clients.models import IdentityConflict, MergedKind, MergeRecord
from flowledger.clients.services.conflicts import sides_of
from flowledger.tenancy.actors import Role


class MergeViewSet(OrgViewSet, ListModelMixin, RetrieveModelMixin):
    """Merges, newest first, and undoing one."""

    model = MergeRecord
    resource = "merge"
    scope = "clients"
    serializer_class = MergeSerializer
    filterset_class = MergeFilters
    action_roles = {"undo": Role.MANAGER}
    kind: ClassVar[MergedKind]

    def scoped_queryset(self, rows: Any) -> Any:
        return rows.filter(entity_type=self.kind).order_by("-merged_at", "-pk")

    def target(self) -> Target | None:
        found = super().target()
        return found and found._replace(rows=found.rows.filter(entity_type=self.kind))

    def get_serializer_class(self) -> Any:
        return MergeSerializer if self.action == "list" else MergeDetailSerializer

    @action(detail=True, methods=["post"])
    def undo(self, request: Request, pk: int) -> Response:
        """Take the merge back; what was changed since stays as it is and is listed in `undo_report`."""
        report = services.undo_merge(org=self.org, merge_id=pk, kind=self.kind, actor=self.actor, at=now())
        return self.reply(report.merge)


class ContactMergeViewSet(MergeViewSet):
    """Merges of contacts."""

    kind = MergedKind.CONTACT


class ClientMergeViewSet(MergeViewSet):
    """Merges of clients."""

    kind = MergedKind.CLIENT


class ConflictViewSet(OrgViewSet):
    """Pairs of contacts or clients that may be the same or whose keys contradict, for a person to decide."""

    model = IdentityConflict
    resource = "conflict"
    scope = "clients"
    serializer_class = IdentityConflictSerializer
    filterset_class = ConflictFilters
    ordering_fields = {"last_seen": "last_seen", "score": "score", "conflict_id": "pk"}
    body_classes = {"resolve": ResolveConflictBody}

    def scoped_queryset(self, rows: Any) -> Any:
        return rows.order_by("-last_seen", "-pk")

    def list(self, request: Request) -> Response:
        """The review queue, what was seen last first; `status=open` leaves the decided ones out."""
        page = self.paginate_queryset(self.filter_queryset(self.get_queryset()))
        shown = IdentityConflictSerializer(page, many=True, context=self._seen(page or ()))
        return self.get_paginated_response(shown.data)

    @extend_schema(responses=IdentityConflictDetailSerializer)
    def retrieve(self, request: Request, pk: int) -> Response:
        """The pair side by side; what is shown of the two is not counted by its version, so it has no ETag."""
        pair = self.get_object()
        return Response(IdentityConflictDetailSerializer(pair, context=self._seen([pair])).data)

    @extend_schema(responses=ResolvedConflictSerializer)
    @action(detail=True, methods=["post"])
    def resolve(self, request: Request, pk: int) -> Response:
        """Merge the two, or keep them apart for good; the first takes a manager."""
        asked = self.body()
        choices = asked.pop("fields", {})
        found = services.resolve_conflict(
            org=self.org, conflict_id=pk, choices=choices, **asked, actor=self.actor, at=now()
        )
        context = {**self._seen([found.conflict]), "merge_id": found.merge.pk if found.merge else None}
        return Response(ResolvedConflictSerializer(found.conflict, context=context).data)

    def _seen(self, pairs: Sequence[IdentityConflict]) -> dict[str, Any]:
        return {**self.get_serializer_context(), "sides": sides_of(org=self.org, conflicts=pairs)}
