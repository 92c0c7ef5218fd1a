"""How well the deterministic extractor reads the labelled sentences: precision and recall of each statement."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from memory.extraction import Passage, Statement, extract

LABELLED = Path(__file__).parents[2] / "memory" / "labelled"
STATED = tuple(statement for statement in Statement if statement is not Statement.NOTE)


@dataclass(frozen=True)
class Labelled:
    """A sentence, what a person says that it states, and whether it is from an inbound message."""

    text: str
    states: frozenset[Statement]
    is_inbound_email: bool = False


@dataclass(frozen=True)
class Quality:
    """Counts of one statement over many sentences. Without anything found precision is 0, without anything there 1."""

    found: int
    right: int
    there: int

    @property
    def precision(self) -> float:
        return self.right / self.found if self.found else float(not self.there)

    @property
    def recall(self) -> float:
        return self.right / self.there if self.there else 1.0

    @property
    def f1(self) -> float:
        both = self.precision + self.recall
        return 2 * self.precision * self.recall / both if both else 0.0


def labelled(part: str) -> list[Labelled]:
    """The sentences of `development`, which the rules were made with, or of `held_out`, which they were not."""
    lines = (LABELLED / f"{part}.jsonl").read_text(encoding="utf-8").splitlines()
    rows = [json.loads(line) for line in lines]
    return [
        Labelled(row["text"], frozenset(Statement(each) for each in row["states"]), row.get("inbound_email", False))
        for row in rows
    ]


def stated_in(sentence: Labelled) -> frozenset[Statement]:
    """What the extractor says that a sentence states."""
    passage = Passage(
        sentence.text,
        direction="inbound" if sentence.is_inbound_email else "internal",
        is_inbound_email=sentence.is_inbound_email,
    )
    return frozenset(each for found in extract(passage, "en") for each in found.statements) & frozenset(STATED)


def quality(sentences: Sequence[Labelled]) -> dict[str, Quality]:
    """Precision and recall of each statement, and of all together under `all`."""
    pairs = [(stated_in(sentence), sentence.states) for sentence in sentences]
    by_statement = {statement.value: _counted(pairs, [statement]) for statement in STATED}
    return {**by_statement, "all": _counted(pairs, STATED)}


def _counted(
    pairs: Iterable[tuple[frozenset[Statement], frozenset[Statement]]], statements: Iterable[Statement]
) -> Quality:
    chosen = frozenset(statements)
    counts = [(len(found & chosen), len(found & there & chosen), len(there & chosen)) for found, there in pairs]
    return Quality(*(sum(column) for column in zip(*counts, strict=True)))
