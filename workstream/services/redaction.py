"""Taking what was said out of the pipeline's rows, and out of all that was made of them: payloads, labels, imports."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from django.db.models import Q

from flowledger.clients.erasure import Counts, Mentions, Passages, Said, SourceRedactor, add_counts
from flowledger.clients.services.copies import redact_errors
from flowledger.clients.services.texts import Texts, redact_mentions, redact_said, rows_with
from flowledger.outbox.redaction import MARKER
from flowledger.tenancy.models import Organization
from workstream.models import (
    Activity,
    Candidate,
    CandidateSignal,
    ChecklistItem,
    CostEntry,
    Engagement,
    FormSubmission,
    ImportChange,
    ImportRow,
    IntakeReject,
    MailMessage,
    MailThread,
    Notification,
    Proposal,
    Pursuit,
    Signal,
    SignalCluster,
    SignalPayload,
    Task,
    WorkItemLink,
)
from workstream.services.erasing import NOTHING_SHA256
from workstream.services.today import refresh_today
from workstream.sql import erasing as sql


@dataclass(frozen=True)
class Statements:
    """The columns of a source in which somebody says something, and what is left of one that may not be empty.

    Titles and names are no statements: they say which row it is, and go with the person that they name.
    """

    model: type[Any]
    columns: tuple[str, ...]
    left: Mapping[str, Any] = field(default_factory=dict)
    # The item of its events, if that is another; errors of handlers are found by it.
    item_type: str = ""

    @property
    def table(self) -> Texts:
        return Texts(self.model)


SIGNAL_TEXTS = ("snippet", "problem_phrase", "solution_hint", "attributes", "reject_reason")
STATEMENTS: dict[str, Statements] = {
    "signal": Statements(Signal, SIGNAL_TEXTS, {"reject_reason": MARKER}),
    "candidate": Statements(
        Candidate,
        ("one_liner_scope", "next_step", "hold_reason", "archive_reason"),
        {"hold_reason": MARKER, "archive_reason": MARKER},
    ),
    "pursuit": Statements(Pursuit, ("outcome_reason",), {"outcome_reason": MARKER}),
    "candidate_signal": Statements(CandidateSignal, ("reason",)),
    "activity": Statements(Activity, ("summary", "body"), {"summary": MARKER}),
    "task": Statements(Task, ("title",), {"title": MARKER}),
    "link": Statements(WorkItemLink, ("target_ref", "title"), {"target_ref": MARKER}),
    "checklist_item": Statements(ChecklistItem, ("evidence", "waive_reason"), {"waive_reason": MARKER}),
    "cost_entry": Statements(CostEntry, ("note",)),
    "proposal": Statements(Proposal, ("body",), {"body": MARKER}),
    "engagement": Statements(Engagement, ()),
    "thread": Statements(MailThread, ("subject",)),
}
# What hangs off an item and goes with it when all about it is redacted: the source type, and its column.
_BELOW: dict[str, tuple[tuple[str, str], ...]] = {
    "signal": (("activity", "signal"), ("task", "signal"), ("link", "signal"), ("candidate_signal", "signal")),
    "candidate": (
        *(("candidate_signal", "candidate"), ("activity", "candidate"), ("task", "candidate")),
        ("link", "candidate"),
    ),
    "pursuit": (
        *(("activity", "pursuit"), ("task", "pursuit"), ("link", "pursuit"), ("checklist_item", "pursuit")),
        *(("cost_entry", "pursuit"), ("proposal", "pursuit")),
    ),
    "engagement": (("activity", "engagement"), ("task", "engagement"), ("link", "engagement")),
    "client": (("activity", "client"), ("task", "client"), ("link", "client")),
    "contact": (("activity", "contact"), ("task", "contact"), ("link", "contact")),
}
# Places in the pipeline that quote what others say.
_QUOTING = (Texts(Notification, named_in=("title", "body")),)


def redactor_of(source_type: str) -> SourceRedactor:
    """How rows of a source type let go of what they say."""

    def redact(*, org: Organization, passages: Passages, at: datetime, dry_run: bool) -> Counts:
        with sql.doors_open():
            return _redact(source_type, org=org, passages=passages, at=at, dry_run=dry_run)

    return redact


def forget_quotations(*, org: Organization, texts: Mentions, at: datetime, dry_run: bool) -> Counts:
    """Take texts out of notifications."""
    touched: Counts = {}
    for table in _QUOTING:
        if dry_run:
            found = rows_with(table, org=org, mentions=texts)
        else:
            found = redact_mentions(table, org=org, mentions=texts, at=at)
        add_counts(touched, {table.label: len(found)})
    return touched


def _redact(source_type: str, *, org: Organization, passages: Passages, at: datetime, dry_run: bool) -> Counts:
    """Statements first, then what was made of them; what hangs off a row only when all about it goes."""
    keys: dict[str, Any] = {"org": org, "at": at, "dry_run": dry_run}
    touched: Counts = {}
    statements = STATEMENTS.get(source_type)
    removed: dict[int, list[str]] = {}
    if statements is not None:
        removed = redact_said(statements.table, statements.columns, passages=passages, left=statements.left, **keys)
        add_counts(touched, {statements.table.label: len(removed)})
    more = _MADE_OF.get(source_type)
    if more is not None:
        add_counts(touched, more(passages=passages, removed=removed, **keys))
    whole = [pk for pk, said in passages.items() if said is None]
    for below, column in _BELOW.get(source_type, ()) if whole else ():
        rows = STATEMENTS[below].model.objects.for_org(org).filter(**{f"{column}__in": whole})
        found: Passages = dict.fromkeys(rows.values_list("pk", flat=True))
        if found:
            add_counts(touched, _redact(below, passages=found, **keys))
    errors = redact_errors(org=org, item_type=source_type, item_ids=list(passages), dry_run=dry_run)
    add_counts(touched, errors)
    return touched


def _made_of_signals(
    *, org: Organization, passages: Passages, removed: Mapping[int, list[str]], at: datetime, dry_run: bool
) -> Counts:
    """What came in as bytes, what was imported, the label of the cluster, and deals that were named after it."""
    signals = list(passages)
    touched = _empty_raw(org, _with_their_threads(org, signals), at=at, dry_run=dry_run)
    siblings = sorted(set(_with_their_threads(org, signals)) - set(signals))
    said = [Said(text) for texts in removed.values() for text in texts]
    said += [each for given in passages.values() for each in given or ()]
    if siblings and said:
        quoted = redact_said(
            Texts(Signal),
            SIGNAL_TEXTS,
            org=org,
            passages=dict.fromkeys(siblings, said),
            at=at,
            dry_run=dry_run,
            left={"reject_reason": MARKER},
        )
        add_counts(touched, {"workstream.signal": len(quoted)})
    add_counts(touched, _rename(org, signals, said, at=at, dry_run=dry_run))
    return touched


def _empty_raw(org: Organization, signals: Sequence[int], *, at: datetime, dry_run: bool) -> Counts:
    """The bytes of signals, and of messages that may quote them; no sentence can be cut out of those."""
    touched: Counts = {}
    of_import = {"run__kind": "signals", "item_id__in": signals}
    changes = {"model": "workstream.signal", "item_id__in": signals}
    for model, rows, left in (
        (SignalCluster, {"signals__in": signals}, {"label": ""}),
        (SignalPayload, {"signal__in": signals}, {"body": b"", "sha256": NOTHING_SHA256}),
        (MailThread, {"messages__signal__in": signals}, {"subject": ""}),
        (IntakeReject, {"signal__in": signals}, {"body": b"", "fields": {}, "errors": {}, "note": ""}),
        (FormSubmission, {"signal__in": signals}, {"body": b"", "fields": {}}),
        (ImportRow, of_import, {"cells": [], "errors": {}}),
        (ImportChange, changes, {"before": {}, "after": {}, "kept_reason": "What it said was redacted."}),
    ):
        blank = Q(**left)
        found = model.objects.for_org(org).filter(**rows).exclude(blank)
        pks = sorted(set(found.values_list("pk", flat=True)))
        if pks and not dry_run:
            chosen = model.objects.for_org(org).filter(pk__in=pks)
            list(chosen.order_by("pk").select_for_update(no_key=True).values_list("pk"))
            if model is ImportChange:
                chosen.filter(undone_at__isnull=True).update(undone_at=at)
            chosen.update(**left, updated_at=at)
        add_counts(touched, {str(model._meta.label_lower): len(pks)})
    return touched


def _with_their_threads(org: Organization, signals: Sequence[int]) -> list[int]:
    """Signals, and all that were received in the conversations that they are part of."""
    threads = MailMessage.objects.for_org(org).filter(signal__in=signals).values("thread")
    others = MailMessage.objects.for_org(org).filter(thread__in=threads, signal__isnull=False)
    return sorted({*signals, *others.values_list("signal_id", flat=True)})


def _rename(org: Organization, signals: Sequence[int], said: Sequence[Said], *, at: datetime, dry_run: bool) -> Counts:
    """Take what signals say out of the titles of deals that were opened from them, and off the Today panel."""
    if not said:
        return {}
    linked = CandidateSignal.objects.for_org(org).filter(signal__in=signals).values_list("candidate_id", flat=True)
    candidates = sorted(set(linked))
    pursuits = list(Pursuit.objects.for_org(org).filter(candidate__in=candidates).values_list("pk", flat=True))
    engagements = list(Engagement.objects.for_org(org).filter(pursuit__in=pursuits).values_list("pk", flat=True))
    proposals = list(Proposal.objects.for_org(org).filter(pursuit__in=pursuits).values_list("pk", flat=True))
    touched: Counts = {}
    for model, columns, pks in (
        (Candidate, ("title", "one_liner_scope", "next_step"), candidates),
        (Pursuit, ("title",), pursuits),
        (Proposal, ("title", "body"), proposals),
        (Engagement, ("title",), engagements),
    ):
        table = Texts(model)
        found = redact_said(
            table,
            columns,
            org=org,
            passages=dict.fromkeys(pks, said),
            at=at,
            dry_run=dry_run,
            left={"title": MARKER, "body": MARKER},
        )
        add_counts(touched, {table.label: len(found)})
    if touched and not dry_run:
        refresh_today(org=org, candidate_ids=candidates, pursuit_ids=pursuits, at=at)
    return touched


def _made_of_threads(
    *, org: Organization, passages: Passages, removed: Mapping[int, list[str]], at: datetime, dry_run: bool
) -> Counts:
    """All that was received in conversations, when all of one goes."""
    whole = [pk for pk, said in passages.items() if said is None]
    rows = MailMessage.objects.for_org(org).filter(thread__in=whole, signal__isnull=False)
    found: Passages = dict.fromkeys(rows.values_list("signal_id", flat=True))
    return _redact("signal", org=org, passages=found, at=at, dry_run=dry_run) if found else {}


_MADE_OF: dict[str, Callable[..., Counts]] = {"signal": _made_of_signals, "thread": _made_of_threads}
SOURCE_TYPES = (
    *("client", "contact", "thread", "signal", "candidate", "pursuit", "engagement", "candidate_signal", "activity"),
    *("task", "link", "checklist_item", "cost_entry", "proposal"),
)
