"""Redis down, silent or emptied: requests commit without feeling it, and events flow from PostgreSQL alone."""

import time

import pytest
import redis
from celery import current_app

from flowledger.outbox import broker
from tests.faults.processes import wait_for
from tests.faults.servers.proxies import RedisProxy

pytestmark = pytest.mark.django_db(transaction=True)

# What finding out about a silent Redis may add to the request that does.
ADDED_SECONDS = 0.1


def shipping_seconds(ledger) -> float:
    """Of the best of three requests, each of which finds out anew; the machine may be busy."""
    durations = []
    for _ in range(3):
        broker.ask_again()
        started = time.perf_counter()
        ledger.ship()
        durations.append(time.perf_counter() - started)
    return min(durations)


class TestDown:
    @pytest.mark.parametrize(
        "seconds", [pytest.param(0, id="short"), pytest.param(60, id="long", marks=pytest.mark.long_fault)]
    )
    def test_requests_commit_and_events_flow_without_it(self, redis_worker, own_redis, ledger, nudged, seconds):
        worker = redis_worker()
        ledger.ship(3)
        wait_for("the first events", ledger.all_ended)
        usual = shipping_seconds(ledger)

        own_redis.redis.stop(kill=True)
        ledger.inject("redis kill", batches=0)
        until = time.monotonic() + seconds
        assert shipping_seconds(ledger) < usual + ADDED_SECONDS
        wait_for("the events of the dark hour", ledger.all_ended)
        while time.monotonic() < until:
            ledger.ship(5)
            wait_for("more of them", ledger.all_ended)
        own_redis.redis.start()
        ledger.ship(5)
        wait_for("the events afterwards", ledger.all_ended, seconds=30)
        assert worker.process.poll() is None
        ledger.audit()

    @pytest.mark.long_fault
    def test_a_worker_that_starts_meanwhile_works(self, redis_worker, own_redis, ledger):
        own_redis.redis.stop(kill=True)
        ledger.inject("redis kill", batches=0)
        worker = redis_worker()
        ledger.ship(20)
        wait_for("events without any broker", ledger.all_ended)
        own_redis.redis.start()
        ledger.ship(20)
        wait_for("events with it", ledger.all_ended)
        assert worker.terminate() == 0
        ledger.audit()

    @pytest.mark.long_fault
    def test_a_worker_that_is_stopped_meanwhile_leaves_nothing_claimed(self, redis_worker, own_redis, ledger):
        worker = redis_worker(FAULT_EFFECT_SECONDS="0.05", OUTBOX_LEASE_SECONDS="300")
        ledger.ship()
        wait_for("the first event", ledger.all_ended)
        own_redis.redis.stop(kill=True)
        ledger.inject("redis kill", batches=0)
        ledger.ship(200)
        wait_for("the stand-in to begin", lambda: ledger.effect_count() > 10)
        started = time.monotonic()
        assert worker.terminate() == 0
        assert time.monotonic() - started < 20
        rows = [row for row in ledger.rows().values() if row.open]
        assert rows
        assert not [row for row in rows if row.claimed or row.crashes or row.attempts]
        own_redis.redis.start()
        redis_worker()
        wait_for("the rest", ledger.all_ended)
        ledger.audit()

    @pytest.mark.long_fault
    def test_poison_kills_no_more_than_the_stand_in(self, redis_worker, own_redis, ledger):
        worker = redis_worker(OUTBOX_CRASH_LIMIT="3")
        ledger.ship()
        wait_for("the first event", ledger.all_ended)
        own_redis.redis.stop(kill=True)
        ledger.inject("redis kill", batches=0)
        poison = ledger.ship(orders="exit")
        # Each dead stand-in costs its batch.
        ledger.inject("poison", batches=3)
        ledger.ship(20)
        wait_for("the end of all", ledger.all_ended)
        assert worker.process.poll() is None
        own_redis.redis.start()
        ledger.ship(3)
        wait_for("the events afterwards", ledger.all_ended)
        ledger.audit(poison=poison)


class TestSilent:
    def test_requests_commit_without_feeling_it(self, own_redis, ledger, nudged, settings, monkeypatch):
        usual = shipping_seconds(ledger)
        with RedisProxy(own_redis) as proxy:
            settings.CACHE_URL = proxy.cache_url
            monkeypatch.setattr(current_app.conf, "broker_write_url", proxy.redis_url)
            with_proxy = shipping_seconds(ledger)
            proxy.swallow()
            ledger.inject("redis silent", batches=0)
            assert shipping_seconds(ledger) < max(usual, with_proxy) + ADDED_SECONDS
            # The next ones do not even ask.
            started = time.perf_counter()
            ledger.ship()
            assert time.perf_counter() - started < usual + ADDED_SECONDS / 2
        assert ledger.open_count() == len(ledger.committed)

    @pytest.mark.long_fault
    def test_events_flow_through_the_same_workers(self, redis_worker, own_redis, ledger):
        with RedisProxy(own_redis) as proxy:
            worker = redis_worker(REDIS_URL=proxy.redis_url, CACHE_URL=proxy.cache_url)
            ledger.ship(3)
            wait_for("the first events", ledger.all_ended)
            for _ in range(3):
                proxy.swallow()
                ledger.inject("redis silent", batches=0)
                ledger.ship(10)
                wait_for("events in the silence", ledger.all_ended, seconds=60)
                proxy.forward()
                ledger.ship(10)
                wait_for("events after it", ledger.all_ended, seconds=30)
            assert worker.process.poll() is None
            ledger.audit()


class TestEmptied:
    @pytest.mark.long_fault
    def test_nothing_is_lost_with_the_ticks(self, redis_worker, own_redis, ledger, nudged):
        worker = redis_worker()
        with redis.Redis.from_url(own_redis.cache_url) as client:
            for _ in range(20):
                ledger.ship(20)
                client.flushall()
                ledger.inject("redis flush", batches=0)
                time.sleep(0.1)
        wait_for("the rest", ledger.all_ended)
        assert worker.process.poll() is None
        ledger.audit()
