"""Rows of one body, found without reading it into memory: the items of a JSON array, or lines of JSON.

A first pass over the file finds where each row begins and ends by its brackets and quotes alone; a row is read and
judged by itself afterwards, so that one that is broken costs no other. Only where brackets or quotes of a broken row
do not close, the array gives no hint where the next row begins: the rest counts as that row. Lines always do.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import IO, Any, NamedTuple

from flowledger.api import strict_json

BLOCK = 1 << 20
# Of a row that is longer than allowed, this much is kept.
KEPT_OF_LONG = 1 << 16
_BOM = b"\xef\xbb\xbf"
_VISIBLE = re.compile(rb"[^ \t\r\n]")
_TOKEN = re.compile(rb'"(?:[^"\\]++|\\.)*+"|["\[\]{},]', re.DOTALL)
_REST_OF_STRING = re.compile(rb"(?:[^\"\\]++|\\.)*+", re.DOTALL)
_CLOSER = {ord("{"): ord("}"), ord("["): ord("]")}
# Deeper than any row may be, and more brackets, commas and texts than 10,000 rows need; beyond, nobody searches for the
# end of a row: the rest counts as that row.
_SEARCHED_DEPTH = 4096
_SEARCHED_TOKENS = 4_000_000


class Span(NamedTuple):
    """Where a row is in its file."""

    start: int
    end: int


@dataclass(frozen=True)
class Row:
    """One row: its own bytes and fields, or the reason why it has none. Numbers count from 1."""

    number: int
    body: bytes
    fields: Mapping[str, Any] = field(default_factory=dict)
    code: str = ""
    reason: str = ""


def find_rows(file: IO[bytes], *, as_lines: bool) -> Iterator[Span]:
    """The rows of a file from its beginning, in order; blank lines and gaps between commas are none.

    Without `as_lines` the file is a JSON array; one that is no array is a single row.
    """
    file.seek(0)
    return _lines(file) if as_lines else _items(file)


def read_row(file: IO[bytes], number: int, span: Span, *, max_bytes: int) -> Row:
    """Read one row. What is no JSON object, not UTF-8, too deep, too long or cannot be stored says so in its reason."""
    file.seek(span.start)
    length = span.end - span.start
    if length > max_bytes:
        reason = f"The row is longer than {max_bytes:,} bytes; of it the first {KEPT_OF_LONG:,} are kept here."
        return Row(number, file.read(min(length, KEPT_OF_LONG)), code="too_long", reason=reason)
    body = file.read(length).strip(b" \t\r\n")
    try:
        value = strict_json.read(body)
    except strict_json.Unusable as error:
        reason = str(error).replace("The body is", "The row is").replace("The JSON", "The row")
        return Row(number, body, code="invalid_json", reason=reason)
    if not isinstance(value, dict):
        reason = "A row is a JSON object with the fields of a signal."
        return Row(number, body, code="not_an_object", reason=reason)
    return Row(number, body, fields=value)


def in_chunks(
    file: IO[bytes], spans: Sequence[Span], *, max_rows: int, max_bytes: int, max_row_bytes: int
) -> Iterator[list[Row]]:
    """The rows, read as they are asked for: chunks of so many rows, fewer where they are large."""
    chunk: list[Row] = []
    size = 0
    for number, span in enumerate(spans, start=1):
        row = read_row(file, number, span, max_bytes=max_row_bytes)
        if chunk and (len(chunk) == max_rows or size + len(row.body) > max_bytes):
            yield chunk
            chunk, size = [], 0
        chunk.append(row)
        size += len(row.body)
    if chunk:
        yield chunk


def _blocks(file: IO[bytes]) -> Iterator[tuple[int, bytes]]:
    """The file block by block, each with its place; a byte-order mark at the beginning is passed over."""
    place = 0
    while block := file.read(BLOCK):
        if place == 0 and block.startswith(_BOM):
            place, block = len(_BOM), block[len(_BOM) :]
            if not block:
                continue
        yield place, block
        place += len(block)


def _lines(file: IO[bytes]) -> Iterator[Span]:
    start = end = 0
    is_blank = True
    for place, block in _blocks(file):
        if end == 0:
            start = place
        at = 0
        while (found := block.find(b"\n", at)) >= 0:
            if not is_blank or _VISIBLE.search(block, at, found):
                yield Span(start, place + found)
            at, start, is_blank = found + 1, place + found + 1, True
        is_blank = is_blank and not _VISIBLE.search(block, at)
        end = place + len(block)
    if not is_blank:
        yield Span(start, end)


def _items(file: IO[bytes]) -> Iterator[Span]:
    scan = _ArrayScan()
    end = 0
    for place, block in _blocks(file):
        yield from scan.feed(place, block)
        end = place + len(block)
    yield from scan.finish(end)


@dataclass
class _ArrayScan:
    """Finds the items of an array block by block; what it remembers between blocks does not grow with them."""

    is_open: bool = False
    is_over: bool = False
    start: int | None = None
    closers: bytearray = field(default_factory=bytearray)
    tokens: int = 0
    in_string: bool = False
    is_escaped: bool = False

    def feed(self, place: int, block: bytes) -> Iterator[Span]:
        at = 0
        while at < len(block):
            if self.in_string:
                at = self._string(block, at)
            elif self.start is None:
                at = self._between(place, block, at)
            else:
                token = None if self._is_lost else _TOKEN.search(block, at)
                if token is None:
                    return
                self.tokens += 1
                at = token.end()
                if self._ends_item(token.group()):
                    yield Span(self.start, place + token.start())
                    self.start = None

    def finish(self, end: int) -> Iterator[Span]:
        """What is left when the file ends: a row that was cut, or text that belongs to no array."""
        if self.start is not None:
            yield Span(self.start, end)

    @property
    def _is_lost(self) -> bool:
        """Whether what has begun goes on to the end of the file."""
        return self.is_over or len(self.closers) > _SEARCHED_DEPTH or self.tokens > _SEARCHED_TOKENS

    def _between(self, place: int, block: bytes, at: int) -> int:
        """Look for the beginning of the array, of an item, or of something behind the array."""
        visible = _VISIBLE.search(block, at)
        if visible is None:
            return len(block)
        found, at = block[visible.start()], visible.start()
        if not self.is_open and not self.is_over:
            # What begins otherwise is no array: one row, to its end.
            self.is_open = found == ord("[")
            self.is_over = not self.is_open
            if self.is_open:
                return at + 1
        elif not self.is_over and found in b",]":
            self.is_over = found == ord("]")
            return at + 1
        self.start = place + at
        return at

    def _string(self, block: bytes, at: int) -> int:
        if self.is_escaped:
            self.is_escaped = False
            return at + 1
        rest = _REST_OF_STRING.match(block, at)
        assert rest is not None
        at = rest.end()
        if at == len(block):
            return at
        # A quote ends the string; a backslash here is the block's last byte.
        self.in_string = block[at] != ord('"')
        self.is_escaped = self.in_string
        return at + 1

    def _ends_item(self, token: bytes) -> bool:
        first = token[0]
        if first == ord('"'):
            self.in_string = len(token) == 1
        elif first in _CLOSER:
            self.closers.append(_CLOSER[first])
        elif self.closers:
            # One that does not match is a mistake of this row.
            if self.closers[-1] == first:
                self.closers.pop()
        else:
            self.is_over = first == ord("]")
            return first in b",]"
        return False
