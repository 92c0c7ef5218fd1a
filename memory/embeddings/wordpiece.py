"""Texts as token numbers, the way BERT-like models were trained: normalise, split, longest pieces first."""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from memory.embeddings.types import EmbeddingFailed

_ASCII_PUNCTUATION = frozenset("!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~")
# Ideographs, each a word of its own.
_IDEOGRAPHS = (
    *((0x4E00, 0x9FFF), (0x3400, 0x4DBF), (0x20000, 0x2A6DF), (0x2A700, 0x2B73F)),
    *((0x2B740, 0x2B81F), (0x2B820, 0x2CEAF), (0xF900, 0xFAFF), (0x2F800, 0x2FA1F)),
)


@dataclass(frozen=True)
class WordPiece:
    """A tokeniser as `tokenizer.json` describes it."""

    vocabulary: Mapping[str, int]
    unknown: str = "[UNK]"
    first: str = "[CLS]"
    last: str = "[SEP]"
    prefix: str = "##"
    longest_word: int = 100
    lowers: bool = True
    strips_accents: bool = True
    cleans: bool = True
    splits_ideographs: bool = True

    @classmethod
    def load(cls, path: Path) -> WordPiece:
        """Read the file. Raises EmbeddingFailed for a tokeniser of another kind."""
        try:
            said: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
            model, normaliser = said["model"], said.get("normalizer") or {}
            kinds = [model.get("type"), normaliser.get("type"), (said.get("pre_tokenizer") or {}).get("type")]
            if kinds != ["WordPiece", "BertNormalizer", "BertPreTokenizer"]:
                raise EmbeddingFailed(f"{path.name} describes a tokeniser that is not known here: {kinds}.")
            lowers = bool(normaliser.get("lowercase", True))
            strips = normaliser.get("strip_accents")
            found = cls(
                vocabulary={str(piece): int(number) for piece, number in model["vocab"].items()},
                unknown=str(model.get("unk_token", "[UNK]")),
                prefix=str(model.get("continuing_subword_prefix", "##")),
                longest_word=int(model.get("max_input_chars_per_word", 100)),
                lowers=lowers,
                strips_accents=lowers if strips is None else bool(strips),
                cleans=bool(normaliser.get("clean_text", True)),
                splits_ideographs=bool(normaliser.get("handle_chinese_chars", True)),
            )
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise EmbeddingFailed(f"{path.name} cannot be read as a tokeniser: {error}") from error
        if missing := {found.unknown, found.first, found.last} - found.vocabulary.keys():
            raise EmbeddingFailed(f"{path.name} does not know {', '.join(sorted(missing))}.")
        return found

    def tokens(self, text: str, *, most: int) -> list[int]:
        """The numbers of a text, between the marks of its beginning and its end; at most `most` with these."""
        numbers = [self.vocabulary[self.first]]
        for word in _words(self._normal(text)):
            numbers += self._pieces(word)
            if len(numbers) >= most - 1:
                break
        return [*numbers[: most - 1], self.vocabulary[self.last]]

    def _normal(self, text: str) -> str:
        if self.cleans:
            text = "".join(" " if _is_space(char) else char for char in text if _is_space(char) or _is_shown(char))
        if self.splits_ideographs:
            text = "".join(f" {char} " if _is_ideograph(char) else char for char in text)
        if self.strips_accents:
            text = "".join(char for char in unicodedata.normalize("NFD", text) if unicodedata.category(char) != "Mn")
        return text.lower() if self.lowers else text

    def _pieces(self, word: str) -> list[int]:
        """The longest known beginnings, one after the other; a word that cannot be made of them is unknown."""
        unknown = [self.vocabulary[self.unknown]]
        if len(word) > self.longest_word:
            return unknown
        found: list[int] = []
        start = 0
        while start < len(word):
            for end in range(len(word), start, -1):
                piece = word[start:end] if start == 0 else f"{self.prefix}{word[start:end]}"
                if (number := self.vocabulary.get(piece)) is not None:
                    found.append(number)
                    start = end
                    break
            else:
                return unknown
        return found


def _words(text: str) -> Iterator[str]:
    """Runs of letters, and every mark of punctuation by itself."""
    for run in text.split():
        word = ""
        for char in run:
            if _is_punctuation(char):
                if word:
                    yield word
                yield char
                word = ""
            else:
                word += char
        if word:
            yield word


def _is_space(char: str) -> bool:
    return char in "\t\n\r" or unicodedata.category(char) == "Zs" or char.isspace()


def _is_shown(char: str) -> bool:
    return char not in "\x00\ufffd" and not unicodedata.category(char).startswith("C")


def _is_punctuation(char: str) -> bool:
    return char in _ASCII_PUNCTUATION or unicodedata.category(char).startswith("P")


def _is_ideograph(char: str) -> bool:
    return any(first <= ord(char) <= last for first, last in _IDEOGRAPHS)
