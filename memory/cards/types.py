"""What a card is made of, and what is made of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any


@dataclass(frozen=True)
class Origin:
    """The source that an atom was first read from; `source_type` is blank for none."""

    source_type: str = ""
    source_id: int | None = None
    event_name: str = ""
    url: str = ""
    occurred_at: datetime | None = None


@dataclass(frozen=True)
class CardAtom:
    """An atom as a card sees it: what it says, what it is worth there, and where it comes from.

    `entity_type` and `entity_id` are what it was said of; `role` is what ties it to the card's entity. `score` is its
    relevance when the card is made. `conflict_id` is an open conflict that it is part of.
    """

    atom_id: int
    kind: str
    content: str
    occurred_at: datetime
    score: float
    entity_type: str
    entity_id: int
    role: str = "subject"
    tags: tuple[str, ...] = ()
    seen_count: int = 1
    is_pinned: bool = False
    conflict_id: int | None = None
    origin: Origin = Origin()

    @property
    def source(self) -> tuple[str, int]:
        """What counts as one source for variety: the row that was read, else the atom itself."""
        if self.origin.source_type and self.origin.source_id is not None:
            return self.origin.source_type, self.origin.source_id
        return "atom", self.atom_id


@dataclass(frozen=True)
class Composed:
    """A card's content as JSON values."""

    summary: Mapping[str, Sequence[Mapping[str, Any]]]
    top_atoms: Sequence[Mapping[str, Any]]
