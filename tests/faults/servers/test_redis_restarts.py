"""Redis killed, restarted, hanging and loading, its clients thrown out: the same workers go on consuming.

Celery's workers are known to stop silently after such (celery issues 8030, 8091, 10205).
"""

import os
import random
import signal
import threading
import time
from collections.abc import Callable
from contextlib import contextmanager
from typing import Any

import pytest
import redis
from django.db import connection

from flowledger.embedded.servers import EmbeddedServers
from tests.faults.processes import wait_for
from tests.faults.servers.proxies import RedisProxy

pytestmark = pytest.mark.django_db(transaction=True)

# What may pass between the end of a fault and the end of the last event. The crowded machine gets most of it.
BACK_SECONDS = 30


def client_of(servers: EmbeddedServers) -> redis.Redis:
    return redis.Redis.from_url(servers.cache_url)


def kill(servers: EmbeddedServers, rng: random.Random) -> None:
    servers.redis.stop(kill=True)
    time.sleep(rng.choice([0, 0.1, 0.5, 1.0, 3.0]))
    servers.redis.start()


def restart(servers: EmbeddedServers, rng: random.Random) -> None:
    servers.redis.stop()
    time.sleep(rng.choice([0, 0.1, 0.5, 1.0]))
    servers.redis.start()


def throw_out_everybody(servers: EmbeddedServers, rng: random.Random) -> None:
    with client_of(servers) as client:
        client.execute_command("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")


def throw_out_who_waits(servers: EmbeddedServers, rng: random.Random) -> None:
    """Whoever is in a BRPOP just then."""
    with client_of(servers) as client:
        clients: Any = client.client_list()
        for each in clients:
            if each["cmd"] == "brpop":
                client.execute_command("CLIENT", "KILL", "ID", each["id"])


def hang(servers: EmbeddedServers, rng: random.Random) -> None:
    stand_still(servers, rng.choice([0.5, 1.5, 4.0]))


def stand_still(servers: EmbeddedServers, seconds: float) -> None:
    pid = servers.redis.pid
    assert pid is not None
    os.kill(pid, signal.SIGSTOP)
    time.sleep(seconds)
    os.kill(pid, signal.SIGCONT)


def flush(servers: EmbeddedServers, rng: random.Random) -> None:
    with client_of(servers) as client:
        client.flushall()


FAULTS: dict[str, Callable[[EmbeddedServers, random.Random], None]] = {
    "redis kill": kill,
    "redis restart": restart,
    "redis clients out": throw_out_everybody,
    "redis brpop out": throw_out_who_waits,
    "redis hang": hang,
    "redis flush": flush,
}


@contextmanager
def shipping(ledger: Any, pause: float, orders: str = "") -> Any:
    """Ship one parcel after the other meanwhile."""
    stopped = threading.Event()

    def ship() -> None:
        try:
            while not stopped.wait(pause):
                ledger.ship(orders=orders)
        finally:
            connection.close()

    thread = threading.Thread(target=ship)
    thread.start()
    try:
        yield
    finally:
        stopped.set()
        thread.join()


class TestRestarts:
    @pytest.mark.parametrize(
        "rounds", [pytest.param(4, id="short"), pytest.param(60, id="long", marks=pytest.mark.long_fault)]
    )
    def test_the_same_workers_go_on_through_every_one(self, redis_worker, own_redis, ledger, rng, rounds):
        worker = redis_worker()
        ledger.ship(3)
        wait_for("the first events", ledger.all_ended)
        children = worker.children()
        faults = rng.sample(sorted(FAULTS), len(FAULTS)) * (rounds // len(FAULTS) + 1)
        for kind in faults[:rounds]:
            ledger.ship(rng.randint(1, 30))
            time.sleep(rng.uniform(0, 0.5))
            FAULTS[kind](own_redis, rng)
            ledger.inject(kind, batches=0)
            ledger.ship(rng.randint(1, 5))
            wait_for(f"the events after {kind}", ledger.all_ended, seconds=BACK_SECONDS)
            assert worker.process.poll() is None
        # Others may have come and gone: a stand-in is forked like them.
        assert set(children) <= set(worker.children())
        ledger.audit()

    @pytest.mark.long_fault
    def test_busy_workers_too(self, redis_worker, own_redis, ledger, rng):
        """While the pool is busy, messages are in hand that nobody has acknowledged: that is when Celery trips."""
        worker = redis_worker(FAULT_EFFECT_SECONDS="0.3", OUTBOX_BATCH_SIZE="2", OUTBOX_DRAIN_SECONDS="1")
        ledger.ship()
        wait_for("the first event", ledger.all_ended)
        with shipping(ledger, 0.25):
            for _ in range(6):
                for kind in rng.sample(sorted(FAULTS), len(FAULTS)):
                    before = ledger.effect_count()
                    FAULTS[kind](own_redis, rng)
                    ledger.inject(kind, batches=0)
                    wait_for(
                        f"effects after {kind}",
                        lambda least=before + 8: ledger.effect_count() >= least,
                        seconds=BACK_SECONDS,
                    )
                    assert worker.process.poll() is None
        wait_for("the rest", ledger.all_ended)
        ledger.audit()

    @pytest.mark.long_fault
    @pytest.mark.parametrize("seconds", [10, 30])
    def test_a_redis_that_hangs(self, redis_worker, own_redis, ledger, seconds):
        worker = redis_worker()
        ledger.ship(3)
        wait_for("the first events", ledger.all_ended)
        ledger.ship(3)
        stand_still(own_redis, seconds)
        ledger.inject("redis hang", batches=0)
        wait_for("the events meanwhile", ledger.all_ended, seconds=BACK_SECONDS)
        ledger.ship(3)
        wait_for("the events afterwards", ledger.all_ended, seconds=BACK_SECONDS)
        assert worker.process.poll() is None
        ledger.audit()

    @pytest.mark.long_fault
    def test_a_redis_that_loads_its_data(self, redis_worker, own_redis, ledger):
        with RedisProxy(own_redis) as proxy:
            worker = redis_worker(REDIS_URL=proxy.redis_url, CACHE_URL=proxy.cache_url)
            ledger.ship(3)
            wait_for("the first events", ledger.all_ended)
            proxy.load()
            proxy.hang_up()
            ledger.inject("redis loading", batches=0)
            ledger.ship(3)
            time.sleep(10)
            proxy.forward()
            wait_for("the events meanwhile", ledger.all_ended, seconds=BACK_SECONDS)
            ledger.ship(3)
            wait_for("the events afterwards", ledger.all_ended, seconds=BACK_SECONDS)
            assert worker.process.poll() is None
            ledger.audit()


# How often in one test; noticing takes seconds each time.
TURNS = {"deaf": 1, "stuck": 3}


class TestSilentConsumer:
    """Whatever the cause: a worker that hears nothing any more notices and connects anew, in the same process."""

    @pytest.mark.parametrize(
        ("sabotage", "words"),
        [
            pytest.param("deaf", "worker hears nothing"),
            pytest.param("stuck", "event loop is stuck", marks=pytest.mark.long_fault),
        ],
        ids=["deaf", "stuck"],
    )
    def test_comes_back_by_itself(self, redis_worker, ledger, sabotage, words):
        worker = redis_worker(
            *("--beat", "--include=tests.faults.servers.sabotage"), FAULT_SABOTAGE=sabotage, LOG_JSON="true"
        )
        ledger.ship()
        wait_for("the first event", ledger.all_ended)
        children = worker.children()
        for turn in range(TURNS[sabotage]):
            os.kill(worker.process.pid, signal.SIGUSR2)
            ledger.inject(f"consumer {sabotage}", batches=0)
            wait_for("the worker to notice", lambda least=turn + 1: worker.log.read_text().count(words) >= least)
            ledger.ship(5)
            wait_for("events after that", ledger.all_ended, seconds=BACK_SECONDS)
        assert worker.process.poll() is None
        # Others may have come and gone: a stand-in is forked like them.
        assert set(children) <= set(worker.children())
        ledger.audit()

    @pytest.mark.long_fault
    def test_what_cannot_be_helped_ends_for_its_supervisor_to_see(self, redis_worker, ledger):
        worker = redis_worker(
            *("--beat", "--include=tests.faults.servers.sabotage"), FAULT_SABOTAGE="deaf for good", LOG_JSON="true"
        )
        ledger.ship()
        wait_for("the first event", ledger.all_ended)
        os.kill(worker.process.pid, signal.SIGUSR2)
        ledger.inject("consumer deaf for good", batches=2)
        wait_for("its end", lambda: worker.process.poll() is not None)
        assert worker.process.returncode == 1
        assert worker.log.read_text().count("worker hears nothing") == 5
        ledger.ship(20)
        redis_worker()
        wait_for("events through the next one", ledger.all_ended)
        ledger.audit()

    @pytest.mark.long_fault
    def test_without_a_beat_it_looks_by_itself(self, redis_worker, ledger):
        redis_worker("--pool=prefork")
        for _ in range(5):
            ledger.ship()
            ledger.inject("beat missing", batches=0)
            started = time.monotonic()
            wait_for("an event that nobody announced", ledger.all_ended)
            # The first one waits for the worker to start.
        assert time.monotonic() - started < 5
        ledger.audit()
