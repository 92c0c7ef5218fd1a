"""What is to be remembered, before anybody has looked whether it is new."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal

from flowledger.tenancy.actors import Actor


@dataclass(frozen=True)
class Draft:
    """Something that is to be remembered.

    Its natural key is event name, source, kind and slot: the same again writes nothing, a changed text under it changes
    the atom. `event_name` is empty for what was not captured from an event. `slot` tells several atoms of one source
    and kind apart, such as the place of a sentence, or the event where one source tells of many. `span` counts the
    characters of `source_field` that the content is. `actor` is who said or did it; without one, who writes. `mentions`
    are entities that are named in it, and exist; contacts of its client are found by themselves. `is_outsiders`: it
    came from outside, and takes no other atom's place by itself.
    """

    kind: str
    content: str
    entity_type: str
    entity_id: int
    occurred_at: datetime
    source_type: str
    source_id: int | None = None
    source_field: str = ""
    event_id: int | None = None
    event_name: str = ""
    slot: str = ""
    extractor: str = "hand"
    span: tuple[int, int] | None = None
    confidence: Decimal = Decimal(1)
    language: str = "en"
    tags: tuple[str, ...] = ()
    audience: str = "everyone"
    author_id: int | None = None
    valid_from: datetime | None = None
    valid_until: datetime | None = None
    # The conversation; without one, that of the entity.
    thread_key: str = ""
    url: str = ""
    origin_id: str = ""
    system: str = "flowledger"
    actor: Actor | None = None
    mentions: tuple[tuple[str, int], ...] = ()
    is_outsiders: bool = False

    @property
    def entity(self) -> tuple[str, int]:
        """What it is about."""
        return self.entity_type, self.entity_id

    @property
    def is_text(self) -> bool:
        """Whether somebody wrote it: the sentence of a template says the same only in the same words."""
        return bool(self.source_field) or self.event_id is None


@dataclass(frozen=True)
class Written:
    """The ids of the atoms: new ones, those said again, those that had it already, and those with a new text."""

    created: list[int] = field(default_factory=list)
    confirmed: list[int] = field(default_factory=list)
    unchanged: list[int] = field(default_factory=list)
    changed: list[int] = field(default_factory=list)
