"""`manage.py outbox`: an operator looks, retries and replays across organisations."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from io import StringIO
from typing import Any

import pytest
from django.core.management import call_command
from django.core.management.base import CommandError
from django.db import connection
from django.utils.timezone import now

from flowledger.outbox import operations
from flowledger.outbox.drain import drain_all
from flowledger.outbox.health import show_heartbeat
from flowledger.outbox.models import HandlerFailure, WorkEvent
from flowledger.outbox.recording import record_event
from flowledger.outbox.registry import Delivery, handler
from flowledger.tenancy.actors import Actor
from flowledger.tenancy.scope import org_scope, system_scope
from tests.outbox.parcels import AT, ParcelLost, again, change_delivery, receipts

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("no_handlers")]


def outbox(*arguments: str) -> str:
    """What the command prints."""
    output = StringIO()
    call_command("outbox", *arguments, stdout=output, stderr=output)
    return output.getvalue()


def kill(*events: WorkEvent, handler_name: str = "app.react") -> None:
    """Put events on the dead-letter list."""
    change_delivery(*events, dead_letter_at=AT, attempts=8, last_error="broken")
    with system_scope("tests"):
        for event in events:
            HandlerFailure.all_orgs.create(
                org_id=event.org_id, event_id=event.pk, handler=handler_name, attempt=8, error="no", traceback="no"
            )


def dead() -> set[int]:
    with system_scope("tests"):
        return set(WorkEvent.all_orgs.dead().values_list("pk", flat=True))


@pytest.fixture
def seen() -> list[tuple[str, int]]:
    """(handler, event) in the order of running."""
    return []


@pytest.fixture
def react(seen) -> Callable[[str], None]:
    """Subscribe a handler that notes what it sees to sent parcels."""

    def subscribe(name: str, *names: str) -> None:
        @handler(list(names) or "parcel.sent", name=name)
        def run(delivery: Delivery) -> None:
            seen.append((delivery.handler, delivery.event_id))

    return subscribe


class TestStatus:
    def test_tells_everything_as_json(self, send, other_org, react):
        react("app.react")
        handled = send(1)
        drain_all()
        fresh, waiting, claimed, crashed, letter, theirs = (send(number) for number in range(2, 8))
        change_delivery(fresh, available_at=now() - timedelta(minutes=3))
        change_delivery(waiting, attempts=1, available_at=now() + timedelta(minutes=3))
        change_delivery(claimed, attempts=1, claimed_at=now(), claimed_by="0190a3f0-0000-7000-8000-000000000000")
        change_delivery(crashed, crashes=2)
        kill(letter)
        change_delivery(theirs, dead_letter_at=AT, crashes=5)
        show_heartbeat("worker", "celery@status")
        show_heartbeat("beat", "any")

        status = json.loads(outbox("status", "--json"))

        assert (status["depth"], status["depth_is_estimate"]) == (4, False)
        assert 180 <= status["oldest_age_s"] < 200
        assert (status["in_flight"], status["waiting_for_retry"], status["tried_alone"]) == (1, 1, 1)
        assert status["events"] == [
            {"event_name": "parcel.sent", "depth": 4, "in_flight": 1, "waiting_for_retry": 1, "tried_alone": 1}
        ]
        assert status["dead_letters"] == [
            {"event_name": "parcel.sent", "handler": "", "count": 1},
            {"event_name": "parcel.sent", "handler": "app.react", "count": 1},
        ]
        assert ("celery@status", True) in [(each["name"], each["is_alive"]) for each in status["workers"]]
        assert status["beat"]["is_alive"]
        partitions = {each["name"]: each for each in status["partitions"]}
        assert f"outbox_workevent_y{again(handled).processed_at:%Ym%m}" in partitions
        assert partitions["outbox_workevent_open"]["bytes"] > 0

    def test_tells_it_to_people(self, send, react):
        kill(send(1))
        change_delivery(send(2), attempts=1)
        text = outbox("status")
        assert "Pending: 1," in text
        assert "1 waiting for a retry" in text
        assert "app.react" in text
        assert "outbox_workevent_open" in text

    def test_without_anything(self):
        text = outbox("status")
        assert "Pending: 0," in text
        assert "No dead letters." in text

    def test_without_redis(self, settings):
        from flowledger.outbox import broker

        settings.CACHE_URL = "redis://127.0.0.1:1/0"
        broker.ask_again()
        assert "Redis does not answer" in outbox("status")
        broker.ask_again()


class TestRetry:
    def test_by_id_across_organisations(self, send, other_org):
        letters = [send(1), send(2, to=other_org), send(3)]
        kill(*letters)
        assert "2 delivered again." in outbox("retry", str(letters[0].pk), str(letters[1].pk))
        assert dead() == {letters[2].pk}
        stored = again(letters[1])
        assert (stored.attempts, stored.retried_by) == (0, "manage.py outbox")

    def test_says_which_ids_are_no_dead_letters(self, send):
        letter, alive = send(1), send(2)
        kill(letter)
        output = StringIO()
        with pytest.raises(CommandError, match="2 could not be retried"):
            call_command("outbox", "retry", str(letter.pk), str(alive.pk), "999999999", stdout=output, stderr=output)
        assert f"Event {alive.pk} is not on the dead-letter list" in output.getvalue()
        assert "There is no work event 999999999." in output.getvalue()
        assert dead() == set()

    def test_filters_narrow_each_other(self, send, org, other_org, react):
        react("app.react")
        react("app.other")
        mine, other, theirs = send(1), send(2), send(3, to=other_org)
        kill(mine, theirs)
        kill(other, handler_name="app.other")
        outbox("retry", "--handler", "app.react", "--org", str(org.pk), "--event", "parcel.sent")
        assert dead() == {other.pk, theirs.pk}

    def test_all_takes_more_than_one_batch(self, send, monkeypatch):
        monkeypatch.setattr(operations, "MOST_LETTERS", 2)
        letters = [send(number) for number in range(1, 6)]
        kill(*letters)
        assert "5 delivered again." in outbox("retry", "--all")
        assert dead() == set()
        assert "No dead letter fits." in outbox("retry", "--all")

    @pytest.mark.parametrize(
        ("arguments", "advice"),
        [
            ([], "Say which dead letters"),
            (["1", "--all"], "Say which dead letters"),
            (["--all", "--event", "parcel.sent"], "Say which dead letters"),
            (["--event", "parcel.eaten"], "no event 'parcel.eaten'"),
            (["--handler", "app.nobody"], "no handler 'app.nobody'"),
            (["--org", "999999999"], "no organisation 999999999"),
            (["first"], "'first' is no id"),
            (["0"], "'0' is no id"),
        ],
    )
    def test_refuses_what_is_unclear(self, send, arguments, advice):
        letter = send()
        kill(letter)
        with pytest.raises(CommandError, match=advice):
            outbox("retry", *arguments)
        assert dead() == {letter.pk}


class TestReplay:
    @pytest.fixture
    def handled(self, send, react, seen) -> list[WorkEvent]:
        """Three events that two handlers have handled."""
        react("app.first")
        react("app.second")
        events = [send(number) for number in range(1, 4)]
        drain_all()
        assert len(seen) == 6
        seen.clear()
        return events

    def test_one_handler_sees_them_again_in_order_and_nobody_else_does(self, handled, seen):
        text = outbox("replay", "--handler", "app.second")
        assert "3 are pending again." in text
        assert drain_all().handled == 3
        assert seen == [("app.second", event.pk) for event in handled]
        assert receipts() == {(event.pk, name) for event in handled for name in ("app.first", "app.second")}

    def test_puts_them_into_the_open_partition_with_nothing_left_of_their_delivery(self, handled):
        change_delivery(handled[0], crashes=3, last_error="once")
        outbox("replay", "--handler", "app.second")
        event = again(handled[0])
        assert (event.processed_at, event.claimed_at, event.claimed_by, event.attempts) == (None, None, None, 0)
        assert (event.crashes, event.last_error, event.handled_by) == (1, "", ["app.first"])
        assert event.retried_by == "manage.py outbox"
        with system_scope("tests"), connection.cursor() as cursor:
            cursor.execute("SELECT count(*) FROM outbox_workevent_open")
            assert cursor.fetchone() == (3,)

    def test_dry_run_counts_and_changes_nothing(self, handled, seen):
        text = outbox("replay", "--handler", "app.second", "--dry-run")
        assert "parcel.sent: 3" in text
        assert "3 events for app.second." in text
        assert drain_all().claimed == 0
        assert seen == []

    def test_goes_in_batches_and_takes_nothing_twice(self, handled, seen, monkeypatch):
        """What is handled again while the replay goes on must not come back a second time."""
        monkeypatch.setattr(operations, "MOST_LETTERS", 2)
        replay = operations.planned_replay("app.second")
        done = operations.run_replay(replay, by="tests", progress=lambda number: drain_all())
        assert done == 3
        drain_all()
        assert seen == [("app.second", event.pk) for event in handled]

    def test_is_narrowed_by_organisation_and_name(self, handled, seen, send, org, other_org, react):
        react("app.lost", "parcel.lost", "parcel.sent")
        theirs = send(9, to=other_org)
        with org_scope(org):
            record_event(org=org, event=ParcelLost(parcel_id=1), actor=Actor.system("tests"), at=AT)
        drain_all()
        seen.clear()
        outbox("replay", "--handler", "app.lost", "--org", str(other_org.pk))
        drain_all()
        assert seen == [("app.lost", theirs.pk)]
        seen.clear()
        outbox("replay", "--handler", "app.lost", "--event", "parcel.lost")
        drain_all()
        assert [name for name, _ in seen] == ["app.lost"]

    def test_is_narrowed_by_when_they_were_processed(self, handled, seen):
        early, middle, late = (datetime(2026, month, 15, tzinfo=UTC) for month in (5, 6, 7))
        for event, moment in zip(handled, (early, middle, late), strict=True):
            change_delivery(event, processed_at=moment)
        outbox("replay", "--handler", "app.first", "--since", "2026-06-01", "--until", "2026-07-15T00:00+00:00")
        drain_all()
        assert seen == [("app.first", handled[1].pk)]

    def test_is_refused_where_a_newer_handler_would_run_for_the_first_time(self, handled, seen, react):
        react("app.newer")
        with pytest.raises(CommandError, match="for the first time"):
            outbox("replay", "--handler", "app.first")
        assert drain_all().claimed == 0
        assert "3 of them were never seen by app.newer" in outbox("replay", "--handler", "app.first", "--dry-run")
        outbox("replay", "--handler", "app.first", "--with-newer-handlers")
        drain_all()
        assert {name for name, _ in seen} == {"app.first", "app.newer"}

    def test_leaves_imported_history_to_handlers_that_want_it(self, send, react, seen):
        """A handler that acts outside never had a receipt for it; that is no first time."""
        react("app.first")
        handler("parcel.sent", name="app.mails", outside=True)(lambda delivery: None)
        event = send(actor=Actor.importer())
        drain_all()
        assert "1 are pending again." in outbox("replay", "--handler", "app.first")
        drain_all()
        assert seen == [("app.first", event.pk)] * 2

    def test_nothing_is_nothing(self, react):
        react("app.first")
        assert "0 events for app.first." in outbox("replay", "--handler", "app.first")

    @pytest.mark.parametrize(
        ("arguments", "advice"),
        [
            (["--handler", "app.nobody"], "no handler 'app.nobody'. Known are: app.first, app.second."),
            (["--handler", "app.first", "--event", "parcel.eaten"], "no event 'parcel.eaten'"),
            (["--handler", "app.first", "--event", "parcel.lost"], "not subscribed to 'parcel.lost'"),
            (["--handler", "app.first", "--org", "999999999"], "no organisation 999999999"),
            (["--handler", "app.first", "--since", "yesterday"], "'yesterday' is no time"),
            (["--handler", "app.first", "--since", "2026-02-30"], "'2026-02-30' is no time"),
            (["--handler", "app.first", "--since", "2026-02-02", "--until", "2026-02-01"], "Nothing lies between"),
            ([], "--handler"),
        ],
    )
    def test_refuses_what_makes_no_sense(self, handled, arguments, advice):
        with pytest.raises(CommandError, match=advice):
            outbox("replay", *arguments)
        assert drain_all().claimed == 0


class TestPrune:
    def test_is_refused_while_retention_is_off(self):
        with pytest.raises(CommandError, match="Retention is off"):
            outbox("prune")

    def test_names_what_it_would_take(self, settings):
        settings.OUTBOX_RETENTION_MONTHS = 3
        assert "No month is old enough." in outbox("prune", "--dry-run")
        with connection.cursor() as cursor:
            cursor.execute("SELECT outbox_add_partition('2024-01-01')")
        assert outbox("prune", "--dry-run").strip() == "outbox_workevent_y2024m01 would be archived and dropped."


class TestDatabaseGone:
    def test_is_said_in_a_sentence(self):
        def gone(execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
            from django.db import OperationalError

            raise OperationalError("connection refused.")

        with connection.execute_wrapper(gone), pytest.raises(CommandError, match="Look at DATABASE_URL"):
            outbox("status")
