"""Re-scores of many items: start, work through a batch at a time, stop.

Whoever works on a run holds its row, and a batch is one transaction: two workers never have the same batch, and a
worker that dies takes nothing with it. Runs go from the newest item to the oldest and never past where they started,
so that signals which keep coming cannot keep a run from its end.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from enum import StrEnum
from typing import Any

from django.db import transaction
from django.db.models import Max, Q

from flowledger.clients.models import Client, Contact
from flowledger.errors import FlowLedgerError
from flowledger.outbox.wake import wake_task
from flowledger.tenancy.actors import Actor, Origin
from flowledger.tenancy.models import Organization
from flowledger.tenancy.permissions import authorize
from flowledger.tenancy.scope import org_scope
from flowledger.tenancy.usecases import use_case
from spotlight.machines import RescoreStatus
from spotlight.models import RescoreRun, Spotlight
from spotlight.services.scoring import evaluate_items
from spotlight.sql import rescores as sql
from workstream.machines import SignalDisposition, require_legal
from workstream.models import Candidate, Signal

RESCORE_TASK = "spotlight.tasks.rescore_items"
# Items in a transaction: a second or so of work with twenty profiles.
BATCH = 500
SIGNALS, CANDIDATES = "signal", "candidate"


class Progress(StrEnum):
    """What a look at a run came to."""

    IDLE = "idle"  # nothing to do here, or another worker is at it
    MORE = "more"
    DONE = "done"


@use_case
def start_rescore(
    *,
    org: Organization,
    spotlight: Spotlight | None = None,
    client: Client | None = None,
    contact: Contact | None = None,
    cause: str,
    reason: str = "",
    actor: Actor,
    at: datetime,
) -> RescoreRun:
    """Let workers score signals and candidates anew: against one profile or all active ones, of one client or contact
    or of everybody.

    Running ones that this one covers are superseded; one that a worker has in hand is so after its batch. Nothing is
    waited for, so that handlers may start runs whatever they hold. An import with its rules off starts runs that route
    nothing. Raises PermissionRefused: everybody's items need a manager.
    """
    authorize(actor, "rescore" if client or contact else "rescore_all")
    run = RescoreRun(
        org=org,
        spotlight=spotlight,
        client=client,
        contact=contact,
        cause=cause,
        reason=reason.strip()[:500],
        fires_rules=actor.origin is not Origin.IMPORT,
    )
    run.cursor = _behind_newest(run)
    run.items_total = sum(_items(run, kind).count() for kind in (SIGNALS, CANDIDATES))
    run.begin(actor=actor, at=at)
    run.save()
    for older in _covered(run).order_by("pk").select_for_update(skip_locked=True, no_key=True):
        older.supersede(actor=actor, at=at)
        older.save()
    wake_task(RESCORE_TASK)
    return run


@use_case
def cancel_rescore(*, org: Organization, rescore_id: int, actor: Actor, at: datetime) -> RescoreRun:
    """Stop it after the batch in hand; what is scored stays, the rest keeps its scores of before.

    Raises NotFound, PermissionRefused, InvalidTransition once it has ended.
    """
    run: RescoreRun = RescoreRun.objects.for_org(org).locked().fetch(rescore_id)
    authorize(actor, "rescore" if run.client_id or run.contact_id else "rescore_all")
    require_legal(run, to=RescoreStatus.CANCELLED)
    run.cancel(actor=actor, at=at)
    run.save()
    return run


def rescore_batch(*, org: Organization, run_id: int, at: datetime, size: int = BATCH) -> Progress:
    """Score the next items of a running re-score, unless another worker does.

    For the task. Raises Unavailable and OperationalError when others are in the way; the items are still there for the
    next try.
    """
    with org_scope(org), transaction.atomic():
        # Profiles first, as everybody who writes scores: a profile that is being deleted waits for us or we for it.
        sql.hold_profiles(org_id=org.pk)
        runs = RescoreRun.objects.for_org(org).running().filter(pk=run_id)
        run: RescoreRun | None = runs.select_for_update(skip_locked=True, no_key=True).order_by("pk").first()
        if run is None:
            return Progress.IDLE
        actor = actor_of(run)
        if _is_covered(run):
            run.supersede(actor=actor, at=at)
            run.save()
            return Progress.DONE
        ids = list(
            _items(run, run.item_type).filter(pk__lt=run.cursor).order_by("-pk").values_list("pk", flat=True)[:size]
        )
        if ids:
            scored = evaluate_items(
                org=org,
                item_type=run.item_type,
                item_ids=ids,
                cause=run.cause,
                actor=actor,
                at=at,
                spotlight_ids=None if run.spotlight_id is None else [run.spotlight_id],
            )
            run.cursor = ids[-1]
            run.done_count += len(ids)
            run.changed_count += scored.changed
        is_last = False
        if len(ids) < size:
            is_last = run.item_type == CANDIDATES
            if is_last:
                run.items_total = run.done_count
                run.finish(actor=actor, at=at)
            else:
                run.item_type = CANDIDATES
                run.cursor = _behind_newest(run)
        run.failure = ""
        run.save()
    return Progress.DONE if is_last else Progress.MORE


def note_stall(*, org: Organization, run_id: int, error: Exception) -> None:
    """Say on the run what holds it up; the next batch that gets through takes it away."""
    words = error.message if isinstance(error, FlowLedgerError) else f"The database: {str(error).splitlines()[0]}"
    with org_scope(org), transaction.atomic():
        runs = RescoreRun.objects.for_org(org).running().filter(pk=run_id)
        run: RescoreRun | None = runs.select_for_update(skip_locked=True, no_key=True).order_by("pk").first()
        if run is not None:
            run.failure = words[:500]
            run.save(update_fields=["failure"])


def actor_of(run: RescoreRun) -> Actor:
    """The application on behalf of who started it."""
    actor = Actor.system(f"re-score {run.pk}", origin=Origin.SYSTEM if run.fires_rules else Origin.IMPORT)
    return replace(actor, user_id=run.started_by_id)


def _covered(run: RescoreRun) -> Any:
    """The older running ones that do nothing which this one does not do."""
    rows = RescoreRun.objects.for_org(run.org_id).running().filter(pk__lt=run.pk)
    for name in ("spotlight", "client", "contact"):
        if (wanted := getattr(run, f"{name}_id")) is not None:
            rows = rows.filter(**{name: wanted})
    return rows if run.fires_rules else rows.filter(fires_rules=False)


def _is_covered(run: RescoreRun) -> bool:
    """Whether a newer one does all that this one does: of two that were started at once neither saw the other."""
    rows = RescoreRun.objects.for_org(run.org_id).running().filter(pk__gt=run.pk)
    for name in ("spotlight", "client", "contact"):
        rows = rows.filter(Q(**{f"{name}__isnull": True}) | Q(**{name: getattr(run, f"{name}_id")}))
    return bool((rows.filter(fires_rules=True) if run.fires_rules else rows).exists())


def _items(run: RescoreRun, item_type: str) -> Any:
    """The items of a kind that a run scores."""
    rows: Any
    if item_type == SIGNALS:
        rows = Signal.objects.for_org(run.org_id).exclude(disposition=SignalDisposition.REJECTED)
    else:
        rows = Candidate.objects.for_org(run.org_id)
    for name in ("client", "contact"):
        if (wanted := getattr(run, f"{name}_id")) is not None:
            rows = rows.filter(**{name: wanted})
    return rows


def _behind_newest(run: RescoreRun) -> int:
    """Where its signals, or its candidates, start: before the newest that there is."""
    newest = _items(run, run.item_type).aggregate(newest=Max("pk"))["newest"]
    return (newest or 0) + 1
