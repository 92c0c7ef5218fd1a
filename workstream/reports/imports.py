"""What a CSV import left behind for people: rejected rows as a file to correct, and what its undo kept."""

from __future__ import annotations

from typing import Any

from workstream.intake.csv_reading import headings_of
from workstream.models import ImportChange, ImportRow, ImportRun
from workstream.models.imports import RowOutcome


def rejected_rows(run: ImportRun) -> Any:
    """The rejected rows, in no order yet."""
    return ImportRow.objects.for_org(run.org_id).filter(run=run, outcome=RowOutcome.REJECTED)


def error_columns(run: ImportRun) -> list[str]:
    """The columns of the error file: those of the file itself, the row's number, what is wrong."""
    return headings_of([*run.headers, "Row in the file", "What is wrong"])


def error_line(run: ImportRun, row: ImportRow) -> dict[str, str]:
    """A rejected row as a line of the error file."""
    width = len(run.headers)
    cells = [*row.cells, *[""] * width][:width]
    return dict(zip(error_columns(run), [*cells, str(row.number), " ".join(sentences_of(row))], strict=True))


def sentences_of(row: ImportRow) -> list[str]:
    """What is wrong with a row, sentence by sentence."""
    return [
        f"{name.replace('_', ' ')}: {sentence}" if name else sentence
        for name, sentences in row.errors.items()
        for sentence in sentences
    ]


def kept_changes(run: ImportRun) -> Any:
    """What an undo left as it is, in the order of the file."""
    rows = ImportChange.objects.for_org(run.org_id).filter(run=run).exclude(kept_reason="")
    return rows.order_by("row_number", "pk")
