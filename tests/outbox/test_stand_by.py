"""Standing by: one idle drain is woken by a commit directly; whatever goes wrong, a tick does it."""

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from uuid import UUID

import pytest
import redis
from celery import current_app
from django.db import connection

from flowledger.outbox import broker, shutdown, sql, standby, wake
from flowledger.outbox.drain import drain_all
from flowledger.outbox.models import WorkEvent
from flowledger.outbox.recording import record_event
from flowledger.outbox.registry import Delivery, handler
from flowledger.outbox.standby import Standby
from flowledger.outbox.tasks import drain
from flowledger.outbox.wake import DRAIN_TASK, heed, nudge, stand_by
from flowledger.tenancy.models import Organization
from flowledger.tenancy.scope import org_scope
from tests.outbox.parcels import AT, CLERK, ParcelSent

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("no_handlers")]


@pytest.fixture(autouse=True)
def two_processes(settings: Any, no_wake: None) -> Iterator[redis.Redis]:
    settings.OUTBOX_WAKE = True
    broker.ask_again()
    client = redis.Redis.from_url(settings.CACHE_URL)
    for key in (standby.MARK, standby.BELL):
        client.delete(key)
    heed(DRAIN_TASK)
    empty_queue()
    standby.allow(processes=2)
    yield client
    standby.allow(processes=0)
    shutdown.withdraw()
    broker.ask_again()
    heed(DRAIN_TASK)
    for key in (standby.MARK, standby.BELL):
        client.delete(key)
    empty_queue()


@pytest.fixture
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(standby, "STANDBY_SECONDS", 0.3)


def empty_queue() -> None:
    with current_app.connection_for_read() as queue:
        queue.default_channel.client.delete("outbox")


def ticks() -> int:
    with current_app.connection_for_read() as queue:
        return int(queue.default_channel.client.llen("outbox"))


def in_background(work: Callable[[], Any], client: redis.Redis) -> Any:
    """Start the work in a thread and wait until it stands by."""
    pool = ThreadPoolExecutor(1)
    future = pool.submit(work)
    pool.shutdown(wait=False)
    until = time.monotonic() + 10
    while not client.exists(standby.MARK):
        assert time.monotonic() < until, "nobody stands by"
        assert not future.done(), future.result()
        time.sleep(0.005)
    return future


class TestStandBy:
    def test_a_nudge_wakes_it_and_sends_no_tick(self, two_processes):
        waiting = in_background(stand_by, two_processes)
        assert nudge(DRAIN_TASK) is True
        assert waiting.result(timeout=5) is Standby.WOKEN
        assert ticks() == 0

    def test_a_burst_wakes_it_once_and_sends_one_tick_for_the_rest(self, two_processes, monkeypatch):
        monkeypatch.setattr(wake, "_DEBOUNCE_MILLISECONDS", 10_000)
        waiting = in_background(stand_by, two_processes)
        assert [nudge(DRAIN_TASK) for _ in range(5)] == [True, True, False, False, False]
        assert waiting.result(timeout=5) is Standby.WOKEN
        assert ticks() == 1

    def test_there_is_one_at_a_time(self, two_processes):
        waiting = in_background(stand_by, two_processes)
        assert stand_by() is Standby.ELSEWHERE
        nudge(DRAIN_TASK)
        assert waiting.result(timeout=5) is Standby.WOKEN

    def test_it_ends_after_its_time_and_leaves_no_mark(self, two_processes, short):
        assert stand_by() is Standby.OVER
        assert not two_processes.exists(standby.MARK)
        assert nudge(DRAIN_TASK) is True
        assert ticks() == 1

    def test_a_tick_that_is_on_its_way_is_not_kept_waiting(self):
        nudge(DRAIN_TASK)
        assert stand_by() is Standby.ELSEWHERE

    def test_a_bell_that_nobody_heard_wakes_the_next_at_once(self, two_processes):
        two_processes.set(standby.MARK, "of one that was killed")
        assert nudge(DRAIN_TASK) is True
        assert stand_by() is Standby.WOKEN

    def test_the_mark_of_one_that_was_killed_ends_by_itself(self, two_processes):
        in_background(stand_by, two_processes)
        assert 0 < two_processes.pttl(standby.MARK) <= 1000
        nudge(DRAIN_TASK)

    def test_a_shutdown_ends_it(self, two_processes):
        waiting = in_background(stand_by, two_processes)
        shutdown.request()
        assert waiting.result(timeout=3) is Standby.OVER

    def test_a_pool_of_one_process_has_other_work(self):
        standby.allow(processes=1)
        assert stand_by() is Standby.ELSEWHERE

    def test_without_redis_it_ends_at_once(self, settings):
        settings.CACHE_URL = "redis://127.0.0.1:1/0"
        assert stand_by() is Standby.ELSEWHERE


class TestDrain:
    def test_a_commit_is_handled_by_the_drain_that_stands_by(self, two_processes, org):
        handled = threading.Event()
        handler("parcel.sent", name="note")(lambda delivery: handled.set())
        work = in_background(drain_in_thread, two_processes)
        record(org)
        assert handled.wait(timeout=5)
        shutdown.request()
        work.result(timeout=5)
        assert ticks() == 0

    def test_after_its_time_it_asks_for_another_turn(self, two_processes, short):
        drain()
        assert ticks() == 1


class TestTake:
    def test_look_claim_and_organisation_are_one_statement(self, org, django_assert_num_queries):
        record(org)
        with django_assert_num_queries(1):
            taken = sql.take(token=TOKEN, limit=10)
        assert [event.org_id for event in taken.events] == [org.pk]
        assert taken.waiting.orgs == [org.pk]
        with connection.cursor() as cursor:
            # Role and organisation of the statement end with it.
            cursor.execute("SELECT current_setting('role'), current_setting('flowledger.org_id', true)")
            role, scope = cursor.fetchone()
        assert (role, scope or "") == ("none", "")

    def test_handlers_get_the_organisation_as_it_is_stored(self, org):
        seen: list[Organization] = []

        @handler("parcel.sent", name="note")
        def note(delivery: Delivery) -> None:
            seen.append(delivery.org)

        record(org)
        drain_all()
        with org_scope(org):
            stored = Organization.objects.get(pk=org.pk)
        (given,) = seen
        fields = [field.attname for field in Organization._meta.concrete_fields]
        assert {name: getattr(given, name) for name in fields} == {name: getattr(stored, name) for name in fields}
        assert given == stored
        assert given._state.adding is False

    def test_nothing_to_take_is_no_event_and_no_organisation(self, org):
        taken = sql.take(token=TOKEN, limit=10)
        assert (taken.events, taken.organizations, taken.waiting.orgs) == ([], [], [])

    def test_the_claim_is_kept_without_a_commit_of_ours(self, org):
        record(org)
        sql.take(token=TOKEN, limit=10)
        assert drain_all().claimed == 0
        with org_scope(org):
            (event,) = WorkEvent.objects.for_org(org)
        assert (event.claimed_by, event.attempts) == (TOKEN, 1)


TOKEN = UUID(int=7)


def record(org: Organization) -> None:
    with org_scope(org):
        record_event(org=org, event=ParcelSent(1), actor=CLERK, at=AT)


def drain_in_thread() -> None:
    try:
        drain()
    finally:
        connection.close()
