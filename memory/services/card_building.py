"""Building the cards that are marked: one transaction a card, by whichever worker comes first."""

from __future__ import annotations

from datetime import datetime, timedelta

from django.db import transaction

from flowledger.tenancy.models import Organization
from flowledger.tenancy.scope import org_scope
from memory.services.card_making import renew_cards
from memory.sql import card_marks as marks

# What cannot be built now lets the others go first.
PUT_OFF = timedelta(minutes=1)


def due_marks(*, at: datetime, each: int) -> dict[int, list[int]]:
    """The marks that are due by organisation, the `each` oldest of every one. Call it in a system scope."""
    found: dict[int, list[int]] = {}
    for org_id, mark_id in marks.due(at=at, each=each):
        found.setdefault(org_id, []).append(mark_id)
    return found


def build_marked(*, org: Organization, mark_id: int, at: datetime) -> bool:
    """Build the cards of a marked entity and take the mark; answers whether it did.

    Leaves it to another worker that is at it. A mark that was renewed meanwhile stays, for what came too late; so does
    one whose cards could not be stored because of a redaction.
    """
    with org_scope(org), transaction.atomic():
        marked = marks.claim(org.pk, mark_id, at=at)
        if marked is None:
            return False
        _, is_stored = renew_cards(org, marked.entity_type, marked.entity_id, at=at)
        if is_stored:
            marks.take(org.pk, mark_id, version=marked.version)
        return is_stored


def put_off(*, org: Organization, mark_id: int, at: datetime) -> None:
    """Let a mark wait whose cards could not be built."""
    with org_scope(org), transaction.atomic():
        marks.put_off(org.pk, mark_id, until=at + PUT_OFF, at=at)
