"""The claim under statistics that are wrong, settings that are hostile and tables that are large: its limit holds, and
so does its cost."""

import time
import uuid
from collections.abc import Iterator

import psycopg
import pytest
from django.db import connection

from flowledger.outbox import sql
from flowledger.tenancy.scope import system_scope
from tests.faults.ledger import Changed
from tests.faults.processes import wait_for
from tests.faults.servers.conftest import as_owner

pytestmark = pytest.mark.django_db(transaction=True)

HOSTILE = ("enable_hashjoin", "enable_mergejoin", "enable_material", "enable_hashagg", "enable_sort")
# What Django makes of `filter(pk__in=inner.select_for_update(skip_locked=True)[:10]).update(…)`.
UNSAFE_CLAIM = """
UPDATE outbox_workevent_open SET claimed_by = %s, claimed_at = statement_timestamp(), attempts = 1
 WHERE id IN (SELECT id FROM outbox_workevent_open
               WHERE processed_at IS NULL AND dead_letter_at IS NULL AND claimed_at IS NULL AND attempts = 0
               ORDER BY org_id, id LIMIT 10 FOR UPDATE SKIP LOCKED)
"""
LIMIT = 10
TABLE = "outbox_workevent_open"


@pytest.fixture
def hostile_planner(ledger) -> Iterator[None]:
    """The login role of the workers gets settings under which joins become nested loops, in this database."""
    with psycopg.connect(ledger.place.database_url) as probe:
        role = probe.execute("SELECT current_user").fetchone()[0]  # type: ignore[index]
        database = probe.info.dbname
    who = f'ALTER ROLE "{role}" IN DATABASE "{database}"'
    as_owner(ledger, *(f"{who} SET {name} = off" for name in HOSTILE))
    connection.close()
    ledger.inject("hostile planner", batches=0)
    yield
    as_owner(ledger, *(f"{who} RESET {name}" for name in HOSTILE))
    connection.close()


def claim_fresh(token: uuid.UUID) -> int:
    return len(sql.claim_fresh(token=token, limit=LIMIT, orgs=sql.look().orgs)[0])


def claim_waiting(token: uuid.UUID) -> int:
    return len(sql.claim_waiting(token=token, limit=LIMIT))


def claim_crashed(token: uuid.UUID) -> int:
    return len(sql.claim_crashed(token=token))


LANES = {"fresh": (claim_fresh, LIMIT), "waiting": (claim_waiting, LIMIT), "crashed": (claim_crashed, 1)}
PUT_INTO_LANE = {
    "fresh": "attempts = 0",
    "waiting": "attempts = 1, available_at = clock_timestamp()",
    "crashed": "crashes = 1, attempts = 1, available_at = clock_timestamp()",
}


def put_into(lane: str, ledger) -> None:
    ledger.execute(f"UPDATE outbox_workevent SET {PUT_INTO_LANE[lane]} WHERE processed_at IS NULL")


def claimed(ledger, token: uuid.UUID) -> int:
    """How many rows bear the token, whatever the claim said that it took."""
    return int(ledger.execute("SELECT count(*) FROM outbox_workevent WHERE claimed_by = %s", [token])[0][0])


class TestLimit:
    def test_the_planner_is_hostile_indeed(self, ledger, hostile_planner):
        """Under these settings the usual form of a claim runs its inner query once for every row."""
        ledger.ship_at_once(2000)
        token = uuid.uuid4()
        with pytest.raises(Changed), system_scope("tests"), connection.cursor() as cursor:
            cursor.execute(UNSAFE_CLAIM, [token])
            assert cursor.rowcount == 2000
            raise Changed

    @pytest.mark.parametrize("lane", LANES)
    def test_a_claim_takes_no_more_than_its_limit_under_any_plan(self, ledger, hostile_planner, lane):
        """Never analysed: the planner knows nothing of 2,000 rows that came at once."""
        ledger.ship_at_once(2000)
        put_into(lane, ledger)
        claim, limit = LANES[lane]
        for _ in range(8):
            token = uuid.uuid4()
            with system_scope("tests"):
                said = claim(token)
            assert claimed(ledger, token) == said == limit

    @pytest.mark.long_fault
    def test_workers_under_it_deliver_all(self, ledger, start_worker, hostile_planner):
        start_worker(FAULT_EFFECT_SECONDS="0")
        ledger.ship_at_once(2000)
        wait_for("the end of all", ledger.all_ended)
        ledger.audit()


class Reads:
    """What was read of the hot table, by the database's own count."""

    def __init__(self, ledger) -> None:
        self._ledger = ledger

    def now(self) -> tuple[int, int]:
        """Sequential scans, and rows read through indexes."""
        # The ledger's own session has scanned it too.
        self._ledger.execute("SELECT pg_stat_force_next_flush()")
        return self._ledger.execute(
            "SELECT seq_scan, idx_tup_fetch FROM pg_stat_user_tables WHERE relname = %s", [TABLE]
        )[0]

    @staticmethod
    def tell() -> None:
        """Have this process's session hand its counts in; they are handed in at the end of the transaction."""
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_stat_force_next_flush()")


class TestLargeTables:
    @pytest.mark.parametrize(
        ("pending", "processed"),
        [
            pytest.param(6_000, 10_000, id="short"),
            pytest.param(500_000, 0, id="backlog", marks=pytest.mark.long_fault),
            pytest.param(1_000, 1_000_000, id="history", marks=pytest.mark.long_fault),
        ],
    )
    @pytest.mark.parametrize("lane", LANES)
    def test_a_claim_reads_what_it_takes_and_scans_nothing(self, ledger, lane, pending, processed):
        if processed:
            ledger.ship_at_once(processed, parcels=100_000)
            ledger.execute("UPDATE outbox_workevent SET processed_at = clock_timestamp() WHERE processed_at IS NULL")
        ledger.ship_at_once(pending, parcels=100_000)
        put_into(lane, ledger)
        as_owner(ledger, f"VACUUM ANALYZE {TABLE}")
        ledger.inject("large table", batches=0)
        claim, limit = LANES[lane]
        reads = Reads(ledger)
        with system_scope("tests"):
            claim(uuid.uuid4())
        reads.tell()
        time.sleep(0.05)
        scans, before = reads.now()
        for _ in range(10):
            with system_scope("tests"):
                assert claim(uuid.uuid4()) == limit
        reads.tell()
        time.sleep(0.05)
        scans_after, after = reads.now()
        assert scans_after == scans
        # Each row is looked at to be picked, to see who holds its item, and to be taken.
        assert 10 * limit <= after - before <= 10 * 300


@pytest.mark.long_fault
def test_an_old_snapshot_does_not_slow_the_workers_down(start_worker, ledger):
    """A report in REPEATABLE READ keeps every dead version; the claim must not wade through them again and again."""
    number = 30_000
    rates = []
    for held in (False, True):
        worker = start_worker(FAULT_EFFECT_SECONDS="0", OUTBOX_BATCH_SIZE="200")
        worker.wait_until_up()
        with psycopg.connect(ledger.place.database_url) as reader:
            if held:
                reader.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
                reader.execute("SELECT count(*) FROM pg_class")
                ledger.inject("held snapshot", batches=0)
            ledger.ship_at_once(number)
            began = time.monotonic()
            wait_for("the end of all", ledger.all_ended)
            rates.append(number / (time.monotonic() - began))
        worker.terminate()
    assert rates[1] > 0.5 * rates[0], rates
    ledger.audit(batch_size=200)
