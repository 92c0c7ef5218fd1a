"""What the tests of the boards share: rows of the panel made by hand, and looking up columns and cards."""

from __future__ import annotations

from datetime import date
from typing import Any

from tests.workstream.factories import AT
from workstream.models import Candidate, SlaBreach, SlaClock, SlaRule, TodayItem
from workstream.models.today import Badge, NextVerb, Tier, Urgency

CANDIDATES = "/api/workstream/board/candidates"
PURSUITS = "/api/workstream/board/pursuits"


def rank(item: Any, *, badge: Badge = Badge.GREEN, tier: Tier = Tier.LOW, due: date | None = None) -> TodayItem:
    """Put an item on the panel at a place of its own."""
    is_candidate = isinstance(item, Candidate)
    found: TodayItem = TodayItem.all_orgs.create(
        org=item.org,
        **{"candidate" if is_candidate else "pursuit": item},
        label=item.title,
        state=item.status if is_candidate else item.stage,
        last_touch_at=AT,
        due_date=due,
        badge=badge,
        tier=tier,
        urgency=Urgency.CALM,
        next_verb=NextVerb.LOG_CALL,
        urgency_points=20,
        value_points=0,
        stage_points=0,
        priority_score=20,
    )
    return found


def warn(item: Any) -> SlaClock:
    """A running clock of the item that has warned."""
    clock: SlaClock
    clock, _ = SlaClock.all_orgs.update_or_create(
        org=item.org,
        **{item._meta.model_name: item},
        metric="touch",
        stopped_at=None,
        defaults={"warned_at": AT},
        create_defaults={"started_at": AT, "warn_at": AT, "warned_at": AT},
    )
    return clock


def breach(item: Any) -> SlaBreach:
    """An open breach of the item."""
    name = item._meta.model_name
    rule = SlaRule.all_orgs.create(org=item.org, item_type=name, metric="triage_sla", threshold_hours=24)
    clock = SlaClock.all_orgs.create(
        org=item.org,
        **{name: item},
        rule=rule,
        metric="triage_sla",
        started_at=AT,
        due_at=AT,
        warned_at=AT,
        breached_at=AT,
    )
    found: SlaBreach = SlaBreach.all_orgs.create(
        org=item.org,
        **{name: item},
        clock=clock,
        rule=rule,
        metric="triage_sla",
        reason_code="untouched",
        breached_at=AT,
    )
    return found


def columns(answer: Any) -> dict[str, dict[str, Any]]:
    """The columns of a board by state."""
    assert answer.status_code == 200, answer.content
    return {column["state"]: column for column in answer.json()["columns"]}


def ids(column: dict[str, Any]) -> list[int]:
    """The items of a column in their order."""
    return [card["item_id"] for card in column["cards"]]
