"""Scoring items against profiles: many at once, or data that is not kept."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from flowledger.outbox import causes as outbox
from flowledger.tenancy.actors import Actor
from flowledger.tenancy.models import Organization
from flowledger.tenancy.permissions import authorize
from flowledger.tenancy.scope import org_scope
from flowledger.tenancy.usecases import use_case
from spotlight.evaluation.reading import facts_from
from spotlight.evaluation.types import Evaluation, Profile
from spotlight.models import SCORED_MODELS, Cause
from spotlight.services.definitions import active_profiles, scale_of
from spotlight.services.engines import engine_of
from spotlight.services.storing import Storing
from spotlight.sql.rescores import hold_profiles

# Items whose scores are stored by one statement.
SLICE = 250


@dataclass(frozen=True)
class Scored:
    """How many items were evaluated, and of how many some score is new or has moved."""

    items: int = 0
    changed: int = 0


@use_case
def evaluate_items(
    *,
    org: Organization,
    item_type: str,
    item_ids: Collection[int],
    cause: str,
    actor: Actor,
    at: datetime,
    spotlight_ids: Collection[int] | None = None,
    causes: Mapping[int, outbox.Cause] | None = None,
) -> Scored:
    """Score signals or candidates against all active profiles, or those of `spotlight_ids` that are active.

    Stores the scores with their components and the best one of each item, writes history where a score, recommendation
    or component moved, and records one `spotlight.evaluated` for each item with a score that is new or has moved. Again
    with the same facts nothing is written. Rejected signals and unknown keys are passed over. Without any active
    profile nothing happens, except that `spotlight_ids` of switched off profiles stop counting for the best score.
    A candidate's customer fit follows its best score. At once with others: nobody's newer facts or newer version of a
    profile are overwritten. The number of statements grows with slices of 250 items only.

    `item_type` is signal or candidate, `cause` a `Cause`; `causes` are the events that those of items follow from.
    Raises PermissionRefused, Conflict while others keep scoring the same items, ValueError for another item type.
    """
    authorize(actor, "rescore")
    if item_type not in SCORED_MODELS:
        raise ValueError(f"Signals and candidates are scored, not {item_type}.")
    wanted = sorted(set(item_ids))
    if not wanted:
        return Scored()
    hold_profiles(org_id=org.pk)
    profiles = active_profiles(org)
    if spotlight_ids is not None:
        profiles = tuple(profile for profile in profiles if profile.spotlight_id in spotlight_ids)
    elif not profiles:
        return Scored()
    items = changed = 0
    for start in range(0, len(wanted), SLICE):
        storing = Storing(org=org, item_type=item_type, cause=Cause(cause), causes=causes or {}, actor=actor, at=at)
        storing.evaluate(wanted[start : start + SLICE], profiles)
        items += storing.evaluated
        changed += storing.announce()
    return Scored(items, changed)


def evaluate_data(
    *, org: Organization, data: Mapping[str, Any], profiles: Sequence[Profile] | None = None, actor: Actor
) -> list[tuple[Profile, Evaluation]]:
    """What a signal with these attributes would score against the profiles, or all active ones; nothing is stored.

    Profiles that weigh nothing are left out. Raises PermissionRefused.
    """
    authorize(actor, "try_spotlight")
    with org_scope(org):
        against = active_profiles(org) if profiles is None else profiles
        engine = engine_of(against, scale_of(org))
    return list(zip(engine.profiles, engine.evaluate(facts_from(data, "signal")), strict=True))
