"""What a phrase is: a way of stating something, as data that the rules match against a sentence.

Sentences come in lower case with plain quotes. A phrase's confidence is how often it means what it seems to.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from memory.extraction.types import Statement


@dataclass(frozen=True)
class Phrase:
    """A way of stating something. `stands_negated`: what it says with `not` before it is said as well."""

    statement: Statement
    topic: str
    pattern: re.Pattern[str]
    confidence: str = "0.90"
    stands_negated: bool = False
    subject_role: str = ""


def phrases(
    statement: Statement, topic: str, *patterns: str, confidence: str = "0.90", stands_negated: bool = False
) -> list[Phrase]:
    """Phrases of one statement and topic."""
    return [Phrase(statement, topic, re.compile(each), confidence, stands_negated) for each in patterns]


def role_phrases(subject_role: str, *patterns: str) -> list[Phrase]:
    """Phrases that say who has a part, or that somebody has not."""
    return [
        Phrase(Statement.ROLE, "role", re.compile(each), "0.85", stands_negated=True, subject_role=subject_role)
        for each in patterns
    ]
