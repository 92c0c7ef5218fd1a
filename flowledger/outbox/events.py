"""The catalogue of work events: frozen dataclasses with a stable name, a payload schema and a size limit."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

from pydantic import ConfigDict, TypeAdapter, ValidationError
from pydantic_core import PydanticSerializationError

from flowledger.errors import TooLarge
from flowledger.outbox.conf import OutboxSettings

T = TypeVar("T")

# The item type of an entry whose facts name their items themselves.
ANY_ITEM = "*"
_NAME = re.compile(r"[a-z][a-z_]*(\.[a-z][a-z_]*)+")


class EventRefused(ValueError):
    """An event that is not in the catalogue or whose payload does not fit its schema; a mistake in the code."""


class PayloadTooLarge(TooLarge):
    """The payload is larger than OUTBOX_MAX_PAYLOAD_BYTES; keep the bulk in a row and its id in the event."""


@dataclasses.dataclass(frozen=True)
class EventType:
    """One entry of the catalogue."""

    name: str
    item: str
    item_field: str
    dataclass: type[Any]
    adapter: TypeAdapter[Any]

    @property
    def doc(self) -> str:
        """What the event means: the docstring of its class."""
        return (self.dataclass.__doc__ or "").strip()

    def schema(self) -> dict[str, Any]:
        """The JSON schema of the payload as it is stored."""
        return self.adapter.json_schema(mode="serialization")

    def item_id_of(self, event: Any) -> int | None:
        """The key of the item that the event happened to; None for events without an item."""
        return getattr(event, self.item_field) if self.item_field else None

    def item_type_of(self, event: Any) -> str:
        """The kind of the item that the event happened to; "" for events without an item."""
        return str(event.item_type) if self.item == ANY_ITEM else self.item

    def encode(self, event: Any) -> str:
        """The payload as JSON text.

        Raises EventRefused when a value does not have the declared type or is no JSON, PayloadTooLarge beyond the
        limit.
        """
        try:
            text = self.adapter.dump_json(self.adapter.validate_python(event))
        except (ValidationError, PydanticSerializationError) as error:
            raise EventRefused(f"The payload of {self.name} does not fit its schema: {error}") from error
        limit = OutboxSettings.read().max_payload_bytes
        if len(text) > limit:
            raise PayloadTooLarge(
                f"The payload of {self.name} has {len(text):,} bytes, the limit is {limit:,}; "
                "an event carries ids and changes, not documents.",
                event_name=self.name,
                payload_bytes=len(text),
                limit_bytes=limit,
            )
        return text.decode()

    def decode(self, payload: str) -> Any:
        """The typed event of a stored payload; fields added by a newer release are ignored."""
        return self.adapter.validate_json(payload)


_by_name: dict[str, EventType] = {}
_by_class: dict[type[Any], EventType] = {}


def event(
    name: str, *, item: str = "", item_id: str | None = None, item_from_fact: bool = False
) -> Callable[[type[T]], type[T]]:
    """Enter a frozen dataclass into the catalogue as `noun.verb`.

    `item` is the kind of thing it happened to ("" for none); its key is the field `<item>_id` unless `item_id` names
    another. With `item_from_fact` it happens to items of several kinds, and each fact says to which in its fields
    `item_type` and `item_id`. Values are checked against the annotations without conversion, so an event never holds a
    model instance or a text where a number belongs. The name and the meaning of the fields are for ever: new fields get
    a default, a new meaning gets a new name.
    """

    def enter(cls: type[T]) -> type[T]:
        kind = ANY_ITEM if item_from_fact else item
        field = "item_id" if item_from_fact else (item_id or f"{item}_id") if item else ""
        _refuse_malformed(name, cls, field)
        # Strict: a text is no number. Instances are validated anew, because a dataclass checks nothing itself.
        cls.__pydantic_config__ = ConfigDict(strict=True, revalidate_instances="always")  # type: ignore[attr-defined]
        entry = EventType(name=name, item=kind, item_field=field, dataclass=cls, adapter=TypeAdapter(cls))
        try:
            entry.schema()
        except Exception as error:
            raise TypeError(f"{cls.__name__} has a field that is no JSON value: {error}") from error
        _by_name[name] = entry
        _by_class[cls] = entry
        return cls

    return enter


def _refuse_malformed(name: str, cls: type[Any], item_field: str) -> None:
    if not _NAME.fullmatch(name):
        raise TypeError(f"'{name}' is no event name; write noun.verb in lower case.")
    if name in _by_name:
        raise TypeError(f"The event '{name}' is already declared by {_by_name[name].dataclass.__qualname__}.")
    parameters = getattr(cls, "__dataclass_params__", None)
    if parameters is None or not parameters.frozen:
        raise TypeError(f"{cls.__name__} must be a frozen dataclass; put @event above @dataclass(frozen=True).")
    if not cls.__doc__ or cls.__doc__.startswith(f"{cls.__name__}("):
        raise TypeError(f"{cls.__name__} needs a docstring: the catalogue is published.")
    if item_field and item_field not in {field.name for field in dataclasses.fields(cls)}:
        raise TypeError(f"{cls.__name__} has no field '{item_field}' that says what it happened to.")


def event_type(name: str) -> EventType:
    """The catalogue entry of a name. Raises EventRefused for an unknown one."""
    try:
        return _by_name[name]
    except KeyError:
        raise EventRefused(f"There is no event '{name}' in the catalogue.") from None


def event_type_of(event: Any) -> EventType:
    """The catalogue entry of an event object. Raises EventRefused when its class was not declared with @event."""
    try:
        return _by_class[type(event)]
    except KeyError:
        raise EventRefused(f"{type(event).__name__} is not in the event catalogue; declare it with @event.") from None


def is_known(name: str) -> bool:
    """Whether this release knows the event; an older worker may meet an event of a newer one."""
    return name in _by_name


def catalogue() -> list[EventType]:
    """Every declared event by name; complete once the applications are loaded."""
    return [_by_name[name] for name in sorted(_by_name)]


def published_catalogue() -> Iterator[dict[str, Any]]:
    """The catalogue as plain data for the API and the documentation page."""
    for entry in catalogue():
        yield {"name": entry.name, "item_type": entry.item, "description": entry.doc, "schema": entry.schema()}


@contextmanager
def declarations_end_here() -> Iterator[None]:
    """Forget what was declared inside; for tests that declare events of their own."""
    names, classes = dict(_by_name), dict(_by_class)
    try:
        yield
    finally:
        _by_name.clear()
        _by_name.update(names)
        _by_class.clear()
        _by_class.update(classes)


@event("event.redacted", item="event")
@dataclasses.dataclass(frozen=True)
class EventRedacted:
    """The texts of an event's payload were blanked for good; the reason is the actor's."""

    event_id: int
    event_name: str
    reason: str
