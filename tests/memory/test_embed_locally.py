"""The local model: how it reads a text, what it computes, and what it refuses to load."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys

import pytest

from memory.embeddings import EmbeddingFailed, chosen, forget_choice
from memory.embeddings.bert import SentenceModel
from memory.embeddings.local import LocalModel
from memory.embeddings.safetensors import read_tensors
from memory.embeddings.wordpiece import WordPiece
from tests.memory.tiny_model import (
    HEADS,
    POSITIONS,
    VOCABULARY,
    WIDTH,
    encoded_by_hand,
    tiny_weights,
    tokeniser,
    write_model,
    write_safetensors,
)

UNKNOWN, FIRST, LAST = 1, 2, 3


@pytest.fixture
def model(tmp_path):
    return write_model(tmp_path / "tiny")


@pytest.fixture(autouse=True)
def looks_again():
    forget_choice()
    yield
    forget_choice()


def pieces(text: str, *, most: int = 50, **changed) -> list[str]:
    """The tokens between the marks."""
    reader = WordPiece(vocabulary={piece: number for number, piece in enumerate(VOCABULARY)}, **changed)
    numbers = reader.tokens(text, most=most)
    assert (numbers[0], numbers[-1]) == (FIRST, LAST)
    return [VOCABULARY[number] for number in numbers[1:-1]]


class TestTokens:
    @pytest.mark.parametrize(
        ("text", "expected"),
        [
            ("The price is too high!", ["the", "price", "is", "too", "high", "!"]),
            ("caller unable", ["call", "##er", "un", "##able"]),
            ("callable", ["call", "##able"]),
            ("calls", ["[UNK]"]),
            ("naïve NAÏVE", ["naive", "naive"]),
            ("price!!high", ["price", "!", "!", "high"]),
            ("the\u200bprice\x00 is\u00a0too\thigh", ["[UNK]", "is", "too", "high"]),
            ("the我price", ["the", "我", "price"]),
            ("", []),
            ("x" * 101, ["[UNK]"]),
        ],
    )
    def test_are_the_longest_known_pieces(self, text, expected):
        assert pieces(text) == expected

    def test_accents_and_case_count_where_the_model_says_so(self):
        assert pieces("Naive naïve", lowers=False, strips_accents=False) == ["[UNK]", "[UNK]"]

    def test_a_long_text_is_cut(self):
        assert pieces("the price is too high", most=4) == ["the", "price"]

    def test_of_another_kind_of_tokeniser_are_refused(self, tmp_path):
        said = tokeniser()
        said["model"]["type"] = "BPE"
        (tmp_path / "tokenizer.json").write_text(json.dumps(said))
        with pytest.raises(EmbeddingFailed, match="not known here"):
            WordPiece.load(tmp_path / "tokenizer.json")


class TestForwardPass:
    @pytest.mark.parametrize("tokens", [[2, 4, 5, 3], [2, 9, 10, 13, 6, 7, 8, 3], [2, 3]])
    def test_computes_what_the_definition_says(self, tokens):
        weights = tiny_weights()
        import numpy as np

        model = SentenceModel({name: np.array(value, np.float32) for name, value in weights.items()}, heads=HEADS)
        (found,) = model.encode([tokens])
        assert found == pytest.approx(encoded_by_hand(weights, tokens), abs=2e-6)

    def test_padding_changes_nothing(self, model):
        local = LocalModel.load(str(model))
        texts = ["price", "the price is too high!", "caller unable"]
        together, alone = local.embed(texts), [local.embed([text])[0] for text in texts]
        for one, other in zip(together, alone, strict=True):
            assert one == pytest.approx(other, abs=1e-6)

    def test_texts_keep_their_order_and_lengths_are_one(self, model):
        local = LocalModel.load(str(model))
        texts = [f"{'the ' * (n % 9)}price" for n in range(40)]
        found = local.embed(texts)
        assert all(sum(x * x for x in vector) == pytest.approx(1, abs=1e-5) for vector in found)
        assert found[9] == pytest.approx(local.embed([texts[9]])[0], abs=1e-6)
        assert len(found[0]) == WIDTH

    def test_a_text_longer_than_the_model_is_read_as_far_as_it_goes(self, model):
        local = LocalModel.load(str(model))
        assert local.embed(["the " * 100]) == local.embed(["the " * (POSITIONS + 7)])

    def test_weights_that_do_not_fit_are_refused(self):
        import numpy as np

        tensors = {name: np.array(value, np.float32) for name, value in tiny_weights().items()}
        del tensors["encoder.layer.1.output.dense.bias"]
        with pytest.raises(EmbeddingFailed, match="not those of a BERT-like encoder"):
            SentenceModel(tensors, heads=HEADS)
        with pytest.raises(EmbeddingFailed, match="cannot be shared"):
            SentenceModel({**tensors, "encoder.layer.1.output.dense.bias": np.zeros(WIDTH, np.float32)}, heads=3)


class TestFiles:
    @pytest.mark.parametrize(("kind", "error"), [("F32", 0.0), ("F16", 1e-3), ("BF16", 1e-2)])
    def test_every_precision_is_read(self, tmp_path, kind, error):
        write_safetensors(tmp_path / "x.safetensors", {"a": [[0.5, -1.25], [3.1, 0.0]]}, kind=kind)
        found = read_tensors(tmp_path / "x.safetensors")["a"]
        assert (found.shape, str(found.dtype)) == ((2, 2), "float32")
        assert found.ravel().tolist() == pytest.approx([0.5, -1.25, 3.1, 0.0], rel=error or 1e-7)

    @pytest.mark.parametrize(
        "content",
        [
            b"",
            b"\x00" * 7,
            (2**40).to_bytes(8, "little") + b"{}",
            (5).to_bytes(8, "little") + b"nojson",
            (2).to_bytes(8, "little") + b"[]",
            (62).to_bytes(8, "little") + b'{"a": {"dtype": "F32", "shape": [9], "data_offsets": [0, 36]}}',
            (62).to_bytes(8, "little")
            + b'{"a": {"dtype": "F32", "shape": [9], "data_offsets": [-4, 3]}}'
            + b"\x00" * 50,
        ],
    )
    def test_what_is_no_such_file_is_refused(self, tmp_path, content):
        (tmp_path / "x.safetensors").write_bytes(content)
        with pytest.raises(EmbeddingFailed, match="cannot be read as a safetensors file"):
            read_tensors(tmp_path / "x.safetensors")


class TestLoading:
    def test_names_the_model_by_directory_and_weights(self, model):
        digest = hashlib.sha256((model / "model.safetensors").read_bytes()).hexdigest()
        assert LocalModel.load(str(model), sha256=digest.upper()).model == f"tiny@{digest[:12]}"

    def test_other_weights_than_named_disable_vectors_with_a_warning(self, settings, model):
        """Governance: a mismatch disables the vectors, not the search."""
        settings.MEMORY_EMBEDDINGS_PATH, settings.MEMORY_EMBEDDINGS_SHA256 = str(model), "0" * 64
        choice = chosen()
        assert choice.embedder is None
        assert choice.trouble.endswith("and not the one that MEMORY_EMBEDDINGS_SHA256 names.")

    @pytest.mark.parametrize(
        ("change", "sentence"),
        [
            ({"MEMORY_EMBEDDINGS_PATH": "/nowhere"}, "there is no model.safetensors in /nowhere"),
            ({"MEMORY_EMBEDDINGS_URL": "https://embed.example"}, "name two backends"),
        ],
    )
    def test_what_cannot_work_is_said(self, settings, model, change, sentence):
        for name, value in {"MEMORY_EMBEDDINGS_PATH": str(model), **change}.items():
            setattr(settings, name, value)
        assert (chosen().embedder, sentence in chosen().trouble) == (None, True)

    def test_another_activation_is_refused(self, model):
        (model / "config.json").write_text(json.dumps({"num_attention_heads": HEADS, "hidden_act": "relu"}))
        with pytest.raises(EmbeddingFailed, match="'relu' is not known here"):
            LocalModel.load(str(model))

    def test_nothing_is_chosen_where_nothing_is_named(self):
        assert chosen().embedder is None
        assert chosen().trouble == ""

    def test_a_local_model_needs_no_network_and_no_torch(self, model):
        """In a process of its own, in which every socket is refused."""
        script = f"""
import socket, sys
class Refused(socket.socket):
    def __init__(self, *args, **kwargs): raise AssertionError("a socket was opened")
socket.socket = Refused
from memory.embeddings.local import LocalModel
print(len(LocalModel.load({str(model)!r}).embed(["the price is too high"])[0]))
heavy = {{"torch", "transformers", "tokenizers", "safetensors", "requests", "sentence_transformers"}}
print(sorted(set(sys.modules) & heavy))
"""
        done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
        assert (done.stdout.splitlines(), done.stderr) == ([str(WIDTH), "[]"], "")
