"""An event with two handlers whose effects cannot tell once from twice."""

from dataclasses import dataclass

from django.db import connection

from flowledger.outbox.events import event
from flowledger.outbox.registry import Delivery, handler

FIRST, SECOND = "faults.first", "faults.second"


@dataclass(frozen=True)
class ParcelWeighed:
    """A parcel was put on the scales."""

    parcel_id: int


def take_effect(delivery: Delivery) -> None:
    """Count once more, and be slow enough to be killed in between."""
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO fault_effect (event_id, handler) VALUES (%s, %s)", [delivery.event_id, delivery.handler]
        )
        cursor.execute("SELECT pg_sleep(0.005)")


def declare_event() -> None:
    event("fault.parcel_weighed", item="parcel")(ParcelWeighed)


def subscribe_handlers() -> None:
    handler("fault.parcel_weighed", name=FIRST)(take_effect)
    handler("fault.parcel_weighed", name=SECOND)(take_effect)
