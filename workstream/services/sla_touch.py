"""The touch clocks follow the hours that an item may go untouched."""

from __future__ import annotations

from datetime import datetime

from flowledger.outbox.recording import record_event
from flowledger.tenancy.actors import Actor
from flowledger.tenancy.models import Organization
from flowledger.tenancy.permissions import authorize
from flowledger.tenancy.usecases import use_case
from workstream.events import SlaTouchRecomputeContinued, TodayOutdated
from workstream.services.sla import RECOMPUTE_BATCH, Recomputed
from workstream.sla_rules import untouched_for
from workstream.sql import clocks as sql


@use_case
def recompute_touch_clocks(
    *,
    org: Organization,
    counted: int = 0,
    after: int = 0,
    batch: int = RECOMPUTE_BATCH,
    actor: Actor,
    at: datetime,
) -> Recomputed:
    """Bring the running touch clocks to the hours of `sla_rule/untouched_hours` that hold now, at most `batch` of them.

    A warning that would not be due is taken back, one that is due by now is left to the sweep. When there is more,
    `sla.touch_recompute_continued` is recorded (its handler comes here again, with `counted` clocks done and the last
    one's id in `after`); at the end `today.outdated`, if a clock was moved. Raises PermissionRefused.
    """
    authorize(actor, "edit_sla")
    untouched = untouched_for(org)
    moved = sql.move_touch_clocks(org_id=org.pk, untouched=untouched, after=after, limit=batch, at=at)
    if not moved and after == 0:
        # What is left somebody holds; nobody is waited for while any other clock is locked.
        moved = sql.move_touch_clocks(org_id=org.pk, untouched=untouched, after=0, limit=1, at=at, wait=True)
    total = counted + len(moved)
    if not moved and after == 0:
        if total:
            record_event(org=org, event=TodayOutdated(after_id=0), actor=actor, at=at)
        return Recomputed(clocks=total, is_done=True)
    # A short batch ends the pass; the next one begins anew, for what was held by somebody else.
    last = moved[-1] if len(moved) == batch else 0
    event = SlaTouchRecomputeContinued(clocks=total, after_clock_id=last)
    record_event(org=org, event=event, actor=actor, at=at)
    return Recomputed(clocks=total, is_done=False)
