"""Search: a free question over the atoms of an organisation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.core import signing
from django.db.models import Prefetch, Q

from flowledger.errors import InvalidInput
from flowledger.tenancy.actors import Actor
from flowledger.tenancy.models import Organization
from flowledger.tenancy.permissions import authorize, may
from flowledger.tenancy.usecases import use_case
from memory.extraction.languages import detect_language
from memory.machines import AtomState
from memory.models import Atom, AtomLink, AtomSource, Kind, MemoryLedger
from memory.models.entities import ENTITY_MODELS
from memory.rules import KINDS
from memory.search import cursors, questions, ranking
from memory.search.passages import passages_of
from memory.search.questions import Reading
from memory.search.types import (
    DEFAULT_LIMIT,
    MAX_LIMIT,
    MOST_RESULTS,
    Filters,
    Hit,
    Named,
    Parts,
    Passage,
    Results,
)
from memory.services.entity_names import entities_named_in
from memory.services.vectors import rank_by_meaning
from memory.sql import search as sql

__all__ = ["MAX_LIMIT", "SORTS", "Filters", "Hit", "Named", "Parts", "Passage", "Results", "search"]

EVERYTHING = Filters()
SORTS = ("relevance", "recent")
# In which an atom may be although its text is in another: names of products, quotes.
COMMON_LANGUAGE = "en"
_signer = signing.Signer(salt="memory.search.cursor")


@dataclass(frozen=True)
class _Asked:
    """A search in one place."""

    org: Organization
    question: str
    reading: Reading
    languages: tuple[str, ...]
    filters: Filters
    sort: str
    actor: Actor
    at: datetime

    @property
    def reader(self) -> sql.Reader:
        return sql.Reader(self.actor.user_id, may(self.actor, "see_memory_of_managers"))

    @property
    def fingerprint(self) -> bytes:
        who = f"{self.org.pk} {self.actor.kind} {self.actor.pk} {self.actor.role}"
        return cursors.fingerprint(self.question, self.filters, self.sort, who)


@use_case
def search(
    *,
    org: Organization,
    question: str,
    filters: Filters = EVERYTHING,
    sort: str = "relevance",
    actor: Actor,
    at: datetime,
    limit: int = DEFAULT_LIMIT,
    cursor: str = "",
) -> Results:
    """The atoms that answer a question best, as far as the actor may read them.

    A cursor goes on where a page ended, in the order of its first page; what was redacted, archived or hidden since is
    left out. Raises PermissionRefused, InvalidInput for a question without a letter or digit, for a limit or sort that
    means nothing, and for a cursor of another question or from before a redaction.
    """
    authorize(actor, "view")
    asked = _read(org, question, filters, sort, actor, at)
    if not 1 <= limit <= MAX_LIMIT:
        raise InvalidInput("limit: This is out of range.", fields={"limit": [f"From 1 to {MAX_LIMIT}."]})
    epoch = MemoryLedger.objects.for_org(org).values_list("epoch", flat=True).first() or 0
    named = entities_named_in(org=org, question=asked.question)
    if cursor:
        place = _place_of(cursor, asked, epoch)
    else:
        mode, ranked = _ranked(asked, named)
        items = tuple(cursors.Item(each.candidate.atom_id, each.parts) for each in ranked[:MOST_RESULTS])
        place = cursors.Place(asked.fingerprint, epoch, at, 1, limit, len(items), mode, items)
    shown, rest = place.items[: place.limit], place.items[place.limit :]
    following = None
    if rest:
        following = _signer.sign(cursors.pack(_after(place, rest)))
    return Results(
        hits=_hits(asked, shown),
        mode=place.mode,
        next_cursor=following,
        total=place.total,
        page=place.page,
        limit=place.limit,
        named=named,
    )


def _read(org: Organization, question: str, filters: Filters, sort: str, actor: Actor, at: datetime) -> _Asked:
    if len(question) > questions.MAX_QUESTION:
        sentence = f"At most {questions.MAX_QUESTION} characters."
        raise InvalidInput("q: The question is too long.", fields={"q": [sentence]})
    text = questions.clean(question)
    reading = questions.read(text)
    if not reading.words:
        raise InvalidInput("q: Ask with at least one word.", fields={"q": ["Ask with at least one word."]})
    if sort not in SORTS:
        raise InvalidInput("sort: Unknown order.", fields={"sort": [f"One of: {', '.join(SORTS)}."]})
    languages = tuple(dict.fromkeys([COMMON_LANGUAGE, detect_language(text)]))
    return _Asked(org, text, reading, languages, filters, sort, actor, at)


def _ranked(asked: _Asked, named: Sequence[Named]) -> tuple[str, list[ranking.Ranked]]:
    """The mode and the whole order."""
    found = sql.candidates(
        words=questions.beyond(asked.reading.words, [each.words for each in named]),
        languages=asked.languages,
        named=[(each.entity_type, each.entity_id) for each in named],
        filters=asked.filters,
        reader=asked.reader,
    )
    meaning, found = _with_meaning(asked, found)
    own = ranking.own_worth(found, meaning)
    best = sorted(found, key=lambda each: (own[each.atom_id].score, each.atom_id), reverse=True)
    beside = sql.neighbours(
        org_id=asked.org.pk,
        of=[each.atom_id for each in best[: sql.WITH_NEIGHBOURS]],
        reader=asked.reader,
        with_archived=asked.filters.include_archived,
    )
    kinds = KINDS.of(asked.org)
    ranked = ranking.rank(
        found,
        neighbours=_allowed(asked, found, beside),
        meaning=meaning,
        half_lives={kind: getattr(kinds, kind).half_life_days for kind in Kind.values},
        wants_recent=asked.reading.wants_recent or asked.sort == "recent",
        at=asked.at,
    )
    return "lexical" if meaning is None else "hybrid", ranked


def _with_meaning(
    asked: _Asked, found: list[ranking.Candidate]
) -> tuple[Mapping[int, float] | None, list[ranking.Candidate]]:
    """The cosines of the candidates and of the nearest atoms, which become candidates; None without embeddings."""
    nearest = rank_by_meaning(asked.org, asked.question)
    if nearest is None:
        return None, found
    known = {each.atom_id for each in found}
    rows = _passing(asked).filter(pk__in=nearest.keys() - known)
    found = [*found, *(_candidate(row) for row in rows.only(*_CANDIDATE_FIELDS))]
    of_found = rank_by_meaning(asked.org, asked.question, [each.atom_id for each in found]) or {}
    return of_found, found


_CANDIDATE_FIELDS = ("id", "kind", "base_score", "last_seen_at")


def _candidate(row: Atom) -> ranking.Candidate:
    return ranking.Candidate(row.pk, row.kind, row.base_score, row.last_seen_at.timestamp())


def _allowed(
    asked: _Asked, found: Sequence[ranking.Candidate], beside: Sequence[ranking.Neighbour]
) -> list[ranking.Neighbour]:
    """Neighbours that pass the filters; states and audiences they have passed."""
    if asked.filters == Filters(include_archived=asked.filters.include_archived):
        return list(beside)
    known = {each.atom_id for each in found}
    new = {each.other.atom_id for each in beside} - known
    passing = known | set(_passing(asked).filter(pk__in=new).values_list("pk", flat=True))
    return [each for each in beside if each.other.atom_id in passing]


def _passing(asked: _Asked) -> Any:
    """The atoms that filters and audience let through; the function in the database says the same."""
    wanted = asked.filters
    states = [AtomState.ACTIVE]
    if wanted.include_archived:
        states += [AtomState.ARCHIVED, AtomState.SUPERSEDED]
    rows = Atom.objects.for_org(asked.org).readable_by(asked.actor).filter(state__in=states)
    if wanted.kinds:
        rows = rows.filter(kind__in=wanted.kinds)
    if wanted.tags:
        rows = rows.filter(tags__overlap=list(wanted.tags))
    if wanted.author_id is not None:
        rows = rows.filter(author_id=wanted.author_id)
    if wanted.since is not None:
        rows = rows.filter(occurred_at__gte=wanted.since)
    if wanted.until is not None:
        rows = rows.filter(occurred_at__lt=wanted.until)
    if wanted.entities:
        leads = Q()
        for name in ENTITY_MODELS:
            ids = [pk for entity_type, pk in wanted.entities if entity_type == name]
            leads |= Q(**{f"{name}__in": ids}) if ids else Q()
        rows = rows.filter(pk__in=AtomLink.objects.for_org(asked.org).filter(leads).values("atom"))
    return rows


def _hits(asked: _Asked, items: Sequence[cursors.Item]) -> list[Hit]:
    """The atoms as they are now, with their passages; those that may no longer be read are left out."""
    ids = [each.atom_id for each in items]
    sources = Prefetch("sources", AtomSource.objects.for_org(asked.org).order_by("pk"))
    rows = _passing(asked).filter(pk__in=ids).prefetch_related(sources)
    atoms = {atom.pk: atom for atom in rows} if ids else {}
    answering = (
        sql.answering_words(
            org_id=asked.org.pk, atom_ids=list(atoms), words=asked.reading.words, languages=asked.languages
        )
        if atoms
        else {}
    )
    hits = []
    for each in items:
        if (atom := atoms.get(each.atom_id)) is not None:
            words = answering.get(atom.pk, set())
            passages = passages_of(atom.content, words.__contains__)
            matched = tuple(dict.fromkeys(p.text[a:b] for p in passages for a, b in p.highlights))
            hits.append(Hit(atom, each.parts.score, each.parts, matched, passages))
    return hits


def _after(place: cursors.Place, rest: tuple[cursors.Item, ...]) -> cursors.Place:
    return cursors.Place(
        place.question, place.epoch, place.asked_at, place.page + 1, place.limit, place.total, place.mode, rest
    )


def _place_of(cursor: str, asked: _Asked, epoch: int) -> cursors.Place:
    try:
        place = cursors.unpack(_signer.unsign(cursor))
    except (signing.BadSignature, cursors.NoCursor):
        raise InvalidInput(
            "The cursor is not one of ours; start again without it.", fields={"cursor": ["This is no cursor."]}
        ) from None
    if place.question != asked.fingerprint:
        raise InvalidInput(
            "The cursor belongs to another search; start again without it.",
            fields={"cursor": ["Question, filters and reader must stay the same while reading on."]},
        )
    if place.epoch != epoch:
        raise InvalidInput(
            "Something was redacted since this search began; start again without the cursor.",
            fields={"cursor": ["This was answered before a redaction."]},
        )
    return place
