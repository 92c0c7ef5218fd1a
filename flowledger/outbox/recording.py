"""Recording: the row and the events that tell of its change are one write."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from django.db import transaction
from django.db.models.base import ModelBase
from django.utils import timezone

from flowledger.outbox import sql
from flowledger.outbox.causes import current_cause, current_correlation
from flowledger.outbox.events import EventRefused, event_type_of
from flowledger.outbox.wake import wake
from flowledger.tenancy.actors import Actor, Origin
from flowledger.tenancy.models import OrgModel

if TYPE_CHECKING:
    from flowledger.tenancy.models import Organization


@dataclass(frozen=True)
class _Queued:
    """An event that waits for its row to be saved; `fact` may need the key that the save gives."""

    fact: Any
    actor: Actor
    at: datetime
    dedupe_key: str | None


class RecordingModel(OrgModel):
    """Base of every row whose changes leave events.

    A transition calls `record()`; `save()` stores the row and the recorded events in one transaction, the events in
    one statement, so no caller can store one without the other.
    """

    class Meta(OrgModel.Meta):
        abstract = True

    def record(self, fact: Any, *, actor: Actor, at: datetime, dedupe_key: str | None = None) -> None:
        """Queue an event for the next save: an event object, or a function of the saved row that makes one.

        A second event of the same name and `dedupe_key` is not written, silently; the row is. Raises EventRefused at
        once for an event that the catalogue does not know.
        """
        if not callable(fact):
            event_type_of(fact)
        self.__dict__.setdefault("_queued_events", []).append(_Queued(fact, actor, at, dedupe_key))

    @property
    def queued_events(self) -> tuple[Any, ...]:
        """What `record()` was given since the last save."""
        return tuple(queued.fact for queued in self.__dict__.get("_queued_events", ()))

    def save(
        self,
        *,
        force_insert: bool | tuple[ModelBase, ...] = False,
        force_update: bool = False,
        using: str | None = None,
        update_fields: Iterable[str] | None = None,
    ) -> None:
        """Store the row and its queued events together."""
        arguments: dict[str, Any] = {
            "force_insert": force_insert,
            "force_update": force_update,
            "using": using,
            "update_fields": update_fields,
        }
        if not self.__dict__.get("_queued_events"):
            super().save(**arguments)
            return
        # Without a savepoint: inside a service's transaction this costs no statement of its own.
        with transaction.atomic(using=using, savepoint=False):
            super().save(**arguments)
            bulk_record([self])

    def delete(self, using: str | None = None, keep_parents: bool = False) -> tuple[int, dict[str, int]]:
        """Delete the row. Raises EventRefused while it has events that were never saved."""
        if self.__dict__.get("_queued_events"):
            raise EventRefused(f"{self!r} has recorded events that were not saved; save() before delete().")
        return super().delete(using=using, keep_parents=keep_parents)


def bulk_record(rows: Iterable[RecordingModel]) -> int:
    """Write the queued events of many saved rows in one statement; the way of imports and sweeps.

    The events of several rows are written in the order in which they happened, those of one moment in the order of
    the rows. Call it in the transaction that stored the rows. Answers how many events were written; those with a
    dedupe key that is already there are not.
    """
    facts: list[sql.NewEvent] = []
    emptied: list[RecordingModel] = []
    for row in rows:
        queued = row.__dict__.get("_queued_events", ())
        for each in queued:
            if row.pk is None:
                raise EventRefused(f"{row!r} has events and was not saved yet.")
            fact = each.fact(row) if callable(each.fact) else each.fact
            facts.append(_encode(row.org_id, fact, each.actor, each.at, each.dedupe_key))
        if queued:
            emptied.append(row)
    if len(emptied) > 1:
        facts.sort(key=lambda fact: fact.occurred_at)
    written = _write(facts)
    for row in emptied:
        del row.__dict__["_queued_events"]
    return written


def record_event(
    *, org: Organization | int, event: Any, actor: Actor, at: datetime, dedupe_key: str | None = None
) -> bool:
    """Write one event that no row of its own goes with. Answers whether it was new by its dedupe key."""
    org_id = org if isinstance(org, int) else org.pk
    return _write([_encode(org_id, event, actor, at, dedupe_key)]) == 1


def record_events(*, facts: Iterable[tuple[int, Any]], actor: Actor, at: datetime) -> int:
    """Write events of many items in one statement, each with the id of its organisation; the way of sweeps."""
    return _write([_encode(org_id, fact, actor, at, None) for org_id, fact in facts])


def _write(facts: list[sql.NewEvent]) -> int:
    if not facts:
        return 0
    # Outside of any transaction the events of one call are still all or nothing: it is one statement.
    written = sql.insert_events(facts)
    if written:
        wake()
    return written


def _encode(org_id: int, fact: Any, actor: Actor, at: datetime, dedupe_key: str | None) -> sql.NewEvent:
    entry = event_type_of(fact)
    if timezone.is_naive(at):
        raise EventRefused(f"{entry.name} happened at {at}, which has no time zone.")
    cause = current_cause()
    origin = actor.origin
    correlation = current_correlation() or actor.request_id
    if cause is not None:
        correlation = cause.correlation_id
        if cause.origin is Origin.IMPORT:
            # What follows from history is history: nobody is emailed about it.
            origin = Origin.IMPORT
    return sql.NewEvent(
        org_id=org_id,
        event_name=entry.name,
        item_type=entry.item_type_of(fact),
        item_id=entry.item_id_of(fact),
        payload=entry.encode(fact),
        actor_kind=str(actor.kind),
        actor_id=actor.pk,
        actor_label=actor.label[:200],
        actor_user_id=actor.user_id,
        origin=str(origin),
        occurred_at=at,
        dedupe_key=dedupe_key,
        correlation_id=correlation[:100],
        causation_id=cause.event_id if cause else None,
    )
