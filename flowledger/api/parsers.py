"""The parser of JSON bodies: what cannot be stored or would exhaust the interpreter is refused while it is read."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import IO, Any

from django.conf import settings
from rest_framework.exceptions import ParseError
from rest_framework.parsers import BaseParser

from flowledger.errors import TooLarge

MAX_DEPTH = 32


class StrictJSONParser(BaseParser):
    """UTF-8 JSON without NaN, NUL characters, lone surrogates, or nesting deeper than MAX_DEPTH."""

    media_type = "application/json"

    def parse(
        self, stream: IO[bytes], media_type: str | None = None, parser_context: Mapping[str, Any] | None = None
    ) -> Any:
        """Raises ParseError (400) for what is not such JSON, TooLarge (413) beyond DATA_UPLOAD_MAX_MEMORY_SIZE."""
        limit = settings.DATA_UPLOAD_MAX_MEMORY_SIZE
        raw = stream.read() if limit is None else stream.read(limit + 1)
        if limit is not None and len(raw) > limit:
            raise TooLarge(f"The body is larger than {limit:,} bytes.", max_bytes=limit)
        if parser_context and "request" in parser_context:
            # For those who keep what came in, byte for byte: the stream is gone after this.
            parser_context["request"].raw_body = raw
        if not raw.strip():
            return {}
        try:
            value = json.loads(raw.decode("utf-8-sig"), parse_constant=_refuse_constant)
        except RecursionError:
            raise ParseError(f"The JSON is nested deeper than {MAX_DEPTH} levels.") from None
        except ValueError as error:
            raise ParseError(f"The body is not valid JSON: {error}.") from None
        _refuse_unstorable(value)
        return value


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is no JSON value")


def _refuse_unstorable(value: Any) -> None:
    """Walk without recursion; PostgreSQL stores neither NUL nor half a surrogate pair."""
    level = [value]
    depth = 0
    while level:
        depth += 1
        if depth > MAX_DEPTH:
            raise ParseError(f"The JSON is nested deeper than {MAX_DEPTH} levels.")
        below: list[Any] = []
        for item in level:
            if isinstance(item, str):
                _refuse_text(item)
            elif isinstance(item, float):
                if not math.isfinite(item):
                    raise ParseError("The JSON holds a number beyond the range of a double.")
            elif isinstance(item, dict):
                for key in item:
                    _refuse_text(key)
                below.extend(item.values())
            elif isinstance(item, list):
                below.extend(item)
        level = below


def _refuse_text(text: str) -> None:
    if "\x00" in text:
        raise ParseError("The JSON holds a NUL character, which text cannot contain.")
    if not text.isascii():
        try:
            text.encode()
        except UnicodeEncodeError:
            raise ParseError("The JSON holds half of a surrogate pair, which is no character.") from None
