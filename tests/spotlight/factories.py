"""Rows of spotlight for tests: factories store past the use cases, `open_…` functions go through the services."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from decimal import Decimal
from typing import Any

import factory

from flowledger.tenancy.actors import Actor
from flowledger.tenancy.models import Organization
from flowledger.tenancy.scope import org_scope
from spotlight.machines import ReviewStatus
from spotlight.models import (
    Cause,
    EnrichedFact,
    FieldEffect,
    FieldRule,
    FieldType,
    MatchAlert,
    Operator,
    Recommendation,
    RescoreRun,
    RouteAction,
    RoutedSignal,
    ScoreOverride,
    Spotlight,
    SpotlightCriterion,
    SpotlightField,
    SpotlightFit,
    SpotlightScore,
    SpotlightScoreChange,
    SpotlightVersion,
    WeightProposal,
)
from tests.factories import ClientFactory, OrgFactory
from tests.spotlight.generated import sample_evidence
from tests.workstream.factories import AT, SignalFactory

CLERK = Actor.system("tests")


def _same_org(of: type[OrgFactory], **more: Any) -> Any:
    return factory.SubFactory(of, org=factory.SelfAttribute("..org"), **more)


class SpotlightFactory(OrgFactory):
    """A profile without criteria and versions; `open_spotlight` makes a whole one."""

    class Meta:
        model = Spotlight

    name = factory.Sequence(lambda n: f"Profile {n}")
    domain = "manufacturing"


class SpotlightFieldFactory(OrgFactory):
    class Meta:
        model = SpotlightField

    domain = "manufacturing"
    field_name = factory.Sequence(lambda n: f"field_{n}")
    field_type = FieldType.TEXT


class SpotlightCriterionFactory(OrgFactory):
    class Meta:
        model = SpotlightCriterion

    spotlight = _same_org(SpotlightFactory)
    field = _same_org(SpotlightFieldFactory)
    operator = Operator.EQUAL
    value = "Financial Services"
    weight = Decimal(10)


class FieldRuleFactory(OrgFactory):
    class Meta:
        model = FieldRule

    field = _same_org(SpotlightFieldFactory)
    condition_field = _same_org(SpotlightFieldFactory)
    operator = Operator.EQUAL
    condition_value = "Financial Services"
    effect = FieldEffect.SHOW


class SpotlightVersionFactory(OrgFactory):
    class Meta:
        model = SpotlightVersion

    spotlight = _same_org(SpotlightFactory)
    version = 1
    definition = factory.LazyAttribute(
        lambda version: {"name": version.spotlight.name, "domain": version.spotlight.domain, "criteria": []}
    )
    made_at = AT


class EnrichedFactFactory(OrgFactory):
    class Meta:
        model = EnrichedFact

    client = _same_org(ClientFactory)
    field_name = factory.Sequence(lambda n: f"field_{n}")
    value = "Financial Services"
    provider = "tests"
    fetched_at = AT


class SpotlightScoreFactory(OrgFactory):
    """A signal that scores 0.8 against a profile."""

    class Meta:
        model = SpotlightScore

    signal = _same_org(SignalFactory)
    spotlight = _same_org(SpotlightFactory)
    spotlight_version = 1
    match_score = Decimal("0.8000")
    recommendation = Recommendation.HIGH
    coverage = Decimal("1.0000")
    matched_fields = 0
    total_fields = 0
    components = factory.LazyFunction(list)
    algorithm_version = "1"
    evaluated_at = AT


class SpotlightScoreChangeFactory(OrgFactory):
    """A signal's way from 0.5 to 0.8."""

    class Meta:
        model = SpotlightScoreChange

    signal = _same_org(SignalFactory)
    spotlight = _same_org(SpotlightFactory)
    happened_at = AT
    cause = Cause.ITEM
    previous_score = Decimal("0.5000")
    match_score = Decimal("0.8000")
    previous_recommendation = Recommendation.LOW
    recommendation = Recommendation.HIGH
    previous_version = 1
    spotlight_version = 1


class SpotlightFitFactory(OrgFactory):
    class Meta:
        model = SpotlightFit

    signal = _same_org(SignalFactory)
    spotlight = _same_org(SpotlightFactory)
    match_score = Decimal("0.8000")
    recommendation = Recommendation.HIGH
    coverage = Decimal("1.0000")
    evaluated_at = AT


class ScoreOverrideFactory(OrgFactory):
    """A standing override of a signal."""

    class Meta:
        model = ScoreOverride

    signal = _same_org(SignalFactory)
    spotlight = _same_org(SpotlightFactory)
    match_score = Decimal("0.9000")
    recommendation = Recommendation.HIGH
    reason = "We know them"
    set_at = AT
    expires_at = factory.LazyAttribute(lambda override: override.set_at + timedelta(days=30))


class RescoreRunFactory(OrgFactory):
    """A run over all signals against one profile that has not begun."""

    class Meta:
        model = RescoreRun

    spotlight = _same_org(SpotlightFactory)
    cause = Cause.PROFILE
    started_at = AT


class RoutedSignalFactory(OrgFactory):
    """A signal that waits for review."""

    class Meta:
        model = RoutedSignal

    signal = _same_org(SignalFactory)
    spotlight = _same_org(SpotlightFactory)
    recommendation = Recommendation.LOW
    match_score = Decimal("0.4500")
    action = RouteAction.REVIEW
    review_status = ReviewStatus.WAITING
    routed_at = AT


class WeightProposalFactory(OrgFactory):
    class Meta:
        model = WeightProposal

    spotlight = _same_org(SpotlightFactory)
    base_version = 1
    weights = factory.LazyFunction(dict)
    evidence = factory.LazyFunction(sample_evidence)
    made_at = AT


class MatchAlertFactory(OrgFactory):
    """A stretch that stands: 2 of 100 signals matched."""

    class Meta:
        model = MatchAlert

    spotlight = _same_org(SpotlightFactory)
    match_rate = Decimal("0.0200")
    least_rate = Decimal("0.0500")
    signals = 100
    window_days = 7
    began_at = AT


def wish(field_name: str, operator: str, value: Any, weight: float = 10, **more: Any) -> dict[str, Any]:
    """A criterion as services and API take it: `field_type="number"` makes the field, `required=True` caps."""
    return {"field_name": field_name, "operator": operator, "value": value, "weight": weight, **more}


# The worked example: four wishes of equal weight. A signal of the industry with 120 people, three sites and a budget
# of 60,000 meets three of them and earns 0.2 of the fourth: 3.2 of 4, a score of 0.8.
WORKED_EXAMPLE: tuple[Mapping[str, Any], ...] = (
    wish("industry", "=", "Financial Services", field_type="text"),
    wish("budget", ">=", 100_000, field_type="number"),
    wish("employees", "between", [50, 200], field_type="number"),
    wish("sites", ">=", 2, field_type="number"),
)
WORKED_DATA: Mapping[str, Any] = {"industry": "Financial Services", "budget": "60k", "employees": 120, "sites": 3}


def open_spotlight(
    org: Organization,
    criteria: Any = WORKED_EXAMPLE,
    *,
    actor: Actor = CLERK,
    at: Any = AT,
    **fields: Any,
) -> Spotlight:
    """An active profile with its first version, made by the use case; fields that do not exist yet are made with it."""
    from spotlight.services import create_spotlight

    with org_scope(org):
        number = Spotlight.objects.for_org(org).count() + 1
        fields = {"name": f"Profile {number}", "domain": "manufacturing", **fields}
        return create_spotlight(org=org, fields=fields, criteria=criteria, actor=actor, at=at)
