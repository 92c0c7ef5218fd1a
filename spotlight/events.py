"""What happens to profiles and scores, in the past tense: ids and JSON values only."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from flowledger.outbox.events import event


@event("spotlight.created", item="spotlight")
@dataclass(frozen=True)
class SpotlightCreated:
    """A profile was made, by hand or as a copy of `cloned_from`."""

    spotlight_id: int
    version: int
    cloned_from: int | None = None


@event("spotlight.updated", item="spotlight")
@dataclass(frozen=True)
class SpotlightUpdated:
    """A profile was changed. `version` has grown if the change can move scores, which are then computed anew."""

    spotlight_id: int
    version: int
    changed: list[str]
    moves_scores: bool


@event("spotlight.deleted", item="spotlight")
@dataclass(frozen=True)
class SpotlightDeleted:
    """A profile was deleted with its scores; items whose best it was are scored anew."""

    spotlight_id: int
    name: str


@event("spotlight.field_updated", item="spotlight_field", item_id="field_id")
@dataclass(frozen=True)
class FieldUpdated:
    """A field was changed in what the evaluation reads of it; the profiles that look at it get their next version."""

    field_id: int
    changed: list[str]


@event("spotlight.evaluated", item_from_fact=True)
@dataclass(frozen=True)
class SpotlightEvaluated:
    """An item was scored against the active profiles and some score is new or has moved, or its best is another one.

    `best` is the highest of all its profiles, overrides included, or None when no profile is active: {spotlight_id,
    name, version, match_score, recommendation, coverage, is_override}. `results` are the scores that moved, the best
    first and at most 100, in the same form with `previous_score` (None for a first one). `cause` is a `Cause`.
    `signal_id` is the signal that is routed.
    """

    item_type: str
    item_id: int
    signal_id: int | None
    cause: str
    algorithm_version: str
    best: dict[str, Any] | None = None
    results: list[dict[str, Any]] = field(default_factory=list)


@event("spotlight.overridden", item_from_fact=True)
@dataclass(frozen=True)
class SpotlightOverridden:
    """A person set the score of an item; `is_ended` when the override was taken back or has expired."""

    item_type: str
    item_id: int
    spotlight_id: int
    override_id: int
    recommendation: str
    is_ended: bool = False


@event("spotlight.routed", item="signal")
@dataclass(frozen=True)
class SignalRouted:
    """A signal was routed by its score: `action` is candidate, nurture, review or none."""

    signal_id: int
    recommendation: str
    action: str
    candidate_id: int | None
    is_review: bool


@event("spotlight.review_decided", item="signal")
@dataclass(frozen=True)
class ReviewDecided:
    """A person decided about a signal of the review queue: `decision` is accepted or dismissed."""

    signal_id: int
    decision: str
    candidate_id: int | None


@event("spotlight.rescore_started", item="rescore_run", item_id="rescore_id")
@dataclass(frozen=True)
class RescoreStarted:
    """Many items are being scored anew."""

    rescore_id: int
    spotlight_id: int | None
    cause: str


@event("spotlight.rescore_finished", item="rescore_run", item_id="rescore_id")
@dataclass(frozen=True)
class RescoreFinished:
    """A re-score ended: `status` is done, superseded or cancelled."""

    rescore_id: int
    status: str
    done: int
    changed: int


@event("spotlight.weights_proposed", item="spotlight")
@dataclass(frozen=True)
class WeightsProposed:
    """Weights were learned from outcomes and wait for a manager."""

    spotlight_id: int
    proposal_id: int


@event("spotlight.weights_decided", item="spotlight")
@dataclass(frozen=True)
class WeightsDecided:
    """A manager decided about learned weights: `status` is accepted, rejected or reverted."""

    spotlight_id: int
    proposal_id: int
    status: str
    version: int


@event("spotlight.match_rate_low", item="spotlight")
@dataclass(frozen=True)
class MatchRateLow:
    """Of the signals of the last days fewer than asked for matched a profile; told once for a stretch of such days."""

    spotlight_id: int
    match_alert_id: int
    match_rate: float
    least_rate: float
    signals: int
    window_days: int


@event("spotlight.match_rate_recovered", item="spotlight")
@dataclass(frozen=True)
class MatchRateRecovered:
    """A profile matches enough signals again; without `match_rate` it is watched no more."""

    spotlight_id: int
    match_alert_id: int
    match_rate: float | None


@event("spotlight.facts_enriched", item_from_fact=True)
@dataclass(frozen=True)
class FactsEnriched:
    """A provider said something new of a client or contact (`item_type`), and its items are scored anew."""

    item_type: str
    item_id: int
    provider: str
    fields: list[str]
