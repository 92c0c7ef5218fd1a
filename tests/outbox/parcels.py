"""Two events of parcels, who records them, and looks at what is stored."""

from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

from flowledger.outbox.models import HandlerFailure, HandlerReceipt, WorkEvent
from flowledger.tenancy.actors import Actor, Role
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


def again(event: WorkEvent) -> WorkEvent:
    """The event as it is stored now."""
    with system_scope("tests"):
        return WorkEvent.all_orgs.get(pk=event.pk)


def change_delivery(*events: WorkEvent, **columns: Any) -> None:
    """Put delivery columns into a state that takes minutes to come about."""
    with system_scope("tests"):
        WorkEvent.all_orgs.filter(pk__in=[event.pk for event in events]).update(**columns)


def receipts() -> set[tuple[int, str]]:
    with system_scope("tests"):
        return set(HandlerReceipt.all_orgs.values_list("event_id", "handler"))


def failures() -> list[HandlerFailure]:
    with system_scope("tests"):
        return list(HandlerFailure.all_orgs.order_by("pk"))
