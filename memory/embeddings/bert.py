"""The forward pass of a BERT-like sentence model in numpy: embeddings, attention, mean of the tokens, length one."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np

from memory.embeddings.safetensors import Array
from memory.embeddings.types import EmbeddingFailed

# What padding gets before the softmax.
_NOWHERE = np.float32(-1e9)


class SentenceModel:
    """The weights of an encoder. `pools_mean`: a sentence is the mean of its tokens, else its first token."""

    def __init__(
        self, tensors: Mapping[str, Array], *, heads: int, epsilon: float = 1e-12, pools_mean: bool = True
    ) -> None:
        """Raises EmbeddingFailed when weights are missing or do not fit each other."""
        prefix = "bert." if any(name.startswith("bert.") for name in tensors) else ""
        self._tensors = {name.removeprefix(prefix): tensor for name, tensor in tensors.items()}
        self._heads, self._epsilon, self._pools_mean = heads, np.float32(epsilon), pools_mean
        self._layers = 0
        while f"encoder.layer.{self._layers}.attention.self.query.weight" in self._tensors:
            self._layers += 1
        try:
            self.positions, self.width = self._tensors["embeddings.position_embeddings.weight"].shape
            if not self._layers or not heads or self.width % heads:
                raise EmbeddingFailed("The model has no layers, or its width cannot be shared among its heads.")
            # One pass over two tokens finds every weight that is missing or of another shape.
            self.encode([[0, 0]])
        except (KeyError, ValueError, IndexError) as error:
            raise EmbeddingFailed(f"The model's weights are not those of a BERT-like encoder: {error}") from error

    def encode(self, sentences: Sequence[Sequence[int]]) -> Array:
        """One vector of length one for each list of token numbers; shorter ones are padded, which changes nothing."""
        longest = max(len(each) for each in sentences)
        numbers = np.zeros((len(sentences), longest), dtype=np.int64)
        mask = np.zeros((len(sentences), longest), dtype=np.float32)
        for place, each in enumerate(sentences):
            numbers[place, : len(each)] = each
            mask[place, : len(each)] = 1
        hidden = self._embedded(numbers)
        hides = (1 - mask)[:, None, None, :] * _NOWHERE
        for layer in range(self._layers):
            hidden = self._layer(f"encoder.layer.{layer}", hidden, hides)
        if self._pools_mean:
            pooled = (hidden * mask[:, :, None]).sum(axis=1) / mask.sum(axis=1, keepdims=True)
        else:
            pooled = hidden[:, 0]
        lengths = np.linalg.norm(pooled, axis=1, keepdims=True)
        found: Array = (pooled / np.maximum(lengths, 1e-12)).astype(np.float32)
        return found

    def _embedded(self, numbers: np.ndarray[tuple[int, int], np.dtype[np.int64]]) -> Array:
        table = self._tensors
        hidden = (
            table["embeddings.word_embeddings.weight"][numbers]
            + table["embeddings.position_embeddings.weight"][: numbers.shape[1]]
            + table["embeddings.token_type_embeddings.weight"][0]
        )
        return self._normed("embeddings.LayerNorm", hidden)

    def _layer(self, name: str, hidden: Array, hides: Array) -> Array:
        batch, length, width = hidden.shape
        size = width // self._heads

        def of_heads(part: str) -> Array:
            projected = self._dense(f"{name}.attention.self.{part}", hidden)
            return projected.reshape(batch, length, self._heads, size).transpose(0, 2, 1, 3)

        query, key, value = of_heads("query"), of_heads("key"), of_heads("value")
        weights = _softmax(query @ key.transpose(0, 1, 3, 2) / np.float32(math.sqrt(size)) + hides)
        seen = (weights @ value).transpose(0, 2, 1, 3).reshape(batch, length, width)
        hidden = self._normed(
            f"{name}.attention.output.LayerNorm", self._dense(f"{name}.attention.output.dense", seen) + hidden
        )
        inner = _gelu(self._dense(f"{name}.intermediate.dense", hidden))
        return self._normed(f"{name}.output.LayerNorm", self._dense(f"{name}.output.dense", inner) + hidden)

    def _dense(self, name: str, hidden: Array) -> Array:
        found: Array = hidden @ self._tensors[f"{name}.weight"].T + self._tensors[f"{name}.bias"]
        return found

    def _normed(self, name: str, hidden: Array) -> Array:
        mean = hidden.mean(axis=-1, keepdims=True)
        variance = hidden.var(axis=-1, keepdims=True)
        found: Array = (hidden - mean) / np.sqrt(variance + self._epsilon) * self._tensors[f"{name}.weight"]
        return found + self._tensors[f"{name}.bias"]


def _softmax(scores: Array) -> Array:
    raised = np.exp(scores - scores.max(axis=-1, keepdims=True))
    found: Array = raised / raised.sum(axis=-1, keepdims=True)
    return found


def _gelu(x: Array) -> Array:
    """x × the share of the normal distribution below x; its error function by Abramowitz and Stegun, 7.1.26."""
    z = np.abs(x) * np.float32(1 / math.sqrt(2))
    t = 1 / (1 + np.float32(0.3275911) * z)
    series = t * (0.254829592 + t * (-0.284496736 + t * (1.421413741 + t * (-1.453152027 + t * 1.061405429))))
    error = np.sign(x) * (1 - series * np.exp(-z * z))
    found: Array = (0.5 * x * (1 + error)).astype(np.float32)
    return found
