"""What came in and could not become a signal, and CSV imports, in the past tense: ids and JSON values only."""

from __future__ import annotations

from dataclasses import dataclass

from flowledger.outbox.events import event


@event("intake.rejected", item="intake_reject", item_id="reject_id")
@dataclass(frozen=True)
class IntakeRejected:
    """Something came in that could not become a signal; it is kept with the reason."""

    reject_id: int
    channel: str
    source_id: int | None
    code: str


@event("intake.replayed", item="intake_reject", item_id="reject_id")
@dataclass(frozen=True)
class IntakeReplayed:
    """What had been rejected was fixed and became a signal, or was found to be one already."""

    reject_id: int
    signal_id: int


@event("intake.discarded", item="intake_reject", item_id="reject_id")
@dataclass(frozen=True)
class IntakeDiscarded:
    """What had been rejected was put aside for good; the note stays on it."""

    reject_id: int


@event("import.started", item="import_run", item_id="import_id")
@dataclass(frozen=True)
class ImportStarted:
    """A CSV import was started."""

    import_id: int


@event("import.finished", item="import_run", item_id="import_id")
@dataclass(frozen=True)
class ImportFinished:
    """Every row of a CSV import has its outcome."""

    import_id: int
    created: int
    updated: int
    unchanged: int
    rejected: int


@event("import.cancelled", item="import_run", item_id="import_id")
@dataclass(frozen=True)
class ImportCancelled:
    """A CSV import was stopped; what it had imported stays."""

    import_id: int


@event("import.undo_started", item="import_run", item_id="import_id")
@dataclass(frozen=True)
class ImportUndoStarted:
    """A CSV import is being taken back."""

    import_id: int


@event("import.undone", item="import_run", item_id="import_id")
@dataclass(frozen=True)
class ImportUndone:
    """A CSV import was taken back, except what was changed or used since (`kept`)."""

    import_id: int
    undone: int
    kept: int
