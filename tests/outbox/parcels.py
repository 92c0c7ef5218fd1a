"""Two events of parcels, who records them, and looks at what is stored."""

import uuid
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

from flowledger.outbox import sql
from flowledger.outbox.models import HandlerFailure, WorkEvent
from flowledger.tenancy.actors import Actor, Origin, Role
from flowledger.tenancy.scope import system_scope

AT = datetime(2025, 3, 4, 5, 6, 7, tzinfo=UTC)
CLERK = Actor.system("clerk")


@dataclass(frozen=True)
class ParcelSent:
    """A parcel left the house."""

    parcel_id: int
    note: str = ""


@dataclass(frozen=True)
class ParcelLost:
    """A parcel never arrived."""

    parcel_id: int


MANAGER = replace(Actor.system("Maria"), role=Role.MANAGER)
REP = replace(Actor.system("Rita"), role=Role.REP)


@dataclass(frozen=True)
class Following:
    """A cause: the event whose handler is said to be running."""

    event_id: int
    correlation_id: str
    origin: Origin
    event_name: str = "parcel.sent"
    org_id: int = 0


def again(event: WorkEvent) -> WorkEvent:
    """The event as it is stored now."""
    with system_scope("tests"):
        return WorkEvent.all_orgs.get(pk=event.pk)


def change_delivery(*events: WorkEvent, **columns: Any) -> None:
    """Put delivery columns into a state that takes minutes to come about."""
    with system_scope("tests"):
        WorkEvent.all_orgs.filter(pk__in=[event.pk for event in events]).update(**columns)


def claim(limit: int = 100, *, token: uuid.UUID | None = None) -> list[int]:
    """What a worker claims now of what was never tried; the keys in order."""
    with system_scope("tests"):
        events, _ = sql.claim_fresh(token=token or uuid.uuid4(), limit=limit, orgs=sql.look().orgs)
        return [event.id for event in events]


def receipts() -> set[tuple[int, str]]:
    with system_scope("tests"):
        handled = WorkEvent.all_orgs.exclude(handled_by=[]).values_list("pk", "handled_by")
        return {(event_id, handler) for event_id, handlers in handled for handler in handlers}


def failures() -> list[HandlerFailure]:
    with system_scope("tests"):
        return list(HandlerFailure.all_orgs.order_by("pk"))
