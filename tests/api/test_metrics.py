"""GET /metrics: for programs on the same machine, and for those that have the token."""

from __future__ import annotations

import pytest
from django.test import Client
from prometheus_client.parser import text_string_to_metric_families

TOKEN = "a-token-of-at-least-sixteen-characters"

pytestmark = pytest.mark.django_db


class TestMetrics:
    def test_are_in_the_format_of_prometheus(self):
        answer = Client().get("/metrics")
        assert answer.status_code == 200
        assert answer["Content-Type"].startswith("text/plain; version=")
        assert "no-store" in answer["Cache-Control"]
        names = {family.name for family in text_string_to_metric_families(answer.content.decode())}
        assert {"flowledger_outbox_depth", "flowledger_outbox_attempts", "flowledger_database_up"} <= names

    def test_are_read_only(self):
        assert Client().post("/metrics").status_code == 405


class TestNeighbours:
    @pytest.mark.parametrize("address", ["127.0.0.1", "127.9.9.9", "::1"])
    def test_are_let_in(self, address):
        assert Client(REMOTE_ADDR=address).get("/metrics").status_code == 200

    @pytest.mark.parametrize("address", ["10.0.0.7", "192.0.2.1", "2001:db8::1", "", "not an address"])
    def test_are_nobody_else(self, address):
        answer = Client(REMOTE_ADDR=address).get("/metrics")
        assert answer.status_code == 401
        assert answer["WWW-Authenticate"] == 'Bearer realm="metrics"'
        assert b"flowledger_" not in answer.content

    @pytest.mark.parametrize(
        "header",
        ["Forwarded", "Via", "X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto", "X-Real-IP"],
    )
    def test_are_not_who_stands_behind_a_proxy(self, header):
        assert Client(REMOTE_ADDR="127.0.0.1").get("/metrics", headers={header: "x"}).status_code == 401


class TestToken:
    @pytest.fixture
    def far(self, settings) -> Client:
        settings.METRICS_TOKEN = TOKEN
        return Client(REMOTE_ADDR="192.0.2.1")

    def test_opens_from_anywhere(self, far):
        assert far.get("/metrics", headers={"Authorization": f"Bearer {TOKEN}"}).status_code == 200
        assert far.get("/metrics", headers={"Authorization": f"bearer {TOKEN}", "Via": "x"}).status_code == 200

    @pytest.mark.parametrize(
        "credential", ["", "Bearer", "Bearer ", "Bearer wrong", f"Bearer {TOKEN}x", f"Basic {TOKEN}", TOKEN]
    )
    def test_must_be_right(self, far, credential):
        headers = {"Authorization": credential} if credential else {}
        assert far.get("/metrics", headers=headers).status_code == 401

    @pytest.mark.parametrize("credential", ["Bearer", "Bearer "])
    def test_that_is_not_set_opens_nothing(self, far, settings, credential):
        settings.METRICS_TOKEN = ""
        assert far.get("/metrics", headers={"Authorization": credential}).status_code == 401
