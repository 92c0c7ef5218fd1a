"""Many events in one transaction: handled together, and apart as soon as one of them fails."""

from collections.abc import Sequence

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from flowledger.outbox.causes import caused_by
from flowledger.outbox.drain import drain_all
from flowledger.outbox.models import WorkEvent
from flowledger.outbox.pace import pace
from flowledger.outbox.recording import record_event
from flowledger.outbox.registry import Delivery, handler
from flowledger.tenancy.scope import org_scope, system_scope
from tests.outbox.parcels import AT, CLERK, ParcelLost, again, change_delivery, failures, receipts

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("no_handlers")]


@pytest.fixture
def batches() -> list[list[int]]:
    """What a batch handler was called with, by the events' keys."""
    seen: list[list[int]] = []

    @handler("parcel.sent", name="parcels.all", batch=True)
    def take(deliveries: Sequence[Delivery]) -> None:
        seen.append([delivery.event_id for delivery in deliveries])

    return seen


class TestBatchHandler:
    def test_gets_the_events_of_one_organisation_in_the_order_of_writing(self, send, other_org, batches):
        mine = [send(n).pk for n in range(3)]
        theirs = [send(n, to=other_org).pk for n in range(2)]
        assert drain_all().handled == 5
        assert batches == [theirs, mine]
        assert receipts() == {(pk, "parcels.all") for pk in mine + theirs}

    def test_gets_only_what_it_is_subscribed_to(self, send, org, batches):
        sent = [send(1).pk]
        with org_scope(org):
            record_event(org=org, event=ParcelLost(1), actor=CLERK, at=AT)
        sent.append(send(2).pk)
        drain_all()
        assert batches == [sent]

    def test_what_it_records_says_what_caused_it(self, send, org):
        @handler("parcel.sent", name="parcels.lose", batch=True)
        def lose(deliveries: Sequence[Delivery]) -> None:
            for delivery in deliveries:
                with caused_by(delivery):
                    record_event(
                        org=delivery.org, event=ParcelLost(1), actor=delivery.reacting_actor(), at=delivery.occurred_at
                    )

        events = [send(n) for n in range(3)]
        drain_all()
        with system_scope("tests"):
            caused = WorkEvent.all_orgs.filter(event_name="parcel.lost").order_by("pk")
            assert [each.causation_id for each in caused] == [event.pk for event in events]

    def test_a_failure_is_pinned_on_the_event_that_causes_it(self, send):
        calls: list[int] = []

        @handler("parcel.sent", name="parcels.all", batch=True)
        def take(deliveries: Sequence[Delivery]) -> None:
            calls.append(len(deliveries))
            if any(delivery.item_id == 2 for delivery in deliveries):
                raise ValueError("number two")

        events = [send(n) for n in range(4)]
        result = drain_all()
        assert (result.handled, result.failed) == (3, 1)
        assert calls == [4, 1, 1, 1, 1]
        assert [bool(again(event).processed_at) for event in events] == [True, True, False, True]
        assert [(failure.event_id, failure.handler) for failure in failures()] == [(events[2].pk, "parcels.all")]


class TestIsolate:
    def test_one_that_fails_costs_the_others_one_more_try(self, send):
        calls: list[int] = []

        @handler("parcel.sent", name="parcels.note")
        def note(delivery: Delivery) -> None:
            calls.append(delivery.event_id)
            if delivery.item_id == 50:
                raise ValueError("fifty")

        events = [send(n) for n in range(100)]
        for _ in range(3):
            pace.learn(1000, 0.001)
        result = drain_all()
        assert (result.handled, result.failed, result.dead) == (99, 1, 0)
        poison = events[50]
        assert again(poison).attempts == 1
        assert max(calls.count(event.pk) for event in events) == 2
        assert receipts() == {(event.pk, "parcels.note") for event in events if event != poison}

    def test_what_was_done_together_before_the_failure_is_done_once(self, send):
        with connection.cursor() as cursor:
            cursor.execute("CREATE TEMP TABLE tally (event_id bigint); GRANT ALL ON tally TO PUBLIC")

        @handler("parcel.sent", name="parcels.count")
        def count(delivery: Delivery) -> None:
            with connection.cursor() as cursor:
                cursor.execute("INSERT INTO tally VALUES (%s)", [delivery.event_id])
                if delivery.item_id == 3:
                    cursor.execute("SELECT 1/0")

        events = [send(n) for n in range(5)]
        drain_all()
        with connection.cursor() as cursor:
            cursor.execute("SELECT event_id, count(*) FROM tally GROUP BY 1 ORDER BY 1")
            assert cursor.fetchall() == [(event.pk, 1) for event in events if event != events[3]]

    def test_an_event_that_was_replayed_does_not_meet_the_handlers_that_have_it(self, send):
        seen: list[str] = []
        for name in ("parcels.a", "parcels.b"):
            handler("parcel.sent", name=name)(lambda delivery: seen.append(delivery.handler))
        events = [send(n) for n in range(2)]
        change_delivery(*events, handled_by=["parcels.a"])
        drain_all()
        assert seen == ["parcels.b", "parcels.b"]
        assert all(again(event).handled_by == ["parcels.a", "parcels.b"] for event in events)


@pytest.mark.django_db(transaction=True)
class TestCommit:
    def test_a_constraint_checked_at_the_end_is_the_fault_of_its_handler(self, send, org):
        @handler("parcel.sent", name="parcels.dangle")
        def dangle(delivery: Delivery) -> None:
            if delivery.item_id == 1:
                with connection.cursor() as cursor:
                    cursor.execute("INSERT INTO pointing VALUES (-1)")

        with connection.cursor() as cursor:
            cursor.execute(
                "CREATE TEMP TABLE pointed (id bigint PRIMARY KEY);"
                "CREATE TEMP TABLE pointing (id bigint REFERENCES pointed DEFERRABLE INITIALLY DEFERRED);"
                "GRANT ALL ON pointed, pointing TO PUBLIC"
            )
        handler("parcel.sent", name="parcels.note")(lambda delivery: None)
        events = [send(n) for n in range(3)]
        assert drain_all().failed == 1
        (failure,) = failures()
        assert (failure.event_id, failure.handler) == (events[1].pk, "parcels.dangle")
        assert (events[1].pk, "parcels.note") in receipts()


class TestCost:
    def test_a_batch_takes_as_many_statements_as_one_event(self, send):
        handler("parcel.sent", name="parcels.note")(lambda delivery: None)

        def statements(number: int) -> int:
            for n in range(number):
                send(n)
            pace.restart()
            for _ in range(5):
                pace.learn(10_000, 0.001)
            with CaptureQueriesContext(connection) as queries:
                assert drain_all().handled == number
            return len(queries)

        assert statements(2) == statements(150)


class TestPace:
    def test_batches_grow_while_handlers_are_fast_and_shrink_at_once_when_they_are_slow(self):
        sizes = []
        for seconds in (0.0001, 0.0001, 0.0001, 3.0, 3.0):
            size = pace.limit(at_most=100)
            sizes.append(size)
            pace.learn(size, size * seconds)
        assert sizes == [20, 40, 80, 100, 1]

    def test_a_batch_is_never_empty_nor_larger_than_allowed(self):
        pace.learn(1, 1000.0)
        assert pace.limit(at_most=10) == 1
        for _ in range(20):
            pace.learn(10, 0.0)
        assert pace.limit(at_most=10) == 10
