"""Capture: what happened becomes atoms, by the rules of the organisation; links follow the graph."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from flowledger.outbox.causes import Cause
from flowledger.tenancy.actors import Actor, ActorKind
from flowledger.tenancy.models import Organization
from flowledger.tenancy.permissions import authorize
from flowledger.tenancy.usecases import use_case
from memory.capture_rules import EVENTS, Capture, EventFacts, EventRule, fill
from memory.extraction import EXTRACTOR, detect_language, extract
from memory.rules import CAPTURE
from memory.services.drafts import Draft, Written
from memory.services.extraction_jobs import want_extractions
from memory.services.following import follow_graph, moved_by
from memory.services.ledger import held_ledger
from memory.services.linking import hold_subjects
from memory.services.passages import rest_of
from memory.services.sources import Source, because, read_sources
from memory.services.writing import write_atoms
from memory.sql.ledger import set_patience
from workstream.machines import PursuitStage
from workstream.rendering import money

# The drain runs other handlers in the same transaction, which may hold what a redaction waits for. Whoever waits for
# locks no longer than this never waits in a circle; the drain tries again.
PATIENCE = timedelta(milliseconds=400)
TEMPLATE = "template:1"


@dataclass(frozen=True)
class Happening:
    """An event as memory takes it: what it says, when, by whom; `cause` is bound around what is recorded of it."""

    event_id: int
    event_name: str
    payload: Mapping[str, Any]
    occurred_at: datetime
    actor: Actor
    is_imported: bool = False
    cause: Cause | None = None


@use_case
def capture_events(*, org: Organization, happenings: Sequence[Happening], actor: Actor, at: datetime) -> Written:
    """Remember what happened, each event once however often it comes, and link anew what it moved in the graph.

    The rows are read again under the ledger: what was redacted is not there to be read. Raises PermissionRefused.
    """
    authorize(actor, "capture_memory")
    set_patience(PATIENCE)
    ledger = held_ledger(org)
    drafts = list(_drafts(org, happenings))
    moved = moved_by(org, happenings)
    hold_subjects(org, {draft.entity for draft in drafts} | moved)
    set_patience(None)
    touched = follow_graph(org, moved, happenings, at=at)
    written = write_atoms(
        org=org,
        drafts=drafts,
        actor=actor,
        at=at,
        causes={each.event_id: each.cause for each in happenings if each.cause is not None},
        ledger=ledger,
        marks=touched,
    )
    want_extractions(org, [*written.created, *written.changed], at)
    return written


def _drafts(org: Organization, happenings: Sequence[Happening]) -> Iterator[Draft]:
    rules = CAPTURE.of(org)
    wanted = [(each, rule) for each in happenings if (rule := _rule_for(rules, each)) is not None]
    ids: dict[str, set[int]] = defaultdict(set)
    for happening, _ in wanted:
        ids[EVENTS[happening.event_name].source_type] |= set(_row_ids(happening))
    sources = {kind: read_sources(org, kind, pks) for kind, pks in ids.items()}
    for happening, rule in wanted:
        facts = EVENTS[happening.event_name]
        rows = sources[facts.source_type]
        source, *others = (rows.get(pk) for pk in _row_ids(happening))
        if source is None or None in others:
            # It is gone, and what it said with it.
            continue
        yield from _of_one(happening, rule, facts, source, others[0] if others else None, rules=rules)


def _rule_for(rules: Capture, happening: Happening) -> EventRule | None:
    """The rule by which an event is remembered, if it is."""
    if happening.event_name not in EVENTS:
        return None
    if happening.event_name == "identity.resolved" and (
        happening.payload["status"] != "created" or happening.payload["contact_id"] is None
    ):
        return None
    rule = rules.rule(happening.event_name)
    return rule if rule.is_on else None


def _row_ids(happening: Happening) -> list[int]:
    """The row that an event tells of, and of a merge the other one."""
    facts = happening.payload
    name = EVENTS[happening.event_name].id_field
    other = facts.get(f"merged_{name}")
    return [facts[name]] if other is None else [facts[name], other]


def _of_one(
    happening: Happening,
    rule: EventRule,
    facts: EventFacts,
    source: Source,
    other: Source | None,
    *,
    rules: Capture,
) -> Iterator[Draft]:
    entity_type = rule.entity or facts.entities[0]
    if entity_type == "item":
        entity_type, entity_id = source.item
    elif entity_type in source.entities:
        entity_id = source.entities[entity_type]
    else:
        # It has no client yet, say: then it is about the event's own entity.
        entity_type = facts.entities[0]
        entity_id = source.entities[entity_type]
    again = f":{happening.event_id}" if facts.recurs else ""
    shared: dict[str, Any] = {
        "entity_type": entity_type,
        "entity_id": entity_id,
        "occurred_at": source.happened_at or happening.occurred_at,
        "source_type": source.source_type,
        "source_id": source.source_id,
        "event_id": happening.event_id,
        "event_name": happening.event_name,
        "audience": rule.audience,
        "author_id": happening.actor.user_id if happening.actor.kind == ActorKind.USER else None,
        "url": source.url,
        "origin_id": source.origin_id,
        "actor": happening.actor,
    }
    is_noise = rule.kind == "status" and happening.is_imported and not rules.imported_status
    if rule.template and not is_noise:
        content = fill(rule.template, {**source.slots, **_event_slots(happening, facts, source, other)})
        yield Draft(
            kind=rule.kind, content=content, slot=f"said{again}", extractor=TEMPLATE, tags=source.tags, **shared
        )
    if rule.reads != "nothing":
        for name in facts.texts:
            if name in source.texts:
                yield from _of_text(rule, source, name, again, shared)


def _of_text(rule: EventRule, source: Source, name: str, again: str, shared: dict[str, Any]) -> Iterator[Draft]:
    """The statements of a text, and the rest of it as notes, in its order: each sentence once."""
    passage = source.passage(name, written_on=shared["occurred_at"].date())
    language = detect_language(passage.text)
    found = extract(passage, language)
    notes = rest_of(passage, found) if rule.reads == "everything" else []
    for each in sorted([*found, *notes], key=lambda each: (each.start, each.kind)):
        yield Draft(
            kind=each.kind,
            content=each.text,
            source_field=name,
            slot=f"{each.slot}{again}",
            extractor=EXTRACTOR,
            span=(each.start, each.end),
            confidence=each.confidence,
            language=language,
            tags=(*each.tags, *source.tags),
            is_outsiders=source.is_outsiders,
            **shared,
        )


def _event_slots(happening: Happening, facts: EventFacts, source: Source, other: Source | None) -> dict[str, str]:
    """What the event itself knows, and the row does not know any more."""
    payload = happening.payload
    reason = next((source.texts.get(name, "") for name in facts.texts if name.endswith("_reason")), "")
    slots = {"because": because(reason)}
    if "value" in payload:
        slots["worth"] = f", worth {money(Decimal(payload['value']), payload['currency'])}"
    for name in ("stage", "previous_stage"):
        if payload.get(name) in PursuitStage.values:
            slots[name] = PursuitStage(payload[name]).label
    if other is not None:
        slots["other"] = other.slots["name"]
    return slots
