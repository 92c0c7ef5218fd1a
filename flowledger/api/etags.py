"""Entity tags: strong, made of resource, identifier, row version and perhaps an aspect; lists have none."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.utils.http import parse_etags

from flowledger.errors import Stale


def etag_for(resource: str, pk: int, row_version: int, aspect: str | None = None) -> str:
    """For example `"candidate-12-7"`: the twelfth candidate after its sixth stored change.

    `aspect` is what the representation shows and other rows decide: `"candidate-12-7-red"`.
    """
    return f'"{resource}-{pk}-{row_version}-{aspect}"' if aspect else f'"{resource}-{pk}-{row_version}"'


def is_fresh(headers: Mapping[str, Any], etag: str) -> bool:
    """Whether If-None-Match names what would be answered, so that 304 says it all. Weak comparison (RFC 9110)."""
    given = parse_etags(headers.get("If-None-Match", ""))
    return "*" in given or etag in {tag.removeprefix("W/") for tag in given}


def require_match(headers: Mapping[str, Any], etag: str) -> None:
    """Raise Stale when If-Match is given and names another version. A weak tag matches nothing here (RFC 9110).

    The aspect does not count: it is no change of the row that somebody decided on.
    """
    given = parse_etags(headers.get("If-Match", ""))
    if given and "*" not in given and not any(tag == etag or tag.startswith(f"{etag[:-1]}-") for tag in given):
        raise Stale("Somebody changed this since you read it; read it again and repeat your change.", current_etag=etag)
