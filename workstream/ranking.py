"""What the place of an item on the Today panel is worth: the weights of an organisation, read from its rules."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from functools import cached_property
from itertools import pairwise
from types import MappingProxyType

from flowledger.tenancy.models import Organization
from workstream.rules import PURSUIT_DEFAULTS, TODAY


@dataclass(frozen=True)
class Ranking:
    """The points of every term of the priority score, and the scores from which the tiers begin.

    `penalty` is taken once per further open item of the same owner, at most `most_penalty` in all. A pursuit is of the
    value band whose figure is nearest to its forecast.
    """

    urgency: Mapping[str, int]
    bands: Mapping[str, int]
    stages: Mapping[str, int]
    penalty: int
    most_penalty: int
    tiers: Mapping[str, int]
    band_values: Mapping[str, Decimal]

    @cached_property
    def counted_items(self) -> int:
        """How many open items of an owner make a difference; with more of them the penalty is the highest one."""
        return -(-self.most_penalty // self.penalty) + 1 if self.penalty else 1

    @cached_property
    def band_floors(self) -> dict[str, str]:
        """The forecast from which on a pursuit is nearer to a band than to the one below it."""
        rising = sorted(self.band_values.items(), key=lambda pair: pair[1])
        floors = {name: str((below + own) / 2) for (_, below), (name, own) in pairwise(rising)}
        return {rising[0][0]: "0", **floors} if rising else {}

    @cached_property
    def as_json(self) -> str:
        """The weights as the statement wants them that computes the rows."""
        return json.dumps(
            {
                "urgency": dict(self.urgency),
                "bands": dict(self.bands),
                "stages": dict(self.stages),
                "penalty": self.penalty,
                "most_penalty": self.most_penalty,
                "tiers": dict(self.tiers),
                "floors": self.band_floors,
            },
            sort_keys=True,
        )

    @cached_property
    def fingerprint(self) -> str:
        """Changes with every weight: rows that carry another one were computed by other weights."""
        return hashlib.sha256(self.as_json.encode()).hexdigest()


def ranking_of(org: Organization) -> Ranking:
    """The weights in force for an organisation: `ranking_rule/today`, and the band values of `pursuit_defaults`."""
    weights = TODAY.of(org)
    urgency = weights.urgency.model_dump()
    return Ranking(
        urgency=MappingProxyType({**urgency, "calm": urgency["otherwise"]}),
        bands=MappingProxyType(weights.band.model_dump()),
        stages=MappingProxyType(weights.stage.model_dump()),
        penalty=weights.workload.per_item,
        most_penalty=weights.workload.cap,
        tiers=MappingProxyType(weights.tiers.model_dump()),
        band_values=PURSUIT_DEFAULTS.of(org).band_values.as_mapping(),
    )
