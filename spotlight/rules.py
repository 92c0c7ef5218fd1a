"""Every rule of spotlight with its default, declared for organisations to set their own."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from flowledger.configuration.registry import Rule, declare

Share = Annotated[float, Field(ge=0, le=1)]
Source = Literal["signal", "enrichment", "client", "contact"]


class Bands(Rule):
    """From which score on a band is reached (0…1), and the least share of the weights that must be known.

    Below `least_coverage` a recommendation is at most low_match, and no_match when nothing at all is known.
    """

    high: Share = 0.8
    medium: Share = 0.6
    low: Share = 0.4
    least_coverage: Share = 0.5

    @model_validator(mode="after")
    def _descends(self) -> Self:
        if not self.high > self.medium > self.low > 0:
            raise ValueError("The bands must descend: high above medium above low, and low above 0.")
        return self


class PartialCredit(Rule):
    """How far past its bound a number or date still earns something: nothing at a share of the bound, or at days."""

    number_margin: Annotated[float, Field(gt=0, le=10)] = 0.5
    date_margin_days: Annotated[int, Field(ge=1, le=3650)] = 30


class Precedence(Rule):
    """Whose word counts when several know a field, first to last."""

    order: tuple[Source, ...] = ("signal", "enrichment", "client", "contact")

    @model_validator(mode="after")
    def _names_each_once(self) -> Self:
        if sorted(self.order) != sorted(("signal", "enrichment", "client", "contact")):
            raise ValueError("Name signal, enrichment, client and contact once each.")
        return self


class Route(Rule):
    """What is done with the signals of one band; the next step is written on a new candidate."""

    action: Literal["candidate", "nurture", "review", "none"]
    next_step: Annotated[str, Field(max_length=300)] = ""
    due_in_days: Annotated[int, Field(ge=0, le=365)] | None = None
    tags: tuple[Annotated[str, Field(min_length=1, max_length=50)], ...] = ()


class Routes(Rule):
    """What is done with a signal by the best recommendation that it has.

    A signal whose score moves because a profile was made or changed is routed if it happened in the last
    `rescored_days`: nobody wants candidates of years ago.
    """

    high_match: Route = Route(action="candidate", next_step="Contact the sender", due_in_days=1)
    medium_match: Route = Route(action="nurture", next_step="Find out more", due_in_days=14)
    low_match: Route = Route(action="review")
    no_match: Route = Route(action="none")
    rescored_days: Annotated[int, Field(ge=0, le=3650)] = 90


class MatchAlerts(Rule):
    """When the managers hear that a profile matches too few signals."""

    is_on: bool = True
    least_rate: Share = 0.05
    window_days: Annotated[int, Field(ge=1, le=90)] = 7
    least_signals: Annotated[int, Field(ge=1, le=1_000_000)] = 50


class Learning(Rule):
    """How many outcomes learning needs, won and lost together and of each, and how many it holds back for the proof."""

    least_outcomes: Annotated[int, Field(ge=20, le=100_000)] = 100
    least_of_each: Annotated[int, Field(ge=5, le=50_000)] = 20
    held_back: Annotated[float, Field(ge=0.1, le=0.5)] = 0.3


BANDS = declare(
    "spotlight_rule",
    "bands",
    schema=Bands,
    default=Bands(),
    help=(
        "From which score on a signal is a high, medium or low match, and how much of a profile's weight must be known "
        "for more than a low match."
    ),
)
PARTIAL_CREDIT = declare(
    "spotlight_rule",
    "partial_credit",
    schema=PartialCredit,
    default=PartialCredit(),
    help=(
        "How far past its bound a value still earns part of the weight: a number up to number_margin of the bound, a "
        "date up to date_margin_days."
    ),
)
PRECEDENCE = declare(
    "spotlight_rule",
    "fact_precedence",
    schema=Precedence,
    default=Precedence(),
    help="Whose word counts when signal, enrichment, client and contact all know a field: first to last.",
)
MATCH_ALERTS = declare(
    "spotlight_rule",
    "match_alerts",
    schema=MatchAlerts,
    default=MatchAlerts(),
    help=(
        "The managers are told when fewer than least_rate of the signals of the last window_days were at least medium "
        "matches of an active profile, once there are least_signals."
    ),
)
LEARNING = declare(
    "spotlight_rule",
    "learning",
    schema=Learning,
    default=Learning(),
    help="How many closed pursuits learning needs before it proposes weights, and the share held back to prove them.",
)
ROUTES = declare(
    "routing_rule",
    "spotlight",
    schema=Routes,
    default=Routes(),
    help=(
        "What is done with a new signal by the best recommendation of the active profiles: open a candidate that is "
        "first in line, open one in nurture, put it into the review queue, or leave it. Signals whose scores move "
        "with a profile are routed if they are no older than rescored_days."
    ),
)
OVERRIDE_DAYS = declare(
    "spotlight_rule",
    "override_days",
    schema=Annotated[int, Field(ge=1, le=365)],
    default=30,
    help="After so many days a score that was set by hand ends, unless it says when.",
)
