"""Choosing what a card says: a few of every kind, the most relevant first, from as many sources as there are."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from memory.cards.types import CardAtom, Composed

# Raise it with every change of what a card says or of its form: cards of another version are built anew.
TEMPLATE_VERSION = "1"
SUMMARY_BYTES = 4096
PER_SECTION = 5
TOP_ATOMS = 10
TOP_PER_KIND = 5
# Sentences of one call or mail that stand side by side under recent activity.
PER_SOURCE = 2
# Five lines of the widest characters, one of every section, fit into a summary.
LINE_CHARACTERS = 140
TEXT_CHARACTERS = 500
# Of several atoms of one source each further one must be worth twice as much to be chosen before another source's.
REPEATED_SOURCE = 0.5
# A note that states one of these is a fact, not an activity.
FACTS = frozenset({"amount", "date", "role"})
# JSON writes each of them with six characters.
_CONTROLS = dict.fromkeys([*range(32), *range(127, 160)], " ")
# The sections, and of two that are equally long the earlier one gives way when the summary is too large.
SECTIONS = ("recent_activity", "key_facts", "preferences", "risks", "decisions")


def compose(atoms: Iterable[CardAtom]) -> Composed:
    """The summary, at most SUMMARY_BYTES of JSON, and the most relevant atoms in full."""
    known = list(atoms)
    facts = _varied((atom for atom in known if _is_fact(atom)), PER_SECTION)
    shown = {atom.atom_id for atom in facts}
    chosen = {
        "key_facts": facts,
        "recent_activity": _recent(
            atom for atom in known if atom.kind in {"note", "status"} and atom.atom_id not in shown
        ),
        "decisions": _varied((atom for atom in known if atom.kind == "decision"), PER_SECTION),
        "risks": _varied((atom for atom in known if atom.kind == "risk"), PER_SECTION),
        "preferences": _varied((atom for atom in known if atom.kind == "preference"), PER_SECTION),
    }
    top = _varied(known, TOP_ATOMS, per_kind=TOP_PER_KIND)
    lines = {name: [line_of(atom) for atom in section] for name, section in chosen.items()}
    return Composed(summary=_fitted(lines), top_atoms=[_in_full(atom) for atom in top])


def line_of(atom: CardAtom) -> dict[str, Any]:
    """An atom as one line of a summary."""
    return {
        "atom_id": atom.atom_id,
        "text": clipped(atom.content, LINE_CHARACTERS),
        "occurred_at": written(atom.occurred_at),
        "entity_type": atom.entity_type,
        "entity_id": atom.entity_id,
        "conflict_id": atom.conflict_id,
    }


def clipped(text: str, characters: int) -> str:
    """The text on one line, ended by an ellipsis between two words where it is longer."""
    flat = " ".join(text.translate(_CONTROLS).split())
    if len(flat) <= characters:
        return flat
    cut = flat[: characters - 1]
    end = cut.rfind(" ")
    # A text without spaces is cut where it must be.
    return f"{cut[:end] if end > characters // 2 else cut}…"


def written(moment: datetime) -> str:
    """A point in time as the API writes it."""
    return moment.astimezone(UTC).isoformat().removesuffix("+00:00") + "Z"


def size_of(summary: Mapping[str, Any]) -> int:
    """The bytes of a summary as JSON."""
    return len(json.dumps(summary, ensure_ascii=False, separators=(",", ":")).encode())


def _in_full(atom: CardAtom) -> dict[str, Any]:
    origin = atom.origin
    return {
        **line_of(atom),
        "text": clipped(atom.content, TEXT_CHARACTERS),
        "atom_type": atom.kind,
        "score": round(atom.score, 2),
        "seen_count": atom.seen_count,
        "is_pinned": atom.is_pinned,
        "role": atom.role,
        "source": {
            "source_type": origin.source_type,
            "source_id": origin.source_id,
            "event_name": origin.event_name,
            "url": origin.url,
            "occurred_at": written(origin.occurred_at or atom.occurred_at),
        },
    }


def _is_fact(atom: CardAtom) -> bool:
    """What somebody pinned, what states an amount, a date or a role, and notes that several sources bear out."""
    return atom.is_pinned or (atom.kind == "note" and (bool(FACTS & set(atom.tags)) or atom.seen_count > 1))


def _recent(atoms: Iterable[CardAtom]) -> list[CardAtom]:
    """The newest, not too many of one source."""
    taken: Counter[tuple[str, int]] = Counter()
    chosen = []
    for atom in sorted(atoms, key=lambda atom: (atom.occurred_at, atom.atom_id), reverse=True):
        if taken[atom.source] < PER_SOURCE:
            taken[atom.source] += 1
            chosen.append(atom)
        if len(chosen) == PER_SECTION:
            break
    return chosen


def _varied(atoms: Iterable[CardAtom], limit: int, *, per_kind: int | None = None) -> list[CardAtom]:
    """The most relevant, pinned ones first; of a source that was chosen before each further atom counts for less."""
    waiting = sorted(atoms, key=_order, reverse=True)
    sources: Counter[tuple[str, int]] = Counter()
    kinds: Counter[str] = Counter()
    chosen: list[CardAtom] = []

    def worth(atom: CardAtom) -> tuple[bool, float, int]:
        return atom.is_pinned, atom.score * REPEATED_SOURCE ** sources[atom.source], atom.atom_id

    while waiting and len(chosen) < limit:
        best = _best(waiting, worth, allowed=lambda atom: per_kind is None or kinds[atom.kind] < per_kind)
        if best is None:
            break
        waiting.remove(best)
        sources[best.source] += 1
        kinds[best.kind] += 1
        chosen.append(best)
    return chosen


def _order(atom: CardAtom) -> tuple[bool, float, int]:
    return atom.is_pinned, atom.score, atom.atom_id


def _best(
    waiting: Sequence[CardAtom],
    worth: Callable[[CardAtom], tuple[bool, float, int]],
    *,
    allowed: Callable[[CardAtom], bool],
) -> CardAtom | None:
    """The one that is worth most now. They are in the order of what they can be worth at best, so few are looked at."""
    best: CardAtom | None = None
    for atom in waiting:
        if best is not None and _order(atom) < worth(best):
            break
        if allowed(atom) and (best is None or worth(atom) > worth(best)):
            best = atom
    return best


def _fitted(lines: dict[str, list[dict[str, Any]]]) -> dict[str, list[dict[str, Any]]]:
    """The summary without the last lines of its longest sections, as many as it takes to fit."""
    while size_of(lines) > SUMMARY_BYTES:
        longest = max(SECTIONS, key=lambda name: len(lines[name]))
        lines[longest].pop()
    return lines
