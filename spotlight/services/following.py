"""What is scored anew when something that scores are made of has changed: a profile, a rule, a client, a contact."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime
from typing import Any

from flowledger.clients.models import Client, Contact
from flowledger.tenancy.actors import Actor
from flowledger.tenancy.models import Organization
from flowledger.tenancy.permissions import authorize
from flowledger.tenancy.usecases import use_case
from spotlight.models import Cause, RescoreRun, Spotlight
from spotlight.services.rescores import start_rescore
from spotlight.services.scoring import evaluate_items
from spotlight.sql import following as sql

# The newest items of a client or contact that are scored at once; with more the rest goes to a re-score.
NEWEST = 200
# And of all clients and contacts of one call together: a transaction of the drain is to be short.
MOST_AT_ONCE = 600
_MODELS: dict[str, Any] = {"client": Client, "contact": Contact}


@use_case
def follow_subjects(
    *,
    org: Organization,
    client_ids: Collection[int] = (),
    contact_ids: Collection[int] = (),
    cause: str,
    reason: str,
    actor: Actor,
    at: datetime,
) -> list[RescoreRun]:
    """Score the newest signals and the open candidates of clients and contacts anew; answers the re-scores started.

    Whoever has more than NEWEST of a kind, or comes after MOST_AT_ONCE items of others, gets a re-score of their own.
    Ids that are no longer there are passed over, and without an active profile nothing is done. Raises
    PermissionRefused.
    """
    authorize(actor, "rescore")
    if not Spotlight.objects.for_org(org).active().exists():
        return []
    due: dict[str, set[int]] = {"candidate": set(), "signal": set()}
    too_many: list[tuple[str, int]] = []
    for subject, ids in (("client", sorted(set(client_ids))), ("contact", sorted(set(contact_ids)))):
        asked: dict[str, Any] = {"org_id": org.pk, "subject": subject, "subject_ids": ids, "most": NEWEST + 1}
        found = {kind: sql.newest_items(item_type=kind, **asked) for kind in due}
        for pk in ids:
            mine = {kind: found[kind].get(pk, []) for kind in due}
            is_due_at_once = sum(len(each) for each in due.values()) < MOST_AT_ONCE
            if is_due_at_once:
                for kind, items in mine.items():
                    due[kind].update(items[:NEWEST])
            left = any(len(items) > NEWEST for items in mine.values()) if is_due_at_once else any(mine.values())
            if left:
                too_many.append((subject, pk))
    # Runs before scores: whoever starts a run waits for nobody, whoever writes scores may.
    runs = [_start(org, subject, pk, cause=cause, reason=reason, actor=actor, at=at) for subject, pk in too_many]
    for kind, item_ids in due.items():
        if item_ids:
            evaluate_items(org=org, item_type=kind, item_ids=sorted(item_ids), cause=cause, actor=actor, at=at)
    return [run for run in runs if run is not None]


@use_case
def follow_profiles(
    *, org: Organization, spotlight_ids: Collection[int], reason: str, actor: Actor, at: datetime
) -> list[RescoreRun]:
    """Score everything anew against the profiles that are still there; answers the re-scores.

    Raises PermissionRefused.
    """
    authorize(actor, "rescore_all")
    profiles = list(Spotlight.objects.for_org(org).filter(pk__in=spotlight_ids).order_by("pk"))
    common: dict[str, Any] = {"cause": Cause.PROFILE, "reason": reason, "actor": actor, "at": at}
    return [start_rescore(org=org, spotlight=profile, **common) for profile in profiles]


@use_case
def follow_rules(*, org: Organization, reason: str, actor: Actor, at: datetime) -> RescoreRun | None:
    """Score everything anew against all active profiles, if there are any: what holds for all of them has changed.

    Raises PermissionRefused.
    """
    authorize(actor, "rescore_all")
    if not Spotlight.objects.for_org(org).active().exists():
        return None
    return start_rescore(org=org, cause=Cause.PROFILE, reason=reason, actor=actor, at=at)


def _start(
    org: Organization, subject: str, pk: int, *, cause: str, reason: str, actor: Actor, at: datetime
) -> RescoreRun | None:
    row: Any = _MODELS[subject].objects.for_org(org).filter(pk=pk).order_by("pk").first()
    if row is None:
        return None
    whose: dict[str, Any] = {subject: row}
    return start_rescore(org=org, **whose, cause=cause, reason=reason, actor=actor, at=at)
