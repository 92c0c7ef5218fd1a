"""Blanking the texts of a payload so that it stays an event: everything that is not free text is kept."""

from __future__ import annotations

import json
from typing import Any

from pydantic import ValidationError

from flowledger.errors import Conflict
from flowledger.outbox.events import event_type, is_known

MARKER = "[redacted]"
# What says that a text is a value of the machine's: a choice, a date, an identifier.
_NOT_FREE = frozenset({"enum", "const", "format", "pattern"})


def redacted(event_name: str, payload: Any) -> str:
    """The payload as JSON text with every free text replaced by the marker.

    Numbers, ids, flags, dates and choices stay, and so do the names of members. Raises Conflict when the rest would not
    fit the event's schema; the payload of an event that this release does not know is held to none.
    """
    schema = event_type(event_name).schema() if is_known(event_name) else {}
    text = json.dumps(_blank(payload, schema, schema.get("$defs", {})))
    if is_known(event_name):
        try:
            event_type(event_name).decode(text)
        except ValidationError as error:
            raise Conflict(f"The payload of {event_name} does not fit its schema without its texts.") from error
    return text


def _blank(value: Any, schema: Any, definitions: dict[str, Any]) -> Any:
    schemas = list(_alternatives(schema, definitions))
    if isinstance(value, str):
        return value if any(_NOT_FREE & each.keys() for each in schemas) else _shortened(schemas)
    if isinstance(value, list):
        items = [each["items"] for each in schemas if "items" in each]
        return [_blank(item, {"anyOf": items}, definitions) for item in value]
    if isinstance(value, dict):
        return {name: _blank(item, _member(name, schemas), definitions) for name, item in value.items()}
    return value


def _member(name: str, schemas: list[dict[str, Any]]) -> dict[str, Any]:
    """The schemas of one member of an object, wherever they are said."""
    found = []
    for each in schemas:
        if name in each.get("properties", {}):
            found.append(each["properties"][name])
        elif isinstance(each.get("additionalProperties"), dict):
            found.append(each["additionalProperties"])
    return {"anyOf": found}


def _alternatives(schema: Any, definitions: dict[str, Any]) -> Any:
    """A schema as the plain ones that it may stand for."""
    if not isinstance(schema, dict):
        return
    if "$ref" in schema:
        yield from _alternatives(definitions.get(schema["$ref"].rsplit("/", 1)[-1], {}), definitions)
    for word in ("anyOf", "oneOf", "allOf"):
        for each in schema.get(word, ()):
            yield from _alternatives(each, definitions)
    yield schema


def _shortened(schemas: list[dict[str, Any]]) -> str:
    longest = min((each["maxLength"] for each in schemas if "maxLength" in each), default=len(MARKER))
    return MARKER[:longest]
