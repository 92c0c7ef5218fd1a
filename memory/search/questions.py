"""Reading a question: its words, what they may be called otherwise, and what it wants of time. Pure."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from flowledger.clients.folding import fold

MAX_QUESTION = 1_000
MAX_WORDS = 40
# What another word for the same thing is worth beside the word itself.
SYNONYM_WEIGHT = 0.4

_TOKEN = re.compile(r"[^\W_]+(?:['’.\-/&+@:#][^\W_]+)*")
_PART = re.compile(r"[^\W_]+")
_RECENT = frozenset(
    ("latest", "newest", "recent", "recently", "now", "currently", "current", "lately", "today", "nowadays")
)
# Words that begin a question and are no names, whatever their first letter.
OPENINGS = frozenset(
    word
    for line in (
        "a an and any are can could did do does for from give has have how i if in is it list may must my of on our",
        "please show should tell that the their there these they this to us was we were what when where which who",
        "whom whose why will with would",
    )
    for word in line.split()
)


@dataclass(frozen=True)
class Word:
    """A word that is looked for. `place` counts the words of the question; those of one place are alternatives.

    `is_exact`: as it is written, without its stem: a name or a code.
    """

    text: str
    place: int
    weight: float = 1.0
    is_exact: bool = False


@dataclass(frozen=True)
class Reading:
    """What was understood of a question; `shown` are its words by their place."""

    words: tuple[Word, ...]
    shown: dict[int, str]
    wants_recent: bool


def clean(text: str) -> str:
    """The text without what is no character, in composed form and single spaces."""
    kept = (
        " " if unicodedata.category(each) in {"Cc", "Cf", "Cs", "Cn", "Co", "Zl", "Zp"} else each
        for each in unicodedata.normalize("NFC", text)
    )
    return " ".join("".join(kept).split())


def read(question: str) -> Reading:
    """The words of a cleaned question, each once, with their other names and, of names and codes, as they stand.

    Stop words are left to the database, which knows them by language.
    """
    tokens = _TOKEN.findall(question)
    shouts = sum(token.isupper() for token in tokens) > len(tokens) / 2
    words: list[Word] = []
    shown: dict[int, str] = {}
    places: dict[str, int] = {}
    for order, token in enumerate(tokens):
        if len(shown) >= MAX_WORDS:
            break
        parts = _PART.findall(token)
        for part in parts:
            if fold(part) not in places:
                place = places[fold(part)] = len(places) + 1
                shown[place] = part
                words.append(Word(part, place))
                words += [Word(other, place, SYNONYM_WEIGHT) for other in synonyms(fold(part))]
        if _may_be_name(token, is_first=order == 0, shouts=shouts):
            whole = fold(token)
            if whole in places:
                words.append(Word(token, places[whole], is_exact=True))
            elif any(char.isdigit() for char in token):
                # A code of several parts is more than its parts.
                place = places[whole] = len(places) + 1
                shown[place] = token
                words.append(Word(token, place, is_exact=True))
    return Reading(tuple(words), shown, any(word in _RECENT for word in places))


def beyond(words: Sequence[Word], names: Iterable[str]) -> tuple[Word, ...]:
    """The words without those that name somebody, unless they are all that was asked.

    Who is named counts as such. A name is rare and stands in every sentence of a template about its bearer: if it
    counted as a word as well, such sentences would be all that is found.
    """
    naming = {fold(part) for name in names for part in _PART.findall(name)}
    left = tuple(word for word in words if fold(word.text) not in naming)
    return left if any(fold(word.text) not in OPENINGS for word in left) else tuple(words)


@cache
def synonyms(word: str) -> tuple[str, ...]:
    """What else a folded word is called in sales; nothing for most."""
    return tuple(sorted({other for group in _groups() if word in group for other in group} - {word}))


@cache
def _groups() -> tuple[frozenset[str], ...]:
    lines = (Path(__file__).parent / "synonyms.txt").read_text(encoding="utf-8").splitlines()
    return tuple(frozenset(line.split()) for line in lines if line.strip())


def _may_be_name(token: str, *, is_first: bool, shouts: bool) -> bool:
    if any(char.isdigit() for char in token):
        return True
    return token[0].isupper() and not shouts and not (is_first and token.casefold() in OPENINGS)
