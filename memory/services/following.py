"""Links follow the graph: what is known of an entity is seen from what that belongs to now."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Any, Protocol

from flowledger.tenancy.models import Organization
from memory.services.linking import Entity, links_of, renew_links
from memory.sql import linking as sql

# Events after which something belongs to something else, with the entities that they tell of.
_MOVING: Mapping[str, tuple[tuple[str, str], ...]] = {
    "signal.linked": (("signal", "signal_id"), ("candidate", "candidate_id")),
    "candidate.updated": (("candidate", "candidate_id"),),
    "candidate.promoted": (("candidate", "candidate_id"),),
    "pursuit.updated": (("pursuit", "pursuit_id"),),
    "contact.updated": (("contact", "contact_id"),),
    "contact.merge_undone": (("contact", "contact_id"), ("contact", "merged_contact_id")),
    "client.merge_undone": (("client", "client_id"), ("client", "merged_client_id")),
}
# Fields of a row by which it belongs to another; the rest of an update moves nothing.
_BELONGINGS = frozenset({"client", "contact"})
# A merge moves every reference itself; only what is said of the survivor is put together.
_MERGES: Mapping[str, tuple[str, str, str]] = {
    "contact.merged": ("contact", "contact_id", "merged_contact_id"),
    "client.merged": ("client", "client_id", "merged_client_id"),
}
GRAPH_EVENTS = (*_MOVING, *_MERGES)


class Happened(Protocol):
    """An event, as far as it moves the graph."""

    @property
    def event_name(self) -> str: ...
    @property
    def payload(self) -> Mapping[str, Any]: ...


def moved_by(org: Organization, happenings: Sequence[Happened]) -> set[Entity]:
    """The subjects of all atoms whose links events may have moved."""
    changed: set[Entity] = set()
    for each in happenings:
        if "changed" in each.payload and not _BELONGINGS & set(each.payload["changed"]):
            continue
        changed |= {(kind, each.payload[name]) for kind, name in _MOVING.get(each.event_name, ())}
    subjects = set(changed)
    by_type: dict[str, list[int]] = defaultdict(list)
    for kind, pk in changed:
        by_type[kind].append(pk)
    for kind, ids in sorted(by_type.items()):
        subjects |= sql.subjects_seen_from(org.pk, kind, sorted(ids))
    signals = {entity for entity in changed if entity[0] == "signal"}
    if new := [each.payload["signal_id"] for each in happenings if each.event_name == "signal.created"]:
        # A message can join two conversations into one.
        signals |= {("signal", pk) for pk in sql.others_in_conversation(org.pk, new)}
    subjects |= signals
    # What is said of a conversation is seen from what its messages belong to.
    for links in links_of(org, signals).values() if signals else ():
        subjects |= {(kind, pk) for kind, pk, _ in links if kind == "thread"}
    subjects |= {survivor for survivor, _ in _merged(happenings)}
    return subjects


def follow_graph(
    org: Organization, subjects: Collection[Entity], happenings: Sequence[Happened], *, at: datetime
) -> set[Entity]:
    """Link anew what events have moved; answers whose cards are to be built anew, both sides of a merge among them."""
    _, touched = renew_links(org, subjects, at=at) if subjects else (0, set())
    return touched | {entity for pair in _merged(happenings) for entity in pair}


def _merged(happenings: Sequence[Happened]) -> list[tuple[Entity, Entity]]:
    """Survivor and tombstone of each merge."""
    return [
        ((kind, each.payload[survivor]), (kind, each.payload[loser]))
        for each in happenings
        for kind, survivor, loser in [_MERGES.get(each.event_name, ("", "", ""))]
        if kind
    ]
