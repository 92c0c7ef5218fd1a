"""Text in, typed statements with their spans out. Pure: no database, no network, no clock."""

from __future__ import annotations

from memory.extraction.contradictions import Claim, claims_of, compare, contradicts
from memory.extraction.extracting import EXTRACTOR, extract
from memory.extraction.languages import detect_language
from memory.extraction.types import Certainty, Contradiction, Extract, Passage, Statement

__all__ = [
    "EXTRACTOR",
    "Certainty",
    "Claim",
    "Contradiction",
    "Extract",
    "Passage",
    "Statement",
    "claims_of",
    "compare",
    "contradicts",
    "detect_language",
    "extract",
]
