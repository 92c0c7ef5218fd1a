"""`/api/memory/atoms`: what is known, one piece at a time."""

from __future__ import annotations

import hashlib
from datetime import datetime
from typing import Any

from django.db.models import Prefetch
from django.utils.timezone import now
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema, inline_serializer
from rest_framework import serializers
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response

from flowledger.api.base import Target
from flowledger.api.filters import InstantFilter, refuse_unknown
from flowledger.api.mixins import ListModelMixin
from flowledger.api.viewsets import OrgViewSet
from flowledger.errors import InvalidInput, NotFound
from flowledger.tenancy.actors import Role
from memory import services
from memory.api.filters import AtomFilters
from memory.api.serializers.atoms import (
    AtomBody,
    AtomDetailSerializer,
    AtomSerializer,
    AtomVersionSerializer,
    BreakSerializer,
    CorrectionBody,
    SaidSerializer,
)
from memory.models import Atom, AtomLink, AtomSource, AtomVersion
from memory.services.ledger import held_ledger, ledger_of
from memory.services.versions import broken_links, said_at
from workstream.api.serializers.items import EmptyBody

AS_OF = OpenApiParameter(
    "as_of", OpenApiTypes.DATETIME, description="What held then, by all that is known today; 404 when nothing did."
)
VERSIONS = inline_serializer(
    "AtomVersions",
    {
        "data": AtomVersionSerializer(many=True),
        "is_whole": serializers.BooleanField(help_text="Whether the chain is as it was written."),
        "broken": BreakSerializer(many=True),
    },
)
DETAILED = frozenset({"retrieve", "create", "partial_update", "pin", "unpin", "archive", "restore"})


class AtomViewSet(OrgViewSet, ListModelMixin):
    """Atoms that the caller may read, newest first; active ones unless `state` asks for others."""

    model = Atom
    resource = "atom"
    scope = "memory"
    serializer_class = AtomSerializer
    filterset_class = AtomFilters
    ordering_fields = ("occurred_at", "last_seen_at", "expires_at")
    action_roles = {"versions": Role.ADMIN, "archive": Role.MANAGER, "restore": Role.MANAGER}
    body_classes = {
        "create": AtomBody,
        "partial_update": CorrectionBody,
        "pin": EmptyBody,
        "unpin": EmptyBody,
        "archive": EmptyBody,
        "restore": EmptyBody,
    }

    def get_serializer_class(self) -> Any:
        return AtomDetailSerializer if self.action in DETAILED else AtomSerializer

    def scoped_queryset(self, rows: Any) -> Any:
        rows = rows.readable_by(self.actor)
        if self.action == "list" and "state" not in self.request.query_params:
            rows = rows.active()
        sources = Prefetch("sources", AtomSource.objects.for_org(self.org).order_by("pk"))
        if self.action == "list":
            return rows.prefetch_related(sources).order_by("-occurred_at", "-pk")
        links = Prefetch("links", AtomLink.objects.for_org(self.org).order_by("pk"))
        return rows.prefetch_related(sources, links).order_by("pk")

    def target(self) -> Target | None:
        """The atom, if the caller may read it."""
        if "pk" not in self.kwargs:
            return None
        if "If-Match" in self.request.headers:
            # The frame locks the atom next, and the ledger comes before atoms in the order of locks.
            held_ledger(self.org)
        rows = Atom.objects.for_org(self.org).readable_by(self.actor)
        return Target(self.resource, rows.filter(pk=self.kwargs["pk"]))

    def etag_aspect(self, row: Any) -> str | None:
        """Sources, links and redactions of others are no change of the row and are shown with it."""
        shown = [ledger_of(self.org).epoch, *(each.pk for each in (*row.sources.all(), *row.links.all()))]
        return hashlib.sha256(repr(shown).encode()).hexdigest()[:12]

    @extend_schema(parameters=[AS_OF], responses=AtomDetailSerializer)
    def retrieve(self, request: Request, pk: int) -> Response:
        """One atom with its sources and all that it is visible from, as it is, or as it was `as_of` a moment."""
        atom, moment = self.get_object(), self._as_of()
        if moment is None:
            return self.reply_unless_known(atom)
        said = said_at(self.org, atom, moment)
        if said is None:
            raise NotFound(f"Nothing that this atom says held on {moment:%Y-%m-%d}.", atom_id=atom.pk)
        return Response({**self.get_serializer(atom).data, **SaidSerializer(said).data})

    @extend_schema(responses={201: AtomDetailSerializer, 200: AtomDetailSerializer})
    def create(self, request: Request) -> Response:
        """Remember something by hand; 200 with the atom that says the same already, and is confirmed by it."""
        remembered = services.write_atom(org=self.org, **self.body(), actor=self.actor, at=now())
        return self.reply(self._shown(remembered.atom), status=201 if remembered.created else 200)

    def partial_update(self, request: Request, pk: int) -> Response:
        """Put it right; `If-Match` or `expected_version` refuse when somebody was faster."""
        given = {"content": "", "reason": "", **self.body()}
        return self.reply(
            self._shown(services.correct_atom(org=self.org, atom_id=pk, **given, actor=self.actor, at=now()))
        )

    @action(detail=True, methods=["post"])
    def pin(self, request: Request, pk: int) -> Response:
        """Keep it from being archived."""
        self.body()
        return self.reply(self._shown(services.pin_atom(org=self.org, atom_id=pk, actor=self.actor, at=now())))

    @action(detail=True, methods=["post"])
    def unpin(self, request: Request, pk: int) -> Response:
        """Let it expire like any other."""
        self.body()
        return self.reply(self._shown(services.unpin_atom(org=self.org, atom_id=pk, actor=self.actor, at=now())))

    @action(detail=True, methods=["post"])
    def archive(self, request: Request, pk: int) -> Response:
        """Take it off cards and default search."""
        self.body()
        return self.reply(self._shown(services.archive_atom(org=self.org, atom_id=pk, actor=self.actor, at=now())))

    @action(detail=True, methods=["post"])
    def restore(self, request: Request, pk: int) -> Response:
        """Bring it back; it expires anew from now."""
        self.body()
        return self.reply(self._shown(services.restore_atom(org=self.org, atom_id=pk, actor=self.actor, at=now())))

    @extend_schema(responses=VERSIONS)
    @action(detail=True, methods=["get"])
    def versions(self, request: Request, pk: int) -> Response:
        """What it said before, for auditors, and whether the chain of digests is whole."""
        self.require_exists()
        rows = AtomVersion.objects.for_org(self.org).filter(atom=pk).order_by("version")
        broken = broken_links(self.org, ledger_of(self.org), [pk])
        shown = AtomVersionSerializer(rows, many=True, context=self.get_serializer_context()).data
        return Response({"data": shown, "is_whole": not broken, "broken": BreakSerializer(broken, many=True).data})

    def _shown(self, atom: Atom) -> Atom:
        """The atom again, with what its representation shows."""
        shown: Atom = self.scoped_queryset(Atom.objects.for_org(self.org)).get(pk=atom.pk)
        return shown

    def _as_of(self) -> datetime | None:
        unknown = refuse_unknown(self.request.query_params, ["as_of", "org_id"])
        text = self.request.query_params.get("as_of", "")
        try:
            moment = InstantFilter().convert(text) if text else None
        except ValueError as error:
            unknown["as_of"] = [str(error)]
        if unknown:
            name, sentences = next(iter(unknown.items()))
            raise InvalidInput(f"{name}: {sentences[0]}", fields=unknown)
        return moment
