"""What organisations may set in place of each rule of the pipeline: types of the configuration registry's values."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from enum import StrEnum
from types import MappingProxyType
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, BeforeValidator, Field, StringConstraints, model_validator
from pydantic.dataclasses import dataclass as checked_dataclass

from flowledger.configuration.registry import STRICT, Rule
from flowledger.errors import InvalidInput
from workstream.machines import PursuitStage
from workstream.models.sla import RULED_METRICS, SlaMetric
from workstream.rendering import require_known_variables

Name = Annotated[str, StringConstraints(min_length=1, max_length=200, pattern=r"^\S(.*\S)?$")]
Points = Annotated[int, Field(ge=0, le=1000)]
Hours = Annotated[int, Field(ge=1, le=8760)]


class Requirement(StrEnum):
    """What a gate can ask for; workstream.gates.REQUIREMENTS looks at each."""

    CLIENT = "client"
    OWNER = "owner"
    PROPOSAL = "proposal"
    OUTCOME_REASON = "outcome_reason"
    PINK_CHECKLIST = "pink_checklist"
    RED_CHECKLIST = "red_checklist"


@checked_dataclass(frozen=True, config=STRICT)
class TemplateItem:
    """One line of a checklist template."""

    name: Name
    is_required: bool = True


@checked_dataclass(frozen=True, config=STRICT)
class KickoffTask:
    """One task that a new engagement begins with; days count from its start."""

    name: Name
    due_in_days: Annotated[int, Field(ge=0, le=3650)]


def _each_once(given: tuple[object, ...]) -> tuple[object, ...]:
    names = [one.name if isinstance(one, TemplateItem | KickoffTask) else str(one) for one in given]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise ValueError(f"Given twice: {', '.join(twice)}")
    return given


def _known_variables(text: str) -> str:
    try:
        require_known_variables(text, field="text")
    except InvalidInput as error:
        raise ValueError(error.message) from error
    return text


Requirements = Annotated[tuple[Requirement, ...], AfterValidator(_each_once)]
Items = Annotated[tuple[TemplateItem, ...], Field(min_length=1, max_length=50), AfterValidator(_each_once)]
Tasks = Annotated[tuple[KickoffTask, ...], Field(max_length=50), AfterValidator(_each_once)]
Money = Annotated[Decimal, Field(ge=0, max_digits=14, decimal_places=2)]


class GateRequirements(Rule):
    """What a pursuit needs to enter each stage."""

    pink: Requirements = ()
    red: Requirements = ()
    submit: Requirements = ()
    won: Requirements = ()
    lost: Requirements = ()

    @model_validator(mode="after")
    def _reason_is_for_losses(self) -> Self:
        asked = [stage for stage in ("pink", "red", "submit", "won") if "outcome_reason" in getattr(self, stage)]
        if asked:
            raise ValueError(f"outcome_reason is given with a loss only; nobody could enter {', '.join(asked)}")
        return self

    def as_mapping(self) -> Mapping[str, tuple[str, ...]]:
        """The stages that ask for something, in their order."""
        asked = {stage.value: getattr(self, stage.value, ()) for stage in PursuitStage}
        return MappingProxyType({stage: tuple(str(one) for one in words) for stage, words in asked.items() if words})


class Checklists(Rule):
    """The items that a new pursuit gets."""

    pink: Items
    red: Items


class ProposalTexts(Rule):
    """The first draft of a proposal."""

    title: Annotated[str, StringConstraints(min_length=1, max_length=500), AfterValidator(_known_variables)]
    body: Annotated[str, StringConstraints(min_length=1, max_length=100_000), AfterValidator(_known_variables)]


class BandValues(Rule):
    """What a value band is worth, in the organisation's currency."""

    low: Money
    med: Money
    high: Money

    def as_mapping(self) -> Mapping[str, Decimal]:
        """Band → money."""
        return MappingProxyType({"low": self.low, "med": self.med, "high": self.high})


class PursuitDefaults(Rule):
    """What a promoted candidate becomes where nobody says otherwise."""

    band_values: BandValues
    pursuit_due_days: Annotated[int, Field(ge=1, le=3650)]


def _canonical_metric(given: object) -> object:
    return SlaMetric.RESPONSE.value if given == "submit_sla" else given


class SlaDefault(Rule):
    """One SLA rule that a new organisation begins with; `default_key` is its name for good."""

    default_key: Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]{0,59}$")]
    item_type: Literal["signal", "candidate", "pursuit"]
    metric: Annotated[Literal["triage_sla", "proposal_sla", "response_sla"], BeforeValidator(_canonical_metric)]
    threshold_hours: Annotated[Decimal, Field(gt=0, le=8760, decimal_places=2)]
    warn_before_hours: Annotated[Decimal, Field(ge=0, decimal_places=2)] | None = None

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        if (self.metric == "triage_sla") is (self.item_type == "pursuit"):
            raise ValueError("triage_sla is about a signal or a candidate, the others are about a pursuit")
        if self.warn_before_hours is not None and self.warn_before_hours >= self.threshold_hours:
            raise ValueError("the warning must come before the end: warn_before_hours below threshold_hours")
        return self


def _distinct_defaults(given: tuple[SlaDefault, ...]) -> tuple[SlaDefault, ...]:
    _each_once(tuple(one.default_key for one in given))
    return given


SlaDefaults = Annotated[tuple[SlaDefault, ...], Field(max_length=50), AfterValidator(_distinct_defaults)]


class Urgency(Rule):
    """Points for how an item's clocks stand; the first that applies."""

    breached: Points = 100
    past_due: Points = 75
    warned: Points = 50
    otherwise: Points = 20


class BandPoints(Rule):
    """Points for the higher of value band and ICP band."""

    high: Points = 30
    med: Points = 15
    low: Points = 5


class StagePoints(Rule):
    """Points for how far an item has come."""

    submit: Points = 35
    red: Points = 25
    pink: Points = 15
    qual: Points = 10
    nurture: Points = 15
    triaged: Points = 10
    on_hold: Points = 0
    new: Points = 0


class WorkloadPenalty(Rule):
    """Points taken off for each further open item of the same owner, and never more than `cap`."""

    per_item: Annotated[int, Field(ge=0, le=100)] = 2
    cap: Points = 20


class Tiers(Rule):
    """The least score of each tier; what is below `medium` is low."""

    urgent: Points = 100
    high: Points = 75
    medium: Points = 50

    @model_validator(mode="after")
    def _fall(self) -> Self:
        if not self.urgent > self.high > self.medium:
            raise ValueError("urgent must lie above high, and high above medium")
        return self


class TodayRanking(Rule):
    """How the Today panel places an item."""

    urgency: Urgency = Urgency()
    band: BandPoints = BandPoints()
    stage: StagePoints = StagePoints()
    workload: WorkloadPenalty = WorkloadPenalty()
    tiers: Tiers = Tiers()


class Audience(Rule):
    """Who is told. An item without an owner is told to the managers in the owner's place."""

    owner: bool = True
    managers: bool = True
    admins: bool = False
    email: bool = True


class SlaNotices(Rule):
    """Who is told of warnings and of breaches; `email` allows it beside the back office, each user's settings decide.

    Only these metrics are told of. Items that were left untouched or are past their due date merely turn amber, unless
    their metrics (`touch`, `due_date`) are added.
    """

    warned: Audience = Audience()
    breached: Audience = Audience()
    metrics: tuple[SlaMetric, ...] = RULED_METRICS


class SignalClusters(Rule):
    """Which signals of one contact, client or conversation are one buying event."""

    window_days: Annotated[int, Field(ge=1, le=365)] = 14
    similarity: Annotated[float, Field(ge=0.3, le=1)] = 0.65
    same_thread: bool = True
