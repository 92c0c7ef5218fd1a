"""A sentence model of a few thousand weights, written as the big ones are, and its forward pass by hand."""

from __future__ import annotations

import json
import math
import random
from pathlib import Path
from typing import Any

WIDTH, HEADS, LAYERS, INNER, POSITIONS = 8, 2, 2, 16, 12
VOCABULARY = [
    "[PAD]",
    "[UNK]",
    "[CLS]",
    "[SEP]",
    "the",
    "price",
    "is",
    "too",
    "high",
    "call",
    "##er",
    "un",
    "##able",
    "!",
    "naive",
    "我",
]
_EPSILON = 1e-12

Matrix = list[list[float]]


def tiny_weights(seed: int = 1) -> dict[str, Any]:
    """Random weights by the names that BERT gives them: matrices and vectors of Python floats."""
    chance = random.Random(seed)

    def matrix(rows: int, columns: int) -> Matrix:
        return [[chance.gauss(0, 0.5) for _ in range(columns)] for _ in range(rows)]

    def vector(size: int, around: float = 0.0) -> list[float]:
        return [around + chance.gauss(0, 0.1) for _ in range(size)]

    weights: dict[str, Any] = {
        "embeddings.word_embeddings.weight": matrix(len(VOCABULARY), WIDTH),
        "embeddings.position_embeddings.weight": matrix(POSITIONS, WIDTH),
        "embeddings.token_type_embeddings.weight": matrix(2, WIDTH),
    }
    normed = ["embeddings.LayerNorm"]
    for layer in range(LAYERS):
        name = f"encoder.layer.{layer}"
        for part in ("query", "key", "value"):
            weights[f"{name}.attention.self.{part}.weight"] = matrix(WIDTH, WIDTH)
            weights[f"{name}.attention.self.{part}.bias"] = vector(WIDTH)
        for part, rows, columns in (
            ("attention.output.dense", WIDTH, WIDTH),
            ("intermediate.dense", INNER, WIDTH),
            ("output.dense", WIDTH, INNER),
        ):
            weights[f"{name}.{part}.weight"] = matrix(rows, columns)
            weights[f"{name}.{part}.bias"] = vector(rows)
        normed += [f"{name}.attention.output.LayerNorm", f"{name}.output.LayerNorm"]
    for name in normed:
        weights[f"{name}.weight"], weights[f"{name}.bias"] = vector(WIDTH, 1.0), vector(WIDTH)
    return weights


def write_safetensors(path: Path, weights: dict[str, Any], *, kind: str = "F32") -> None:
    """The weights as a file; `kind` is F32, F16 or BF16."""
    import numpy as np

    header: dict[str, Any] = {"__metadata__": {"format": "pt"}}
    parts: list[bytes] = []
    for name, values in weights.items():
        array = np.array(values, dtype=np.float32)
        if kind == "F16":
            raw = array.astype(np.float16).tobytes()
        elif kind == "BF16":
            raw = (array.view(np.uint32) >> 16).astype(np.uint16).tobytes()
        else:
            raw = array.tobytes()
        start = sum(len(part) for part in parts)
        header[name] = {"dtype": kind, "shape": list(array.shape), "data_offsets": [start, start + len(raw)]}
        parts.append(raw)
    text = json.dumps(header).encode()
    path.write_bytes(len(text).to_bytes(8, "little") + text + b"".join(parts))


def write_model(place: Path, *, kind: str = "F32", seed: int = 1) -> Path:
    """A directory with everything that a sentence model has."""
    place.mkdir(parents=True, exist_ok=True)
    write_safetensors(place / "model.safetensors", tiny_weights(seed), kind=kind)
    (place / "config.json").write_text(json.dumps({"num_attention_heads": HEADS, "layer_norm_eps": _EPSILON}))
    (place / "tokenizer.json").write_text(json.dumps(tokeniser()))
    return place


def tokeniser() -> dict[str, Any]:
    """`tokenizer.json` of an uncased model."""
    return {
        "normalizer": {"type": "BertNormalizer", "clean_text": True, "handle_chinese_chars": True, "lowercase": True},
        "pre_tokenizer": {"type": "BertPreTokenizer"},
        "model": {
            "type": "WordPiece",
            "unk_token": "[UNK]",
            "continuing_subword_prefix": "##",
            "max_input_chars_per_word": 100,
            "vocab": {piece: number for number, piece in enumerate(VOCABULARY)},
        },
    }


def encoded_by_hand(weights: dict[str, Any], tokens: list[int]) -> list[float]:
    """The vector of one sentence, number by number, with Python's own error function."""
    hidden = [
        [
            weights["embeddings.word_embeddings.weight"][token][i]
            + weights["embeddings.position_embeddings.weight"][place][i]
            + weights["embeddings.token_type_embeddings.weight"][0][i]
            for i in range(WIDTH)
        ]
        for place, token in enumerate(tokens)
    ]
    hidden = _normed(weights, "embeddings.LayerNorm", hidden)
    for layer in range(LAYERS):
        name = f"encoder.layer.{layer}"
        seen = _attended(weights, f"{name}.attention.self", hidden)
        hidden = _normed(
            weights,
            f"{name}.attention.output.LayerNorm",
            _added(_dense(weights, f"{name}.attention.output.dense", seen), hidden),
        )
        inner = [
            [0.5 * x * (1 + math.erf(x / math.sqrt(2))) for x in row]
            for row in _dense(weights, f"{name}.intermediate.dense", hidden)
        ]
        hidden = _normed(
            weights, f"{name}.output.LayerNorm", _added(_dense(weights, f"{name}.output.dense", inner), hidden)
        )
    mean = [sum(row[i] for row in hidden) / len(hidden) for i in range(WIDTH)]
    length = math.hypot(*mean)
    return [x / length for x in mean]


def _attended(weights: dict[str, Any], name: str, hidden: Matrix) -> Matrix:
    query, key, value = (_dense(weights, f"{name}.{part}", hidden) for part in ("query", "key", "value"))
    size = WIDTH // HEADS
    found = [[0.0] * WIDTH for _ in hidden]
    for head in range(HEADS):
        columns = range(head * size, (head + 1) * size)
        for i in range(len(hidden)):
            scores = [sum(query[i][c] * key[j][c] for c in columns) / math.sqrt(size) for j in range(len(hidden))]
            total = sum(math.exp(score) for score in scores)
            for c in columns:
                found[i][c] = sum(math.exp(score) / total * value[j][c] for j, score in enumerate(scores))
    return found


def _dense(weights: dict[str, Any], name: str, hidden: Matrix) -> Matrix:
    matrix, bias = weights[f"{name}.weight"], weights[f"{name}.bias"]
    return [
        [sum(w * x for w, x in zip(line, row, strict=True)) + b for line, b in zip(matrix, bias, strict=True)]
        for row in hidden
    ]


def _normed(weights: dict[str, Any], name: str, hidden: Matrix) -> Matrix:
    found = []
    for row in hidden:
        mean = sum(row) / len(row)
        spread = math.sqrt(sum((x - mean) ** 2 for x in row) / len(row) + _EPSILON)
        found.append(
            [
                (x - mean) / spread * w + b
                for x, w, b in zip(row, weights[f"{name}.weight"], weights[f"{name}.bias"], strict=True)
            ]
        )
    return found


def _added(one: Matrix, other: Matrix) -> Matrix:
    return [[a + b for a, b in zip(row, line, strict=True)] for row, line in zip(one, other, strict=True)]
