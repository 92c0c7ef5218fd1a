"""Deals like this one: closed pursuits with like client and problem, and what was decided and feared in them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from flowledger.errors import InvalidInput
from flowledger.tenancy.actors import Actor
from flowledger.tenancy.models import Organization
from flowledger.tenancy.permissions import authorize, may
from flowledger.tenancy.usecases import use_case
from memory.deals import FEATURES, SimilarDeal, most_similar
from memory.models import Atom, AtomLink, Audience, Kind
from memory.relevance import relevance
from memory.rules import KINDS, SIMILAR_DEALS, Kinds
from memory.search.types import MAX_LIMIT
from memory.services.search import Filters, search
from memory.sql import similar as sql
from workstream.machines import CLOSED_STAGES, PursuitStage
from workstream.models import Pursuit

LESSON_KINDS = (Kind.DECISION, Kind.RISK)
# Of so many that share the most the likeness is computed exactly.
_POOL = 200
MOST_SIMILAR = 50


@dataclass(frozen=True)
class Lesson:
    """An atom of a similar deal, with its sources fetched, and what it is worth now."""

    atom: Atom
    relevance: float


@dataclass(frozen=True)
class DealLessons:
    """A closed deal that is like the one asked about: how much, why, and what is remembered of it."""

    similar: SimilarDeal
    lessons: tuple[Lesson, ...]


@use_case
def recall_similar_deals(
    *,
    org: Organization,
    pursuit_id: int,
    outcome: str,
    question: str = "",
    limit: int | None = None,
    actor: Actor,
    at: datetime,
) -> list[DealLessons]:
    """The closed deals most like a pursuit, the most alike first, each with the decisions and risks of its atoms.

    `outcome` is won or lost; `limit` bounds the deals, without one the rule does. With a question the lessons are those
    that answer it best, by the search inside these deals. Raises NotFound, PermissionRefused, InvalidInput for another
    outcome and for a question that search refuses.
    """
    Pursuit.objects.for_org(org).fetch(pursuit_id)
    authorize(actor, "view")
    _require_closed(outcome)
    found = similar_pursuits(org=org, pursuit_id=pursuit_id, outcome=outcome, limit=limit)
    if question.strip():
        return _with_answers(org, found, question=question, actor=actor, at=at)
    audience = Audience.MANAGERS if may(actor, "see_memory_of_managers") else Audience.EVERYONE
    return _with_lessons(org, found, audience=audience, at=at)


def similar_pursuits(
    *, org: Organization, pursuit_id: int, outcome: str = PursuitStage.LOST, limit: int | None = None
) -> list[SimilarDeal]:
    """The closed pursuits that are most like this one, by the weights that the organisation gives their traits.

    Part of the caller's use case. Nothing for a pursuit that is not there.
    """
    rule = SIMILAR_DEALS.of(org)
    weights = {feature: float(getattr(rule, feature)) for feature in FEATURES}
    nearest = sql.nearest_pursuits(org_id=org.pk, pursuit_id=pursuit_id, stage=outcome, weights=weights, most=_POOL)
    known = sql.deals(org_id=org.pk, pursuit_ids=[pursuit_id, *nearest]) if nearest else {}
    if pursuit_id not in known:
        return []
    others = [known[pk] for pk in nearest if pk in known]
    return most_similar(
        known[pursuit_id], others, weights, least=rule.least_likeness, most=min(limit or rule.most_deals, MOST_SIMILAR)
    )


def lessons_for(
    *,
    org: Organization,
    pursuit_id: int,
    audience: str,
    at: datetime,
    outcome: str = PursuitStage.LOST,
    limit: int | None = None,
) -> list[DealLessons]:
    """What cards show of an open pursuit: the similar deals of which the audience may read a decision or a risk.

    Part of the caller's use case; atoms of one author are never among them.
    """
    found = similar_pursuits(org=org, pursuit_id=pursuit_id, outcome=outcome)
    taught = [each for each in _with_lessons(org, found, audience=audience, at=at) if each.lessons]
    return taught[:limit]


def _with_lessons(org: Organization, found: Sequence[SimilarDeal], *, audience: str, at: datetime) -> list[DealLessons]:
    """The deals with their most relevant decisions and risks, in two statements for all of them."""
    if not found:
        return []
    audiences = [Audience.EVERYONE, Audience.MANAGERS] if audience == Audience.MANAGERS else [Audience.EVERYONE]
    ranked = sql.lessons(
        org_id=org.pk,
        pursuit_ids=[each.deal.pursuit_id for each in found],
        kinds=[kind.value for kind in LESSON_KINDS],
        audiences=[each.value for each in audiences],
        each=SIMILAR_DEALS.of(org).lessons_each,
        rules=KINDS.of(org),
        at=at,
    )
    rows = Atom.objects.for_org(org).active().filter(pk__in={atom_id for _, atom_id, _ in ranked})
    atoms = {atom.pk: atom for atom in rows.prefetch_related("sources")} if ranked else {}
    lessons: dict[int, list[Lesson]] = {}
    for pursuit_id, atom_id, worth in ranked:
        # Redacted between the two statements: gone.
        if atom_id in atoms:
            lessons.setdefault(pursuit_id, []).append(Lesson(atoms[atom_id], worth))
    return [DealLessons(each, tuple(lessons.get(each.deal.pursuit_id, ()))) for each in found]


def _with_answers(
    org: Organization, found: Sequence[SimilarDeal], *, question: str, actor: Actor, at: datetime
) -> list[DealLessons]:
    """The deals with those of their decisions and risks that answer a question best."""
    if not found:
        return []
    within = tuple(("pursuit", each.deal.pursuit_id) for each in found)
    kinds = tuple(kind.value for kind in LESSON_KINDS)
    results = search(
        org=org, question=question, filters=Filters(entities=within, kinds=kinds), actor=actor, at=at, limit=MAX_LIMIT
    )
    atoms = {hit.atom.pk: hit.atom for hit in results.hits}
    links = AtomLink.objects.for_org(org).filter(atom__in=atoms, pursuit__in=[pk for _, pk in within])
    seen_from: dict[int, set[int]] = {}
    for pursuit_id, atom_id in links.values_list("pursuit_id", "atom_id"):
        seen_from.setdefault(pursuit_id, set()).add(atom_id)
    kinds_of, each_has = KINDS.of(org), SIMILAR_DEALS.of(org).lessons_each
    answered = []
    for similar in found:
        mine = [atom for pk, atom in atoms.items() if pk in seen_from.get(similar.deal.pursuit_id, ())][:each_has]
        answered.append(DealLessons(similar, tuple(Lesson(atom, _relevance(kinds_of, atom, at)) for atom in mine)))
    return answered


def _relevance(kinds: Kinds, atom: Atom, at: datetime) -> float:
    return relevance(
        kinds,
        kind=atom.kind,
        points=atom.base_score,
        confidence=atom.confidence,
        seen_count=atom.seen_count,
        last_seen_at=atom.last_seen_at,
        at=at,
    )


def _require_closed(outcome: str) -> None:
    if outcome not in CLOSED_STAGES:
        sentence = f"'{outcome[:20]}' is not one of: {', '.join(CLOSED_STAGES)}."
        raise InvalidInput(f"outcome: {sentence}", fields={"outcome": [sentence]})
