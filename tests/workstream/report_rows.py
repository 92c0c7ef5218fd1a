"""Rows that reports count, made past the use cases: panel rows, clocks with their rules, and closed pursuits."""

from __future__ import annotations

from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from flowledger.outbox.models import WorkEvent
from flowledger.tenancy.models import Organization
from tests.factories import ClientFactory
from tests.workstream.factories import AT, CandidateFactory, PursuitFactory
from workstream.models import Pursuit, SlaBreach, SlaClock, SlaRule, TodayItem
from workstream.models.sla import REASON_OF_METRIC, SlaMetric
from workstream.models.today import Badge, Tier, Urgency


def panel_row(org: Organization, **fields: Any) -> TodayItem:
    """A row of the Today panel, of a candidate of its own."""
    candidate = fields.pop("candidate", None) or CandidateFactory(org=org)
    values = {
        "label": candidate.title,
        "state": "triaged",
        "last_touch_at": AT,
        "badge": Badge.GREEN,
        "tier": Tier.LOW,
        "urgency": Urgency.choices[-1][0],
        "next_verb": TodayItem._meta.get_field("next_verb").choices[0][0],
        "urgency_points": 20,
        "value_points": 5,
        "stage_points": 10,
        "priority_score": 35,
        **fields,
    }
    row: TodayItem = TodayItem.all_orgs.create(org=org, candidate=candidate, **values)
    return row


def rule(org: Organization, metric: str) -> SlaRule:
    """The organisation's rule for a metric."""
    item_type = "candidate" if metric == SlaMetric.TRIAGE else "pursuit"
    found: SlaRule = SlaRule.all_orgs.get_or_create(
        org=org, metric=metric, defaults={"item_type": item_type, "threshold_hours": Decimal("24")}
    )[0]
    return found


def clock(
    org: Organization,
    metric: str = SlaMetric.TRIAGE,
    *,
    outcome: str = "",
    breached_at: datetime | None = None,
    stopped_at: datetime | None = None,
    started_at: datetime = AT,
) -> SlaClock:
    """A clock on an item of its own, with its breach when it has one."""
    by = rule(org, metric)
    item = (
        {"candidate": CandidateFactory(org=org)}
        if by.item_type == "candidate"
        else {"pursuit": PursuitFactory(org=org)}
    )
    made: SlaClock = SlaClock.all_orgs.create(
        org=org,
        rule=by,
        rule_version=1,
        metric=metric,
        started_at=started_at,
        due_at=started_at + timedelta(hours=24),
        breached_at=breached_at,
        stopped_at=stopped_at,
        outcome=outcome,
        **item,
    )
    if breached_at is not None:
        SlaBreach.all_orgs.create(
            org=org,
            clock=made,
            rule=by,
            metric=metric,
            reason_code=REASON_OF_METRIC[SlaMetric(metric)],
            breached_at=breached_at,
            resolved_at=stopped_at,
            **item,
        )
    return made


def closed_pursuit(
    org: Organization, stage: str, *, promoted_at: datetime, closed_at: datetime, **fields: Any
) -> Pursuit:
    """A pursuit that was won or lost, with the candidate that it was promoted from."""
    of_candidate = {name: fields.pop(name) for name in ("solution",) if name in fields}
    candidate = CandidateFactory(org=org, status="promoted", promoted_at=promoted_at, **of_candidate)
    client = ClientFactory(org=org)
    row: Pursuit = PursuitFactory(
        org=org,
        candidate=candidate,
        client=client,
        stage=stage,
        submitted_at=closed_at,
        closed_at=closed_at,
        outcome_reason="Too dear" if stage == "lost" else "",
        **fields,
    )
    return row


def pending_event(org: Organization, **fields: Any) -> WorkEvent:
    """An event that waits for its delivery."""
    event: WorkEvent = WorkEvent.all_orgs.create(
        org=org,
        event_name="test.happened",
        payload={},
        actor_kind="system",
        actor_label="tests",
        origin="system",
        occurred_at=AT,
        **fields,
    )
    return event
