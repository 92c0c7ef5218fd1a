"""Working through the rows of a CSV import: a chunk is one transaction, so that a killed worker costs nothing.

Whoever works on an import holds its row; two workers never have the same chunk. Chunks are set-based. When one fails,
its rows go one by one, and the one that is to blame is rejected with the reason.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum
from typing import Any

import structlog
from django.db import DataError, IntegrityError, transaction

from flowledger.clients import services as clients
from flowledger.clients.models import Client, Contact, IdentityKey
from flowledger.clients.services import ClientRow, ContactRow
from flowledger.clients.services.written import RecordChange, WrittenRow, as_json, creation_of, label_of
from flowledger.errors import FlowLedgerError, Unavailable
from flowledger.tenancy.actors import Actor, Origin
from flowledger.tenancy.models import Organization
from flowledger.tenancy.scope import org_scope
from workstream.intake.csv_fields import client_fields, contact_fields, signal_fields
from workstream.intake.csv_mapping import mapped_cells
from workstream.intake.fields import FieldErrors, read_fields
from workstream.machines import ImportStatus
from workstream.models import ImportRow, ImportRun, Signal
from workstream.models.imports import ImportKind, ImportMode, RowOutcome
from workstream.models.signals import Channel, SourceType
from workstream.services.receiving import Incoming, receive_signals
from workstream.sql import imports as sql

log = structlog.get_logger(__name__)

CHUNK = 500
# Rows of a chunk that failed as a whole go on their own, so many in one transaction.
ALONE = 50
_NOT_WRITTEN = "It could not be stored; look at its values."


class Progress(StrEnum):
    """What a look at an import came to."""

    IDLE = "idle"  # nothing to do here, or another worker is at it
    MORE = "more"
    DONE = "done"


@dataclass
class RowResult:
    """What became of a row of the file."""

    number: int
    outcome: str
    item_id: int | None = None
    errors: Mapping[str, Sequence[str]] = field(default_factory=dict)
    changes: list[RecordChange] = field(default_factory=list)


def import_chunk(*, org: Organization, run_id: int, at: datetime) -> Progress:
    """Import the next rows of a running import, unless another worker does.

    Raises Unavailable and OperationalError when others are in the way; the rows are still there for the next try.
    """
    try:
        return _chunk(org=org, run_id=run_id, at=at, alone=False)
    except Unavailable:
        raise
    except (DataError, IntegrityError, FlowLedgerError) as error:
        log.warning("chunk of an import failed, its rows go one by one", import_id=run_id, error=str(error))
        return _chunk(org=org, run_id=run_id, at=at, alone=True)


def _chunk(*, org: Organization, run_id: int, at: datetime, alone: bool) -> Progress:
    size = ALONE if alone else CHUNK
    with org_scope(org), transaction.atomic():
        runs = ImportRun.objects.for_org(org).filter(pk=run_id, status=ImportStatus.RUNNING)
        run: ImportRun | None = runs.select_for_update(skip_locked=True, no_key=True).order_by("pk").first()
        if run is None:
            return Progress.IDLE
        rows: list[ImportRow] = list(ImportRow.objects.for_org(org).filter(run=run).pending()[:size])
        actor = actor_of(run)
        if rows:
            if alone:
                results = [_one(run, row, org=org, actor=actor, at=at) for row in rows]
            else:
                results = process(run, rows, org=org, actor=actor, at=at)
            _keep(run, results)
        is_last = len(rows) < size
        if is_last:
            run.finish(actor=actor, at=at)
        run.failure = ""
        run.save()
    return Progress.DONE if is_last else Progress.MORE


def note_stall(*, org: Organization, run_id: int, error: Exception) -> None:
    """Say on the import what holds it up; the next chunk that gets through takes it away."""
    words = error.message if isinstance(error, FlowLedgerError) else f"The database: {str(error).splitlines()[0]}"
    with org_scope(org), transaction.atomic():
        runs = ImportRun.objects.for_org(org).to_do().filter(pk=run_id)
        run: ImportRun | None = runs.select_for_update(skip_locked=True, no_key=True).order_by("pk").first()
        if run is not None:
            run.failure = words[:500]
            run.save(update_fields=["failure"])


def actor_of(run: ImportRun) -> Actor:
    """The application on behalf of who started it; with the rules off nothing outside of the database happens."""
    origin = Origin.SYSTEM if run.fires_rules else Origin.IMPORT
    actor = Actor.system(f"import {run.pk}: {run.file_name}"[:200], origin=origin)
    return replace(actor, user_id=run.started_by_id)


def sender_of(run: ImportRun) -> str:
    """Who delivered the signals of an import, as their deliveries name it."""
    return f"CSV import {run.pk}: {run.file_name}"[:200]


def process(
    run: ImportRun, rows: Sequence[ImportRow], *, org: Organization, actor: Actor, at: datetime
) -> list[RowResult]:
    """Write rows, in their order; part of the transaction that notes their outcomes."""
    cells = [mapped_cells(run.headers, row.cells, run.mapping) for row in rows]
    if run.kind == ImportKind.SIGNALS:
        return _signals(run, rows, cells, org=org, actor=actor, at=at)
    return _records(run, rows, cells, org=org, actor=actor, at=at)


def _one(run: ImportRun, row: ImportRow, *, org: Organization, actor: Actor, at: datetime) -> RowResult:
    """A row on its own, rejected when it cannot be written."""
    try:
        with transaction.atomic():
            return process(run, [row], org=org, actor=actor, at=at)[0]
    except Unavailable:
        raise
    except FlowLedgerError as error:
        return RowResult(row.number, RowOutcome.REJECTED, errors={"": [error.message]})
    except (DataError, IntegrityError) as error:
        log.warning("row of an import refused by the database", import_id=run.pk, row=row.number, error=str(error))
        return RowResult(row.number, RowOutcome.REJECTED, errors={"": [_NOT_WRITTEN]})


def _keep(run: ImportRun, results: Sequence[RowResult]) -> None:
    noted = [sql.Noted(each.number, each.outcome, each.item_id, each.errors) for each in results]
    sql.note(org_id=run.org_id, run_id=run.pk, rows=noted)
    journaled = [
        sql.Journaled(
            each.number,
            change.model,
            change.item_id,
            change.is_creation,
            change.before,
            change.after,
            change.version_after,
        )
        for each in results
        for change in each.changes
    ]
    sql.journal(org_id=run.org_id, run_id=run.pk, changes=journaled)
    counts = Counter(each.outcome for each in results)
    run.created_count += counts[RowOutcome.CREATED]
    run.updated_count += counts[RowOutcome.UPDATED]
    run.unchanged_count += counts[RowOutcome.UNCHANGED]
    run.rejected_count += counts[RowOutcome.REJECTED]


# --- contacts and clients ---


def _records(
    run: ImportRun,
    rows: Sequence[ImportRow],
    cells: Sequence[Mapping[str, str]],
    *,
    org: Organization,
    actor: Actor,
    at: datetime,
) -> list[RowResult]:
    read = contact_fields if run.kind == ImportKind.CONTACTS else client_fields
    asked: dict[int, Any] = {}
    results: dict[int, RowResult] = {}
    for row, mapped in zip(rows, cells, strict=True):
        try:
            found = read(mapped)
        except FieldErrors as error:
            results[row.number] = RowResult(row.number, RowOutcome.REJECTED, errors=error.errors)
        else:
            asked[row.number] = (
                ContactRow(found.fields, found.record_id, found.company_name, found.company_domain, found.members)
                if run.kind == ImportKind.CONTACTS
                else ClientRow(found.fields, found.record_id, found.members)
            )
    may: dict[str, Any] = {
        "may_create": run.mode != ImportMode.UPDATE,
        "may_update": run.mode != ImportMode.CREATE,
        "actor": actor,
        "at": at,
    }
    if run.kind == ImportKind.CONTACTS:
        written = clients.write_contacts(org=org, rows=list(asked.values()), **may)
    else:
        written = clients.write_clients(org=org, rows=list(asked.values()), **may)
    results |= {number: _result(number, each) for number, each in zip(asked, written, strict=True)}
    return [results[row.number] for row in rows]


def _result(number: int, written: WrittenRow) -> RowResult:
    return RowResult(number, written.outcome, written.item_id, written.errors, written.changes)


# --- signals ---


def _signals(
    run: ImportRun,
    rows: Sequence[ImportRow],
    cells: Sequence[Mapping[str, str]],
    *,
    org: Organization,
    actor: Actor,
    at: datetime,
) -> list[RowResult]:
    items: dict[int, Incoming] = {}
    results: dict[int, RowResult] = {}
    for row, mapped in zip(rows, cells, strict=True):
        try:
            raw = signal_fields(mapped, zone=org.timezone)
            # The same bytes again are the same signals, whether or not the rows have keys of their own.
            raw.setdefault("dedupe_key", f"csv:{run.file_sha256}:{row.number}")
            fields = read_fields(raw, default_source_type=SourceType.IMPORT)
        except FieldErrors as error:
            results[row.number] = RowResult(row.number, RowOutcome.REJECTED, errors=error.errors)
        else:
            items[row.number] = Incoming(fields=fields, body=_body(run, row))
    received = receive_signals(
        org=org, items=list(items.values()), channel=Channel.CSV, sender=sender_of(run), actor=actor, at=at
    )
    outcomes = dict(zip(items, received, strict=True))
    changes = _identity_changes(org, outcomes, at=at)
    for number, outcome in outcomes.items():
        if outcome.status == "rejected":
            errors = outcome.errors or {"": [outcome.reason]}
            results[number] = RowResult(number, RowOutcome.REJECTED, errors=errors)
            continue
        is_new = outcome.status == "created"
        result = RowResult(number, RowOutcome.CREATED if is_new else RowOutcome.UNCHANGED, outcome.signal_id)
        if is_new and outcome.signal_id is not None:
            result.changes.append(RecordChange(model=label_of(Signal), item_id=outcome.signal_id, is_creation=True))
        result.changes += changes.get(number, [])
        results[number] = result
    return [results[row.number] for row in rows]


def _body(run: ImportRun, row: ImportRow) -> bytes:
    """The row as it was, under its headings."""
    return json.dumps(dict(zip(run.headers, row.cells, strict=False)), ensure_ascii=False).encode()


def _identity_changes(org: Organization, outcomes: Mapping[int, Any], *, at: datetime) -> dict[int, list[RecordChange]]:
    """By row: the contacts and clients that recognising its sender made or completed, and the keys it added."""
    made: dict[tuple[Any, int], int] = {}
    completed: dict[int, tuple[int, dict[str, Any]]] = {}
    linked: dict[tuple[str, int], int] = {}
    for number, outcome in outcomes.items():
        identity = outcome.identity
        if identity is None:
            continue
        if identity.created_contact:
            made[Contact, identity.contact_id] = number
        if identity.created_client:
            made[Client, identity.client_id] = number
        if identity.completed and identity.contact_id is not None:
            first, before = completed.setdefault(identity.contact_id, (number, {}))
            completed[identity.contact_id] = (first, {**identity.completed, **before})
        for column, pk in (("contact_id", identity.contact_id), ("client_id", identity.client_id)):
            if pk is not None:
                linked.setdefault((column, pk), number)
    found: dict[int, list[RecordChange]] = {}
    for model in (Contact, Client):
        ids = {pk for kind, pk in made if kind is model}
        wanted = ids | set(completed) if model is Contact else ids
        for row in model.objects.for_org(org).filter(pk__in=wanted) if wanted else ():
            if row.pk in ids:
                found.setdefault(made[model, row.pk], []).append(creation_of(row))
                continue
            number, before = completed[row.pk]
            after = {name: as_json(getattr(row, name)) for name in before}
            change = RecordChange(
                model=label_of(model),
                item_id=row.pk,
                is_creation=False,
                before=before,
                after=after,
                version_after=row.row_version,
            )
            found.setdefault(number, []).append(change)
    old = {place: number for place, number in linked.items() if (_MODELS[place[0]], place[1]) not in made}
    for number, change in _new_keys(org, old, at=at):
        found.setdefault(number, []).append(change)
    return found


_MODELS: Mapping[str, Any] = {"contact_id": Contact, "client_id": Client}


def _new_keys(
    org: Organization, linked: Mapping[tuple[str, int], int], *, at: datetime
) -> list[tuple[int, RecordChange]]:
    """Keys that this chunk was the first to see, and that name records of before it."""
    found = []
    for column in _MODELS:
        ids = [pk for name, pk in linked if name == column]
        if not ids:
            continue
        rows = IdentityKey.objects.for_org(org).filter(**{f"{column}__in": ids}, first_seen=at)
        for pk, owner, version in rows.values_list("pk", column, "row_version"):
            number = linked[column, owner]
            found.append(
                (number, RecordChange(model=label_of(IdentityKey), item_id=pk, is_creation=True, version_after=version))
            )
    return found
