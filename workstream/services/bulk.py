"""Moving many items at once: every row by the use case that moves one, done or refused for itself."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db import DatabaseError, OperationalError

from flowledger.errors import FlowLedgerError, InvalidInput
from flowledger.tenancy.actors import Actor
from flowledger.tenancy.models import Organization
from flowledger.tenancy.usecases import use_case
from workstream.machines import CandidateStatus, state_field
from workstream.models import Candidate, Pursuit
from workstream.services.candidates import (
    archive_candidate,
    hold_candidate,
    nurture_candidate,
    promote_candidate,
    triage_candidate,
)
from workstream.services.pursuits import move_pursuit

# SQLSTATEs of a row that somebody else holds at this moment: refused, where anything else is a failure.
HELD_ELSEWHERE = {"40001", "40P01", "55P03"}

# Where a verb leads to; nothing leads back to new.
CANDIDATE_TARGETS = tuple(status for status in CandidateStatus if status != CandidateStatus.NEW)


@dataclass(frozen=True)
class Moved:
    """What became of one row. `state` is the state that it is in now; `error` is the refusal of the single use case.

    `previous_state` is the state that it left; None when it did not move.
    """

    item_id: int
    state: str | None
    previous_state: str | None = None
    pursuit_id: int | None = None
    error: FlowLedgerError | DatabaseError | None = None


@use_case
def move_candidates(
    *,
    org: Organization,
    candidate_ids: Sequence[int],
    to: str,
    reason: str = "",
    resume_at: datetime | None = None,
    fields: Mapping[str, Any] | None = None,
    actor: Actor,
    at: datetime,
) -> list[Moved]:
    """Move candidates to a status, each by the use case that moves one; a result for every id, in the order given.

    `reason` is for holding and archiving, `resume_at` for holding, `fields` for promoting. A refused row keeps what it
    was and what its refusal leaves as evidence; the others move. Raises InvalidInput for a status that no verb leads
    to, and what is no refusal of a row.
    """
    if to not in CANDIDATE_TARGETS:
        sentence = f"No verb leads to the status '{to}'; choose from: {', '.join(CANDIDATE_TARGETS)}."
        raise InvalidInput(sentence, fields={"to": [sentence]})

    def one(candidate_id: int) -> Moved:
        keys: dict[str, Any] = {"org": org, "candidate_id": candidate_id, "actor": actor, "at": at}
        if to == CandidateStatus.PROMOTED:
            promotion = promote_candidate(fields=fields, **keys)
            moved, pursuit_id = promotion.candidate, promotion.pursuit.pk
        elif to == CandidateStatus.TRIAGED:
            moved, pursuit_id = triage_candidate(**keys), None
        elif to == CandidateStatus.NURTURE:
            moved, pursuit_id = nurture_candidate(**keys), None
        elif to == CandidateStatus.ON_HOLD:
            moved, pursuit_id = hold_candidate(reason=reason, resume_at=resume_at, **keys), None
        else:
            moved, pursuit_id = archive_candidate(reason=reason, **keys), None
        return Moved(candidate_id, moved.status, moved.previous_state, pursuit_id)

    return _each(org=org, model=Candidate, ids=candidate_ids, one=one)


@use_case
def move_pursuits(
    *, org: Organization, pursuit_ids: Sequence[int], to: str, reason: str = "", actor: Actor, at: datetime
) -> list[Moved]:
    """Move pursuits to a stage, each by the use case that moves one; a result for every id, in the order given.

    A refused row keeps what it was and what its refusal leaves as evidence; the others move. Raises what is no refusal
    of a row.
    """

    def one(pursuit_id: int) -> Moved:
        pursuit = move_pursuit(org=org, pursuit_id=pursuit_id, stage=to, reason=reason, actor=actor, at=at)
        return Moved(pursuit_id, pursuit.stage, pursuit.previous_state)

    return _each(org=org, model=Pursuit, ids=pursuit_ids, one=one)


def _each(*, org: Organization, model: Any, ids: Sequence[int], one: Callable[[int], Moved]) -> list[Moved]:
    """Do every row once, in the order of keys, so that two of these cannot wait for each other."""
    results: dict[int, Moved] = {}
    for item_id in sorted(set(ids)):
        try:
            results[item_id] = one(item_id)
        except FlowLedgerError as refusal:
            results[item_id] = Moved(item_id, None, error=refusal)
        except OperationalError as error:
            if getattr(error.__cause__, "sqlstate", None) not in HELD_ELSEWHERE:
                raise
            results[item_id] = Moved(item_id, None, error=error)
    refused = [item_id for item_id, result in results.items() if result.error is not None]
    states = _states(org=org, model=model, ids=refused)
    for item_id in refused:
        results[item_id] = Moved(item_id, states.get(item_id), error=results[item_id].error)
    return [results[item_id] for item_id in ids]


def _states(*, org: Organization, model: Any, ids: Iterable[int]) -> dict[int, str]:
    """The states that rows are in, by key."""
    rows = model.objects.for_org(org).filter(pk__in=list(ids))
    return dict(rows.values_list("pk", state_field(model).name)) if ids else {}
