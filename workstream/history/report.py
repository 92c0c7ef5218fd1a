"""What an import did: counts, how each disagreement in the export was resolved, and the lines that were skipped."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field


@dataclass(frozen=True)
class BadRow:
    """A line that was skipped, and why."""

    file: str
    line: int
    reason: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: {self.reason}"


# The order of the summary; what is not counted is left out.
_COUNTS = (
    ("clients", "Clients created"),
    ("clients_known", "Clients already there"),
    ("solutions", "Solutions created"),
    ("solutions_known", "Solutions already there"),
    ("members", "Members created"),
    ("members_known", "Members already there"),
    ("opportunities", "Opportunities read"),
    ("prospecting", "  as candidates (prospecting)"),
    ("engaging", "  as open pursuits (engaging)"),
    ("won", "  as won pursuits"),
    ("lost", "  as lost pursuits"),
    ("known", "  already imported, unchanged"),
    ("advanced", "  already imported, moved on by this export"),
    ("left_alone", "  already imported, worked on here since, left alone"),
    ("bad_rows", "Lines skipped"),
    ("events", "Work events recorded"),
)
# A report of a million bad lines helps nobody; the count stays exact.
_MOST_BAD_ROWS = 200


@dataclass
class HistoryReport:
    """Filled while the import runs; complete for every chunk that was stored."""

    counts: Counter[str] = field(default_factory=Counter)
    resolutions: Counter[str] = field(default_factory=Counter)
    bad_rows: list[BadRow] = field(default_factory=list)
    seconds: float = 0.0

    def count(self, name: str, by: int = 1) -> None:
        self.counts[name] += by

    def resolve(self, sentence: str) -> None:
        """Note how one disagreement was settled; equal sentences are counted."""
        self.resolutions[sentence] += 1

    def skip(self, row: BadRow) -> None:
        """Note a line that was not loaded."""
        self.counts["bad_rows"] += 1
        if len(self.bad_rows) < _MOST_BAD_ROWS:
            self.bad_rows.append(row)

    def merge(self, other: HistoryReport) -> None:
        """Take over what a part that was stored has counted."""
        self.counts.update(other.counts)
        self.resolutions.update(other.resolutions)
        for row in other.bad_rows[: _MOST_BAD_ROWS - len(self.bad_rows)]:
            self.bad_rows.append(row)

    def lines(self) -> Iterator[str]:
        """The report as text."""
        width = max(len(label) for _, label in _COUNTS)
        for name, label in _COUNTS:
            if self.counts[name]:
                yield f"{label:<{width}}  {self.counts[name]:>9,}"
        yield f"{'Seconds':<{width}}  {self.seconds:>9,.1f}"
        if self.resolutions:
            yield ""
            yield "How the export was read where its files disagree or say nothing (times, decision):"
            for sentence, times in sorted(self.resolutions.items(), key=lambda entry: (-entry[1], entry[0])):
                yield f"  {times:>7,} ×  {sentence}"
        if self.counts["bad_rows"]:
            yield ""
            yield "Skipped lines:"
            yield from (f"  {row}" for row in self.bad_rows)
            unnamed = self.counts["bad_rows"] - len(self.bad_rows)
            if unnamed:
                yield f"  … and {unnamed:,} more."
