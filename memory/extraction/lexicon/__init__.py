"""How decisions, risks, preferences and roles are put in English.

Sentences come in lower case with plain quotes. A phrase's confidence is how often it means what it seems to.
"""

from __future__ import annotations

from memory.extraction.lexicon.decisions import DECISIONS
from memory.extraction.lexicon.phrases import Phrase
from memory.extraction.lexicon.preferences import PREFERENCES
from memory.extraction.lexicon.risks import RISKS
from memory.extraction.lexicon.roles import ROLES

PHRASES: tuple[Phrase, ...] = (*DECISIONS, *RISKS, *PREFERENCES, *ROLES)

__all__ = ["PHRASES", "Phrase"]
