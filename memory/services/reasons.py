"""Why somebody changes, holds or removes what is remembered."""

from __future__ import annotations

from flowledger.errors import InvalidInput

MOST_REASON = 500


def fault_of(said: str, *, missing: str) -> str:
    """What is wrong with a reason, as a sentence; `missing` for an empty one, blank for nothing."""
    if not said:
        return missing
    return f"Say it in at most {MOST_REASON} characters." if len(said) > MOST_REASON else ""


def checked_reason(reason: str, *, missing: str) -> str:
    """The reason as it is kept. Raises InvalidInput without one, or for one that is too long."""
    said = reason.strip()
    if sentence := fault_of(said, missing=missing):
        raise InvalidInput(sentence, fields={"reason": [sentence]})
    return said
