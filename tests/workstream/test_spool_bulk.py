"""A large body costs disk and not memory: what is in memory is one block, one chunk, and where the rows are."""

from __future__ import annotations

import io
import json
import tracemalloc
from collections.abc import Iterator

import pytest
from django.conf import LazySettings

from flowledger.errors import TooLarge
from workstream.api.views.signals_bulk import CHUNK_BYTES, JsonRows
from workstream.intake.rows import find_rows, in_chunks, read_row

ROWS, ROW_BYTES = 6_000, 8_000
MEGABYTE = 1 << 20


class Stream(io.RawIOBase):
    """A body that is made while it is read."""

    def __init__(self, parts: Iterator[bytes]) -> None:
        self.parts = parts
        self.rest = b""

    def read(self, size: int = -1) -> bytes:
        while len(self.rest) < size:
            part = next(self.parts, b"")
            if not part:
                break
            self.rest += part
        found, self.rest = self.rest[:size], self.rest[size:]
        return found


def body(rows: int = ROWS) -> Iterator[bytes]:
    text = "x" * (ROW_BYTES - 60)
    for number in range(rows):
        start = b"[" if number == 0 else b","
        yield start + json.dumps({"source_type": "api", "source_ref": str(number), "attributes": {"t": text}}).encode()
    yield b"]"


def test_fifty_megabytes_take_a_few(settings: LazySettings):
    tracemalloc.start()
    try:
        spooled = JsonRows().parse(Stream(body()))
        spans = list(find_rows(spooled.file, as_lines=False))
        numbers = []
        for chunk in in_chunks(
            spooled.file, spans, max_rows=500, max_bytes=CHUNK_BYTES, max_row_bytes=settings.DATA_UPLOAD_MAX_MEMORY_SIZE
        ):
            assert len(chunk) <= 500
            assert sum(len(row.body) for row in chunk) <= CHUNK_BYTES
            numbers += [row.number for row in chunk]
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert spooled.size > 45 * MEGABYTE
    assert numbers == list(range(1, ROWS + 1))
    # A chunk as bytes and as fields, the one before it that is let go, and blocks.
    assert peak < 4 * CHUNK_BYTES, f"{peak / MEGABYTE:.1f} MB"


def test_a_body_beyond_the_limit_is_refused_before_it_is_read_to_its_end(settings: LazySettings):
    settings.MAX_BULK_BYTES = MEGABYTE
    stream = Stream(body())
    with pytest.raises(TooLarge, match="several calls"):
        JsonRows().parse(stream)
    assert next(stream.parts, b"") != b"", "the rest was not read"


@pytest.mark.parametrize("opening", [b"[" * 3_000_000, b'[{"a":' + b"[" * 3_000_000, b"[[" + b"[]," * 2_000_000])
def test_brackets_without_end_are_one_bad_row(opening: bytes):
    file = io.BytesIO(opening)
    (span,) = find_rows(file, as_lines=False)
    row = read_row(file, 1, span, max_bytes=MEGABYTE)

    assert (row.code, span.end) == ("too_long", len(opening))
