"""Signals with scores, stored past the use cases: what reports count."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Any

from flowledger.tenancy.models import Organization
from spotlight.models import Spotlight, SpotlightFit, SpotlightScore
from tests.spotlight.factories import SpotlightFitFactory, SpotlightScoreFactory
from tests.workstream.factories import AT, SignalFactory
from workstream.models import Signal

SCORES = {"high_match": "0.9000", "medium_match": "0.7000", "low_match": "0.5000", "no_match": "0.1000"}


def scored_signal(
    org: Organization, spotlight: Spotlight, recommendation: str, *, ts: datetime = AT, **fields: Any
) -> Signal:
    """A signal that came at `ts`, with its score against the profile as its best."""
    signal: Signal = fields.pop("signal", None) or SignalFactory(org=org, ts=ts)
    score(spotlight, signal, recommendation, **fields)
    best: SpotlightFit = SpotlightFitFactory(
        org=org,
        signal=signal,
        spotlight=spotlight,
        recommendation=recommendation,
        match_score=Decimal(SCORES[recommendation]),
    )
    assert best.signal_id == signal.pk
    return signal


def score(spotlight: Spotlight, signal: Signal, recommendation: str, **fields: Any) -> SpotlightScore:
    """What a signal scores against a profile's present version."""
    values = {
        "spotlight_version": spotlight.version,
        "recommendation": recommendation,
        "match_score": Decimal(SCORES[recommendation]),
        **fields,
    }
    row: SpotlightScore = SpotlightScoreFactory(org=spotlight.org, signal=signal, spotlight=spotlight, **values)
    return row
