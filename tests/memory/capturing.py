"""Events on their way into memory, and what of it can be compared whatever the ids."""

from __future__ import annotations

import json
from collections.abc import Iterable
from datetime import timedelta
from typing import Any

from flowledger.outbox.models import WorkEvent
from flowledger.outbox.registry import Delivery
from flowledger.outbox.sql import ClaimedEvent
from flowledger.tenancy.actors import Actor
from flowledger.tenancy.models import Organization
from flowledger.tenancy.scope import org_scope
from memory.capture_rules import EVENTS
from memory.handlers import capture
from memory.models import Atom, AtomLink, AtomSource
from memory.services.following import GRAPH_EVENTS
from memory.services.writing import Draft, Written, write_atoms
from tests.factories import MembershipFactory
from tests.workstream.factories import AT, CLERK, PATH_TO, complete_checklist, open_candidate
from workstream import services
from workstream.machines import PursuitStage
from workstream.models import Pursuit

CAPTURED = frozenset({*EVENTS, *GRAPH_EVENTS})
DAY = timedelta(days=1)


def events_to_capture(org: Organization) -> list[WorkEvent]:
    """What the organisation's pipeline has recorded so far that memory takes, in order."""
    with org_scope(org):
        return list(WorkEvent.all_orgs.filter(org=org, event_name__in=CAPTURED).order_by("pk"))


def delivered(org: Organization, event: WorkEvent) -> Delivery:
    """The event as a worker hands it over."""
    columns = {field: getattr(event, field) for field in ClaimedEvent._fields if field not in {"payload", "waited"}}
    texts = {
        "payload": json.dumps(event.payload),
        "occurred_at": event.occurred_at.isoformat(),
        "recorded_at": event.recorded_at.isoformat(),
        "waited": 0.0,
    }
    return Delivery(ClaimedEvent(**columns | texts | {"attempts": 1}), org, "memory.capture")


def captured(org: Organization, events: Iterable[WorkEvent] | None = None) -> None:
    """Hand events to memory in one batch: those given, else all there are."""
    deliveries = [delivered(org, event) for event in (events_to_capture(org) if events is None else events)]
    with org_scope(org):
        capture(deliveries)


def open_deal(
    org: Organization, *, stage: PursuitStage = PursuitStage.QUAL, actor: Actor = CLERK, **fields: Any
) -> Pursuit:
    """A pursuit of a candidate with these fields, in a stage, with its first proposal."""
    fields = {"title": "Press line", "owner": MembershipFactory(org=org).user, **fields}
    candidate = open_candidate(org, status="triaged", actor=actor, **fields)
    keys: dict[str, Any] = {"org": org, "actor": actor, "at": AT}
    pursuit = services.promote_candidate(candidate_id=candidate.pk, **keys).pursuit
    services.ensure_first_proposal(pursuit_id=pursuit.pk, **keys)
    for target in PATH_TO[stage]:
        if target in {"submit", "won", "lost"}:
            complete_checklist(pursuit, "pink" if target == "submit" else "red", actor=actor)
        services.move_pursuit(pursuit_id=pursuit.pk, stage=target, reason="They said so", **keys)
    return pursuit


def written(org: Organization, *drafts: Draft, **more: Any) -> Written:
    """Drafts written as by a use case."""
    with org_scope(org):
        return write_atoms(org=org, drafts=drafts, actor=CLERK, at=more.pop("at", AT), **more)


def draft(content: str, entity: Any, **fields: Any) -> Draft:
    """Something that a person wrote of an entity, in an activity of its own unless it says otherwise."""
    fields = {"kind": "note", "occurred_at": AT, "source_type": "activity", "source_field": "body", **fields}
    if "slot" not in fields:
        fields.setdefault("source_id", next(_numbers))
    fields.setdefault("event_id", 1)
    fields.setdefault("event_name", "activity.logged")
    return Draft(content=content, entity_type=entity._meta.model_name, entity_id=entity.pk, **fields)


_numbers = iter(range(1_000, 1_000_000))


def atoms_of(org: Organization, **wanted: Any) -> list[Atom]:
    """The organisation's atoms in the order of writing."""
    with org_scope(org):
        return list(Atom.objects.for_org(org).filter(**wanted).order_by("pk"))


def links_of_atom(atom: Atom) -> set[tuple[str, int, str]]:
    """All that an atom is visible from."""
    with org_scope(atom.org_id):
        rows = AtomLink.objects.for_org(atom.org_id).filter(atom=atom)
        return {(link.entity_type, link.entity_id, link.role) for link in rows}


def sources_of_atom(atom: Atom) -> list[AtomSource]:
    """Where an atom comes from, in the order of writing."""
    with org_scope(atom.org_id):
        return list(AtomSource.objects.for_org(atom.org_id).filter(atom=atom).order_by("pk"))


def all_that_is_known(org: Organization) -> list[tuple[Any, ...]]:
    """Every atom with its links and sources, without ids and times of writing: equal for the same knowledge."""
    return sorted(
        (
            atom.entity_type,
            atom.entity_id,
            atom.kind,
            atom.content,
            str(atom.state),
            atom.seen_count,
            atom.version,
            atom.occurred_at,
            atom.last_seen_at,
            atom.expires_at,
            sorted(atom.tags),
            atom.thread_key,
            sorted(links_of_atom(atom)),
            sorted(source.natural_key for source in sources_of_atom(atom)),
        )
        for atom in atoms_of(org)
    )
