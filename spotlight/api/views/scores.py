"""`/api/spotlights/scores`: what a signal or candidate scores and why, how it moved, and scores set by hand."""

from __future__ import annotations

from typing import Any, ClassVar

from django.utils.timezone import now
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response

from flowledger.api.converters import MAX_ID
from flowledger.api.filters import IdsFilter, OrgFilterSet, refuse_unknown
from flowledger.api.viewsets import OrgViewSet
from flowledger.errors import InvalidInput
from flowledger.tenancy.actors import Role
from spotlight import services
from spotlight.api.serializers.scores import (
    ItemScoresSerializer,
    OverrideBody,
    OverrideSerializer,
    RescoredSerializer,
    ScoreChangeSerializer,
    score_of,
)
from spotlight.models import Cause, SpotlightFit, SpotlightScoreChange
from spotlight.services.stories import scores_of_item
from workstream.models import Candidate, Signal


class ScoreChangeFilters(OrgFilterSet):
    """Of one profile, or of several."""

    spotlight_id = IdsFilter("spotlight_id")


class _ItemScoresViewSet(OrgViewSet):
    """The scores of one item; the address names the item."""

    item_type: ClassVar[str]
    scope = "workstream"
    serializer_class = ScoreChangeSerializer
    filterset_class = ScoreChangeFilters
    # What an item scores has no version of its own.
    versioned_reads = frozenset()
    action_roles = {"override": Role.MANAGER, "end_override": Role.MANAGER}
    body_classes = {"override": OverrideBody}

    @extend_schema(responses=ItemScoresSerializer)
    def retrieve(self, request: Request, pk: int) -> Response:
        """The score against every active profile with its explanation, the best first."""
        self.require_exists()
        return Response(ItemScoresSerializer(self._scores(pk)).data)

    @extend_schema(request=None, responses=RescoredSerializer)
    @action(detail=True, methods=["post"])
    def rescore(self, request: Request, pk: int) -> Response:
        """Score the item anew against all active profiles, now."""
        self.require_exists()
        scored = services.evaluate_items(
            org=self.org, item_type=self.item_type, item_ids=[pk], cause=Cause.MANUAL, actor=self.actor, at=now()
        )
        return Response(RescoredSerializer({**self._scores(pk), "changed": bool(scored.changed)}).data)

    @extend_schema(responses=ScoreChangeSerializer(many=True))
    @action(detail=True, methods=["get"])
    def history(self, request: Request, pk: int) -> Response:
        """How the scores moved and why, the newest move first."""
        self.require_exists()
        rows = SpotlightScoreChange.objects.for_org(self.org).filter(**{self.item_type: pk})
        return self.reply_list(self.filter_queryset(rows.order_by("-happened_at", "-pk")), ScoreChangeSerializer)

    @extend_schema(responses=OverrideSerializer)
    @action(detail=True, methods=["post"])
    def override(self, request: Request, pk: int) -> Response:
        """Set a score by hand, with a reason and until a moment; the computed one goes on beside it."""
        override = services.override_score(
            org=self.org, item_type=self.item_type, item_id=pk, **self.body(), actor=self.actor, at=now()
        )
        return Response(OverrideSerializer(override, context=self.get_serializer_context()).data)

    @extend_schema(
        parameters=[OpenApiParameter("spotlight_id", OpenApiTypes.INT64, required=True)],
        responses={204: None},
    )
    @override.mapping.delete
    def end_override(self, request: Request, pk: int) -> Response:
        """Take back what was set by hand: the computed score counts again."""
        self.require_exists()
        services.end_override(
            org=self.org,
            item_type=self.item_type,
            item_id=pk,
            spotlight_id=_spotlight_of(request),
            actor=self.actor,
            at=now(),
        )
        return Response(status=204)

    def _scores(self, pk: int) -> dict[str, Any]:
        stories = scores_of_item(org=self.org, item_type=self.item_type, item_id=pk, actor=self.actor, at=now())
        best = SpotlightFit.objects.for_org(self.org).filter(**{self.item_type: pk}).order_by("pk").first()
        return {"item_type": self.item_type, "item_id": pk, "best": best, "scores": list(map(score_of, stories))}


class SignalScoresViewSet(_ItemScoresViewSet):
    """What a signal scores."""

    model = Signal
    resource = "signal"
    item_type = "signal"


class CandidateScoresViewSet(_ItemScoresViewSet):
    """What a candidate scores."""

    model = Candidate
    resource = "candidate"
    item_type = "candidate"


def _spotlight_of(request: Request) -> int:
    """The profile that the query names. Raises InvalidInput."""
    params = request.query_params
    fields = refuse_unknown(params, ["spotlight_id", "org_id"])
    text = params.get("spotlight_id", "")
    if not (text.isascii() and text.isdigit() and len(text) <= 19 and 1 <= int(text) <= MAX_ID):
        fields["spotlight_id"] = ["This must be the id of the profile whose score was set by hand."]
    if fields:
        name, sentences = next(iter(fields.items()))
        raise InvalidInput(f"{name}: {sentences[0]}", fields=fields)
    return int(text)
