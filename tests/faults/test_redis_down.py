"""Redis away: requests commit, and everything flows when it comes back, through the same worker."""

import time

import pytest
from celery import current_app

from flowledger.embedded.servers import throw_away_servers
from flowledger.outbox import broker
from flowledger.outbox.health import services_health
from flowledger.outbox.wake import DRAIN_TASK, heed, nudge
from tests.faults.processes import wait_for

pytestmark = pytest.mark.django_db(transaction=True)


def test_events_wait_for_redis_and_requests_do_not(start_worker, ledger, settings):
    with throw_away_servers(with_postgres=False) as servers:
        settings.CACHE_URL = servers.cache_url
        broker.ask_again()
        worker = start_worker(REDIS_URL=servers.redis_url, CACHE_URL=servers.cache_url)
        ledger.ship(3)
        wait_for("the first events", ledger.all_ended)
        wait_for(
            "heartbeats", lambda: services_health() == {"database": True, "broker": True, "workers": 1, "beat": True}
        )

        servers.redis.stop(kill=True)
        ledger.inject("redis kill")
        settings.OUTBOX_WAKE = True
        started = time.perf_counter()
        during = ledger.ship()
        assert time.perf_counter() - started < 0.2
        assert set(during) <= set(ledger.rows())
        assert services_health() == {"database": True, "broker": False, "workers": 0, "beat": False}

        servers.redis.start()
        wait_for("the event of the dark hour", ledger.all_ended)
        assert worker.process.poll() is None
        ledger.audit()
    broker.ask_again()


def test_a_producer_survives_a_restart_of_redis(monkeypatch):
    with throw_away_servers(with_postgres=False) as servers:
        monkeypatch.setattr(current_app.conf, "broker_write_url", servers.redis_url)

        def sent() -> bool:
            broker.ask_again()
            heed(DRAIN_TASK)
            started = time.perf_counter()
            answer = nudge(DRAIN_TASK)
            assert time.perf_counter() - started < 0.2
            return answer

        assert sent()
        servers.redis.stop(kill=True)
        assert not sent()
        servers.redis.start()
        wait_for("a nudge", sent, seconds=5)
    broker.ask_again()
