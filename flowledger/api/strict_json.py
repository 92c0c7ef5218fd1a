"""JSON that can be stored: what PostgreSQL refuses or would exhaust the interpreter is refused while it is read."""

from __future__ import annotations

import json
import math
from typing import Any

MAX_DEPTH = 32


class Unusable(ValueError):
    """A sentence that says why the bytes are no such JSON."""


def read(raw: bytes) -> Any:
    """The value of UTF-8 JSON without NaN, NUL, lone surrogates, or nesting beyond MAX_DEPTH. Raises Unusable."""
    try:
        value = json.loads(raw.decode("utf-8-sig"), parse_constant=_refuse_constant)
    except RecursionError:
        raise Unusable(f"The JSON is nested deeper than {MAX_DEPTH} levels.") from None
    except ValueError as error:
        raise Unusable(f"The body is not valid JSON: {error}.") from None
    require_storable(value)
    return value


def require_storable(value: Any) -> None:
    """Walk without recursion; PostgreSQL stores neither NUL nor half a surrogate pair. Raises Unusable."""
    level = [value]
    depth = 0
    while level:
        depth += 1
        if depth > MAX_DEPTH:
            raise Unusable(f"The JSON is nested deeper than {MAX_DEPTH} levels.")
        below: list[Any] = []
        for item in level:
            if isinstance(item, str):
                _refuse_text(item)
            elif isinstance(item, float):
                if not math.isfinite(item):
                    raise Unusable("The JSON holds a number beyond the range of a double.")
            elif isinstance(item, dict):
                for key in item:
                    _refuse_text(key)
                below.extend(item.values())
            elif isinstance(item, list):
                below.extend(item)
        level = below


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is no JSON value")


def _refuse_text(text: str) -> None:
    if "\x00" in text:
        raise Unusable("The JSON holds a NUL character, which text cannot contain.")
    if not text.isascii():
        try:
            text.encode()
        except UnicodeEncodeError:
            raise Unusable("The JSON holds half of a surrogate pair, which is no character.") from None
