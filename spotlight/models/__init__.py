"""Columns and constraints of profiles, scores, enrichment, routing, re-scores, learned weights and alerts."""

from spotlight.models.alerts import MatchAlert
from spotlight.models.facts import EnrichedFact
from spotlight.models.profiles import (
    FieldEffect,
    FieldRule,
    FieldType,
    Operator,
    Spotlight,
    SpotlightCriterion,
    SpotlightField,
    SpotlightVersion,
    VersionOrigin,
)
from spotlight.models.runs import RescoreRun, RouteAction, RoutedSignal, WeightProposal
from spotlight.models.scores import (
    SCORED_MODELS,
    Cause,
    Recommendation,
    ScoreOverride,
    SpotlightFit,
    SpotlightScore,
    SpotlightScoreChange,
)

__all__ = [
    "SCORED_MODELS",
    "Cause",
    "EnrichedFact",
    "FieldEffect",
    "FieldRule",
    "FieldType",
    "MatchAlert",
    "Operator",
    "Recommendation",
    "RescoreRun",
    "RouteAction",
    "RoutedSignal",
    "ScoreOverride",
    "Spotlight",
    "SpotlightCriterion",
    "SpotlightField",
    "SpotlightFit",
    "SpotlightScore",
    "SpotlightScoreChange",
    "SpotlightVersion",
    "VersionOrigin",
    "WeightProposal",
]
