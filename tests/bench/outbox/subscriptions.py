"""The benchmark's events and what its workers do with them. Import it when Django is set up."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from flowledger.outbox import registry
from flowledger.outbox.events import event
from flowledger.outbox.registry import Delivery, handler
from tests.bench.outbox.peers.signs import stamp
from tests.bench.outbox.peers.writes import three_writes

NOOP, BATCH, WORK, PING = "bench.moved", "bench.counted", "bench.worked", "bench.pinged"


@event(NOOP, item="parcel", item_id="item_id")
@dataclass(frozen=True)
class Moved:
    """For the handler that takes one event and does nothing."""

    item_id: int
    stage: str
    value: str
    title: str


@event(BATCH, item="parcel", item_id="item_id")
@dataclass(frozen=True)
class Counted:
    """For the handler that takes a batch and does nothing."""

    item_id: int
    stage: str
    value: str
    title: str


@event(WORK, item="parcel", item_id="item_id")
@dataclass(frozen=True)
class Worked:
    """For the handler with three writes."""

    item_id: int
    stage: str
    value: str
    title: str


@event(PING, item="parcel", item_id="item_id")
@dataclass(frozen=True)
class Pinged:
    """For the handler that notes when it started."""

    item_id: int


def replace_all() -> None:
    """From now on these are the only handlers of the process."""
    registry._handlers.clear()
    registry._by_event.clear()

    @handler(NOOP, name="bench.noop")
    def noop(delivery: Delivery) -> None:
        """Nothing; the payload stays text."""

    @handler(BATCH, name="bench.batch_noop", batch=True)
    def batch_noop(deliveries: Sequence[Delivery]) -> None:
        """Nothing."""

    @handler(WORK, name="bench.work")
    def work(delivery: Delivery) -> None:
        payload = delivery.payload
        three_writes(payload["item_id"], payload["title"])

    @handler(PING, name="bench.ping")
    def ping(delivery: Delivery) -> None:
        stamp(delivery.item_id or 0)
