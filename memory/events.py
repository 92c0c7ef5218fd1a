"""What happens in memory, in the past tense: ids and counts, never the text."""

from __future__ import annotations

from dataclasses import dataclass

from flowledger.outbox.events import event


@event("memory.atom.created", item="atom")
@dataclass(frozen=True)
class AtomCreated:
    """Something was remembered of an entity."""

    atom_id: int
    kind: str
    entity_type: str
    entity_id: int


@event("memory.atom.confirmed", item="atom")
@dataclass(frozen=True)
class AtomConfirmed:
    """Another source said again what an atom says already."""

    atom_id: int
    seen_count: int


@event("memory.atom.superseded", item="atom")
@dataclass(frozen=True)
class AtomSuperseded:
    """A newer atom took the place of an older one."""

    atom_id: int
    superseded_by_id: int


@event("memory.atom.archived", item="atom")
@dataclass(frozen=True)
class AtomArchived:
    """An atom left cards and default search; `cause` is expiry, validity, retention or hand."""

    atom_id: int
    cause: str


@event("memory.atom.restored", item="atom")
@dataclass(frozen=True)
class AtomRestored:
    """An archived atom came back."""

    atom_id: int


@event("memory.corrected", item="atom")
@dataclass(frozen=True)
class AtomCorrected:
    """A person put an atom right; `because` is `error` when it was wrong and `change` when the fact changed."""

    atom_id: int
    version: int
    because: str


@event("memory.conflict.found", item="conflict")
@dataclass(frozen=True)
class ConflictFound:
    """Two atoms about one subject contradict each other, and which holds is not sure."""

    conflict_id: int
    older_id: int
    newer_id: int


@event("memory.conflict.resolved", item="conflict")
@dataclass(frozen=True)
class ConflictResolved:
    """Somebody decided: `older`, `newer` or `both` hold."""

    conflict_id: int
    kept: str


@event("memory.redacted", item="redaction")
@dataclass(frozen=True)
class MemoryRedacted:
    """The content of atoms was removed for ever; `target` is atom, source, entity or person."""

    redaction_id: int
    target: str
    atoms: int


@event("memory.summary.rebuilt", item_from_fact=True)
@dataclass(frozen=True)
class SummaryRebuilt:
    """The memory card of an entity was built anew."""

    item_type: str
    item_id: int
    atoms: int


@event("memory.hold.placed", item="hold")
@dataclass(frozen=True)
class HoldPlaced:
    """What is remembered of an entity is kept for a legal reason."""

    hold_id: int
    entity_type: str
    entity_id: int


@event("memory.hold.released", item="hold")
@dataclass(frozen=True)
class HoldReleased:
    """A legal hold ended."""

    hold_id: int
