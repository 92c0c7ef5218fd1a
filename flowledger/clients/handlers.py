"""What clients and contacts do about their own events; database work only, once per event."""

from __future__ import annotations

from collections.abc import Sequence

from flowledger.clients import services
from flowledger.outbox.registry import Delivery, handler


@handler(["contact.merged", "client.merged"], name="clients.move_stragglers")
def move_stragglers(delivery: Delivery) -> None:
    """Rows that came to name the loser while it was merged name the survivor, too."""
    services.move_stragglers(
        org=delivery.org,
        merge_id=delivery.payload["merge_id"],
        actor=delivery.reacting_actor(),
        at=delivery.occurred_at,
    )


@handler("identity.resolved", name="clients.suggest_duplicates", batch=True)
def suggest_duplicates(deliveries: Sequence[Delivery]) -> None:
    """Who and what signals have made is looked for once more: at one moment others may have made it, too."""
    made = [each for each in deliveries if each.payload["status"] == "created"]
    contacts = {each.payload["contact_id"] for each in made if "new_contact" in each.payload["rules"]}
    clients = {each.payload["client_id"] for each in made if "new_client" in each.payload["rules"]}
    if contacts or clients:
        services.suggest_duplicates(
            org=made[0].org,
            contact_ids=sorted(contacts - {None}),
            client_ids=sorted(clients - {None}),
            actor=made[0].reacting_actor(),
            at=max(each.occurred_at for each in made),
        )
