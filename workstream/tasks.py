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
from flowledger.tenancy.scope import system_scope
from workstream import services
from workstream.models import Candidate

log = structlog.get_logger(__name__)
RESUME_BATCH = 500


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
