"""Scheduled work of spotlight: read the clock, call one service."""

from __future__ import annotations

from typing import Any

import structlog
from celery import shared_task
from django.db import DatabaseError
from django.utils import timezone

from flowledger.errors import FlowLedgerError
from flowledger.outbox.long_work import work_in_turns
from flowledger.outbox.wake import heed
from flowledger.tenancy.actors import Actor
from flowledger.tenancy.models import Organization
from flowledger.tenancy.scope import system_scope
from flowledger.tenancy.statistics import analyse_outgrown
from spotlight import services
from spotlight.models import (
    MatchAlert,
    RescoreRun,
    ScoreOverride,
    Spotlight,
    SpotlightFit,
    SpotlightScore,
    SpotlightScoreChange,
)
from spotlight.services import rescores
from spotlight.services.rescores import RESCORE_TASK

log = structlog.get_logger(__name__)
# Re-scores that one tick looks at, and for how long it works on them.
RESCORE_RUNS = 20
RESCORE_SECONDS = 50.0
OVERRIDE_BATCH = 5_000


@shared_task
def watch_match_rates(**kwargs: Any) -> int:
    """Begin and end low-match alerts; answers how many began.

    A cross-tenant sweep over the organisations with an active profile or a standing alert; each in its own scope and
    transaction.
    """
    at = timezone.now()
    with system_scope("find organisations with profiles"):
        found = set(Spotlight.all_orgs.active().values_list("org_id", flat=True))
        found |= set(MatchAlert.all_orgs.standing().values_list("org_id", flat=True))
        orgs = Organization.objects.in_bulk(found)
    actor = Actor.system("match rate watch")
    begun = 0
    for org_id in sorted(orgs):
        try:
            begun += services.watch_match_rates(org=orgs[org_id], actor=actor, at=at).begun
        except (FlowLedgerError, DatabaseError):
            # One organisation's trouble must not keep the others waiting; tomorrow's sweep looks again.
            log.exception("match rates not watched", org_id=org_id)
    if begun:
        log.info("low match rates", profiles=begun)
    return begun


@shared_task
def expire_score_overrides(**kwargs: Any) -> int:
    """End the scores set by hand whose time is over; answers how many.

    A cross-tenant sweep by index; those of each organisation end in its own scope and transaction.
    """
    at = timezone.now()
    with system_scope("find overrides whose time is over"):
        due = ScoreOverride.all_orgs.filter(ended_at__isnull=True, expires_at__lte=at).order_by("expires_at", "pk")
        orgs = Organization.objects.in_bulk(set(due.values_list("org_id", flat=True)[:OVERRIDE_BATCH]))
    actor = Actor.system("override sweep")
    ended = 0
    for org_id in sorted(orgs):
        try:
            ended += services.expire_overrides(org=orgs[org_id], actor=actor, at=at)
        except (FlowLedgerError, DatabaseError):
            # One organisation's trouble must not keep the others waiting; the next sweep finds it again.
            log.exception("overrides not ended", org_id=org_id)
    if ended:
        log.info("overrides ended", overrides=ended)
    return ended


@shared_task
def rescore_items(**kwargs: Any) -> int:
    """Work on the re-scores that are running, in turns; answers how many batches were done.

    A cross-tenant sweep by index. It ends after RESCORE_SECONDS, so that a worker that shuts down is soon free; what is
    left goes to the next tick.
    """
    heed(RESCORE_TASK)
    with system_scope("find re-scores to work on"):
        found = list(RescoreRun.all_orgs.running().order_by("pk").values_list("org_id", "pk")[:RESCORE_RUNS])
        orgs = Organization.objects.in_bulk({org_id for org_id, _ in found})
    return work_in_turns(RESCORE_TASK, found, lambda one: _rescore_some(orgs[one[0]], one[1]), seconds=RESCORE_SECONDS)


def _rescore_some(org: Organization, run_id: int) -> bool:
    """One batch of one re-score; whether there may be more."""
    try:
        analyse_outgrown((SpotlightScore, SpotlightScoreChange, SpotlightFit))
        progress = rescores.rescore_batch(org=org, run_id=run_id, at=timezone.now())
    except (FlowLedgerError, DatabaseError) as error:
        # Somebody is in the way, or something is broken: the page shows it, and the next tick tries again.
        log.exception("re-score stalled", org_id=org.pk, rescore_id=run_id)
        rescores.note_stall(org=org, run_id=run_id, error=error)
        return False
    return progress is rescores.Progress.MORE
