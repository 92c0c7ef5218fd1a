"""An embeddings endpoint over HTTP, as OpenAI and many others offer it: `POST …/embeddings {model, input}`."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Sequence
from typing import Any
from urllib.parse import urlsplit

import requests
from urllib3.exceptions import HTTPError

from memory.embeddings.types import EmbeddingFailed, TextsRefused

# A larger answer is not read on.
MOST_BYTES = 64 * 1024 * 1024
# After a failure nobody waits for the endpoint for so long.
REST_SECONDS = 30.0
_CHUNK = 65_536
# What says that the texts, and not the endpoint, are at fault.
_REFUSALS = frozenset({400, 413, 422})


class Endpoint:
    """One configured endpoint. It rests for a while after a failure, so that searches do not wait one by one."""

    is_remote = True

    def __init__(self, *, url: str, key: str, model: str) -> None:
        parts = urlsplit(url)
        if parts.scheme not in {"http", "https"} or not parts.hostname:
            raise EmbeddingFailed("MEMORY_EMBEDDINGS_URL is no web address; it begins with https:// and names a host.")
        if not model:
            raise EmbeddingFailed(
                "MEMORY_EMBEDDINGS_URL needs MEMORY_EMBEDDINGS_MODEL: the name that the endpoint knows."
            )
        base = url.rstrip("/")
        self._url = base if base.endswith("/embeddings") else f"{base}/embeddings"
        # As it is: what is compressed could be far larger than what is read.
        self._headers = {"Accept-Encoding": "identity", **({"Authorization": f"Bearer {key}"} if key else {})}
        self._name = model
        self._rests_until = float("-inf")

    @property
    def model(self) -> str:
        return self._name[:120]

    def embed(self, texts: Sequence[str], *, seconds: float) -> list[list[float]]:
        """One vector a text. Raises TextsRefused, and EmbeddingFailed for all else, at once while it rests."""
        if time.monotonic() < self._rests_until:
            raise EmbeddingFailed("The embeddings endpoint failed a moment ago and is left alone for a while.")
        try:
            return self._asked(texts, time.monotonic() + seconds)
        except TextsRefused:
            raise
        except EmbeddingFailed:
            self._rests_until = time.monotonic() + REST_SECONDS
            raise

    def _asked(self, texts: Sequence[str], deadline: float) -> list[list[float]]:
        try:
            with requests.post(
                self._url,
                json={"model": self._name, "input": list(texts), "encoding_format": "float"},
                headers=self._headers,
                timeout=_left(deadline),
                # The address is the operator's; where it points to is not.
                allow_redirects=False,
                stream=True,
            ) as response:
                if response.status_code in _REFUSALS:
                    raise TextsRefused(f"The embeddings endpoint refused the texts with {response.status_code}.")
                if response.status_code != 200:
                    raise EmbeddingFailed(f"The embeddings endpoint answered {response.status_code}.")
                body = _read(response, deadline)
        except (requests.RequestException, HTTPError) as error:
            # The message of the library may hold the address with its query, never the texts.
            raise EmbeddingFailed(f"The embeddings endpoint cannot be asked: {type(error).__name__}.") from error
        return _vectors(body, len(texts))


def _read(response: requests.Response, deadline: float) -> bytes:
    """The body, as far as it comes in time: the time-out of the library counts anew with every byte."""
    parts, size = [], 0
    while chunk := response.raw.read1(_CHUNK):
        parts.append(chunk)
        size += len(chunk)
        _left(deadline)
        if size > MOST_BYTES:
            raise EmbeddingFailed("The embeddings endpoint answered far too much.")
    return b"".join(parts)


def _left(deadline: float) -> float:
    left = deadline - time.monotonic()
    if left <= 0:
        raise EmbeddingFailed("The embeddings endpoint took too long.")
    return left


def _vectors(body: bytes, expected: int) -> list[list[float]]:
    """The vectors of an answer in the order of the texts. Raises EmbeddingFailed for anything else."""
    try:
        rows: Any = json.loads(body)["data"]
        found = {int(row.get("index", place)): [float(x) for x in row["embedding"]] for place, row in enumerate(rows)}
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise EmbeddingFailed("The embeddings endpoint answered something that holds no vectors.") from error
    if sorted(found) != list(range(expected)) or len(rows) != expected:
        raise EmbeddingFailed(f"The embeddings endpoint answered {len(rows)} vectors for {expected} texts.")
    vectors = [found[place] for place in range(expected)]
    lengths = {len(vector) for vector in vectors}
    if len(lengths) > 1 or 0 in lengths or not all(math.isfinite(x) for vector in vectors for x in vector):
        raise EmbeddingFailed("The embeddings endpoint answered vectors that cannot be compared.")
    return vectors
