"""Reading weights from a safetensors file: a header of JSON, then the numbers; mapped into memory, never executed."""

from __future__ import annotations

import hashlib
import json
import math
import mmap
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from memory.embeddings.types import EmbeddingFailed

_MOST_HEADER_BYTES = 100 * 1024 * 1024
_TYPES: dict[str, Any] = {"F32": np.dtype("<f4"), "F16": np.dtype("<f2"), "BF16": np.dtype("<u2")}

Array = NDArray[np.float32]


def sha256_of(path: Path) -> str:
    """The hash of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def read_tensors(path: Path) -> dict[str, Array]:
    """Every floating-point tensor of the file by name, as 32 bits; those that are so already stay in the file's pages.

    Raises EmbeddingFailed for what is no such file. Tensors of other types are left out.
    """
    try:
        with path.open("rb") as file:
            pages = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        return {
            name: _tensor(pages, start, entry)
            for start, header in [_header(pages)]
            for name, entry in header.items()
            if name != "__metadata__" and entry["dtype"] in _TYPES
        }
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise EmbeddingFailed(f"{path.name} cannot be read as a safetensors file: {error}") from error


def _header(pages: mmap.mmap) -> tuple[int, dict[str, Any]]:
    """Where the numbers begin, and what stands where among them."""
    length = int.from_bytes(pages[:8], "little")
    if not 0 < length <= min(_MOST_HEADER_BYTES, len(pages) - 8):
        raise ValueError("its header has no possible length.")
    header: dict[str, Any] = json.loads(pages[8 : 8 + length])
    return 8 + length, header


def _tensor(pages: mmap.mmap, start: int, entry: dict[str, Any]) -> Array:
    kind, shape = _TYPES[entry["dtype"]], [int(each) for each in entry["shape"]]
    first, last = (int(each) for each in entry["data_offsets"])
    count = math.prod(shape)
    if first < 0 or last - first != count * kind.itemsize or start + last > len(pages):
        raise ValueError("a tensor lies outside of it.")
    numbers = np.frombuffer(pages, dtype=kind, count=count, offset=start + first).reshape(shape)
    if entry["dtype"] == "BF16":
        # The upper half of a number of 32 bits.
        return (numbers.astype(np.uint32) << 16).view(np.float32)
    return numbers.astype(np.float32, copy=False)
