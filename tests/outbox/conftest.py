"""An organisation, two events of parcels, and a registry that holds the handlers of one test only."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from flowledger.outbox.events import declarations_end_here, event
from flowledger.outbox.models import WorkEvent
from flowledger.outbox.pace import pace
from flowledger.outbox.recording import record_event
from flowledger.outbox.registry import only_handlers_registered_inside
from flowledger.tenancy.actors import Actor
from flowledger.tenancy.models import Organization
from flowledger.tenancy.scope import org_scope, system_scope
from tests.outbox.parcels import AT, CLERK, ParcelLost, ParcelSent


@pytest.fixture(autouse=True)
def parcel_events() -> Iterator[None]:
    with declarations_end_here():
        event("parcel.sent", item="parcel")(ParcelSent)
        event("parcel.lost", item="parcel")(ParcelLost)
        yield


@pytest.fixture(autouse=True)
def no_wake(settings: Any) -> None:
    settings.OUTBOX_WAKE = False


@pytest.fixture(autouse=True)
def own_pace() -> None:
    """A slow test does not make the batches of the next one small."""
    pace.restart()


@pytest.fixture
def no_handlers() -> Iterator[None]:
    """The test registers its own."""
    with only_handlers_registered_inside():
        yield


@pytest.fixture
def org(db: None) -> Organization:
    with system_scope("tests"):
        return Organization.objects.create(name="Parcels and Sons")


@pytest.fixture
def other_org(db: None) -> Organization:
    with system_scope("tests"):
        return Organization.objects.create(name="Parcels Elsewhere")


@pytest.fixture
def send(org: Organization) -> Callable[..., WorkEvent]:
    """Record that a parcel was sent; answers the stored event."""

    def record(parcel_id: int = 1, *, note: str = "", actor: Actor = CLERK, to: Organization = org) -> WorkEvent:
        with org_scope(to):
            record_event(org=to, event=ParcelSent(parcel_id=parcel_id, note=note), actor=actor, at=AT)
            return WorkEvent.objects.for_org(to).order_by("-pk")[0]

    return record
