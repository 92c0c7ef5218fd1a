"""Old months leave the database only after they stand in the archive, word for word."""

from __future__ import annotations

import gzip
import hashlib
import json
import os
import re
import resource
import signal
import subprocess
import sys
import tracemalloc
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from django.core.files.storage import FileSystemStorage
from django.db import IntegrityError, OperationalError, connection, transaction

from flowledger.errors import Conflict, InvalidInput
from flowledger.outbox.models import HandlerFailure, WorkEvent
from flowledger.outbox.partitions import MonthPartition, PartitionsBusy, keep_partitions, month_partitions
from flowledger.outbox.recording import record_event
from flowledger.outbox.retention import ArchiveFailed, archive_and_drop, partitions_to_archive
from flowledger.outbox.tasks import archive_events
from flowledger.tenancy.models import Organization
from flowledger.tenancy.scope import org_scope, system_scope
from tests.faults.processes import ROOT, Place, wait_for
from tests.outbox.months import (
    a_reader,
    advisory_locks,
    in_background,
    in_threads,
    labels,
    places,
    processed,
    put_back,
    rows,
    run,
    waits_for_the_table,
)
from tests.outbox.parcels import CLERK, ParcelSent

pytestmark = pytest.mark.django_db(transaction=True)

MAY = datetime(2021, 5, 20, 13, 0, tzinfo=UTC)
JUNE = datetime(2021, 6, 2, 7, 0, tzinfo=UTC)
# With one month kept, May is old enough and June is not.
JULY = datetime(2021, 7, 15, tzinfo=UTC)

# Another process that archives; its environment says which database and where to.
ARCHIVER = """
import datetime, django
django.setup()
from flowledger.outbox.retention import archive_and_drop
archive_and_drop(months=1, at=datetime.datetime.fromisoformat({at!r}), patience_seconds=120)
"""


@pytest.fixture(autouse=True)
def months_as_before(transactional_db: None) -> Iterator[None]:
    before = month_partitions()
    keep_partitions(at=MAY, ahead=1)
    yield
    put_back(before)


@pytest.fixture
def archive(settings: Any, tmp_path: Path) -> Path:
    """The directory of the archive's files."""
    keep_in(settings, tmp_path)
    return tmp_path / "outbox"


def keep_in(settings: Any, location: Path, backend: type = FileSystemStorage) -> None:
    settings.STORAGES = {
        **settings.STORAGES,
        "archive": {"BACKEND": f"{backend.__module__}.{backend.__qualname__}", "OPTIONS": {"location": str(location)}},
    }


def archived_lines(archive: Path) -> list[dict[str, Any]]:
    (file,) = archive.glob("*.jsonl.gz")
    return [json.loads(line) for line in gzip.decompress(file.read_bytes()).splitlines()]


def manifest_in(archive: Path, label: str = "") -> dict[str, Any]:
    (file,) = archive.glob(f"{label}*.manifest.json")
    manifest: dict[str, Any] = json.loads(file.read_text())
    return manifest


def failed(org: Organization, event_id: int, handler: str = "parcels.weigh") -> None:
    with system_scope("tests"):
        HandlerFailure.all_orgs.create(
            org=org, event_id=event_id, handler=handler, attempt=2, error="ValueError: heavy", traceback="Traceback …"
        )


def failures_of() -> list[int]:
    with system_scope("tests"):
        return list(HandlerFailure.all_orgs.order_by("event_id").values_list("event_id", flat=True))


def redact(event_id: int) -> None:
    with system_scope("tests"):
        run("SELECT set_config('flowledger.outbox_door', 'redaction', true)")
        run("UPDATE outbox_workevent SET payload = '{}', redacted_at = now() WHERE id = %s", event_id)


@contextmanager
def archiver_in_a_process(archive: Path) -> Iterator[subprocess.Popen[bytes]]:
    """An archiver that a reader holds up between archive and drop; killed at the end if it still runs."""
    with a_reader():
        process = subprocess.Popen(
            [sys.executable, "-c", ARCHIVER.format(at=JULY.isoformat())],
            cwd=ROOT,
            env={
                **os.environ,
                **Place.of_this_run().environment,
                "DJANGO_SETTINGS_MODULE": "flowledger.settings",
                "OUTBOX_ARCHIVE_DIR": str(archive.parent),
            },
            start_new_session=True,
        )
        try:
            wait_for("the manifest", lambda: list(archive.glob("*.manifest.json")) or process.poll() is not None)
            wait_for("the drop to be tried", lambda: waits_for_the_table() or process.poll() is not None)
            assert process.poll() is None
            yield process
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
            process.wait(timeout=30)
            wait_for("its session to end", lambda: not archiving())


def archiving() -> bool:
    """Whether somebody holds the lock that keeps two runs apart."""
    ((key,),) = rows("SELECT hashtextextended('outbox_archive', 0)")
    return key in advisory_locks(granted=True)


class TestArchiveAndDrop:
    def test_a_month_is_in_the_archive_as_it_was_and_gone_from_the_database(self, org, other_org, archive):
        keys = [*processed(org, MAY, 2, note='Straße "12"\\n\n…'), *processed(other_org, MAY + timedelta(days=1))]
        kept = processed(org, JUNE)
        failed(org, keys[0])
        with system_scope("tests"):
            stored = rows("SELECT row_to_json(e)::text FROM outbox_workevent e ORDER BY id")

        (archived,) = archive_and_drop(months=1, at=JULY)

        assert (archived.partition, archived.events, archived.failures) == (MonthPartition(date(2021, 5, 1)), 3, 1)
        lines = archived_lines(archive)
        assert [[f["handler"] for f in line.pop("failures")] for line in lines] == [["parcels.weigh"], [], []]
        assert lines == [json.loads(row) for (row,) in stored[:3]]
        assert "y2021m05" not in labels()
        assert places() == {"y2021m06": kept}

    def test_the_manifest_says_what_the_file_holds(self, org, archive):
        keys = [*processed(org, MAY), *processed(org, MAY + timedelta(days=3))]

        (archived,) = archive_and_drop(months=1, at=JULY)

        file, manifest = archive.parent / archived.file, manifest_in(archive)
        assert manifest == {
            "format": 1,
            "partition": "outbox_workevent_y2021m05",
            "processed_from": "2021-05-01T00:00:00+00:00",
            "processed_before": "2021-06-01T00:00:00+00:00",
            "file": archived.file,
            "bytes": file.stat().st_size,
            "sha256": hashlib.sha256(file.read_bytes()).hexdigest(),
            "rows": 2,
            "lines_sha256": hashlib.sha256(gzip.decompress(file.read_bytes())).hexdigest(),
            "first_id": keys[0],
            "last_id": keys[1],
            "first_recorded_at": "2021-05-20T13:00:00+00:00",
            "last_recorded_at": "2021-05-23T13:00:00+00:00",
            "first_processed_at": "2021-05-20T13:00:00+00:00",
            "last_processed_at": "2021-05-23T13:00:00+00:00",
            "failures": 0,
            "archived_at": "2021-07-15T00:00:00+00:00",
        }
        assert archive.parent / archived.manifest == next(archive.glob("*.manifest.json"))

    def test_an_archived_month_can_be_loaded_back(self, org, archive):
        """With the statements of the recipe."""
        processed(org, MAY, 3, note='a\tb "c" \\n')
        with system_scope("tests"):
            before = rows("SELECT * FROM outbox_workevent ORDER BY id")
        (archived,) = archive_and_drop(months=1, at=JULY)
        begin, copy, load = (
            re.fullmatch(
                r".*```sql\n(BEGIN;.*)\\(copy line FROM) PROGRAM '[^']*' (WITH .*?\n)(INSERT.*COMMIT;)\n```.*",
                (ROOT / "docs" / "recipes" / "retention.md").read_text().replace("2026-05-01", "2021-05-01"),
                re.DOTALL,
            )
            .expand(r"\1|\2 STDIN \3|\4")
            .split("|")
        )

        with connection.cursor() as cursor:
            cursor.execute(begin)
            with cursor.copy(copy) as target:
                target.write(gzip.decompress((archive.parent / archived.file).read_bytes()))
            cursor.execute(load)

        with system_scope("tests"):
            assert rows("SELECT * FROM outbox_workevent ORDER BY id") == before
        assert "y2021m05" in labels()

    def test_failures_of_other_months_stay(self, org, archive):
        old, young = processed(org, MAY), processed(org, JUNE)
        failed(org, old[0])
        failed(org, old[0], "parcels.count")
        failed(org, young[0])

        archive_and_drop(months=1, at=JULY)

        assert failures_of() == young

    def test_dead_letters_and_pending_events_stay_however_old(self, org, send, archive):
        dead, discarded, pending = send(1), send(2), send(3)
        with system_scope("tests"):
            WorkEvent.all_orgs.filter(pk__in=[dead.pk, discarded.pk]).update(dead_letter_at=MAY, available_at=MAY)
            WorkEvent.all_orgs.filter(pk=discarded.pk).update(
                discarded_at=MAY, discarded_by="Maria", discard_reason="Nobody needs it."
            )
            WorkEvent.all_orgs.filter(pk=pending.pk).update(available_at=MAY)
        processed(org, MAY)

        archive_and_drop(months=1, at=JULY)

        assert places() == {"open": [dead.pk, discarded.pk, pending.pk]}

    def test_a_repeat_of_an_archived_event_is_still_refused(self, org, archive):
        def record() -> bool:
            with org_scope(org):
                return record_event(org=org, event=ParcelSent(7), actor=CLERK, at=MAY, dedupe_key="parcel-7")

        assert record() is True
        with system_scope("tests"):
            WorkEvent.all_orgs.update(processed_at=MAY)
        archive_and_drop(months=1, at=JULY)

        assert record() is False
        assert places() == {}

    @pytest.mark.parametrize(
        ("months", "at", "expected"),
        [
            (1, datetime(2021, 6, 30, 23, 59, tzinfo=UTC), []),
            (1, datetime(2021, 7, 1, tzinfo=UTC), ["y2021m05"]),
            (1, datetime(2021, 8, 1, tzinfo=UTC), ["y2021m05", "y2021m06"]),
            (12, datetime(2022, 5, 31, tzinfo=UTC), []),
            (12, datetime(2022, 6, 1, tzinfo=UTC), ["y2021m05"]),
        ],
    )
    def test_every_event_is_kept_for_at_least_so_many_months(self, archive, months, at, expected):
        assert [partition.label for partition in partitions_to_archive(months=months, at=at)] == expected
        assert [one.partition.label for one in archive_and_drop(months=months, at=at)] == expected
        assert [label for label in ["y2021m05", "y2021m06"] if label not in labels()] == expected

    @pytest.mark.parametrize("months", [0, -1])
    def test_less_than_a_month_is_refused(self, org, archive, months):
        keys = processed(org, MAY)

        with pytest.raises(InvalidInput, match="at least one month"):
            archive_and_drop(months=months, at=JULY)
        assert places() == {"y2021m05": keys}

    def test_is_refused_inside_a_transaction(self, org, archive):
        with transaction.atomic(), pytest.raises(RuntimeError, match="durable"):
            archive_and_drop(months=1, at=JULY)
        assert "y2021m05" in labels()

    def test_the_files_are_for_the_application_alone(self, org, tmp_path):
        """As the settings make the storage."""
        processed(org, MAY)
        with archiver_in_a_process(tmp_path / "outbox"):
            modes = {path.name.partition(".")[2]: path.stat().st_mode & 0o777 for path in tmp_path.glob("outbox/*")}

        assert modes == {"jsonl.gz": 0o600, "manifest.json": 0o600}
        assert (tmp_path / "outbox").stat().st_mode & 0o777 == 0o700

    def test_memory_does_not_grow_with_the_month(self, org, archive):
        processed(org, MAY, 8000, note="x" * 4000)
        tracemalloc.start()
        try:
            (archived,) = archive_and_drop(months=1, at=JULY)
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()

        assert archived.events == 8000
        # 32 MB of events.
        assert peak < 8_000_000


class TestTask:
    def test_retention_is_off_by_default(self, org, archive, settings):
        assert settings.OUTBOX_RETENTION_MONTHS == 0
        keys = processed(org, MAY)

        archive_events()

        assert places() == {"y2021m05": keys}
        assert not archive.exists()

    def test_takes_the_months_that_the_settings_name(self, org, archive, settings):
        settings.OUTBOX_RETENTION_MONTHS = 24
        processed(org, MAY)

        archive_events()

        assert {"y2021m05", "y2021m06"}.isdisjoint(labels())
        assert manifest_in(archive, "y2021m05")["rows"] == 1
        # This month and the ones ahead are younger than any limit.
        assert len(labels()) == 4

    def test_a_second_one_leaves_the_first_alone(self, org, archive, settings):
        settings.OUTBOX_RETENTION_MONTHS = 24
        with a_reader() as reader, in_background(lambda: archive_and_drop(months=1, at=JULY)) as answer:
            wait_for("the drop to be tried", waits_for_the_table)
            archive_events()
            reader.rollback()

        assert [one.partition.label for one in answer[0]] == ["y2021m05"]


class TestInterrupted:
    def test_killed_between_archive_and_drop_the_next_run_goes_on_from_the_archive(self, org, archive):
        keys = processed(org, MAY, 20)
        failed(org, keys[0])
        with archiver_in_a_process(archive) as process:
            os.killpg(process.pid, signal.SIGKILL)
        assert places() == {"y2021m05": keys}
        assert failures_of() == keys[:1]
        written = {path: path.stat().st_mtime_ns for path in archive.iterdir()}
        assert len(written) == 2

        (archived,) = archive_and_drop(months=1, at=JULY)

        assert archived.found is True
        assert {path: path.stat().st_mtime_ns for path in archive.iterdir()} == written
        assert places() == {}
        assert [line["id"] for line in archived_lines(archive)] == keys

    def test_a_file_that_was_not_finished_is_written_anew(self, org, archive):
        keys = processed(org, MAY, 20)
        with archiver_in_a_process(archive):
            pass
        (manifest,), (file,) = archive.glob("*.manifest.json"), archive.glob("*.jsonl.gz")
        # As a run leaves it that is killed while it writes: the manifest comes last.
        manifest.unlink()
        file.write_bytes(file.read_bytes()[:100])

        (archived,) = archive_and_drop(months=1, at=JULY)

        assert archived.found is False
        assert [line["id"] for line in archived_lines(archive)] == keys
        assert manifest_in(archive)["rows"] == 20

    @pytest.mark.parametrize("damage", ["cut", "changed", "gone"])
    def test_an_archive_that_does_not_hold_the_events_any_more_is_written_anew(self, org, archive, damage):
        keys = processed(org, MAY, 20)
        with archiver_in_a_process(archive):
            pass
        (file,) = archive.glob("*.jsonl.gz")
        if damage == "cut":
            file.write_bytes(file.read_bytes()[:-20])
        elif damage == "changed":
            file.write_bytes(gzip.compress(gzip.decompress(file.read_bytes()).replace(b"parcel.sent", b"parcel.lost")))
        else:
            file.unlink()

        (archived,) = archive_and_drop(months=1, at=JULY)

        assert archived.found is False
        lines = archived_lines(archive)
        assert [(line["id"], line["event_name"]) for line in lines] == [(key, "parcel.sent") for key in keys]

    def test_what_was_redacted_meanwhile_is_archived_as_it_is_now(self, org, archive):
        keys = processed(org, MAY, 2, note="secret")
        with archiver_in_a_process(archive):
            pass
        (before,) = archive.glob("*.manifest.json")
        redact(keys[1])

        (archived,) = archive_and_drop(months=1, at=JULY)

        assert archived.found is False
        assert archived.superseded == (f"outbox/{before.name}",)
        lines = gzip.decompress((archive.parent / archived.file).read_bytes()).splitlines()
        assert [json.loads(line)["payload"] for line in lines] == [{"note": "secret", "parcel_id": 1}, {}]

    def test_two_runners_at_once_archive_once(self, org, archive):
        keys = processed(org, MAY, 500)

        answers = in_threads(*[lambda: archive_and_drop(months=1, at=JULY)] * 2)

        done = [answer for answer in answers if isinstance(answer, list) and answer]
        assert [one.events for (one,) in done] == [500]
        # The other one found it busy, or came when all was done.
        (other,) = [answer for answer in answers if answer is not done[0]]
        assert other == [] or isinstance(other, Conflict)
        assert [line["id"] for line in archived_lines(archive)] == keys

    def test_a_second_runner_is_told(self, org, archive):
        with a_reader() as reader, in_background(lambda: archive_and_drop(months=1, at=JULY)):
            wait_for("the drop to be tried", waits_for_the_table)
            with pytest.raises(Conflict, match="Another process is archiving"):
                archive_and_drop(months=1, at=JULY)
            reader.rollback()

    def test_no_redaction_falls_between_archive_and_drop(self, org, archive):
        """It is refused at once, and finds the event gone when it tries again; one in another month goes through."""
        (old,), (young,) = processed(org, MAY, note="secret"), processed(org, JUNE, note="secret")
        with a_reader() as reader, in_background(lambda: archive_and_drop(months=1, at=JULY)) as archived:
            wait_for("the drop to be tried", waits_for_the_table)
            with pytest.raises(OperationalError, match=f"Event {old} is being archived"):
                redact(old)
            redact(young)
            reader.rollback()

        assert archived[0][0].events == 1
        assert archived_lines(archive)[0]["payload"]["note"] == "secret"
        with system_scope("tests"):
            assert rows("SELECT id, payload->>'note' FROM outbox_workevent") == [(young, None)]

    def test_a_redaction_that_has_begun_is_waited_for(self, org, archive, settings):
        (key,) = processed(org, MAY, note="secret")
        session = connection.copy()
        session.set_autocommit(False)
        with session.cursor() as cursor:
            cursor.execute(
                "SELECT set_config('role', %s, true), set_config('flowledger.outbox_door', 'redaction', true)",
                [settings.SYSTEM_DB_ROLE],
            )
            cursor.execute("UPDATE outbox_workevent SET payload = '{}', redacted_at = now() WHERE id = %s", [key])
        with in_background(lambda: archive_and_drop(months=1, at=JULY)) as archived:
            wait_for("the archiver to wait", lambda: advisory_locks(granted=False))
            session.commit()
            session.close()

        assert archived[0][0].events == 1
        assert archived_lines(archive)[0]["payload"] == {}


class ForgetfulStorage(FileSystemStorage):
    """Stores all but the last bytes, and says that all is well."""

    def _save(self, name: str, content: Any) -> str:
        stored: str = super()._save(name, content)
        with Path(self.path(stored)).open("rb+") as file:
            file.truncate(max(file.seek(0, os.SEEK_END) - 8, 0))
        return stored


def load_an_event() -> None:
    with system_scope("tests"):
        org = Organization.objects.get(name="Parcels and Sons")
    processed(org, MAY)


class MeanwhileStorage(FileSystemStorage):
    """While it stores the lines, somebody loads an event into the month."""

    def _save(self, name: str, content: Any) -> str:
        if name.endswith(".gz"):
            in_threads(load_an_event)
        stored: str = super()._save(name, content)
        return stored


class TestArchiveFails:
    @pytest.fixture
    def keys(self, org) -> list[int]:
        keys = processed(org, MAY, 200, note=os.urandom(200).hex())
        failed(org, keys[0])
        return keys

    @pytest.fixture(autouse=True)
    def nothing_is_dropped(self, keys: list[int]) -> Iterator[None]:
        yield
        assert places()["y2021m05"][:200] == keys
        assert failures_of() == keys[:1]
        assert "y2021m05" in labels()

    def test_without_an_archive_it_says_what_to_set(self):
        with pytest.raises(ArchiveFailed, match="set OUTBOX_ARCHIVE_DIR"):
            archive_and_drop(months=1, at=JULY)

    def test_without_an_archive_it_says_so_before_any_month_is_old_enough(self):
        with pytest.raises(ArchiveFailed, match="set OUTBOX_ARCHIVE_DIR"):
            archive_and_drop(months=1, at=MAY)

    def test_unwritable(self, settings, tmp_path):
        (tmp_path / "file").write_text("in the way")
        keep_in(settings, tmp_path / "file")

        with pytest.raises(ArchiveFailed, match=r"y2021m05 could not be archived: .*Nothing was dropped"):
            archive_and_drop(months=1, at=JULY)

    def test_full(self, archive):
        _, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
        # No file of this process may grow beyond it: the archive's is larger.
        resource.setrlimit(resource.RLIMIT_FSIZE, (2000, hard))
        try:
            with pytest.raises(ArchiveFailed, match="File too large"):
                archive_and_drop(months=1, at=JULY)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, hard))

    def test_stored_otherwise_than_written(self, settings, tmp_path):
        keep_in(settings, tmp_path, ForgetfulStorage)

        with pytest.raises(ArchiveFailed, match="does not give back what was written"):
            archive_and_drop(months=1, at=JULY)
        assert list(tmp_path.glob("outbox/*.manifest.json")) == []

    def test_an_event_that_comes_in_meanwhile_is_not_dropped(self, keys, settings, tmp_path):
        keep_in(settings, tmp_path, MeanwhileStorage)

        with pytest.raises(ArchiveFailed, match="has got events since it was archived"):
            archive_and_drop(months=1, at=JULY)

        assert len(places()["y2021m05"]) == 201


class TestBusyTable:
    def test_a_reader_in_the_middle_keeps_the_month_and_the_archive_waits(self, org, archive):
        keys = processed(org, MAY, 3)
        failed(org, keys[0])
        with a_reader(), pytest.raises(PartitionsBusy, match="archived but could not be dropped"):
            archive_and_drop(months=1, at=JULY, patience_seconds=0.5)
        assert places() == {"y2021m05": keys}
        assert failures_of() == keys[:1]

        (archived,) = archive_and_drop(months=1, at=JULY)

        assert archived.found is True
        assert places() == {}

    def test_a_reader_sees_the_month_whole_or_not_at_all(self, org, archive):
        seen = set()
        kept = processed(org, JUNE, 10)
        processed(org, MAY, 1000)

        def read() -> None:
            while "y2021m05" in labels():
                with system_scope("tests"):
                    seen.add(rows("SELECT count(*) FROM outbox_workevent")[0][0])

        read_answer, archived = in_threads(read, lambda: archive_and_drop(months=1, at=JULY))

        assert read_answer is None
        assert [one.events for one in archived] == [1000]
        assert seen <= {1010, 10}
        assert 1010 in seen
        assert places() == {"y2021m06": kept}

    def test_others_write_and_complete_while_it_waits(self, org, send, archive):
        with a_reader() as reader, in_background(lambda: archive_and_drop(months=1, at=JULY)) as archived:
            wait_for("the drop to be tried", waits_for_the_table)
            event = send()
            with system_scope("tests"):
                run("UPDATE outbox_workevent SET processed_at = %s WHERE id = %s", JUNE, event.pk)
            reader.rollback()

        assert len(archived[0]) == 1
        assert places() == {"y2021m06": [event.pk]}

    def test_history_that_is_not_due_is_as_immutable_as_before(self, org, archive):
        processed(org, MAY)
        kept = processed(org, JUNE)
        archive_and_drop(months=1, at=JULY)

        with pytest.raises(IntegrityError, match="never deleted"), system_scope("tests"):
            run("DELETE FROM outbox_workevent")
        assert places() == {"y2021m06": kept}
