"""The Today panel in tests: refreshing it, reading it, and what the clocks themselves say about an item."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from flowledger.tenancy.actors import Actor
from flowledger.tenancy.models import Organization
from flowledger.tenancy.scope import org_scope
from tests.workstream.factories import AT
from workstream.machines import OPEN_STAGES, CandidateStatus
from workstream.models import Candidate, Pursuit, SlaBreach, SlaClock, TodayItem, TodayVersion
from workstream.models.sla import SlaMetric
from workstream.models.today import Badge, no_counts, panel_place
from workstream.reports.today import PanelRow, TodayFilters, today_page
from workstream.services.today import refresh_today

LISTED = {CandidateStatus.TRIAGED, CandidateStatus.NURTURE, CandidateStatus.ON_HOLD}


def refresh(*items: Any, at: datetime = AT) -> Any:
    """Refresh the rows of these items of one organisation."""
    return refresh_today(
        org=items[0].org,
        candidate_ids=[item.pk for item in items if isinstance(item, Candidate)],
        pursuit_ids=[item.pk for item in items if isinstance(item, Pursuit)],
        at=at,
    )


def row_of(item: Any) -> TodayItem:
    """The stored row of an item."""
    row: TodayItem = TodayItem.all_orgs.get(org_id=item.org_id, **{str(item._meta.model_name): item})
    return row


def is_listed(item: Any) -> bool:
    return TodayItem.all_orgs.filter(org_id=item.org_id, **{str(item._meta.model_name): item}).exists()


def shown(
    org: Organization, *, at: datetime = AT, actor: Actor | None = None, limit: int = 200, **filters: Any
) -> list[PanelRow]:
    """The first page of the panel."""
    with org_scope(org):
        return today_page(org=org, filters=TodayFilters(**filters), limit=limit, at=at, actor=actor).rows


def version_of(org: Organization) -> int:
    return TodayVersion.all_orgs.filter(org=org).values_list("version", flat=True).first() or 0


def warn(item: Any, metric: SlaMetric, *, at: datetime = AT) -> None:
    """Let the item's running clock of a metric have warned, as a sweep does."""
    clocks = SlaClock.all_orgs.filter(**{str(item._meta.model_name): item}, metric=metric, stopped_at=None)
    assert clocks.update(warned_at=at) == 1


def breach(item: Any, metric: SlaMetric, *, at: datetime = AT) -> SlaBreach:
    """Put the item's running clock of a metric into breach, as a sweep does."""
    of_item = {str(item._meta.model_name): item}
    clock = SlaClock.all_orgs.get(**of_item, metric=metric, stopped_at=None)
    SlaClock.all_orgs.filter(pk=clock.pk).update(breached_at=at, warned_at=clock.warned_at or at)
    made: SlaBreach = SlaBreach.all_orgs.create(
        org_id=item.org_id,
        clock=clock,
        rule_id=clock.rule_id,
        metric=metric,
        reason_code="untouched",
        breached_at=at,
        **of_item,
    )
    return made


def badges_by_the_clocks(org: Organization) -> dict[tuple[str, int], str]:
    """Which items belong on the panel and how each stands, item by item from clocks and breaches alone."""
    expected: dict[tuple[str, int], str] = {}
    for model, kind in ((Candidate, "candidate"), (Pursuit, "pursuit")):
        for item in model.all_orgs.filter(org=org).order_by("pk"):
            clocks = list(SlaClock.all_orgs.filter(**{kind: item}, stopped_at__isnull=True))
            is_breached = SlaBreach.all_orgs.filter(**{kind: item}, resolved_at__isnull=True).exists()
            warned = {clock.metric for clock in clocks if clock.warned_at is not None}
            if kind == "candidate":
                late = is_breached or SlaMetric.TRIAGE in warned
                belongs = item.status in LISTED or (item.status == CandidateStatus.NEW and late)
            else:
                belongs = item.stage in OPEN_STAGES
            if belongs:
                badge = Badge.RED if is_breached else Badge.AMBER if warned else Badge.GREEN
                expected[kind, item.pk] = badge.label
    return expected


def counted(org: Organization) -> list[int]:
    """The shown rows per badge and tier, counted."""
    counts = no_counts()
    for badge, tier in TodayItem.all_orgs.filter(org=org, snoozed_until=None).values_list("badge", "tier"):
        counts[panel_place(badge, tier)] += 1
    return counts


def kept_counts(org: Organization) -> list[int]:
    """The same as the panel keeps them."""
    row = TodayVersion.all_orgs.filter(org=org).first()
    return list(row.counts) if row else no_counts()
