"""Claims between live and dead workers: real connections, real commits."""

import threading
import time
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.utils.timezone import now

from flowledger.outbox import sql
from flowledger.outbox.drain import DrainLimits, drain, drain_all
from flowledger.outbox.models import WorkEvent
from flowledger.outbox.registry import Delivery, handler
from flowledger.tenancy.scope import system_scope
from tests.outbox.parcels import again, change_delivery, claim, receipts

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("no_handlers")]

HOLDER = uuid.UUID("6f1c1c86-5f3e-4c2b-9d4f-0a2f3b1d9f11")


def in_thread(work: Callable[[], Any]) -> Callable[[], Any]:
    """Run with a database connection of the thread's own, closed at the end."""

    def run() -> Any:
        try:
            return work()
        finally:
            connection.close()

    return run


@pytest.fixture
def tally() -> Iterator[Callable[[], dict[str, int]]]:
    """A table that counts effects and cannot tell twice from once by itself."""
    with connection.cursor() as cursor:
        cursor.execute("CREATE TABLE IF NOT EXISTS test_tally (effect text)")
        cursor.execute("TRUNCATE test_tally")

    def count() -> dict[str, int]:
        with connection.cursor() as cursor:
            cursor.execute("SELECT effect, count(*) FROM test_tally GROUP BY effect")
            return dict(cursor.fetchall())

    yield count
    with connection.cursor() as cursor:
        cursor.execute("DROP TABLE test_tally")


def take_effect(delivery: Delivery) -> None:
    with connection.cursor() as cursor:
        cursor.execute("INSERT INTO test_tally VALUES (%s)", [f"{delivery.event_id} {delivery.handler}"])


class TestClaim:
    def test_two_claims_at_once_share_nothing_and_leave_nothing(self, send):
        ids = {send(n).pk for n in range(40)}
        start = threading.Barrier(4)

        def work() -> list[int]:
            start.wait(timeout=10)
            mine: list[int] = []
            while batch := claim(limit=3):
                mine += batch
            return mine

        with ThreadPoolExecutor(4) as pool:
            shares = [future.result() for future in [pool.submit(in_thread(work)) for _ in range(4)]]
        claimed = [event_id for share in shares for event_id in share]
        assert len(claimed) == len(set(claimed))
        assert set(claimed) | set(claim()) == ids

    def test_claims_of_one_organisation_wait_for_each_other_and_of_two_do_not(self, send, org, other_org):
        """The first claim is not committed yet: nobody can see it, and nobody may pass it."""
        older, younger, stranger = send(1), send(1), send(2)
        elsewhere = send(1, to=other_org)
        with ThreadPoolExecutor(1) as pool:
            with system_scope("tests"):
                first, _ = sql.claim_fresh(token=uuid.uuid4(), limit=1, orgs=[org.pk])
                assert pool.submit(in_thread(claim)).result(timeout=20) == [elsewhere.pk]
                second = pool.submit(in_thread(claim))
                with pytest.raises(TimeoutError):
                    second.result(timeout=0.3)
            assert [event.id for event in first] == [older.pk]
            assert second.result(timeout=20) == [stranger.pk]
        assert again(younger).claimed_at is None

    def test_a_claim_that_hangs_holds_up_its_organisation_and_no_drain(self, send, org, other_org):
        send(1)
        elsewhere = send(1, to=other_org)
        with ThreadPoolExecutor(1) as pool, system_scope("tests"):
            sql.claim_fresh(token=HOLDER, limit=1, orgs=[org.pk])
            result = pool.submit(in_thread(drain_all)).result(timeout=30)
        assert (result.handled, result.exhausted) == (1, True)
        assert again(elsewhere).processed_at is not None

    def test_an_organisation_with_a_backlog_gets_its_share_and_no_more(self, send, org, other_org):
        backlog = [send(n) for n in range(30)]
        single = send(1, to=other_org)
        assert claim(10) == [event.pk for event in backlog[:5]] + [single.pk]
        assert claim(10) == [event.pk for event in backlog[5:15]]

    def test_a_single_event_is_found_without_walking_past_the_backlog_of_another(self, org, other_org):
        facts: dict[str, Any] = {
            "event_name": "parcel.sent",
            "actor_kind": "system",
            "actor_label": "tests",
            "item_type": "parcel",
        }
        facts |= {"origin": "system", "occurred_at": now(), "payload": {"parcel_id": 1, "note": ""}}
        seen = "SELECT idx_tup_fetch FROM pg_stat_xact_user_tables WHERE relname = 'outbox_workevent_open'"
        with system_scope("tests"):
            WorkEvent.all_orgs.bulk_create(WorkEvent(org=org, item_id=n, **facts) for n in range(5000))
        # As in the midst of a backlog: the statistics know nobody but its organisation.
        with connection.cursor() as cursor:
            cursor.execute("VACUUM ANALYZE outbox_workevent_open")
        with system_scope("tests"), connection.cursor() as cursor:
            single = WorkEvent.all_orgs.create(org=other_org, item_id=1, **facts)
            cursor.execute(seen)
            (before,) = cursor.fetchone()
            events, _ = sql.claim_fresh(token=HOLDER, limit=100, orgs=[other_org.pk])
            cursor.execute(seen)
            (after,) = cursor.fetchone()
        assert [event.id for event in events] == [single.pk]
        assert after - before < 20

    def test_a_plan_of_any_kind_keeps_the_limit(self, send):
        for n in range(30):
            send(n)
        with system_scope("tests"), connection.cursor() as cursor:
            for setting in ("hashjoin", "mergejoin", "nestloop", "material", "hashagg", "sort", "indexscan", "tidscan"):
                cursor.execute(f"SET LOCAL enable_{setting} = off")
            assert len(claim(4)) == 4
            assert WorkEvent.all_orgs.filter(claimed_at__isnull=False).count() == 4


class TestLease:
    def test_an_expired_lease_is_given_back_counted_and_tried_alone(self, send, settings):
        seen: list[tuple[int, int]] = []
        settings.OUTBOX_LEASE_SECONDS = 300

        @handler("parcel.sent", name="note")
        def note(delivery: Delivery) -> None:
            held = WorkEvent.objects.for_org(delivery.org).filter(processed_at=None, claimed_at__isnull=False)
            seen.append((delivery.event_id, held.count()))

        crashed = [send(n) for n in range(3)]
        fresh = [send(n) for n in range(10, 12)]
        change_delivery(*crashed, claimed_at=now() - timedelta(seconds=301), claimed_by=HOLDER, attempts=1)
        drain(DrainLimits(batch_size=10, seconds=60))
        assert seen[:2] == [(fresh[0].pk, 5), (fresh[1].pk, 5)]
        assert seen[2:] == [(event.pk, 1) for event in crashed]
        stored = again(crashed[0])
        assert (stored.crashes, stored.attempts) == (1, 2)
        assert stored.processed_at is not None

    def test_a_live_lease_is_left_alone(self, send):
        event = send()
        change_delivery(event, claimed_at=now() - timedelta(seconds=290), claimed_by=HOLDER)
        assert drain_all().claimed == 0
        assert again(event).claimed_by == HOLDER

    def test_what_kills_its_workers_ends_on_the_list_alone(self, send):
        poison, innocent = send(1), send(2)
        for crash in range(1, 6):
            assert again(poison).dead_letter_at is None
            change_delivery(poison, claimed_at=now() - timedelta(hours=1), claimed_by=HOLDER)
            with system_scope("tests"):
                ((event_id, _, _, crashes, dead),) = sql.give_back_expired(lease_seconds=300, crash_limit=5)
            assert (event_id, crashes, dead) == (poison.pk, crash, crash == 5)
        stored = again(poison)
        assert stored.dead_letter_at is not None
        assert "worker died 5 times" in stored.last_error
        assert drain_all().handled == 1
        assert again(innocent).processed_at is not None

    def test_the_lease_is_renewed_while_a_handler_works(self, send, settings):
        settings.OUTBOX_RENEW_SECONDS = 0.02
        ages: list[bool] = []

        @handler("parcel.sent", name="slow")
        def slow(delivery: Delivery) -> None:
            first = again_in(delivery)
            until = time.monotonic() + 10
            while again_in(delivery) == first and time.monotonic() < until:
                time.sleep(0.01)
            ages.append(again_in(delivery) > first)

        def again_in(delivery: Delivery) -> Any:
            return WorkEvent.objects.for_org(delivery.org).get(pk=delivery.event_id).claimed_at

        send()
        assert drain_all().handled == 1
        assert ages == [True]

    def test_a_worker_that_lost_its_lease_completes_nothing(self, send, tally):
        """Somebody else takes the event over while the handler is still at it."""
        rivals: list[int] = []

        @handler("parcel.sent", name="effect")
        def effect(delivery: Delivery) -> None:
            take_effect(delivery)
            if not rivals:
                with ThreadPoolExecutor(1) as pool:
                    rivals.append(pool.submit(in_thread(take_over)).result(timeout=20))

        def take_over() -> int:
            change_delivery(event, claimed_at=now() - timedelta(hours=1))
            with system_scope("tests"):
                sql.give_back_expired(lease_seconds=300, crash_limit=5)
                return len(sql.claim_crashed(token=HOLDER))

        event = send()
        result = drain(DrainLimits(batch_size=1, seconds=60))
        assert rivals == [1]
        assert (result.lost, result.handled) == (1, 0)
        assert tally() == {}
        assert receipts() == set()
        assert (again(event).claimed_by, again(event).processed_at) == (HOLDER, None)

    def test_a_zombie_does_not_start_the_handlers_of_its_other_events(self, send, tally):
        first, second = send(1), send(2)

        @handler("parcel.sent", name="effect")
        def effect(delivery: Delivery) -> None:
            take_effect(delivery)
            if delivery.event_id == first.pk:
                with ThreadPoolExecutor(1) as pool:
                    pool.submit(in_thread(lambda: change_delivery(second, claimed_by=HOLDER))).result(timeout=20)

        result = drain(DrainLimits(batch_size=10, seconds=60))
        assert (result.handled, result.lost) == (1, 1)
        assert tally() == {f"{first.pk} effect": 1}
        assert again(second).claimed_by == HOLDER


class TestManyWorkers:
    def test_effects_happen_once_with_four_drains_and_failures(self, send, tally, settings):
        settings.OUTBOX_BATCH_SIZE = 7

        @handler("parcel.sent", name="flaky")
        def flaky(delivery: Delivery) -> None:
            take_effect(delivery)
            if delivery.attempts == 1 and delivery.event_id % 3 == 0:
                raise ValueError

        handler("parcel.sent", name="steady")(take_effect)
        events = [send(n % 5) for n in range(60)]
        for _ in range(2):
            with ThreadPoolExecutor(4) as pool:
                for future in [pool.submit(in_thread(drain_all)) for _ in range(4)]:
                    future.result(timeout=60)
            with system_scope("tests"):
                WorkEvent.all_orgs.pending().update(available_at=now() - timedelta(hours=1))
        drain_all()
        assert tally() == {f"{event.pk} {name}": 1 for event in events for name in ("flaky", "steady")}
        assert all(again(event).processed_at for event in events)

    def test_events_of_one_item_go_in_order_through_four_drains(self, send, settings):
        settings.OUTBOX_BATCH_SIZE = 3
        seen: list[tuple[int | None, int]] = []
        handler("parcel.sent", name="note")(lambda delivery: seen.append((delivery.item_id, delivery.event_id)))
        events = [send(n % 4) for n in range(80)]
        with ThreadPoolExecutor(4) as pool:
            for future in [pool.submit(in_thread(drain_all)) for _ in range(4)]:
                future.result(timeout=60)
        drain_all()
        assert len(seen) == 80
        for item in range(4):
            assert [pk for key, pk in seen if key == item] == [event.pk for event in events if event.item_id == item]

    def test_a_lost_connection_costs_one_event_one_try(self, send):
        @handler("parcel.sent", name="cut")
        def cut(delivery: Delivery) -> None:
            if delivery.item_id == 1 and delivery.attempts == 1:
                with connection.cursor() as cursor:
                    cursor.execute("SELECT pg_terminate_backend(pg_backend_pid())")

        unlucky, lucky = send(1), send(2)
        result = drain_all()
        assert (result.handled, result.failed) == (1, 1)
        assert again(lucky).processed_at is not None
        stored = again(unlucky)
        assert (stored.attempts, stored.crashes, stored.claimed_at) == (1, 0, None)
