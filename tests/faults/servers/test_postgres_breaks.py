"""PostgreSQL ending sessions, restarting, full of sessions or out of space: the same workers deliver on."""

import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import psycopg
import pytest
from psycopg import sql

from flowledger.embedded.places import server_account
from tests.faults.processes import wait_for
from tests.faults.servers.conftest import Sessions, named


class TestSessions:
    @pytest.mark.django_db(transaction=True)
    @pytest.mark.parametrize(
        "seconds", [pytest.param(3, id="short"), pytest.param(20, id="long", marks=pytest.mark.long_fault)]
    )
    def test_a_storm_of_ended_sessions(self, start_worker, ledger, rng, seconds):
        """One every 100 ms: whatever a worker was doing over it, it connects anew and goes on."""
        worker = start_worker(DATABASE_URL=named(ledger.place.database_url))
        ledger.ship(10)
        wait_for("the first events", ledger.all_ended)
        children = worker.children()
        sessions = Sessions(ledger.place.database_url)
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            ledger.ship(20)
            if sessions.end_one(rng):
                ledger.inject("session end")
            time.sleep(0.1)
        sessions.close()
        ledger.ship(20)
        # An event whose session ended while it was alone waits for its retry.
        assert 0 <= ledger.hurry() <= ledger.faults["session end"]
        wait_for("the rest", lambda: ledger.hurry() >= 0 and ledger.all_ended(), seconds=60)
        assert ledger.faults["session end"] > 2 * seconds
        assert worker.process.poll() is None
        assert worker.children() == children
        ledger.audit()


@pytest.mark.long_fault
class TestRestarts:
    @pytest.mark.parametrize("mode", ["immediate", "kill", "fast"])
    def test_twice_in_the_middle_of_it(self, own_servers, own_ledger, own_fleet, mode):
        """The claims that a crash forgot and the leases that it kept: both come to their end."""
        worker = own_fleet.worker(processes=4)
        own_ledger.ship(30)
        wait_for("the first events", own_ledger.all_ended)
        children = worker.children()
        for _ in range(2):
            own_ledger.ship(300)
            done = own_ledger.effect_count()
            wait_for("some effects", lambda least=done + 50: own_ledger.effect_count() > least)
            own_servers.postgres.stop(mode)
            own_ledger.inject(f"postgres {mode}", batches=4)
            # A request of the dark minute gets an error, and has changed nothing.
            own_ledger.ship(2)
            time.sleep(1)
            own_servers.postgres.start()
            back = time.monotonic()
            done = own_ledger.effect_count()
            if not own_ledger.all_ended():
                wait_for("effects again", lambda least=done: own_ledger.effect_count() > least)
                assert time.monotonic() - back < 10
        wait_for("the rest", lambda: own_ledger.hurry() >= 0 and own_ledger.all_ended())
        assert worker.process.poll() is None
        assert worker.children() == children
        assert len(own_ledger.doubtful) == 4
        own_ledger.audit()

    def test_no_session_is_left_for_the_workers(self, own_servers, own_ledger, own_fleet):
        """Idle sessions take all that the server has, and the workers' own are ended: they wait, and come back."""
        worker = own_fleet.worker(DATABASE_URL=named(own_ledger.place.database_url))
        own_ledger.ship(10)
        wait_for("the first events", own_ledger.all_ended)
        sessions = Sessions(own_ledger.place.database_url)
        own_ledger.ship(200)
        done = own_ledger.effect_count()
        wait_for("some effects", lambda: own_ledger.effect_count() > done + 20)
        with ExitStack() as idle:
            hoard(idle, own_ledger.place.database_url)
            while sessions.pids():
                # A place that gets free goes to us or to them.
                own_ledger.inject("sessions exhausted", batches=sessions.end_all())
                hoard(idle, own_ledger.place.database_url)
            time.sleep(5)
            assert sessions.pids() == []
            before = own_ledger.effect_count()
            time.sleep(1)
            assert own_ledger.effect_count() == before
        sessions.close()
        wait_for("the rest", lambda: own_ledger.hurry() >= 0 and own_ledger.all_ended())
        assert worker.process.poll() is None
        assert max(row.attempts for row in own_ledger.rows().values()) <= 2
        own_ledger.audit()


def hoard(stack: ExitStack, database_url: str) -> None:
    """Take sessions until the server has no more to give."""
    while True:
        try:
            connection = psycopg.connect(database_url, autocommit=True)
        except psycopg.OperationalError as error:
            assert "remaining connection slots" in str(error) or "too many" in str(error)
            return
        stack.callback(connection.close)


@pytest.fixture
def small_space(own_servers, tmp_path_factory) -> Iterator[str]:
    """The name of a tablespace of two megabytes."""
    if os.geteuid() != 0:
        pytest.skip("Only root may mount a small file system.")
    place = Path("/tmp") / f"fl-small-{os.getpid()}"
    place.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=2m,mode=0755", "tmpfs", str(place)], capture_output=True, text=True
    )
    if mounted.returncode:
        place.rmdir()
        pytest.skip(f"No small file system to be had: {mounted.stderr.strip()}")
    account = server_account(own_servers.postgres.directory)
    data = place / "data"
    data.mkdir(mode=0o700)
    os.chown(data, account.uid, account.gid)
    with psycopg.connect(own_servers.postgres.superuser_url, autocommit=True) as superuser:
        superuser.execute(sql.SQL("CREATE TABLESPACE fault_small LOCATION {}").format(str(data)))
        superuser.execute("GRANT ALL ON TABLESPACE fault_small TO PUBLIC")
    yield "fault_small"
    with psycopg.connect(own_servers.postgres.superuser_url, autocommit=True) as superuser:
        superuser.execute("ALTER TABLE outbox_workevent_open SET TABLESPACE pg_default")
        superuser.execute("DROP TABLE IF EXISTS fault_effect, fault_ballast")
        superuser.execute("DROP TABLESPACE fault_small")
    subprocess.run(["umount", str(place)], check=True)
    shutil.rmtree(place)


@pytest.mark.long_fault
class TestFullDisk:
    @pytest.mark.parametrize("table", ["fault_effect", "outbox_workevent_open"])
    def test_what_failed_for_want_of_space_is_done_when_there_is_some(
        self, small_space, own_servers, own_ledger, own_fleet, table
    ):
        worker = own_fleet.worker()
        own_ledger.ship(10)
        wait_for("the first events", own_ledger.all_ended)
        with psycopg.connect(own_servers.postgres.superuser_url, autocommit=True) as superuser:
            superuser.execute(f"ALTER TABLE {table} SET TABLESPACE {small_space}")  # type: ignore[call-overload]
            superuser.execute(f"CREATE TABLE fault_ballast (filler text) TABLESPACE {small_space}")  # type: ignore[call-overload]
            own_ledger.ship(20)
            full = False
            while not full:
                try:
                    superuser.execute("INSERT INTO fault_ballast SELECT repeat('x', 1000) FROM generate_series(1, 20)")
                except psycopg.errors.DiskFull:
                    full = True
            own_ledger.inject("disk full", batches=4)
            refused_before = len(own_ledger.doubtful)
            for _ in range(40):
                own_ledger.ship(20)
                if len(own_ledger.doubtful) > refused_before or own_ledger.open_count() > 300:
                    break
            time.sleep(3)
            assert worker.process.poll() is None
            superuser.execute("DROP TABLE fault_ballast")
        wait_for("the rest", lambda: own_ledger.hurry() >= 0 and own_ledger.all_ended())
        assert worker.process.poll() is None
        own_ledger.audit()
