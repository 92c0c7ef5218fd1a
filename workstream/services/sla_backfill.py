"""The clocks of what was open before anything measured it, and the Today rows of it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db import transaction
from django.db.models import Exists, Max, Min, OuterRef

from flowledger.tenancy.models import Organization
from flowledger.tenancy.scope import org_scope
from workstream.hindsight import Hindsight
from workstream.machines import OPEN_STAGES, CandidateStatus, ProposalStatus, PursuitStage, SignalDisposition
from workstream.models import Activity, Candidate, Proposal, Pursuit, Signal, SlaClock, SlaRule
from workstream.models.activities import Direction
from workstream.models.sla import SlaItem, SlaMetric
from workstream.services.today import refresh_today

# Items per transaction: their locks are held for a moment only.
BATCH = 500
OPEN_STATUSES = tuple(
    status for status in CandidateStatus if status not in {CandidateStatus.PROMOTED, CandidateStatus.ARCHIVED}
)


@dataclass(frozen=True)
class Started:
    """What a backfill did: items that had no clock, the clocks they got, and those of them that were overdue."""

    items: int = 0
    clocks: int = 0
    breaches: int = 0

    def __add__(self, other: Started) -> Started:
        return Started(self.items + other.items, self.clocks + other.clocks, self.breaches + other.breaches)


def start_missing_clocks(*, org: Organization, at: datetime, batch: int = BATCH) -> Started:
    """Give every open item that has no clock at all the ones that would run on it, and its row on the Today panel.

    Times are those that the import of history gives: what is overdue is in breach from the start, and nobody is told.
    Ended clocks are not made up. A signal counts as forgotten only if it is older than the organisation's first rule;
    a later one without a clock had no rule to be measured by. Each batch is a transaction of its own in which the items
    are locked in order, so that it can run beside the services and beside itself, and go on after it was killed.
    """
    started = Started()
    for kind in SlaItem.values:
        after = 0
        while True:
            with org_scope(org), transaction.atomic():
                rows = _forgotten(org, kind).filter(pk__gt=after).order_by("pk")
                found = list(rows.values_list("pk", flat=True)[:batch])
                if found:
                    started += _start(org, kind, found, at=at)
            if len(found) < batch:
                break
            after = found[-1]
    return started


def _forgotten(org: Organization, kind: str) -> Any:
    """Open items without a clock."""
    clocks = SlaClock.objects.for_org(org).filter(**{kind: OuterRef("pk")})
    return _open(org, kind).filter(~Exists(clocks))


def _open(org: Organization, kind: str) -> Any:
    """What may have running clocks."""
    if kind == SlaItem.CANDIDATE:
        return Candidate.objects.for_org(org).filter(status__in=OPEN_STATUSES)
    if kind == SlaItem.PURSUIT:
        return Pursuit.objects.for_org(org).filter(stage__in=OPEN_STAGES)
    rows = Signal.objects.for_org(org).filter(disposition=SignalDisposition.NEW, first_touch_at__isnull=True)
    first = SlaRule.objects.for_org(org).aggregate(first=Min("created_at"))["first"]
    return rows if first is None else rows.filter(created_at__lt=first)


def _start(org: Organization, kind: str, ids: list[int], *, at: datetime) -> Started:
    """Start the clocks of those of these items that have none once they are locked."""
    rows = _open(org, kind).filter(pk__in=ids)
    if kind == SlaItem.PURSUIT:
        rows = rows.select_related("candidate")
    items = list(rows.locked().order_by("pk"))
    # Whoever starts clocks holds the item: what has none now gets none but these.
    key = f"{kind}_id"
    known = set(SlaClock.objects.for_org(org).filter(**{f"{key}__in": ids}).values_list(key, flat=True))
    items = [item for item in items if item.pk not in known]
    hindsight = Hindsight.in_force(org, at=at)
    sent = _unanswered(org, ids) if kind == SlaItem.PURSUIT else {}
    for item in items:
        _measure(hindsight, item, sent.get(item.pk))
    measured = {clock.item_id for clock in hindsight.clocks}
    clocks, breaches = hindsight.store()
    if kind != SlaItem.SIGNAL:
        keys: dict[str, list[int]] = {"candidate_ids": [], "pursuit_ids": [], f"{kind}_ids": sorted(measured)}
        refresh_today(org=org, candidate_ids=keys["candidate_ids"], pursuit_ids=keys["pursuit_ids"], at=at)
    return Started(len(measured), clocks, breaches)


def _measure(hindsight: Hindsight, item: Signal | Candidate | Pursuit, sent_at: datetime | None) -> None:
    """What runs on an open item; on a pursuit also the wait for the answer to what was sent to its client."""
    if isinstance(item, Signal):
        hindsight.measure(item, SlaMetric.TRIAGE, item.ts)
        return
    hindsight.run_softly(item)
    entered_at = item.state_entered_at
    if isinstance(item, Candidate):
        if item.status == CandidateStatus.NEW:
            hindsight.measure(item, SlaMetric.TRIAGE, entered_at)
        else:
            hindsight.measure_stay(item, SlaMetric.TRIAGE, entered_at)
        return
    if item.stage == PursuitStage.SUBMIT:
        hindsight.measure_stay(item, SlaMetric.PROPOSAL, entered_at)
    else:
        hindsight.measure(item, SlaMetric.PROPOSAL, item.candidate.promoted_at or item.created_at)
    if sent_at is not None:
        hindsight.measure(item, SlaMetric.RESPONSE, sent_at)


def _unanswered(org: Organization, pursuit_ids: list[int]) -> dict[int, datetime]:
    """When the newest proposal was sent, of the pursuits from which nothing was heard since."""
    proposals = Proposal.objects.for_org(org).filter(
        pursuit_id__in=pursuit_ids, status=ProposalStatus.SENT, sent_at__isnull=False
    )
    newest = proposals.order_by("pursuit_id", "-version").distinct("pursuit_id").values_list("pursuit_id", "sent_at")
    answers = Activity.objects.for_org(org).filter(pursuit_id__in=pursuit_ids, direction=Direction.INBOUND)
    heard = dict(answers.order_by().values_list("pursuit_id").annotate(Max("happened_at")))
    return {key: sent_at for key, sent_at in newest if key not in heard or heard[key] < sent_at}
