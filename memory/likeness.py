"""Whether two texts say the same: near-equal in letters, and alike in numbers, negations and the order of words."""

from __future__ import annotations

import re
from typing import NamedTuple

# Shared trigrams of all trigrams, from which on two texts are one.
LEAST_LIKENESS = 0.9
_NUMBER = re.compile(r"\S*\d\S*")
_NEGATIONS = frozenset(
    {"not", "no", "never", "none", "nothing", "nobody", "without", "neither", "nor", "cannot", "t", "nicht", "kein"}
    | {"keine", "nie", "ohne", "dont", "doesnt", "wont", "cant", "isnt"}
)


class Text(NamedTuple):
    """A normalised text, taken apart once for many comparisons."""

    plain: str
    words: tuple[str, ...]
    numbers: tuple[str, ...]
    negations: int


def _grams(plain: str) -> frozenset[str]:
    padded = f"  {plain} "
    return frozenset(padded[place : place + 3] for place in range(len(padded) - 2))


def text_of(plain: str) -> Text:
    """A text that was normalised already (`memory.services.ledger.normalise`)."""
    words = tuple(plain.split())
    return Text(plain, words, tuple(_NUMBER.findall(plain)), sum(word in _NEGATIONS for word in words))


def is_near(one: Text, other: Text) -> bool:
    """Whether one text may stand for the other.

    Other numbers, one negation more, or the same words in another order are another statement however alike the
    letters are: "50 k" is not "60 k", and "moved from pink to red" is not "moved from red to pink".
    """
    if one.plain == other.plain:
        return True
    if one.numbers != other.numbers or one.negations != other.negations:
        return False
    shorter, longer = sorted((len(one.plain), len(other.plain)))
    if shorter < LEAST_LIKENESS * longer or sorted(one.words) == sorted(other.words):
        return False
    mine, theirs = _grams(one.plain), _grams(other.plain)
    shared = len(mine & theirs)
    return shared >= LEAST_LIKENESS * (len(mine) + len(theirs) - shared)
