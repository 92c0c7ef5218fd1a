"""How well a ranking answers: recall and normalised discounted cumulative gain of the first ten. Pure.

What answers a question are lines of a story, and a line may have become several atoms: each line counts once, where the
first of its atoms stands.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence

TOP = 10
# For each line that answers: the atoms that it became.
Evidence = Sequence[Collection[int]]


def recall(ranking: Sequence[int], evidence: Evidence, *, top: int = TOP) -> float:
    """The share of the lines that are among the first."""
    found = set(ranking[:top])
    return sum(1 for atoms in evidence if found & set(atoms)) / len(evidence)


def ndcg(ranking: Sequence[int], evidence: Evidence, *, top: int = TOP) -> float:
    """Gains of the lines where each stands first, discounted by log2 of the place, over the best that is possible."""
    left = [set(atoms) for atoms in evidence]
    gained = 0.0
    for place, atom in enumerate(ranking[:top], start=1):
        hit = next((atoms for atoms in left if atom in atoms), None)
        if hit is not None:
            left.remove(hit)
            gained += 1 / math.log2(place + 1)
    best = sum(1 / math.log2(place + 1) for place in range(1, min(len(evidence), top) + 1))
    return gained / best


def mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)


def averages(
    rankings: Mapping[int, Sequence[int]], evidence: Mapping[int, Evidence], asked: Collection[int]
) -> tuple[float, float]:
    """Recall and nDCG at ten over the questions of these numbers; no answer is an empty ranking."""
    recalls = [recall(rankings.get(number, ()), evidence[number]) for number in asked]
    gains = [ndcg(rankings.get(number, ()), evidence[number]) for number in asked]
    return mean(recalls), mean(gains)
