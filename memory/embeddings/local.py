"""A sentence model in a directory of this machine, run by numpy: no torch, no download, nothing sent anywhere."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from memory.embeddings.bert import SentenceModel
from memory.embeddings.safetensors import read_tensors, sha256_of
from memory.embeddings.types import EmbeddingFailed
from memory.embeddings.wordpiece import WordPiece

_WEIGHTS, _TOKENISER = "model.safetensors", "tokenizer.json"
# Tokens that are read of a text where the model's files do not say.
_DEFAULT_TOKENS = 256
# Sentences that go through the model together; their hidden states stay in the processor's cache.
_BATCH = 16


class LocalModel:
    """A model with its tokeniser; `model` names the directory and the beginning of the weights' hash."""

    is_remote = False

    def __init__(self, *, model: str, sentences: SentenceModel, tokeniser: WordPiece, most_tokens: int) -> None:
        self._model, self._sentences, self._tokeniser = model, sentences, tokeniser
        self._most_tokens = min(most_tokens, sentences.positions)

    @classmethod
    def load(cls, path: str, *, sha256: str = "") -> LocalModel:
        """Read the directory. Raises EmbeddingFailed for what is not there, does not fit, or has another hash."""
        place = Path(path).expanduser()
        weights = place / _WEIGHTS
        for needed in (weights, place / _TOKENISER):
            if not needed.is_file():
                raise EmbeddingFailed(f"MEMORY_EMBEDDINGS_PATH: there is no {needed.name} in {place}.")
        digest = sha256_of(weights)
        if sha256 and digest != sha256.strip().lower():
            raise EmbeddingFailed(
                f"The weights in {place} have the hash {digest}, and not the one that MEMORY_EMBEDDINGS_SHA256 names."
            )
        shape = _said(place / "config.json")
        if (activation := shape.get("hidden_act", "gelu")) != "gelu":
            raise EmbeddingFailed(f"The model's activation '{activation}' is not known here; only gelu is.")
        sentences = SentenceModel(
            read_tensors(weights),
            heads=_number(shape, "num_attention_heads", 12),
            epsilon=float(shape.get("layer_norm_eps", 1e-12)),
            pools_mean=not _said(place / "1_Pooling" / "config.json").get("pooling_mode_cls_token", False),
        )
        return cls(
            model=f"{place.resolve().name[:100]}@{digest[:12]}",
            sentences=sentences,
            tokeniser=WordPiece.load(place / _TOKENISER),
            most_tokens=_number(_said(place / "sentence_bert_config.json"), "max_seq_length", _DEFAULT_TOKENS),
        )

    @property
    def model(self) -> str:
        return self._model

    def embed(self, texts: Sequence[str], *, seconds: float = 0) -> list[list[float]]:
        """One vector a text; of a long one its beginning counts. It takes as long as it takes."""
        tokens = [self._tokeniser.tokens(text, most=self._most_tokens) for text in texts]
        # Together with others of its length none is padded much.
        order = sorted(range(len(tokens)), key=lambda place: len(tokens[place]))
        found: dict[int, list[float]] = {}
        for start in range(0, len(order), _BATCH):
            places = order[start : start + _BATCH]
            vectors = self._sentences.encode([tokens[place] for place in places])
            found |= {place: vector.tolist() for place, vector in zip(places, vectors, strict=True)}
        return [found[place] for place in range(len(tokens))]


def _said(path: Path) -> dict[str, Any]:
    """What an optional file of JSON says; nothing where there is none. Raises EmbeddingFailed for a broken one."""
    if not path.is_file():
        return {}
    try:
        said = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise EmbeddingFailed(f"{path.name} cannot be read: {error}") from error
    if not isinstance(said, dict):
        raise EmbeddingFailed(f"{path.name} holds no object.")
    return said


def _number(said: dict[str, Any], name: str, default: int) -> int:
    found = said.get(name, default)
    if not isinstance(found, int) or found < 1:
        raise EmbeddingFailed(f"The model's {name} is no possible number: {found!r}.")
    return found
