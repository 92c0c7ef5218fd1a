"""The handlers and what they are subscribed to."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from typing import TYPE_CHECKING, Any

from flowledger.outbox.events import event_type
from flowledger.tenancy.actors import Actor, ActorKind, Origin

if TYPE_CHECKING:
    from flowledger.tenancy.models import Organization

EVERY_EVENT = "*"


@dataclass(frozen=True)
class Delivery:
    """One event on its way into one handler."""

    event_id: int
    org: Organization
    event_name: str
    item_type: str
    item_id: int | None
    payload_text: str = field(repr=False)
    actor_kind: ActorKind
    actor_id: int | None
    actor_label: str
    actor_user_id: int | None
    occurred_at: datetime
    recorded_at: datetime
    origin: Origin
    correlation_id: str
    causation_id: int | None
    attempts: int
    handler: str = ""

    @cached_property
    def event(self) -> Any:
        """The event as the dataclass that was recorded."""
        return event_type(self.event_name).decode(self.payload_text)

    @cached_property
    def payload(self) -> dict[str, Any]:
        """The event as plain JSON values."""
        decoded: dict[str, Any] = json.loads(self.payload_text)
        return decoded

    @property
    def idempotency_key(self) -> str:
        """The same for every try of this handler with this event; give it to what acts outside the database."""
        return f"event-{self.event_id}-{self.handler}"

    def reacting_actor(self) -> Actor:
        """The actor for services that the handler calls: the application, under the handler's name."""
        return Actor.system(self.handler, origin=Origin.IMPORT if self.origin is Origin.IMPORT else Origin.SYSTEM)


HandlerFunction = Callable[[Delivery], None]


@dataclass(frozen=True)
class Handler:
    """A reaction: runs in one transaction with its receipt, inside the scope of the event's organisation."""

    name: str
    event_names: frozenset[str]
    run: HandlerFunction
    outside: bool

    def wants(self, event_name: str, origin: Origin) -> bool:
        """Whether the event is for this handler; what acts outside lets imported history pass."""
        if self.outside and origin is Origin.IMPORT:
            return False
        return event_name in self.event_names or EVERY_EVENT in self.event_names


_handlers: dict[str, Handler] = {}
_by_event: dict[tuple[str, Origin], tuple[Handler, ...]] = {}


def handler(
    event_names: str | Sequence[str], *, name: str, outside: bool = False
) -> Callable[[HandlerFunction], HandlerFunction]:
    """Subscribe a function to one event name, several, or EVERY_EVENT.

    `name` is `<app>.<function>` and stays for ever: receipts are kept under it, and a renamed handler would run again
    for every event that is still pending. `outside=True` marks effects that leave the database (email, notification,
    webhook): they are queued in the handler's transaction and sent after it, and are not for imported history.

    The function must do database work only and be free of effects when called again after a rollback.
    """
    names = frozenset([event_names] if isinstance(event_names, str) else event_names)
    if not names:
        raise TypeError(f"Handler '{name}' is subscribed to nothing.")

    def subscribe(function: HandlerFunction) -> HandlerFunction:
        if name in _handlers:
            raise TypeError(f"There are two handlers called '{name}'; receipts need one name each.")
        _handlers[name] = Handler(name=name, event_names=names, run=function, outside=outside)
        _by_event.clear()
        return function

    return subscribe


def handlers() -> list[Handler]:
    """Every handler by name."""
    return [_handlers[name] for name in sorted(_handlers)]


def handlers_for(event_name: str, origin: Origin) -> tuple[Handler, ...]:
    """The handlers that an event goes to, by name."""
    key = (event_name, origin)
    if key not in _by_event:
        _by_event[key] = tuple(each for each in handlers() if each.wants(event_name, origin))
    return _by_event[key]


@contextmanager
def only_handlers_registered_inside() -> Iterator[None]:
    """Start with an empty registry and put the old one back; for tests of the delivery itself."""
    before = dict(_handlers)
    _handlers.clear()
    _by_event.clear()
    try:
        yield
    finally:
        _handlers.clear()
        _handlers.update(before)
        _by_event.clear()
