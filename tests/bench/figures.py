"""Figures of a suite: kept, printed as a table, written as JSON lines."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Figure:
    """One measured value."""

    suite: str
    figure: str
    system: str
    value: float
    unit: str
    params: dict[str, Any]


@dataclass
class Figures:
    """What a suite measured so far."""

    suite: str
    rows: list[Figure] = field(default_factory=list)

    def add(self, figure: str, value: float, unit: str, *, system: str = "flowledger", **params: Any) -> None:
        self.rows.append(Figure(self.suite, figure, system, round(value, 3), unit, params))

    def add_times(self, figure: str, seconds: Sequence[float], **params: Any) -> None:
        """p50 and p95 of measured times, in milliseconds."""
        for stat, share in (("p50", 0.50), ("p95", 0.95)):
            self.add(figure, 1000 * quantile(seconds, share), "ms", **params, stat=stat)

    def value(self, figure: str, **params: Any) -> float:
        """The one value with these parameters."""
        (found,) = [row.value for row in self.rows if row.figure == figure and row.params == params]
        return found

    def write(self, path: Path) -> None:
        path.write_text("".join(json.dumps(asdict(row)) + "\n" for row in self.rows))

    def table(self) -> str:
        lines = [("figure", "system", "parameters", "value", "unit")]
        for row in self.rows:
            parameters = " ".join(f"{name}={value}" for name, value in row.params.items())
            lines.append((row.figure, row.system, parameters, f"{row.value:,.3f}", row.unit))
        widths = [max(len(line[column]) for line in lines) for column in range(5)]
        return "\n".join(
            "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)) for line in lines
        )


def quantile(values: Sequence[float], share: float) -> float:
    """The nearest-rank quantile: the smallest value that at least `share` of the values do not exceed."""
    ordered = sorted(values)
    return ordered[max(math.ceil(share * len(ordered)) - 1, 0)]
