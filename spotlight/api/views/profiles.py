"""`/api/spotlights`: profiles, their versions, copies and trials."""

from __future__ import annotations

from typing import Any

from django.db.models import prefetch_related_objects
from django.utils.timezone import now
from drf_spectacular.utils import extend_schema
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response

from flowledger.api.mixins import ListModelMixin, RetrieveModelMixin
from flowledger.api.viewsets import OrgViewSet
from flowledger.errors import NotFound
from flowledger.tenancy.actors import Role
from spotlight import services
from spotlight.api.filters import SpotlightFilters
from spotlight.api.serializers.explanations import (
    DraftBody,
    DraftPreviewSerializer,
    FitExplanationSerializer,
    TrialBody,
)
from spotlight.api.serializers.profiles import (
    CloneBody,
    RevertBody,
    SpotlightSerializer,
    SpotlightVersionSerializer,
)
from spotlight.models import Spotlight, SpotlightVersion
from spotlight.services.previews import preview_spotlight


class SpotlightViewSet(OrgViewSet, ListModelMixin, RetrieveModelMixin):
    """Ideal-customer profiles, by name, with their criteria."""

    model = Spotlight
    resource = "spotlight"
    scope = "workstream"
    serializer_class = SpotlightSerializer
    filterset_class = SpotlightFilters
    ordering_fields = {"name": "name", "created_at": "created_at", "spotlight_id": "pk"}
    action_roles = {
        "create": Role.MANAGER,
        "update": Role.MANAGER,
        "partial_update": Role.MANAGER,
        "destroy": Role.MANAGER,
        "clone": Role.MANAGER,
        "revert": Role.MANAGER,
        "evaluate": Role.VIEWER,
        "preview": Role.VIEWER,
    }
    body_classes = {"clone": CloneBody, "revert": RevertBody, "evaluate": TrialBody, "preview": DraftBody}

    def scoped_queryset(self, rows: Any) -> Any:
        return rows.for_list()

    @extend_schema(responses={201: SpotlightSerializer})
    def create(self, request: Request) -> Response:
        """Make a profile with its criteria; it counts from now on if it is active."""
        spotlight = services.create_spotlight(org=self.org, **self._written(), actor=self.actor, at=now())
        return self._reply(spotlight, status=201)

    def update(self, request: Request, pk: int) -> Response:
        """Write a profile whole: what is left out is empty, and `active` is on."""
        given = self._written()
        whole = {"criteria": [], **given, "fields": {"description": "", "active": True, **given["fields"]}}
        return self._reply(
            services.update_spotlight(org=self.org, spotlight_id=pk, **whole, actor=self.actor, at=now())
        )

    def partial_update(self, request: Request, pk: int) -> Response:
        """Change a profile; a change that can move scores makes the next version and has everything scored anew."""
        return self._reply(
            services.update_spotlight(org=self.org, spotlight_id=pk, **self._written(), actor=self.actor, at=now())
        )

    def destroy(self, request: Request, pk: int) -> Response:
        """Delete a profile with its versions and scores; the fields of its domain stay."""
        services.delete_spotlight(org=self.org, spotlight_id=pk, actor=self.actor, at=now())
        return Response(status=204)

    @extend_schema(responses={201: SpotlightSerializer})
    @action(detail=True, methods=["post"])
    def clone(self, request: Request, pk: int) -> Response:
        """Copy a profile whole; the copy is not active, so that it can be changed before it counts."""
        copy = services.clone_spotlight(org=self.org, spotlight_id=pk, **self.body(), actor=self.actor, at=now())
        return self._reply(copy, status=201)

    @extend_schema(responses=SpotlightVersionSerializer(many=True))
    @action(detail=True, methods=["get"])
    def versions(self, request: Request, pk: int) -> Response:
        """What the profile was at each version, newest first."""
        self.require_exists()
        return self.reply_list(self._versions(pk).order_by("-version"), SpotlightVersionSerializer)

    @extend_schema(responses=SpotlightVersionSerializer)
    @action(detail=True, methods=["get"], url_path="versions/<id:version>")
    def version(self, request: Request, pk: int, version: int) -> Response:
        """What the profile was at one version."""
        self.require_exists()
        kept = self._versions(pk).filter(version=version).order_by("pk").first()
        if kept is None:
            raise NotFound(f"This profile has no version {version}.")
        return self.reply(kept, serializer_class=SpotlightVersionSerializer, resource="spotlight_version")

    @extend_schema(responses=SpotlightSerializer)
    @action(detail=True, methods=["post"], url_path="versions/<id:version>/revert")
    def revert(self, request: Request, pk: int, version: int) -> Response:
        """Go back to the criteria of an earlier version, as a new version."""
        return self._reply(
            services.revert_spotlight(
                org=self.org, spotlight_id=pk, version=version, **self.body(), actor=self.actor, at=now()
            )
        )

    @extend_schema(responses=FitExplanationSerializer)
    @action(detail=True, methods=["post"])
    def evaluate(self, request: Request, pk: int) -> Response:
        """What a signal with this data would score, and why; nothing is stored."""
        explanation = services.evaluate_once(org=self.org, spotlight_id=pk, **self.body(), actor=self.actor, at=now())
        return Response(FitExplanationSerializer(explanation.as_dict()).data)

    @extend_schema(responses=DraftPreviewSerializer)
    @action(detail=True, methods=["post"])
    def preview(self, request: Request, pk: int) -> Response:
        """What draft criteria would make of the newest signals, beside the stored ones; nothing is stored."""
        preview = preview_spotlight(org=self.org, spotlight_id=pk, **self.body(), actor=self.actor, at=now())
        return Response(DraftPreviewSerializer(preview).data)

    def _written(self) -> dict[str, Any]:
        fields = self.body()
        return {
            **{name: fields.pop(name) for name in ("criteria", "note") if name in fields},
            "fields": fields,
        }

    def _versions(self, pk: int) -> Any:
        return SpotlightVersion.objects.for_org(self.org).filter(spotlight_id=pk)

    def _reply(self, spotlight: Spotlight, status: int = 200) -> Response:
        prefetch_related_objects([spotlight], "criteria__field")
        return self.reply(spotlight, status=status)
