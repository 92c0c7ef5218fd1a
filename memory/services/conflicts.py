"""Conflicts: two atoms that contradict each other, shown side by side until somebody decides which holds."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django.db.models import QuerySet

from flowledger.errors import Conflict, InvalidInput, NotFound
from flowledger.tenancy.actors import Actor
from flowledger.tenancy.models import Organization
from flowledger.tenancy.permissions import authorize
from flowledger.tenancy.usecases import use_case
from memory.machines import AtomState, ConflictStatus
from memory.models import Atom, AtomConflict
from memory.services.atoms import mark_cards_of
from memory.services.ledger import held_ledger
from workstream.machines import require_legal

KEPT = ("older", "newer", "both")
MOST_NOTE = 500


@use_case
def resolve_atom_conflict(
    *, org: Organization, conflict_id: int, kept: str, note: str = "", actor: Actor, at: datetime
) -> AtomConflict:
    """Say which of two atoms holds; the other one is superseded by it, and with `both` they stay as they are.

    Raises NotFound also for a conflict with an atom that the actor may not read, PermissionRefused, InvalidInput,
    InvalidTransition when somebody has decided already, and Conflict when the one that is kept holds no more.
    """
    rows = readable_conflicts(org, actor).values_list("older_id", "newer_id")
    pair = rows.filter(pk=conflict_id).first()
    if pair is None:
        raise NotFound(f"There is no conflict {conflict_id} in this organisation.")
    authorize(actor, "resolve_atom_conflict")
    said = note.strip()
    if kept not in KEPT:
        sentence = f"This is one of {', '.join(KEPT)}."
        raise InvalidInput(f"kept: {sentence}", fields={"kept": [sentence]})
    if len(said) > MOST_NOTE:
        sentence = f"Say it in at most {MOST_NOTE} characters."
        raise InvalidInput(f"note: {sentence}", fields={"note": [sentence]})
    held_ledger(org)
    atoms = {atom.pk: atom for atom in Atom.objects.for_org(org).filter(pk__in=pair).order_by("pk").locked()}
    conflict: AtomConflict = AtomConflict.objects.for_org(org).locked().fetch(conflict_id)
    require_legal(conflict, to=ConflictStatus.RESOLVED)
    if kept != "both":
        _settle(atoms, conflict, kept, actor=actor, at=at)
    conflict.resolve(kept=kept, note=said, actor=actor, at=at)
    conflict.save()
    mark_cards_of(org, pair, at)
    return conflict


def readable_conflicts(org: Organization, actor: Actor) -> QuerySet[Any]:
    """The conflicts of which the actor may read both atoms."""
    readable = Atom.objects.for_org(org).readable_by(actor)
    rows: QuerySet[Any] = AtomConflict.objects.for_org(org)
    return rows.filter(older__in=readable, newer__in=readable)


def undecided(rows: QuerySet[Any]) -> QuerySet[Any]:
    """The conflicts that somebody has to decide: open, and both atoms still stand."""
    return rows.filter(status=ConflictStatus.OPEN, older__state=AtomState.ACTIVE, newer__state=AtomState.ACTIVE)


def _settle(atoms: dict[int, Atom], conflict: AtomConflict, kept: str, *, actor: Actor, at: datetime) -> None:
    """The one that is not kept is superseded, unless it was archived or removed meanwhile."""
    winner, loser = atoms[conflict.older_id], atoms[conflict.newer_id]
    if kept == "newer":
        winner, loser = loser, winner
    if winner.state != AtomState.ACTIVE:
        raise Conflict(f"The {kept} atom is {winner.get_state_display().lower()} by now; it cannot be what holds.")
    if loser.state == AtomState.ACTIVE:
        loser.supersede(by=winner, actor=actor, at=at)
        loser.save()
