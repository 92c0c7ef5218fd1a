"""Pairs of contacts or clients that signals took for each other, decided by a person: merged, or kept apart."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NoReturn

from django.db.models import Q

from flowledger.clients.models import ConflictStatus, IdentityConflict, MergedKind, MergeRecord
from flowledger.clients.services.merging import MODELS, merge_clients, merge_contacts
from flowledger.errors import Conflict, InvalidInput
from flowledger.tenancy.actors import Actor
from flowledger.tenancy.models import Organization
from flowledger.tenancy.permissions import authorize
from flowledger.tenancy.usecases import use_case

MERGE, KEEP_APART = "merge", "keep_apart"
RESOLUTIONS = (MERGE, KEEP_APART)


@dataclass(frozen=True)
class Sides:
    """Whom a pair is about today: a side that was merged stands for its survivor, so both may have become one."""

    kind: MergedKind
    first: Any
    second: Any

    @property
    def are_one(self) -> bool:
        return bool(self.first.pk == self.second.pk)

    def status_of(self, pair: IdentityConflict) -> ConflictStatus:
        """What became of the pair: nobody has to decide about one and the same."""
        if self.are_one and pair.status == ConflictStatus.OPEN:
            return ConflictStatus.MERGED
        return ConflictStatus(pair.status)


@dataclass(frozen=True)
class Resolved:
    """A decided pair, and the merge that the decision was, if it was one."""

    conflict: IdentityConflict
    merge: MergeRecord | None = None


def sides_of(*, org: Organization, conflicts: Sequence[IdentityConflict]) -> dict[int, Sides]:
    """By the id of each pair its two rows, from at most two queries for each of contacts and clients."""
    found: dict[int, Sides] = {}
    for kind, model in MODELS.items():
        pairs = {pair.pk: _ids(pair, kind) for pair in conflicts if _ids(pair, kind)[0] is not None}
        if not pairs:
            continue
        named = {pk for ids in pairs.values() for pk in ids}
        rows = model.objects.for_org(org).in_bulk(named)
        survivors = {row.canonical_id for row in rows.values() if row.canonical_id is not None} - set(rows)
        rows |= model.objects.for_org(org).in_bulk(survivors) if survivors else {}
        for pair_id, ids in pairs.items():
            first, second = (rows[rows[pk].canonical_id or pk] for pk in ids)
            found[pair_id] = Sides(kind=kind, first=first, second=second)
    return found


@use_case
def resolve_conflict(
    *,
    org: Organization,
    conflict_id: int,
    resolution: str,
    survivor_id: int | None = None,
    choices: Mapping[str, Any] | None = None,
    note: str = "",
    actor: Actor,
    at: datetime,
) -> Resolved:
    """Decide a pair: `merge` into `survivor_id`, one of the two, or `keep_apart`, so that it is never proposed again.

    Other open pairs of the same two go the same way. `choices` are those of the merge. Raises NotFound,
    PermissionRefused (a merge takes a manager), InvalidInput for an unknown resolution and a survivor that is neither,
    Conflict for a pair that was decided already or has become one.
    """
    pair: IdentityConflict = IdentityConflict.objects.for_org(org).fetch(conflict_id)
    authorize(actor, "merge" if resolution == MERGE else "keep_apart", pair)
    if resolution not in RESOLUTIONS:
        _refuse("resolution", f"Choose one of: {', '.join(RESOLUTIONS)}.")
    sides = sides_of(org=org, conflicts=[pair])[pair.pk]
    if sides.are_one:
        raise Conflict(
            f"Both are {sides.kind} {sides.first.pk} by now: they were merged. There is nothing left to decide.",
            **{f"{sides.kind}_id": sides.first.pk},
        )
    _require_open(pair)
    if resolution == MERGE:
        return _merged(org, pair, sides, survivor_id, choices or {}, note=note, actor=actor, at=at)
    pairs = IdentityConflict.objects.for_org(org).open().filter(_about(org, sides)).order_by("pk").locked()
    found: dict[int, IdentityConflict] = {each.pk: each for each in pairs}
    if pair.pk not in found:
        raise Conflict("Somebody decided about this pair just now; look at it again.")
    for each in found.values():
        each.keep_apart(note=note.strip()[:500], actor=actor, at=at)
        each.save(update_fields=["status", "resolved_at", "resolved_by", "note"])
    return Resolved(conflict=found[pair.pk])


def _merged(
    org: Organization,
    pair: IdentityConflict,
    sides: Sides,
    survivor_id: int | None,
    choices: Mapping[str, Any],
    *,
    note: str,
    actor: Actor,
    at: datetime,
) -> Resolved:
    """The merge settles the pair, with every other pair of the two."""
    ids = [sides.first.pk, sides.second.pk]
    if survivor_id is None or survivor_id not in ids:
        _refuse("survivor_id", f"Say which {sides.kind} stays: {ids[0]} or {ids[1]}.")
    loser_id = ids[1] if survivor_id == ids[0] else ids[0]
    merge = merge_contacts if sides.kind is MergedKind.CONTACT else merge_clients
    record = merge(
        org=org, survivor_id=survivor_id, loser_id=loser_id, choices=choices, reason=note, actor=actor, at=at
    )
    pair = IdentityConflict.objects.for_org(org).fetch(pair.pk)
    if pair.status != ConflictStatus.MERGED:
        raise Conflict("Somebody decided about this pair just now; look at it again.")
    return Resolved(conflict=pair, merge=record)


def _require_open(pair: IdentityConflict) -> None:
    if pair.status != ConflictStatus.OPEN:
        decided = f"{pair.resolved_at:%Y-%m-%d %H:%M} UTC" if pair.resolved_at else "before"
        raise Conflict(
            f"This pair was decided {decided}: {pair.get_status_display().lower()}.", resolution=str(pair.status)
        )


def _about(org: Organization, sides: Sides) -> Q:
    """Pairs whose sides are these two, or stand for them."""
    model = MODELS[sides.kind]
    firsts, seconds = (
        [row.pk, *model.objects.for_org(org).filter(canonical_id=row.pk).values_list("pk", flat=True)]
        for row in (sides.first, sides.second)
    )
    side, other = sides.kind.value, f"other_{sides.kind}"
    return Q(**{f"{side}__in": firsts, f"{other}__in": seconds}) | Q(**{f"{side}__in": seconds, f"{other}__in": firsts})


def _ids(pair: IdentityConflict, kind: MergedKind) -> tuple[int, int]:
    return getattr(pair, f"{kind}_id"), getattr(pair, f"other_{kind}_id")


def _refuse(field: str, sentence: str) -> NoReturn:
    raise InvalidInput(sentence, fields={field: [sentence]})
