"""Signals with a score as routing finds them, stored past the evaluation."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from flowledger.outbox.recording import record_event
from flowledger.tenancy.actors import Actor
from flowledger.tenancy.models import Organization
from flowledger.tenancy.scope import org_scope
from spotlight.events import SpotlightEvaluated
from spotlight.models import Recommendation, RoutedSignal, SpotlightFit
from tests.spotlight.factories import SpotlightFactory, SpotlightFitFactory
from tests.workstream.factories import AT, CLERK, SignalFactory
from workstream.models import Candidate, Signal

HIGH, MEDIUM, LOW, NONE = (
    Recommendation.HIGH,
    Recommendation.MEDIUM,
    Recommendation.LOW,
    Recommendation.NONE,
)
SCORES = {HIGH: Decimal("0.9300"), MEDIUM: Decimal("0.7000"), LOW: Decimal("0.4500"), NONE: Decimal("0.1000")}


def profile(org: Organization, name: str = "Banks") -> Any:
    """The one profile of a name."""
    from spotlight.models import Spotlight

    found = Spotlight.all_orgs.filter(org=org, name=name).first()
    return found or SpotlightFactory(org=org, name=name)


def scored(org: Organization, band: Recommendation, **fields: Any) -> Signal:
    """A signal whose best score is in the band."""
    signal: Signal = SignalFactory(org=org, **fields)
    rate(signal, band)
    return signal


def rate(signal: Signal, band: Recommendation, **fields: Any) -> None:
    """Give a signal another best score."""
    values = {"match_score": SCORES[band], "recommendation": band, "spotlight": profile(signal.org), **fields}
    if not SpotlightFit.all_orgs.filter(signal=signal).update(**values):
        SpotlightFitFactory(org=signal.org, signal=signal, **values)


def tell(signal: Signal, *, actor: Actor = CLERK) -> None:
    """Record that the signal was evaluated."""
    with org_scope(signal.org_id):
        fit = SpotlightFit.objects.for_org(signal.org_id).get(signal=signal)
        best = {"spotlight_id": fit.spotlight_id, "recommendation": fit.recommendation}
        fact = SpotlightEvaluated("signal", signal.pk, signal.pk, "new", "1", best=best)
        record_event(org=signal.org_id, event=fact, actor=actor, at=AT)


def routed(signal: Signal) -> RoutedSignal:
    """What became of it."""
    return RoutedSignal.all_orgs.get(signal=signal)


def candidates_of(org: Organization) -> list[Candidate]:
    """Every candidate of an organisation, oldest first."""
    return list(Candidate.all_orgs.filter(org=org).order_by("pk"))
