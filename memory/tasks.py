"""Scheduled work of memory: read the clock, call one service."""

from __future__ import annotations

import time
from collections import deque
from datetime import UTC, datetime
from typing import Any

import structlog
from celery import shared_task
from django.conf import settings
from django.db import DatabaseError
from django.db.models import Exists, OuterRef
from django.utils import timezone

from flowledger.errors import FlowLedgerError
from flowledger.outbox import shutdown
from flowledger.outbox.broker import ask_redis
from flowledger.outbox.long_work import work_in_turns
from flowledger.outbox.wake import heed, nudge
from flowledger.tenancy.actors import Actor
from flowledger.tenancy.models import Organization
from flowledger.tenancy.scope import system_scope
from memory.embeddings import Embedder, EmbeddingFailed, chosen
from memory.extraction.model import ModelUnavailable, configured
from memory.models import Atom, AtomVector, MemoryLedger
from memory.rewriting import rewrite_files
from memory.rules import KINDS
from memory.services import archiving, card_building, embedding, extraction_jobs, terms
from memory.sql import archiving as archiving_sql
from memory.sql import extraction as extraction_sql

log = structlog.get_logger(__name__)
ARCHIVE_TASK = "memory.tasks.archive_due_atoms"
RENEW_TASK = "memory.tasks.renew_atom_expiries"
# Atoms that one look of the archiving sweep finds, and for how long a tick works.
ARCHIVE_BATCH = 1_000
ARCHIVE_SECONDS = 50.0
CARD_TASK = "memory.tasks.build_cards"
# Marks of each organisation that one tick takes up, and for how long it builds.
CARDS_EACH = 100
CARD_SECONDS = 20.0
# Jobs that one look of the language model's reader finds, and for how long a tick begins new ones.
READING_BATCH = 50
READING_SECONDS = 50.0


@shared_task
def archive_due_atoms(**kwargs: Any) -> int:
    """Archive the atoms whose time has come; answers how many.

    A cross-tenant sweep by index, batch by batch; those of each organisation are archived in its own scope and
    transaction. It ends after ARCHIVE_SECONDS, and what is left goes to the next tick.
    """
    heed(ARCHIVE_TASK)
    at, began, archived = timezone.now(), time.monotonic(), 0
    after = (datetime.min.replace(tzinfo=UTC), 0)
    while not shutdown.requested():
        if time.monotonic() - began > ARCHIVE_SECONDS:
            nudge(ARCHIVE_TASK)
            break
        with system_scope("find atoms whose time has come"):
            found = archiving_sql.due(at=at, after=after, limit=ARCHIVE_BATCH)
            orgs = Organization.objects.in_bulk({due.org_id for due in found})
        if not found:
            break
        after = (found[-1].expires_at, found[-1].atom_id)
        for org_id in sorted(orgs):
            archived += _archive_some(orgs[org_id], [due.atom_id for due in found if due.org_id == org_id], at)
    if archived:
        log.info("atoms archived", atoms=archived)
    return archived


def _archive_some(org: Organization, atom_ids: list[int], at: datetime) -> int:
    try:
        return archiving.archive_due_atoms(org=org, atom_ids=atom_ids, actor=Actor.system("archive sweep"), at=at)
    except (FlowLedgerError, DatabaseError):
        # One organisation's trouble must not keep the others waiting; the next sweep finds them again.
        log.exception("atoms not archived", org_id=org.pk)
        return 0


@shared_task
def renew_atom_expiries(**kwargs: Any) -> int:
    """Let expiries follow the rules of kinds where these changed, in turns; answers how many batches had more."""
    heed(RENEW_TASK)
    with system_scope("find memories whose rules changed"):
        behind = [
            followed.org_id
            for followed in archiving_sql.followed_rules()
            if archiving.is_behind(followed.rule, followed.after_id, archiving.digest_of(KINDS.of(followed.org_id)))
        ]
        orgs = Organization.objects.in_bulk(behind)
    return work_in_turns(RENEW_TASK, [orgs[org_id] for org_id in behind], _renew_some, seconds=ARCHIVE_SECONDS)


def _renew_some(org: Organization) -> bool:
    try:
        return archiving.renew_expiries(org=org, actor=Actor.system("expiry renewal"), at=timezone.now())
    except (FlowLedgerError, DatabaseError):
        log.exception("expiries not renewed", org_id=org.pk)
        return False


EMBED_TASK = "memory.tasks.embed_new_atoms"
EMBED_MISSED_TASK = "memory.tasks.embed_missed_atoms"
# Of the installation's newest atoms, those that the quick sweep looks at, and for how long each sweep works.
NEWEST_ATOMS = 5_000
EMBED_SECONDS = 10.0
EMBED_MISSED_SECONDS = 50.0
# Who embeds for an organisation has it for itself for so long; asking a backend twice would cost twice.
EMBED_LEASE_SECONDS = 120


@shared_task
def embed_new_atoms(**kwargs: Any) -> int:
    """Make vectors of atoms that are new, where there is a backend; answers how many batches had more.

    A cross-tenant sweep over the newest atoms of the installation; those of each organisation in its own scope.
    """
    heed(EMBED_TASK)
    embedder = chosen().embedder
    if embedder is None:
        return 0
    with system_scope("find new atoms without a vector"):
        newest = Atom.all_orgs.order_by("-pk").values("pk")[:NEWEST_ATOMS]
        theirs = {"org_id": OuterRef("org_id"), "atom_id": OuterRef("pk"), "content_hash": OuterRef("content_hash")}
        vectors = AtomVector.all_orgs.filter(**theirs, model=embedder.model)
        waiting = Atom.all_orgs.active().filter(~Exists(vectors), pk__in=newest, audience="everyone")
        orgs = Organization.objects.in_bulk(set(waiting.values_list("org_id", flat=True).distinct()))
    return _embed_in_turns(EMBED_TASK, orgs, embedder, seconds=EMBED_SECONDS)


@shared_task
def embed_missed_atoms(**kwargs: Any) -> int:
    """Make vectors of all that has none: older atoms, changed texts, another model. Answers as the quick sweep does."""
    heed(EMBED_MISSED_TASK)
    embedder = chosen().embedder
    if embedder is None:
        return 0
    with system_scope("find organisations with a memory"):
        orgs = Organization.objects.in_bulk(list(MemoryLedger.all_orgs.values_list("org_id", flat=True)))
    return _embed_in_turns(EMBED_MISSED_TASK, orgs, embedder, seconds=EMBED_MISSED_SECONDS)


def _embed_in_turns(task: str, orgs: dict[int, Organization], embedder: Embedder, *, seconds: float) -> int:
    """One batch of each organisation by turns; the quick sweep leaves off where nothing is new."""
    below = dict.fromkeys(orgs, embedding.NEWEST)

    def step(org_id: int) -> bool:
        done = _embed_some(orgs[org_id], embedder, below[org_id])
        if done is None or done.go_on_below is None:
            return False
        below[org_id] = done.go_on_below
        return task == EMBED_MISSED_TASK or done.found > 0

    return work_in_turns(task, sorted(orgs), step, seconds=seconds)


def _embed_some(org: Organization, embedder: Embedder, below: int) -> embedding.Embedded | None:
    """One batch of one organisation, unless somebody else is at it; None when there is no use in going on."""
    key = f"flowledger:memory:embedding:{org.pk}"
    if not ask_redis("lease", lambda redis: bool(redis.set(key, "1", nx=True, ex=EMBED_LEASE_SECONDS)), otherwise=True):
        return None
    try:
        done = embedding.embed_atoms(org=org, embedder=embedder, below=below)
        if done.go_on_below is None:
            embedding.drop_former_models(org=org, embedder=embedder)
        return done
    except (EmbeddingFailed, FlowLedgerError, DatabaseError) as error:
        # One organisation's trouble must not keep the others waiting; the next sweep finds its atoms again.
        reason = str(error) if isinstance(error, EmbeddingFailed) else type(error).__name__
        log.warning("atoms not embedded", org_id=org.pk, reason=reason)
        return None
    finally:
        ask_redis("lease", lambda redis: redis.delete(key), otherwise=0)


@shared_task
def build_cards(**kwargs: Any) -> int:
    """Build the memory cards that are due, one of each organisation by turns; answers how many.

    A cross-tenant sweep by index; each card is built in its own organisation's scope and transaction. It ends after
    CARD_SECONDS, so that a worker that shuts down is soon free; what is left goes to the next tick.
    """
    heed(CARD_TASK)
    at = timezone.now()
    with system_scope("find memory cards to build"):
        found = card_building.due_marks(at=at, each=CARDS_EACH)
        orgs = Organization.objects.in_bulk(found)
    built = 0

    def step(piece: tuple[Organization, deque[int]]) -> bool:
        nonlocal built
        org, waiting = piece
        built += _build_one(org, waiting.popleft())
        return bool(waiting)

    pieces = [(orgs[org_id], deque(mark_ids)) for org_id, mark_ids in sorted(found.items())]
    work_in_turns(CARD_TASK, pieces, step, seconds=CARD_SECONDS)
    if built and any(len(mark_ids) == CARDS_EACH for mark_ids in found.values()):
        nudge(CARD_TASK)
    return built


def _build_one(org: Organization, mark_id: int) -> bool:
    at = timezone.now()
    try:
        return card_building.build_marked(org=org, mark_id=mark_id, at=at)
    except (FlowLedgerError, DatabaseError):
        # One card that cannot be built must not keep the others waiting.
        log.exception("memory card not built", org_id=org.pk, mark_id=mark_id)
        card_building.put_off(org=org, mark_id=mark_id, at=at)
        return False


@shared_task
def read_with_model(**kwargs: Any) -> int:
    """Have the configured language model read what waits for it; answers how many sources were read.

    A cross-tenant sweep by index; each source is read in its own organisation's scope, and the model is asked outside
    of transactions. When the model does not answer, what is left waits for the next tick.
    """
    model = configured()
    if model is None:
        return 0
    heed(extraction_jobs.EXTRACTION_TASK)
    with system_scope("find what a language model is to read"):
        found = extraction_sql.due(at=timezone.now(), limit=READING_BATCH)
        orgs = Organization.objects.in_bulk({job.org_id for job in found})
    began, read = time.monotonic(), 0
    for job in found:
        if shutdown.requested() or time.monotonic() - began > READING_SECONDS:
            break
        try:
            written = extraction_jobs.read_source(
                org=orgs[job.org_id],
                job_id=job.job_id,
                model=model,
                actor=Actor.system("language model"),
                at=timezone.now(),
            )
        except ModelUnavailable as error:
            log.warning("language model unavailable", reason=str(error))
            return read
        except (FlowLedgerError, DatabaseError):
            # One source that cannot be stored must not keep the others waiting; its lease ends, and it is read again.
            log.exception("source not read", org_id=job.org_id, job_id=job.job_id)
        else:
            read += written is not None
    if len(found) == READING_BATCH:
        nudge(extraction_jobs.EXTRACTION_TASK)
    return read


TERMS_TASK = "memory.tasks.refresh_memory_terms"
# Organisations whose statistics one tick makes anew, and for how long it works on them.
TERMS_ORGANIZATIONS = 100
TERMS_SECONDS = 40.0


@shared_task
def refresh_memory_terms(**kwargs: Any) -> int:
    """Make due term statistics anew, in turns; answers how many batches had more.

    A cross-tenant look at the ledgers; each batch is counted in its organisation's own scope and transaction.
    """
    heed(TERMS_TASK)
    with system_scope("find memories whose terms are to be counted"):
        due = terms.due_organizations(at=timezone.now(), most=TERMS_ORGANIZATIONS)
        orgs = Organization.objects.in_bulk(due)
    return work_in_turns(TERMS_TASK, [orgs[org_id] for org_id in due], _refresh_some_terms, seconds=TERMS_SECONDS)


def _refresh_some_terms(org: Organization) -> bool:
    try:
        return terms.refresh_terms(org=org, actor=Actor.system("term statistics"), at=timezone.now())
    except (FlowLedgerError, DatabaseError):
        # One organisation's trouble must not keep the others waiting; the next tick goes on where it stood.
        log.exception("terms not counted", org_id=org.pk)
        return False


@shared_task
def rewrite_redacted_files(**kwargs: Any) -> int:
    """Take what was redacted out of the database's files; answers for how many redactions that is done.

    Tables that are large or in use wait for the next night, or for `manage.py memory rewrite`.
    """
    return rewrite_files(at=timezone.now(), most_bytes=settings.MEMORY_REWRITE_MOST_BYTES).redactions
