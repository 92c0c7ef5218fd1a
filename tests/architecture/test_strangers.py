"""The stranger test: every endpoint and method, called by everybody."""

from __future__ import annotations

import json
from collections import Counter
from typing import Any

import pytest
from django.db import transaction
from django.utils.timezone import now

from flowledger.tenancy.actors import Role
from flowledger.tenancy.models import ApiKey, Membership, Organization, User
from flowledger.tenancy.scope import system_scope
from tests.architecture import (
    endpoints,
    import_endpoints,
    intake_endpoints,
    memory_endpoints,
    merge_endpoints,
    pipeline_endpoints,
    source_endpoints,
    spotlight_endpoints,
)
from tests.architecture.endpoints import CALLERS, Endpoint, World, routes
from tests.client import ApiClient, bearer

TABLES = (
    pipeline_endpoints,
    intake_endpoints,
    source_endpoints,
    import_endpoints,
    merge_endpoints,
    spotlight_endpoints,
    memory_endpoints,
)
ENDPOINTS = [*endpoints.ENDPOINTS, *(row for table in TABLES for row in table.ENDPOINTS)]
for table in TABLES:
    endpoints.BUILDERS.update(table.BUILDERS)


@pytest.fixture(autouse=True)
def no_limits(settings: Any) -> None:
    settings.API_THROTTLES = dict.fromkeys(settings.API_THROTTLES, 0)
    settings.OUTBOX_WAKE = False
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]


class TestTable:
    def test_lists_every_endpoint_once(self):
        listed = Counter(endpoint.route for endpoint in ENDPOINTS)
        answered = set(routes())
        assert sorted(answered - set(listed)) == [], "add these to tests/architecture/endpoints.py"
        assert sorted(set(listed) - answered) == [], "these are answered no more"
        assert [route for route, count in listed.items() if count > 1] == []


@pytest.mark.django_db
class TestCallers:
    @pytest.mark.parametrize("endpoint", ENDPOINTS, ids=lambda endpoint: f"{endpoint.method} {endpoint.path}")
    def test_get_what_the_table_says(self, endpoint: Endpoint) -> None:
        with system_scope("tests"):
            home = Organization.objects.create(name="Home")
            away = Organization.objects.create(name="Away")
            clients = {caller: _client(caller, home, away) for caller in CALLERS}
            world = World(home)
            path = world.address(endpoint)
            body = endpoint.body(world) if callable(endpoint.body) else endpoint.body
            answers = {caller: _call(client, endpoint.method, path, body) for caller, client in clients.items()}
        found = {caller: answer.status_code for caller, answer in answers.items()}
        assert found == {caller: endpoint.expected(caller) for caller in CALLERS}, _bodies(answers)
        assert f'"org_id":{home.pk},' not in _compact(answers["stranger"])


def _client(caller: str, home: Organization, away: Organization) -> ApiClient:
    if caller == "anonymous":
        return ApiClient()
    if caller == "key":
        key = ApiKey(org=home, name="no scope", role=Role.ADMIN, scopes=["nothing:write"], last_used_at=now())
        secret = key.renew_secret()
        key.save()
        return ApiClient(f"Api-Key {key.text_for(secret)}")
    user = User.objects.create(username=caller, password="!")
    org, role = (away, Role.ADMIN) if caller == "stranger" else (home, Role(caller))
    return ApiClient(bearer(Membership.all_orgs.create(org=org, user=user, role=role)))


def _call(client: ApiClient, method: str, path: str, body: Any) -> Any:
    """Each caller finds the world as it was: what one did is undone before the next."""
    with transaction.atomic():
        data = json.dumps(body) if body is not None else ""
        content_type = "application/json"
        answer = client.generic(method, path, data, content_type) if method != "GET" else client.get(path)
        transaction.set_rollback(True)
    return answer


def _compact(answer: Any) -> str:
    if not answer.headers.get("Content-Type", "").startswith("application/json"):
        return ""
    return json.dumps(json.loads(answer.content), separators=(",", ":")) + ","


def _bodies(answers: dict[str, Any]) -> str:
    return "; ".join(f"{caller}: {answer.content[:200]!r}" for caller, answer in answers.items())
