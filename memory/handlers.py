"""What memory does about events; database work only, once per event."""

from __future__ import annotations

from collections.abc import Sequence

from flowledger.outbox.registry import Delivery, handler
from flowledger.tenancy.actors import Actor, Origin, Role
from memory import services
from memory.capture_rules import EVENTS
from memory.services.capture import Happening
from memory.services.following import GRAPH_EVENTS


@handler(sorted({*EVENTS, *GRAPH_EVENTS}), name="memory.capture", batch=True)
def capture(deliveries: Sequence[Delivery]) -> None:
    """What happened in the pipeline becomes atoms, and what is known follows the graph of its entities."""
    services.capture_events(
        org=deliveries[0].org,
        happenings=[_happening(each) for each in deliveries],
        actor=deliveries[0].reacting_actor(),
        at=max(each.occurred_at for each in deliveries),
    )


def _happening(delivery: Delivery) -> Happening:
    """The event with who did it; the role plays no part any more."""
    return Happening(
        event_id=delivery.event_id,
        event_name=delivery.event_name,
        payload=delivery.payload,
        occurred_at=delivery.occurred_at,
        actor=Actor(
            kind=delivery.actor_kind,
            pk=delivery.actor_id,
            role=Role.VIEWER,
            label=delivery.actor_label,
            origin=delivery.origin,
            user_id=delivery.actor_user_id,
        ),
        is_imported=delivery.origin is Origin.IMPORT,
        cause=delivery,
    )
