"""Texts as people mistype, machines misread and listeners mishear them."""

from __future__ import annotations

from tests.bench.identity import stock
from tests.bench.identity.entities import Draws


def misspell(text: str, draws: Draws) -> str:
    """One edit, rarely two: insertion, deletion, substitution, transposition of neighbours.

    Four errors in five are single ones (Damerau, "A technique for computer detection and correction of spelling
    errors", CACM 7, 1964), first letters are mostly right (Kukich, "Techniques for automatically correcting words in
    text", ACM Computing Surveys 24, 1992; GeCo draws the place from a normal distribution), and seven wrong letters in
    ten are the key beside (FEBRL's `qwerty` table).
    """
    for _ in range(1 if draws.yes(0.8) else 2):
        text = _edit(text, draws)
    return text


def _edit(text: str, draws: Draws) -> str:
    if len(text) < 3:
        return text
    chance = draws.random
    place = min(
        max(round(chance.gauss(len(text) * 0.55, len(text) * 0.25)), 0 if draws.yes(0.05) else 1), len(text) - 1
    )
    letter = text[place]
    kind = chance.random()
    if kind < 0.20:
        return text[:place] + _wrong(letter, text, draws) + text[place:]
    if kind < 0.45:
        return text[:place] + text[place + 1 :]
    if kind < 0.80 or place == len(text) - 1:
        return text[:place] + _wrong(letter, text, draws) + text[place + 1 :]
    return text[:place] + text[place + 1] + letter + text[place + 2 :]


def _wrong(letter: str, text: str, draws: Draws) -> str:
    chance = draws.random
    near = stock.NEIGHBOURS.get(letter.lower())
    if near and draws.yes(0.7):
        wrong = chance.choice(near)
    elif letter.isascii():
        wrong = chance.choice("abcdefghijklmnopqrstuvwxyz")
    else:
        wrong = chance.choice([c for c in text.lower() if c.isalpha()] or ["a"])
    return wrong.upper() if letter.isupper() else wrong


def misread(text: str, draws: Draws) -> str:
    """One or two characters as a reader of scanned cards takes them (GeCo's OCR variations)."""
    return _replace(text, stock.OCR, draws, times=1 if draws.yes(0.7) else 2, fold=False)


def mishear(text: str, draws: Draws) -> str:
    """Spelled by ear (GeCo's phonetic variations, one rule, sometimes two)."""
    return _replace(text, stock.PHONETIC, draws, times=1 if draws.yes(0.75) else 2, fold=True)


def _replace(text: str, rules: tuple[tuple[str, str], ...], draws: Draws, *, times: int, fold: bool) -> str:
    for _ in range(times):
        # A letter for a letter: the lower case of some, like İ, is two.
        searched = "".join(c.lower()[0] for c in text) if fold else text
        usable = [(old, new) for old, new in rules if old in searched]
        if not usable:
            return text
        old, new = draws.random.choice(usable)
        place = searched.find(old)
        capital = text[place].isupper()
        text = text[:place] + (new.capitalize() if capital else new) + text[place + len(old) :]
    return text
