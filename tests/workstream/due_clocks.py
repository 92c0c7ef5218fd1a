"""Clocks that are due, stored past the use cases, and what a sweep left of them."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from flowledger.outbox.models import WorkEvent
from flowledger.tenancy.models import Organization
from flowledger.tenancy.scope import system_scope
from tests.workstream.factories import CandidateFactory
from workstream.models import Candidate, SlaClock, SlaRule

# A Wednesday at noon.
AT = datetime(2026, 3, 4, 12, 0, tzinfo=UTC)
HOUR = timedelta(hours=1)


def rule_of(org: Organization, metric: str = "triage_sla", item_type: str = "candidate", **fields: Any) -> SlaRule:
    """A rule of 24 hours that warns six before the end."""
    values = {"threshold_hours": Decimal(24), "warn_before_hours": Decimal(6), **fields}
    row: SlaRule = SlaRule.all_orgs.create(org=org, metric=metric, item_type=item_type, **values)
    return row


def clock_of(rule: SlaRule, item: Any = None, *, due_at: datetime = AT, **fields: Any) -> SlaClock:
    """A clock by a rule on an item (a new candidate without one); it warns six hours before it is due."""
    item = item if item is not None else CandidateFactory(org=rule.org)
    values = {
        "metric": rule.metric,
        "rule_version": rule.version,
        "started_at": due_at - 24 * HOUR,
        "due_at": due_at,
        "warn_at": due_at - 6 * HOUR,
        **fields,
    }
    row: SlaClock = SlaClock.all_orgs.create(org=rule.org, rule=rule, **{item._meta.model_name: item}, **values)
    return row


def soft_clock_of(item: Any, *, metric: str = "touch", warn_at: datetime = AT, **fields: Any) -> SlaClock:
    """A clock without a rule: it can only warn."""
    values = {"started_at": warn_at - 72 * HOUR, **fields}
    row: SlaClock = SlaClock.all_orgs.create(
        org=item.org, metric=metric, warn_at=warn_at, **{item._meta.model_name: item}, **values
    )
    return row


def many_clocks(rule: SlaRule, number: int, *, due_at: datetime) -> None:
    """That many candidates with a clock each, due a millisecond after one another from `due_at` on."""
    candidates = Candidate.all_orgs.bulk_create(
        (
            Candidate(org=rule.org, title=f"Candidate {place}", state_entered_at=AT, last_touch_at=AT)
            for place in range(number)
        ),
        batch_size=5000,
    )
    moments = [due_at + timedelta(milliseconds=place) for place in range(number)]
    SlaClock.all_orgs.bulk_create(
        (
            SlaClock(
                org=rule.org,
                rule=rule,
                candidate=candidate,
                metric=rule.metric,
                rule_version=rule.version,
                started_at=moment - 24 * HOUR,
                due_at=moment,
                warn_at=moment - 6 * HOUR,
            )
            for candidate, moment in zip(candidates, moments, strict=True)
        ),
        batch_size=5000,
    )


def told_of(*names: str) -> Counter[tuple[str, int]]:
    """How often each clock was told of, by event name and clock."""
    with system_scope("tests"):
        rows = WorkEvent.all_orgs.filter(event_name__in=names).order_by("pk")
        return Counter((row.event_name, row.payload["clock_id"]) for row in rows)
