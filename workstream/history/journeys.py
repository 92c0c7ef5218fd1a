"""Walks one opportunity through the pipeline's own transitions and gates, in memory, at the times of the export."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, time
from decimal import Decimal
from zoneinfo import ZoneInfo

from flowledger.clients import normalising
from flowledger.clients.identity import Key, KeyType, KnownKey, SignalKeys, resolve
from flowledger.clients.models import Client
from flowledger.clients.services import ResolvedIdentity
from flowledger.tenancy.actors import Actor
from flowledger.tenancy.models import Organization
from workstream import gates
from workstream.history.mapping import SourceStage
from workstream.history.reading import BadLine, Opportunity
from workstream.history.reference import Reference, merged_facts
from workstream.history.report import HistoryReport
from workstream.intake.fields import natural_key
from workstream.machines import PursuitStage, require_legal
from workstream.models import (
    Candidate,
    CandidateSignal,
    ChecklistItem,
    Engagement,
    GateCheck,
    Proposal,
    Pursuit,
    Signal,
    SignalDelivery,
    SignalPayload,
)
from workstream.models.checklists import ChecklistKind
from workstream.models.signals import SourceType
from workstream.rule_schemas import TemplateItem
from workstream.rules import PipelineRules
from workstream.services.candidates import new_pursuit
from workstream.services.checklists import count, new_checklist
from workstream.services.engagements import new_engagement
from workstream.services.proposals import first_version

WAIVE_REASON = "Imported history: the source keeps no checklists."
NO_REASON = "No reason recorded in the source."
LINK_REASON = "imported opportunity"
SENDER = "history import"
# Noon keeps the date the same for readers in every time zone from −12 to +11 hours.
_HOUR_OF_A_DATE = time(12)


@dataclass(frozen=True)
class Journal:
    """What every journey of one import needs: read once, so that walking asks the database nothing."""

    org: Organization
    reference: Reference
    file: str
    rules: PipelineRules
    checklists: Mapping[str, tuple[int, tuple[TemplateItem, ...]]]
    proposal_template: tuple[str, str]
    actor: Actor
    at: datetime

    def moment(self, day: date) -> datetime:
        """The instant that stands for a date of the export: noon in the organisation's zone, not after the import."""
        return min(datetime.combine(day, _HOUR_OF_A_DATE, ZoneInfo(self.org.timezone)), self.at)


@dataclass
class Journey:
    """The rows of one opportunity on their way; new ones are stored together when the walk is over."""

    opportunity: Opportunity
    candidate: Candidate
    signal: Signal | None = None
    signal_ids: list[int] = field(default_factory=list)
    payload: SignalPayload | None = None
    delivery: SignalDelivery | None = None
    link: CandidateSignal | None = None
    pursuit: Pursuit | None = None
    items: list[ChecklistItem] = field(default_factory=list)
    proposal: Proposal | None = None
    engagement: Engagement | None = None
    checks: list[GateCheck] = field(default_factory=list)

    @property
    def wanted(self) -> SourceStage:
        return self.opportunity.stage


def travel(opportunity: Opportunity, journal: Journal, notes: HistoryReport) -> Journey:
    """Everything that a new opportunity leads to. Raises BadLine when a gate does not let it pass."""
    journey = _arrive(opportunity, journal, notes)
    continue_journey(journey, journal, notes)
    return journey


def continue_journey(journey: Journey, journal: Journal, notes: HistoryReport) -> None:
    """Walk from where the rows stand to the stage that the export names. Raises BadLine; nothing is stored here."""
    if journey.wanted is SourceStage.PROSPECTING:
        return
    if journey.pursuit is None:
        _promote(journey, journal, notes)
    if journey.wanted is not SourceStage.ENGAGING:
        _close(journey, journal, notes)


def engaged_at(opportunity: Opportunity, journal: Journal) -> datetime:
    """When work began; without a date the close's, and without that the import's."""
    day = opportunity.engaged_on or opportunity.closed_on
    return journal.moment(day) if day else journal.at


def closed_at(opportunity: Opportunity, journal: Journal) -> datetime:
    """When it was won or lost; without a date the import's."""
    return journal.moment(opportunity.closed_on) if opportunity.closed_on else journal.at


def forecast(opportunity: Opportunity, list_price: Decimal | None) -> Decimal | None:
    """What a win brought, and what anything else would have brought by the product's list price."""
    return opportunity.value if opportunity.stage is SourceStage.WON and opportunity.value is not None else list_price


def _arrive(opportunity: Opportunity, journal: Journal, notes: HistoryReport) -> Journey:
    """The signal that the opportunity was, and the candidate made of it."""
    org, at = journal.org, engaged_at(opportunity, journal)
    client = journal.reference.client_of(opportunity)
    solution = journal.reference.solution_of(opportunity)
    owner = journal.reference.owner_of(opportunity)
    _note_reading(opportunity, journal, notes)
    value = forecast(opportunity, solution.list_price if solution else None)
    body = json.dumps(opportunity.raw, ensure_ascii=False, sort_keys=True).encode()
    sha256 = hashlib.sha256(body).hexdigest()
    what = opportunity.product or "Opportunity"
    who = client.name if client else "no account named"
    signal = Signal(
        org=org,
        source_type=SourceType.IMPORT,
        source_ref=opportunity.id,
        dedupe_key=natural_key(source_type=SourceType.IMPORT, source_ref=opportunity.id, dedupe_key=""),
        ts=at,
        snippet=f"{what} for {who} ({opportunity.id})",
        solution_hint=opportunity.product,
        company_name=opportunity.account,
        attributes=dict(merged_facts(journal.reference, opportunity)),
        client=client,
        identity_resolution=_identity(opportunity, client),
        owner=owner,
        # Engaging is touching; a prospect was not touched as far as the export knows.
        first_touch_at=None if opportunity.stage is SourceStage.PROSPECTING else at,
    )
    signal.receive(actor=journal.actor, at=at)
    candidate = Candidate(
        org=org,
        title=f"{client.name if client else 'Unnamed account'} – {what}"[:200],
        client=client,
        solution=solution,
        owner=owner,
        estimated_value=value,
        currency=org.currency,
    )
    if value is not None:
        candidate.value_band = _nearest_band(value, journal.rules)
    signal_ids: list[int] = []
    candidate.open(signals=signal_ids, actor=journal.actor, at=at)
    signal.link(candidate, actor=journal.actor, at=at)
    return Journey(
        opportunity=opportunity,
        candidate=candidate,
        signal=signal,
        signal_ids=signal_ids,
        payload=SignalPayload(org=org, signal=signal, body=body, sha256=sha256, received_at=journal.at),
        delivery=SignalDelivery(org=org, signal=signal, received_at=journal.at, sender=SENDER, payload_sha256=sha256),
        link=CandidateSignal(org=org, candidate=candidate, signal=signal, reason=LINK_REASON, linked_at=at),
    )


def _promote(journey: Journey, journal: Journal, notes: HistoryReport) -> None:
    candidate, opportunity, actor = journey.candidate, journey.opportunity, journal.actor
    at = engaged_at(opportunity, journal)
    if opportunity.engaged_on is None:
        notes.resolve(f"{journal.file}: no engage date; promoted at {'close' if opportunity.closed_on else 'import'}")
    require_legal(candidate, to="triaged")
    candidate.triage(actor=actor, at=at, is_inferred=True)
    fields = {"due_date": opportunity.closed_on} if opportunity.closed_on else {}
    pursuit = new_pursuit(org=journal.org, candidate=candidate, fields=fields, actor=actor, at=at)
    # The same objects again: rendering and gates then read them without asking the database.
    pursuit.client, pursuit.contact, pursuit.owner = candidate.client, candidate.contact, candidate.owner
    journey.pursuit = pursuit
    journey.items = new_checklist(pursuit=pursuit, templates=journal.checklists)
    journey.proposal = first_version(org=journal.org, pursuit=pursuit, at=at, template=journal.proposal_template)
    journey.proposal.draft(actor=actor, at=at)
    candidate.promote(pursuit, actor=actor, at=at)


def _close(journey: Journey, journal: Journal, notes: HistoryReport) -> None:
    """Through pink, red and submit to the outcome; their times are spread evenly and marked inferred."""
    pursuit, proposal, opportunity, actor = journey.pursuit, journey.proposal, journey.opportunity, journal.actor
    assert pursuit is not None
    begin, end = engaged_at(opportunity, journal), closed_at(opportunity, journal)
    pink_at, red_at, submit_at = (begin + (end - begin) * quarter / 4 for quarter in (1, 2, 3))
    notes.resolve(
        f"{journal.file}: no dates for triage, pink, red and submit; spread between engage and close, marked inferred"
    )
    if opportunity.closed_on is None:
        notes.resolve(f"{journal.file}: closed without a date; closed at import")
    if journey.items:
        notes.resolve(f"{journal.file}: the source keeps no checklists; items waived by the import, with the reason")

    require_legal(pursuit, to=PursuitStage.PINK)
    pursuit.enter_pink(actor=actor, at=pink_at, is_inferred=True)
    _waive(journey, ChecklistKind.PINK, actor, pink_at)
    _pass_gate(journey, PursuitStage.RED, journal, red_at)
    pursuit.enter_red(actor=actor, at=red_at, is_inferred=True)
    _waive(journey, ChecklistKind.RED, actor, red_at)
    _pass_gate(journey, PursuitStage.SUBMIT, journal, submit_at)
    pursuit.submit(actor=actor, at=submit_at, is_inferred=True)
    if proposal is not None and proposal.status == "draft":
        proposal.amount = pursuit.forecast_value
        proposal.send(recipients=[], actor=actor, at=submit_at)
    if journey.wanted is SourceStage.WON:
        _pass_gate(journey, PursuitStage.WON, journal, end)
        pursuit.win(actor=actor, at=end, reason=opportunity.outcome_reason)
        # Here and not by the handler of the win, which finds it: history needs no kickoff tasks.
        journey.engagement = new_engagement(org=journal.org, pursuit=pursuit, actor=actor, at=end)
    else:
        reason = opportunity.outcome_reason or NO_REASON
        if not opportunity.outcome_reason:
            notes.resolve(f"{journal.file}: lost without a reason; the reason says '{NO_REASON}'")
        _pass_gate(journey, PursuitStage.LOST, journal, end, outcome_reason=reason)
        pursuit.lose(reason=reason, actor=actor, at=end)


def _waive(journey: Journey, kind: ChecklistKind, actor: Actor, at: datetime) -> None:
    for item in journey.items:
        if item.kind == kind and not item.is_met:
            item.waive(reason=WAIVE_REASON, actor=actor, at=at)
    assert journey.pursuit is not None
    count(journey.pursuit, journey.items)


def _pass_gate(
    journey: Journey, stage: PursuitStage, journal: Journal, at: datetime, *, outcome_reason: str = ""
) -> None:
    pursuit = journey.pursuit
    assert pursuit is not None
    require_legal(pursuit, to=stage)
    if not journal.rules.gates.get(stage.value):
        return
    facts = gates.Facts(
        pursuit=pursuit,
        items=journey.items,
        has_proposal=journey.proposal is not None,
        outcome_reason=outcome_reason,
    )
    result = gates.inspect(facts, entering=stage, rules=journal.rules)
    if not result.passed:
        missing = " ".join(miss.missing for miss in result.unmet)
        raise BadLine(f"The gate before {stage.value} holds it back: {missing}")
    journey.checks.append(result.ledger_row(pursuit, actor=journal.actor, at=at))


def _identity(opportunity: Opportunity, client: Client | None) -> dict[str, object]:
    """Who the signal is from, by the rules of every signal; the account's name is the only key that exports have."""
    name = normalising.company_name_key(opportunity.account) if client else None
    known = {Key(KeyType.COMPANY_NAME, name): KnownKey(client_id=client.pk)} if client and name else {}
    resolution = resolve(SignalKeys(company_name=name), known)
    return ResolvedIdentity(
        status=resolution.status,
        contact_id=None,
        client_id=client.pk if client else None,
        confidence_score=resolution.confidence_score,
        rules=resolution.rules,
    ).as_dict()


def _note_reading(opportunity: Opportunity, journal: Journal, notes: HistoryReport) -> None:
    """Say what was decided about a line that names something in another way, or not at all."""
    for kind, given, thing in (
        ("account", opportunity.account, journal.reference.client_of(opportunity)),
        ("product", opportunity.product, journal.reference.solution_of(opportunity)),
    ):
        if thing is not None and given.casefold() != thing.name.casefold():
            notes.resolve(f"{journal.file}: {kind} '{given}' is taken for '{thing.name}', spelled alike")
    if not opportunity.account:
        notes.resolve(f"{journal.file}: the opportunity names no account; kept without a client")
    if not opportunity.agent:
        notes.resolve(f"{journal.file}: the opportunity names no salesperson; kept without an owner")
    if opportunity.stage is SourceStage.PROSPECTING:
        notes.resolve(
            f"{journal.file}: prospecting says nothing of a qualification; kept as a new candidate, without a pursuit"
        )
        if opportunity.engaged_on is None:
            notes.resolve(f"{journal.file}: prospecting without a date; dated by the import")
    elif opportunity.stage is SourceStage.ENGAGING:
        notes.resolve(f"{journal.file}: open deal without a value; forecast by the product's list price")
    elif opportunity.stage is SourceStage.LOST:
        notes.resolve(f"{journal.file}: lost deal has no value; forecast by the product's list price")


def _nearest_band(value: Decimal, rules: PipelineRules) -> str:
    """The value band whose worth is nearest."""
    return min(rules.band_values, key=lambda band: abs(rules.band_values[band] - value))


def is_after(later: SourceStage, earlier: SourceStage) -> bool:
    """Whether an opportunity can have gone from one stage to the other since the last export."""
    order = (SourceStage.PROSPECTING, SourceStage.ENGAGING, SourceStage.WON)
    rank = {stage: position for position, stage in enumerate(order)} | {SourceStage.LOST: order.index(SourceStage.WON)}
    return rank[later] > rank[earlier]
