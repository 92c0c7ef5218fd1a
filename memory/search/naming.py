"""Which of the clients and contacts that share words with a question it names. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise

from flowledger.clients import company_names, person_names
from flowledger.clients.folding import fold
from memory.search.questions import OPENINGS, synonyms
from memory.search.types import Named

# A part of a name that so many carry names none of them.
MOST_OF_A_PART = 3
LEAST_OF_A_PART = 3
_TOKEN = re.compile(r"[^\W_]+")


@dataclass(frozen=True)
class Row:
    """A client or contact that shares a word with the question; `entity_id` is the survivor of a merge."""

    entity_type: str
    entity_id: int
    name: str


@dataclass(frozen=True)
class Token:
    """A word of a question."""

    text: str
    folded: str
    is_capital: bool


def tokens_of(question: str) -> list[Token]:
    """The words of a question in their order."""
    return [Token(text, fold(text), text[0].isupper()) for text in _TOKEN.findall(question)]


def phrases_of(tokens: Sequence[Token]) -> list[str]:
    """What is looked up: words that may be names, and neighbours of which one may."""
    single = [token.text for token in tokens if _may_name(token)]
    pairs = [f"{one.text} {other.text}" for one, other in pairwise(tokens) if _may_name(one) or _may_name(other)]
    return list(dict.fromkeys([*single, *pairs]))


def named_among(rows: Iterable[Row], tokens: Sequence[Token]) -> list[Named]:
    """Those that are named in full, or by a part that few carry and that is written like a name."""
    found = list(dict.fromkeys(rows))
    asked = {token.folded: token for token in tokens}
    # A question in small letters may name people, too.
    has_capitals = any(token.is_capital for token in tokens[1:])
    whole: list[Named] = []
    partly: dict[str, list[Named]] = {}
    for row in found:
        words = _words_of(row)
        shared = [word for word in words if word in asked]
        if not shared:
            continue
        named = Named(row.entity_type, row.entity_id, " ".join(asked[word].text for word in shared), row.name)
        in_full = len(shared) == len(words) and (len(words) > 1 or _is_name_like(asked[words[0]], has_capitals))
        if in_full or (row.entity_type == "contact" and len(shared) > 1):
            whole.append(named)
        else:
            part = next((word for word in shared if _tells(row, word, words)), None)
            if part is not None and _is_name_like(asked[part], has_capitals):
                partly.setdefault(part, []).append(named)
    taken = {word for each in whole for word in fold(each.words).split()}
    few = [
        each
        for part, carriers in partly.items()
        if part not in taken and len({(c.entity_type, c.entity_id) for c in carriers}) <= MOST_OF_A_PART
        for each in carriers
    ]
    unique = {(each.entity_type, each.entity_id): each for each in [*few, *whole]}
    return sorted(unique.values(), key=lambda each: (each.entity_type, each.entity_id))


def unnamed_capitals(tokens: Sequence[Token], named: Iterable[Named]) -> list[str]:
    """Runs of words written like names that named nobody: perhaps they are misspelt."""
    taken = {word for each in named for word in fold(each.words).split()}
    runs: list[list[str]] = [[]]
    for order, token in enumerate(tokens):
        if token.is_capital and token.folded not in taken and (order > 0 or _may_name(token)):
            runs[-1].append(token.text)
        elif runs[-1]:
            runs.append([])
    return [" ".join(run) for run in runs if run and len("".join(run)) >= 5]


def _words_of(row: Row) -> tuple[str, ...]:
    return person_names.words_of(row.name) if row.entity_type == "contact" else company_names.words_of(row.name)


def _tells(row: Row, word: str, words: Sequence[str]) -> bool:
    """Whether a word alone can stand for the name: of a company its first telling one."""
    if len(word) < LEAST_OF_A_PART:
        return False
    return row.entity_type == "contact" or word == next((each for each in words if company_names.is_telling(each)), "")


def _may_name(token: Token) -> bool:
    return len(token.folded) > 1 and (token.folded not in OPENINGS)


def _is_name_like(token: Token, has_capitals: bool) -> bool:
    if has_capitals:
        return token.is_capital
    return len(token.folded) >= LEAST_OF_A_PART and token.folded not in OPENINGS and not synonyms(token.folded)
