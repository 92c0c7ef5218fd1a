"""What is to be learned from: the pursuits that were closed, with what the criteria of a profile say of each."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from itertools import islice
from typing import NamedTuple

from django.db.models import Count, Q

from flowledger.tenancy.models import Organization
from spotlight.evaluation.engine import compile_profiles
from spotlight.evaluation.types import Fact, Profile
from spotlight.learning import Outcome
from spotlight.services.definitions import scale_of
from spotlight.services.facts import facts_of
from workstream.machines import PursuitStage
from workstream.models import CandidateSignal, Pursuit

# The newest count; more would only take longer.
MOST_OUTCOMES = 10_000
_AT_ONCE = 1_000
_CLOSED = (PursuitStage.WON, PursuitStage.LOST)


class Closed(NamedTuple):
    """How many pursuits were won and lost."""

    won: int
    lost: int


class _Ending(NamedTuple):
    candidate_id: int
    stage: str
    closed_at: datetime


def closed_pursuits(org: Organization, *, at: datetime) -> Closed:
    """How many pursuits of the organisation were closed by then, whatever a profile knows of them; one statement."""
    rows = Pursuit.objects.for_org(org).filter(stage__in=_CLOSED, closed_at__lte=at)
    counts = rows.aggregate(
        won=Count("pk", filter=Q(stage=PursuitStage.WON)), lost=Count("pk", filter=Q(stage=PursuitStage.LOST))
    )
    return Closed(**counts)


def outcomes_of(org: Organization, profile: Profile) -> list[Outcome]:
    """The newest closed pursuits of which some criterion of the profile knows a value.

    A pursuit is judged by the first signal behind it, which is what the profile sees when it has to decide; what people
    wrote on the candidate meanwhile is taken only where there was no signal.
    """
    engine = compile_profiles([profile], scale_of(org))
    found = []
    closed = _endings(org)
    while endings := list(islice(closed, _AT_ONCE)):
        facts = _facts(org, endings)
        for ending in endings:
            (evaluation,) = engine.evaluate(facts[ending.candidate_id])
            earned = tuple(component.credit for component in evaluation.components)
            if any(credit is not None for credit in earned):
                found.append(Outcome(ending.closed_at, ending.stage == PursuitStage.WON, earned))
    return found


def _endings(org: Organization) -> Iterator[_Ending]:
    rows = Pursuit.objects.for_org(org).filter(stage__in=_CLOSED).order_by("-closed_at", "-pk")
    for row in rows.values_list("candidate_id", "stage", "closed_at")[:MOST_OUTCOMES]:
        yield _Ending(*row)


def _facts(org: Organization, endings: Sequence[_Ending]) -> dict[int, Mapping[str, Fact]]:
    """The facts behind each candidate: those of its first signal, else its own."""
    candidates = [ending.candidate_id for ending in endings]
    links = CandidateSignal.objects.for_org(org).filter(candidate_id__in=candidates)
    first = dict(
        links.order_by("candidate_id", "linked_at", "pk")
        .distinct("candidate_id")
        .values_list("candidate_id", "signal_id")
    )
    of_signals = facts_of(org=org, item_type="signal", item_ids=set(first.values()))
    bare = [candidate_id for candidate_id in candidates if candidate_id not in first]
    of_candidates = facts_of(org=org, item_type="candidate", item_ids=bare) if bare else {}
    return {
        candidate_id: of_signals[first[candidate_id]] if candidate_id in first else of_candidates[candidate_id]
        for candidate_id in candidates
    }
