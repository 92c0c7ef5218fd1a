"""Routing signals by the best of their scores: to a candidate, into nurture, into the review queue, or nowhere."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from contextlib import nullcontext
from datetime import datetime, timedelta

from flowledger.outbox.causes import Cause, caused_by
from flowledger.outbox.recording import bulk_record
from flowledger.tenancy.actors import Actor
from flowledger.tenancy.models import Organization
from flowledger.tenancy.permissions import authorize
from flowledger.tenancy.usecases import use_case
from spotlight.machines import ReviewStatus
from spotlight.models import Recommendation, RouteAction, RoutedSignal, SpotlightFit
from spotlight.rules import ROUTES, Route, Routes
from spotlight.services.opening import ROUTABLE, Held, hold, open_candidate

# What goes up: bands, and what is done with them.
_BANDS = (Recommendation.NONE, Recommendation.LOW, Recommendation.MEDIUM, Recommendation.HIGH)
_ACTIONS = (RouteAction.NONE, RouteAction.REVIEW, RouteAction.NURTURE, RouteAction.CANDIDATE)
OPENING = (RouteAction.NURTURE, RouteAction.CANDIDATE)


@use_case
def route_signals(
    *,
    org: Organization,
    signal_ids: Collection[int],
    rescored: Collection[int] = (),
    causes: Mapping[int, Cause] | None = None,
    actor: Actor,
    at: datetime,
) -> list[RoutedSignal]:
    """Do with signals what `routing_rule/spotlight` says of the best recommendation that each has now.

    Answers what was routed, in the order of keys. Each signal is routed once, and once more when its band has risen and
    the rule of the new band does more (none → review → candidate), so a repeated event and an event that comes late
    change nothing. Passed over are signals without a score, and those that are linked, rejected or merged. An open
    candidate of the same cluster or contact takes the signal instead of a second one being opened. `causes` are the
    events that the candidates of signals follow from. Raises PermissionRefused, and Conflict while a merge gives a
    signal another sender.
    """
    authorize(actor, "route_signal")
    fits = fits_of(org, signal_ids)
    if not fits:
        return []
    routes = ROUTES.of(org)
    opening = [pk for pk, fit in fits.items() if action_of(routes, fit) in OPENING]
    held = hold(org, fits, opening=opening)
    rows = RoutedSignal.objects.for_org(org).filter(signal__in=held.signals).locked().order_by("pk")
    before: dict[int, RoutedSignal] = {row.signal_id: row for row in rows}
    routed = []
    oldest = at - timedelta(days=routes.rescored_days)
    for pk, signal in held.signals.items():
        row, fit = before.get(pk), fits[pk]
        is_past = pk in rescored and signal.ts < oldest
        if signal.disposition not in ROUTABLE or (row is None and is_past):
            continue
        if row is not None and (is_past or not _goes_up(row, fit, action_of(routes, fit))):
            _follow(row, fit)
            continue
        row = row or RoutedSignal(org=org, signal=signal)
        cause = (causes or {}).get(pk)
        with nullcontext() if cause is None else caused_by(cause):
            _route(row, held, fit=fit, routes=routes, actor=actor, at=at)
        routed.append(row)
    _store(org, routed)
    return routed


def fits_of(org: Organization, signal_ids: Collection[int]) -> dict[int, SpotlightFit]:
    """The best score of each signal that has one, with its profile, by signal in the order of keys."""
    rows = SpotlightFit.objects.for_org(org).filter(signal__in=signal_ids).select_related("spotlight")
    return {row.signal_id: row for row in rows.order_by("signal_id")}


def route_of(routes: Routes, recommendation: str) -> Route:
    """What the rule says of a band."""
    route: Route = getattr(routes, recommendation)
    return route


def action_of(routes: Routes, fit: SpotlightFit) -> RouteAction:
    """What is to be done with a signal of this fit."""
    return RouteAction(route_of(routes, fit.recommendation).action)


def said_of(fit: SpotlightFit) -> str:
    """A fit in words: the profile, the score and what it comes to."""
    by_hand = ", set by hand" if fit.is_override else ""
    return f"{fit.spotlight.name}: {fit.match_score:.2f}, {fit.get_recommendation_display().lower()}{by_hand}"


def _goes_up(row: RoutedSignal, fit: SpotlightFit, action: RouteAction) -> bool:
    """Whether a signal that was routed is to be routed anew: its band has risen, and there is more to be done."""
    if row.review_status == ReviewStatus.ACCEPTED:
        return False
    if _BANDS.index(Recommendation(fit.recommendation)) <= _BANDS.index(Recommendation(row.recommendation)):
        return False
    if row.review_status == ReviewStatus.DISMISSED and action is RouteAction.REVIEW:
        return True
    return _ACTIONS.index(action) > _ACTIONS.index(RouteAction(row.action))


def _follow(row: RoutedSignal, fit: SpotlightFit) -> None:
    """What waits for review stands in the queue by the score that it has now; its band is the highest it had."""
    shown = {"match_score": fit.match_score, "spotlight_id": fit.spotlight_id, "reason": said_of(fit)[:500]}
    if row.review_status == ReviewStatus.WAITING and any(getattr(row, name) != new for name, new in shown.items()):
        for name, new in shown.items():
            setattr(row, name, new)
        row.save(update_fields=[*shown])


def _route(row: RoutedSignal, held: Held, *, fit: SpotlightFit, routes: Routes, actor: Actor, at: datetime) -> None:
    """Carry a route out, and note it on the row, which is stored with the others."""
    action = action_of(routes, fit)
    row.spotlight_id, row.match_score, row.recommendation = fit.spotlight_id, fit.match_score, fit.recommendation
    row.action, row.reason = action, said_of(fit)[:500]
    if action in OPENING:
        row.candidate_id = open_candidate(
            held,
            row,
            route=route_of(routes, fit.recommendation),
            in_nurture=action is RouteAction.NURTURE,
            reason=f"Routed by {row.reason}",
            actor=actor,
            at=at,
        )
    if action is RouteAction.REVIEW:
        row.ask(actor=actor, at=at)
    else:
        row.settle(actor=actor, at=at)


def _store(org: Organization, routed: list[RoutedSignal]) -> None:
    """Rows with their events: the new ones together, one that goes up by itself."""
    known = [row for row in routed if row.pk is not None]
    fresh = [row for row in routed if row.pk is None]
    RoutedSignal.objects.for_org(org).bulk_create(fresh)
    bulk_record(fresh)
    for row in known:
        row.save()
