"""Use cases of the outbox's operators: retry or discard what is dead."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

from django.db.models import F, Value
from django.db.models.functions import Least, Now

from flowledger.errors import Conflict, InvalidInput
from flowledger.outbox.models import WorkEvent
from flowledger.outbox.wake import wake
from flowledger.tenancy.actors import Actor, Role
from flowledger.tenancy.permissions import authorize, register_verbs
from flowledger.tenancy.usecases import use_case

if TYPE_CHECKING:
    from flowledger.tenancy.models import Organization

register_verbs({"operate_outbox": Role.MANAGER})


@use_case
def retry_dead_letter(*, org: Organization, event_id: int, actor: Actor, at: datetime) -> WorkEvent:
    """Deliver a dead letter again, with a full set of attempts; handlers that have succeeded are not run again.

    An event that killed workers stays in the lane where it is tried alone. Raises PermissionRefused, NotFound, and
    Conflict when the event is not on the dead-letter list.
    """
    authorize(actor, "operate_outbox")
    event = _locked_dead_letter(org, event_id)
    WorkEvent.objects.for_org(org).filter(pk=event.pk).update(
        dead_letter_at=None,
        available_at=Now(),
        attempts=0,
        crashes=Least(F("crashes"), Value(1)),
        retried_at=at,
        retried_by=actor.label[:200],
    )
    wake()
    event.refresh_from_db()
    return event


@use_case
def discard_dead_letter(*, org: Organization, event_id: int, reason: str, actor: Actor, at: datetime) -> WorkEvent:
    """Take a dead letter off the list without delivering it; who, when and why stay on the event.

    Raises PermissionRefused, InvalidInput for a blank reason, NotFound, and Conflict when the event is not on the
    dead-letter list.
    """
    authorize(actor, "operate_outbox")
    if not reason.strip():
        raise InvalidInput("Discarding needs a reason.", fields={"reason": ["Say why nobody needs this event."]})
    event = _locked_dead_letter(org, event_id)
    WorkEvent.objects.for_org(org).filter(pk=event.pk).update(
        discarded_at=at, discarded_by=actor.label[:200] or actor.kind.value, discard_reason=reason.strip()
    )
    event.refresh_from_db()
    return event


def _locked_dead_letter(org: Organization, event_id: int) -> WorkEvent:
    event: WorkEvent = WorkEvent.objects.for_org(org).locked().fetch(event_id)
    if event.discarded_at is not None:
        raise Conflict(f"Event {event_id} was discarded by {event.discarded_by} already.")
    if event.dead_letter_at is None:
        raise Conflict(f"Event {event_id} is not on the dead-letter list; it may have been retried meanwhile.")
    return event
