"""Use cases of memory; one function each."""

from memory.services.archiving import archive_due_atoms, renew_expiries
from memory.services.atoms import Remembered, archive_atom, correct_atom, pin_atom, restore_atom, unpin_atom, write_atom
from memory.services.capture import capture_events
from memory.services.cards import Card, Since, card_of
from memory.services.conflicts import resolve_atom_conflict
from memory.services.erasure import erase_person
from memory.services.export import export_person
from memory.services.extraction_jobs import begin_extraction, put_off_extraction, store_extraction
from memory.services.holds import place_hold, release_hold
from memory.services.patterns import outcome_patterns
from memory.services.redaction import redact
from memory.services.search import search
from memory.services.similar import recall_similar_deals
from memory.services.terms import refresh_terms

__all__ = [
    "Card",
    "Remembered",
    "Since",
    "archive_atom",
    "archive_due_atoms",
    "begin_extraction",
    "capture_events",
    "card_of",
    "correct_atom",
    "erase_person",
    "export_person",
    "outcome_patterns",
    "pin_atom",
    "place_hold",
    "put_off_extraction",
    "recall_similar_deals",
    "redact",
    "refresh_terms",
    "release_hold",
    "renew_expiries",
    "resolve_atom_conflict",
    "restore_atom",
    "search",
    "store_extraction",
    "unpin_atom",
    "write_atom",
]
