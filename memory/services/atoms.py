"""Single atoms by hand: written, put right, pinned, archived, brought back."""

from __future__ import annotations

import uuid
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from flowledger.errors import Conflict, InvalidInput, NotFound, Stale
from flowledger.outbox.recording import bulk_record
from flowledger.tenancy.actors import Actor
from flowledger.tenancy.models import Organization
from flowledger.tenancy.permissions import authorize
from flowledger.tenancy.usecases import use_case
from memory import events
from memory.extraction import detect_language
from memory.machines import AtomState
from memory.models import Atom, Audience, Kind
from memory.relevance import expires_at
from memory.rules import KINDS
from memory.services.cards import drop_cards, mark_cards
from memory.services.holds import require_entity, require_unheld
from memory.services.ledger import held_ledger
from memory.services.reasons import fault_of
from memory.services.versions import CHANGE, ERROR, Amendment, amend_atoms
from memory.services.writing import Draft, write_atoms
from memory.sql.cards import linked_to
from workstream.machines import require_legal

MOST_TEXT = 5_000
MOST_TAGS = 20
LONGEST_TAG = 50
# Clocks of callers may be a little ahead.
_AHEAD = timedelta(minutes=5)
_GONE = "This atom was redacted: what it said is gone for good."


@dataclass(frozen=True)
class Remembered:
    """The atom that says it now; not `created` when another one said the same already and was confirmed."""

    atom: Atom
    created: bool


@use_case
def write_atom(
    *,
    org: Organization,
    entity_type: str,
    entity_id: int,
    kind: str,
    content: str,
    tags: Sequence[str] = (),
    audience: str = Audience.EVERYONE,
    occurred_at: datetime | None = None,
    valid_from: datetime | None = None,
    valid_until: datetime | None = None,
    actor: Actor,
    at: datetime,
) -> Remembered:
    """Remember what a person knows of an entity; its source is the person.

    What another atom of the entity says almost word for word is confirmed instead. Raises PermissionRefused, NotFound
    for the entity, InvalidInput.
    """
    authorize(actor, "write_atom")
    require_entity(org, entity_type, entity_id)
    if audience == Audience.MANAGERS:
        authorize(actor, "see_memory_of_managers")
    happened = occurred_at or at
    text, labels = content.strip(), list(dict.fromkeys(tag.strip() for tag in tags if tag.strip()))
    wrong = _wrong_text(text) | _wrong_tags(labels) | _wrong_times(happened, valid_from, valid_until, at)
    if kind not in Kind.values:
        wrong["atom_type"] = [f"This is one of {', '.join(Kind.values)}."]
    if audience not in Audience.values:
        wrong["audience"] = [f"This is one of {', '.join(Audience.values)}."]
    elif audience == Audience.AUTHOR and actor.user_id is None:
        wrong["audience"] = ["Only a person can keep something to themselves; a key cannot."]
    _refuse(wrong)
    held_ledger(org)
    draft = Draft(
        kind=kind,
        content=text,
        entity_type=entity_type,
        entity_id=entity_id,
        occurred_at=happened,
        source_type="manual",
        source_id=actor.user_id,
        # Whoever says it again says it again: no two of these are the same source.
        slot=str(uuid.uuid4()),
        language=detect_language(text),
        tags=tuple(labels),
        audience=audience,
        author_id=actor.user_id,
        valid_from=valid_from,
        valid_until=valid_until,
        actor=actor,
    )
    written = write_atoms(org=org, drafts=[draft], actor=actor, at=at)
    found = [*written.created, *written.confirmed, *written.changed, *written.unchanged]
    if not found:
        raise NotFound(f"There is no {entity_type} {entity_id} in this organisation any more.")
    return Remembered(Atom.objects.for_org(org).get(pk=found[0]), created=bool(written.created))


@use_case
def correct_atom(
    *,
    org: Organization,
    atom_id: int,
    content: str,
    because: str = ERROR,
    reason: str,
    expected_version: int | None = None,
    valid_from: datetime | None = None,
    valid_until: datetime | None = None,
    actor: Actor,
    at: datetime,
) -> Atom:
    """Put an atom right: a new version takes the place of the old one, which only auditors see from then on.

    `because` is `error` for what was wrong all along, `change` for a fact that changed at `valid_from` (or now). From
    then on no extraction changes the atom. Raises NotFound for an atom that the actor may not read, PermissionRefused,
    Stale when `expected_version` is not its version, Conflict when it was redacted or superseded, InvalidInput.
    """
    ledger = held_ledger(org)
    atom = _locked(org, atom_id, actor)
    authorize(actor, "correct_atom")
    if expected_version is not None and expected_version != atom.version:
        raise Stale("Somebody changed this since you read it; read it again and repeat your change.")
    if atom.state == AtomState.REDACTED:
        raise Conflict(_GONE)
    if atom.state == AtomState.SUPERSEDED:
        raise Conflict(
            "A newer atom took the place of this one; correct that one.", superseded_by_id=atom.superseded_by_id
        )
    text, said = content.strip(), reason.strip()
    wrong = _wrong_text(text) | _wrong_amendment(atom, because, valid_from, valid_until, at)
    if text == atom.content and "content" not in wrong:
        wrong["content"] = ["This is what it says already."]
    if sentence := fault_of(said, missing="Say why it is changed."):
        wrong["reason"] = [sentence]
    _refuse(wrong)
    amendment = Amendment(
        atom=atom,
        content=text,
        because=because,
        reason=said,
        valid_from=valid_from,
        valid_until=valid_until,
        language=detect_language(text),
        locks=True,
    )
    amend_atoms(org=org, ledger=ledger, amendments=[amendment], actor=actor, at=at)
    atom.record(events.AtomCorrected(atom_id=atom.pk, version=atom.version, because=str(because)), actor=actor, at=at)
    bulk_record([atom])
    if because == ERROR:
        # What was wrong must not be read for as long as a card waits to be built anew.
        drop_cards(org, [atom.pk])
    mark_cards_of(org, [atom.pk], at)
    return atom


@use_case
def pin_atom(*, org: Organization, atom_id: int, actor: Actor, at: datetime) -> Atom:
    """Keep an atom from being archived until it is unpinned. Raises NotFound, PermissionRefused, Conflict."""
    held_ledger(org)
    atom = _locked(org, atom_id, actor)
    authorize(actor, "pin_atom")
    if atom.state != AtomState.ACTIVE:
        raise Conflict(_GONE if atom.state == AtomState.REDACTED else "Only an active atom can be pinned; restore it.")
    return _pinned(org, atom, is_pinned=True, at=at)


@use_case
def unpin_atom(*, org: Organization, atom_id: int, actor: Actor, at: datetime) -> Atom:
    """Let an atom expire like any other. Raises NotFound, PermissionRefused."""
    held_ledger(org)
    atom = _locked(org, atom_id, actor)
    authorize(actor, "pin_atom")
    return _pinned(org, atom, is_pinned=False, at=at)


@use_case
def archive_atom(*, org: Organization, atom_id: int, actor: Actor, at: datetime) -> Atom:
    """Take an atom off cards and default search by hand; it can still be asked for, and brought back.

    Raises NotFound, PermissionRefused, InvalidTransition, Conflict for one that is pinned or under a legal hold.
    """
    held_ledger(org)
    atom = _locked(org, atom_id, actor)
    authorize(actor, "archive_atom")
    require_legal(atom, to=AtomState.ARCHIVED)
    if atom.is_pinned:
        raise Conflict("This atom is pinned; unpin it first.")
    require_unheld(org, [atom.pk])
    atom.archive(cause="hand", actor=actor, at=at)
    atom.save()
    mark_cards_of(org, [atom.pk], at)
    return atom


@use_case
def restore_atom(*, org: Organization, atom_id: int, actor: Actor, at: datetime) -> Atom:
    """Bring an archived atom back; it counts as seen now, and expires anew from here.

    Raises NotFound, PermissionRefused, InvalidTransition, Conflict when what it says holds no more.
    """
    held_ledger(org)
    atom = _locked(org, atom_id, actor)
    authorize(actor, "archive_atom")
    require_legal(atom, to=AtomState.ACTIVE)
    if atom.valid_until is not None and atom.valid_until <= at:
        raise Conflict(
            f"What this atom says held until {atom.valid_until:%Y-%m-%d} only; correct it, with until when it holds."
        )
    atom.last_seen_at = max(atom.last_seen_at, at)
    ends = expires_at(
        KINDS.of(org),
        kind=atom.kind,
        points=atom.base_score,
        confidence=atom.confidence,
        last_seen_at=atom.last_seen_at,
        valid_until=atom.valid_until,
    )
    atom.restore(expires_at=ends, actor=actor, at=at)
    atom.save()
    mark_cards_of(org, [atom.pk], at)
    return atom


def mark_cards_of(org: Organization, atom_ids: Collection[int], at: datetime) -> None:
    """Have the cards of all that the atoms are visible from built anew. Call it last in the transaction."""
    linked = linked_to(org.pk, list(atom_ids))
    mark_cards(org, [(name, entity_id) for name, ids in linked.items() for entity_id in ids], at)


def _locked(org: Organization, atom_id: int, actor: Actor) -> Atom:
    """The atom, locked, for somebody who may read it."""
    atom: Atom = Atom.objects.for_org(org).readable_by(actor).locked().fetch(atom_id)
    return atom


def _pinned(org: Organization, atom: Atom, *, is_pinned: bool, at: datetime) -> Atom:
    if atom.is_pinned != is_pinned:
        atom.is_pinned = is_pinned
        atom.save(update_fields=["is_pinned"])
        mark_cards_of(org, [atom.pk], at)
    return atom


def _wrong_text(text: str) -> dict[str, list[str]]:
    if not text:
        return {"content": ["Say what is to be remembered."]}
    if "\x00" in text:
        return {"content": ["NUL characters are not allowed."]}
    if len(text) > MOST_TEXT:
        return {"content": [f"Say it in at most {MOST_TEXT:,} characters."]}
    return {}


def _wrong_tags(tags: Sequence[str]) -> dict[str, list[str]]:
    if len(tags) > MOST_TAGS:
        return {"tags": [f"At most {MOST_TAGS} tags can be given."]}
    if any(len(tag) > LONGEST_TAG or "\x00" in tag for tag in tags):
        return {"tags": [f"A tag has at most {LONGEST_TAG} characters."]}
    return {}


def _wrong_times(
    happened: datetime, valid_from: datetime | None, valid_until: datetime | None, at: datetime
) -> dict[str, list[str]]:
    wrong: dict[str, list[str]] = {}
    if happened > at + _AHEAD:
        wrong["occurred_at"] = ["This lies in the future; memory is about what happened."]
    if valid_until is not None and valid_until <= (valid_from or happened):
        wrong["valid_until"] = ["This must be after it begins to hold."]
    return wrong


def _wrong_amendment(
    atom: Atom, because: str, valid_from: datetime | None, valid_until: datetime | None, at: datetime
) -> dict[str, list[str]]:
    wrong: dict[str, list[str]] = {}
    if because not in {ERROR, CHANGE}:
        wrong["because"] = ["This is error (it was wrong) or change (the fact changed)."]
    elif valid_from is not None and because == ERROR:
        wrong["valid_from"] = ["What was wrong all along has no such date; only a change has."]
    elif valid_from is not None and not atom.valid_from <= valid_from <= at + _AHEAD:
        wrong["valid_from"] = [f"The fact changed between {atom.valid_from:%Y-%m-%d} and now."]
    begins = (valid_from or at) if because == CHANGE else atom.valid_from
    if valid_until is not None and valid_until <= begins:
        wrong["valid_until"] = ["This must be after it begins to hold."]
    return wrong


def _refuse(wrong: dict[str, list[str]]) -> None:
    if wrong:
        name, sentences = next(iter(wrong.items()))
        raise InvalidInput(f"{name}: {sentences[0]}", fields=wrong)
