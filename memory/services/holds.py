"""Legal holds: while one stands, what is remembered of its entity is neither archived nor redacted."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime

from django.apps import apps

from flowledger.errors import Conflict, InvalidInput, NotFound
from flowledger.tenancy.actors import Actor
from flowledger.tenancy.models import Organization
from flowledger.tenancy.permissions import authorize
from flowledger.tenancy.usecases import use_case
from memory.models import ENTITY_MODELS, LegalHold
from memory.services.ledger import ledger_of
from memory.services.reasons import checked_reason
from memory.sql import holds as sql


@use_case
def place_hold(
    *, org: Organization, entity_type: str, entity_id: int, reason: str, actor: Actor, at: datetime
) -> LegalHold:
    """Keep all that is visible from an entity, for a reason, until the hold is released.

    Waits for redactions that are running; none begins on what is held. Raises PermissionRefused, NotFound for the
    entity, InvalidInput.
    """
    authorize(actor, "hold_memory")
    require_entity(org, entity_type, entity_id)
    said = checked_reason(reason, missing="Say why.")
    ledger_of(org)
    sql.take_ledger(org_id=org.pk)
    hold = LegalHold(org=org, **{f"{entity_type}_id": entity_id}, reason=said)
    hold.place(actor=actor, at=at)
    hold.save()
    return hold


@use_case
def release_hold(*, org: Organization, hold_id: int, reason: str, actor: Actor, at: datetime) -> LegalHold:
    """End a hold: what it kept expires again. Raises NotFound, PermissionRefused, InvalidInput, Conflict."""
    hold: LegalHold = LegalHold.objects.for_org(org).locked().fetch(hold_id)
    authorize(actor, "hold_memory")
    said = checked_reason(reason, missing="Say why.")
    if hold.released_at is not None:
        raise Conflict(f"This hold was released on {hold.released_at:%Y-%m-%d} already.")
    hold.release(reason=said, actor=actor, at=at)
    hold.save()
    return hold


def held_atom_ids(org: Organization, atom_ids: Collection[int]) -> set[int]:
    """Which of the atoms a standing hold covers. Ask while the ledger is held, so that none is placed meanwhile."""
    return sql.held(org_id=org.pk, atom_ids=atom_ids) if atom_ids else set()


def require_unheld(org: Organization, atom_ids: Collection[int]) -> None:
    """Raise Conflict when a standing hold covers any of the atoms. Ask while the ledger is held."""
    held = held_atom_ids(org, atom_ids)
    if held:
        named = "This is" if len(atom_ids) == 1 else f"{len(held):,} of {len(atom_ids):,} atoms are"
        raise Conflict(f"{named} under a legal hold; an administrator has to release it first.", held=len(held))


def require_entity(org: Organization, entity_type: str, entity_id: int) -> None:
    """Raise InvalidInput for what is no kind of entity, NotFound for a row that is not there."""
    label = ENTITY_MODELS.get(entity_type)
    if label is None:
        sentence = f"This is one of {', '.join(ENTITY_MODELS)}."
        raise InvalidInput(f"entity_type: {sentence}", fields={"entity_type": [sentence]})
    if not apps.get_model(label).objects.for_org(org).filter(pk=entity_id).exists():
        raise NotFound(f"There is no {entity_type} {entity_id} in this organisation.")
