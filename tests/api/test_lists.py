"""Lists: pages, cursors over ties and NULLs, totals, order, filters, and how many queries they cost."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from flowledger.api import keyset, pagination
from flowledger.outbox.models import WorkEvent
from flowledger.tenancy.actors import Origin, Role
from flowledger.tenancy.models import ApiKey
from tests.client import ApiClient

pytestmark = pytest.mark.django_db
START = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.fixture
def admin(client_for: Any) -> ApiClient:
    return client_for(Role.ADMIN)


def make_keys(org: Any, count: int, **columns: Any) -> list[ApiKey]:
    return ApiKey.all_orgs.bulk_create(
        ApiKey(
            org=org,
            name=columns.get("name", lambda n: f"key {n:05}")(n),
            last_used_at=columns.get("last_used_at", lambda n: None)(n),
            scopes=["signals:read"],
            secret_sha256="0" * 64,
        )
        for n in range(count)
    )


def read_all(client: ApiClient, path: str, limit: int) -> list[dict[str, Any]]:
    """Everything, by cursor; asserts that no page is larger than asked and that pages are numbered."""
    rows: list[dict[str, Any]] = []
    cursor, number = "", 0
    while True:
        number += 1
        joiner = "&" if "?" in path else "?"
        body = client.get(f"{path}{joiner}limit={limit}" + (f"&cursor={cursor}" if cursor else "")).json()
        assert len(body["data"]) <= limit
        assert body["pagination"]["page"] == number
        rows += body["data"]
        cursor = body["pagination"]["next_cursor"]
        if cursor is None:
            return rows


class TestPages:
    def test_the_envelope(self, org, admin):
        make_keys(org, 3)
        body = admin.get("/api/api-keys?limit=2").json()
        assert len(body["data"]) == 2
        cursor = body["pagination"].pop("next_cursor")
        assert body["pagination"] == {"page": 1, "limit": 2, "total": 3}
        assert cursor
        last = admin.get("/api/api-keys?limit=2&page=2").json()
        assert last["pagination"] == {"page": 2, "limit": 2, "total": 3, "next_cursor": None}

    def test_the_default_and_the_largest_limit(self, org, admin):
        make_keys(org, 201)
        assert len(admin.get("/api/api-keys").json()["data"]) == 50
        body = admin.get("/api/api-keys?limit=100000").json()
        assert (len(body["data"]), body["pagination"]["limit"]) == (200, 200)

    def test_beyond_the_end_is_empty(self, org, admin):
        make_keys(org, 3)
        body = admin.get("/api/api-keys?page=1000").json()
        assert body["data"] == []
        assert body["pagination"] == {"page": 1000, "limit": 50, "total": 3, "next_cursor": None}

    def test_totals_are_exact_to_the_limit_then_estimated(self, org, admin, monkeypatch):
        make_keys(org, 30)
        monkeypatch.setattr(pagination, "EXACT_TOTAL", 30)
        assert admin.get("/api/api-keys?limit=5").json()["pagination"]["total"] == 30
        assert "total_is_estimate" not in admin.get("/api/api-keys?limit=5").json()["pagination"]
        monkeypatch.setattr(pagination, "EXACT_TOTAL", 20)
        found = admin.get("/api/api-keys?limit=5").json()["pagination"]
        assert found["total_is_estimate"] is True
        assert found["total"] >= 21
        following = admin.get(f"/api/api-keys?limit=5&cursor={found['next_cursor']}").json()["pagination"]
        assert (following["total"], following["total_is_estimate"], following["page"]) == (found["total"], True, 2)

    def test_other_organisations_are_not_counted(self, org, other_org, admin):
        make_keys(org, 2)
        make_keys(other_org, 60)
        assert admin.get("/api/api-keys").json()["pagination"]["total"] == 2


class TestCursor:
    @pytest.mark.parametrize(
        "ordering",
        [
            "",
            "name",
            "-name",
            "last_used_at",
            "-last_used_at",
            "name,-last_used_at",
            "-last_used_at,name",
            "last_used_at,name",
        ],
    )
    @pytest.mark.parametrize("limit", [1, 4, 7])
    def test_reads_every_row_once_in_the_order_of_the_pages(self, org, admin, ordering, limit):
        make_keys(
            org,
            23,
            name=lambda n: f"name {n % 4}",
            last_used_at=lambda n: None if n % 3 == 0 else START + timedelta(days=n % 5),
        )
        path = f"/api/api-keys?ordering={ordering}" if ordering else "/api/api-keys"
        whole = admin.get(f"{path}{'&' if ordering else '?'}limit=200").json()["data"]
        assert len(whole) == 23
        assert [row["api_key_id"] for row in read_all(admin, path, limit)] == [row["api_key_id"] for row in whole]

    def test_keeps_its_place_when_rows_come_and_go(self, org, admin):
        keys = make_keys(org, 10)
        first = admin.get("/api/api-keys?ordering=name&limit=4").json()
        make_keys(org, 3, name=lambda n: f"a {n}")
        ApiKey.all_orgs.filter(pk=keys[3].pk).delete()
        second = admin.get(f"/api/api-keys?ordering=name&limit=4&cursor={first['pagination']['next_cursor']}").json()
        assert [row["name"] for row in second["data"]] == [f"key {n:05}" for n in range(4, 8)]

    def test_keeps_microseconds(self, org, admin):
        make_keys(org, 6, last_used_at=lambda n: START + timedelta(microseconds=n))
        rows = read_all(admin, "/api/api-keys?ordering=last_used_at", 1)
        assert [row["name"] for row in rows] == [f"key {n:05}" for n in range(6)]

    def test_belongs_to_one_question(self, org, other_org, admin, client_for):
        make_keys(org, 5)
        make_keys(other_org, 5)
        cursor = admin.get("/api/api-keys?limit=2").json()["pagination"]["next_cursor"]
        for query in (f"cursor={cursor}&ordering=name", f"cursor={cursor[:-2]}xx", f"cursor={cursor}&page=2"):
            answer = admin.get(f"/api/api-keys?limit=2&{query}")
            assert answer.status_code == 400
            assert "cursor" in answer.json()["fields"]
        stranger = client_for(Role.ADMIN, of=other_org).get(f"/api/api-keys?limit=50&cursor={cursor}")
        assert {row["org_id"] for row in stranger.json()["data"]} <= {other_org.pk}

    def test_plain_orders_use_one_row_comparison(self, org):
        rows = ApiKey.objects.for_org(org).order_by("-name", "-pk")
        columns = keyset.order_of(rows)
        (segment,) = keyset.segments_after(rows, columns, ["x", 5])
        assert '("tenancy_apikey"."name", "tenancy_apikey"."id") < (' in str(segment.query)

    def test_orders_that_cannot_be_continued_are_refused(self, org):
        for order in ("?",):
            with pytest.raises(TypeError):
                keyset.order_of(ApiKey.objects.for_org(org).order_by(order))


class TestFilters:
    @pytest.fixture
    def letters(self, org: Any) -> list[WorkEvent]:
        return WorkEvent.all_orgs.bulk_create(
            WorkEvent(
                org=org,
                event_name=("candidate.promoted", "pursuit.won")[n % 2],
                item_type=("candidate", "pursuit")[n % 2],
                item_id=n,
                payload={},
                actor_kind="system",
                actor_label="tests",
                origin=(Origin.API, Origin.USER, Origin.IMPORT)[n % 3],
                occurred_at=START,
                dead_letter_at=START + timedelta(minutes=n),
            )
            for n in range(12)
        )

    @pytest.mark.parametrize(
        ("query", "count"),
        [
            ("origin=api", 4),
            ("origin=api,user", 8),
            ("origin=api&origin=user", 8),
            ("origin=api,user&event_name=pursuit.won", 4),
            ("event_name=nothing.happened", 0),
            ("origin=", 12),
            ("event_name=%27%20OR%201=1--", 0),
        ],
    )
    def test_several_values_by_repetition_or_comma(self, admin, letters, query, count):
        body = admin.get(f"/api/outbox/dead-letters?{query}").json()
        assert (len(body["data"]), body["pagination"]["total"]) == (count, count)

    def test_unknown_choices_are_named(self, admin, letters):
        answer = admin.get("/api/outbox/dead-letters?origin=mars")
        assert answer.status_code == 400
        assert "api" in answer.json()["fields"]["origin"][0]

    @pytest.mark.parametrize("query", ["event_name=%00", "%00=1", "event_name=" + ",".join("x" * 201)])
    def test_values_that_cannot_be_searched_are_400(self, admin, query):
        assert admin.get(f"/api/outbox/dead-letters?{query}").status_code == 400

    def test_cursor_keeps_the_filter(self, admin, letters):
        rows = read_all(admin, "/api/outbox/dead-letters?origin=api,user", 3)
        assert [row["item_id"] for row in rows] == [10, 9, 7, 6, 4, 3, 1, 0]


class TestCost:
    def queries(self, client: ApiClient, path: str) -> int:
        with CaptureQueriesContext(
            connection,
        ) as captured:
            assert client.get(path).status_code == 200
        mine = [q["sql"] for q in captured if not q["sql"].startswith(("SAVEPOINT", "RELEASE", "SELECT set_config"))]
        return len(mine) - 1  # the membership

    def test_is_constant_in_rows(self, org, admin):
        make_keys(org, 3)
        few = self.queries(admin, "/api/api-keys?limit=2")
        make_keys(org, 100)
        assert self.queries(admin, "/api/api-keys?limit=2") == few == 2
        assert self.queries(admin, "/api/api-keys?limit=90") == 2
        assert self.queries(admin, "/api/api-keys?limit=200") == 1

    def test_of_an_object(self, org, admin):
        (key,) = make_keys(org, 1)
        assert self.queries(admin, f"/api/api-keys/{key.pk}") == 1
