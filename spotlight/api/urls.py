"""Addresses of spotlight, below `/api/`."""

from __future__ import annotations

from typing import Any

from django.urls import path

from flowledger.api.routers import OrgRouter
from spotlight.api.views.enrichment import EnrichmentViewSet
from spotlight.api.views.fields import CriterionViewSet, FieldRuleViewSet, SpotlightFieldViewSet
from spotlight.api.views.learning import SpotlightLearningViewSet, WeightProposalViewSet
from spotlight.api.views.profiles import SpotlightViewSet
from spotlight.api.views.reports import (
    ConversionView,
    FieldUsageView,
    MatchAlertView,
    MatchRateView,
    ScoreSummaryView,
)
from spotlight.api.views.rescores import RescoreViewSet
from spotlight.api.views.reviews import ReviewViewSet
from spotlight.api.views.scores import CandidateScoresViewSet, SignalScoresViewSet

router = OrgRouter()
router.register("spotlights/fields", SpotlightFieldViewSet, basename="spotlight-field")
router.register("spotlights/criteria", CriterionViewSet, basename="spotlight-criterion")
router.register("spotlights/rules", FieldRuleViewSet, basename="spotlight-rule")
router.register("spotlights/enrichment", EnrichmentViewSet, basename="spotlight-enrichment")
router.register("spotlights/rescores", RescoreViewSet, basename="spotlight-rescore")
router.register("spotlights/learning", WeightProposalViewSet, basename="weight-proposal")
router.register("spotlights/scores/signal", SignalScoresViewSet, basename="signal-scores")
router.register("spotlights/scores/candidate", CandidateScoresViewSet, basename="candidate-scores")
router.register("spotlights/reviews", ReviewViewSet, basename="spotlight-review")
router.register("spotlights", SpotlightViewSet, basename="spotlight")

urlpatterns: list[Any] = [
    path("spotlights/report", ScoreSummaryView.as_view(), name="spotlight-report"),
    path("spotlights/report/match-rate", MatchRateView.as_view(), name="spotlight-report-match-rate"),
    path("spotlights/report/conversion", ConversionView.as_view(), name="spotlight-report-conversion"),
    path("spotlights/report/fields", FieldUsageView.as_view(), name="spotlight-report-fields"),
    path("spotlights/report/alerts", MatchAlertView.as_view(), name="spotlight-report-alerts"),
    *router.urls,
    path(
        "spotlights/<id:pk>/learning",
        SpotlightLearningViewSet.as_view({"get": "list", "post": "create"}),
        name="spotlight-learning",
    ),
]
