"""Waking a worker: after the commit, once per burst, and never a reason for a request to fail."""

import socket
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from celery import current_app
from django.db import transaction

from flowledger.outbox import broker
from flowledger.outbox.causes import caused_by
from flowledger.outbox.emails import queue_email
from flowledger.outbox.models import WorkEvent
from flowledger.outbox.recording import record_event
from flowledger.outbox.wake import DRAIN_TASK, EMAIL_TASK, heed, nudge
from flowledger.tenancy.actors import Origin
from flowledger.tenancy.models import Organization
from flowledger.tenancy.scope import org_scope
from tests.outbox.parcels import AT, CLERK, Following, ParcelSent

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def awake(settings: Any, no_wake: None) -> Iterator[None]:
    settings.OUTBOX_WAKE = True
    broker.ask_again()
    heed(DRAIN_TASK)
    heed(EMAIL_TASK)
    yield
    broker.ask_again()
    empty("outbox")
    empty("outgoing")


@pytest.fixture
def silent_redis(settings: Any) -> Iterator[None]:
    """A port that takes connections and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        settings.CACHE_URL = f"redis://127.0.0.1:{server.getsockname()[1]}/0"
        yield


def waiting(queue: str) -> int:
    with current_app.connection_for_read() as connection:
        return int(connection.default_channel.client.llen(queue))


def empty(queue: str) -> None:
    with current_app.connection_for_read() as connection:
        connection.default_channel.client.delete(queue)


def quickest(work: Callable[[], object]) -> float:
    """Seconds of the best of three tries, each of which finds out anew; the machine may be busy."""
    durations = []
    for _ in range(3):
        broker.ask_again()
        started = time.perf_counter()
        assert work() is False
        durations.append(time.perf_counter() - started)
    return min(durations)


def record(org: Organization, number: int = 1) -> None:
    record_event(org=org, event=ParcelSent(number), actor=CLERK, at=AT)


class TestWake:
    def test_one_nudge_per_transaction_and_only_after_the_commit(self, org):
        with org_scope(org):
            for number in range(3):
                record(org, number)
            assert len(transaction.get_connection().run_on_commit) == 1
            assert waiting("outbox") == 0
        assert waiting("outbox") == 1

    def test_none_when_the_transaction_is_rolled_back(self, org):
        with pytest.raises(RuntimeError), org_scope(org):
            record(org)
            raise RuntimeError
        assert waiting("outbox") == 0

    def test_a_rolled_back_savepoint_does_not_swallow_the_nudge_of_the_rest(self, org):
        with org_scope(org):
            with pytest.raises(RuntimeError), transaction.atomic():
                record(org)
                raise RuntimeError
            record(org)
        assert waiting("outbox") == 1

    def test_a_burst_is_one_nudge_until_a_worker_heeds_it(self, org):
        assert [nudge(DRAIN_TASK) for _ in range(5)] == [True, False, False, False, False]
        heed(DRAIN_TASK)
        assert nudge(DRAIN_TASK) is True
        assert waiting("outbox") == 2

    def test_a_handlers_events_need_no_nudge(self, org):
        with caused_by(Following(1, "", Origin.USER)), org_scope(org):
            record(org)
        assert waiting("outbox") == 0

    def test_an_email_wakes_the_outgoing_queue(self, org):
        queue_email(org=org, key="k", to=["ann@example.com"], subject="s", body="b")
        assert (waiting("outbox"), waiting("outgoing")) == (0, 1)

    def test_a_known_repeat_wakes_nobody(self, org):
        with org_scope(org):
            record_event(org=org, event=ParcelSent(1), actor=CLERK, at=AT, dedupe_key="k")
        heed(DRAIN_TASK)
        empty("outbox")
        with org_scope(org):
            record_event(org=org, event=ParcelSent(1), actor=CLERK, at=AT, dedupe_key="k")
        assert waiting("outbox") == 0


class TestRedisDown:
    @pytest.mark.parametrize("url", ["redis://127.0.0.1:1/0", "unix:///nowhere/redis.sock"])
    def test_a_request_commits_without_it(self, org, settings, url):
        settings.CACHE_URL = url
        with org_scope(org):
            record(org)
        with org_scope(org):
            assert WorkEvent.objects.for_org(org).ready().count() == 1
        assert waiting("outbox") == 0
        assert quickest(lambda: nudge(DRAIN_TASK)) < 0.1

    def test_a_silent_redis_costs_one_request_less_than_a_tenth_of_a_second_and_the_next_nothing(self, silent_redis):
        assert quickest(lambda: nudge(DRAIN_TASK)) < 0.1
        started = time.perf_counter()
        for _ in range(100):
            assert nudge(DRAIN_TASK) is False
        assert time.perf_counter() - started < 0.05

    def test_says_so_once(self, silent_redis, caplog, monkeypatch):
        monkeypatch.setattr(broker, "_logged_at", float("-inf"))
        for _ in range(3):
            broker.ask_again()
            nudge(DRAIN_TASK)
        assert [record.msg["event"] for record in caplog.records] == ["broker unreachable"]

    def test_a_broker_that_goes_between_the_debounce_and_the_nudge_fails_nothing(self, monkeypatch):
        monkeypatch.setattr(current_app.conf, "broker_write_url", "redis://127.0.0.1:1/0")
        assert quickest(lambda: nudge(DRAIN_TASK)) < 0.1
