"""The path converter for identifiers: what no row can have is no path, so it answers 404 before any query."""

from __future__ import annotations

from django.urls import register_converter
from django.urls.converters import get_converters

MAX_ID = 2**63 - 1


class IdConverter:
    """A positive bigint in decimal digits; used as `<id:pk>`."""

    regex = "[0-9]{1,19}"

    def to_python(self, value: str) -> int:
        """Raises ValueError, which means no match, for numbers that no bigint column holds."""
        number = int(value)
        if not 1 <= number <= MAX_ID:
            raise ValueError(value)
        return number

    def to_url(self, value: int | str) -> str:
        return str(value)


if "id" not in get_converters():
    register_converter(IdConverter, "id")
