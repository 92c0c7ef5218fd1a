"""Entity tags: strong, made of resource, identifier, row version, time of change and perhaps an aspect.

Lists have none. The time is there because an undone merge gives rows their old versions back: a version alone would
name two different states.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from django.utils.http import parse_etags

from flowledger.errors import Stale

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


def etag_for(resource: str, pk: int, row_version: int, updated_at: datetime, aspect: str | None = None) -> str:
    """For example `"candidate-12-7-6419d93b8e1c0"`: the twelfth candidate after its sixth stored change, and when.

    `aspect` is what the representation shows and other rows decide: `"candidate-12-7-6419d93b8e1c0-red"`.
    """
    tag = f"{resource}-{pk}-{row_version}-{(updated_at - _EPOCH) // _MICROSECOND:x}"
    return f'"{tag}-{aspect}"' if aspect else f'"{tag}"'


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
