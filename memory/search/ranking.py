"""The order of candidates: words, meaning, who is named, neighbours in the conversation, and a little of time and kind.

The formula and its figures are those of the research behind memory.md. Time and kind are small and added: multiplied
in, they ruin retrieval.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from memory.relevance import SECONDS_A_DAY
from memory.search.types import Parts

# What meaning weighs beside words, where there are embeddings.
MEANING = 0.5
NAMED = 0.6
# What the neighbours one and two steps away add, without and with embeddings.
THREAD = {1: 0.3, 2: 0.2}
THREAD_WITH_MEANING = {1: 0.2, 2: 0.1}
RECENCY = 0.05
# When the question asks for what is new.
RECENCY_WANTED = 0.3
KIND = 0.1
MOST_POINTS = 100


@dataclass(frozen=True)
class Candidate:
    """An atom that may answer; `words` is the sum of the idf of what it shares with the question."""

    atom_id: int
    kind: str
    points: int
    # Seconds of the epoch.
    last_seen: float
    words: float = 0.0
    is_named: bool = False
    places: tuple[int, ...] = ()


@dataclass(frozen=True)
class Ranked:
    """A candidate with its score."""

    candidate: Candidate
    parts: Parts


@dataclass(frozen=True)
class Neighbour:
    """Two atoms that stand one or two steps apart in a conversation."""

    atom_id: int
    steps: int
    other: Candidate


def own_worth(candidates: Sequence[Candidate], meaning: Mapping[int, float] | None) -> dict[int, Parts]:
    """What each candidate is worth without its neighbours: words, meaning and who is named, before scaling."""
    most = max((each.words for each in candidates), default=0.0) or 1.0
    share = 0.0 if meaning is None else MEANING
    likeness = _spread(candidates, meaning or {})
    return {
        each.atom_id: Parts(
            words=(1 - share) * each.words / most,
            meaning=share * likeness.get(each.atom_id, 0.0),
            entity=NAMED if each.is_named else 0.0,
            thread=0.0,
            recency=0.0,
            kind=0.0,
        )
        for each in candidates
    }


def rank(
    candidates: Sequence[Candidate],
    *,
    neighbours: Iterable[Neighbour],
    meaning: Mapping[int, float] | None,
    half_lives: Mapping[str, float],
    wants_recent: bool,
    at: datetime,
) -> list[Ranked]:
    """Candidates and their neighbours, best first; of equals the newer one."""
    own = own_worth(candidates, meaning)
    pool = {each.atom_id: each for each in candidates}
    worth = {atom_id: parts.score for atom_id, parts in own.items()}
    pairs: dict[tuple[int, int], int] = {}
    for each in neighbours:
        pool.setdefault(each.other.atom_id, each.other)
        pairs[min(each.atom_id, each.other.atom_id), max(each.atom_id, each.other.atom_id)] = each.steps
    lent = dict.fromkeys(pool, 0.0)
    weights = THREAD if meaning is None else THREAD_WITH_MEANING
    for (one, other), steps in pairs.items():
        lent[one] += weights[steps] * worth.get(other, 0.0)
        lent[other] += weights[steps] * worth.get(one, 0.0)
    most = max((worth.get(pk, 0.0) + lent[pk] for pk in pool), default=0.0) or 1.0
    recency, now = RECENCY_WANTED if wants_recent else RECENCY, at.timestamp()
    nothing = Parts(0.0, 0.0, 0.0, 0.0, 0.0, 0.0)
    ranked = []
    for pk, candidate in pool.items():
        parts = own.get(pk, nothing)
        age = max(0.0, (now - candidate.last_seen) / SECONDS_A_DAY)
        scaled = Parts(
            words=parts.words / most,
            meaning=parts.meaning / most,
            entity=parts.entity / most,
            thread=lent[pk] / most,
            recency=recency * 0.5 ** (age / half_lives[candidate.kind]),
            kind=KIND * candidate.points / MOST_POINTS,
        )
        ranked.append(Ranked(candidate, scaled))
    ranked.sort(key=lambda each: (each.parts.score, each.candidate.atom_id), reverse=True)
    return ranked


def _spread(candidates: Sequence[Candidate], meaning: Mapping[int, float]) -> dict[int, float]:
    """Cosines of the pool from 0 to 1; an atom without a vector is as far away as the farthest."""
    cosines = [meaning[each.atom_id] for each in candidates if each.atom_id in meaning]
    if not cosines:
        return {}
    least, span = min(cosines), (max(cosines) - min(cosines)) or 1.0
    return {pk: (cosine - least) / span for pk, cosine in meaning.items()}
