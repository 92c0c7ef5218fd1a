"""Telling of contacts and clients that were changed many at once."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from flowledger.clients.events import ClientUpdated, ContactUpdated
from flowledger.clients.models import Client
from flowledger.clients.services.written import WrittenRow, label_of
from flowledger.outbox.recording import record_events
from flowledger.tenancy.actors import Actor
from flowledger.tenancy.models import Organization


def record_updates(org: Organization, written: Sequence[WrittenRow], *, actor: Actor, at: datetime) -> None:
    """Record one event for each stored record that was changed, in one statement; a creation is none."""
    changed: dict[tuple[str, int], set[str]] = {}
    for change in (change for row in written for change in row.changes if not change.is_creation):
        names = {name.removesuffix("_id") for name in change.after}
        changed.setdefault((change.model, change.item_id), set()).update(names)
    facts = [(org.pk, _update_of(model, pk, sorted(names))) for (model, pk), names in sorted(changed.items())]
    record_events(facts=facts, actor=actor, at=at)


def _update_of(model: str, pk: int, changed: list[str]) -> ClientUpdated | ContactUpdated:
    if model == label_of(Client):
        return ClientUpdated(client_id=pk, changed=changed)
    return ContactUpdated(contact_id=pk, changed=changed)
