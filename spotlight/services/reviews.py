"""The review queue: signals that are good enough to be looked at and not good enough to open a candidate unseen."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from datetime import datetime

from flowledger.errors import Conflict, FlowLedgerError, NotFound
from flowledger.tenancy.actors import Actor
from flowledger.tenancy.models import Organization
from flowledger.tenancy.permissions import authorize
from flowledger.tenancy.usecases import use_case
from spotlight.machines import ReviewStatus
from spotlight.models import RoutedSignal
from spotlight.rules import ROUTES
from spotlight.services.opening import ROUTABLE, Held, hold, open_candidate
from spotlight.services.routing import route_of
from workstream.machines import SignalDisposition, require_legal
from workstream.models import CandidateSignal

# Signals that one call decides about.
MOST_DECIDED = 500


@dataclass(frozen=True)
class Decided:
    """What became of one signal of the queue; `error` is what deciding about it alone is refused with."""

    signal_id: int
    review: RoutedSignal | None = None
    error: FlowLedgerError | None = None


@use_case
def accept_review(*, org: Organization, signal_id: int, note: str = "", actor: Actor, at: datetime) -> RoutedSignal:
    """Make a candidate of a signal that waits for review, with the next step and tags that its band's rule names.

    An open candidate of the same cluster or contact takes the signal instead, and one that it was linked to by hand in
    the meantime stays. Raises NotFound for a signal that was never routed, PermissionRefused, InvalidTransition unless
    it waits, and Conflict for a signal that was put aside in the meantime or that a merge gives another sender.
    """
    held = hold(org, [signal_id], opening=[signal_id])
    review = _waiting(held, signal_id, ReviewStatus.ACCEPTED, actor)
    candidate_id = _candidate_of(held, review, actor=actor, at=at)
    review.accept(candidate_id=candidate_id, note=note.strip(), actor=actor, at=at)
    review.save()
    return review


@use_case
def dismiss_review(*, org: Organization, signal_id: int, note: str = "", actor: Actor, at: datetime) -> RoutedSignal:
    """Take a signal out of the review queue; it stays a signal, and is asked about again only if its band rises.

    Raises NotFound for a signal that was never routed, PermissionRefused, InvalidTransition unless it waits.
    """
    held = hold(org, [signal_id], opening=())
    review = _waiting(held, signal_id, ReviewStatus.DISMISSED, actor)
    review.dismiss(note=note.strip(), actor=actor, at=at)
    review.save()
    return review


@use_case
def accept_reviews(
    *, org: Organization, signal_ids: Collection[int], note: str = "", actor: Actor, at: datetime
) -> list[Decided]:
    """Make candidates of several signals, each as `accept_review` does; a result for every one, in the order given.

    One that is refused costs the others nothing. The first MOST_DECIDED keys are decided about.
    """
    wanted = sorted(set(signal_ids))[:MOST_DECIDED]
    # All of them before the first, so that two who decide about the same ones cannot wait for each other.
    hold(org, wanted, opening=wanted)
    return _each(signal_ids, wanted, lambda pk: accept_review(org=org, signal_id=pk, note=note, actor=actor, at=at))


@use_case
def dismiss_reviews(
    *, org: Organization, signal_ids: Collection[int], note: str = "", actor: Actor, at: datetime
) -> list[Decided]:
    """Take several signals out of the queue, each as `dismiss_review` does; a result for every one, in the order given.

    One that is refused costs the others nothing. The first MOST_DECIDED keys are decided about.
    """
    wanted = sorted(set(signal_ids))[:MOST_DECIDED]
    hold(org, wanted, opening=())
    return _each(signal_ids, wanted, lambda pk: dismiss_review(org=org, signal_id=pk, note=note, actor=actor, at=at))


@use_case
def follow_decisions(
    *, org: Organization, linked: Mapping[int, int], rejected: Collection[int], actor: Actor, at: datetime
) -> int:
    """Take signals out of the queue about which was decided elsewhere; answers how many there were.

    `linked` names the candidate of each signal: that is an acceptance. A rejected signal counts as dismissed. Raises
    PermissionRefused.
    """
    authorize(actor, "review_signal")
    rows = RoutedSignal.objects.for_org(org).filter(signal__in={*linked, *rejected}).waiting()
    reviews: list[RoutedSignal] = list(rows.order_by("pk").locked())
    for review in reviews:
        candidate_id = linked.get(review.signal_id)
        if candidate_id is None:
            review.dismiss(note="The signal was rejected.", actor=actor, at=at)
        else:
            review.accept(candidate_id=candidate_id, note="The signal was linked by hand.", actor=actor, at=at)
        review.save()
    return len(reviews)


def count_waiting(org: Organization, *, at_most: int) -> int:
    """How many signals wait for review, counted up to a number."""
    count: int = RoutedSignal.objects.for_org(org).waiting().order_by()[:at_most].count()
    return count


def _waiting(held: Held, signal_id: int, to: ReviewStatus, actor: Actor) -> RoutedSignal:
    """The row of a signal that waits, locked, for an actor who may decide about it."""
    rows = RoutedSignal.objects.for_org(held.org).filter(signal=signal_id).locked()
    review: RoutedSignal | None = rows.first() if signal_id in held.signals else None
    if review is None:
        raise NotFound(f"There is no signal {signal_id} in this organisation that was ever up for review.")
    authorize(actor, "review_signal", held.signals[signal_id])
    require_legal(review, to=to)
    return review


def _candidate_of(held: Held, review: RoutedSignal, *, actor: Actor, at: datetime) -> int:
    """The candidate of a signal that is accepted: the one it has, else the one that opening it comes to."""
    signal = held.signals[review.signal_id]
    if signal.disposition == SignalDisposition.LINKED:
        links = CandidateSignal.objects.for_org(held.org).filter(signal=signal).order_by("-pk")
        candidate_id: int = links.values_list("candidate_id", flat=True)[0]
        return candidate_id
    if signal.disposition not in ROUTABLE:
        raise Conflict("This signal was put aside in the meantime; dismiss it.")
    return open_candidate(
        held,
        review,
        route=route_of(ROUTES.of(held.org), review.recommendation),
        in_nurture=False,
        reason=f"Accepted in review; {review.reason}",
        actor=actor,
        at=at,
    )


def _each(asked: Collection[int], wanted: Collection[int], decide: Callable[[int], RoutedSignal]) -> list[Decided]:
    results: dict[int, Decided] = {}
    for pk in wanted:
        try:
            results[pk] = Decided(pk, decide(pk))
        except FlowLedgerError as refusal:
            results[pk] = Decided(pk, error=refusal)
    return [results[pk] for pk in asked if pk in results]
