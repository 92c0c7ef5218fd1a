"""Configuration over REST: what holds, setting, going back, history, schema; refusals change nothing."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.utils.timezone import now

from flowledger.configuration.models import ConfigValue
from flowledger.tenancy.actors import Role
from flowledger.tenancy.models import Organization
from tests.client import ApiClient
from tests.queries import counted_queries

pytestmark = pytest.mark.django_db

LINK = "/api/workstream/config"
HOURS = {"rule_type": "sla_rule", "key": "untouched_hours", "reason": "We are slower."}


@pytest.fixture
def as_admin(client_for: Any) -> ApiClient:
    client: ApiClient = client_for(Role.ADMIN)
    return client


def entry(client: ApiClient, key: str = "untouched_hours") -> dict[str, Any]:
    (found,) = client.get(f"{LINK}?rule_type=sla_rule&key={key}").json()["data"]
    return dict(found)


class TestRead:
    def test_shows_every_key_with_its_default(self, client_for: Any):
        data = client_for(Role.VIEWER).get(LINK).json()["data"]

        assert {(one["rule_type"], one["key"]) for one in data} >= {
            ("sla_rule", "untouched_hours"),
            ("gate_rule", "requirements"),
            ("ranking_rule", "today"),
        }
        assert {(one["source"], one["version"], one["latest_version"]) for one in data} == {("default", 0, 0)}
        assert next(one for one in data if one["key"] == "untouched_hours")["value"] == 72

    def test_filters_by_type_and_key(self, as_admin: ApiClient):
        assert {one["rule_type"] for one in as_admin.get(f"{LINK}?rule_type=gate_rule").json()["data"]} == {"gate_rule"}
        assert entry(as_admin)["key"] == "untouched_hours"

    @pytest.mark.parametrize("query", ["rule_type=money", "kye=x"])
    def test_refuses_what_it_does_not_know(self, as_admin: ApiClient, query: str):
        assert as_admin.get(f"{LINK}?{query}").status_code == 400

    def test_asks_the_database_twice_however_much_is_set(self, as_admin: ApiClient):
        as_admin.post(LINK, {**HOURS, "value": 48})
        as_admin.post(LINK, {**HOURS, "key": "response_hours", "value": 48})
        with counted_queries() as statements:
            as_admin.get(LINK)
        asked = [statement for statement in statements if "configuration_config" in statement]
        assert len(asked) == 2, statements

    def test_the_schema_of_every_key(self, client_for: Any):
        data = client_for(Role.VIEWER).get(f"{LINK}/schema").json()["data"]
        (hours,) = [one for one in data if one["key"] == "untouched_hours"]

        assert hours["schema"] == {"type": "integer", "minimum": 1, "maximum": 8760}
        assert hours["default"] == 72
        assert "amber" in hours["help"]


class TestSet:
    def test_answers_with_how_the_key_stands(self, as_admin: ApiClient):
        answer = as_admin.post(LINK, {**HOURS, "value": 48})

        assert answer.status_code == 201
        body = answer.json()
        assert (body["value"], body["source"], body["version"], body["latest_version"]) == (48, "organisation", 1, 1)
        assert (body["reason"], body["effective_to"], body["planned"]) == ("We are slower.", None, [])
        assert body == entry(as_admin)

    def test_a_planned_value_is_shown_beside_what_holds(self, as_admin: ApiClient):
        start = (now() + timedelta(days=1)).replace(microsecond=0)
        body = as_admin.post(LINK, {**HOURS, "value": 48, "effective_from": start.isoformat()}).json()

        assert (body["value"], body["version"], body["latest_version"]) == (72, 0, 1)
        assert [(one["value"], one["version"], one["effective_from"]) for one in body["planned"]] == [
            (48, 1, start.isoformat().replace("+00:00", "Z"))
        ]

    @pytest.mark.parametrize(
        ("given", "status", "field"),
        [
            ({"value": "48"}, 400, "value"),
            ({"value": None}, 400, "value"),
            ({"key": "requirements", "rule_type": "gate_rule", "value": {"red": ["luck"]}}, 400, "value.red.0"),
            ({"value": 48, "reason": ""}, 400, "reason"),
            ({"value": 48, "effective_from": "2020-01-01T00:00:00Z"}, 400, "effective_from"),
            ({"value": 48, "effective_to": "2020-01-01T00:00:00Z"}, 400, "effective_to"),
            ({"value": 48, "rule_type": "money"}, 400, "rule_type"),
            ({"value": 48, "surplus": 1}, 400, "surplus"),
            ({"value": 48, "key": "nothing"}, 404, None),
            ({"value": 48, "expected_version": 3}, 409, None),
        ],
    )
    def test_a_refusal_names_the_field_and_changes_nothing(
        self, org: Organization, as_admin: ApiClient, given: dict[str, Any], status: int, field: str | None
    ):
        answer = as_admin.post(LINK, {**HOURS, **given})

        assert answer.status_code == status, answer.json()
        assert field is None or field in answer.json()["fields"]
        assert not ConfigValue.all_orgs.filter(org=org).exists()

    def test_two_people_who_read_the_same_version(self, as_admin: ApiClient):
        seen = entry(as_admin)["latest_version"]
        first = as_admin.post(LINK, {**HOURS, "value": 48, "expected_version": seen})
        second = as_admin.post(LINK, {**HOURS, "value": 24, "expected_version": seen})

        assert (first.status_code, second.status_code) == (201, 409)
        assert second.json()["current_version"] == 1
        assert entry(as_admin)["value"] == 48


class TestGoBack:
    def test_to_the_default(self, as_admin: ApiClient):
        as_admin.post(LINK, {**HOURS, "value": 48})
        body = as_admin.post(f"{LINK}/reset", HOURS).json()

        assert (body["value"], body["source"], body["version"], body["latest_version"]) == (72, "default", 0, 2)

    def test_to_an_earlier_version(self, as_admin: ApiClient):
        for hours in (48, 24):
            as_admin.post(LINK, {**HOURS, "value": hours})
        answer = as_admin.post(f"{LINK}/rollback", {**HOURS, "to_version": 1})

        assert (answer.status_code, answer.json()["value"], answer.json()["version"]) == (201, 48, 3)

    def test_there_must_be_such_a_version(self, as_admin: ApiClient):
        assert as_admin.post(f"{LINK}/rollback", {**HOURS, "to_version": 1}).status_code == 404
        assert as_admin.post(f"{LINK}/reset", HOURS).status_code == 409


class TestHistory:
    def test_newest_first_with_differences(self, as_admin: ApiClient):
        as_admin.post(LINK, {**HOURS, "value": 48})
        as_admin.post(LINK, {**HOURS, "key": "response_hours", "value": 10})
        as_admin.post(LINK, {**HOURS, "value": 24})
        page = as_admin.get(f"{LINK}/history?rule_type=sla_rule&key=untouched_hours").json()

        assert page["pagination"]["total"] == 2
        assert [(one["version"], one["before"], one["after"], one["differences"]) for one in page["data"]] == [
            (2, 48, 24, [{"path": "value", "before": 48, "after": 24}]),
            (1, 72, 48, [{"path": "value", "before": 72, "after": 48}]),
        ]
        assert page["data"][0]["changed_by"].startswith("admin-")
        assert page["data"][1]["effective_to"] == page["data"][0]["effective_from"]

    def test_a_page_costs_the_same_however_long_it_is(self, as_admin: ApiClient):
        counts = []
        for hours in (48, 24, 12):
            as_admin.post(LINK, {**HOURS, "value": hours})
            with counted_queries() as statements:
                as_admin.get(f"{LINK}/history")
            counts.append(len(statements))
        assert len(set(counts)) == 1, counts
