"""What a language model reads beside the rules: jobs carry ids, the text is read when it is sent and again when stored.

A job is begun in one transaction, the model is asked in none, and what it found is stored in a second one, if nothing
was redacted and the text is the same by then. Whatever goes wrong, the atoms of the rules stand.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db.models import Q

from flowledger.outbox.wake import wake_task
from flowledger.tenancy.actors import Actor
from flowledger.tenancy.models import Organization
from flowledger.tenancy.permissions import authorize
from flowledger.tenancy.usecases import use_case
from memory.extraction import Extract, Passage, detect_language
from memory.extraction.model import AnswerRefused, ModelExtractor, ModelUnavailable, configured
from memory.machines import AtomState, JobStatus
from memory.models import AtomSource, Audience, ExtractionJob
from memory.rules import ASSISTANTS
from memory.services.drafts import Draft, Written
from memory.services.ledger import held_ledger, ledger_of
from memory.services.sources import read_sources, readable_types
from memory.services.writing import write_atoms

EXTRACTION_TASK = "memory.tasks.read_with_model"
# How long a worker may take before its job is anybody's again: longer than the model may take to answer.
LEASE = timedelta(minutes=5)
MOST_ATTEMPTS = 5
FIRST_WAIT = timedelta(seconds=30)
LONGEST_WAIT = timedelta(hours=6)
# States whose text goes to no model.
_UNSENT = frozenset({AtomState.REDACTED, AtomState.ARCHIVED})


@dataclass(frozen=True)
class Reading:
    """A job that was begun: the passages to read, and what the rules made of them (`anchors`, by field).

    `taken` are the stretches of a field that atoms of a kind were made of already; of an atom that a person put right,
    for every kind (blank). `row_version` and `epoch` are those of the job and the ledger when the text was read.
    """

    job_id: int
    row_version: int
    epoch: int
    passages: Mapping[str, Passage]
    anchors: Mapping[str, AtomSource]
    taken: Mapping[tuple[str, str], Collection[tuple[int, int]]]
    is_outsiders: bool = False
    tags: tuple[str, ...] = ()


class Overtaken(Exception):
    """Somebody else has taken up or asked for the job again; what was written for it is undone."""


def want_extractions(org: Organization, atom_ids: Collection[int], at: datetime) -> None:
    """Have a model read the texts that these atoms were made of, once the transaction is committed.

    Part of the transaction that wrote the atoms, and the last in it. Nothing happens without a configured model, or for
    an organisation that wants none.
    """
    if not atom_ids or configured() is None or not ASSISTANTS.of(org).model:
        return
    sources = set(
        AtomSource.objects.for_org(org)
        .filter(atom__in=atom_ids, source_id__isnull=False, source_type__in=readable_types())
        .exclude(source_field="")
        .exclude(extractor__startswith="model:")
        .values_list("source_type", "source_id")
    )
    if not sources:
        return
    jobs = ExtractionJob.objects.for_org(org)
    jobs.bulk_create(
        [ExtractionJob(org=org, source_type=kind, source_id=pk, due_at=at) for kind, pk in sorted(sources)],
        ignore_conflicts=True,
    )
    by_type: dict[str, list[int]] = defaultdict(list)
    for kind, pk in sources:
        by_type[kind].append(pk)
    asked = Q()
    for kind, pks in by_type.items():
        asked |= Q(source_type=kind, source_id__in=pks)
    for job in jobs.filter(asked).locked().order_by("pk"):
        if job.status == JobStatus.WAITING:
            # Whoever reads it now reads the former text, and finds the job changed when it is done.
            job.attempts, job.due_at = 0, at
        else:
            job.ask_again(due_at=at)
        job.save(update_fields=["status", "attempts", "due_at"])
    wake_task(EXTRACTION_TASK)


def read_source(*, org: Organization, job_id: int, model: ModelExtractor, actor: Actor, at: datetime) -> Written | None:
    """Have the model read the source of one job; None when there was nothing to do or nothing could be stored.

    Call it outside of transactions. Raises ModelUnavailable after the job was put off, so that the caller asks no more
    for a while.
    """
    reading = begin_extraction(org=org, job_id=job_id, actor=actor, at=at)
    if reading is None:
        return None
    found: dict[str, list[Extract]] = {}
    try:
        for name, passage in reading.passages.items():
            found[name] = model.extract(passage, detect_language(passage.text))
    except AnswerRefused as error:
        put_off_extraction(org=org, reading=reading, failure=str(error), actor=actor, at=at)
        return None
    except ModelUnavailable as error:
        put_off_extraction(
            org=org, reading=reading, failure=str(error), retry_after=error.retry_after, actor=actor, at=at
        )
        raise
    try:
        return store_extraction(org=org, reading=reading, found=found, extractor=model.name, actor=actor, at=at)
    except Overtaken:
        return None


@use_case
def begin_extraction(*, org: Organization, job_id: int, actor: Actor, at: datetime) -> Reading | None:
    """Take up a job that is due, and read what is to be sent; None when somebody else has it or nothing may be sent.

    Nothing is sent for an organisation that wants no model (any more), nor of a source of which an atom is redacted,
    archived or not for everyone: then the job is done. Raises PermissionRefused.
    """
    authorize(actor, "capture_memory")
    # The epoch before the text, so that no redaction comes between them unseen.
    epoch = ledger_of(org).epoch
    job = _taken(org, job_id)
    if job is None or job.status != JobStatus.WAITING or job.due_at > at:
        return None
    job.attempts += 1
    job.due_at = at + LEASE
    reading = _reading(org, job, epoch) if ASSISTANTS.of(org).model else None
    if reading is None:
        job.finish()
    elif job.attempts > MOST_ATTEMPTS:
        job.give_up(failure="It was begun too often without an end.")
        reading = None
    job.save(update_fields=["status", "attempts", "due_at", "failure"])
    return reading


@use_case
def store_extraction(
    *,
    org: Organization,
    reading: Reading,
    found: Mapping[str, Collection[Extract]],
    extractor: str,
    actor: Actor,
    at: datetime,
) -> Written:
    """Store what a model found, beside what the rules found, and end the job.

    Nothing is stored, and the job is due again, when something was redacted since, or the source says something else,
    or may not be sent any more. Raises PermissionRefused, and Overtaken when the job changed hands.
    """
    authorize(actor, "capture_memory")
    ledger = held_ledger(org)
    job: ExtractionJob = ExtractionJob.objects.for_org(org).get(pk=reading.job_id)
    fresh = _reading(org, job, ledger.epoch) if ASSISTANTS.of(org).model else None
    stands = fresh is not None and fresh.epoch == reading.epoch and fresh.passages == reading.passages
    drafts = _drafts(fresh, found, extractor) if fresh is not None and stands else []
    written = write_atoms(org=org, drafts=drafts, actor=actor, at=at, ledger=ledger)
    # Last, and without waiting: whoever captures holds jobs while it waits for what is held here.
    held = _taken(org, reading.job_id)
    if held is None or held.row_version != reading.row_version:
        raise Overtaken
    if stands:
        held.finish()
    else:
        held.attempts, held.due_at = held.attempts - 1, at
    held.save(update_fields=["status", "attempts", "due_at", "failure"])
    return written


@use_case
def put_off_extraction(
    *,
    org: Organization,
    reading: Reading,
    failure: str,
    retry_after: float | None = None,
    actor: Actor,
    at: datetime,
) -> None:
    """Let a job that failed wait, longer each time; after MOST_ATTEMPTS it is given up. Raises PermissionRefused.

    `failure` says what went wrong, and nothing of the text.
    """
    authorize(actor, "capture_memory")
    job = _taken(org, reading.job_id)
    if job is None or job.row_version != reading.row_version:
        return
    if job.attempts >= MOST_ATTEMPTS:
        job.give_up(failure=failure)
    else:
        wait = min(FIRST_WAIT * 4 ** (job.attempts - 1), LONGEST_WAIT)
        job.failure = failure[:300]
        job.due_at = at + max(wait, timedelta(seconds=retry_after or 0))
    job.save(update_fields=["status", "due_at", "failure"])


def _taken(org: Organization, job_id: int) -> ExtractionJob | None:
    """The job, locked; None when it is gone or somebody else holds it."""
    rows: Any = ExtractionJob.objects.for_org(org).select_for_update(skip_locked=True, no_key=True)
    job: ExtractionJob | None = rows.filter(pk=job_id).order_by("pk").first()
    return job


def _reading(org: Organization, job: ExtractionJob, epoch: int) -> Reading | None:
    """What the source of a job says now, in the fields that the rules read; None when nothing of it may be sent."""
    anchors: dict[str, AtomSource] = {}
    taken: dict[tuple[str, str], set[tuple[int, int]]] = defaultdict(set)
    rows = (
        AtomSource.objects.for_org(org)
        .filter(source_type=job.source_type, source_id=job.source_id)
        .select_related("atom")
        .order_by("pk")
    )
    for row in rows:
        if row.atom.state in _UNSENT or row.atom.audience != Audience.EVERYONE:
            return None
        if not row.source_field:
            continue
        if not row.extractor.startswith("model:"):
            anchors.setdefault(row.source_field, row)
        if row.span_start is not None and row.span_end is not None:
            kind = "" if row.atom.is_locked else row.atom.kind
            if row.atom.is_locked or not row.extractor.startswith("model:"):
                taken[row.source_field, kind].add((row.span_start, row.span_end))
    source = read_sources(org, job.source_type, [job.source_id]).get(job.source_id) if anchors else None
    if source is None:
        return None
    passages = {
        name: source.passage(name, written_on=anchor.occurred_at.date())
        for name, anchor in anchors.items()
        if name in source.texts
    }
    if not passages:
        return None
    # As it is when the job is saved.
    return Reading(
        job.pk, job.row_version + 1, epoch, passages, anchors, taken, is_outsiders=source.is_outsiders, tags=source.tags
    )


def _drafts(reading: Reading, found: Mapping[str, Collection[Extract]], extractor: str) -> list[Draft]:
    """What the model found and the rules did not, about what the rules' atoms of the same text are about."""
    return [
        _draft(reading, name, each, extractor)
        for name, extracts in found.items()
        for each in extracts
        if not _is_taken(reading, name, each)
    ]


def _is_taken(reading: Reading, name: str, extract: Extract) -> bool:
    spans = [*reading.taken.get((name, extract.kind), ()), *reading.taken.get((name, ""), ())]
    return any(start < extract.end and extract.start < end for start, end in spans)


def _draft(reading: Reading, name: str, extract: Extract, extractor: str) -> Draft:
    anchor = reading.anchors[name]
    atom = anchor.atom
    return Draft(
        kind=extract.kind,
        content=extract.text,
        entity_type=atom.entity_type,
        entity_id=atom.entity_id,
        occurred_at=anchor.occurred_at,
        source_type=anchor.source_type,
        source_id=anchor.source_id,
        source_field=name,
        event_id=anchor.event_id,
        event_name=anchor.event_name,
        slot=extract.slot,
        extractor=extractor,
        span=(extract.start, extract.end),
        confidence=extract.confidence,
        language=detect_language(reading.passages[name].text),
        tags=(*extract.tags, *reading.tags),
        author_id=atom.author_id,
        url=anchor.url,
        origin_id=anchor.origin_id,
        is_outsiders=reading.is_outsiders,
    )
