"""Limits by caller, address and login; Redis away means no limits, not no service."""

from __future__ import annotations

from typing import Any

import pytest
import redis

from flowledger.api import throttling
from flowledger.outbox import broker
from flowledger.tenancy.actors import Role
from tests.api.conftest import PASSWORD
from tests.client import ApiClient

pytestmark = pytest.mark.django_db


@pytest.fixture
def limits(settings: Any) -> Any:
    """Set limits; the counters begin at nothing."""
    client = redis.Redis.from_url(settings.CACHE_URL)
    for key in client.scan_iter("flowledger:throttle:*"):
        client.delete(key)
    broker.ask_again()

    def to(**per_minute: int) -> None:
        settings.API_THROTTLES = {**settings.API_THROTTLES, **per_minute}

    return to


class TestCallers:
    def test_a_user_beyond_the_limit_waits(self, limits, client_for):
        limits(user=3)
        client = client_for(Role.REP)
        assert [client.get("/api/me").status_code for _ in range(4)] == [200, 200, 200, 429]
        answer = client.get("/api/me")
        assert answer.json()["code"] == "throttled"
        assert 1 <= int(answer["Retry-After"]) <= 120
        assert answer.json()["retry_after"] == int(answer["Retry-After"])
        assert client_for(Role.REP).get("/api/me").status_code == 200

    def test_a_key_has_a_limit_of_its_own(self, limits, client_for):
        limits(key=1, user=1)
        key = client_for(["signals:read"])
        assert [key.get("/api/me").status_code for _ in range(2)] == [200, 429]
        assert client_for(Role.REP).get("/api/me").status_code == 200

    def test_an_address_with_bad_credentials_is_stopped(self, limits):
        limits(address=2)
        client = ApiClient("Bearer nonsense")
        assert [client.get("/api/me").status_code for _ in range(3)] == [401, 401, 429]
        assert ApiClient().get("/api/health").status_code == 429

    def test_forwarded_addresses_count_only_behind_trusted_proxies(self, limits):
        limits(address=1)
        client = ApiClient()
        first = client.get("/api/me", headers={"X-Forwarded-For": "10.0.0.1"})
        second = client.get("/api/me", headers={"X-Forwarded-For": "10.0.0.2"})
        assert (first.status_code, second.status_code) == (401, 429)


class TestLogin:
    def test_attempts_are_limited_by_name_and_address(self, limits, org, member_of):
        limits(login=3)
        member_of(org, username="ann")
        member_of(org, username="bob")

        def attempt(name: str, password: str) -> int:
            body = {"username": name, "password": password}
            return ApiClient().post("/api/auth/token", body).status_code

        assert [attempt("ann", "wrong") for _ in range(3)] == [401, 401, 401]
        assert attempt("ANN", PASSWORD) == 429
        assert attempt("bob", PASSWORD) == 200


class TestWindow:
    def test_slides_over_the_minute(self, limits, monkeypatch):
        at = 1_000_000 * 60.0
        limit = [throttling.Limit("test:window", 10)]

        def allowed(seconds: float) -> int:
            monkeypatch.setattr(throttling.time, "time", lambda: at + seconds)
            count = 0
            try:
                while True:
                    throttling.require_within(limit)
                    count += 1
            except throttling.Throttled as refusal:
                self.wait = refusal.wait
            return count

        assert allowed(0) == 10
        assert self.wait == pytest.approx(66, abs=0.1)
        assert allowed(59) == 0
        assert allowed(65.9) == 0
        assert allowed(66) == 1
        assert allowed(90) == 4
        assert allowed(400) == 10

    def test_redis_away_lets_requests_pass(self, limits, settings, client_for):
        limits(user=1, address=1)
        settings.CACHE_URL = "redis://127.0.0.1:1/0"
        client = client_for(Role.REP)
        try:
            assert [client.get("/api/me").status_code for _ in range(5)] == [200] * 5
        finally:
            broker.ask_again()
