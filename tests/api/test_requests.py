"""One request: its scope, its transaction, its request id, and the one shape of everything that can go wrong."""

from __future__ import annotations

import json
from typing import Any

import pytest
import structlog
from django.db import OperationalError, connection
from django.test import Client

from flowledger.tenancy.actors import Role
from flowledger.tenancy.models import ApiKey
from flowledger.tenancy.scope import system_scope
from tests.client import ApiClient

pytestmark = pytest.mark.django_db


@pytest.fixture
def probe(settings: Any, client_for: Any) -> Any:
    settings.ROOT_URLCONF = "tests.api.probes"
    client = client_for(Role.ADMIN)
    client.raise_request_exception = False
    return lambda how="", **more: client.post("/probe", {"how": how, **more.pop("body", {})}, **more)


def names() -> list[str]:
    return sorted(ApiKey.all_orgs.values_list("name", flat=True))


class TestTransaction:
    def test_success_commits(self, probe):
        assert probe().status_code == 201
        assert names() == ["probe "]

    def test_refusal_leaves_its_evidence_only(self, probe):
        assert probe("refuse").json() == {"error": "Refused.", "code": "conflict"}
        assert names() == ["evidence"]

    @pytest.mark.parametrize("how", ["fail", "unserialisable"])
    def test_failure_undoes_everything_and_tells_nothing(self, probe, how):
        answer = probe(how)
        assert answer.status_code == 500
        assert answer.json()["code"] == "internal_error"
        assert b"secret" not in answer.content
        assert b"Traceback" not in answer.content
        assert names() == []

    def test_what_the_database_refuses_is_a_400_and_undone(self, probe):
        answer = probe("database error")
        assert (answer.status_code, answer.json()["code"]) == (400, "validation_error")
        assert names() == []

    def test_the_scope_sees_one_organisation(self, probe, other_org, key_for, org):
        key_for(other_org)
        assert probe("cross").json()["seen"] == [org.pk]

    @pytest.mark.django_db(transaction=True)
    def test_a_failing_commit_is_answered_in_the_shape(self, transactional_db, probe):
        answer = probe("commit error")
        assert (answer.status_code, answer.json()["code"]) == (409, "conflict")
        with system_scope("tests"):
            assert names() == []


class TestStatedOrganisation:
    def test_the_same_is_accepted_everywhere(self, org, client_for, probe):
        assert probe(body={"org_id": org.pk}).status_code == 201
        assert probe(QUERY_STRING=f"org_id={org.pk}").status_code == 201

    def test_another_is_forbidden_and_changes_nothing(self, other_org, probe):
        assert probe(body={"org_id": other_org.pk}).status_code == 403
        assert probe(QUERY_STRING=f"org_id={other_org.pk}").status_code == 403
        assert probe(body={"org_id": [1]}).status_code == 403
        assert names() == []


class TestRequestId:
    def test_is_returned_as_given(self, client_for):
        answer = client_for(Role.REP).get("/api/me", headers={"X-Request-Id": "trace-1.a:b/c"})
        assert answer["X-Request-Id"] == "trace-1.a:b/c"

    @pytest.mark.parametrize("given", ["", "with space", "x" * 101, "né", "<script>"])
    def test_is_made_when_absent_or_unusable(self, given):
        answer = Client().get("/healthz", headers={"X-Request-Id": given})
        assert answer["X-Request-Id"] != given
        assert len(answer["X-Request-Id"]) == 32

    def test_is_on_errors_too(self):
        assert ApiClient().get("/api/nothing", headers={"X-Request-Id": "abc"})["X-Request-Id"] == "abc"


class TestLog:
    def test_the_line_of_a_request_says_who_and_how_long(self, client_for, org):
        client = client_for(Role.REP)
        with structlog.testing.capture_logs(processors=[structlog.contextvars.merge_contextvars]) as lines:
            client.get("/api/me", headers={"X-Request-Id": "abc"})
        (line,) = [line for line in lines if line["event"] == "request"]
        assert (line["request_id"], line["org_id"], line["method"], line["path"]) == ("abc", org.pk, "GET", "/api/me")
        assert (line["status"], line["actor"].split(":")[0]) == (200, "user")
        assert line["ms"] > 0


class TestErrorShape:
    def test_unknown_addresses(self, client_for):
        for path in (
            "/api/nothing",
            "/api/",
            "/api/api-keys/",
            "/api/api-keys/x",
            "/api/api-keys/99999999999999999999",
        ):
            answer = client_for(Role.ADMIN).get(path)
            assert answer.status_code == 404, path
            assert answer.json()["code"] == "not_found"

    def test_unknown_addresses_with_debug_pages_on(self, settings, client_for):
        settings.DEBUG = True
        assert client_for(Role.ADMIN).get("/api/nothing").json()["code"] == "not_found"

    def test_a_row_that_is_not_there(self, client_for):
        assert client_for(Role.ADMIN).get("/api/api-keys/9223372036854775807").status_code == 404

    def test_wrong_method(self, client_for):
        answer = client_for(Role.ADMIN).put("/api/api-keys", {}, content_type="application/json")
        assert (answer.status_code, answer.json()["code"]) == (405, "method_not_allowed")
        assert "GET" in answer["Allow"]
        assert client_for(Role.ADMIN).options("/api/me").status_code == 405

    @pytest.mark.parametrize("accept", ["text/html", "application/xml", "*/*", "nonsense"])
    def test_json_whatever_is_accepted(self, client_for, accept):
        for client in (client_for(Role.ADMIN), client_for(None)):
            assert client.get("/api/me", headers={"Accept": accept})["Content-Type"] == "application/json"

    @pytest.mark.parametrize(
        "raw",
        [
            b"{",
            b'{"how": "\\u0000"}',
            b'{"how": "\\ud800"}',
            b'{"number": NaN}',
            b'{"number": 1e999}',
            b'{"number": ' + b"9" * 5000 + b"}",
            b'{"attributes": ' + b"[" * 100 + b"]" * 100 + b"}",
            b'{"attributes": ' + b"[" * 100_000 + b"]" * 100_000 + b"}",
            b"\xff\xfe",
            b"[]",
            b'"text"',
            b"5",
            b"null",
            b'{"unknown": 1}',
            b'{"number": true, "how": {}}',
        ],
    )
    def test_bad_bodies_are_400(self, probe, client_for, raw):
        client = client_for(Role.ADMIN)
        answer = client.post("/probe", raw)
        assert answer.status_code == 400, answer.content
        assert answer.json()["code"] == "validation_error"
        assert answer.json()["fields"]
        assert names() == []

    def test_unknown_fields_are_named(self, probe):
        assert probe(body={"colour": 1}).json()["fields"] == {"colour": ["Unknown field."]}

    def test_other_media_types(self, client_for):
        answer = client_for(Role.ADMIN).post("/api/api-keys", "a=1", content_type="application/x-www-form-urlencoded")
        assert (answer.status_code, answer.json()["code"]) == (415, "unsupported_media_type")

    def test_too_large(self, client_for, settings):
        settings.DATA_UPLOAD_MAX_MEMORY_SIZE = 100
        answer = client_for(Role.ADMIN).post("/api/api-keys", {"name": "x" * 200})
        assert (answer.status_code, answer.json()["code"]) == (413, "too_large")

    @pytest.mark.parametrize(
        "query",
        [
            "page=0",
            "page=x",
            "page=-1",
            "page=1e3",
            "limit=0",
            "cursor=x",
            "colour=red",
            "ordering=secret_sha256",
            "page=99999999999999",
        ],
    )
    def test_bad_queries_are_400(self, client_for, query):
        answer = client_for(Role.ADMIN).get(f"/api/api-keys?{query}")
        assert answer.status_code == 400
        assert query.split("=")[0] in answer.json()["fields"]

    def test_existence_comes_before_validation(self, client_for):
        client = client_for(Role.ADMIN)
        for body in (b"{", {"unknown": 1}, {}):
            assert client.post("/api/outbox/dead-letters/77/discard", body).status_code == 404

    def test_a_database_that_is_gone_is_503(self, client_for):
        def gone(execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
            raise OperationalError("server closed the connection unexpectedly")

        client = client_for(Role.ADMIN)
        with connection.execute_wrapper(gone):
            answer = client.get("/api/me")
        assert (answer.status_code, answer.json()["code"]) == (503, "unavailable")
        assert answer["Retry-After"] == "5"

    def test_hosts_that_are_not_ours(self, settings):
        settings.ALLOWED_HOSTS = ["example.org"]
        answer = ApiClient().get("/api/me", headers={"Host": "evil.test"})
        assert answer.status_code == 400
        assert json.loads(answer.content)["code"] == "validation_error"


class TestCaching:
    def test_answers_belong_to_one_caller(self, client_for):
        answer = client_for(Role.ADMIN).get("/api/api-keys")
        assert answer["Cache-Control"] == "private, no-cache"
        assert "Authorization" in answer["Vary"]
        assert "ETag" not in answer
