"""Health: the backlog, who is alive, and a database that does not answer."""

from __future__ import annotations

import os
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import redis
from django.conf import settings as django_settings
from django.db import connection, connections
from django.utils.timezone import now

from flowledger.outbox import broker, health
from flowledger.outbox.drain import drain_all
from flowledger.outbox.health import (
    database_answers,
    end_heartbeat,
    heartbeats,
    outbox_health,
    recent_outbox_health,
    services_health,
    show_heartbeat,
)
from flowledger.outbox.models import WorkEvent
from flowledger.outbox.sql import operations as sql
from flowledger.tenancy.scope import system_scope
from tests.outbox.parcels import change_delivery

pytestmark = pytest.mark.django_db

HEARTBEATS = "flowledger:heartbeats"


@pytest.fixture(autouse=True)
def ask_really() -> Iterator[None]:
    broker.ask_again()
    health.ask_again()
    yield
    broker.ask_again()
    health.ask_again()


@pytest.fixture
def cache() -> Iterator[redis.Redis]:
    """Redis without anybody's heartbeat."""
    client = redis.Redis.from_url(django_settings.CACHE_URL, decode_responses=True)
    client.delete(HEARTBEATS)
    yield client
    client.delete(HEARTBEATS)


class TestOutboxHealth:
    def test_counts_what_is_pending_and_dead_and_the_age_of_what_is_due(self, send):
        nothing = {"depth": 0, "depth_is_estimate": False, "oldest_age_s": 0.0, "dead_letters": 0}
        assert outbox_health() == nothing
        late, retrying, dead = send(1), send(2), send(3)
        change_delivery(late, available_at=now() - timedelta(seconds=90))
        change_delivery(retrying, available_at=now() + timedelta(hours=1), attempts=1)
        change_delivery(dead, dead_letter_at=now())
        found = outbox_health()
        assert (found["depth"], found["dead_letters"]) == (2, 1)
        assert 90 <= found["oldest_age_s"] < 100
        drain_all()
        assert outbox_health() == nothing | {"depth": 1, "dead_letters": 1}

    def test_a_discarded_letter_is_not_dead(self, send):
        change_delivery(
            send(), dead_letter_at=now(), discarded_at=now(), discarded_by="Maria", discard_reason="sent by hand"
        )
        assert outbox_health()["dead_letters"] == 0

    def test_is_looked_at_again_after_two_seconds(self, send, monkeypatch):
        assert recent_outbox_health()["depth"] == 0
        send()
        assert recent_outbox_health()["depth"] == 0
        monkeypatch.setattr(health, "_RECENT_SECONDS", 0.0)
        assert recent_outbox_health()["depth"] == 1


class TestLongQueue:
    def test_lanes_are_told_apart(self, send):
        _fresh, waiting, crashed, claimed = (send(number) for number in range(1, 5))
        change_delivery(waiting, attempts=2)
        change_delivery(crashed, crashes=1)
        change_delivery(claimed, claimed_at=now(), claimed_by="0190a3f0-0000-7000-8000-000000000000", attempts=1)
        with system_scope("tests"):
            queue = sql.queue()
        assert {lane: queue.total(lane) for lane in ("fresh", "waiting", "crashed", "claimed")} == {
            "fresh": 1,
            "waiting": 1,
            "crashed": 1,
            "claimed": 1,
        }
        assert (queue.total(), queue.by_event("fresh", "claimed")) == (4, {"parcel.sent": 2})

    def test_beyond_the_limit_the_oldest_is_still_found(self, send, org, other_org):
        events = [send(number) for number in range(1, 8)]
        foreign = send(1, to=other_org)
        change_delivery(events[0], available_at=now() - timedelta(hours=1))
        change_delivery(foreign, attempts=1)
        with system_scope("tests"):
            queue = sql.queue(exact=3)
        # So few pages are all read.
        assert (queue.is_estimate, queue.total("fresh"), queue.total("waiting")) == (False, 7, 1)
        assert 3600 <= queue.oldest_age < 3700

    def test_a_very_long_one_is_estimated_by_name(self, org):
        with system_scope("tests"):
            WorkEvent.all_orgs.bulk_create(
                WorkEvent(
                    org=org,
                    event_name="parcel.lost" if number % 4 == 0 else "parcel.sent",
                    payload={"parcel_id": number, "note": "x" * 1_000},
                    actor_kind="system",
                    actor_label="tests",
                    origin="system",
                    occurred_at=now(),
                )
                for number in range(4_000)
            )
            # Roughly half of the pages.
            queue = sql.queue(exact=100, pages=300)
        assert queue.is_estimate
        assert queue.total() == pytest.approx(4_000, rel=0.2)
        assert queue.by_event()["parcel.lost"] == pytest.approx(1_000, rel=0.2)

    def test_the_planner_is_left_as_it_was(self, send):
        send()
        with system_scope("tests"), connection.cursor() as cursor:
            sql.queue()
            cursor.execute("SELECT current_setting('enable_seqscan'), current_setting('enable_sort')")
            assert cursor.fetchone() == ("on", "on")


class TestHeartbeats:
    def test_tell_workers_by_name_and_the_beat_as_an_instant(self, cache):
        assert heartbeats() == health.Heartbeats(broker=True, workers=(), beat=None)
        show_heartbeat("worker", "celery@b")
        show_heartbeat("worker", "celery@a")
        show_heartbeat("beat", "any")
        seen = heartbeats()
        assert (seen.live_workers, seen.beat_is_alive) == (["celery@a", "celery@b"], True)
        assert abs(seen.beat.at - datetime.now(UTC)) < timedelta(seconds=3)
        assert services_health() == {"database": True, "broker": True, "workers": 2, "beat": True}

    def test_a_farewell_is_forgotten_at_once(self, cache):
        show_heartbeat("worker", "celery@a")
        end_heartbeat("worker", "celery@a")
        assert heartbeats().workers == ()

    def test_who_vanished_is_dead_and_still_known(self, cache):
        gone = time.time() - health.HEARTBEAT_LIVES_SECONDS - 2
        cache.zadd(HEARTBEATS, {"worker:celery@a": gone, "beat:any": gone})
        seen = heartbeats()
        assert (seen.live_workers, [worker.name for worker in seen.workers]) == ([], ["celery@a"])
        assert not seen.beat_is_alive
        assert seen.beat.at.timestamp() == pytest.approx(gone, abs=0.01)

    def test_who_vanished_a_week_ago_is_forgotten(self, cache):
        cache.zadd(HEARTBEATS, {"worker:celery@a": time.time() - 8 * 86_400})
        show_heartbeat("worker", "celery@b")
        assert [worker.name for worker in heartbeats().workers] == ["celery@b"]

    def test_survive_without_redis(self, settings):
        settings.CACHE_URL = "redis://127.0.0.1:1/0"
        show_heartbeat("worker", "a")
        assert heartbeats() == health.Heartbeats(broker=False, workers=(), beat=None)
        assert services_health() == {"database": True, "broker": False, "workers": 0, "beat": False}


def in_thread(work: Callable[[], Any]) -> tuple[Any, float]:
    """What the work answers with a database connection of its own, and the seconds it took."""
    answers: list[Any] = []

    def run() -> None:
        began = time.monotonic()
        try:
            answers.extend((work(), time.monotonic() - began))
        finally:
            connections.close_all()

    thread = threading.Thread(target=run)
    thread.start()
    thread.join(timeout=30)
    assert len(answers) == 2, "the work did not end"
    return answers[0], answers[1]


class TestDatabaseAnswers:
    def test_in_the_middle_of_a_transaction(self, send):
        assert database_answers()
        send()
        assert database_answers()
        assert outbox_health()["depth"] == 1

    def test_a_server_that_refuses_is_gone_at_once(self):
        with socket.socket() as listener:
            listener.bind(("127.0.0.1", 0))
            port = listener.getsockname()[1]
        answer, seconds = in_thread(lambda: _asked_at(port))
        assert answer is False
        assert seconds < 1

    def test_a_network_that_swallows_everything_is_gone_within_seconds(self):
        with socket.socket() as listener:
            listener.bind(("127.0.0.1", 0))
            listener.listen()
            answer, seconds = in_thread(lambda: _asked_at(listener.getsockname()[1]))
        assert answer is False
        assert seconds < 4

    def test_a_server_that_hangs_is_gone_within_seconds_and_asked_anew_afterwards(self):
        """The connection is there already; its process in the server is frozen, as by a disk that does not answer."""

        def ask() -> tuple[bool, float, bool]:
            assert database_answers()
            with connection.cursor() as cursor:
                cursor.execute("SELECT pg_backend_pid()")
                pid = cursor.fetchone()[0]
            os.kill(pid, signal.SIGSTOP)
            try:
                began = time.monotonic()
                answer = database_answers()
                seconds = time.monotonic() - began
            finally:
                os.kill(pid, signal.SIGCONT)
            return answer, seconds, database_answers()

        (answer, seconds, later), _ = in_thread(ask)
        assert (answer, later) == (False, True)
        assert 1.5 < seconds < 4


def _asked_at(port: int) -> bool:
    """Ask a server at this port instead of the real one; for the thread that runs it only."""
    stranger = connection.copy()
    stranger.settings_dict.update(HOST="127.0.0.1", PORT=str(port))
    connections["default"] = stranger
    return database_answers()
