"""What an evaluation takes and gives: profiles, the scale, facts, components and scores."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from functools import cached_property, lru_cache
from typing import Any, NamedTuple

HIGH, MEDIUM, LOW, NONE = "high_match", "medium_match", "low_match", "no_match"
# From the best to the worst.
RECOMMENDATIONS = (HIGH, MEDIUM, LOW, NONE)
# Shares and credits are counted in ten-thousandths and weights in thousandths, so that sums are exact in any order.
WHOLE = 10_000
WEIGHT_UNIT = 1_000


@dataclass(frozen=True)
class Criterion:
    """One wish of a profile with all that is asked of its field; `value` has the shape that `check_criterion` gives."""

    criterion_id: int
    field_name: str
    label: str
    field_type: str
    enum_values: tuple[str, ...]
    aliases: tuple[str, ...]
    operator: str
    value: Any
    weight: Decimal
    required: bool = False

    @classmethod
    def of(cls, definition: Mapping[str, Any]) -> Criterion:
        """One of the `criteria` of a version's definition."""
        return cls(
            criterion_id=int(definition["criterion_id"]),
            field_name=str(definition["field_name"]),
            label=str(definition.get("label") or ""),
            field_type=str(definition["field_type"]),
            enum_values=tuple(str(each) for each in definition.get("enum_values") or ()),
            aliases=tuple(str(each) for each in definition.get("aliases") or ()),
            operator=str(definition["operator"]),
            value=definition["value"],
            weight=Decimal(str(definition["weight"])),
            required=bool(definition.get("required", False)),
        )

    @property
    def weight_units(self) -> int:
        """The weight in thousandths."""
        return int((self.weight * WEIGHT_UNIT).to_integral_value())


@dataclass(frozen=True)
class Profile:
    """One version of a profile."""

    spotlight_id: int
    name: str
    version: int
    criteria: tuple[Criterion, ...]

    @classmethod
    def of(cls, spotlight_id: int, version: int, definition: Mapping[str, Any]) -> Profile:
        """From the definition that a SpotlightVersion keeps: {name, criteria: […]}."""
        return cls(
            spotlight_id=spotlight_id,
            name=str(definition.get("name") or ""),
            version=version,
            criteria=tuple(Criterion.of(each) for each in definition.get("criteria") or ()),
        )

    @property
    def is_evaluable(self) -> bool:
        """Whether some criterion weighs anything; a profile without one has no score."""
        return any(criterion.weight_units for criterion in self.criteria)

    @cached_property
    def total_units(self) -> int:
        """The weights of all criteria together, in thousandths."""
        return sum(criterion.weight_units for criterion in self.criteria)


@dataclass(frozen=True)
class Scale:
    """The scores (0…1) from which bands are reached, the least share of weight to know, and how far credit reaches.

    See the registry's `spotlight_rule/bands` and `spotlight_rule/partial_credit`.
    """

    high: float = 0.8
    medium: float = 0.6
    low: float = 0.4
    least_coverage: float = 0.5
    number_margin: float = 0.5
    date_margin_days: int = 30

    @cached_property
    def floors(self) -> tuple[int, int, int, int]:
        """The least score of high, medium and low, and the least coverage, in ten-thousandths."""
        high, medium, low, coverage = (
            math.ceil(Decimal(str(share)) * WHOLE) for share in (self.high, self.medium, self.low, self.least_coverage)
        )
        return high, medium, low, coverage

    def band(self, score_units: int) -> str:
        """The recommendation of a score by itself."""
        high, medium, low, _ = self.floors
        if score_units >= high:
            return HIGH
        if score_units >= medium:
            return MEDIUM
        return LOW if score_units >= low else NONE


class Fact(NamedTuple):
    """A value as it came, where it came from, and its rank by precedence: of several names of a field the least wins.

    A tuple, because facts are made by the hundred for every item.
    """

    value: Any
    source: str
    rank: int = 0


class Component(NamedTuple):
    """What one criterion makes of the facts: credit from 0 (not met) to 1 (met), or None when nothing is known."""

    criterion_id: int
    credit: float | None
    seen: Any
    source: str

    @property
    def contribution(self) -> float:
        """From −1 (not met) to 1 (met); 0 when nothing is known."""
        return 0.0 if self.credit is None else round(2 * self.credit - 1, 4)


class Evaluation(NamedTuple):
    """What the facts of one item come to against one version of a profile; a tuple for the same reason as a fact.

    `matched_fields` counts the fields all of whose criteria are met in full, `total_fields` the fields of the profile.
    `components` are in the order of its criteria, and `packed_json` is what `packed` gives, as text.
    """

    spotlight_id: int
    version: int
    match_score: Decimal
    recommendation: str
    coverage: Decimal
    matched_fields: int
    total_fields: int
    components: tuple[Component, ...]
    packed_json: str = ""

    def packed(self) -> list[list[Any]]:
        """The components as scores keep them: [[criterion_id, credit or null, value seen, source], …]."""
        return [list(component) for component in self.components]

    @classmethod
    def unpacked(
        cls,
        *,
        spotlight_id: int,
        version: int,
        match_score: Decimal,
        recommendation: str,
        coverage: Decimal,
        matched_fields: int,
        total_fields: int,
        components: Iterable[Sequence[Any]],
    ) -> Evaluation:
        """A stored score as the evaluation that it was."""
        return cls(
            spotlight_id,
            version,
            match_score,
            recommendation,
            coverage,
            matched_fields,
            total_fields,
            tuple(
                Component(int(criterion_id), None if credit is None else float(credit), seen, source)
                for criterion_id, credit, seen, source in components
            ),
        )


@lru_cache(maxsize=WHOLE + 1)
def share(units: int) -> Decimal:
    """Ten-thousandths as a number with four decimals."""
    return Decimal(units).scaleb(-4)


def units_of(credit: float) -> int:
    """A credit in ten-thousandths."""
    return round(credit * WHOLE)
