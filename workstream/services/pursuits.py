"""Use cases of pursuits."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, datetime
from decimal import Decimal
from typing import Any

from django.db.models import Sum

from flowledger.errors import InvalidInput
from flowledger.tenancy.actors import Actor
from flowledger.tenancy.models import Organization
from flowledger.tenancy.permissions import authorize
from flowledger.tenancy.usecases import use_case
from workstream import clocks, events, gates
from workstream.machines import PursuitStage, require_legal
from workstream.models import CostEntry, Pursuit, PursuitTag
from workstream.rules import rules_for
from workstream.services.changes import changed_names
from workstream.services.taxonomy import attach_tags

PURSUIT_FIELDS = frozenset(
    {
        "client",
        "contact",
        "title",
        "due_date",
        "owner",
        "capture_lead",
        "proposal_manager",
        "forecast_value",
        "currency",
        "probability",
    }
)


@use_case
def update_pursuit(
    *,
    org: Organization,
    pursuit_id: int,
    fields: Mapping[str, Any],
    tags: Sequence[str] | None = None,
    actor: Actor,
    at: datetime,
) -> Pursuit:
    """Change plain fields and tags; the stage moves by its verbs only.

    Raises NotFound, PermissionRefused, InvalidInput for an unknown field and for taking the client from a pursuit
    that has passed qualification.
    """
    pursuit: Pursuit = Pursuit.objects.for_org(org).locked().fetch(pursuit_id)
    authorize(actor, "edit_pursuit", pursuit)
    unknown = sorted(set(fields) - PURSUIT_FIELDS)
    if unknown:
        raise InvalidInput(
            f"A pursuit has no field {', '.join(unknown)} to write.",
            fields={name: ["This cannot be written."] for name in unknown},
        )
    changed = changed_names(pursuit, fields)
    for name, value in fields.items():
        setattr(pursuit, name, value)
    if not pursuit.title.strip():
        raise InvalidInput("A pursuit needs a title.", fields={"title": ["This must not be blank."]})
    if pursuit.client_id is None and pursuit.stage not in (PursuitStage.QUAL, PursuitStage.PINK):
        sentence = "A pursuit that has passed qualification keeps a client; set another one instead."
        raise InvalidInput(sentence, fields={"client_id": [sentence]})
    if tags is not None and attach_tags(org=org, through=PursuitTag, item=pursuit, names=tags, replace=True):
        changed.append("tags")
    if changed:
        pursuit.record(events.PursuitUpdated(pursuit_id=pursuit.pk, changed=changed), actor=actor, at=at)
    pursuit.save(update_fields=[*fields])
    if "due_date" in changed:
        clocks.set_due_date(pursuit, on=pursuit.due_date, at=at, actor=actor)
    return pursuit


@use_case
def move_pursuit(
    *, org: Organization, pursuit_id: int, stage: str, reason: str = "", actor: Actor, at: datetime
) -> Pursuit:
    """Move a pursuit to any stage that its machine allows; submit, won and lost go through their own use cases.

    Raises NotFound, PermissionRefused, InvalidTransition, then GateBlocked with every unmet requirement.
    """
    if stage == PursuitStage.SUBMIT:
        return submit_pursuit(org=org, pursuit_id=pursuit_id, actor=actor, at=at)
    if stage == PursuitStage.WON:
        return win_pursuit(org=org, pursuit_id=pursuit_id, reason=reason, actor=actor, at=at)
    if stage == PursuitStage.LOST:
        return lose_pursuit(org=org, pursuit_id=pursuit_id, reason=reason, actor=actor, at=at)
    pursuit, verb = _locked(org, pursuit_id, actor, "move", to=stage)
    gates.check(pursuit, entering=stage, rules=rules_for(org), actor=actor, at=at)
    getattr(pursuit, verb)(actor=actor, at=at)
    pursuit.save()
    clocks.moved(pursuit, at=at, by="pursuit.stage_changed", actor=actor)
    return pursuit


@use_case
def submit_pursuit(*, org: Organization, pursuit_id: int, actor: Actor, at: datetime) -> Pursuit:
    """Submit a reviewed pursuit; its newest draft goes out by a handler of the event.

    Raises NotFound, PermissionRefused, InvalidTransition, then GateBlocked with every unmet requirement.
    """
    pursuit, _ = _locked(org, pursuit_id, actor, "submit", to=PursuitStage.SUBMIT)
    gates.check(pursuit, entering=PursuitStage.SUBMIT, rules=rules_for(org), actor=actor, at=at)
    pursuit.submit(actor=actor, at=at)
    pursuit.save()
    clocks.moved(pursuit, at=at, by="pursuit.submit", actor=actor)
    return pursuit


@use_case
def win_pursuit(*, org: Organization, pursuit_id: int, reason: str = "", actor: Actor, at: datetime) -> Pursuit:
    """Close a submitted pursuit as won; the engagement follows by a handler of the event.

    Raises NotFound, PermissionRefused, InvalidTransition from any other stage, then GateBlocked with every unmet
    requirement.
    """
    pursuit, _ = _locked(org, pursuit_id, actor, "close", to=PursuitStage.WON)
    gates.check(pursuit, entering=PursuitStage.WON, rules=rules_for(org), actor=actor, at=at)
    pursuit.win(reason=reason.strip(), actor=actor, at=at)
    pursuit.save()
    clocks.moved(pursuit, at=at, by="pursuit.won", actor=actor)
    return pursuit


@use_case
def lose_pursuit(*, org: Organization, pursuit_id: int, reason: str, actor: Actor, at: datetime) -> Pursuit:
    """Close a submitted pursuit as lost, with the reason.

    Raises NotFound, PermissionRefused, InvalidTransition from any other stage, then GateBlocked with every unmet
    requirement, a missing reason among them.
    """
    pursuit, _ = _locked(org, pursuit_id, actor, "close", to=PursuitStage.LOST)
    gates.check(pursuit, entering=PursuitStage.LOST, rules=rules_for(org), outcome_reason=reason, actor=actor, at=at)
    pursuit.lose(reason=reason.strip(), actor=actor, at=at)
    pursuit.save()
    clocks.moved(pursuit, at=at, by="pursuit.lost", actor=actor)
    return pursuit


@use_case
def record_cost(
    *,
    org: Organization,
    pursuit_id: int,
    role: str,
    hours: Decimal,
    amount: Decimal,
    note: str = "",
    spent_on: date,
    actor: Actor,
    at: datetime,
) -> CostEntry:
    """Book hours and money of a role on a pursuit and bring its totals up to date.

    Raises NotFound, PermissionRefused, InvalidInput for negative or empty figures.
    """
    pursuit: Pursuit = Pursuit.objects.for_org(org).locked().fetch(pursuit_id)
    authorize(actor, "record_cost", pursuit)
    if not role.strip():
        raise InvalidInput("Say whose cost it is.", fields={"role": ["This must not be blank."]})
    if hours < 0 or amount < 0 or (hours == 0 and amount == 0):
        sentence = "Give hours or an amount, and nothing below zero."
        raise InvalidInput(sentence, fields={"hours": [sentence], "amount": [sentence]})
    entry = CostEntry(
        org=org,
        pursuit=pursuit,
        role=role.strip(),
        hours=hours,
        amount=amount,
        note=note,
        spent_on=spent_on,
        recorded_by_id=actor.user_id,
    )
    entry.save()
    totals = CostEntry.objects.for_org(org).filter(pursuit=pursuit).aggregate(h=Sum("hours"), a=Sum("amount"))
    pursuit.cost_hours, pursuit.cost_amount = totals["h"], totals["a"]
    pursuit.save(update_fields=["cost_hours", "cost_amount"])
    return entry


def _locked(org: Organization, pursuit_id: int, actor: Actor, verb: str, *, to: str) -> tuple[Pursuit, str]:
    """The pursuit, locked, for an actor who may use the verb, and the transition that legally leads to `to`."""
    pursuit: Pursuit = Pursuit.objects.for_org(org).locked().fetch(pursuit_id)
    authorize(actor, verb, pursuit)
    return pursuit, require_legal(pursuit, to=to)
