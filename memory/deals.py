"""What deals have in common: their traits, compared by weighted Jaccard, and the words that explain it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

# What a deal is told apart by, in the order in which people hear of it. Where a deal was lost is not among them: a
# pursuit is lost from Submitted and from nowhere else.
FEATURES = ("industry", "problem", "solution", "size_band", "value_band", "source", "owner")
FEATURE_NAMES = {
    "industry": "Industry",
    "problem": "Problem",
    "solution": "Solution",
    "size_band": "Size of the client",
    "value_band": "Value",
    "source": "Source",
    "owner": "Owner",
}


@dataclass(frozen=True)
class Trait:
    """One thing that is true of a deal: `value` is compared, `label` is what people read."""

    feature: str
    value: str
    label: str


@dataclass(frozen=True)
class Deal:
    """A pursuit with its traits; what is unknown of it has none."""

    pursuit_id: int
    title: str
    stage: str
    client_id: int | None
    client_name: str
    forecast_value: Decimal
    currency: str
    closed_at: datetime | None
    traits: tuple[Trait, ...]


@dataclass(frozen=True)
class Likeness:
    """How alike two deals are: the weight of what both have, by the weight of what either has (0…1).

    `shared` is what both have, the heaviest first; `different` names the features in which they differ. What is unknown
    of either is in neither.
    """

    score: float
    shared: tuple[Trait, ...]
    different: tuple[str, ...]

    @property
    def sentence(self) -> str:
        """What they share, as people say it."""
        if not self.shared:
            return "Nothing that is known of them is alike."
        return "; ".join(f"{FEATURE_NAMES[trait.feature]}: {trait.label}" for trait in self.shared)


@dataclass(frozen=True)
class SimilarDeal:
    """A closed deal and how much it is like the one that was asked about."""

    deal: Deal
    likeness: Likeness


def likeness(one: Deal, other: Deal, weights: Mapping[str, float]) -> Likeness:
    """Compare two deals. Features without a weight count nothing."""
    mine = {(trait.feature, trait.value): trait for trait in one.traits}
    theirs = {(trait.feature, trait.value) for trait in other.traits}
    either = sum(weights.get(feature, 0.0) for feature, _ in mine.keys() | theirs)
    both = [trait for key, trait in mine.items() if key in theirs and weights.get(trait.feature, 0.0) > 0]
    both.sort(key=lambda trait: (-weights[trait.feature], FEATURES.index(trait.feature), trait.value))
    known_of_both = {feature for feature, _ in mine} & {feature for feature, _ in theirs}
    alike = {trait.feature for trait in both}
    return Likeness(
        score=sum(weights[trait.feature] for trait in both) / either if either else 0.0,
        shared=tuple(both),
        different=tuple(feature for feature in FEATURES if feature in known_of_both - alike and weights.get(feature)),
    )


def most_similar(
    asked: Deal, others: Sequence[Deal], weights: Mapping[str, float], *, least: float, most: int
) -> list[SimilarDeal]:
    """The deals that are at least so alike, the most alike first; of equally alike ones the latest closed."""
    compared = [SimilarDeal(other, likeness(asked, other, weights)) for other in others]
    alike = [each for each in compared if each.likeness.score >= least and each.likeness.shared]
    alike.sort(key=lambda each: (-each.likeness.score, -_seconds(each.deal.closed_at), -each.deal.pursuit_id))
    return alike[:most]


def _seconds(moment: datetime | None) -> float:
    return moment.timestamp() if moment else 0.0
