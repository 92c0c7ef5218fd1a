"""What an extractor is given and what it answers, whichever extractor it is."""

from __future__ import annotations

import datetime
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum


class Statement(StrEnum):
    """What a sentence states."""

    DECISION = "decision"
    RISK = "risk"
    PREFERENCE = "preference"
    AMOUNT = "amount"
    DATE = "date"
    ROLE = "role"
    NOTE = "note"


# The kind of atom that each statement becomes. Amounts, dates and roles are notes that carry their statement as a tag.
KIND_OF: dict[Statement, str] = {
    Statement.DECISION: "decision",
    Statement.RISK: "risk",
    Statement.PREFERENCE: "preference",
    Statement.AMOUNT: "note",
    Statement.DATE: "note",
    Statement.ROLE: "note",
    Statement.NOTE: "note",
}


@dataclass(frozen=True)
class Passage:
    """A text to read, and where it stands: the type of the source's row and the field of it.

    `direction` is inbound, outbound or internal. `is_inbound_email`: an outsider wrote it, so nothing in it decides
    anything. `written_on` makes dates without a year certain. Spans count characters of `text` as it is given here.
    """

    text: str
    source_type: str = ""
    source_field: str = ""
    direction: str = "internal"
    is_inbound_email: bool = False
    written_on: datetime.date | None = None


@dataclass(frozen=True)
class Money:
    """An amount as it was stated; `currency` is an ISO 4217 code, blank when none was named."""

    value: Decimal
    currency: str = ""


@dataclass(frozen=True)
class Extract:
    """One thing that is said. `text` is `passage.text[start:end]`, a whole sentence.

    A sentence gives at most one extract of a kind. `statements` are all that it states for this kind, the first decides
    the kind: a decision about an amount is one decision, with the amount beside it. `slot` is unique in the passage and
    part of the atom's natural key: a text that is read again gives the same slots. `topic` is what it is about
    (`channel`, `budget`, …) or blank. `is_negated`: it says that something is not so (`do not call`).
    `subject_role` is the part that is named in a statement of a role (`decision maker`, `signatory`, …), else blank.
    `date` is set where the text, or the day it was written on, makes it certain.
    """

    kind: str
    text: str
    start: int
    end: int
    confidence: Decimal
    slot: str
    statements: tuple[Statement, ...] = (Statement.NOTE,)
    topic: str = ""
    is_negated: bool = False
    subject_role: str = ""
    amount: Money | None = None
    date: datetime.date | None = None

    @property
    def tags(self) -> tuple[str, ...]:
        """What the atom is tagged with: statements that the kind does not say already, and the topic."""
        stated = [each.value for each in self.statements if each.value != self.kind]
        return tuple(dict.fromkeys([*stated, *([self.topic] if self.topic else [])]))


class Certainty(StrEnum):
    """How sure it is that two statements cannot both hold."""

    SURE = "sure"
    UNSURE = "unsure"
    NONE = "none"


@dataclass(frozen=True)
class Contradiction:
    """Whether a newer statement contradicts an older one, and on what (`channel`, `budget`, …)."""

    certainty: Certainty
    slot: str = ""
