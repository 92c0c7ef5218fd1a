"""The keys of configuration: each with a typed schema, a default in code and a sentence of help.

An app declares its keys in its module `rules` and reads them there:

    UNTOUCHED_HOURS = declare("sla_rule", "untouched_hours", schema=Hours, default=72, help="…")
    UNTOUCHED_HOURS.of(org)                            # typed
    value(org, "sla_rule", "untouched_hours")          # by name
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Generic, TypeVar

import structlog
from django.db import models
from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError

from flowledger.configuration import reading
from flowledger.errors import InvalidInput, NotFound

if TYPE_CHECKING:
    from flowledger.tenancy.models import Organization

T = TypeVar("T")

# For dataclasses, which say frozen=True themselves.
STRICT = ConfigDict(strict=True, extra="forbid")
_NAME = re.compile(r"[a-z][a-z0-9_]*")
_log = structlog.get_logger(__name__)


class RuleType(models.TextChoices):
    """What a rule is about."""

    SLA = "sla_rule", "SLA"
    GATE = "gate_rule", "Gates"
    RANKING = "ranking_rule", "Ranking"
    SPOTLIGHT = "spotlight_rule", "Spotlight"
    ROUTING = "routing_rule", "Routing"
    MEMORY = "memory_rule", "Memory"
    RETENTION = "retention_rule", "Retention"
    NOTIFICATION = "notification_rule", "Notifications"


class Rule(BaseModel):
    """Base of schemas: no conversion, no unknown fields, and no change, because every reader gets the same object."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)


@dataclass(frozen=True)
class Key(Generic[T]):
    """One entry of the registry."""

    rule_type: RuleType
    name: str
    help: str
    default: T
    adapter: TypeAdapter[T]

    def __str__(self) -> str:
        return f"{self.rule_type.value}/{self.name}"

    def of(self, org: Organization | int) -> T:
        """What holds for the organisation now: its own value, else the default."""
        held = reading.held_now(org, rule_type=self.rule_type.value, key=self.name)
        if held is None:
            return self.default
        parsed: T = held.parsed(self._parse_stored)
        return parsed

    def parse(self, value: Any) -> T:
        """The typed form of a JSON value. Raises InvalidInput with a sentence for every field at fault.

        Fields are named by their path from `value` on, such as `value.pink.0.name`.
        """
        try:
            text = json.dumps(value, allow_nan=False)
        except (TypeError, ValueError) as error:
            sentence = "This is no JSON value."
            raise InvalidInput(f"{self}: {sentence}", fields={"value": [sentence]}) from error
        try:
            return self.adapter.validate_json(text, strict=True)
        except ValidationError as error:
            fields = faults(error)
            path, sentences = next(iter(fields.items()))
            raise InvalidInput(f"{self}: {path}: {sentences[0]}", fields=fields) from error

    def plain(self, value: T) -> Any:
        """The JSON form of a typed value, with every default filled in; what is stored and shown."""
        return self.adapter.dump_python(value, mode="json", warnings=False)

    def schema(self) -> dict[str, Any]:
        """The JSON schema of the value."""
        return self.adapter.json_schema()

    def _parse_stored(self, value: Any) -> T:
        """As `parse`, but the default for what an older release stored and this one no longer understands."""
        try:
            return self.parse(value)
        except InvalidInput as error:
            _log.error("configuration_value_not_understood", key=str(self), fields=error.details["fields"])
            return self.default


_keys: dict[tuple[str, str], Key[Any]] = {}


def declare(type_: str, key: str, *, schema: Any, default: T, help: str) -> Key[T]:  # noqa: A002  the word of the pages
    """Enter a key into the registry.

    `schema` is anything that pydantic can describe as JSON: a `Rule`, a pydantic dataclass, a tuple of them, an
    annotated scalar. Its objects must refuse unknown fields. Raises TypeError for an incomplete or contradictory
    declaration, and when the default does not satisfy its own schema.
    """
    entry: Key[T] = Key(RuleType(type_), key, help.strip(), default, TypeAdapter(schema))
    if not _NAME.fullmatch(key):
        raise TypeError(f"'{key}' is no key; write lower case with underscores.")
    if (type_, key) in _keys:
        raise TypeError(f"The key {entry} is already declared.")
    if not entry.help:
        raise TypeError(f"{entry} needs a sentence of help: its page shows it.")
    for place in _open_objects(entry.schema(), str(entry)):
        raise TypeError(f"{place} takes unknown fields; make it a Rule, or a dataclass with config=STRICT.")
    try:
        same = entry.parse(entry.plain(default)) == default
    except InvalidInput as error:
        raise TypeError(f"The default of {entry} is not valid: {error.message}") from error
    if not same:
        raise TypeError(f"The default of {entry} changes when it is stored and read.")
    _keys[type_, key] = entry
    return entry


def value(org: Organization | int, type_: str, key: str) -> Any:
    """What holds for the organisation now, in the key's own type. Raises NotFound for a key nobody declared."""
    return key_of(type_, key).of(org)


def key_of(type_: str, key: str) -> Key[Any]:
    """The entry of a key. Raises NotFound for one that nobody declared."""
    entry = _keys.get((str(type_), key))
    if entry is None:
        raise NotFound(f"There is no rule {type_}/{key}.")
    return entry


def keys() -> list[Key[Any]]:
    """Every declared key by type and name; complete once the applications are loaded."""
    order = list(RuleType)
    return sorted(_keys.values(), key=lambda entry: (order.index(entry.rule_type), entry.name))


def faults(error: ValidationError) -> dict[str, list[str]]:
    """What pydantic found, by path."""
    fields: dict[str, list[str]] = {}
    for found in error.errors(include_url=False, include_context=False, include_input=False):
        path = ".".join(["value", *(str(part) for part in found["loc"])])
        sentence = found["msg"].removeprefix("Value error, ").rstrip(".")
        fields.setdefault(path, []).append(f"{sentence}.")
    return fields


@contextmanager
def declarations_end_here() -> Iterator[None]:
    """Forget what was declared inside; for tests that declare keys of their own."""
    before = dict(_keys)
    try:
        yield
    finally:
        _keys.clear()
        _keys.update(before)


def _open_objects(node: Any, place: str) -> Iterator[str]:
    """Objects of a JSON schema that do not refuse unknown fields."""
    if isinstance(node, list):
        for index, each in enumerate(node):
            yield from _open_objects(each, f"{place}[{index}]")
    elif isinstance(node, dict):
        if node.get("type") == "object" and node.get("additionalProperties") is not False:
            yield str(node.get("title", place))
        for name, each in node.items():
            if name not in {"default", "examples", "enum", "const"}:
                yield from _open_objects(each, f"{place}.{name}")
