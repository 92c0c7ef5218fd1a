"""Memory cards: marked when something changes, built anew soon after, read at a glance, dropped by a redaction."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from flowledger.errors import InvalidInput, NotFound
from flowledger.tenancy.actors import Actor, ActorKind
from flowledger.tenancy.models import Organization
from flowledger.tenancy.permissions import authorize, may
from flowledger.tenancy.usecases import use_case
from memory.cards.composing import LINE_CHARACTERS, TEMPLATE_VERSION, clipped, written
from memory.models import ENTITY_MODELS, Audience
from memory.services.card_lessons import lessons_in_words
from memory.services.card_making import Made, renew_cards, seen_by, tables
from memory.sql import card_marks as marks
from memory.sql import cards as sql

# A card is built this long after its last change, and this long after the first of them at the latest.
WAIT = marks.Quiet(quiet=timedelta(seconds=10), most=timedelta(seconds=60))
# A card that should have been built for so long is built by who asks for it: its worker is away.
LATEST = timedelta(minutes=2)
# Relevance decays while nothing happens: a card that is older is made anew for who asks.
LASTS = timedelta(days=1)
# A pause that makes the next look a new visit, and within one how often it is noted.
VISIT = timedelta(minutes=30)
NOTED_EVERY = timedelta(minutes=1)
# New atoms are looked for among so many that happened last, counted up to so many, and so many are shown.
NEW_AMONG, NEW_COUNTED, NEW_SHOWN = 500, 50, 5


@dataclass(frozen=True)
class Since:
    """What is new since a person last looked; `looked_at` is None when they look for the first time.

    `new_count` is counted to NEW_COUNTED; at the first look everything is new.
    """

    looked_at: datetime | None
    new_count: int
    new_atoms: Sequence[dict[str, Any]]


@dataclass(frozen=True)
class Card:
    """What is known of an entity at a glance, for one reader.

    `is_stale`: something changed since it was built, and it is about to be built anew. `since` is None for who is no
    person. A card that the reader `is_known` to have already says nothing of `lessons` and `since`.
    """

    entity_type: str
    entity_id: int
    summary: Any
    top_atoms: Any
    lessons: Sequence[dict[str, Any]]
    atom_count: int
    since: Since | None
    last_built_at: datetime
    age_seconds: int
    is_stale: bool
    is_known: bool
    etag: str

    @property
    def is_empty(self) -> bool:
        """Nothing is known that its reader may read."""
        return self.atom_count == 0


class _Current(NamedTuple):
    """The card that is served, and whether changes wait."""

    made: Made
    built_at: datetime
    is_stale: bool


def mark_cards(org: Organization | int, entities: Iterable[tuple[str, int]], at: datetime) -> int:
    """Have the cards of these entities, pairs of type and id, built anew; answers how many were marked.

    Call it in the transaction of the change, after all other writes: marks are the last in the order of locks. What is
    no entity of the organisation is passed over.
    """
    return marks.mark(_id_of(org), _by_type(entities), at=at, wait=WAIT, tables=tables())


def drop_cards(org: Organization | int, atom_ids: Sequence[int]) -> int:
    """Delete the cards of every entity that the atoms are linked to; answers how many.

    For redactions, in their transaction and before a link is removed. A card is built from what is left as soon as
    somebody asks for it; those that are left are of an older epoch and never served.
    """
    org_id = _id_of(org)
    return sql.drop(org_id, sql.linked_to(org_id, atom_ids), tables=tables()) if atom_ids else 0


def build_card(org: Organization, entity: tuple[str, int], audience: str, at: datetime) -> Made:
    """The card of an entity for one audience, made now; the cards of all audiences are stored.

    Part of the use cases that build.
    """
    made, _ = renew_cards(org, *entity, at=at)
    return made[audience]


def _never(etag: str) -> bool:
    return False


@use_case
def card_of(
    *,
    org: Organization,
    entity_type: str,
    entity_id: int,
    actor: Actor,
    at: datetime,
    is_known: Callable[[str], bool] = _never,
) -> Card:
    """The memory card of an entity as the actor may read it, and note that they looked.

    A stored card is served while it is of the current epoch; else it is made now. What was merged away answers with its
    survivor's. `is_known` says of an ETag whether the reader has that card already: then nothing is noted. Raises
    InvalidInput for what is no type of entity, NotFound, PermissionRefused.
    """
    authorize(actor, "view")
    _require_type(entity_type)
    audience = Audience.MANAGERS if may(actor, "see_memory_of_managers") else Audience.EVERYONE
    person = actor.user_id if actor.kind == ActorKind.USER else None
    stored = sql.stored_card(
        org.pk, entity_type, entity_id, audience=audience, user_id=person, table=tables()[entity_type]
    )
    if stored is None:
        raise NotFound(f"There is no {entity_type} {entity_id} in this organisation.")
    entity_id = stored.entity_id
    current = _current(org, entity_type, entity_id, stored, audience=audience, at=at)
    before = _last_visit(stored, at=at)
    etag = _etag_of(current.made, before)
    known = is_known(etag)
    if person is not None and not known and _is_worth_noting(stored, at=at):
        table = tables()[entity_type]
        sql.look(org.pk, entity_type, entity_id, user_id=person, visit=VISIT, at=at, table=table)
    since: Since | None = None
    lessons: Sequence[dict[str, Any]] = ()
    if not known:
        lessons = lessons_in_words(org, current.made.lessons, audiences=seen_by(audience))
        if person is not None:
            since = _since(org, entity_type, entity_id, current, before, at=at)
    return Card(
        entity_type=entity_type,
        entity_id=entity_id,
        summary=current.made.summary,
        top_atoms=current.made.top_atoms,
        lessons=lessons,
        atom_count=current.made.atom_count,
        since=since,
        last_built_at=current.built_at,
        age_seconds=max(0, int((at - current.built_at).total_seconds())),
        is_stale=current.is_stale,
        is_known=known,
        etag=etag,
    )


def _current(
    org: Organization, entity_type: str, entity_id: int, stored: sql.StoredCard, *, audience: str, at: datetime
) -> _Current:
    """The stored card if it may be served, else one that is made now."""
    if _is_servable(stored, at=at):
        made = Made(
            audience=audience,
            summary=stored.summary,
            top_atoms=stored.top_atoms,
            lessons=stored.lessons,
            atom_count=stored.atom_count or 0,
            etag=stored.etag or "",
        )
        return _Current(made, stored.last_built_at or at, is_stale=stored.mark_id is not None)
    renewed, is_stored = renew_cards(org, entity_type, entity_id, at=at)
    if is_stored and stored.mark_id is not None and stored.mark_version is not None:
        marks.take(org.pk, stored.mark_id, version=stored.mark_version)
    return _Current(renewed[audience], at, is_stale=False)


def _is_servable(stored: sql.StoredCard, *, at: datetime) -> bool:
    """Whether the stored card is of this epoch and template, and not older than a card may be."""
    if stored.card_id is None or stored.last_built_at is None:
        return False
    if stored.source_epoch != stored.epoch or stored.template_version != TEMPLATE_VERSION:
        return False
    waited = at - stored.first_marked_at if stored.first_marked_at else timedelta(0)
    return waited <= LATEST and at - stored.last_built_at <= LASTS


def _last_visit(stored: sql.StoredCard, *, at: datetime) -> datetime | None:
    """When the person looked before this visit; None when this is their first."""
    if stored.looked_at is not None and at >= stored.looked_at + VISIT:
        return stored.looked_at
    return stored.since


def _is_worth_noting(stored: sql.StoredCard, *, at: datetime) -> bool:
    return stored.looked_at is None or at >= stored.looked_at + NOTED_EVERY


def _since(
    org: Organization,
    entity_type: str,
    entity_id: int,
    current: _Current,
    before: datetime | None,
    *,
    at: datetime,
) -> Since:
    if before is None:
        return Since(None, current.made.atom_count, ())
    if current.built_at <= before and not current.is_stale:
        # Every change marks the card, and a card without a mark is newer than its last change.
        return Since(before, 0, ())
    found = sql.new_atoms(
        org.pk,
        entity_type,
        entity_id,
        audiences=seen_by(current.made.audience),
        since=before,
        among=NEW_AMONG,
        most=NEW_COUNTED,
        at=at,
    )
    lines = [
        {
            "atom_id": atom.atom_id,
            "atom_type": atom.kind,
            "text": clipped(atom.content, LINE_CHARACTERS),
            "occurred_at": written(atom.occurred_at),
            "entity_type": atom.entity_type,
            "entity_id": atom.entity_id,
        }
        for atom in found[:NEW_SHOWN]
    ]
    return Since(before, len(found), lines)


def _etag_of(made: Made, before: datetime | None) -> str:
    """Changes with what the card says, with who may read it, and with the visit that it is compared with."""
    visit = before.isoformat() if before else ""
    return f'"card-{hashlib.sha256(f"{made.etag} {visit}".encode()).hexdigest()[:32]}"'


def _require_type(entity_type: str) -> None:
    if entity_type not in ENTITY_MODELS:
        sentence = f"'{entity_type[:20]}' is not one of: {', '.join(ENTITY_MODELS)}."
        raise InvalidInput(f"entity_type: {sentence}", fields={"entity_type": [sentence]})


def _id_of(org: Organization | int) -> int:
    return org if isinstance(org, int) else org.pk


def _by_type(entities: Iterable[tuple[str, int]]) -> dict[str, set[int]]:
    """Raises ValueError for what is no type of entity; a mistake in the code."""
    found: dict[str, set[int]] = {}
    for entity_type, entity_id in entities:
        if entity_type not in ENTITY_MODELS:
            raise ValueError(f"'{entity_type}' is no entity of memory.")
        found.setdefault(entity_type, set()).add(entity_id)
    return found
