"""Scheduled work of the pipeline: read the clock, call one service."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import structlog
from celery import shared_task
from django.db import DatabaseError
from django.db.models import F
from django.utils import timezone

from flowledger.errors import FlowLedgerError
from flowledger.outbox.long_work import work_in_turns
from flowledger.outbox.wake import heed
from flowledger.tenancy.actors import Actor, Origin
from flowledger.tenancy.models import Organization
from flowledger.tenancy.scope import org_scope, system_scope
from flowledger.tenancy.statistics import analyse_outgrown
from workstream import services
from workstream.models import Candidate, ImportChange, ImportRow, ImportRun, ItemTally, TodayItem
from workstream.models.intake import FormSubmission, IntakeSource, SourceKind
from workstream.polling import poll_mailbox
from workstream.services.import_rows import Progress, import_chunk, note_stall
from workstream.services.import_undo import undo_chunk
from workstream.services.imports import IMPORT_TASK
from workstream.services.ledger import WRITTEN
from workstream.services.mailboxes import is_due
from workstream.services.notification_emails import send_due_notification_emails
from workstream.services.sla_sweep import sweep
from workstream.services.tallies import WORTH_FOLDING, fold_tallies
from workstream.services.web_forms import purge_submissions

log = structlog.get_logger(__name__)
RESUME_BATCH = 500
SNOOZE_BATCH = 5000
UNCONFIRMED_KEPT = timedelta(days=30)
POLL_BATCH = 1000
# Imports that one tick looks at, and for how long it works on them.
IMPORT_RUNS = 20
IMPORT_SECONDS = 50.0


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


@shared_task
def import_rows(**kwargs: Any) -> int:
    """Work on the CSV imports that are running or being undone, in turns; answers how many chunks were done.

    A cross-tenant sweep by index. It ends after IMPORT_SECONDS, so that a worker that shuts down is soon free; what is
    left goes to the next tick.
    """
    heed(IMPORT_TASK)
    with system_scope("find CSV imports to work on"):
        found = list(ImportRun.all_orgs.to_do().order_by("pk").values_list("org_id", "pk")[:IMPORT_RUNS])
        orgs = Organization.objects.in_bulk({org_id for org_id, _ in found})
    return work_in_turns(IMPORT_TASK, found, lambda one: _import_some(orgs[one[0]], one[1]), seconds=IMPORT_SECONDS)


def _import_some(org: Organization, run_id: int) -> bool:
    """One chunk of one import; whether there may be more."""
    at = timezone.now()
    try:
        analyse_outgrown((*WRITTEN, ImportRow, ImportChange))
        progress = import_chunk(org=org, run_id=run_id, at=at)
        if progress is Progress.IDLE:
            progress = undo_chunk(org=org, run_id=run_id, at=at)
    except (FlowLedgerError, DatabaseError) as error:
        # Somebody is in the way, or something is broken: the page shows it, and the next tick tries again.
        log.exception("import stalled", org_id=org.pk, import_id=run_id)
        note_stall(org=org, run_id=run_id, error=error)
        return False
    return progress is Progress.MORE


@shared_task
def poll_mailboxes(**kwargs: Any) -> int:
    """Read the mailboxes that are due, the longest unpolled first; answers how many had their turn.

    A cross-tenant sweep by index; each mailbox is read in its own organisation's scope. One tick that takes long does
    not keep the next from the others: a mailbox that is being read is passed over.
    """
    at = timezone.now()
    with system_scope("find mailboxes to poll"):
        rows = IntakeSource.all_orgs.filter(kind=SourceKind.MAILBOX, is_active=True)
        oldest = rows.order_by(F("polled_at").asc(nulls_first=True), "pk")[:POLL_BATCH]
        found = [(source.org_id, source.pk, source.name) for source in oldest if is_due(source, at=at)]
        orgs = Organization.objects.in_bulk({org_id for org_id, _, _ in found})
    polled = 0
    for org_id, source_id, name in found:
        actor = Actor.system(f"mailbox {name}", origin=Origin.API)
        try:
            counts = poll_mailbox(org=orgs[org_id], source_id=source_id, actor=actor, clock=timezone.now)
        except (FlowLedgerError, DatabaseError):
            # One mailbox must not hold up the others; its lease ends, and a later tick finds it again.
            log.exception("mailbox not polled", org_id=org_id, source_id=source_id)
            continue
        polled += counts is not None
        if counts:
            log.info("mailbox polled", org_id=org_id, source_id=source_id, counts=dict(counts))
    return polled


@shared_task
def purge_form_submissions(**kwargs: Any) -> int:
    """Forget what nobody confirmed, a month after its link ended; answers how many.

    A cross-tenant sweep once a day; each organisation's rows go in its own scope.
    """
    until = timezone.now() - UNCONFIRMED_KEPT
    with system_scope("find unconfirmed submissions"):
        rows = FormSubmission.all_orgs.filter(confirmed_at__isnull=True, expires_at__lte=until)
        org_ids = set(rows.order_by().values_list("org_id", flat=True).distinct())
        orgs = list(Organization.objects.filter(pk__in=org_ids).order_by("pk"))
    return sum(purge_submissions(org=org, at=until) for org in orgs)
