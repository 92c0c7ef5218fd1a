"""The pieces of a text that answer a question, and where in them its words stand. Pure."""

from __future__ import annotations

import re
from collections.abc import Callable

from flowledger.clients.folding import fold
from memory.search.types import Passage

WORD = re.compile(r"[^\W_]+")
# How long a piece is at most, how much of the text stands before its first word, and how many pieces are shown.
PASSAGE_CHARACTERS = 280
LEAD_CHARACTERS = 60
MOST_PASSAGES = 2
MOST_HIGHLIGHTS = 40


def passages_of(text: str, is_asked: Callable[[str], bool]) -> tuple[Passage, ...]:
    """The best pieces in the order of the text; its beginning when no word of it was asked for."""
    spans = [match.span() for match in WORD.finditer(text) if is_asked(fold(match.group()))]
    if len(text) <= PASSAGE_CHARACTERS:
        return (_piece(text, 0, len(text), spans),)
    if not spans:
        return (_piece(text, 0, _word_end(text, PASSAGE_CHARACTERS), []),)
    chosen: list[tuple[int, int]] = []
    left = spans
    while left and len(chosen) < MOST_PASSAGES:
        best = max(left, key=lambda span: (_worth(text, span[0], left), -span[0]))
        start = _word_start(text, max(0, best[0] - LEAD_CHARACTERS))
        end = _word_end(text, min(len(text), start + PASSAGE_CHARACTERS))
        if all(end <= other_start or start >= other_end for other_start, other_end in chosen):
            chosen.append((start, end))
        left = [span for span in left if span[1] <= start or span[0] >= end]
        left = [span for span in left if span != best]
    return tuple(_piece(text, start, end, spans) for start, end in sorted(chosen))


def _worth(text: str, begin: int, spans: list[tuple[int, int]]) -> int:
    """How many different words a piece would show that begins with this one."""
    end = begin + PASSAGE_CHARACTERS - LEAD_CHARACTERS
    return len({fold(text[a:b]) for a, b in spans if begin <= a and b <= end})


def _piece(text: str, start: int, end: int, spans: list[tuple[int, int]]) -> Passage:
    inside = [(a - start, b - start) for a, b in spans if start <= a and b <= end]
    return Passage(
        text=text[start:end],
        highlights=tuple(inside[:MOST_HIGHLIGHTS]),
        is_cut_before=start > 0,
        is_cut_after=end < len(text),
    )


def _word_start(text: str, place: int) -> int:
    """The place, or the beginning of the next word when it lies inside one."""
    if place == 0 or not text[place - 1].isalnum():
        return place
    found = re.compile(r"\W").search(text, place)
    return found.end() if found and found.end() - place < LEAD_CHARACTERS else place


def _word_end(text: str, place: int) -> int:
    """The place, or the end of the word before when it lies inside one."""
    if place >= len(text) or not text[place].isalnum():
        return min(place, len(text))
    cut = text.rfind(" ", place - LEAD_CHARACTERS, place)
    return cut if cut > 0 else place
