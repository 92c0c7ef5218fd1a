"""Health: the backlog, and who is alive."""

from datetime import timedelta

import pytest
from django.utils.timezone import now

from flowledger.outbox import broker
from flowledger.outbox.drain import drain_all
from flowledger.outbox.health import end_heartbeat, outbox_health, services_health, show_heartbeat
from tests.outbox.parcels import change_delivery

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def ask_redis_really():
    broker.ask_again()
    yield
    broker.ask_again()


class TestOutboxHealth:
    def test_counts_what_is_pending_and_the_age_of_what_is_due(self, send):
        assert outbox_health() == {"depth": 0, "oldest_age_s": 0.0}
        late, retrying = send(1), send(2)
        change_delivery(late, available_at=now() - timedelta(seconds=90))
        change_delivery(retrying, available_at=now() + timedelta(hours=1))
        health = outbox_health()
        assert health["depth"] == 2
        assert 90 <= health["oldest_age_s"] < 100
        drain_all()
        assert outbox_health() == {"depth": 1, "oldest_age_s": 0.0}


class TestServicesHealth:
    def test_counts_living_workers_and_sees_the_beat(self):
        for kind, name in (("worker", "a"), ("worker", "b"), ("beat", "any")):
            end_heartbeat(kind, name)
        assert services_health() == {"database": True, "broker": True, "workers": 0, "beat": False}
        show_heartbeat("worker", "a")
        show_heartbeat("worker", "b")
        show_heartbeat("beat", "any")
        assert services_health() == {"database": True, "broker": True, "workers": 2, "beat": True}
        end_heartbeat("worker", "a")
        assert services_health()["workers"] == 1

    def test_survives_without_redis(self, settings):
        settings.CACHE_URL = "redis://127.0.0.1:1/0"
        show_heartbeat("worker", "a")
        assert services_health() == {"database": True, "broker": False, "workers": 0, "beat": False}
