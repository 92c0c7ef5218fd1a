"""Columns of the boards: which there are, what they count and add up, and what a card shows."""

from __future__ import annotations

from datetime import date
from decimal import Decimal

import pytest

from tests.queries import counted_queries
from tests.workstream.boards import CANDIDATES, PURSUITS, breach, columns, ids, rank, warn
from tests.workstream.conftest import actor_of
from tests.workstream.factories import (
    AT,
    CLERK,
    CandidateFactory,
    ClientFactory,
    PursuitFactory,
    TagFactory,
    open_candidate,
    open_pursuit,
)
from workstream import services
from workstream.machines import PursuitStage
from workstream.models import Candidate, CandidateTag, Pursuit
from workstream.models.today import Badge, Tier

pytestmark = pytest.mark.django_db


class TestColumns:
    def test_are_the_open_states_in_the_order_of_the_machine(self, org, as_viewer):
        assert list(columns(as_viewer.get(CANDIDATES))) == ["new", "triaged", "nurture", "on_hold"]
        assert list(columns(as_viewer.get(PURSUITS))) == ["qual", "pink", "red", "submit"]

    def test_include_the_closed_ones_when_asked(self, org, as_viewer):
        candidates = columns(as_viewer.get(f"{CANDIDATES}?closed=true"))
        pursuits = columns(as_viewer.get(f"{PURSUITS}?closed=true"))

        assert list(candidates) == ["new", "triaged", "nurture", "on_hold", "promoted", "archived"]
        assert list(pursuits) == ["qual", "pink", "red", "submit", "won", "lost"]
        assert [name for name, column in pursuits.items() if column["is_closed"]] == ["won", "lost"]

    def test_say_where_their_cards_may_go(self, org, as_viewer):
        found = columns(as_viewer.get(f"{PURSUITS}?closed=true"))

        assert {name: column["allowed_transitions"] for name, column in found.items()} == {
            "qual": ["pink"],
            "pink": ["qual", "red"],
            "red": ["pink", "submit"],
            "submit": ["lost", "won"],
            "won": [],
            "lost": [],
        }
        assert found["pink"]["label"] == "Pink review"

    def test_can_be_asked_for_by_name(self, org, as_viewer):
        assert list(columns(as_viewer.get(f"{CANDIDATES}?column=archived,new"))) == ["new", "archived"]


class TestCounts:
    def test_are_those_of_the_whole_column_by_currency(self, org, as_viewer):
        for value, currency in (("100.50", "USD"), ("200", "USD"), ("300", "EUR"), (None, "GBP")):
            CandidateFactory(org=org, estimated_value=value and Decimal(value), currency=currency)
        CandidateFactory(org=org, status="triaged", estimated_value=Decimal("7"))

        column = columns(as_viewer.get(f"{CANDIDATES}?limit=1"))["new"]

        assert column["count"] == 4
        assert len(column["cards"]) == 1
        assert column["sums"] == [
            {"currency": "EUR", "value": "300.00", "weighted_value": None},
            {"currency": "USD", "value": "300.50", "weighted_value": None},
        ]

    def test_weigh_pursuits_by_probability(self, org, as_viewer):
        PursuitFactory(org=org, forecast_value=Decimal("1000.33"), probability=Decimal("0.35"))
        PursuitFactory(org=org, forecast_value=Decimal("10"), probability=Decimal("0.5"))

        column = columns(as_viewer.get(PURSUITS))["qual"]

        # 1000.33 × 0.35 + 10 × 0.5 = 355.1155
        assert column["sums"] == [{"currency": "USD", "value": "1010.33", "weighted_value": "355.12"}]

    @pytest.mark.parametrize("query", ["", "?value_min=0"])
    def test_follow_a_move_at_once(self, org, as_viewer, query):
        candidate = open_candidate(org, estimated_value=Decimal("500"))
        before = columns(as_viewer.get(CANDIDATES + query))
        services.triage_candidate(org=org, candidate_id=candidate.pk, actor=CLERK, at=AT)
        after = columns(as_viewer.get(CANDIDATES + query))

        assert [before[state]["count"] for state in ("new", "triaged")] == [1, 0]
        assert [after[state]["count"] for state in ("new", "triaged")] == [0, 1]
        assert before["new"]["sums"] == after["triaged"]["sums"]
        assert after["new"]["sums"] == []
        assert ids(after["triaged"]) == [candidate.pk]

    def test_know_nothing_of_other_organisations(self, org, other_org, as_viewer):
        CandidateFactory(org=other_org, estimated_value=Decimal("5"))

        for query in ("", "?value_min=0"):
            column = columns(as_viewer.get(CANDIDATES + query))["new"]
            assert (column["count"], column["sums"], column["cards"]) == (0, [], [])


class TestFilters:
    @pytest.fixture
    def three(self, org, rep):
        """A rich one of the representative's, a tagged one of a client's, and a plain one."""
        client = ClientFactory(org=org, name="Harbour Works")
        mine = CandidateFactory(org=org, owner=rep.user, estimated_value=Decimal("900"), title="Crane refit")
        theirs = CandidateFactory(org=org, client=client, estimated_value=Decimal("100"), title="Quay survey")
        CandidateTag.all_orgs.create(org=org, candidate=theirs, tag=TagFactory(org=org, name="Hot"))
        plain = CandidateFactory(org=org, title="Lock gates")
        return {"mine": mine, "theirs": theirs, "plain": plain, "client": client, "owner": rep.user}

    @pytest.mark.parametrize(
        ("query", "expected"),
        [
            ("owner_user_id={owner}", ["mine"]),
            ("owner_user_id=none", ["theirs", "plain"]),
            ("mine=true", ["mine"]),
            ("mine=false", ["mine", "theirs", "plain"]),
            ("client_id={client}", ["theirs"]),
            ("tag=hot", ["theirs"]),
            ("value_min=500", ["mine"]),
            ("value_max=500", ["theirs"]),
            ("value_min=50&value_max=950", ["mine", "theirs"]),
            ("q=quay", ["theirs"]),
            ("badge=green", ["mine", "theirs", "plain"]),
            ("badge=red,amber", []),
        ],
    )
    def test_hold_for_cards_counts_and_sums(self, org, three, as_rep, query, expected):
        keys = {"owner": three["owner"].pk, "client": three["client"].pk}
        answer = as_rep.get(f"{CANDIDATES}?{query.format(**keys)}")
        column = columns(answer)["new"]
        wanted = [three[name] for name in expected]

        assert sorted(ids(column)) == [candidate.pk for candidate in wanted]
        assert column["count"] == len(wanted)
        worth = sum((c.estimated_value for c in wanted if c.estimated_value is not None), Decimal(0))
        assert column["sums"] == (
            [{"currency": "USD", "value": f"{worth:.2f}", "weighted_value": None}] if worth else []
        )
        assert answer.json()["counts_are_lower_bounds"] is False

    def test_by_badge_read_the_clocks(self, org, as_viewer):
        calm, warned, broken = CandidateFactory.create_batch(3, org=org)
        warn(warned)
        breach(broken)

        for badge, item in (("green", calm), ("amber", warned), ("red", broken)):
            column = columns(as_viewer.get(f"{CANDIDATES}?badge={badge}"))["new"]
            assert (ids(column), column["count"]) == ([item.pk], 1)
            assert column["cards"][0]["badge"] == badge
        assert columns(as_viewer.get(f"{CANDIDATES}?badge=red&badge=amber"))["new"]["count"] == 2

    @pytest.mark.parametrize("query", ["limit=0", "limit=x", "column=pink", "order=title", "page=2", "typo=1"])
    def test_that_mean_nothing_are_refused(self, org, as_viewer, query):
        answer = as_viewer.get(f"{CANDIDATES}?{query}")

        assert answer.status_code == 400
        assert list(answer.json()["fields"]) == [query.split("=")[0]]

    def test_of_mine_find_nothing_for_a_key(self, org, client_for):
        CandidateFactory(org=org)
        as_key = client_for(["workstream:read"])

        assert columns(as_key.get(f"{CANDIDATES}?mine=true"))["new"]["count"] == 0
        assert columns(as_key.get(CANDIDATES))["new"]["count"] == 1

    def test_by_words_say_when_the_search_stopped(self, org, as_viewer, monkeypatch):
        monkeypatch.setattr("workstream.api.views.board.ALL_MATCHES", 2)
        CandidateFactory.create_batch(3, org=org, title="Quay survey")

        answer = as_viewer.get(f"{CANDIDATES}?q=quay")

        assert answer.json()["counts_are_lower_bounds"] is True
        assert columns(answer)["new"]["count"] == 2


class TestCards:
    def test_of_a_pursuit_show_what_it_is_judged_by(self, org, rep, as_viewer):
        pursuit = open_pursuit(
            org,
            stage=PursuitStage.RED,
            owner=rep.user,
            estimated_value=Decimal("48000"),
            confidence=Decimal("0.6"),
            title="Press line",
        )
        services.update_pursuit(
            org=org,
            pursuit_id=pursuit.pk,
            fields={"due_date": date(2026, 4, 1)},
            tags=["Press"],
            actor=actor_of(rep),
            at=AT,
        )
        Candidate.all_orgs.filter(pk=pursuit.candidate_id).update(icp_band="high")
        rank(Pursuit.all_orgs.get(pk=pursuit.pk), badge=Badge.GREEN, tier=Tier.URGENT)
        warn(pursuit)

        (card,) = columns(as_viewer.get(PURSUITS))["red"]["cards"]

        assert card.pop("days_since_touch") >= 0
        assert card.pop("last_touch_at") == "2026-03-02T09:00:00Z"
        assert card == {
            "item_id": pursuit.pk,
            "label": "Press line",
            "client_id": pursuit.client_id,
            "client_name": pursuit.client.name,
            "value": "48000.00",
            "currency": "USD",
            "probability": 0.6,
            "owner_user_id": rep.user_id,
            "owner_name": "rita",
            # The clock, not the panel's stored row, which has not seen the warning yet.
            "badge": "amber",
            "priority_tier": "urgent",
            "checklist": {
                "pink": {"done": 0, "required": 4, "percent": 0},
                "red": {"done": 0, "required": 4, "percent": 0},
            },
            "icp_band": "high",
            "value_band": "med",
            "due_date": "2026-04-01",
            "tags": ["Press"],
            "row_version": Pursuit.all_orgs.get(pk=pursuit.pk).row_version,
        }

    def test_of_a_candidate_have_no_checklist_and_no_probability(self, org, as_viewer):
        CandidateFactory(org=org, client=None)

        (card,) = columns(as_viewer.get(CANDIDATES))["new"]["cards"]

        assert [card[name] for name in ("checklist", "probability", "client_name", "priority_tier", "owner_name")] == [
            None
        ] * 5


class TestCost:
    @pytest.mark.parametrize("path", [CANDIDATES, PURSUITS])
    @pytest.mark.parametrize("query", ["", "?order=due_date", "?closed=true", "?value_min=1&closed=true"])
    def test_is_the_same_for_few_and_many_rows_and_columns(self, org, as_viewer, path, query):
        def fill(count: int) -> None:
            for number in range(count):
                candidate = CandidateFactory(org=org, estimated_value=5)
                triaged = CandidateFactory(org=org, status="triaged", estimated_value=5)
                pursuit = PursuitFactory(org=org, candidate=CandidateFactory(org=org, estimated_value=5))
                PursuitFactory(org=org, candidate=candidate, stage="pink")
                for item in (triaged, pursuit) if number % 2 else ():
                    rank(item)
                    warn(item)

        fill(2)
        with counted_queries() as few:
            shown = columns(as_viewer.get(path + query))
        assert sum(len(column["cards"]) for column in shown.values()) >= 4
        fill(10)
        with counted_queries() as many:
            columns(as_viewer.get(path + query))

        # The caller; totals; the panel's order; what is beside it; closed columns; cards.
        assert len(many) == len(few)
        assert 0 < len(many) <= 6, "\n".join(many)
