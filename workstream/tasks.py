"""Scheduled work of the pipeline: read the clock, call one service."""

from __future__ import annotations

from typing import Any

import structlog
from celery import shared_task
from django.db import DatabaseError
from django.utils import timezone

from flowledger.errors import FlowLedgerError
from flowledger.tenancy.actors import Actor
from flowledger.tenancy.models import Organization
from flowledger.tenancy.scope import org_scope, system_scope
from workstream import services
from workstream.models import Candidate, ItemTally, TodayItem
from workstream.services.notification_emails import send_due_notification_emails
from workstream.services.sla_sweep import sweep
from workstream.services.tallies import WORTH_FOLDING, fold_tallies

log = structlog.get_logger(__name__)
RESUME_BATCH = 500
SNOOZE_BATCH = 5000


@shared_task
def resume_held_candidates(**kwargs: Any) -> int:
    """Bring held candidates whose resume time has come back to triaged; answers how many.

    A cross-tenant sweep by index; each candidate moves in its own organisation's scope and transaction.
    """
    at = timezone.now()
    with system_scope("find held candidates to resume"):
        due = Candidate.all_orgs.resumable(at=at).order_by("resume_at", "pk")
        found = list(due.values_list("org_id", "pk")[:RESUME_BATCH])
        orgs = Organization.objects.in_bulk({org_id for org_id, _ in found})
    actor = Actor.system("resume sweep")
    resumed = 0
    for org_id, candidate_id in found:
        try:
            moved = services.resume_candidate(org=orgs[org_id], candidate_id=candidate_id, actor=actor, at=at)
        except (FlowLedgerError, DatabaseError):
            # One that cannot move now must not hold up the others; the next sweep finds it again.
            log.exception("held candidate not resumed", org_id=org_id, candidate_id=candidate_id)
            continue
        resumed += moved is not None
    if found:
        log.info("held candidates resumed", due=len(found), resumed=resumed)
    return resumed


@shared_task
def fold_item_tallies(**kwargs: Any) -> int:
    """Put scattered tallies together, organisation by organisation; answers how many organisations."""
    with system_scope("find scattered tallies"):
        found = [row["org_id"] for row in ItemTally.all_orgs.scattered(more_than=WORTH_FOLDING)]
    for org_id in found:
        with org_scope(org_id):
            fold_tallies(org_id=org_id)
    return len(found)


@shared_task
def end_snoozes(**kwargs: Any) -> int:
    """Bring back to the Today panel what was put off until now; answers how many rows.

    A cross-tenant sweep by index; the rows of each organisation return in its own scope and transaction.
    """
    at = timezone.now()
    with system_scope("find snoozes that have ended"):
        due = TodayItem.all_orgs.awake(at=at).order_by("snoozed_until", "pk")
        found = {row["org_id"] for row in due.values("org_id")[:SNOOZE_BATCH]}
        orgs = Organization.objects.in_bulk(found)
    actor = Actor.system("snooze sweep")
    returned = 0
    for org_id in sorted(orgs):
        try:
            returned += services.end_snoozes(org=orgs[org_id], actor=actor, at=at)
        except DatabaseError:
            # One organisation's trouble must not keep the others waiting; the next sweep finds it again.
            log.exception("snoozes not ended", org_id=org_id)
    return returned


@shared_task
def sweep_sla(**kwargs: Any) -> None:
    """Warn about the SLA clocks that are due and put them into breach."""
    result = sweep(at=timezone.now())
    if result.warned or result.breached or result.failures:
        log.info("SLA swept", warned=result.warned, breached=result.breached, failures=len(result.failures))


@shared_task
def send_notification_emails(**kwargs: Any) -> None:
    """Queue the emails of notifications that are due, one for each person."""
    result = send_due_notification_emails(at=timezone.now())
    if result.queued or result.failed:
        log.info("notifications emailed", queued=result.queued, failed=result.failed)
