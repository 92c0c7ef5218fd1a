"""The rows of memory."""

from memory.models.atoms import Atom, AtomConflict, AtomLink, AtomSource, AtomVersion, Audience, Kind
from memory.models.cards import CardLook, CardMark, MemoryCard
from memory.models.entities import ENTITY_MODELS, EntityRow
from memory.models.governance import LegalHold, Redaction
from memory.models.index import AtomVector, ExtractionJob, MemoryLedger, TermStat

__all__ = [
    "ENTITY_MODELS",
    "Atom",
    "AtomConflict",
    "AtomLink",
    "AtomSource",
    "AtomVector",
    "AtomVersion",
    "Audience",
    "CardLook",
    "CardMark",
    "EntityRow",
    "ExtractionJob",
    "Kind",
    "LegalHold",
    "MemoryCard",
    "MemoryLedger",
    "Redaction",
    "TermStat",
]
