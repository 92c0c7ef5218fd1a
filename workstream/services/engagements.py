"""Use cases of engagements."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from flowledger.tenancy.actors import Actor
from flowledger.tenancy.models import Organization
from flowledger.tenancy.permissions import authorize
from flowledger.tenancy.usecases import use_case
from workstream.machines import PursuitStage
from workstream.models import Engagement, Pursuit
from workstream.rule_schemas import KickoffTask
from workstream.services.activities import create_task
from workstream.services.checklists import kickoff_tasks


@use_case
def open_engagement(*, org: Organization, pursuit_id: int, actor: Actor, at: datetime) -> Engagement | None:
    """Open the one engagement of a won pursuit with its kickoff tasks; again answers with the same one.

    None when the pursuit is not won. `at` is the moment of the win and gives the start in the organisation's zone.
    Raises NotFound, PermissionRefused.
    """
    pursuit: Pursuit = Pursuit.objects.for_org(org).locked().fetch(pursuit_id)
    authorize(actor, "close", pursuit)
    if pursuit.stage != PursuitStage.WON or pursuit.client_id is None:
        return None
    existing: Engagement | None = Engagement.objects.for_org(org).filter(pursuit=pursuit).order_by("pk").first()
    if existing is not None:
        return existing
    engagement = new_engagement(org=org, pursuit=pursuit, actor=actor, at=at)
    engagement.save()
    _open_kickoff(org, pursuit, engagement, kickoff_tasks(org=org), actor, at)
    return engagement


def new_engagement(*, org: Organization, pursuit: Pursuit, actor: Actor, at: datetime) -> Engagement:
    """The unsaved engagement of a won pursuit; shared by handler and import."""
    engagement = Engagement(
        org=org,
        pursuit=pursuit,
        client=pursuit.client,
        title=pursuit.title,
        owner_id=pursuit.owner_id,
        value=pursuit.forecast_value,
        currency=pursuit.currency,
        started_on=at.astimezone(ZoneInfo(org.timezone)).date(),
    )
    engagement.start(actor=actor, at=at)
    return engagement


def _open_kickoff(
    org: Organization,
    pursuit: Pursuit,
    engagement: Engagement,
    tasks: Sequence[KickoffTask],
    actor: Actor,
    at: datetime,
) -> None:
    for position, task in enumerate(tasks):
        create_task(
            org=org,
            item_type="engagement",
            item_id=engagement.pk,
            title=task.name,
            assignee=pursuit.owner,
            due_at=at + timedelta(days=task.due_in_days),
            rule="engagement kickoff",
            rule_key=f"kickoff:{engagement.pk}:{position}",
            actor=actor,
            at=at,
        )
