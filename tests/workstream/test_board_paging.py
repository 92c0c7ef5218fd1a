"""The order of a column, reading it on by its cursor, and polling it by its ETag."""

from __future__ import annotations

from datetime import date, timedelta
from random import Random

import pytest

from tests.workstream.boards import CANDIDATES, PURSUITS, breach, columns, ids, rank, warn
from tests.workstream.factories import AT, CLERK, CandidateFactory, PursuitFactory, open_candidate
from workstream import services
from workstream.models import Candidate, TodayItem
from workstream.models.today import Badge, Tier

pytestmark = pytest.mark.django_db

DAY = date(2026, 4, 1)


def read_on(client, path: str, state: str, query: str = "", *, limit: int = 3) -> list[int]:
    """Every item of a column, page by page, beginning with the board itself."""
    column = columns(client.get(f"{path}?closed=true&limit={limit}{query}"))[state]
    found = ids(column)
    while column["next"]:
        assert len(column["cards"]) == limit
        answer = client.get(f"{path}?column={state}&cursor={column['next']}&limit={limit}{query}")
        assert list(columns(answer)) == [state]
        column = columns(answer)[state]
        found += ids(column)
    return found


class TestOrder:
    def test_is_the_panels_then_the_rest_by_due_date(self, org, as_viewer):
        make = lambda **fields: CandidateFactory(org=org, status="triaged", **fields)  # noqa: E731
        green, amber, urgent, red = make(), make(), make(), make()
        rank(green)
        rank(amber, badge=Badge.AMBER, tier=Tier.LOW, due=DAY)
        rank(urgent, badge=Badge.GREEN, tier=Tier.URGENT)
        rank(red, badge=Badge.RED, tier=Tier.MEDIUM)
        never, late, soon = make(), make(next_step_due=DAY + timedelta(days=9)), make(next_step_due=DAY)

        found = ids(columns(as_viewer.get(CANDIDATES))["triaged"])

        assert found == [item.pk for item in (red, amber, urgent, green, soon, late, never)]

    def test_by_due_date_leaves_the_panel_out(self, org, as_viewer):
        never = PursuitFactory(org=org, due_date=None)
        late = PursuitFactory(org=org, due_date=DAY + timedelta(days=1))
        soon = PursuitFactory(org=org, due_date=DAY)
        rank(late, badge=Badge.RED)

        assert ids(columns(as_viewer.get(f"{PURSUITS}?order=due_date"))["qual"]) == [soon.pk, late.pk, never.pk]
        assert ids(columns(as_viewer.get(PURSUITS))["qual"])[0] == late.pk

    def test_of_a_closed_column_has_the_latest_arrival_first(self, org, as_viewer):
        early = open_candidate(org, status="archived", at=AT)
        late = open_candidate(org, status="archived", at=AT + timedelta(days=1))

        assert ids(columns(as_viewer.get(f"{CANDIDATES}?closed=true"))["archived"]) == [late.pk, early.pk]

    def test_puts_an_item_where_it_is_though_the_panel_lags_behind(self, org, as_viewer):
        candidate = open_candidate(org, status="triaged")
        TodayItem.all_orgs.filter(candidate=candidate).delete()
        rank(candidate, badge=Badge.RED)
        services.nurture_candidate(org=org, candidate_id=candidate.pk, actor=CLERK, at=AT)

        found = columns(as_viewer.get(CANDIDATES))

        assert (ids(found["triaged"]), ids(found["nurture"])) == ([], [candidate.pk])

    def test_keeps_what_is_snoozed_on_the_panel(self, org, as_viewer):
        candidate = CandidateFactory(org=org, status="triaged")
        rank(candidate)
        TodayItem.all_orgs.filter(candidate=candidate).update(snoozed_until=AT)

        assert ids(columns(as_viewer.get(CANDIDATES))["triaged"]) == [candidate.pk]


class TestReadingOn:
    @pytest.mark.parametrize("query", ["", "&order=due_date", "&value_min=0"])
    def test_shows_every_item_once_in_the_order_of_the_whole_column(self, org, as_viewer, query):
        chance = Random(4)
        for number in range(23):
            due = None if number % 3 == 0 else DAY + timedelta(days=chance.randrange(4))
            candidate = CandidateFactory(org=org, status="triaged", next_step_due=due, estimated_value=1)
            if number % 4:
                rank(candidate, badge=Badge(chance.randrange(3)), tier=Tier(chance.randrange(4)), due=due)
        whole = columns(as_viewer.get(f"{CANDIDATES}?limit=100{query}"))["triaged"]
        assert (len(ids(whole)), whole["next"]) == (23, None)

        for limit in (1, 3, 23):
            assert read_on(as_viewer, CANDIDATES, "triaged", query, limit=limit) == ids(whole)

    def test_works_in_a_closed_column(self, org, as_viewer):
        made = [open_candidate(org, status="archived", at=AT + timedelta(hours=n // 2)) for n in range(7)]

        assert read_on(as_viewer, CANDIDATES, "archived") == [candidate.pk for candidate in reversed(made)]

    def test_goes_on_after_a_row_that_has_gone_meanwhile(self, org, as_viewer):
        made = [CandidateFactory(org=org, next_step_due=DAY + timedelta(days=n)) for n in range(4)]
        column = columns(as_viewer.get(f"{CANDIDATES}?limit=2"))["new"]
        services.triage_candidate(org=org, candidate_id=made[1].pk, actor=CLERK, at=AT)

        rest = columns(as_viewer.get(f"{CANDIDATES}?column=new&cursor={column['next']}"))["new"]

        assert ids(column) == [made[0].pk, made[1].pk]
        assert ids(rest) == [made[2].pk, made[3].pk]

    @pytest.mark.parametrize(
        ("query", "field"),
        [
            ("cursor={next}", "column"),
            ("column=new,triaged&cursor={next}", "column"),
            ("column=triaged&cursor={next}", "cursor"),
            ("column=new&cursor={next}&order=due_date", "cursor"),
            ("column=new&cursor={next}&value_min=1", "cursor"),
            ("column=new&cursor=nonsense", "cursor"),
        ],
    )
    def test_is_refused_for_a_cursor_of_another_question(self, org, as_viewer, query, field):
        CandidateFactory.create_batch(2, org=org)
        cursor = columns(as_viewer.get(f"{CANDIDATES}?limit=1"))["new"]["next"]

        answer = as_viewer.get(f"{CANDIDATES}?{query.format(next=cursor)}")

        assert answer.status_code == 400
        assert list(answer.json()["fields"]) == [field]

    def test_is_refused_on_the_other_board(self, org, as_viewer):
        CandidateFactory.create_batch(2, org=org)
        cursor = columns(as_viewer.get(f"{CANDIDATES}?limit=1"))["new"]["next"]

        assert as_viewer.get(f"{PURSUITS}?column=qual&cursor={cursor}").status_code == 400


class TestPolling:
    def poll(self, client, etag: str, query: str = ""):
        return client.get(CANDIDATES + query, headers={"If-None-Match": etag})

    def test_an_unchanged_board_answers_304(self, org, as_viewer):
        CandidateFactory(org=org)
        etag = as_viewer.get(CANDIDATES).headers["ETag"]

        answer = self.poll(as_viewer, etag)

        assert (answer.status_code, answer.content, answer.headers["ETag"]) == (304, b"", etag)

    @pytest.mark.parametrize(
        "change",
        [
            lambda c: services.triage_candidate(org=c.org, candidate_id=c.pk, actor=CLERK, at=AT),
            lambda c: services.update_candidate(
                org=c.org, candidate_id=c.pk, fields={"estimated_value": 7}, actor=CLERK, at=AT
            ),
            lambda c: services.update_candidate(
                org=c.org, candidate_id=c.pk, fields={}, tags=["Hot"], actor=CLERK, at=AT
            ),
            lambda c: type(c.client).all_orgs.filter(pk=c.client_id).update(name="Renamed"),
            lambda c: warn(c),
            lambda c: breach(c),
            lambda c: rank(c, tier=Tier.HIGH),
            lambda c: CandidateFactory(org=c.org, status="on_hold", hold_reason="Later"),
            lambda c: Candidate.all_orgs.filter(pk=c.pk).delete(),
        ],
        ids=["move", "value", "tag", "client", "warning", "breach", "rank", "another", "removal"],
    )
    def test_no_change_hides_behind_a_304(self, org, as_viewer, change):
        candidate = CandidateFactory(org=org)
        etag = as_viewer.get(CANDIDATES).headers["ETag"]

        change(candidate)
        answer = self.poll(as_viewer, etag)

        assert answer.status_code == 200
        assert answer.headers["ETag"] != etag

    def test_ages_are_no_change(self, org, as_viewer, monkeypatch):
        CandidateFactory(org=org)
        first = as_viewer.get(CANDIDATES)
        age = first.json()["columns"][0]["cards"][0]["days_since_touch"]
        monkeypatch.setattr("workstream.api.views.board.now", lambda: AT + timedelta(days=age + 40))

        assert self.poll(as_viewer, first.headers["ETag"]).status_code == 304
        assert as_viewer.get(CANDIDATES).json()["columns"][0]["cards"][0]["days_since_touch"] == age + 40

    def test_another_question_has_another_tag(self, org, as_viewer):
        CandidateFactory(org=org)
        etag = as_viewer.get(CANDIDATES).headers["ETag"]

        assert self.poll(as_viewer, etag, "?closed=true").status_code == 200
