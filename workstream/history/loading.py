"""Stores the journeys of an export in whole chunks: what is there already is found in one query per chunk."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from typing import Any
from zoneinfo import ZoneInfo

from django.db import DataError, IntegrityError, connection

from flowledger.errors import FlowLedgerError
from flowledger.outbox.recording import RecordingModel, bulk_record
from flowledger.tenancy.actors import Actor
from flowledger.tenancy.models import Organization
from flowledger.tenancy.permissions import authorize
from flowledger.tenancy.scope import current_scope
from flowledger.tenancy.usecases import use_case
from workstream import gates
from workstream.history.clocks import ClockWriter
from workstream.history.journeys import Journal, Journey, continue_journey, forecast, is_after, travel
from workstream.history.mapping import SourceStage
from workstream.history.reading import BadLine, Export, Opportunity
from workstream.history.reference import Reference, complete_reference, load_reference
from workstream.history.report import BadRow, HistoryReport
from workstream.intake.fields import natural_key
from workstream.machines import CandidateStatus, ProposalStatus, PursuitStage
from workstream.models import (
    Candidate,
    CandidateSignal,
    ChecklistItem,
    Engagement,
    Proposal,
    Pursuit,
    Signal,
    SignalDelivery,
    SignalPayload,
    SlaClock,
)
from workstream.models.signals import SourceType
from workstream.rules import rules_for
from workstream.services.checklists import template_items
from workstream.services.proposals import proposal_template

# Opportunities per transaction: large enough for few round trips, small enough to hold locks for a second only.
CHUNK = 200
# Chunks after which the planner hears what grew. Foreign keys are checked by plans that are kept: one made for an empty
# table reads all of it for every row, and autovacuum comes too late for the rows of this very import.
_STATISTICS_AFTER = frozenset({1, 4, 16, 64, 256})


def import_history(
    *,
    export: Export,
    org: Organization,
    actor: Actor,
    at: datetime,
    progressed: Callable[[int], object] = lambda lines: None,
) -> HistoryReport:
    """Load an export into an organisation; again loads what is new or has moved on and leaves the rest alone.

    Chunks are stored whole or not at all; a line that cannot be loaded is reported and skipped. `progressed` is told
    how many further lines are done. What was loaded stays when it stops halfway: start it again. Raises
    PermissionRefused, ExportRefused before anything is stored.
    """
    started = time.monotonic()
    authorize(actor, "import_history")
    export.check()
    report = export.report
    reference = load_reference(export=export, org=org, actor=actor, at=at)
    journal = _journal(org=org, reference=reference, file=export.mapping.opportunities.file, actor=actor, at=at)
    today = at.astimezone(ZoneInfo(org.timezone)).date()
    seen: set[str] = set()
    for number, chunk in enumerate(_chunks(export.opportunities(today=today)), start=1):
        report.count("opportunities", len(chunk))
        fresh = list(_named_once(chunk, seen, journal.file, report))
        complete_reference(reference, fresh, report, file=journal.file, actor=actor, at=at)
        _store_chunk(fresh, journal, report)
        if number in _STATISTICS_AFTER:
            _refresh_statistics()
        progressed(len(chunk))
    for _ in reference.idle_members:
        report.resolve("team member without an opportunity; made a member all the same")
    report.seconds = time.monotonic() - started
    return report


def _refresh_statistics() -> None:
    """Only outside of any scope: the roles inside do not own the tables."""
    if current_scope() is None:
        grown = (Signal, Candidate, Pursuit, SlaClock)
        names = ", ".join(connection.ops.quote_name(model._meta.db_table) for model in grown)
        with connection.cursor() as cursor:
            cursor.execute(f"ANALYZE {names}")


def _chunks(opportunities: Iterator[Opportunity]) -> Iterator[list[Opportunity]]:
    while chunk := list(islice(opportunities, CHUNK)):
        yield chunk


def _named_once(
    chunk: Iterable[Opportunity], seen: set[str], file: str, report: HistoryReport
) -> Iterator[Opportunity]:
    for opportunity in chunk:
        if opportunity.id in seen:
            report.skip(BadRow(file, opportunity.line, f"The opportunity {opportunity.id} was on an earlier line."))
            continue
        seen.add(opportunity.id)
        yield opportunity


@use_case
def _journal(*, org: Organization, reference: Reference, file: str, actor: Actor, at: datetime) -> Journal:
    return Journal(
        org=org,
        reference=reference,
        file=file,
        rules=rules_for(org),
        checklists=template_items(org=org),
        proposal_template=proposal_template(org),
        actor=actor,
        at=at,
    )


def _store_chunk(opportunities: list[Opportunity], journal: Journal, report: HistoryReport) -> None:
    """One transaction; when the database refuses it, halves, until the one line that it refuses is known."""
    if not opportunities:
        return
    try:
        part = _load_chunk(org=journal.org, opportunities=opportunities, journal=journal)
    except (IntegrityError, DataError) as error:
        if len(opportunities) == 1:
            sentence = str(error).partition("\n")[0]
            report.skip(BadRow(journal.file, opportunities[0].line, f"The database refused it: {sentence}"))
            return
        middle = len(opportunities) // 2
        _store_chunk(opportunities[:middle], journal, report)
        _store_chunk(opportunities[middle:], journal, report)
    else:
        report.merge(part)
        for opportunity in opportunities:
            owner = journal.reference.owner_of(opportunity)
            if owner is not None:
                journal.reference.idle_members.discard(owner.pk)


@use_case
def _load_chunk(*, org: Organization, opportunities: Sequence[Opportunity], journal: Journal) -> HistoryReport:
    """Walk and store a chunk. Journeys are walked to their end before the first row is written."""
    authorize(journal.actor, "import_history")
    # One import of an organisation at a time; NO KEY, so that everybody else goes on writing.
    Organization.objects.select_for_update(no_key=True).get(pk=org.pk)
    part = HistoryReport()
    standing = _standing(org, opportunities)
    journeys: list[Journey] = []
    moved: list[Journey] = []
    for opportunity in opportunities:
        stands = standing.get(opportunity.id)
        try:
            if stands is None:
                journeys.append(travel(opportunity, journal, part))
                part.count(opportunity.stage.value)
            elif stands.stage is None:
                part.count("left_alone")
            elif opportunity.stage is stands.stage or not is_after(opportunity.stage, stands.stage):
                part.count("known" if opportunity.stage is stands.stage else "left_alone")
            else:
                journey = _resume(opportunity, stands, journal)
                continue_journey(journey, journal, part)
                moved.append(journey)
                part.count("advanced")
        except BadLine as bad:
            part.skip(BadRow(journal.file, opportunity.line, str(bad)))
        except FlowLedgerError as refusal:
            part.skip(BadRow(journal.file, opportunity.line, refusal.message))
    clocks = ClockWriter.for_chunk(org, actor=journal.actor, at=journal.at)
    part.count("events", _store_new(org, journeys, clocks))
    part.count("events", _store_moved(org, moved, clocks))
    clocks.store()
    return part


@dataclass(frozen=True)
class _Standing:
    """Where an imported opportunity stands now; `stage` is None when people have taken it elsewhere."""

    candidate_id: int | None
    stage: SourceStage | None


_STAGE_OF = {
    PursuitStage.QUAL.value: SourceStage.ENGAGING,
    PursuitStage.WON.value: SourceStage.WON,
    PursuitStage.LOST.value: SourceStage.LOST,
}


def _standing(org: Organization, opportunities: Sequence[Opportunity]) -> dict[str, _Standing]:
    """The opportunities that are there already, by id."""
    keys = [
        natural_key(source_type=SourceType.IMPORT, source_ref=opportunity.id, dedupe_key="")
        for opportunity in opportunities
    ]
    rows = (
        Signal.objects.for_org(org)
        .filter(dedupe_key__in=keys)
        .order_by("-candidate_links__pk")
        .values_list(
            "source_ref",
            "candidate_links__candidate",
            "candidate_links__candidate__status",
            "candidate_links__candidate__pursuits__stage",
        )
    )
    # Newest link first, so the first link, the import's own, is what remains.
    return {ref: _Standing(candidate_id, _stage(status, stage)) for ref, candidate_id, status, stage in rows}


def _stage(status: str | None, stage: str | None) -> SourceStage | None:
    if status == CandidateStatus.NEW:
        return SourceStage.PROSPECTING
    return _STAGE_OF.get(stage or "") if status == CandidateStatus.PROMOTED else None


def _resume(opportunity: Opportunity, stands: _Standing, journal: Journal) -> Journey:
    """The rows of an opportunity that this export moves on, locked, as new objects with what the export adds."""
    org = journal.org
    candidate: Candidate = (
        Candidate.objects.for_org(org)
        .locked()
        .select_related("client", "contact", "owner", "solution", "problem")
        .get(pk=stands.candidate_id)
    )
    pursuit: Pursuit | None = (
        Pursuit.objects.for_org(org)
        .locked()
        .select_related("client", "contact", "owner")
        .filter(candidate=candidate)
        .order_by("pk")
        .first()
    )
    if candidate.client is None:
        candidate.client = journal.reference.client_of(opportunity)
    solution = candidate.solution
    value = forecast(opportunity, solution.list_price if solution else None)
    if opportunity.stage is SourceStage.WON and value is not None:
        candidate.estimated_value = value
    journey = Journey(opportunity=opportunity, candidate=candidate, pursuit=pursuit)
    if pursuit is not None:
        pursuit.candidate = candidate
        if pursuit.client is None:
            pursuit.client = candidate.client
        if opportunity.stage is SourceStage.WON and value is not None:
            pursuit.forecast_value = value
        items = ChecklistItem.objects.for_org(org).filter(pursuit=pursuit).order_by("kind", "position", "pk")
        journey.items = list(items)
        versions = Proposal.objects.for_org(org).filter(pursuit=pursuit).exclude(status=ProposalStatus.VOID)
        journey.proposal = versions.order_by("-version").first()
    return journey


def _store_new(org: Organization, journeys: list[Journey], clocks: ClockWriter) -> int:
    """Insert everything of new journeys, a statement or two per table; answers how many events were recorded."""
    _insert(org, Signal, [journey.signal for journey in journeys])
    _insert(org, SignalPayload, [journey.payload for journey in journeys])
    _insert(org, SignalDelivery, [journey.delivery for journey in journeys])
    for journey in journeys:
        if journey.signal is not None:
            journey.signal_ids.append(journey.signal.pk)
    candidates = [journey.candidate for journey in journeys]
    _insert(org, Candidate, candidates)
    Candidate.bulk_history(candidates)
    _insert(org, CandidateSignal, [journey.link for journey in journeys])
    pursuits = [journey.pursuit for journey in journeys if journey.pursuit is not None]
    _insert(org, Pursuit, pursuits)
    Pursuit.bulk_history(pursuits)
    _insert(org, ChecklistItem, [item for journey in journeys for item in journey.items])
    _insert(org, Proposal, [journey.proposal for journey in journeys])
    _insert(org, Engagement, [journey.engagement for journey in journeys])
    _keep_checks(journeys)
    for journey in journeys:
        clocks.add(journey)
    return bulk_record(row for journey in journeys for row in _recording_rows(journey))


def _store_moved(org: Organization, journeys: list[Journey], clocks: ClockWriter) -> int:
    """Save what moved on, row by row: there are few of them in an export that comes regularly."""
    before = 0
    for journey in journeys:
        rows = list(_recording_rows(journey))
        before += sum(len(row.queued_events) for row in rows)
        pursuit = journey.pursuit
        is_opened = pursuit is not None and pursuit._state.adding
        if pursuit is not None:
            pursuit.save()
        journey.candidate.save()
        for row in [*journey.items, journey.proposal, journey.engagement]:
            if row is not None and (row.queued_events or row._state.adding):
                row.pursuit = pursuit
                row.save()
        clocks.follow(journey, is_opened=is_opened)
    _keep_checks(journeys)
    return before


def _recording_rows(journey: Journey) -> Iterator[RecordingModel]:
    """The rows with events, in the order in which events of one moment are written."""
    rows = (journey.signal, journey.candidate, journey.pursuit, *journey.items, journey.proposal, journey.engagement)
    yield from (row for row in rows if row is not None)


def _keep_checks(journeys: Iterable[Journey]) -> None:
    rows = []
    for journey in journeys:
        for row in journey.checks:
            # Looked at before the pursuit was stored.
            row.pursuit = journey.pursuit
            rows.append(row)
    gates.keep_checks(rows)


def _insert(org: Organization, model: Any, rows: Iterable[Any]) -> None:
    stored = [row for row in rows if row is not None]
    if stored:
        model.objects.for_org(org).bulk_create(stored, batch_size=2000)
