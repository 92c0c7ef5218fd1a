"""`/api/intake/sources`."""

from __future__ import annotations

from typing import Any

from django.utils.timezone import now
from drf_spectacular.utils import extend_schema
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response

from flowledger.api.mixins import ListModelMixin, RetrieveModelMixin
from flowledger.api.viewsets import OrgViewSet
from flowledger.errors import NotFound
from flowledger.tenancy.actors import Role
from workstream import services
from workstream.api.doors import form_address
from workstream.api.serializers.sources import (
    CreateSourceBody,
    KeptSourceSerializer,
    PreviewSerializer,
    RotateSecretBody,
    SampleBody,
    SnippetSerializer,
    SourceSerializer,
    UpdateSourceBody,
)
from workstream.intake import form_html
from workstream.models.intake import IntakeSource, SourceKind
from workstream.services.sources import KeptSource, options_of


class SourceViewSet(OrgViewSet, ListModelMixin, RetrieveModelMixin):
    """Configured ways in, by name: web forms, webhooks, mail providers, mailboxes."""

    model = IntakeSource
    resource = "source"
    scope = "workstream"
    # Its answers may show a secret, which is stored nowhere else.
    idempotent = False
    serializer_class = SourceSerializer
    action_roles = dict.fromkeys(
        (
            "list",
            "retrieve",
            "create",
            "partial_update",
            "destroy",
            "rotate_secret",
            "snippet",
            "test",
            "poll",
        ),
        Role.MANAGER,
    )
    body_classes = {
        "create": CreateSourceBody,
        "partial_update": UpdateSourceBody,
        "rotate_secret": RotateSecretBody,
        "test": SampleBody,
    }

    def scoped_queryset(self, rows: Any) -> Any:
        return rows.order_by("name", "pk")

    @extend_schema(responses={201: KeptSourceSerializer})
    def create(self, request: Request) -> Response:
        """Add a source; a secret that was made for it is in this answer and never again."""
        fields = self.body()
        secret = fields.pop("secret", "")
        kept = services.create_source(org=self.org, fields=fields, secret=secret, actor=self.actor, at=now())
        return self._shown(kept, status=201)

    def partial_update(self, request: Request, pk: int) -> Response:
        """Change a source."""
        fields = self.body()
        secret = fields.pop("secret", None)
        source = services.update_source(
            org=self.org, source_id=pk, fields=fields, secret=secret, actor=self.actor, at=now()
        )
        return self.reply(source)

    def destroy(self, request: Request, pk: int) -> Response:
        """Delete a source; what came through it stays."""
        services.delete_source(org=self.org, source_id=pk, actor=self.actor, at=now())
        return Response(status=204)

    @extend_schema(responses=KeptSourceSerializer)
    @action(detail=True, methods=["post"], url_path="rotate-secret")
    def rotate_secret(self, request: Request, pk: int) -> Response:
        """Put a new secret in force; the old one stays good for a while."""
        kept = services.rotate_secret(org=self.org, source_id=pk, **self.body(), actor=self.actor, at=now())
        return self._shown(kept)

    @extend_schema(responses=SnippetSerializer)
    @action(detail=True, methods=["get"])
    def snippet(self, request: Request, pk: int) -> Response:
        """The HTML of a web form, to paste into a page of an allowed origin."""
        source = self.get_object()
        if source.kind != SourceKind.WEB_FORM:
            raise NotFound("Only web forms have a snippet.")
        page = form_address(request._request, source)
        return Response({"html": form_html.snippet(options_of(source), action=page), "page": page})

    @extend_schema(responses=PreviewSerializer)
    @action(detail=True, methods=["post"])
    def test(self, request: Request, pk: int) -> Response:
        """What a sample would become; nothing is stored."""
        items = services.preview_source(org=self.org, source_id=pk, **self.body(), actor=self.actor, at=now())
        return Response(PreviewSerializer({"items": items}).data)

    @action(detail=True, methods=["post"])
    def poll(self, request: Request, pk: int) -> Response:
        """Have a mailbox read at the next tick, whatever pause it is in."""
        return self.reply(services.poll_soon(org=self.org, source_id=pk, actor=self.actor, at=now()))

    def _shown(self, kept: KeptSource, *, status: int = 200) -> Response:
        kept.source.secret_shown = kept.secret  # type: ignore[attr-defined]
        return self.reply(kept.source, status=status, serializer_class=KeptSourceSerializer)
