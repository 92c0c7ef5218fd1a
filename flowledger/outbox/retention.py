"""Retention: months of processed events that are old enough go into the archive, and only then out of the database.

Off unless OUTBOX_RETENTION_MONTHS says otherwise. Dead letters and pending events lie in the open partition and dedupe
keys in a table of their own, so neither can go with a month (ADR 0018). docs/recipes/retention.md is for operators.
"""

from __future__ import annotations

import contextlib
import gzip
import hashlib
import json
import os
import tempfile
import time
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import IO, Any, LiteralString

import structlog
from django.core.files.base import ContentFile, File
from django.core.files.storage import InvalidStorageError, Storage, storages
from django.db import OperationalError, connection, transaction
from psycopg import sql

from flowledger.errors import Conflict, InvalidInput, Unavailable
from flowledger.outbox import shutdown
from flowledger.outbox.partitions import (
    MonthPartition,
    PartitionsBusy,
    is_busy,
    later,
    month_of,
    month_partitions,
)
from flowledger.tenancy.scope import system_scope

log = structlog.get_logger(__name__)

FOLDER = "outbox"
_CHUNK = 1 << 20
# Everybody else waits behind who waits for this lock, so it is asked for briefly and often.
_LOCK_TIMEOUT = "300ms"
_LONGEST_PAUSE_SECONDS = 2.0

# One JSON object per line, in the order of writing: the event with what handlers stumbled over. As CSV with quotes and
# delimiters that JSON text cannot contain, because COPY's own text format would escape backslashes.
_LINES: LiteralString = """
COPY (
    SELECT row_to_json(line) FROM (
        SELECT e.*, coalesce(f.failures, '[]') AS failures
          FROM {events} e LEFT JOIN (
            SELECT org_id, event_id, json_agg(json_build_object('handler', handler, 'attempt', attempt, 'error', error,
                'traceback', traceback, 'failed_at', failed_at) ORDER BY handler) AS failures
              FROM outbox_handlerfailure GROUP BY org_id, event_id
          ) f ON f.org_id = e.org_id AND f.event_id = e.id
         ORDER BY e.id) line
) TO STDOUT WITH (FORMAT csv, DELIMITER E'\\x02', QUOTE E'\\x01')
"""
_FACTS: LiteralString = """
SELECT json_build_object('first_id', min(id), 'last_id', max(id),
        'first_recorded_at', min(recorded_at), 'last_recorded_at', max(recorded_at),
        'first_processed_at', min(processed_at), 'last_processed_at', max(processed_at),
        'failures', (SELECT count(*) FROM outbox_handlerfailure f JOIN {events} e
            ON e.org_id = f.org_id AND e.id = f.event_id))::text
  FROM {events}
"""
_DELETE_FAILURES: LiteralString = """
DELETE FROM outbox_handlerfailure f USING {events} e WHERE f.org_id = e.org_id AND f.event_id = e.id
"""


class ArchiveFailed(Unavailable):
    """The archive is not there, cannot be written, or does not hold what was written; nothing was dropped."""

    code = "archive_failed"


@dataclass(frozen=True)
class ArchivedPartition:
    """A month that has left the database: what of it, and where it lies in the archive."""

    partition: MonthPartition
    events: int
    failures: int
    file: str
    manifest: str
    # The archive was written by an earlier run, which ended before the partition was dropped.
    found: bool
    # Files of earlier runs with other content of this month: what was redacted since still stands in them.
    superseded: tuple[str, ...]


@dataclass(frozen=True)
class _Content:
    """What a file of lines holds; equal for equal lines, however they are compressed."""

    rows: int
    sha256: str


def archive_and_drop(*, months: int, at: datetime, patience_seconds: float = 60.0) -> list[ArchivedPartition]:
    """Archive every month that ended at least `months` whole months before this one, oldest first, and drop it.

    A month is written as compressed JSON lines, read back, and dropped when the count and the hash are right, together
    with the failures recorded for its events. Killed anywhere, it loses nothing, and the next run goes on: it uses the
    archive that is there when it holds the same lines, and writes it anew when not. A redaction of an event in that
    month is refused meanwhile; whoever else reads or writes is held up for milliseconds. Must not be called inside a
    transaction or a scope.

    Raises InvalidInput for less than one month, Conflict while another process archives, ArchiveFailed with nothing
    dropped, and PartitionsBusy when readers do not let go of the table for `patience_seconds`; the archive stays then.
    """
    # A missing archive shows on the first day, not when the first month is old enough.
    storage = _archive()
    archived: list[ArchivedPartition] = []
    while not shutdown.requested():
        # What is slow happens inside the transaction as well, because its locks keep other runs and redactions out.
        with transaction.atomic(durable=True):
            _begin_alone()
            due = partitions_to_archive(months=months, at=at)
            if not due:
                break
            one = _archive_one(due[0], storage, at)
            _drop(one, patience_seconds)
        archived.append(one)
        log.info("partition archived and dropped", partition=one.partition.table, events=one.events, file=one.file)
    return archived


def partitions_to_archive(*, months: int, at: datetime) -> list[MonthPartition]:
    """The months that `archive_and_drop` would take, oldest first. Raises InvalidInput for less than one month."""
    if months < 1:
        raise InvalidInput("Keep at least one month.", fields={"months": ["Name a number of months from 1 on."]})
    limit = later(month_of(at), months=-months)
    return [partition for partition in month_partitions() if partition.month < limit]


def _archive() -> Storage:
    try:
        return storages["archive"]
    except InvalidStorageError as error:
        raise ArchiveFailed("There is no archive to write to: set OUTBOX_ARCHIVE_DIR.") from error


def _begin_alone() -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT set_config('statement_timeout', '0', true)")
        # While a file is stored and read back, the connection waits.
        cursor.execute("SELECT set_config('idle_in_transaction_session_timeout', '0', true)")
        cursor.execute("SELECT pg_try_advisory_xact_lock(hashtextextended('outbox_archive', 0))")
        (alone,) = cursor.fetchone()
    if not alone:
        raise Conflict("Another process is archiving events; let it finish.")


def _archive_one(partition: MonthPartition, storage: Storage, at: datetime) -> ArchivedPartition:
    """Have the partition in the archive, verified; the database is as it was."""
    _keep_redactions_out(partition)
    with _storage_failures(partition), tempfile.TemporaryFile() as spool:
        with system_scope("outbox retention"):
            content = _write_lines(partition, spool)
            facts = _facts(partition)
        return _store(partition, storage, spool, content, {**facts, "archived_at": at.isoformat()})


def _keep_redactions_out(partition: MonthPartition) -> None:
    """Nothing may be blanked between the archive and the drop. The trigger of the facts asks for the same lock.

    No lock on the table: whoever updates an event by its key alone locks every partition, and would wait for minutes.
    """
    try:
        with connection.cursor() as cursor:
            cursor.execute("SET LOCAL lock_timeout = '10s'")
            cursor.execute(
                "SELECT pg_advisory_xact_lock(hashtext('outbox_archive'), %s::regclass::oid::integer)",
                [partition.table],
            )
    except OperationalError as error:
        if not is_busy(error):
            raise
        raise PartitionsBusy(
            f"Events of {partition.table} are being redacted; it stays for now.", partition=partition.table
        ) from error


def _about(partition: MonthPartition, statement: LiteralString) -> sql.Composed:
    return sql.SQL(statement).format(events=sql.Identifier(partition.table))


def _write_lines(partition: MonthPartition, spool: IO[bytes]) -> _Content:
    """Stream the events into a compressed file; memory does not grow with their number."""
    digest, rows = hashlib.sha256(), 0
    with (
        gzip.GzipFile(filename="", fileobj=spool, mode="wb", compresslevel=6, mtime=0) as packed,
        connection.cursor() as cursor,
        cursor.copy(_about(partition, _LINES)) as lines,
    ):
        for block in lines:
            text = bytes(block)
            packed.write(text)
            digest.update(text)
            rows += text.count(b"\n")
    return _Content(rows=rows, sha256=digest.hexdigest())


def _facts(partition: MonthPartition) -> dict[str, Any]:
    with connection.cursor() as cursor:
        cursor.execute(_about(partition, _FACTS))
        facts: dict[str, Any] = json.loads(cursor.fetchone()[0])
    return facts


def _store(
    partition: MonthPartition, storage: Storage, spool: IO[bytes], content: _Content, facts: dict[str, Any]
) -> ArchivedPartition:
    # Named for its content: what a killed run has written is found again, and other lines never overwrite it.
    name = f"{FOLDER}/{partition.label}-{content.sha256[:16]}.jsonl.gz"
    manifest_name = f"{name.removesuffix('.jsonl.gz')}.manifest.json"
    found = storage.exists(manifest_name) and _holds(storage, name, content)
    if not found:
        # Leavings of a run that ended while it wrote; the manifest is written last.
        for leaving in (manifest_name, name):
            storage.delete(leaving)
        _save(storage, name, File(spool))
        if not _holds(storage, name, content):
            raise ArchiveFailed(f"The archive does not give back what was written to {name}. Nothing was dropped.")
        manifest = {
            "format": 1,
            "partition": partition.table,
            "processed_from": partition.starts_at.isoformat(),
            "processed_before": partition.ends_at.isoformat(),
            "file": name,
            "bytes": spool.seek(0, os.SEEK_END),
            "sha256": _digest(spool),
            "rows": content.rows,
            "lines_sha256": content.sha256,
            **facts,
        }
        _save(storage, manifest_name, ContentFile(json.dumps(manifest, indent=2).encode() + b"\n"))
    superseded = _others(storage, partition, manifest_name)
    if superseded:
        log.warning("superseded archives hold what was redacted since", partition=partition.table, files=superseded)
    return ArchivedPartition(
        partition=partition,
        events=content.rows,
        failures=facts["failures"],
        file=name,
        manifest=manifest_name,
        found=found,
        superseded=superseded,
    )


def _digest(spool: IO[bytes]) -> str:
    spool.seek(0)
    digest = hashlib.sha256()
    while block := spool.read(_CHUNK):
        digest.update(block)
    return digest.hexdigest()


def _save(storage: Storage, name: str, content: File[Any]) -> None:
    """Store under exactly this name, durably; what could not be written whole is taken away again."""
    content.seek(0)
    try:
        stored = storage.save(name, content)
    except OSError:
        with contextlib.suppress(OSError):
            storage.delete(name)
        raise
    if stored != name:
        storage.delete(stored)
        raise ArchiveFailed(f"The archive would have stored {name} as {stored}. Nothing was dropped.")
    _make_durable(storage, name)


def _make_durable(storage: Storage, name: str) -> None:
    """A file may still be in memory only when the drop is already on disk; an object store has what it says it has."""
    try:
        path = Path(storage.path(name))
    except NotImplementedError:
        return
    for each in (path, path.parent, path.parent.parent):
        descriptor = os.open(each, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _holds(storage: Storage, name: str, content: _Content) -> bool:
    """Whether the stored file gives back exactly these lines."""
    digest, rows = hashlib.sha256(), 0
    try:
        with storage.open(name, "rb") as stored, gzip.GzipFile(fileobj=stored, mode="rb") as lines:
            while block := lines.read(_CHUNK):
                digest.update(block)
                rows += block.count(b"\n")
    except (FileNotFoundError, EOFError, gzip.BadGzipFile, zlib.error):
        return False
    return _Content(rows=rows, sha256=digest.hexdigest()) == content


def _others(storage: Storage, partition: MonthPartition, manifest_name: str) -> tuple[str, ...]:
    _, names = storage.listdir(FOLDER)
    own = Path(manifest_name).name
    return tuple(
        f"{FOLDER}/{name}"
        for name in sorted(names)
        if name.startswith(f"{partition.label}-") and name.endswith(".manifest.json") and name != own
    )


@contextlib.contextmanager
def _storage_failures(partition: MonthPartition) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise ArchiveFailed(
            f"{partition.table} could not be archived: {error}. Nothing was dropped.", partition=partition.table
        ) from error


def _drop(archived: ArchivedPartition, patience_seconds: float) -> None:
    """Take the month and the failures of its events out of the database, as the last thing in the transaction.

    From the lock of DROP to the commit nobody can use the event table. DROP alone: DETACH before it would take the
    same lock, and more of them.
    """
    partition = archived.partition
    until = time.monotonic() + patience_seconds
    pause = 0.05
    with system_scope("outbox retention"), connection.cursor() as cursor:
        cursor.execute(_about(partition, _DELETE_FAILURES))
    while True:
        try:
            with transaction.atomic(), connection.cursor() as cursor:
                _refuse_newcomers(archived)
                cursor.execute("SELECT set_config('lock_timeout', %s, true)", [_LOCK_TIMEOUT])
                cursor.execute(_about(partition, "DROP TABLE {events}"))
        except OperationalError as error:
            if not is_busy(error):
                raise
            if time.monotonic() > until:
                raise PartitionsBusy(
                    f"{partition.table} is archived but could not be dropped: other transactions hold the event table. "
                    "The next run goes on from here.",
                    partition=partition.table,
                ) from error
            time.sleep(pause)
            pause = min(2 * pause, _LONGEST_PAUSE_SECONDS)
        else:
            return


def _refuse_newcomers(archived: ArchivedPartition) -> None:
    """Completion writes to its own month only, but somebody may be loading an archived month back right now."""
    with system_scope("outbox retention"), connection.cursor() as cursor:
        cursor.execute(_about(archived.partition, "SELECT count(*) FROM {events}"))
        (events,) = cursor.fetchone()
    if events > archived.events:
        raise ArchiveFailed(f"{archived.partition.table} has got events since it was archived. Nothing was dropped.")
