"""Liveness, health, and the documents."""

from __future__ import annotations

import json
import socket
import threading
import time
from datetime import timedelta
from typing import Any

import pytest
import redis
from django.db import OperationalError, connection, connections
from django.test import Client
from django.utils.dateparse import parse_datetime
from django.utils.timezone import now
from openapi_spec_validator import OpenAPIV31SpecValidator

from flowledger.outbox import broker, health
from flowledger.outbox.health import end_heartbeat, show_heartbeat
from tests.api.test_dead_letters import make_letter
from tests.client import ApiClient


def gone(execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
    raise OperationalError("the database is gone")


class TestLiveness:
    def test_asks_no_database(self):
        answer = Client().get("/healthz")  # without the db mark any query fails the test
        assert (answer.status_code, answer.json()) == (200, {"status": "alive"})


@pytest.mark.django_db
class TestHealth:
    @pytest.fixture(autouse=True)
    def asked_afresh(self, settings):
        broker.ask_again()
        health.ask_again()
        redis.Redis.from_url(settings.CACHE_URL).delete("flowledger:heartbeats")

    def test_is_healthy_when_every_part_shows_itself(self):
        show_heartbeat("worker", "test@here")
        show_heartbeat("beat", "any")
        try:
            answer = ApiClient().get("/api/health")
        finally:
            end_heartbeat("worker", "test@here")
            end_heartbeat("beat", "any")
        body = answer.json()
        assert (answer.status_code, body["status"]) == (200, "healthy")
        assert body["services"] == {"database": "up", "broker": "up", "workers": "up", "beat": "up"}
        assert body["outbox"] == {"depth": 0, "depth_is_estimate": False, "oldest_age_s": 0, "dead_letters": 0}
        assert (body["failed"], body["live_workers"]) == ([], 1)
        assert abs(parse_datetime(body["last_beat_at"]) - now()) < timedelta(seconds=3)

    def test_is_degraded_without_workers(self):
        body = ApiClient().get("/api/health").json()
        assert body["status"] == "degraded"
        assert (body["services"]["workers"], body["services"]["beat"]) == ("down", "down")
        assert (body["failed"], body["live_workers"], body["last_beat_at"]) == (["workers", "beat"], 0, None)

    def test_counts_dead_letters(self, org):
        make_letter(org)
        assert ApiClient().get("/api/health").json()["outbox"]["dead_letters"] == 1

    def test_names_nobody(self):
        """It is anonymous: how many workers there are is enough."""
        show_heartbeat("worker", "celery@secret-host")
        assert "secret-host" not in ApiClient().get("/api/health").content.decode()

    def test_without_redis_it_is_degraded_and_not_unavailable(self, settings):
        settings.CACHE_URL = "redis://127.0.0.1:1/0"
        answer = ApiClient().get("/api/health")
        broker.ask_again()
        assert (answer.status_code, answer.json()["failed"]) == (200, ["broker", "workers", "beat"])

    def test_is_503_without_the_database(self):
        with connection.execute_wrapper(gone):
            answer = ApiClient().get("/api/health")
        assert answer.status_code == 503
        assert answer.json()["code"] == "unavailable"
        assert answer.json()["services"]["database"] == "down"
        assert "database" in answer.json()["failed"]
        assert answer.json()["outbox"] is None

    def test_a_database_that_swallows_everything_costs_seconds_and_not_a_minute(self):
        answers = []

        def ask() -> None:
            stranger = connection.copy()
            stranger.settings_dict.update(HOST="127.0.0.1", PORT=str(listener.getsockname()[1]))
            connections["default"] = stranger
            began = time.monotonic()
            answers.extend((ApiClient().get("/api/health"), time.monotonic() - began))
            connections.close_all()

        with socket.socket() as listener:
            listener.bind(("127.0.0.1", 0))
            listener.listen()
            thread = threading.Thread(target=ask)
            thread.start()
            thread.join(timeout=60)
        answer, seconds = answers
        assert (answer.status_code, answer.json()["services"]["database"]) == (503, "down")
        assert seconds < 5


class TestDocuments:
    def test_the_document_is_valid_and_anonymous(self):
        answer = Client().get("/openapi.json")
        assert answer.status_code == 200
        document = json.loads(answer.content)
        assert document["openapi"].startswith("3.1")
        OpenAPIV31SpecValidator(document).validate()
        assert Client().get("/openapi.json", headers={"If-None-Match": answer["ETag"]}).status_code == 304

    def test_every_operation_has_its_own_id(self):
        document = Client().get("/openapi.json").json()
        ids = [operation["operationId"] for item in document["paths"].values() for operation in item.values()]
        assert len(ids) == len(set(ids))

    @pytest.mark.parametrize("path", ["/api-docs", "/api/docs"])
    def test_the_pages_bring_their_own_assets(self, path):
        answer = Client().get(path)
        assert answer.status_code == 200
        text = answer.content.decode()
        assert "/openapi.json" in text
        assert "cdn" not in text.lower()
        assert "drf_spectacular_sidecar" in text
