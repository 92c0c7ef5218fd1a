"""The parser of JSON bodies: what cannot be stored or would exhaust the interpreter is refused while it is read."""

from __future__ import annotations

from collections.abc import Mapping
from typing import IO, Any

from django.conf import settings
from rest_framework.exceptions import ParseError
from rest_framework.parsers import BaseParser

from flowledger.api import strict_json
from flowledger.errors import TooLarge


class StrictJSONParser(BaseParser):
    """UTF-8 JSON without NaN, NUL characters, lone surrogates, or nesting deeper than strict_json.MAX_DEPTH."""

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
            return strict_json.read(raw)
        except strict_json.Unusable as error:
            raise ParseError(str(error)) from None
