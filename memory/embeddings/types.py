"""What an embedding backend offers, whichever it is."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol


class EmbeddingFailed(Exception):
    """No vectors this time; the message says why and never holds a text."""


class TextsRefused(EmbeddingFailed):
    """The backend does not take these texts; asking again would not help."""


class Embedder(Protocol):
    """Makes vectors of one model. `is_remote`: it sends the texts over the network, so never inside a transaction."""

    @property
    def model(self) -> str:
        """What the vectors are kept under; those of different models are never compared."""

    @property
    def is_remote(self) -> bool: ...

    def embed(self, texts: Sequence[str], *, seconds: float) -> list[list[float]]:
        """One vector a text, in their order, all equally long. Raises EmbeddingFailed, after `seconds` at the latest.

        A local model takes the time that it takes.
        """
