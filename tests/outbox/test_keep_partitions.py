"""Months of the event table are made ahead of time, and no event is lost or doubled when they were not."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta

import pytest
from django.db import IntegrityError, ProgrammingError, connection, transaction
from django.utils import timezone

from flowledger.outbox.drain import drain_all
from flowledger.outbox.models import WorkEvent
from flowledger.outbox.partitions import (
    KeptPartitions,
    MonthPartition,
    PartitionsBusy,
    keep_partitions,
    later,
    month_of,
    month_partitions,
)
from flowledger.outbox.tasks import keep_partitions as keep_partitions_task
from flowledger.tenancy.scope import org_scope, system_scope
from tests.faults.processes import wait_for
from tests.outbox.months import (
    a_reader,
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

pytestmark = pytest.mark.django_db(transaction=True)

# Long ago, so that no partition of the migrations is near.
MAY = datetime(2021, 5, 20, 13, 0, tzinfo=UTC)
JANUARY = datetime(2019, 1, 10, tzinfo=UTC)


@pytest.fixture(autouse=True)
def months_as_before(transactional_db: None) -> Iterator[None]:
    before = month_partitions()
    yield
    put_back(before)


def made(kept: KeptPartitions) -> list[str]:
    return [partition.label for partition in kept.made]


def this_month() -> MonthPartition:
    return MonthPartition(month_of(timezone.now()))


class TestMonths:
    @pytest.mark.parametrize(
        ("months", "expected"),
        [(0, date(2021, 5, 1)), (7, date(2021, 12, 1)), (8, date(2022, 1, 1)), (-5, date(2020, 12, 1))],
    )
    def test_counting_goes_over_the_turn_of_the_year(self, months, expected):
        assert later(date(2021, 5, 1), months=months) == expected

    def test_a_month_begins_at_midnight_utc(self):
        in_tokyo = datetime(2021, 6, 1, 3, 0, tzinfo=UTC).astimezone(timezone.get_fixed_timezone(timedelta(hours=9)))

        assert month_of(in_tokyo - timedelta(hours=4)) == date(2021, 5, 1)
        assert month_of(in_tokyo) == date(2021, 6, 1)


class TestKeepPartitions:
    def test_migrate_has_made_this_month_and_three_more(self):
        expected = [MonthPartition(later(this_month().month, months=number)) for number in range(4)]

        assert month_partitions() == expected

    def test_makes_the_month_and_the_next_ones(self):
        before = labels()

        kept = keep_partitions(at=MAY, ahead=2)

        assert made(kept) == ["y2021m05", "y2021m06", "y2021m07"]
        assert labels() == ["y2021m05", "y2021m06", "y2021m07", *before]

    def test_a_second_run_changes_nothing(self):
        keep_partitions(at=MAY, ahead=2)
        before = labels()

        assert keep_partitions(at=MAY, ahead=2) == KeptPartitions(made=(), moved=0)
        assert labels() == before

    def test_only_what_is_missing_is_made(self):
        keep_partitions(at=MAY, ahead=1)

        assert made(keep_partitions(at=MAY, ahead=3)) == ["y2021m07", "y2021m08"]

    def test_a_partition_holds_its_month_by_utc_to_the_microsecond(self, org):
        keep_partitions(at=MAY, ahead=0)
        partition = MonthPartition(date(2021, 5, 1))
        inside = [
            *processed(org, partition.starts_at),
            *processed(org, partition.ends_at - timedelta(microseconds=1)),
        ]
        outside = [*processed(org, partition.starts_at - timedelta(microseconds=1)), *processed(org, partition.ends_at)]

        assert places() == {"y2021m05": inside, "open": outside}

    def test_the_daily_task_keeps_as_many_ahead_as_the_settings_say(self, settings):
        settings.OUTBOX_PARTITIONS_AHEAD = 5

        keep_partitions_task()

        assert month_partitions()[-1] == MonthPartition(later(this_month().month, months=5))

    def test_is_refused_inside_a_transaction(self):
        with transaction.atomic(), pytest.raises(RuntimeError, match="durable"):
            keep_partitions(at=MAY, ahead=0)

    def test_two_runners_at_once_make_each_month_once(self):
        answers = in_threads(*[lambda: keep_partitions(at=MAY, ahead=5)] * 2)

        assert sorted(made(answers[0]) + made(answers[1])) == [f"y2021m{number:02}" for number in range(5, 11)]


class TestMissedMonths:
    def test_what_was_processed_without_a_partition_moves_into_it_unchanged(self, org, other_org):
        missed = [*processed(org, MAY, 3), *processed(other_org, MAY, 2)]
        elsewhere = processed(org, JANUARY)
        with system_scope("tests"):
            before = rows("SELECT * FROM outbox_workevent ORDER BY id")
        assert places() == {"open": missed + elsewhere}

        kept = keep_partitions(at=timezone.now(), ahead=0)

        assert (made(kept), kept.moved) == (["y2019m01", "y2021m05"], 6)
        assert places() == {"y2019m01": elsewhere, "y2021m05": missed}
        with system_scope("tests"):
            assert rows("SELECT * FROM outbox_workevent ORDER BY id") == before

    def test_more_than_one_batch_of_rows_moves(self, org):
        """The database moves 20,000 at a time."""
        keys = processed(org, MAY, 20_001)

        assert keep_partitions(at=MAY, ahead=0).moved == 20_001
        assert places() == {"y2021m05": keys}

    def test_what_is_pending_or_dead_stays(self, org, send):
        pending, dead = send(1), send(2)
        with system_scope("tests"):
            WorkEvent.all_orgs.filter(pk=dead.pk).update(dead_letter_at=MAY, available_at=MAY)
        missed = processed(org, MAY)

        keep_partitions(at=timezone.now(), ahead=0)

        assert places() == {"open": [pending.pk, dead.pk], "y2021m05": missed}

    def test_an_event_is_delivered_in_a_month_without_partition(self, send, no_handlers):
        run(f"DROP TABLE {this_month().table}")
        event = send()

        assert drain_all().handled == 1
        assert places() == {"open": [event.pk]}
        assert keep_partitions(at=timezone.now(), ahead=3).moved == 1
        assert places() == {this_month().label: [event.pk]}

    def test_a_session_that_dies_half_way_leaves_everything_where_it_was(self, org):
        keys = processed(org, MAY, 50)

        with a_reader():
            with in_background(lambda: keep_partitions(at=MAY, ahead=0)) as answer:
                # The rows lie in the new table, uncommitted; the reader is in the way of the rest.
                wait_for("the lock to be asked for", waits_for_the_table)
                run(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                    "WHERE query LIKE 'SELECT outbox_add_partition%%' AND datname = current_database()"
                )
            assert answer[0].args
            assert "y2021m05" not in labels()
            assert places() == {"open": keys}

        assert keep_partitions(at=MAY, ahead=0).moved == 50
        assert places() == {"y2021m05": keys}

    def test_busy_readers_see_every_event_once_throughout(self, org):
        keys, seen = processed(org, MAY, 3000), set()

        def read() -> None:
            until = time.monotonic() + 30
            while "y2021m05" not in labels() and time.monotonic() < until:
                with system_scope("tests"):
                    seen.add(rows("SELECT count(*), count(DISTINCT id) FROM outbox_workevent")[0])

        in_threads(read, read, read, lambda: keep_partitions(at=MAY, ahead=0))

        assert seen == {(3000, 3000)}
        assert places() == {"y2021m05": keys}

    def test_an_old_snapshot_sees_every_event_once_afterwards(self, org, settings):
        processed(org, MAY, 3)
        snapshot = connection.copy()
        snapshot.set_autocommit(False)
        with snapshot.cursor() as cursor:
            cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
            cursor.execute("SELECT count(*) FROM tenancy_organization")

            assert keep_partitions(at=MAY, ahead=0).moved == 3

            cursor.execute("SELECT set_config('role', %s, true)", [settings.SYSTEM_DB_ROLE])
            cursor.execute("SELECT count(*), count(DISTINCT id) FROM outbox_workevent")
            assert cursor.fetchone() == (3, 3)
        snapshot.close()

    def test_what_is_completed_while_it_runs_is_neither_lost_nor_doubled(self, org, send, no_handlers):
        run(f"DROP TABLE {this_month().table}")
        events = [send(number).pk for number in range(60)]

        def complete(keys: list[int]) -> int:
            """One at a time, so that some are completed before, some during and some after."""
            done = 0
            for key in keys:
                with system_scope("tests"):
                    done += run("UPDATE outbox_workevent SET processed_at = statement_timestamp() WHERE id = %s", key)
            return done

        *completed, kept = in_threads(
            lambda: complete(events[::2]),
            lambda: complete(events[1::2]),
            lambda: keep_partitions(at=timezone.now(), ahead=0),
        )

        assert completed == [30, 30]
        assert made(kept) == [this_month().label]
        assert places() == {this_month().label: events}


class TestBusyTable:
    def test_gives_up_with_a_sentence_and_changes_nothing(self, org):
        keys = processed(org, MAY, 3)
        with a_reader(), pytest.raises(PartitionsBusy, match="y2021m05 could not be made: other transactions hold"):
            keep_partitions(at=MAY, ahead=0, patience_seconds=0.5)

        assert "y2021m05" not in labels()
        assert places() == {"open": keys}

    def test_goes_on_as_soon_as_the_table_is_free(self):
        with a_reader() as reader, in_background(lambda: keep_partitions(at=MAY, ahead=0)) as answer:
            wait_for("the lock to be asked for", waits_for_the_table)
            reader.rollback()

        assert made(answer[0]) == ["y2021m05"]

    def test_nobody_waits_long_behind_it(self, send):
        with a_reader() as reader, in_background(lambda: keep_partitions(at=MAY, ahead=0)):
            wait_for("the lock to be asked for", waits_for_the_table)
            started = time.monotonic()
            send()
            waited = time.monotonic() - started
            reader.rollback()

        # It asks for 300 ms and then lets everybody pass.
        assert waited < 2.0


class TestWalls:
    """On a partition as on the whole table, through the table and by its own name."""

    @pytest.fixture
    def events(self, org, other_org) -> tuple[int, int]:
        keep_partitions(at=MAY, ahead=0)
        return (*processed(org, MAY), *processed(other_org, MAY))

    def test_a_tenant_sees_its_own_events_of_the_month(self, org, events):
        with org_scope(org):
            assert rows("SELECT id FROM outbox_workevent") == [(events[0],)]

    @pytest.mark.parametrize("partition", ["outbox_workevent_y2021m05", "outbox_workevent_open"])
    @pytest.mark.parametrize(
        "statement",
        ["SELECT id FROM {}", "UPDATE {} SET attempts = 9", "DELETE FROM {}", "INSERT INTO {} DEFAULT VALUES"],
    )
    def test_a_tenant_may_not_name_the_partition(self, org, events, partition, statement):
        with pytest.raises(ProgrammingError, match="permission denied"), org_scope(org):
            run(statement.format(partition))

        assert places() == {"y2021m05": list(events)}

    def test_a_tenant_cannot_write_into_anothers_history(self, org, other_org, events):
        with org_scope(org):
            assert run("UPDATE outbox_workevent SET attempts = 9 WHERE id = %s", events[1]) == 0
        with pytest.raises(ProgrammingError, match="row-level security"), org_scope(org):
            run(
                "INSERT INTO outbox_workevent (org_id, event_name, payload, actor_kind, actor_label, origin, "
                "occurred_at, processed_at) VALUES (%s, 'parcel.sent', '{}', 'system', 'x', 'system', now(), %s)",
                other_org.pk,
                MAY,
            )

        with system_scope("tests"):
            assert rows("SELECT id, attempts FROM outbox_workevent ORDER BY id") == [(events[0], 1), (events[1], 1)]

    def test_outside_of_a_scope_there_is_nothing_to_see(self, events):
        assert rows("SELECT count(*) FROM outbox_workevent") == [(0,)]
        assert rows("SELECT count(*) FROM outbox_workevent_y2021m05") == [(0,)]

    def test_a_new_partition_has_the_walls_of_the_others(self):
        keep_partitions(at=MAY, ahead=0)
        walls = {
            (enabled, forced, access, policies, triggers)
            for enabled, forced, access, policies, triggers in rows(
                """
                SELECT relrowsecurity, relforcerowsecurity, relacl::text,
                    (SELECT array_agg((policyname, cmd, roles, qual, with_check)::text ORDER BY policyname)
                       FROM pg_policies WHERE tablename = relname)::text,
                    (SELECT array_agg(tgname::text ORDER BY tgname) FROM pg_trigger
                      WHERE tgrelid = child.oid AND NOT tgisinternal)::text
                  FROM pg_inherits JOIN pg_class child ON child.oid = inhrelid
                 WHERE inhparent = 'outbox_workevent'::regclass AND relname <> 'outbox_workevent_open'
                """
            )
        }

        ((enabled, forced, access, policies, triggers),) = walls
        assert (enabled, forced) == (True, True)
        assert "flowledger_tenant" not in access
        assert policies.count("system_access") == 1
        assert triggers == "{work_event_facts_stay,work_event_stays}"

    @pytest.mark.parametrize("table", ["outbox_workevent", "outbox_workevent_y2021m05"])
    def test_an_event_is_never_deleted(self, events, table):
        with pytest.raises(IntegrityError, match="never deleted"), system_scope("tests"):
            run(f"DELETE FROM {table}")

        assert places() == {"y2021m05": list(events)}

    @pytest.mark.parametrize("table", ["outbox_workevent", "outbox_workevent_y2021m05"])
    def test_a_fact_never_changes(self, events, table):
        with pytest.raises(IntegrityError, match="never change"), system_scope("tests"):
            run(f"UPDATE {table} SET payload = '{{}}'")

        with system_scope("tests"):
            assert rows("SELECT DISTINCT payload->>'note' FROM outbox_workevent") == [("",)]

    def test_moving_leaves_no_door_open(self, org):
        """The doors are of the moving transaction; the next one on the same connection finds them shut."""
        keys = processed(org, MAY)
        keep_partitions(at=MAY, ahead=0)

        with pytest.raises(IntegrityError, match="never deleted"), system_scope("tests"):
            run("DELETE FROM outbox_workevent")
        assert places() == {"y2021m05": keys}


class TestOpenPartition:
    def test_is_vacuumed_by_number_and_keeps_versions_on_their_page(self):
        ((options,),) = rows("SELECT reloptions FROM pg_class WHERE relname = 'outbox_workevent_open'")

        assert set(options) == {
            "fillfactor=70",
            "autovacuum_vacuum_scale_factor=0",
            "autovacuum_vacuum_threshold=5000",
            "autovacuum_vacuum_cost_delay=0",
            "autovacuum_vacuum_insert_scale_factor=0",
            "autovacuum_vacuum_insert_threshold=20000",
            "autovacuum_analyze_scale_factor=0",
            "autovacuum_analyze_threshold=20000",
        }

    def test_is_small_again_after_a_drain(self, org, no_handlers):
        """History does not count: what the vacuum leaves of thousands of delivered events is nothing."""
        with system_scope("tests"):
            run(
                "INSERT INTO outbox_workevent (org_id, event_name, payload, actor_kind, actor_label, origin, "
                "occurred_at) SELECT %s, 'parcel.sent', '{\"parcel_id\": 1}', 'system', 'x', 'system', now() "
                "FROM generate_series(1, 4000)",
                org.pk,
            )
        full = rows("SELECT pg_relation_size('outbox_workevent_open')")[0][0]

        assert drain_all().handled == 4000
        run("VACUUM outbox_workevent_open")

        assert full > 500_000
        assert rows("SELECT pg_relation_size('outbox_workevent_open')") == [(0,)]
        assert {place: len(keys) for place, keys in places().items()} == {this_month().label: 4000}
