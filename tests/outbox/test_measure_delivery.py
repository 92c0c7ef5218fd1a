"""Metrics: what all processes count together, and the text that Prometheus reads."""

from __future__ import annotations

import multiprocessing
import time
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
import redis
from django.conf import settings as django_settings
from django.db import OperationalError, connection
from django.utils.timezone import now
from prometheus_client.parser import text_string_to_metric_families

from flowledger.embedded.processes import wait_until
from flowledger.outbox import broker, metrics
from flowledger.outbox.drain import drain_all
from flowledger.outbox.exposition import metrics_text
from flowledger.outbox.health import show_heartbeat
from flowledger.outbox.models import HandlerFailure
from flowledger.outbox.registry import Delivery, handler
from flowledger.tenancy.scope import system_scope
from tests.outbox.parcels import AT, change_delivery

NOWHERE = "redis://127.0.0.1:1/0"


@pytest.fixture(autouse=True)
def nothing_counted() -> Iterator[redis.Redis]:
    """Redis without numbers, and nothing waiting in this process."""
    client = redis.Redis.from_url(django_settings.CACHE_URL, decode_responses=True)
    metrics.flush()
    client.delete(metrics.KEY, "flowledger:heartbeats")
    broker.ask_again()
    yield client
    metrics.flush()
    client.delete(metrics.KEY, "flowledger:heartbeats")
    broker.ask_again()


def attempts(event_name: str = "parcel.sent", outcome: str = "handled") -> float:
    stored = metrics.recorded()
    assert stored is not None
    return stored.get((metrics.ATTEMPTS.name, event_name, outcome), [0.0])[0]


def told() -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    """Every sample of the text, by name and labels."""
    text = metrics_text().decode()
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def sample(name: str, **labels: str) -> float:
    return told()[name, tuple(sorted(labels.items()))]


def _count_in_child(number: int) -> None:
    metrics.count_attempts("parcel.sent", "handled", number)
    metrics.flush()


class TestCounting:
    def test_adds_up_over_processes(self):
        """Forked, as the children of a worker are: what the parent has not told yet is not told by them."""
        metrics.count_attempts("parcel.sent", "handled", 1000)
        processes = [
            multiprocessing.get_context("fork").Process(target=_count_in_child, args=(number,)) for number in (1, 20)
        ]
        for process in processes:
            process.start()
        for process in processes:
            process.join(30)
        assert attempts() in {21, 1021}
        metrics.flush()
        assert attempts() == 1021

    def test_is_told_by_itself_soon(self, monkeypatch):
        monkeypatch.setattr(metrics, "FLUSH_SECONDS", 0.01)
        metrics.count_attempts("parcel.sent", "failed", 3)
        assert wait_until(lambda: attempts(outcome="failed") == 3, seconds=10)

    def test_the_thread_ends_when_there_is_nothing_to_tell_and_comes_back(self, monkeypatch):
        monkeypatch.setattr(metrics, "FLUSH_SECONDS", 0.01)
        assert wait_until(lambda: metrics._flusher is None, seconds=20)
        metrics.count_attempts("parcel.sent", "handled", 1)
        assert metrics._flusher is not None
        assert wait_until(lambda: metrics._flusher is None, seconds=20)
        metrics.count_attempts("parcel.sent", "handled", 1)
        assert wait_until(lambda: attempts() == 2, seconds=10)

    def test_waits_while_redis_is_down(self, settings):
        address, settings.CACHE_URL = settings.CACHE_URL, NOWHERE
        metrics.count_attempts("parcel.sent", "handled", 2)
        metrics.observe_delay(0.003)
        assert not metrics.flush()
        metrics.count_attempts("parcel.sent", "handled", 3)
        metrics.observe_delay(0.003)
        assert metrics.recorded() is None
        settings.CACHE_URL = address
        assert metrics.flush()
        assert attempts() == 5
        assert sum(metrics.recorded()[(metrics.DELAYS.name,)][1:]) == 2

    def test_a_number_of_an_older_release_is_let_alone(self, nothing_counted):
        nothing_counted.hset(metrics.KEY, '["flowledger_outbox_forgotten", "x", 0]', 5)
        metrics.count_attempts("parcel.sent", "handled", 1)
        metrics.flush()
        assert metrics.recorded() == {(metrics.ATTEMPTS.name, "parcel.sent", "handled"): [1.0]}

    def test_costs_next_to_nothing(self):
        """Ten times what was measured: it is called for every event that is delivered."""
        began = time.perf_counter()
        for _ in range(20_000):
            metrics.observe_handler("app.react", "parcel.sent", 0.002)
        assert (time.perf_counter() - began) / 20_000 < 20e-6


@pytest.mark.django_db
class TestHistograms:
    def test_share_the_time_of_a_batch_among_its_events(self):
        metrics.observe_handler("app.react", "", 0.4, 100)
        metrics.observe_handler("app.react", "parcel.sent", 3.0)
        metrics.flush()
        labels = {"event": "mixed", "handler": "app.react"}
        name = "flowledger_outbox_handler_seconds"
        assert [sample(f"{name}_bucket", le=le, **labels) for le in ("0.0025", "0.005", "+Inf")] == [0, 100, 100]
        assert (sample(f"{name}_count", **labels), sample(f"{name}_sum", **labels)) == (100, pytest.approx(0.4))
        single = {"event": "parcel.sent", "handler": "app.react"}
        assert [sample(f"{name}_bucket", le=le, **single) for le in ("2.5", "5.0", "+Inf")] == [0, 1, 1]

    def test_a_value_on_a_bound_belongs_below_it(self):
        metrics.observe_delay(0.001)
        metrics.observe_delay(7200)
        metrics.flush()
        name = "flowledger_outbox_start_delay_seconds_bucket"
        assert [sample(name, le=le) for le in ("0.001", "3600.0", "+Inf")] == [1, 1, 2]

    def test_claims_by_lane(self):
        metrics.observe_claim("fresh", 0.004, 200)
        metrics.observe_claim("fresh", 0.004, 0)
        metrics.flush()
        assert sample("flowledger_outbox_claim_seconds_count", lane="fresh") == 2
        assert sample("flowledger_outbox_claimed_events_total", lane="fresh") == 200


@pytest.mark.django_db
@pytest.mark.usefixtures("no_handlers")
class TestDelivery:
    def test_is_counted_by_event_and_handler(self, send, settings):
        settings.OUTBOX_MAX_ATTEMPTS = 2

        @handler("parcel.sent", name="app.good")
        def good(delivery: Delivery) -> None: ...

        @handler("parcel.lost", name="app.unused")
        def unused(delivery: Delivery) -> None: ...

        send(1)
        send(2)
        drain_all()

        @handler("parcel.sent", name="app.bad")
        def bad(delivery: Delivery) -> None:
            raise ValueError("broken")

        broken = send(3)
        drain_all()
        change_delivery(broken, available_at=now() - timedelta(seconds=1))
        drain_all()
        metrics.flush()

        outcomes = {
            dict(labels)["outcome"]: value
            for (name, labels), value in told().items()
            if name == "flowledger_outbox_attempts_total" and dict(labels)["event"] == "parcel.sent"
        }
        assert outcomes == {"handled": 2, "failed": 1, "dead": 1}
        assert sample("flowledger_outbox_handler_seconds_count", event="parcel.sent", handler="app.good") >= 2
        assert sample("flowledger_outbox_claimed_events_total", lane="fresh") == 3
        assert sample("flowledger_outbox_claimed_events_total", lane="waiting") == 1
        assert sample("flowledger_outbox_start_delay_seconds_count") >= 1
        assert sample("flowledger_outbox_dead_letters", event="parcel.sent", handler="app.bad") == 1


@pytest.mark.django_db
class TestText:
    def test_tells_the_queue_by_event(self, send):
        fresh, waiting, claimed, crashed, dead = (send(number) for number in range(1, 6))
        change_delivery(fresh, available_at=now() - timedelta(seconds=50))
        change_delivery(waiting, attempts=1, available_at=now() + timedelta(hours=1))
        change_delivery(claimed, attempts=1, claimed_at=now(), claimed_by="0190a3f0-0000-7000-8000-000000000000")
        change_delivery(crashed, crashes=1)
        change_delivery(dead, dead_letter_at=AT)
        for name in ("app.one", "app.two"):
            with system_scope("tests"):
                HandlerFailure.all_orgs.create(
                    org_id=dead.org_id, event_id=dead.pk, handler=name, attempt=8, error="no", traceback="no"
                )
        found = told()
        event = (("event", "parcel.sent"),)
        gauges = ("depth", "in_flight", "waiting_for_retry", "tried_alone")
        assert [found[f"flowledger_outbox_{gauge}", event] for gauge in gauges] == [4, 1, 1, 1]
        assert found["flowledger_outbox_depth", (("event", "parcel.lost"),)] == 0
        assert 50 <= found["flowledger_outbox_oldest_age_seconds", ()] < 60
        assert found["flowledger_outbox_depth_is_estimate", ()] == 0
        letters = {labels for name, labels in found if name == "flowledger_outbox_dead_letters"}
        assert letters == {(*event, ("handler", "app.one")), (*event, ("handler", "app.two"))}

    def test_a_letter_without_a_failed_handler_is_told_too(self, send):
        change_delivery(send(), dead_letter_at=AT, crashes=5)
        assert sample("flowledger_outbox_dead_letters", event="parcel.sent", handler="none") == 1

    def test_tells_who_is_alive(self):
        assert (sample("flowledger_workers"), sample("flowledger_beat_up")) == (0, 0)
        show_heartbeat("worker", "celery@a")
        show_heartbeat("beat", "any")
        found = told()
        assert (found["flowledger_workers", ()], found["flowledger_beat_up", ()]) == (1, 1)
        seen = found["flowledger_worker_last_seen_timestamp_seconds", (("worker", "celery@a"),)]
        assert abs(seen - time.time()) < 3
        assert abs(found["flowledger_beat_last_seen_timestamp_seconds", ()] - time.time()) < 3

    def test_without_redis_tells_what_the_database_knows(self, send, settings):
        send()
        settings.CACHE_URL = NOWHERE
        found = told()
        assert (found["flowledger_broker_up", ()], found["flowledger_database_up", ()]) == (0, 1)
        assert found["flowledger_outbox_depth", (("event", "parcel.sent"),)] == 1
        assert not any(name.startswith(("flowledger_worker", "flowledger_outbox_attempts")) for name, _ in found)

    def test_without_the_database_tells_what_was_counted(self):
        metrics.count_attempts("parcel.sent", "handled", 7)
        metrics.flush()

        def gone(execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
            raise OperationalError("the database is gone")

        with connection.execute_wrapper(gone):
            found = told()
        assert found["flowledger_database_up", ()] == 0
        assert found["flowledger_outbox_attempts_total", (("event", "parcel.sent"), ("outcome", "handled"))] == 7
        assert not any(name.startswith("flowledger_outbox_depth") for name, _ in found)
