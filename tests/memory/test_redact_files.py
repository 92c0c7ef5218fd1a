"""The second stage: what was redacted leaves the files of the database, and the report says what may still hold it."""

from __future__ import annotations

import json
import threading
import time
from datetime import timedelta
from io import StringIO
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command
from django.db import connection, connections, transaction
from django.utils.timezone import now

from flowledger.tenancy.scope import system_scope
from memory import services
from memory.models import Redaction
from memory.rewriting import Rewritten, rewrite_files
from memory.services.redaction import Target
from memory.tasks import rewrite_redacted_files
from tests.memory.capturing import captured
from tests.workstream.factories import AT, CLERK, SignalFactory
from workstream import services as pipeline

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("transactional_db")]
SECRET = "xylophantine"


@pytest.fixture
def redaction(org) -> Redaction:
    """A note and an atom of it, redacted."""
    signal = SignalFactory(org=org)
    note = pipeline.log_activity(
        org=org,
        item_type="signal",
        item_id=signal.pk,
        kind="note",
        summary="Visit",
        body=f"They prefer the {SECRET} press.",
        actor=CLERK,
        at=AT,
    )
    captured(org)
    flush_to_files()
    assert files_with(SECRET), "the text never came to the files"
    return services.redact(
        org=org, target=Target(source=("activity", note.pk)), reason="Asked for", actor=CLERK, at=now()
    )


class TestRewriteFiles:
    def test_nothing_is_left_in_the_files(self, redaction):
        flush_to_files()
        assert files_with(SECRET), "a redaction alone rewrites no file"

        done = once_nobody_reads()
        flush_to_files()

        assert done.skipped == {}
        assert {"memory_atom", "workstream_activity"} <= set(done.tables)
        assert (done.redactions, done.waiting) == (1, 0)
        assert files_with(SECRET) == []
        again = fresh(redaction)
        assert again.erased_at is not None
        assert rewrite_files(at=now()).tables == []

    def test_a_large_table_waits_for_a_quiet_hour(self, redaction):
        done = rewrite_files(at=now(), most_bytes=0)
        assert done.tables == []
        assert "quiet hour" in done.skipped["memory_atom"]
        assert (done.redactions, done.waiting) == (0, 1)
        assert fresh(redaction).erased_at is None

    def test_whoever_may_still_read_it_holds_it_back(self, redaction):
        with an_old_transaction():
            done = rewrite_files(at=now())
        assert "1 transactions that are older" in done.held_back_by
        assert (done.tables, done.waiting) == ([], 1)
        assert fresh(redaction).erased_at is None

    def test_the_task_does_it_by_night(self, redaction):
        assert rewrite_redacted_files() == 1
        assert rewrite_redacted_files() == 0

    def test_the_command_reports_log_and_backups(self, redaction, settings):
        settings.MEMORY_BACKUP_DAYS = 35
        said = StringIO()
        call_command("memory", "rewrite", "--json", stdout=said)
        report = json.loads(said.getvalue())
        assert report["redactions"] == 1
        assert report["log_position"]
        assert report["backups_until"][:10] == (now() + timedelta(days=35)).date().isoformat()

    def test_the_command_fails_while_something_waits(self, redaction, settings):
        settings.MEMORY_REWRITE_MOST_BYTES = 0
        said = StringIO()
        with pytest.raises(CommandError, match="1 redactions wait still"):
            call_command("memory", "rewrite", stdout=said)
        assert "quiet hour" in said.getvalue()

    def test_without_redactions_there_is_nothing_to_do(self, org):
        said = StringIO()
        call_command("memory", "rewrite", stdout=said)
        assert said.getvalue().strip() == "No redaction waits for its files to be rewritten."


def fresh(redaction: Redaction) -> Redaction:
    with system_scope("tests"):
        found: Redaction = Redaction.all_orgs.get(pk=redaction.pk)
    return found


class an_old_transaction:  # noqa: N801  (reads as a sentence)
    """A connection of its own in a transaction that has seen the database."""

    def __enter__(self) -> None:
        self.begun, self.over = threading.Event(), threading.Event()
        self.thread = threading.Thread(target=self._hold)
        self.thread.start()
        assert self.begun.wait(30)

    def __exit__(self, *error: object) -> None:
        self.over.set()
        self.thread.join()

    def _hold(self) -> None:
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute("SELECT count(*) FROM memory_atom")
            self.begun.set()
            self.over.wait(30)
        connections.close_all()


def flush_to_files() -> None:
    """A checkpoint, which a role without rights to one gets by copying a database file by file."""
    with connection.cursor() as cursor:
        name = connection.ops.quote_name(f"flushed_{connection.settings_dict['NAME']}")
        cursor.execute(f"CREATE DATABASE {name} TEMPLATE template0 STRATEGY file_copy")
        cursor.execute(f"DROP DATABASE {name}")


def once_nobody_reads() -> Rewritten:
    """The rewriting, as soon as neither autovacuum nor a test beside this one keeps what is dead alive."""
    redacted = now()
    for _ in range(600):
        with connection.cursor() as cursor:
            # Those of other databases count: every snapshot looks at the oldest of the server.
            cursor.execute("SELECT count(*) FROM pg_stat_activity WHERE xact_start < %s", [redacted])
            (older,) = cursor.fetchone()
        if older == 0:
            done = rewrite_files(at=now())
            if not done.held_back_by:
                return done
        time.sleep(0.2)
    raise AssertionError("Somebody else's transaction does not end.")


def files_with(text: str) -> list[str]:
    """The files of this database's tables and indexes that hold the text."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_backend_pid(), pg_relation_filepath('memory_atom')")
        pid, path = cursor.fetchone()
    # A backend works in the directory of the data.
    try:
        directory = (Path("/proc") / str(pid) / "cwd").resolve(strict=True) / Path(path).parent
        files = sorted(each for each in directory.iterdir() if each.is_file())
    except (OSError, PermissionError):
        pytest.skip("The files of the database server cannot be read from here.")
    return sorted({_relation(each.name) for each in files if text.encode() in each.read_bytes()} - {"pg_statistic"})


def _relation(file: str) -> str:
    """The table or index that a file belongs to. Those of statistics are left out above."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_filenode_relation(0, %s)::regclass::text", [int(file.split(".")[0].split("_")[0])])
        return str(cursor.fetchone()[0] or file)
