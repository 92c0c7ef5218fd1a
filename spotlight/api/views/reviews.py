"""`/api/spotlights/reviews`: the queue of signals that wait for somebody to decide."""

from __future__ import annotations

from typing import Any

from django.utils.timezone import now
from drf_spectacular.utils import extend_schema
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response

from flowledger.api.base import Target
from flowledger.api.filters import ChoicesFilter, IdsFilter, InstantFilter, OrgFilterSet
from flowledger.api.viewsets import OrgViewSet
from spotlight.api.serializers.reviews import (
    DecisionBody,
    DecisionsBody,
    DecisionsSerializer,
    ListedReviewSerializer,
    ReviewSerializer,
    decisions,
)
from spotlight.machines import ReviewStatus
from spotlight.models import Recommendation, RoutedSignal
from spotlight.services import reviews
from spotlight.services.reasons import sentences_of

# What was routed without a question to anybody is no review.
ASKED = [choice for choice in ReviewStatus.choices if choice[0] != ReviewStatus.SETTLED]


class ReviewFilters(OrgFilterSet):
    """Without `status` the list is what waits."""

    status = ChoicesFilter("review_status", choices=ASKED)
    recommendation = ChoicesFilter(choices=Recommendation.choices)
    spotlight_id = IdsFilter("spotlight_id")
    signal_id = IdsFilter("signal_id")
    routed_from = InstantFilter("routed_at", lookup_expr="gte")
    routed_to = InstantFilter("routed_at", lookup_expr="lt")


class ReviewViewSet(OrgViewSet):
    """Signals whose score asks for a person's eye, the best first; they are addressed by the signal."""

    model = RoutedSignal
    resource = "review"
    scope = "workstream"
    serializer_class = ReviewSerializer
    filterset_class = ReviewFilters
    ordering_fields = ("match_score", "routed_at", "decided_at")
    body_classes = {
        "accept": DecisionBody,
        "dismiss": DecisionBody,
        "accept_many": DecisionsBody,
        "dismiss_many": DecisionsBody,
    }

    def scoped_queryset(self, rows: Any) -> Any:
        if self.action == "list" and "status" not in self.request.query_params:
            rows = rows.waiting()
        return rows.filter(review_status__in=[value for value, _ in ASKED]).order_by("-match_score", "pk")

    def target(self) -> Target | None:
        """The review of the signal that the address names."""
        if "pk" not in self.kwargs:
            return None
        return Target(self.resource, RoutedSignal.objects.for_org(self.org).filter(signal=self.kwargs["pk"]))

    @extend_schema(responses=ListedReviewSerializer(many=True))
    def list(self, request: Request) -> Response:
        """What waits for review, the best first; `status` shows what was decided instead."""
        rows = self.filter_queryset(self.get_queryset()).select_related("signal")
        page = self.paginate_queryset(rows) or []
        context = {
            **self.get_serializer_context(),
            "sentences": sentences_of(org=self.org, reviews=page),
        }
        return self.get_paginated_response(ListedReviewSerializer(page, many=True, context=context).data)

    @action(detail=True, methods=["post"])
    def accept(self, request: Request, pk: int) -> Response:
        """Make a candidate of the signal, or put it behind the open one of its sender."""
        review = reviews.accept_review(org=self.org, signal_id=pk, **self.body(), actor=self.actor, at=now())
        return self.reply(review)

    @action(detail=True, methods=["post"])
    def dismiss(self, request: Request, pk: int) -> Response:
        """Leave it a signal; it is asked about again only if its band rises."""
        review = reviews.dismiss_review(org=self.org, signal_id=pk, **self.body(), actor=self.actor, at=now())
        return self.reply(review)

    @extend_schema(responses=DecisionsSerializer)
    @action(detail=False, methods=["post"], url_path="accept")
    def accept_many(self, request: Request) -> Response:
        """Make candidates of several signals; one that is refused costs the others nothing."""
        return Response(decisions(reviews.accept_reviews(org=self.org, **self.body(), actor=self.actor, at=now())))

    @extend_schema(responses=DecisionsSerializer)
    @action(detail=False, methods=["post"], url_path="dismiss")
    def dismiss_many(self, request: Request) -> Response:
        """Take several signals out of the queue; one that is refused costs the others nothing."""
        return Response(decisions(reviews.dismiss_reviews(org=self.org, **self.body(), actor=self.actor, at=now())))
