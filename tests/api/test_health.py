"""Liveness, health, and the documents."""

from __future__ import annotations

import json
from typing import Any

import pytest
from django.db import OperationalError, connection
from django.test import Client
from openapi_spec_validator import OpenAPIV31SpecValidator

from flowledger.outbox import broker
from flowledger.outbox.health import end_heartbeat, show_heartbeat
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
    def asked_afresh(self):
        broker.ask_again()

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
        assert body["outbox"] == {"depth": 0, "oldest_age_s": 0}

    def test_is_degraded_without_workers(self):
        body = ApiClient().get("/api/health").json()
        assert body["status"] == "degraded"
        assert (body["services"]["workers"], body["services"]["beat"]) == ("down", "down")

    def test_is_503_without_the_database(self):
        with connection.execute_wrapper(gone):
            answer = ApiClient().get("/api/health")
        assert answer.status_code == 503
        assert answer.json()["code"] == "unavailable"
        assert answer.json()["services"]["database"] == "down"
        assert answer.json()["outbox"] is None


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
