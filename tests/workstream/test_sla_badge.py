"""The badge of candidates and pursuits in every representation, and its part in their ETags."""

from __future__ import annotations

import pytest

from tests.queries import counted_queries
from tests.workstream.boards import breach, warn
from tests.workstream.factories import AT, CandidateFactory, PursuitFactory
from workstream.models import SlaBreach, SlaClock

pytestmark = pytest.mark.django_db

KINDS = {"candidates": CandidateFactory, "pursuits": PursuitFactory}


@pytest.fixture(params=KINDS)
def kind(request) -> str:
    return request.param


class TestBadge:
    def test_is_red_in_breach_amber_when_warned_else_green(self, org, as_viewer, kind):
        calm, warned, broken, both = KINDS[kind].create_batch(4, org=org)
        warn(warned)
        breach(broken)
        warn(both)
        breach(both)

        listed = {row["title"]: row["sla_badge"] for row in as_viewer.get(f"/api/{kind}").json()["data"]}

        expected = {calm: "green", warned: "amber", broken: "red", both: "red"}
        assert listed == {item.title: badge for item, badge in expected.items()}
        for item, badge in expected.items():
            assert as_viewer.get(f"/api/{kind}/{item.pk}").json()["sla_badge"] == badge

    def test_looks_at_running_clocks_and_open_breaches_only(self, org, as_viewer, kind):
        item = KINDS[kind](org=org)
        warn(item)
        breach(item)
        SlaBreach.all_orgs.filter(org=org).update(resolved_at=AT)
        SlaClock.all_orgs.filter(org=org).update(stopped_at=AT, outcome="met")

        assert as_viewer.get(f"/api/{kind}/{item.pk}").json()["sla_badge"] == "green"

    def test_is_in_the_answer_to_a_verb(self, org, as_manager, kind):
        item = KINDS[kind](org=org)
        breach(item)
        path = f"/api/{kind}/{item.pk}"

        answer = as_manager.patch(path, {"title": "Another"}, content_type="application/json")

        assert answer.json()["sla_badge"] == "red"
        assert answer.headers["ETag"] == as_manager.get(path).headers["ETag"]

    def test_costs_a_list_no_statement_per_row(self, org, as_viewer, kind):
        def cost(count: int) -> int:
            for item in KINDS[kind].create_batch(count, org=org):
                warn(item)
            with counted_queries() as asked:
                as_viewer.get(f"/api/{kind}")
            return len(asked)

        assert cost(2) == cost(20)


class TestETag:
    def test_changes_with_the_badge(self, org, as_viewer, kind):
        item = KINDS[kind](org=org)
        path = f"/api/{kind}/{item.pk}"
        green = as_viewer.get(path).headers["ETag"]
        assert as_viewer.get(path, headers={"If-None-Match": green}).status_code == 304

        warn(item)
        amber = as_viewer.get(path, headers={"If-None-Match": green})

        assert (amber.status_code, amber.json()["sla_badge"]) == (200, "amber")
        assert as_viewer.get(path, headers={"If-None-Match": amber.headers["ETag"]}).status_code == 304

    def test_does_not_hold_up_a_change_decided_on_before(self, org, as_manager, kind):
        item = KINDS[kind](org=org)
        path = f"/api/{kind}/{item.pk}"
        green = as_manager.get(path).headers["ETag"]
        warn(item)
        amber = as_manager.get(path).headers["ETag"]

        def rename(title: str, etag: str) -> int:
            answer = as_manager.patch(
                path, {"title": title}, content_type="application/json", headers={"If-Match": etag}
            )
            return answer.status_code

        assert rename("One", green) == 200
        assert rename("Two", amber) == 412
        assert rename("Two", as_manager.get(path).headers["ETag"]) == 200
