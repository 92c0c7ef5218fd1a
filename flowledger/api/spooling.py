"""Large bodies: read block by block into a temporary file, so that their size costs disk and not memory."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from tempfile import SpooledTemporaryFile
from typing import IO, Any, ClassVar

from django.conf import settings
from rest_framework.parsers import BaseParser

from flowledger.errors import TooLarge

BLOCK = 1 << 16
IN_MEMORY = 1 << 20


@dataclass(frozen=True)
class SpooledBody:
    """A body as it came, on disk where it is large; whoever reads it closes the file."""

    file: IO[bytes]
    size: int
    sha256: str
    content_type: str


class SpoolingParser(BaseParser):
    """Base of parsers that leave the body to the view, as a SpooledBody."""

    advice: ClassVar[str] = "Split the body over several requests."

    def parse(  # type: ignore[override]  # a view that spools takes no mapping
        self, stream: IO[bytes], media_type: str | None = None, parser_context: Mapping[str, Any] | None = None
    ) -> SpooledBody:
        """Raises TooLarge (413) beyond MAX_BULK_BYTES, with what to do instead."""
        limit = settings.MAX_BULK_BYTES
        file: IO[bytes] = SpooledTemporaryFile(max_size=IN_MEMORY)  # noqa: SIM115  the view closes it
        digest = hashlib.sha256()
        size = 0
        while block := stream.read(BLOCK):
            size += len(block)
            if size > limit:
                file.close()
                raise TooLarge(f"The body is larger than {limit:,} bytes. {self.advice}", max_bytes=limit)
            digest.update(block)
            file.write(block)
        return SpooledBody(file, size, digest.hexdigest(), media_type or self.media_type or "")
