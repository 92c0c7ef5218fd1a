"""Merging two contacts, or two clients: one survives, the other stays as a tombstone that redirects to it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

from django.db import transaction

from flowledger.clients.events import ClientMerged, ContactMerged, IdentityConflictResolved
from flowledger.clients.merge_graph import Reference, references_to
from flowledger.clients.models import (
    Client,
    ConflictStatus,
    Contact,
    IdentityConflict,
    IdentityKey,
    MergedKind,
    MergedRow,
    MergeRecord,
)
from flowledger.clients.services.keys import lock_keys
from flowledger.clients.services.merge_fields import FieldPair, chosen_values, pairs_of, state_of
from flowledger.clients.sql import merging as sql
from flowledger.errors import Conflict, InvalidInput, NotFound
from flowledger.outbox.recording import record_events
from flowledger.tenancy.actors import Actor
from flowledger.tenancy.models import Organization
from flowledger.tenancy.permissions import authorize
from flowledger.tenancy.scope import org_scope
from flowledger.tenancy.usecases import use_case

Choice = Literal["survivor", "loser", "both"]
Directory = type[Client] | type[Contact]

MODELS: dict[MergedKind, Directory] = {MergedKind.CONTACT: Contact, MergedKind.CLIENT: Client}
OTHER_KIND = {MergedKind.CONTACT: MergedKind.CLIENT, MergedKind.CLIENT: MergedKind.CONTACT}
# How a merge notes that it settled a pair that was to be decided; its undo opens the pair again.
SETTLED = ("clients.identityconflict", "status")


@dataclass(frozen=True)
class Moves:
    """How many rows of one foreign key a merge moves, and how many stay because the survivor has theirs already."""

    label: str
    name: str
    moved: int
    left: int


@dataclass(frozen=True)
class MergePreview:
    """What a merge would do: both sides field by field, with what is taken unless chosen otherwise, and what moves."""

    kind: MergedKind
    survivor: Any
    loser: Any
    fields: list[FieldPair]
    moves: list[Moves] = field(default_factory=list)


@use_case
def merge_contacts(
    *,
    org: Organization,
    survivor_id: int,
    loser_id: int,
    choices: Mapping[str, Choice] | None = None,
    reason: str = "",
    actor: Actor,
    at: datetime,
) -> MergeRecord:
    """Let a contact take in another: everything that names the loser names the survivor, the loser becomes a tombstone.

    `choices` says for a field whose value stays: "survivor", "loser", or for JSON objects "both" (the survivor's
    entries win). A field that is not chosen keeps the survivor's value, takes the loser's where the survivor's is
    blank, and joins objects. A row that a unique constraint keeps from naming the survivor, which has its twin, stays
    with the tombstone. Raises NotFound, PermissionRefused, InvalidInput for an unknown field or choice and for a merge
    with itself, Conflict, which names the survivor, when one of the two is a tombstone already.
    """
    authorize(actor, "merge")
    return _merge(
        org=org,
        kind=MergedKind.CONTACT,
        survivor_id=survivor_id,
        loser_id=loser_id,
        choices=choices or {},
        reason=reason,
        actor=actor,
        at=at,
    )


@use_case
def merge_clients(
    *,
    org: Organization,
    survivor_id: int,
    loser_id: int,
    choices: Mapping[str, Choice] | None = None,
    reason: str = "",
    actor: Actor,
    at: datetime,
) -> MergeRecord:
    """Let a client take in another, contacts, onboarding and pipeline items with it; otherwise as `merge_contacts`."""
    authorize(actor, "merge")
    return _merge(
        org=org,
        kind=MergedKind.CLIENT,
        survivor_id=survivor_id,
        loser_id=loser_id,
        choices=choices or {},
        reason=reason,
        actor=actor,
        at=at,
    )


def preview_merge(
    *,
    org: Organization,
    kind: str,
    survivor_id: int,
    loser_id: int,
    choices: Mapping[str, Choice] | None = None,
    actor: Actor,
) -> MergePreview:
    """What `merge_contacts` or `merge_clients` would do (`kind` is contact or client), without doing it.

    Raises as the merge itself.
    """
    authorize(actor, "merge")
    with org_scope(org):
        merged = MergedKind(kind)
        model = MODELS[merged]
        survivor, loser = _pair(org, merged, survivor_id, loser_id, model.objects.for_org(org))
        chosen_values(survivor, loser, choices or {})
        moves = []
        for reference in references_to(model):
            left = reference.colliding(org, loser=loser.pk, survivor=survivor.pk).count() if reference.is_unique else 0
            if found := reference.naming(org, loser.pk).count():
                name = str(reference.model._meta.verbose_name_plural)
                moves.append(Moves(label=reference.label, name=name, moved=found - left, left=left))
        return MergePreview(
            kind=merged, survivor=survivor, loser=loser, fields=pairs_of(survivor, loser, choices or {}), moves=moves
        )


@use_case
def move_stragglers(*, org: Organization, merge_id: int, actor: Actor, at: datetime) -> int:
    """Move what came to name the loser while it was merged, by transactions that had read it before.

    Waits for those that are under way. For the handler of the merge's event: a merge that was undone since is left
    alone, and again there is nothing to move. Answers how many references moved. Raises NotFound, PermissionRefused.
    """
    authorize(actor, "merge")
    record: MergeRecord = MergeRecord.objects.for_org(org).locked().fetch(merge_id)
    if record.undone_at is not None:
        return 0
    model = MODELS[MergedKind(record.entity_type)]
    # Whoever has written a reference holds the tombstone's key until they commit. The lock is given back at once:
    # held on, it would keep writers waiting for us who hold rows that we want.
    waited = transaction.savepoint()
    list(model.objects.for_org(org).filter(pk=record.loser_id).select_for_update().values_list("pk"))
    transaction.savepoint_rollback(waited)
    moved = _move_all(org, record, model, at=at)
    if any(moved.values()):
        record.moved = {name: record.moved.get(name, 0) + moved.get(name, 0) for name in {*record.moved, *moved}}
        record.save(update_fields=["moved"])
    return sum(moved.values())


def lock_two(model: Directory, *, org: Organization, ids: tuple[int, int]) -> Any:
    """Lock the keys of two rows and then the rows, in the order in which everybody does; answers the rows' queryset.

    Resolution holds keys while it refers to rows.
    """
    lock_keys(IdentityKey.objects.for_org(org).filter(**{f"{model._meta.model_name}__in": ids}))
    return model.objects.for_org(org).locked()


def _merge(
    *,
    org: Organization,
    kind: MergedKind,
    survivor_id: int,
    loser_id: int,
    choices: Mapping[str, Choice],
    reason: str,
    actor: Actor,
    at: datetime,
) -> MergeRecord:
    model = MODELS[kind]
    # Looked at before anything is locked: a tombstone's row is locked by merges of its survivor after the survivor's.
    _pair(org, kind, survivor_id, loser_id, model.objects.for_org(org))
    rows = lock_two(model, org=org, ids=(survivor_id, loser_id))
    survivor, loser = _pair(org, kind, survivor_id, loser_id, rows)
    record = MergeRecord(
        org=org,
        entity_type=kind,
        survivor_id=survivor.pk,
        loser_id=loser.pk,
        survivor_before=state_of(survivor),
        loser_before=state_of(loser),
        merged_at=at,
        merged_by_id=actor.user_id,
        merged_by_label=actor.label[:200],
        reason=reason.strip()[:500],
    )
    record.choices, values = chosen_values(survivor, loser, choices)
    # First of all: the address of a tombstone is free for the survivor.
    loser.canonical_id = survivor.pk
    loser.save(update_fields=["canonical"])
    for name, value in values.items():
        setattr(survivor, name, value)
    survivor.save(update_fields=[*values])
    record.survivor_after = state_of(survivor)
    record.save()
    record.left = _left(org, record, model)
    moved = _move_all(org, record, model, at=at)
    # Once more for what was written meanwhile by transactions that we waited for.
    later = _move_all(org, record, model, at=at)
    record.moved = {name: moved[name] + later[name] for name in moved if moved[name] + later[name]}
    _record_event(record, kind, actor=actor, at=at)
    record.save(update_fields=["moved", "left"])
    _settle_pairs(org, record, kind, actor=actor, at=at)
    return record


def _pair(org: Organization, kind: MergedKind, survivor_id: int, loser_id: int, rows: Any) -> tuple[Any, Any]:
    """Both rows, fit to be merged. Raises NotFound, InvalidInput, Conflict with a sentence that says what to do."""
    if survivor_id == loser_id:
        sentence = f"A {kind} cannot be merged with itself; name two different {kind}s."
        raise InvalidInput(sentence, fields={"loser_id": [sentence]})
    found = {row.pk: row for row in rows.filter(pk__in=(survivor_id, loser_id)).order_by("pk")}
    for pk in (survivor_id, loser_id):
        if pk not in found:
            raise _missing(org, kind, pk)
    for pk in (survivor_id, loser_id):
        if (survives := found[pk].canonical_id) is not None:
            raise Conflict(
                f"The {kind} {pk} was merged into {kind} {survives} already; name {survives} instead, or undo that "
                "merge first.",
                **{f"{kind}_id": survives},
            )
    return found[survivor_id], found[loser_id]


def _missing(org: Organization, kind: MergedKind, pk: int) -> NotFound:
    other = OTHER_KIND[kind]
    if MODELS[other].objects.for_org(org).filter(pk=pk).exists():
        return NotFound(
            f"There is no {kind} {pk} in this organisation; {pk} is a {other}, and a {kind} merges with a {kind} only."
        )
    return NotFound(f"There is no {kind} {pk} in this organisation.")


def _left(org: Organization, record: MergeRecord, model: Directory) -> dict[str, int]:
    """How many rows stay with the tombstone, because the survivor has their twins."""
    counted = {
        reference.label: reference.colliding(org, loser=record.loser_id, survivor=record.survivor_id).count()
        for reference in references_to(model)
        if reference.is_unique
    }
    return {label: count for label, count in counted.items() if count}


def _move_all(org: Organization, record: MergeRecord, model: Directory, *, at: datetime) -> dict[str, int]:
    return {reference.label: _move(org, record, reference, at=at) for reference in references_to(model)}


def _move(org: Organization, record: MergeRecord, reference: Reference, *, at: datetime) -> int:
    left: list[int] = []
    if reference.is_unique:
        rows = reference.colliding(org, loser=record.loser_id, survivor=record.survivor_id)
        left = list(rows.values_list("pk", flat=True))
    return sql.move(
        reference,
        org_id=org.pk,
        merge_id=record.pk,
        survivor=record.survivor_id,
        loser=record.loser_id,
        left=left,
        at=at,
    )


def _record_event(record: MergeRecord, kind: MergedKind, *, actor: Actor, at: datetime) -> None:
    facts = {"merge_id": record.pk}
    if kind is MergedKind.CONTACT:
        record.record(
            ContactMerged(contact_id=record.survivor_id, merged_contact_id=record.loser_id, **facts), actor=actor, at=at
        )
    else:
        record.record(
            ClientMerged(client_id=record.survivor_id, merged_client_id=record.loser_id, **facts), actor=actor, at=at
        )


def _settle_pairs(org: Organization, record: MergeRecord, kind: MergedKind, *, actor: Actor, at: datetime) -> None:
    """Close the pairs that were to be decided and whose sides are the same now."""
    family = _family(org, record, kind)
    open_pairs = IdentityConflict.objects.for_org(org).open()
    pairs = open_pairs.filter(**{f"{kind}__in": family, f"other_{kind}__in": family}).order_by("pk").locked()
    found = list(pairs)
    if not found:
        return
    model, name = SETTLED
    trail = [
        MergedRow(
            org=org,
            merge=record,
            model=model,
            field=name,
            row_id=pair.pk,
            version_before=pair.row_version,
            version_after=pair.row_version + 1,
            updated_before=pair.updated_at,
        )
        for pair in found
    ]
    MergedRow.objects.for_org(org).bulk_create(trail)
    IdentityConflict.objects.for_org(org).filter(pk__in=[pair.pk for pair in found]).update(
        status=ConflictStatus.MERGED, resolved_at=at, resolved_by_id=actor.user_id, updated_at=at
    )
    facts = [
        (org.pk, IdentityConflictResolved(conflict_id=pair.pk, resolution="merged", merge_id=record.pk))
        for pair in found
    ]
    record_events(facts=facts, actor=actor, at=at)


def _family(org: Organization, record: MergeRecord, kind: MergedKind) -> list[int]:
    """The survivor and everybody who was merged into it."""
    tombstones = MODELS[kind].objects.for_org(org).filter(canonical_id=record.survivor_id)
    return [record.survivor_id, *tombstones.values_list("pk", flat=True)]
