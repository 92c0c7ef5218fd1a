"""Texts as vectors: an embeddings endpoint or a local model, whichever the installation names, or none."""

from memory.embeddings.choosing import Choice, chosen, forget_choice
from memory.embeddings.types import Embedder, EmbeddingFailed, TextsRefused

__all__ = ["Choice", "Embedder", "EmbeddingFailed", "TextsRefused", "chosen", "forget_choice"]
