"""Closed pursuits with the signals behind them, stored in bulk: what an organisation learns from."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from typing import Any

from flowledger.tenancy.models import Organization
from flowledger.tenancy.scope import org_scope
from spotlight.learning import Outcome
from tests.factories import ClientFactory
from tests.spotlight.generated import FIRST_CLOSED, generated
from tests.workstream.factories import AT
from workstream.machines import PursuitStage
from workstream.models import Candidate, CandidateSignal, Pursuit, Signal
from workstream.models.signals import SourceType

Ending = tuple[Mapping[str, Any], bool, datetime]


def close_pursuits(org: Organization, endings: Iterable[Ending], *, with_signals: bool = True) -> list[Candidate]:
    """One candidate and pursuit for each (attributes of the signal, is won, closed when), in this order."""
    with org_scope(org):
        client = ClientFactory(org=org)
        listed = list(endings)
        candidates = Candidate.objects.for_org(org).bulk_create(
            Candidate(org=org, client=client, title=f"Lead {n}", state_entered_at=AT, last_touch_at=AT)
            for n in range(len(listed))
        )
        Pursuit.objects.for_org(org).bulk_create(
            Pursuit(
                org=org,
                candidate=candidate,
                client=client,
                title=candidate.title,
                stage=PursuitStage.WON if is_won else PursuitStage.LOST,
                outcome_reason="" if is_won else "Too dear",
                state_entered_at=AT,
                last_touch_at=AT,
                submitted_at=closed_at,
                closed_at=closed_at,
            )
            for candidate, (_, is_won, closed_at) in zip(candidates, listed, strict=True)
        )
        if with_signals:
            link_signals(org, candidates, [attributes for attributes, *_ in listed])
    return candidates


def link_signals(
    org: Organization, candidates: Iterable[Candidate], attributes: Iterable[Mapping[str, Any]], *, at: datetime = AT
) -> None:
    """A signal behind each candidate, linked at a moment."""
    with org_scope(org):
        signals = Signal.objects.for_org(org).bulk_create(
            Signal(org=org, source_type=SourceType.NOTE, ts=at, snippet="We need help", attributes=dict(each))
            for each in attributes
        )
        CandidateSignal.objects.for_org(org).bulk_create(
            CandidateSignal(org=org, candidate=candidate, signal=signal, linked_at=at)
            for candidate, signal in zip(candidates, signals, strict=True)
        )


def learned_world(
    org: Organization, strengths: Iterable[float] = (1.2, 0.8, 0.1, -0.6), count: int = 300, *, seed: int = 1
) -> list[Outcome]:
    """Pursuits that were won by how their signals meet the worked example: industry, budget, employees, sites."""
    outcomes = generated(list(strengths), count, seed=seed, partial=0)
    close_pursuits(org, [(_attributes(each.credits), each.is_won, each.closed_at) for each in outcomes])
    return outcomes


def days_after(number: int) -> datetime:
    """A day after the first one."""
    return FIRST_CLOSED + timedelta(days=number)


def _attributes(earned: tuple[float | None, ...]) -> dict[str, Any]:
    met = {"industry": "Financial Services", "budget": 150_000, "employees": 120, "sites": 3}
    unmet = {"industry": "Farming", "budget": 10_000, "employees": 900, "sites": 0}
    return {
        name: met[name] if credit else unmet[name]
        for name, credit in zip(met, earned, strict=True)
        if credit is not None
    }
