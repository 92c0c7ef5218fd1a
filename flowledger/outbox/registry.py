"""The handlers and what they are subscribed to."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, TypeVar

from flowledger.outbox.events import event_type
from flowledger.outbox.sql import ClaimedEvent
from flowledger.tenancy.actors import Actor, ActorKind, Origin

if TYPE_CHECKING:
    from flowledger.tenancy.models import Organization

T = TypeVar("T")

EVERY_EVENT = "*"
_NAME = re.compile(r"[\w.-]{1,100}")


def moment(text: str) -> datetime:
    """A claimed event's instant, which comes as the database prints it: most handlers never ask."""
    return datetime.fromisoformat(text).astimezone(UTC)


class Delivery:
    """One event on its way into one handler.

    It is the cause of the events that follow. The drain binds it around a handler of single events; a batch handler
    says `with caused_by(delivery)` around what it records for each.
    """

    __slots__ = ("_claimed", "_event", "_payload", "handler", "org")

    def __init__(self, claimed: ClaimedEvent, org: Organization, handler: str = "") -> None:
        self._claimed = claimed
        self._event: Any = None
        self._payload: dict[str, Any] | None = None
        self.org = org
        self.handler = handler

    @property
    def event_id(self) -> int:
        return self._claimed.id

    @property
    def org_id(self) -> int:
        return self._claimed.org_id

    @property
    def event_name(self) -> str:
        return self._claimed.event_name

    @property
    def item_type(self) -> str:
        return self._claimed.item_type

    @property
    def item_id(self) -> int | None:
        return self._claimed.item_id

    @property
    def payload_text(self) -> str:
        return self._claimed.payload

    @property
    def actor_kind(self) -> ActorKind:
        return ActorKind(self._claimed.actor_kind)

    @property
    def actor_id(self) -> int | None:
        return self._claimed.actor_id

    @property
    def actor_label(self) -> str:
        return self._claimed.actor_label

    @property
    def actor_user_id(self) -> int | None:
        return self._claimed.actor_user_id

    @property
    def occurred_at(self) -> datetime:
        return moment(self._claimed.occurred_at)

    @property
    def recorded_at(self) -> datetime:
        return moment(self._claimed.recorded_at)

    @property
    def origin(self) -> Origin:
        return Origin(self._claimed.origin)

    @property
    def correlation_id(self) -> str:
        return self._claimed.correlation_id or f"event-{self._claimed.id}"

    @property
    def causation_id(self) -> int | None:
        return self._claimed.causation_id

    @property
    def attempts(self) -> int:
        """How often the event was handed out, this time included."""
        return self._claimed.attempts

    @property
    def event(self) -> Any:
        """The event as the dataclass that was recorded."""
        if self._event is None:
            self._event = event_type(self.event_name).decode(self.payload_text)
        return self._event

    @property
    def payload(self) -> dict[str, Any]:
        """The event as plain JSON values."""
        if self._payload is None:
            self._payload = json.loads(self.payload_text)
        return self._payload

    @property
    def idempotency_key(self) -> str:
        """The same for every try of this handler with this event; give it to what acts outside the database."""
        return f"event-{self.event_id}-{self.handler}"

    def reacting_actor(self) -> Actor:
        """The actor for services that the handler calls: the application, under the handler's name."""
        return Actor.system(self.handler, origin=Origin.IMPORT if self.origin is Origin.IMPORT else Origin.SYSTEM)

    def __repr__(self) -> str:
        return f"<Delivery of {self.event_name} {self.event_id} to {self.handler}>"


@dataclass(frozen=True, eq=False)
class Handler:
    """A reaction: runs in one transaction with its receipt, inside the scope of the event's organisation."""

    name: str
    event_names: frozenset[str]
    run: Callable[[Any], None]
    outside: bool = False
    batch: bool = False
    soft_seconds: float | None = None
    hard_seconds: float | None = None

    def wants(self, event_name: str, origin: Origin) -> bool:
        """Whether the event is for this handler; what acts outside lets imported history pass."""
        if self.outside and origin is Origin.IMPORT:
            return False
        return event_name in self.event_names or EVERY_EVENT in self.event_names


_handlers: dict[str, Handler] = {}
_by_event: dict[tuple[str, str], tuple[Handler, ...]] = {}


def handler(
    event_names: str | Sequence[str],
    *,
    name: str,
    outside: bool = False,
    batch: bool = False,
    soft_seconds: float | None = None,
    hard_seconds: float | None = None,
) -> Callable[[Callable[[T], None]], Callable[[T], None]]:
    """Subscribe a function to one event name, several, or EVERY_EVENT.

    `name` is `<app>.<function>` and stays for ever: receipts are kept under it, and a renamed handler would run again
    for every event that is still pending. `outside=True` marks effects that leave the database (email, notification,
    webhook): they are queued in the handler's transaction and sent after it, and are not for imported history.

    The function takes one Delivery or, with `batch=True`, a sequence of them: events of one organisation in the order
    of writing, each once. It must do database work only and be free of effects when called again after a rollback.

    After `soft_seconds` (default OUTBOX_SOFT_SECONDS) HandlerTimedOut is raised in it and the event is retried; after
    `hard_seconds` (default OUTBOX_HARD_SECONDS), when not even that ended it, its worker process is. Both count for one
    call. Raises TypeError for a declaration that makes no sense.
    """
    names = frozenset([event_names] if isinstance(event_names, str) else event_names)
    if not names:
        raise TypeError(f"Handler '{name}' is subscribed to nothing.")
    if not _NAME.fullmatch(name):
        raise TypeError(f"'{name}' is no name for a handler; write <app>.<function>.")
    if soft_seconds is not None and hard_seconds is not None and hard_seconds <= soft_seconds:
        raise TypeError(f"The hard limit of handler '{name}' must come after its soft limit.")

    def subscribe(function: Callable[[T], None]) -> Callable[[T], None]:
        if name in _handlers:
            raise TypeError(f"There are two handlers called '{name}'; receipts need one name each.")
        _handlers[name] = Handler(
            name=name,
            event_names=names,
            run=function,
            outside=outside,
            batch=batch,
            soft_seconds=soft_seconds,
            hard_seconds=hard_seconds,
        )
        _by_event.clear()
        return function

    return subscribe


def handlers() -> list[Handler]:
    """Every handler by name."""
    return [_handlers[name] for name in sorted(_handlers)]


def handlers_for(event_name: str, origin: str) -> tuple[Handler, ...]:
    """The handlers that an event goes to, by name."""
    key = (event_name, origin)
    found = _by_event.get(key)
    if found is None:
        found = _by_event[key] = tuple(each for each in handlers() if each.wants(event_name, Origin(origin)))
    return found


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
