"""Delivery: every handler gets every event, its effects happen once, failures are retried and end on the list."""

import re
import uuid
from datetime import timedelta

import pytest
from django.db import connection
from django.utils.timezone import now

from flowledger.outbox import shutdown, sql
from flowledger.outbox.drain import DrainLimits, drain, drain_all
from flowledger.outbox.models import WorkEvent
from flowledger.outbox.recording import record_event
from flowledger.outbox.registry import EVERY_EVENT, Delivery, handler
from flowledger.tenancy.actors import Actor, Origin
from flowledger.tenancy.models import Organization
from flowledger.tenancy.scope import current_org_id, org_scope, system_scope
from tests.outbox.parcels import AT, CLERK, ParcelLost, ParcelSent, again, change_delivery, claim, failures, receipts

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("no_handlers")]

DUE = now() - timedelta(hours=1)


def wait_until_due(event: WorkEvent) -> None:
    change_delivery(event, available_at=DUE)


class TestDeliver:
    def test_a_handler_gets_the_event_in_its_organisations_scope(self, send, org):
        seen: list[tuple[Delivery, int | None]] = []

        @handler("parcel.sent", name="parcels.note")
        def note(delivery: Delivery) -> None:
            seen.append((delivery, current_org_id()))

        event = send(7, note="fragile")
        result = drain_all()
        ((delivery, scope),) = seen
        assert scope == org.pk
        assert delivery.event == ParcelSent(parcel_id=7, note="fragile")
        assert delivery.payload == {"parcel_id": 7, "note": "fragile"}
        assert (delivery.event_id, delivery.org, delivery.item_type, delivery.item_id) == (event.pk, org, "parcel", 7)
        assert (delivery.occurred_at, delivery.origin, delivery.attempts) == (AT, Origin.SYSTEM, 1)
        assert delivery.idempotency_key == f"event-{event.pk}-parcels.note"
        assert (result.claimed, result.handled, result.failed, result.exhausted) == (1, 1, 0, True)
        stored = again(event)
        assert stored.processed_at is not None
        assert (stored.attempts, stored.last_error, stored.dead_letter_at) == (1, "", None)
        assert receipts() == {(event.pk, "parcels.note")}

    def test_only_subscribers_get_it(self, send):
        seen: list[str] = []
        handler("parcel.lost", name="a")(lambda delivery: seen.append("lost"))
        handler(["parcel.lost", "parcel.sent"], name="b")(lambda delivery: seen.append("both"))
        handler(EVERY_EVENT, name="c")(lambda delivery: seen.append("every"))
        send()
        drain_all()
        assert seen == ["both", "every"]

    def test_an_event_without_subscribers_is_done(self, send):
        events = [send(n) for n in range(3)]
        assert drain_all().handled == 3
        assert all(again(event).processed_at for event in events)
        assert receipts() == set()

    def test_what_acts_outside_lets_an_import_pass(self, send):
        seen: list[tuple[str, str]] = []
        handler("parcel.sent", name="inside")(lambda delivery: seen.append(("inside", delivery.origin)))
        handler("parcel.sent", name="outside", outside=True)(lambda d: seen.append(("outside", d.origin)))
        imported = send(actor=Actor.importer())
        send()
        drain_all()
        assert seen == [("inside", "import"), ("inside", "system"), ("outside", "system")]
        assert again(imported).processed_at is not None

    def test_what_a_handler_records_is_delivered_in_the_same_drain(self, send, org):
        @handler("parcel.sent", name="lose")
        def lose(delivery: Delivery) -> None:
            record_event(
                org=delivery.org, event=ParcelLost(1), actor=delivery.reacting_actor(), at=delivery.occurred_at
            )

        event = send()
        assert drain_all().handled == 2
        with system_scope("tests"):
            caused = WorkEvent.all_orgs.get(event_name="parcel.lost")
        assert (caused.causation_id, caused.correlation_id) == (event.pk, f"event-{event.pk}")
        assert caused.actor_label == "lose"
        assert caused.processed_at is not None

    def test_a_batch_knows_the_organisation_of_each_event(self, send, org, other_org):
        seen: list[tuple[Organization, int | None]] = []
        handler("parcel.sent", name="note")(lambda delivery: seen.append((delivery.org, current_org_id())))
        send(1)
        send(1, to=other_org)
        send(2)
        drain_all()
        assert seen == [(other_org, other_org.pk), (org, org.pk), (org, org.pk)]

    def test_an_event_of_a_newer_release_waits_without_losing_an_attempt(self, send):
        event = send()
        with system_scope("tests"), connection.cursor() as cursor:
            cursor.execute(
                "INSERT INTO outbox_workevent"
                " (org_id, event_name, payload, actor_kind, actor_label, origin, occurred_at)"
                " SELECT org_id, 'parcel.teleported', payload, actor_kind, actor_label, origin, occurred_at"
                " FROM outbox_workevent WHERE id = %s RETURNING id",
                [event.pk],
            )
            (unknown_id,) = cursor.fetchone()
        handled = drain_all().handled
        with system_scope("tests"):
            unknown = WorkEvent.all_orgs.get(pk=unknown_id)
        assert handled == 1
        assert (unknown.processed_at, unknown.claimed_at, unknown.attempts) == (None, None, 0)
        assert timedelta(seconds=50) < unknown.available_at - now() < timedelta(seconds=61)

    def test_the_log_says_what_was_handled_and_how_long_it_took(self, send, caplog):
        handler("parcel.sent", name="note")(lambda delivery: None)
        event = send()
        with caplog.at_level("INFO", logger="flowledger.outbox"):
            drain_all()
        (line,) = [record.msg for record in caplog.records if record.msg.get("event") == "event handled"]
        assert (line["event_id"], line["event_name"], line["org_id"]) == (event.pk, "parcel.sent", event.org_id)
        assert line["handler"] == "note"
        assert line["processing_time_ms"] >= 0


class TestFail:
    def test_rolls_back_the_handler_keeps_the_others_and_tries_later(self, send, org):
        calls: list[str] = []

        @handler("parcel.sent", name="bad")
        def bad(delivery: Delivery) -> None:
            calls.append("bad")
            record_event(org=org, event=ParcelLost(1), actor=CLERK, at=AT)
            raise ValueError("out of \x00 stamps")

        handler("parcel.sent", name="early")(lambda delivery: calls.append("early"))
        handler("parcel.sent", name="aaa")(lambda delivery: calls.append("aaa"))
        event = send()
        result = drain_all()
        assert calls == ["aaa", "bad", "early"]
        assert (result.handled, result.failed, result.dead) == (0, 1, 0)
        stored = again(event)
        assert (stored.processed_at, stored.claimed_at, stored.claimed_by, stored.attempts) == (None, None, None, 1)
        assert stored.last_error == "bad: ValueError: out of \\x00 stamps"
        assert timedelta(seconds=40) < stored.available_at - now() < timedelta(seconds=73)
        assert receipts() == {(event.pk, "aaa"), (event.pk, "early")}
        (failure,) = failures()
        assert (failure.event_id, failure.handler, failure.attempt) == (event.pk, "bad", 1)
        assert "in bad" in failure.traceback
        with system_scope("tests"):
            assert WorkEvent.all_orgs.filter(event_name="parcel.lost").count() == 0

    def test_a_retry_runs_only_what_has_not_succeeded(self, send):
        calls: list[tuple[str, int]] = []

        @handler("parcel.sent", name="bad")
        def bad(delivery: Delivery) -> None:
            calls.append(("bad", delivery.attempts))
            if delivery.attempts < 2:
                raise ValueError

        handler("parcel.sent", name="good")(lambda delivery: calls.append(("good", delivery.attempts)))
        event = send()
        drain_all()
        assert drain_all().claimed == 0
        wait_until_due(event)
        assert drain_all().handled == 1
        assert calls == [("bad", 1), ("good", 1), ("bad", 2)]
        assert again(event).processed_at is not None
        with org_scope(event.org_id):
            from flowledger.outbox.models import HandlerFailure

            assert list(HandlerFailure.objects.for_org(event.org_id).unresolved()) == []

    def test_an_error_of_the_database_costs_the_others_nothing(self, send):
        @handler("parcel.sent", name="bad")
        def bad(delivery: Delivery) -> None:
            with connection.cursor() as cursor:
                cursor.execute("SELECT 1/0")

        handler("parcel.sent", name="good")(lambda delivery: None)
        event, other = send(1), send(2)
        assert drain_all().failed == 2
        assert receipts() == {(event.pk, "good"), (other.pk, "good")}
        assert "division by zero" in again(event).last_error

    def test_the_ladder_doubles_to_an_hour_with_the_jitter_inside_and_ends_on_the_list(self, send):
        @handler("parcel.sent", name="bad")
        def bad(delivery: Delivery) -> None:
            raise RuntimeError("never")

        event = send()
        for attempt, minutes in enumerate([1, 2, 4, 8, 16, 32, 64], start=1):
            wait_until_due(event)
            before = now()
            drain_all()
            stored = again(event)
            assert stored.attempts == attempt
            assert stored.dead_letter_at is None
            pause = stored.available_at - before
            assert timedelta(minutes=0.8 * minutes) <= pause
            assert pause <= min(timedelta(minutes=1.2 * minutes), timedelta(minutes=60)) + timedelta(seconds=5)
        wait_until_due(event)
        assert drain_all().dead == 1
        stored = again(event)
        assert (stored.attempts, stored.processed_at, stored.claimed_at) == (8, None, None)
        assert stored.dead_letter_at is not None
        assert "RuntimeError: never" in stored.last_error
        wait_until_due(event)
        assert drain_all().claimed == 0

    def test_an_hour_is_never_exceeded(self, send):
        handler("parcel.sent", name="bad")(lambda delivery: 1 / 0)  # type: ignore[arg-type,return-value]
        events = [send(n) for n in range(40)]
        change_delivery(*events, attempts=6)
        before = now()
        drain_all()
        pauses = [again(event).available_at - before for event in events]
        assert min(pauses) > timedelta(minutes=51)
        assert max(pauses) <= timedelta(minutes=60, seconds=5)
        assert max(pauses) - min(pauses) > timedelta(minutes=1)

    def test_the_attempt_limit_is_a_setting(self, send, settings):
        settings.OUTBOX_MAX_ATTEMPTS = 1
        handler("parcel.sent", name="bad")(lambda delivery: 1 / 0)  # type: ignore[arg-type,return-value]
        event = send()
        assert drain_all().dead == 1
        assert again(event).dead_letter_at is not None


class TestShutDown:
    @pytest.fixture(autouse=True)
    def withdraw(self):
        yield
        shutdown.withdraw()

    def test_finishes_the_event_in_hand_and_gives_back_the_rest_uncharged(self, send):
        handled: list[int] = []

        @handler("parcel.sent", name="stop")
        def stop(delivery: Delivery) -> None:
            handled.append(delivery.event_id)
            shutdown.request()

        first, second, third = (send(n) for n in range(3))
        result = drain(DrainLimits(batch_size=10, seconds=60))
        assert handled == [first.pk]
        assert (result.handled, result.given_back, result.exhausted) == (1, 2, False)
        assert again(first).processed_at is not None
        for event in (second, third):
            stored = again(event)
            assert (stored.claimed_at, stored.claimed_by, stored.attempts, stored.crashes) == (None, None, 0, 0)
        shutdown.withdraw()
        assert drain(DrainLimits(batch_size=1, seconds=60)).handled == 1
        assert handled == [first.pk, second.pk]

    def test_an_interrupted_event_is_given_back_too(self, send):
        def interrupt(delivery: Delivery) -> None:
            raise SystemExit

        handler("parcel.sent", name="interrupt")(interrupt)
        event = send()
        with pytest.raises(SystemExit):
            drain_all()
        stored = again(event)
        assert (stored.claimed_at, stored.attempts, stored.processed_at) == (None, 0, None)
        assert receipts() == set()

    def test_a_drain_ends_with_its_time(self, send):
        handler("parcel.sent", name="note")(lambda delivery: None)
        send()
        result = drain(DrainLimits(batch_size=10, seconds=0))
        assert (result.claimed, result.exhausted) == (0, False)


class TestOrder:
    def test_events_go_in_the_order_of_writing_even_when_they_became_due_in_another(self, send):
        seen: list[int] = []
        handler("parcel.sent", name="note")(lambda delivery: seen.append(delivery.event_id))
        older, younger, stranger = send(1), send(1), send(2)
        change_delivery(younger, available_at=DUE)
        drain(DrainLimits(batch_size=1, seconds=60))
        assert seen.index(older.pk) < seen.index(younger.pk)
        assert sorted(seen) == [older.pk, younger.pk, stranger.pk]

    def test_a_younger_event_waits_while_an_older_one_is_claimed(self, send):
        seen: list[int] = []
        handler("parcel.sent", name="note")(lambda delivery: seen.append(delivery.event_id))
        older, younger, stranger = send(1), send(1), send(2)
        token = uuid.uuid4()
        assert claim(1, token=token) == [older.pk]
        drain_all()
        assert seen == [stranger.pk]
        with system_scope("tests"):
            sql.give_back(token=token, ids=[older.pk])
        drain_all()
        assert seen == [stranger.pk, older.pk, younger.pk]

    def test_a_younger_event_passes_one_that_waits_for_a_retry(self, send):
        seen: list[int] = []

        @handler("parcel.sent", name="note")
        def note(delivery: Delivery) -> None:
            if not seen and delivery.attempts == 1 and delivery.payload["note"] == "bad":
                raise ValueError
            seen.append(delivery.event_id)

        older, younger = send(1, note="bad"), send(1)
        drain_all()
        assert seen == [younger.pk]
        wait_until_due(older)
        drain_all()
        assert seen == [younger.pk, older.pk]

    def test_the_same_number_of_another_organisation_is_another_item(self, send, other_org):
        seen: list[int] = []
        handler("parcel.sent", name="note")(lambda delivery: seen.append(delivery.event_id))
        older, theirs = send(1), send(1, to=other_org)
        change_delivery(older, claimed_at=now(), claimed_by="6f1c1c86-5f3e-4c2b-9d4f-0a2f3b1d9f11")
        drain_all()
        assert seen == [theirs.pk]

    def test_a_backlog_of_one_item_is_claimed_in_whole_batches(self, send):
        events = [send(1) for _ in range(25)]

        assert claim(20) == [event.pk for event in events[:20]]

    def test_blocked_events_at_the_head_do_not_hold_up_others(self, send):
        seen: list[int] = []
        handler("parcel.sent", name="note")(lambda delivery: seen.append(delivery.event_id))
        held = send(1)
        for _ in range(30):
            send(1)
        free = send(2)
        change_delivery(held, claimed_at=now(), claimed_by="6f1c1c86-5f3e-4c2b-9d4f-0a2f3b1d9f11")
        drain(DrainLimits(batch_size=5, seconds=60))
        assert seen == [free.pk]


class TestHandlerRegistry:
    def test_two_handlers_of_one_name_are_refused(self):
        handler("parcel.sent", name="same")(lambda delivery: None)
        with pytest.raises(TypeError, match="two handlers called 'same'"):
            handler("parcel.lost", name="same")(lambda delivery: None)

    def test_a_subscription_to_nothing_is_refused(self):
        with pytest.raises(TypeError, match="subscribed to nothing"):
            handler([], name="idle")

    def test_a_subscription_to_an_unknown_event_is_a_finding(self):
        from flowledger.outbox.checks import handlers_know_their_events

        handler(["parcel.sent", "parcel.eaten", EVERY_EVENT], name="odd")(lambda delivery: None)
        (finding,) = handlers_know_their_events(None)
        assert finding.id == "outbox.E001"
        assert re.search(r"'odd'.*'parcel\.eaten'", finding.msg)
