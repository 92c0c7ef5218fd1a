"""`/api/memory/conflicts`: atoms that contradict each other, and the decision between them."""

from __future__ import annotations

from typing import Any

from django.db.models import Prefetch
from django.utils.timezone import now
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response

from flowledger.api.base import Target
from flowledger.api.mixins import ListModelMixin
from flowledger.api.viewsets import OrgViewSet
from memory import services
from memory.api.filters import ConflictFilters
from memory.api.serializers.conflicts import AtomConflictSerializer, ResolutionBody
from memory.models import AtomConflict, AtomSource
from memory.services.conflicts import readable_conflicts, undecided


class AtomConflictViewSet(OrgViewSet, ListModelMixin):
    """Conflicts of atoms that the caller may read, newest first."""

    model = AtomConflict
    resource = "atom_conflict"
    scope = "memory"
    serializer_class = AtomConflictSerializer
    filterset_class = ConflictFilters
    body_classes = {"resolve": ResolutionBody}

    def scoped_queryset(self, rows: Any) -> Any:
        rows = readable_conflicts(self.org, self.actor)
        if self.action == "list" and "status" not in self.request.query_params:
            rows = undecided(rows)
        sources = AtomSource.objects.for_org(self.org).order_by("pk")
        both = (Prefetch("older__sources", sources), Prefetch("newer__sources", sources))
        return rows.select_related("older", "newer").prefetch_related(*both).order_by("-pk")

    def target(self) -> Target | None:
        """The conflict, if the caller may read both atoms."""
        if "pk" not in self.kwargs:
            return None
        return Target(self.resource, readable_conflicts(self.org, self.actor).filter(pk=self.kwargs["pk"]))

    @action(detail=True, methods=["post"])
    def resolve(self, request: Request, pk: int) -> Response:
        """Say which of the two holds; the other one is superseded, and with `both` they stay as they are."""
        services.resolve_atom_conflict(org=self.org, conflict_id=pk, **self.body(), actor=self.actor, at=now())
        return self.reply(self.get_object())
