"""What the cursor of a search holds: the rest of the order of its first page, whatever is written since. Pure."""

from __future__ import annotations

import base64
import binascii
import hashlib
import struct
import zlib
from dataclasses import dataclass
from datetime import UTC, datetime

from memory.search.types import Filters, Parts

# Atom id, then words, meaning, entity, thread, recency and kind in thousandths.
_ITEM = struct.Struct(">Q6H")
_HEAD = struct.Struct(">8sQdHHHB")
_THOUSAND = 1000
_MODES = ("lexical", "hybrid")


class NoCursor(ValueError):
    """A text that is no cursor."""


@dataclass(frozen=True)
class Item:
    """One atom in the order, and why it stands there."""

    atom_id: int
    parts: Parts


@dataclass(frozen=True)
class Place:
    """Where a page ended. `question` is the fingerprint of what was asked, by whom and with which filters."""

    question: bytes
    epoch: int
    asked_at: datetime
    page: int
    limit: int
    total: int
    mode: str
    items: tuple[Item, ...]


def fingerprint(question: str, filters: Filters, sort: str, reader: str) -> bytes:
    """Tells one question from another."""
    return hashlib.sha256(repr((question, filters, sort, reader)).encode()).digest()[:8]


def pack(place: Place) -> str:
    """The cursor's text; whoever sends it signs it."""
    head = _HEAD.pack(
        place.question,
        place.epoch,
        place.asked_at.timestamp(),
        place.page,
        place.limit,
        place.total,
        _MODES.index(place.mode),
    )
    items = (_ITEM.pack(each.atom_id, *(_thousandths(value) for value in _values(each.parts))) for each in place.items)
    return base64.urlsafe_b64encode(zlib.compress(head + b"".join(items), 9)).decode().rstrip("=")


def unpack(text: str) -> Place:
    """The place. Raises NoCursor for what no cursor can be."""
    try:
        raw = zlib.decompress(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))
        question, epoch, asked_at, page, limit, total, mode = _HEAD.unpack_from(raw)
        items = tuple(
            Item(atom_id, Parts(*(value / _THOUSAND for value in values)))
            for atom_id, *values in _ITEM.iter_unpack(raw[_HEAD.size :])
        )
        return Place(question, epoch, datetime.fromtimestamp(asked_at, UTC), page, limit, total, _MODES[mode], items)
    except (binascii.Error, zlib.error, struct.error, ValueError, IndexError, OverflowError) as error:
        raise NoCursor(text[:20]) from error


def _values(parts: Parts) -> tuple[float, ...]:
    return (parts.words, parts.meaning, parts.entity, parts.thread, parts.recency, parts.kind)


def _thousandths(value: float) -> int:
    return max(0, min(65_535, round(value * _THOUSAND)))
