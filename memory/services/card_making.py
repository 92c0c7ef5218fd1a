"""Making the cards of an entity from its atoms, and storing them unless something was redacted meanwhile."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from typing import Any

from django.apps import apps

from flowledger.outbox.recording import record_event
from flowledger.tenancy.actors import Actor
from flowledger.tenancy.models import Organization
from memory import events
from memory.cards.composing import TEMPLATE_VERSION, compose
from memory.cards.types import CardAtom, Origin
from memory.models import ENTITY_MODELS, Audience
from memory.rules import KINDS
from memory.services.card_lessons import lessons_to_show
from memory.services.ledger import ledger_of
from memory.sql import cards as sql

# Cards are made for these; what only its author may read is on none.
AUDIENCES = (Audience.EVERYONE, Audience.MANAGERS)
# The newest atoms of each kind that a card is chosen from, and how many atoms are counted.
EACH_KIND = 100
COUNTED = 1_000
CLERK = Actor.system("memory cards")


@dataclass(frozen=True)
class Made:
    """A card's content for one audience, as JSON values. `lessons` names deals and atoms, and holds no text."""

    audience: str
    summary: Any
    top_atoms: Any
    lessons: Sequence[Any]
    atom_count: int
    etag: str


def seen_by(audience: str) -> list[str]:
    """The audiences of the atoms that stand on the cards of one: a manager reads what everyone reads, too."""
    return [each.value for each in AUDIENCES[: AUDIENCES.index(Audience(audience)) + 1]]


def renew_cards(org: Organization, entity_type: str, entity_id: int, *, at: datetime) -> tuple[dict[str, Made], bool]:
    """The cards of an entity by audience, made now, and whether they are stored.

    Part of the use cases that build. They are not stored when something was redacted while they were made, or is being
    redacted: then what was read may be what nobody may read any more.
    """
    epoch = ledger_of(org).epoch
    made = _make(org, entity_type, entity_id, epoch=epoch, at=at)
    if not sql.hold_epoch(org.pk, epoch):
        return made, False
    changed, before = sql.store(
        org.pk,
        entity_type,
        entity_id,
        [
            sql.ToStore(
                audience=card.audience,
                summary=json.dumps(card.summary),
                top_atoms=json.dumps(card.top_atoms),
                lessons=json.dumps(card.lessons),
                atom_count=card.atom_count,
                etag=card.etag,
            )
            for card in made.values()
        ],
        template=TEMPLATE_VERSION,
        epoch=epoch,
        at=at,
        table=tables()[entity_type],
    )
    atoms = made[Audience.MANAGERS].atom_count
    if changed and (before or atoms):
        rebuilt = events.SummaryRebuilt(item_type=entity_type, item_id=entity_id, atoms=atoms)
        record_event(org=org, event=rebuilt, actor=CLERK, at=at)
    return made, True


@cache
def tables() -> dict[str, str]:
    """The table of each kind of entity."""
    return {name: apps.get_model(label)._meta.db_table for name, label in ENTITY_MODELS.items()}


def _make(org: Organization, entity_type: str, entity_id: int, *, epoch: int, at: datetime) -> dict[str, Made]:
    """The cards of all audiences, from one reading of the atoms."""
    known = sql.known_atoms(
        org.pk,
        entity_type,
        entity_id,
        audiences=seen_by(Audience.MANAGERS),
        each=EACH_KIND,
        kinds=KINDS.of(org),
        at=at,
    )
    made = {}
    for audience in AUDIENCES:
        audiences = seen_by(audience)
        is_for_all = audience == Audience.EVERYONE
        content = compose(_card_atom(row, is_for_all=is_for_all) for row in known if row.audience in audiences)
        lessons = lessons_to_show(org, entity_type, entity_id, audience=audience, at=at)
        count = sql.count_atoms(org.pk, entity_type, entity_id, audiences=audiences, most=COUNTED, at=at)
        about = [org.pk, entity_type, entity_id, audience.value, epoch, TEMPLATE_VERSION]
        said = [content.summary, content.top_atoms, lessons, count]
        made[audience.value] = Made(
            audience=audience.value,
            summary=content.summary,
            top_atoms=content.top_atoms,
            lessons=lessons,
            atom_count=count,
            etag=hashlib.sha256(json.dumps([about, said], sort_keys=True).encode()).hexdigest(),
        )
    return made


def _card_atom(row: sql.KnownAtom, *, is_for_all: bool) -> CardAtom:
    """An atom for composing; `is_for_all` hides a conflict with what not everyone may read."""
    return CardAtom(
        atom_id=row.atom_id,
        kind=row.kind,
        content=row.content,
        occurred_at=row.occurred_at,
        score=row.relevance,
        entity_type=row.entity_type,
        entity_id=row.entity_id,
        role=row.role,
        tags=tuple(row.tags),
        seen_count=row.seen_count,
        is_pinned=row.is_pinned,
        conflict_id=row.conflict_id if row.conflict_is_for_all or not is_for_all else None,
        origin=Origin(
            source_type=row.source_type or "",
            source_id=row.source_id,
            event_name=row.event_name or "",
            url=row.url or "",
            occurred_at=row.source_at,
        ),
    )
