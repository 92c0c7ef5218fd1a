"""What is asked of search, and what it answers. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

# What one search ranks: of more nobody reads, and a cursor carries the rest of it.
MOST_RESULTS = 100
DEFAULT_LIMIT = 10
MAX_LIMIT = 50

Entity = tuple[str, int]


@dataclass(frozen=True)
class Filters:
    """What narrows a search down; several values of one filter are alternatives.

    `entities`: (entity type, id) pairs whose links lead to an atom. `since` (inclusive) and `until` (exclusive) compare
    `occurred_at`. `include_archived` adds what was archived and what a newer atom superseded.
    """

    entities: tuple[Entity, ...] = ()
    kinds: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    author_id: int | None = None
    since: datetime | None = None
    until: datetime | None = None
    include_archived: bool = False


@dataclass(frozen=True)
class Parts:
    """What the score of a hit is made of; they add up to it, but for rounding.

    `words`: idf of the words that it shares with the question. `meaning`: likeness of the embeddings. `entity`: it is
    linked to somebody or something that the question names. `thread`: what its neighbours in the conversation add.
    `recency` and `kind`: small terms for new atoms and for kinds that are worth more.
    """

    words: float
    meaning: float
    entity: float
    thread: float
    recency: float
    kind: float

    @property
    def score(self) -> float:
        return self.words + self.meaning + self.entity + self.thread + self.recency + self.kind


@dataclass(frozen=True)
class Passage:
    """A piece of an atom's text as it stands there, and which characters of the piece answer the question's words."""

    text: str
    highlights: tuple[tuple[int, int], ...]
    # The text goes on before or after it.
    is_cut_before: bool = False
    is_cut_after: bool = False


@dataclass(frozen=True)
class Named:
    """An entity that the question names: the words that name it, and its own name."""

    entity_type: str
    entity_id: int
    words: str
    name: str


@dataclass(frozen=True)
class Hit:
    """One atom that answers, best first; `matched` are the words of the question that it shares.

    `atom` is a memory.models.Atom with its sources read.
    """

    atom: Any
    score: float
    parts: Parts
    matched: tuple[str, ...]
    passages: tuple[Passage, ...]


@dataclass(frozen=True)
class Results:
    """A page of hits.

    `mode` is `hybrid` when embeddings took part and `lexical` when words alone did. `total` counts what was ranked, at
    most MOST_RESULTS; `page` counts from 1.
    """

    hits: list[Hit]
    mode: str
    next_cursor: str | None
    total: int
    page: int
    limit: int
    named: list[Named] = field(default_factory=list)
