"""How large the worlds of the suite are."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Shape:
    """A world; `clocks` is the nominal number of running ones, about as many as candidates."""

    candidates: int
    pursuits: int
    organizations: int
    clocks: int


FULL = Shape(candidates=1_000_000, pursuits=300_000, organizations=100, clocks=1_000_000)
HUNDREDTH = Shape(candidates=10_000, pursuits=3_000, organizations=10, clocks=10_000)
QUICK = Shape(candidates=20_000, pursuits=6_000, organizations=10, clocks=20_000)
QUICK_HUNDREDTH = Shape(candidates=2_000, pursuits=600, organizations=4, clocks=2_000)
