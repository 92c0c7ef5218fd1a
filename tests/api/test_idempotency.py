"""Idempotency-Key: one effect and one answer per key."""

from __future__ import annotations

import threading
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection, connections
from django.utils.timezone import now

from flowledger.api.models import IdempotencyRecord
from flowledger.api.tasks import purge_idempotency_records
from flowledger.tenancy.actors import Role
from flowledger.tenancy.models import ApiKey
from flowledger.tenancy.scope import org_scope, system_scope

KEY = {"Idempotency-Key": "order-1"}


@pytest.fixture
def probe(settings: Any, client_for: Any) -> Any:
    settings.ROOT_URLCONF = "tests.api.probes"
    client = client_for(Role.ADMIN)
    client.raise_request_exception = False
    return lambda body=None, headers=KEY, to=client, path="/probe": to.post(path, body or {}, headers=headers)


def keys() -> int:
    with system_scope("tests"):
        return ApiKey.all_orgs.count()


@pytest.mark.django_db
class TestReplay:
    def test_repeats_the_answer_and_nothing_else(self, probe):
        first = probe({"number": 1, "how": ""})
        again = probe({"how": "", "number": 1})
        assert (first.status_code, again.status_code) == (201, 201)
        assert again.content == first.content
        assert again["Content-Type"] == first["Content-Type"]
        assert again["Idempotency-Replayed"] == "true"
        assert "Idempotency-Replayed" not in first
        assert keys() == 1

    @pytest.mark.parametrize(
        ("body", "path"), [({"number": 2}, "/probe"), ({"number": 1}, "/probe?org_id={org}"), ({}, "/probe")]
    )
    def test_another_request_with_the_key_is_a_conflict(self, probe, org, body, path):
        probe({"number": 1})
        answer = probe(body, path=path.format(org=org.pk))
        assert (answer.status_code, answer.json()["code"]) == (409, "conflict")
        assert keys() == 1

    def test_refusals_are_replayed_with_their_evidence(self, probe):
        first = probe({"how": "refuse"})
        again = probe({"how": "refuse"})
        assert (first.status_code, again.status_code) == (409, 409)
        assert again.content == first.content
        assert again["Idempotency-Replayed"] == "true"
        assert keys() == 1

    def test_invalid_bodies_are_replayed_too(self, probe):
        assert probe({"unknown": 1}).status_code == 400
        assert probe({"unknown": 1})["Idempotency-Replayed"] == "true"

    def test_a_body_that_cannot_be_read_claims_no_key(self, probe):
        for raw in (b"{", b'{"how": "\\u0000"}'):
            assert probe(raw).status_code == 400
        assert IdempotencyRecord.all_orgs.count() == 0
        assert probe({"number": 1}).status_code == 201

    def test_failures_leave_no_record(self, probe):
        assert probe({"how": "fail"}).status_code == 500
        assert IdempotencyRecord.all_orgs.count() == 0
        assert probe({"number": 1}).status_code == 201

    def test_belongs_to_one_caller_of_one_organisation(self, probe, client_for, other_org):
        probe()
        assert "Idempotency-Replayed" not in probe(to=client_for(Role.ADMIN))
        assert "Idempotency-Replayed" not in probe(to=client_for(Role.ADMIN, of=other_org))
        assert keys() == 3

    @pytest.mark.parametrize("key", ["", "with space", "x" * 256, "é"])
    def test_malformed_keys_are_400(self, probe, key):
        answer = probe(headers={"Idempotency-Key": key})
        assert answer.status_code == 400
        assert keys() == 0

    def test_reading_ignores_it(self, client_for):
        client = client_for(Role.ADMIN)
        for _ in range(2):
            assert "Idempotency-Replayed" not in client.get("/api/me", headers=KEY)
        assert IdempotencyRecord.all_orgs.count() == 0


@pytest.mark.django_db
class TestAge:
    def test_after_a_day_the_key_is_new(self, probe):
        first = probe()
        IdempotencyRecord.all_orgs.update(created_at=now() - timedelta(hours=25))
        again = probe({"number": 5})
        assert again.status_code == 201
        assert "Idempotency-Replayed" not in again
        assert again.json() != first.json()
        assert probe({"number": 5}).content == again.content

    def test_the_purge_deletes_what_is_older(self, probe):
        probe()
        probe(headers={"Idempotency-Key": "order-2"})
        IdempotencyRecord.all_orgs.filter(key="order-1").update(created_at=now() - timedelta(hours=25))
        assert purge_idempotency_records() == 1
        assert IdempotencyRecord.all_orgs.get().key == "order-2"


class TestConcurrently:
    @pytest.mark.django_db(transaction=True)
    def test_ten_threads_make_one_row(self, transactional_db, probe):
        answers: list[Any] = []
        ready = threading.Barrier(10)

        def send() -> None:
            try:
                ready.wait()
                answers.append(probe({"number": 7}))
            finally:
                connections.close_all()

        threads = [threading.Thread(target=send) for _ in range(10)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert [answer.status_code for answer in answers] == [201] * 10
        assert len({answer.content for answer in answers}) == 1
        assert sum("Idempotency-Replayed" in answer for answer in answers) == 9
        assert keys() == 1

    @pytest.mark.django_db(transaction=True)
    def test_a_first_that_takes_too_long_is_a_conflict(self, transactional_db, probe, settings, org):
        settings.IDEMPOTENCY_WAIT_SECONDS = 0.1
        first = probe()
        with system_scope("tests"):
            actor_key = IdempotencyRecord.all_orgs.get().actor_key
            IdempotencyRecord.all_orgs.all().delete()
        answers: list[Any] = []

        def send() -> None:
            try:
                answers.append(probe())
            finally:
                connections.close_all()

        with org_scope(org), connection.cursor() as cursor:
            cursor.execute(
                "INSERT INTO api_idempotencyrecord (org_id, actor_key, key, fingerprint, status, headers, body,"
                " row_version, created_at, updated_at) VALUES (%s, %s, 'order-1', '', 0, '{}', '', 1, now(), now())",
                [org.pk, actor_key],
            )
            thread = threading.Thread(target=send)
            thread.start()
            thread.join()
        assert first.status_code == 201
        assert answers[0].status_code == 409
        assert "still running" in answers[0].json()["error"]
        assert keys() == 1
