"""Use cases of CSV imports: take a file, map its columns, look at what it would do, start, stop, take back."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import islice
from typing import Any, BinaryIO

from django.conf import settings
from django.db import DataError, IntegrityError, transaction

from flowledger.clients.models import Client, Contact
from flowledger.errors import Conflict, InvalidInput, TooLarge
from flowledger.outbox.wake import wake_task
from flowledger.tenancy.actors import Actor
from flowledger.tenancy.models import Organization
from flowledger.tenancy.permissions import authorize
from flowledger.tenancy.usecases import use_case
from workstream.intake.csv_mapping import KINDS, MappingRefused, check_mapping, guess_mapping
from workstream.intake.csv_reading import CsvRow, UnreadableCsv, read_csv
from workstream.machines import ImportStatus, require_legal
from workstream.models import ImportRow, ImportRun
from workstream.models.imports import ImportKind, ImportMode, RowOutcome
from workstream.services.import_rows import RowResult, actor_of, process
from workstream.sql import imports as sql

IMPORT_TASK = "workstream.tasks.import_rows"
PREVIEW_ROWS = 20
_STAGED_AT_ONCE = 5_000
_BLOCK = 1024 * 1024


@dataclass(frozen=True)
class PreviewedRow:
    """A row of the file and what importing it now would do; `effects` are sentences."""

    number: int
    cells: Sequence[str]
    outcome: str
    errors: Mapping[str, Sequence[str]] = field(default_factory=dict)
    effects: Sequence[str] = ()


@use_case
def create_import(
    *,
    org: Organization,
    kind: str,
    file_name: str,
    file: BinaryIO,
    encoding: str = "",
    delimiter: str = "",
    has_headings: bool | None = None,
    actor: Actor,
    at: datetime,
) -> ImportRun:
    """Take a file in: its rows are kept, its columns mapped as their headings suggest. Nothing is imported yet.

    Rows that cannot be read are rejected already, each with its reason. Encoding, delimiter and headings are found out
    unless said. Raises PermissionRefused, InvalidInput for a file that is no CSV, TooLarge.
    """
    authorize(actor, "import_records")
    if kind not in ImportKind.values:
        sentence = f"Choose one of: {', '.join(ImportKind.values)}."
        raise InvalidInput(sentence, fields={"kind": [sentence]})
    size, digest = _measured(file)
    try:
        found = read_csv(file, encoding=encoding, delimiter=delimiter, has_headings=has_headings)
        run = ImportRun(
            org=org,
            kind=kind,
            file_name=_printable(file_name) or "upload.csv",
            file_sha256=digest,
            file_bytes=size,
            encoding=found.encoding,
            delimiter=found.delimiter,
            headers=found.headings,
            mapping=guess_mapping(kind, found.headings),
            started_by_id=actor.user_id,
        )
        run.save()
        _stage(run, found.rows)
    except UnreadableCsv as error:
        raise InvalidInput(str(error), fields={"file": [str(error)]}) from None
    if not run.rows_total:
        sentence = "The file has headings and no rows below them."
        raise InvalidInput(sentence, fields={"file": [sentence]})
    run.save(update_fields=["rows_total", "rejected_count"])
    return run


@use_case
def change_import(
    *, org: Organization, import_id: int, fields: Mapping[str, Any], actor: Actor, at: datetime
) -> ImportRun:
    """Set `mapping` ({heading: field}), `mode` and `fires_rules` of an import that was not started.

    Raises NotFound, PermissionRefused, Conflict once it was started, InvalidInput for columns that the file
    does not have and fields that there are not.
    """
    run = _locked(org, import_id, actor)
    _require_uploaded(run)
    if "mapping" in fields:
        run.mapping = _checked(run, fields["mapping"])
    if "mode" in fields:
        if fields["mode"] not in ImportMode.values:
            _refuse("mode", f"Choose one of: {', '.join(ImportMode.values)}.")
        run.mode = fields["mode"]
    if "fires_rules" in fields:
        run.fires_rules = fields["fires_rules"]
    _require_mode(run)
    run.save(update_fields=["mapping", "mode", "fires_rules"])
    return run


@use_case
def preview_import(*, org: Organization, import_id: int, actor: Actor, at: datetime) -> list[PreviewedRow]:
    """What importing the first rows now would do: they are imported and taken back at once.

    Raises NotFound, PermissionRefused, Conflict once it was started, InvalidInput without a usable mapping.
    """
    run: ImportRun = ImportRun.objects.for_org(org).fetch(import_id)
    authorize(actor, "import_records", run)
    _require_uploaded(run)
    _checked(run, run.mapping)
    _require_mode(run)
    rows: list[ImportRow] = list(ImportRow.objects.for_org(org).filter(run=run).order_by("number")[:PREVIEW_ROWS])
    pending = [row for row in rows if row.outcome == RowOutcome.PENDING]
    results = _tried(run, pending, org=org, at=at)
    return [
        results.get(row.number, PreviewedRow(row.number, row.cells, row.outcome, errors=row.errors)) for row in rows
    ]


@use_case
def start_import(*, org: Organization, import_id: int, actor: Actor, at: datetime) -> ImportRun:
    """Let workers import the rows; mapping and options are final.

    Raises NotFound, PermissionRefused, InvalidTransition, InvalidInput without a usable mapping.
    """
    run = _locked(org, import_id, actor)
    require_legal(run, to=ImportStatus.RUNNING)
    run.mapping = _checked(run, run.mapping)
    _require_mode(run)
    run.start(actor=actor, at=at)
    run.save()
    wake_task(IMPORT_TASK)
    return run


@use_case
def cancel_import(*, org: Organization, import_id: int, actor: Actor, at: datetime) -> ImportRun:
    """Stop it after the chunk in hand; what was imported stays and can be undone.

    Raises NotFound, PermissionRefused, InvalidTransition.
    """
    run = _locked(org, import_id, actor)
    require_legal(run, to=ImportStatus.CANCELLED)
    run.cancel(actor=actor, at=at)
    run.save()
    return run


@use_case
def undo_import(*, org: Organization, import_id: int, actor: Actor, at: datetime) -> ImportRun:
    """Let workers take back what it created and changed, except what was changed or used since.

    Raises NotFound, PermissionRefused, InvalidTransition.
    """
    run = _locked(org, import_id, actor)
    require_legal(run, to=ImportStatus.UNDOING)
    run.begin_undo(actor=actor, at=at)
    run.save()
    wake_task(IMPORT_TASK)
    return run


def _require_uploaded(run: ImportRun) -> None:
    if run.status != ImportStatus.UPLOADED:
        raise Conflict("This import was started or discarded; upload the file again to map it anew.")


def _locked(org: Organization, import_id: int, actor: Actor) -> ImportRun:
    run: ImportRun = ImportRun.objects.for_org(org).locked().fetch(import_id)
    authorize(actor, "import_records", run)
    return run


# --- the file ---


def _measured(file: BinaryIO) -> tuple[int, str]:
    """Size and SHA-256. Raises TooLarge."""
    digest, size = hashlib.sha256(), 0
    file.seek(0)
    while block := file.read(_BLOCK):
        size += len(block)
        if size > settings.MAX_IMPORT_BYTES:
            raise TooLarge(
                f"The file is larger than {settings.MAX_IMPORT_BYTES:,} bytes; split it.",
                max_bytes=settings.MAX_IMPORT_BYTES,
            )
        digest.update(block)
    return size, digest.hexdigest()


def _stage(run: ImportRun, rows: Iterator[CsvRow]) -> None:
    """Keep the rows as they are, many in a statement. Raises UnreadableCsv beyond the bound."""
    while batch := list(islice(rows, _STAGED_AT_ONCE)):
        run.rows_total += len(batch)
        run.rejected_count += sum(bool(row.problem) for row in batch)
        if run.rows_total > settings.MAX_IMPORT_ROWS:
            raise UnreadableCsv(f"The file has more than {settings.MAX_IMPORT_ROWS:,} rows; split it.")
        staged = [(row.number, row.cells, row.problem) for row in batch]
        sql.stage(org_id=run.org_id, run_id=run.pk, rows=staged)


def _printable(name: str) -> str:
    plain = "".join(letter if letter.isprintable() else " " for letter in name)
    return plain.replace("\\", "/").rsplit("/", 1)[-1].strip()[:255]


# --- mapping ---


def _checked(run: ImportRun, mapping: Any) -> dict[str, str]:
    if not isinstance(mapping, Mapping) or not all(isinstance(name, str | None) for name in mapping.values()):
        _refuse("mapping", "Write the mapping as {column heading: field}; null leaves a column out.")
    try:
        return check_mapping(run.kind, run.headers, mapping)
    except MappingRefused as error:
        listed = [sentence for sentences in error.columns.values() for sentence in sentences]
        raise InvalidInput(str(error), fields={"mapping": listed or [str(error)]}) from None


def _require_mode(run: ImportRun) -> None:
    """Signals are kept as received; who changes records needs a column that tells which."""
    if run.mode == ImportMode.CREATE:
        return
    if run.kind == ImportKind.SIGNALS:
        _refuse("mode", "Signals are kept as received and never changed; import them with the mode create.")
    keys = KINDS[run.kind].update_keys
    if run.mode == ImportMode.UPDATE and not set(keys) & set(run.mapping.values()):
        _refuse("mode", f"To update, map a column to one of: {', '.join(keys)}.")


def _refuse(name: str, sentence: str) -> None:
    raise InvalidInput(sentence, fields={name: [sentence]})


# --- the dry run ---


class _TakenBack(Exception):
    """Ends the savepoint of a dry run."""


def _tried(run: ImportRun, rows: Sequence[ImportRow], *, org: Organization, at: datetime) -> dict[int, PreviewedRow]:
    """Import rows and take everything back, events and all."""
    found: dict[int, PreviewedRow] = {}
    try:
        with transaction.atomic():
            results = process(run, rows, org=org, actor=actor_of(run), at=at) if rows else []
            for row, result in zip(rows, results, strict=True):
                effects = _effects(org, result)
                found[row.number] = PreviewedRow(row.number, row.cells, result.outcome, result.errors, effects)
            raise _TakenBack
    except _TakenBack:
        return found
    except (DataError, IntegrityError):
        # Rare, and the import itself tells the rows apart.
        return {row.number: PreviewedRow(row.number, row.cells, RowOutcome.PENDING) for row in rows}


def _effects(org: Organization, result: RowResult) -> list[str]:
    """What a row does, in sentences; asked while its records are there."""
    sentences = []
    for change in result.changes:
        kind = change.model.rpartition(".")[2]
        if change.model not in _NAMED:
            continue
        row = _NAMED[change.model].objects.for_org(org).fetch(change.item_id)
        if change.is_creation:
            sentences.append(f"Creates the {kind} {row}.")
        else:
            names = ", ".join(name.removesuffix("_id").replace("_", " ") for name in change.after)
            sentences.append(f"Changes the {kind} {row}: {names}.")
    return sentences


_NAMED: Mapping[str, Any] = {"clients.contact": Contact, "clients.client": Client}
