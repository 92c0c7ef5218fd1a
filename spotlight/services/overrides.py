"""Scores that people set by hand: for a time, with a reason, beside the computed ones."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection
from datetime import datetime, timedelta
from decimal import Decimal

from flowledger.errors import Conflict, InvalidInput, NotFound
from flowledger.outbox.recording import bulk_record
from flowledger.tenancy.actors import Actor
from flowledger.tenancy.models import Organization
from flowledger.tenancy.permissions import authorize
from flowledger.tenancy.usecases import use_case
from spotlight.evaluation.types import WHOLE, Scale, share
from spotlight.models import SCORED_MODELS, Cause, Recommendation, ScoreOverride, Spotlight, SpotlightScore
from spotlight.rules import OVERRIDE_DAYS
from spotlight.services.definitions import scale_of
from spotlight.services.scoring import evaluate_items
from spotlight.services.storing import Moved, Storing
from spotlight.sql import scores as sql
from spotlight.sql.rescores import hold_profiles
from workstream.machines import SignalDisposition
from workstream.models import Candidate, Signal

# A judgement that is to stand for longer belongs into the profile.
MOST_DAYS = 365
# Overrides of an organisation that one sweep ends.
BATCH = 500


@use_case
def override_score(
    *,
    org: Organization,
    item_type: str,
    item_id: int,
    spotlight_id: int,
    reason: str,
    match_score: Decimal | None = None,
    recommendation: str = "",
    expires_at: datetime | None = None,
    actor: Actor,
    at: datetime,
) -> ScoreOverride:
    """Let a score of a signal or candidate be what a person says, until `expires_at`; the computed one goes on beside.

    One of score and recommendation is enough: the recommendation follows from the score by the organisation's bands,
    and the score is where the band begins. Without `expires_at` the rule `override_days` says when it ends. An earlier
    override of the same score ends. Raises NotFound for the item or profile, PermissionRefused, InvalidInput, and
    Conflict for a rejected signal and for a profile that is switched off or weighs nothing.
    """
    authorize(actor, "override_score")
    hold_profiles(org_id=org.pk)
    spotlight: Spotlight = Spotlight.objects.for_org(org).fetch(spotlight_id)
    _require_item(org, item_type, item_id)
    expires = expires_at or at + timedelta(days=OVERRIDE_DAYS.of(org))
    score, named = _checked(scale_of(org), match_score, recommendation, reason, expires, at)
    if not spotlight.active:
        raise Conflict(f"The profile {spotlight.name} is switched off; switch it on first.")
    computed = _computed(org, item_type, [item_id], [spotlight.pk])
    if not computed:
        evaluate_items(org=org, item_type=item_type, item_ids=[item_id], cause=Cause.NEW, actor=actor, at=at)
        computed = _computed(org, item_type, [item_id], [spotlight.pk])
    if not computed:
        raise Conflict(f"The profile {spotlight.name} has no criterion with a weight yet; add one first.")
    standing = _standing(org, item_type, [item_id], [spotlight.pk])
    before = standing.get((item_id, spotlight.pk)) or computed[item_id, spotlight.pk]
    _end_all(org, standing.values(), actor=actor, at=at)
    override = ScoreOverride(
        org=org,
        **{f"{item_type}_id": item_id},
        spotlight=spotlight,
        match_score=score,
        recommendation=named,
        reason=reason.strip(),
        expires_at=expires,
    )
    override.begin(actor=actor, at=at)
    override.save()
    _settle(org, item_type, [(before, override, computed[item_id, spotlight.pk])], actor=actor, at=at)
    return override


@use_case
def end_override(
    *, org: Organization, item_type: str, item_id: int, spotlight_id: int, actor: Actor, at: datetime
) -> ScoreOverride:
    """Take an override back: the computed score counts again.

    Raises NotFound for the item and when no override of the score stands, PermissionRefused.
    """
    authorize(actor, "override_score")
    hold_profiles(org_id=org.pk)
    _require_item(org, item_type, item_id)
    computed = _computed(org, item_type, [item_id], [spotlight_id])
    override = _standing(org, item_type, [item_id], [spotlight_id]).get((item_id, spotlight_id))
    if override is None:
        raise NotFound(f"The {item_type} {item_id} has no score against profile {spotlight_id} that was set by hand.")
    _end_all(org, [override], actor=actor, at=at)
    score = computed[item_id, spotlight_id]
    _settle(org, item_type, [(override, score, score)], actor=actor, at=at)
    return override


@use_case
def expire_overrides(*, org: Organization, actor: Actor, at: datetime) -> int:
    """End the overrides whose time is over, at most BATCH of them; answers how many. For the sweep.

    Raises PermissionRefused.
    """
    authorize(actor, "override_score")
    hold_profiles(org_id=org.pk)
    rows = ScoreOverride.objects.for_org(org).filter(ended_at__isnull=True, expires_at__lte=at)
    due: dict[str, list[tuple[int, int]]] = defaultdict(list)
    for override in rows.order_by("expires_at", "pk")[:BATCH]:
        due[override.item_type].append((override.item_id, override.spotlight_id))
    ended = 0
    for item_type in SCORED_MODELS:
        items = sorted({item_id for item_id, _ in due[item_type]})
        spotlights = sorted({spotlight_id for _, spotlight_id in due[item_type]})
        if items:
            computed = _computed(org, item_type, items, spotlights)
            standing = _standing(org, item_type, items, spotlights)
            over = {key: each for key, each in standing.items() if each.expires_at <= at}
            _end_all(org, over.values(), actor=actor, at=at)
            moves = [(override, computed[key], computed[key]) for key, override in over.items()]
            _settle(org, item_type, moves, actor=actor, at=at)
            ended += len(over)
    return ended


def _require_item(org: Organization, item_type: str, item_id: int) -> None:
    """Raises NotFound for an item that is not there, Conflict for a rejected signal; a candidate is locked."""
    if item_type == "candidate":
        Candidate.objects.for_org(org).locked().fetch(item_id)
    elif item_type == "signal":
        signal: Signal = Signal.objects.for_org(org).fetch(item_id)
        if signal.disposition == SignalDisposition.REJECTED:
            raise Conflict(f"The signal {item_id} was rejected; rejected signals have no score.")
    else:
        raise NotFound(f"Signals and candidates are scored, not {item_type}.")


def _checked(
    scale: Scale, match_score: Decimal | None, recommendation: str, reason: str, expires_at: datetime, at: datetime
) -> tuple[Decimal, str]:
    """The score and recommendation that are meant. Raises InvalidInput with a sentence for each field that is wrong."""
    wrong: dict[str, list[str]] = {}
    if match_score is None and not recommendation:
        wrong["match_score"] = ["Give a score from 0 to 1, or a recommendation."]
    if match_score is not None and not 0 <= match_score <= 1:
        wrong["match_score"] = ["A score lies between 0 and 1."]
    if recommendation and recommendation not in Recommendation.values:
        wrong["recommendation"] = [f"This is one of {', '.join(Recommendation.values)}."]
    if not reason.strip():
        wrong["reason"] = ["Say why the score is set by hand."]
    elif len(reason.strip()) > 500:
        wrong["reason"] = ["Say it in at most 500 characters."]
    if expires_at <= at:
        wrong["expires_at"] = ["This must lie in the future."]
    elif expires_at > at + timedelta(days=MOST_DAYS):
        wrong["expires_at"] = [f"This must lie within {MOST_DAYS} days; what is to hold longer belongs in the profile."]
    if wrong:
        raise InvalidInput(next(iter(wrong.values()))[0], fields=wrong)
    if match_score is None:
        return _floor(scale, recommendation), recommendation
    score = match_score.quantize(Decimal("0.0001"))
    return score, recommendation or scale.band(int(score * WHOLE))


def _floor(scale: Scale, recommendation: str) -> Decimal:
    """The least score of a band."""
    high, medium, low, _ = scale.floors
    floors = {Recommendation.HIGH: high, Recommendation.MEDIUM: medium, Recommendation.LOW: low}
    return share(floors.get(Recommendation(recommendation), 0))


def _computed(
    org: Organization, item_type: str, item_ids: Collection[int], spotlight_ids: Collection[int]
) -> dict[tuple[int, int], SpotlightScore]:
    """The computed scores, locked, by item and profile; of candidates the rows as well, which come first."""
    if item_type == "candidate":
        rows = Candidate.objects.for_org(org).filter(pk__in=item_ids).locked().order_by("pk")
        list(rows.values_list("pk"))
    scores = SpotlightScore.objects.for_org(org).filter(**{f"{item_type}__in": item_ids}, spotlight__in=spotlight_ids)
    found = scores.select_related("spotlight").locked().order_by(f"{item_type}_id", "spotlight_id")
    return {(score.item_id, score.spotlight_id): score for score in found}


def _standing(
    org: Organization, item_type: str, item_ids: Collection[int], spotlight_ids: Collection[int]
) -> dict[tuple[int, int], ScoreOverride]:
    """The overrides that have not ended, locked, by item and profile; for who holds the computed scores."""
    rows = ScoreOverride.objects.for_org(org).filter(
        **{f"{item_type}__in": item_ids}, spotlight__in=spotlight_ids, ended_at__isnull=True
    )
    found = rows.locked().order_by(f"{item_type}_id", "spotlight_id")
    return {(override.item_id, override.spotlight_id): override for override in found}


def _end_all(org: Organization, overrides: Collection[ScoreOverride], *, actor: Actor, at: datetime) -> None:
    if not overrides:
        return
    for override in overrides:
        override.end(actor=actor, at=at)
    rows = ScoreOverride.objects.for_org(org).filter(pk__in=[override.pk for override in overrides])
    rows.update(ended_at=at, ended_by_label=actor.label[:200], updated_at=at)
    bulk_record(overrides)


def _settle(
    org: Organization,
    item_type: str,
    moves: Collection[tuple[SpotlightScore | ScoreOverride, SpotlightScore | ScoreOverride, SpotlightScore]],
    *,
    actor: Actor,
    at: datetime,
) -> None:
    """Write history and tell of scores that count otherwise now: (what counted, what counts, the computed score)."""
    storing = Storing(org=org, item_type=item_type, cause=Cause.OVERRIDE, actor=actor, at=at)
    changes = []
    for before, after, computed in moves:
        storing.moved[after.item_id].append(_moved(before, after, computed))
        if (before.match_score, before.recommendation) != (after.match_score, after.recommendation):
            changes.append(
                sql.NewChange(
                    item_id=after.item_id,
                    spotlight_id=after.spotlight_id,
                    previous_score=before.match_score,
                    match_score=after.match_score,
                    previous_recommendation=before.recommendation,
                    recommendation=after.recommendation,
                    previous_version=computed.spotlight_version,
                    version=computed.spotlight_version,
                    components="[]",
                )
            )
    if changes:
        sql.add_changes(org_id=org.pk, item=item_type, changes=changes, cause=Cause.OVERRIDE, at=at)
    storing.settle(sorted(storing.moved))
    storing.announce()


def _moved(
    before: SpotlightScore | ScoreOverride, after: SpotlightScore | ScoreOverride, computed: SpotlightScore
) -> Moved:
    return Moved(
        spotlight_id=computed.spotlight_id,
        name=computed.spotlight.name,
        version=computed.spotlight_version,
        match_score=after.match_score,
        recommendation=str(after.recommendation),
        coverage=computed.coverage,
        is_override=isinstance(after, ScoreOverride),
        previous_score=before.match_score,
    )
