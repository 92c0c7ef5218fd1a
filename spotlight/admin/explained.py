"""Explanations of scores as pages show them: points in one column, words in the other."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from spotlight.evaluation.explaining import MET, PARTIAL, UNMET, Explanation
from spotlight.evaluation.wording import percent_text

COLOURS = {
    MET: "text-green-700 dark:text-green-400",
    PARTIAL: "text-orange-700 dark:text-orange-400",
    UNMET: "text-red-700 dark:text-red-400",
}


@dataclass(frozen=True)
class Line:
    """One criterion."""

    points: str
    text: str
    status: str
    colour: str
    source: str
    part: str


@dataclass(frozen=True)
class Explained:
    """A score in lines, the most telling first."""

    lines: Sequence[Line]
    known: str
    changes: Sequence[str]
    caps: Sequence[str]


def explained(explanation: Explanation) -> Explained:
    """The explanation for a template."""
    lines = []
    for each in sorted(explanation.components, key=lambda each: (each.credit is None, -abs(each.points))):
        points, _, text = each.sentence.partition(" ")
        lines.append(
            Line(
                points=points,
                text=text[:1].upper() + text[1:],
                status=each.status,
                colour=COLOURS.get(each.status, "text-subtle"),
                source=each.source,
                part=f"{each.score_part:.4f}",
            )
        )
    matched, total = explanation.matched_fields, explanation.total_fields
    return Explained(
        lines=lines,
        known=f"{matched} of {total} fields met; {percent_text(explanation.coverage)} of the weight is known.",
        changes=[each.sentence for each in explanation.changes],
        caps=[each.sentence for each in explanation.caps],
    )
