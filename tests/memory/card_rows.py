"""Atoms with cards, and cards as somebody sees them."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from flowledger.tenancy.actors import Actor
from flowledger.tenancy.models import Organization
from flowledger.tenancy.scope import org_scope, system_scope
from memory import services
from memory.models import Atom, CardMark, MemoryCard
from memory.services.card_building import build_marked, due_marks
from memory.services.cards import Card, mark_cards
from tests.memory.factories import AtomFactory, entity_name
from tests.workstream.factories import AT


def remember(org: Any, content: str, *, at: datetime = AT, **fields: Any) -> Atom:
    """An atom that was written at a moment, as the writing transaction leaves it: with its card marked."""
    with system_scope("tests"):
        atom: Atom = AtomFactory(org=org, content=content, **{"occurred_at": at, **fields})
        Atom.all_orgs.filter(pk=atom.pk).update(created_at=at)
        linked = [(link.entity_type, link.entity_id) for link in atom.links.order_by("pk")]
    with org_scope(org):
        mark_cards(org, linked, at)
    return atom


def card(row: Any, actor: Actor, *, at: datetime = AT, **more: Any) -> Card:
    """The card of an entity as an actor gets it."""
    return services.card_of(org=row.org, entity_type=entity_name(row), entity_id=row.pk, actor=actor, at=at, **more)


def texts(lines: Any) -> list[str]:
    return [line["text"] for line in lines]


def build_due(*, at: datetime, each: int = 100) -> int:
    """What one look of a worker does; how many cards were built."""
    with system_scope("tests"):
        found = due_marks(at=at, each=each)
        orgs = Organization.objects.in_bulk(found)
    return sum(build_marked(org=orgs[org_id], mark_id=pk, at=at) for org_id, ids in found.items() for pk in ids)


def marks_of(row: Any) -> list[CardMark]:
    with system_scope("tests"):
        return list(CardMark.all_orgs.filter(**{entity_name(row): row}).order_by("pk"))


def stored_cards(row: Any) -> list[MemoryCard]:
    with system_scope("tests"):
        return list(MemoryCard.all_orgs.filter(**{entity_name(row): row}).order_by("audience"))
