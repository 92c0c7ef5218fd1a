"""Use cases of candidates."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from flowledger.errors import InvalidInput
from flowledger.tenancy.actors import Actor
from flowledger.tenancy.models import Organization
from flowledger.tenancy.permissions import authorize
from flowledger.tenancy.usecases import use_case
from workstream import clocks, events
from workstream.machines import CandidateStatus, SignalDisposition, require_legal
from workstream.models import Candidate, CandidateSignal, CandidateTag, Pursuit, Signal
from workstream.models.sla import SlaMetric
from workstream.rules import rules_for
from workstream.services.changes import changed_names
from workstream.services.checklists import materialise_checklists
from workstream.services.taxonomy import attach_tags

CANDIDATE_FIELDS = frozenset(
    {
        "client",
        "contact",
        "title",
        "one_liner_scope",
        "problem",
        "solution",
        "confidence",
        "value_band",
        "estimated_value",
        "currency",
        "next_step",
        "next_step_due",
        "owner",
    }
)


@use_case
def create_candidate(
    *,
    org: Organization,
    fields: Mapping[str, Any],
    signal_ids: Sequence[int] = (),
    tags: Sequence[str] = (),
    link_reason: str = "",
    actor: Actor,
    at: datetime,
) -> Candidate:
    """Open a candidate from signals or by hand; the signals become linked.

    Client, contact and a missing title come from the first signal. Raises PermissionRefused, InvalidInput for signals
    that do not exist here and for a candidate without signal and title, InvalidTransition for a rejected signal.
    """
    authorize(actor, "create_candidate")
    # Locked in the order of their keys, so that two candidates over the same signals cannot wait for each other.
    wanted = sorted(set(signal_ids))
    found = {row.pk: row for row in Signal.objects.for_org(org).filter(pk__in=wanted).locked().order_by("pk")}
    missing = [pk for pk in wanted if pk not in found]
    if missing:
        sentence = f"There are no signals {', '.join(map(str, missing))} in this organisation."
        raise InvalidInput(sentence, fields={"signal_ids": [sentence]})
    for signal in found.values():
        authorize(actor, "link_signal", signal)
    candidate = Candidate(org=org, **{"currency": org.currency, **_known(fields)})
    first = found[signal_ids[0]] if signal_ids else None
    if first is not None:
        if candidate.client_id is None:
            candidate.client_id = first.client_id
        if candidate.contact_id is None:
            candidate.contact_id = first.contact_id
        candidate.title = candidate.title or _title_of(first)
    if not candidate.title.strip():
        raise InvalidInput(
            "A candidate needs a title.", fields={"title": ["Give a title or a signal to take it from."]}
        )
    candidate.open(signals=signal_ids, actor=actor, at=at)
    candidate.save()
    for signal in (found[pk] for pk in wanted):
        require_legal(signal, to=SignalDisposition.LINKED)
        signal.link(candidate, actor=actor, at=at)
        signal.save()
    CandidateSignal.objects.for_org(org).bulk_create(
        CandidateSignal(
            org=org,
            candidate=candidate,
            signal_id=pk,
            linked_by_id=actor.user_id,
            reason=link_reason or "opened the candidate",
            linked_at=at,
        )
        for pk in wanted
    )
    attach_tags(org=org, through=CandidateTag, item=candidate, names=tags)
    clocks.stop(list(found.values()), SlaMetric.TRIAGE, at=at, by="signal.linked", actor=actor)
    clocks.begin(candidate, at=at)
    return candidate


@use_case
def update_candidate(
    *,
    org: Organization,
    candidate_id: int,
    fields: Mapping[str, Any],
    tags: Sequence[str] | None = None,
    actor: Actor,
    at: datetime,
) -> Candidate:
    """Change plain fields and tags; status moves by its verbs. Raises NotFound, PermissionRefused, InvalidInput."""
    candidate: Candidate = Candidate.objects.for_org(org).locked().fetch(candidate_id)
    authorize(actor, "edit_candidate", candidate)
    changes = _known(fields)
    changed = changed_names(candidate, changes)
    for name, value in changes.items():
        setattr(candidate, name, value)
    if not candidate.title.strip():
        raise InvalidInput("A candidate needs a title.", fields={"title": ["This must not be blank."]})
    if tags is not None and attach_tags(org=org, through=CandidateTag, item=candidate, names=tags, replace=True):
        changed.append("tags")
    if changed:
        candidate.record(events.CandidateUpdated(candidate_id=candidate.pk, changed=changed), actor=actor, at=at)
    candidate.save(update_fields=[*changes])
    if "next_step_due" in changed:
        clocks.set_due_date(candidate, on=candidate.next_step_due, at=at, actor=actor)
    return candidate


@use_case
def triage_candidate(*, org: Organization, candidate_id: int, actor: Actor, at: datetime) -> Candidate:
    """Judge a candidate worth work, or take it back from nurture or hold.

    Raises NotFound, PermissionRefused, then InvalidTransition.
    """
    candidate = _locked(org, candidate_id, actor, "triage", to=CandidateStatus.TRIAGED)
    candidate.triage(actor=actor, at=at)
    candidate.save()
    clocks.moved(candidate, at=at, by="candidate.triaged", actor=actor)
    return candidate


@use_case
def nurture_candidate(*, org: Organization, candidate_id: int, actor: Actor, at: datetime) -> Candidate:
    """Put a triaged candidate into nurture. Raises NotFound, PermissionRefused, then InvalidTransition."""
    candidate = _locked(org, candidate_id, actor, "nurture", to=CandidateStatus.NURTURE)
    candidate.nurture(actor=actor, at=at)
    candidate.save()
    clocks.moved(candidate, at=at, by="candidate.nurtured", actor=actor)
    return candidate


@use_case
def hold_candidate(
    *,
    org: Organization,
    candidate_id: int,
    reason: str,
    resume_at: datetime | None = None,
    actor: Actor,
    at: datetime,
) -> Candidate:
    """Put a candidate on hold, with a reason and perhaps a time at which it comes back by itself.

    Raises NotFound, PermissionRefused, InvalidTransition, then InvalidInput for a blank reason or a time in the past.
    """
    candidate = _locked(org, candidate_id, actor, "hold", to=CandidateStatus.ON_HOLD)
    _require_reason(reason, "Say why the candidate is put on hold.")
    if resume_at is not None and resume_at <= at:
        raise InvalidInput("The resume date lies in the past.", fields={"resume_at": ["This must lie in the future."]})
    candidate.hold(reason=reason, resume_at=resume_at, actor=actor, at=at)
    candidate.save()
    clocks.moved(candidate, at=at, by="candidate.held", actor=actor)
    return candidate


@use_case
def resume_candidate(*, org: Organization, candidate_id: int, actor: Actor, at: datetime) -> Candidate | None:
    """Bring a held candidate back to triaged when its resume time has come; None when that is no longer so.

    For the sweep: somebody may have moved the candidate since it was found due.
    """
    due = Candidate.objects.for_org(org).resumable(at=at).filter(pk=candidate_id).locked()
    candidate: Candidate | None = due.first()
    if candidate is None:
        return None
    candidate.triage(actor=actor, at=at)
    candidate.save()
    clocks.moved(candidate, at=at, by="candidate.triaged", actor=actor)
    return candidate


@use_case
def archive_candidate(*, org: Organization, candidate_id: int, reason: str, actor: Actor, at: datetime) -> Candidate:
    """Close a candidate without a pursuit. Raises NotFound, PermissionRefused, InvalidTransition, InvalidInput."""
    candidate = _locked(org, candidate_id, actor, "archive", to=CandidateStatus.ARCHIVED)
    _require_reason(reason, "Say why the candidate is archived.")
    candidate.archive(reason=reason, actor=actor, at=at)
    candidate.save()
    clocks.moved(candidate, at=at, by="candidate.archived", actor=actor)
    return candidate


@dataclass(frozen=True)
class Promotion:
    """A candidate's one pursuit; `created` is false when it was there already."""

    pursuit: Pursuit
    candidate: Candidate
    created: bool


@use_case
def promote_candidate(
    *, org: Organization, candidate_id: int, fields: Mapping[str, Any] | None = None, actor: Actor, at: datetime
) -> Promotion:
    """Turn a triaged candidate into exactly one pursuit with its checklists.

    `fields` may name due_date, forecast_value, currency, capture_lead, proposal_manager and title; the rest is copied.
    Promoting again answers with the same pursuit. Raises NotFound, PermissionRefused, then InvalidTransition.
    """
    candidate = Candidate.objects.for_org(org).locked().fetch(candidate_id)
    authorize(actor, "promote", candidate)
    if candidate.status == CandidateStatus.PROMOTED:
        existing = Pursuit.objects.for_org(org).get(candidate=candidate)
        return Promotion(pursuit=existing, candidate=candidate, created=False)
    require_legal(candidate, to=CandidateStatus.PROMOTED)
    pursuit = new_pursuit(org=org, candidate=candidate, fields=fields or {}, actor=actor, at=at)
    pursuit.save()
    materialise_checklists(org=org, pursuit=pursuit)
    candidate.promote(pursuit, actor=actor, at=at)
    candidate.save()
    clocks.moved(candidate, at=at, by="candidate.promoted", actor=actor)
    clocks.begin(pursuit, at=at)
    return Promotion(pursuit=pursuit, candidate=candidate, created=True)


PROMOTION_FIELDS = frozenset(
    {"due_date", "forecast_value", "currency", "capture_lead", "proposal_manager", "title", "probability"}
)


def new_pursuit(
    *, org: Organization, candidate: Candidate, fields: Mapping[str, Any], actor: Actor, at: datetime
) -> Pursuit:
    """The unsaved pursuit of a candidate, opened; shared by promotion and import."""
    rules = rules_for(org)
    unknown = sorted(set(fields) - PROMOTION_FIELDS)
    if unknown:
        raise InvalidInput(f"A promotion cannot set {', '.join(unknown)}.")
    value = candidate.estimated_value
    pursuit = Pursuit(
        org=org,
        candidate=candidate,
        client_id=candidate.client_id,
        contact_id=candidate.contact_id,
        owner_id=candidate.owner_id,
        **{
            "title": candidate.title,
            "due_date": (at + timedelta(days=rules.pursuit_due_days)).date(),
            "forecast_value": rules.band_values.get(candidate.value_band, Decimal(0)) if value is None else value,
            "currency": candidate.currency,
            "probability": candidate.confidence,
            **{name: given for name, given in fields.items() if given is not None},
        },
    )
    pursuit.open(actor=actor, at=at)
    return pursuit


def _locked(org: Organization, candidate_id: int, actor: Actor, verb: str, *, to: str) -> Candidate:
    """The candidate, locked, for an actor who may use the verb and a move that is legal."""
    candidate: Candidate = Candidate.objects.for_org(org).locked().fetch(candidate_id)
    authorize(actor, verb, candidate)
    require_legal(candidate, to=to)
    return candidate


def _known(fields: Mapping[str, Any]) -> dict[str, Any]:
    unknown = sorted(set(fields) - CANDIDATE_FIELDS)
    if unknown:
        raise InvalidInput(
            f"A candidate has no field {', '.join(unknown)} to write.",
            fields={name: ["This cannot be written."] for name in unknown},
        )
    return dict(fields)


def _require_reason(reason: str, sentence: str) -> None:
    if not reason.strip():
        raise InvalidInput(sentence, fields={"reason": [sentence]})


def _title_of(signal: Signal) -> str:
    who = signal.company_name or signal.contact_name or signal.contact_email or signal.company_domain
    what = signal.problem_phrase or signal.snippet
    return " – ".join(part for part in (who, what[:120]) if part)[:200]
