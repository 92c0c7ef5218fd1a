"""Reading the Today panel: its order, filters and pages, why a row stands where it does, and what to do next."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from flowledger.errors import InvalidInput
from flowledger.tenancy.scope import org_scope
from tests.queries import counted_queries
from tests.workstream.conftest import actor_of
from tests.workstream.factories import (
    AT,
    CLERK,
    CandidateFactory,
    ClientFactory,
    open_candidate,
    open_pursuit,
)
from tests.workstream.panel import breach, counted, refresh, row_of, shown, version_of, warn
from tests.workstream.trail import newest_event, nothing_changes
from workstream import services
from workstream.models import Candidate, TodayItem
from workstream.models.sla import SlaMetric
from workstream.models.today import Badge, Tier
from workstream.reports.today import TodayFilters, panel, panel_header, today_page, today_version
from workstream.tasks import end_snoozes

pytestmark = pytest.mark.django_db

LATER = AT + timedelta(hours=1)
TODAY = "/api/workstream/today"
SNOOZE = "/api/workstream/today/snooze"
TOUCH, DUE, TRIAGE, PROPOSAL = SlaMetric.TOUCH, SlaMetric.DUE_DATE, SlaMetric.TRIAGE, SlaMetric.PROPOSAL


def fill(org: Any, number: int, **fields: Any) -> list[Candidate]:
    """Candidates on the panel, touched in the order of their making."""
    made = [
        CandidateFactory(org=org, status="triaged", last_touch_at=AT + timedelta(minutes=n), **fields)
        for n in range(number)
    ]
    refresh(*made)
    return made


def ids(rows: list[Any]) -> list[int]:
    return [row.item_id for row in rows]


def listed(answer: Any) -> list[int]:
    assert answer.status_code == 200, answer.content
    return [row["item_id"] for row in answer.json()["data"]]


class TestOrder:
    def test_badge_then_tier_then_due_date_then_oldest_touch(self, org):
        def candidate(**fields: Any) -> Candidate:
            return open_candidate(org, status="triaged", **fields)

        red = open_candidate(org, value_band="low")
        breach(red, TRIAGE)
        amber_medium, amber_high = candidate(value_band="low"), candidate(value_band="med")
        warn(amber_medium, TOUCH)
        warn(amber_high, TOUCH)
        later_due = candidate(next_step_due=date(2026, 5, 2), at=AT - timedelta(days=2))
        sooner_due = candidate(next_step_due=date(2026, 5, 1))
        undated_new, undated_old = candidate(), candidate(at=AT - timedelta(days=1))
        everything = [red, amber_medium, amber_high, later_due, sooner_due, undated_new, undated_old]
        refresh(*everything)

        expected = [red, amber_high, amber_medium, sooner_due, later_due, undated_old, undated_new]
        assert ids(shown(org)) == [each.pk for each in expected]

    def test_ties_are_broken_by_the_row(self, org):
        made = CandidateFactory.create_batch(3, org=org, status="triaged")
        for each in made:
            refresh(each)
        assert ids(shown(org)) == [each.pk for each in made]


class TestFilters:
    @pytest.fixture
    def items(self, org, rep, colleague) -> dict[str, Any]:
        client = ClientFactory(org=org, name="Harbour Works")
        items = {
            "red": open_candidate(org, value_band="low", owner=rep.user, title="Press line"),
            "amber": open_pursuit(org, owner=colleague.user, title="Packing robot"),
            "green": open_candidate(org, status="triaged", client=client, title="Forge"),
        }
        breach(items["red"], TRIAGE)
        warn(items["amber"], TOUCH)
        services.update_candidate(
            org=org, candidate_id=items["green"].pk, fields={}, tags=["Hot", "VIP"], actor=CLERK, at=AT
        )
        services.update_pursuit(org=org, pursuit_id=items["amber"].pk, fields={}, tags=["vip"], actor=CLERK, at=AT)
        refresh(*items.values())
        return items

    @pytest.mark.parametrize(
        ("query", "expected"),
        [
            ("", ["red", "amber", "green"]),
            ("badge=red", ["red"]),
            ("badge=amber,green", ["amber", "green"]),
            ("tier=urgent", ["red"]),
            ("tier=high,low", ["amber", "green"]),
            ("item_type=pursuit", ["amber"]),
            ("item_type=pursuit,candidate", ["red", "amber", "green"]),
            ("owner_user_id=none", ["green"]),
            ("mine=true", ["red"]),
            ("mine=false", ["red", "amber", "green"]),
            ("tag=hot", ["green"]),
            ("tag=VIP", ["amber", "green"]),
            ("tag=nothing", []),
            ("q=harbour", ["green"]),
            ("q=packing rob", ["amber"]),
            ("q=forge&badge=red", []),
        ],
    )
    def test_narrow_the_panel(self, as_rep, items, query, expected):
        kinds = {(item._meta.model_name, item.pk): name for name, item in items.items()}
        data = as_rep.get(f"{TODAY}?{query}").json()["data"]
        assert [kinds[row["item_type"], row["item_id"]] for row in data] == expected

    def test_by_owner(self, as_rep, colleague, items):
        assert listed(as_rep.get(f"{TODAY}?owner_user_id={colleague.user_id}")) == [items["amber"].pk]

    @pytest.mark.parametrize("query", ["badge=purple", "tier=top", "item_type=signal", "owner=3", "ordering=badge"])
    def test_refuse_what_they_do_not_know(self, as_rep, query):
        assert as_rep.get(f"{TODAY}?{query}").status_code == 400

    def test_a_key_has_nothing_of_its_own(self, client_for):
        answer = client_for(["workstream:read"]).get(f"{TODAY}?mine=true")
        assert (answer.status_code, answer.json()["fields"].keys()) == (400, {"mine"})

    def test_counts_are_those_of_the_rows(self, as_rep, items, org):
        counts = as_rep.get(TODAY).json()["counts"]
        assert counts["badges"] == {"red": 1, "amber": 1, "green": 1}
        assert sum(counts["tiers"].values()) == 3
        assert as_rep.get(f"{TODAY}?badge=red").json()["counts"] == counts
        mine = as_rep.get(f"{TODAY}?mine=true").json()["counts"]
        assert mine["badges"] == {"red": 1, "amber": 0, "green": 0}

    @pytest.mark.parametrize("filters", [{"tags": ["vip"]}, {"item_types": ["candidate"]}, {"q": "forge"}, {}])
    def test_the_header_counts_what_the_filters_leave(self, org, items, filters):
        with org_scope(org):
            wanted = TodayFilters(**filters)
            header = panel_header(org=org, filters=wanted)
            rows = list(panel(org=org, filters=wanted))
        assert header.total == len(rows)
        assert header.badges == {badge.label: sum(row.badge == badge for row in rows) for badge in Badge}
        assert header.tiers == {tier.label: sum(row.tier == tier for row in rows) for tier in Tier}


class TestPages:
    def test_follow_each_other(self, org):
        made = fill(org, 25)
        seen: list[int] = []
        cursor = None
        with org_scope(org):
            while True:
                page = today_page(org=org, filters=TodayFilters(), cursor=cursor, limit=10, at=AT)
                seen += ids(page.rows)
                cursor = page.next_cursor
                if cursor is None:
                    break
        assert seen == [each.pk for each in made]

    def test_hold_at_most_two_hundred(self, org):
        fill(org, 203)
        assert len(shown(org, limit=10_000)) == 200

    def test_rows_that_move_leave_no_gap(self, org):
        """What stays where it was is seen exactly once, although rows before and behind the cursor move."""
        made = fill(org, 12)
        with org_scope(org):
            first = today_page(org=org, filters=TodayFilters(), limit=5, at=AT)
            # The row that the cursor names goes; one from behind it jumps to the front, one from the front to the end.
            services.archive_candidate(org=org, candidate_id=made[4].pk, reason="No need", actor=CLERK, at=LATER)
            Candidate.objects.for_org(org).filter(pk=made[9].pk).update(value_band="high")
            Candidate.objects.for_org(org).filter(pk=made[0].pk).update(last_touch_at=AT + timedelta(days=1))
            refresh(*made)
            second = today_page(org=org, filters=TodayFilters(), cursor=first.next_cursor, limit=100, at=AT)
        stayed = [each.pk for n, each in enumerate(made) if n not in {0, 4, 9}]
        seen = ids(first.rows) + ids(second.rows)
        assert [pk for pk in seen if pk in stayed] == stayed
        assert made[9].pk not in ids(second.rows)
        assert ids(second.rows)[-1] == made[0].pk

    @pytest.mark.parametrize("cursor", [[], ["x"] * 5, [0, 0, "2026-13-01", "x", 1], [None] * 7])
    def test_refuse_a_foreign_cursor(self, org, cursor):
        with org_scope(org), pytest.raises(InvalidInput):
            today_page(org=org, filters=TodayFilters(), cursor=cursor, limit=5, at=AT)

    def test_over_the_api(self, org, as_viewer):
        made = fill(org, 7)
        first = as_viewer.get(f"{TODAY}?limit=3").json()
        assert first["pagination"]["total"] == 7
        second = as_viewer.get(f"{TODAY}?limit=3&cursor={first['pagination']['next_cursor']}").json()
        assert [row["item_id"] for row in first["data"] + second["data"]] == [each.pk for each in made[:6]]

    @pytest.mark.parametrize("query", ["", "?mine=true", "?tag=hot&badge=green", "?q=Candidate&tier=low"])
    def test_ask_the_same_for_few_and_many_rows(self, org, as_rep, rep, query):
        fill(org, 3, owner=rep.user)
        with counted_queries() as few:
            as_rep.get(TODAY + query)
        fill(org, 40, owner=rep.user)
        with counted_queries() as many:
            as_rep.get(TODAY + query)
        assert len(many) == len(few)
        assert 0 < len(many) <= 6, "\n".join(many)


class TestReasons:
    def test_every_term_with_its_points(self, org, rep):
        rep.user.first_name, rep.user.last_name = "Rita", "Moor"
        rep.user.save()
        pursuit = open_pursuit(org, owner=rep.user, estimated_value=Decimal(200_000))
        other = open_candidate(org, status="triaged", owner=rep.user)
        breach(pursuit, PROPOSAL)
        refresh(pursuit, other)
        row = shown(org, at=AT + timedelta(hours=80))[0]
        assert [(each.code, each.points, each.sentence) for each in row.reasons] == [
            ("urgency", 100, "Proposal overdue since Thursday 09:00: +100"),
            ("value", 30, "High value: +30"),
            ("stage", 10, "Qualification stage: +10"),
            ("workload", -2, "Rita Moor has 1 further open item: \u22122"),
        ]
        assert row.priority_score == sum(each.points for each in row.reasons) == 138
        assert (row.badge, row.priority_tier, row.hours_since_touch) == ("red", "urgent", 80)

    def test_times_are_the_organisations(self, org):
        type(org).objects.filter(pk=org.pk).update(timezone="Europe/Berlin")
        org.refresh_from_db()
        pursuit = open_pursuit(org)
        breach(pursuit, PROPOSAL)
        refresh(pursuit)
        (row,) = shown(org)
        assert row.reasons[0].sentence == "Proposal overdue since Thursday 10:00: +100"
        (row,) = shown(org, at=datetime(2027, 1, 5, tzinfo=UTC))
        assert row.reasons[0].sentence == "Proposal overdue since 5 March 2026, 10:00: +100"

    def test_of_the_other_urgencies(self, org):
        past_due, untouched, near, calm = (
            open_candidate(org, status="triaged", next_step_due=date(2026, 2, 27), value_band=band)
            for band in ("high", "med", "low", "low")
        )
        near = open_pursuit(org)
        warn(past_due, DUE)
        warn(untouched, TOUCH)
        warn(near, PROPOSAL)
        Candidate.all_orgs.filter(pk=calm.pk).update(icp_band="high")
        refresh(past_due, untouched, near, calm)
        rows = {(row.item_type, row.item_id): row for row in shown(org)}
        said = [rows[each._meta.model_name, each.pk].reasons for each in (past_due, untouched, near, calm)]
        assert [each[0].sentence for each in said] == [
            "Past its due date, 27 February: +75",
            "Untouched since Monday 09:00: +50",
            "Proposal due Thursday 09:00: +50",
            "Nothing is late: +20",
        ]
        assert said[3][1].sentence == "High customer fit: +30"
        assert said[0][3].sentence == "Nobody owns it: 0"


class TestNextAction:
    def test_is_a_request_that_works(self, org, as_rep, rep):
        candidate = open_candidate(org, status="triaged", owner=rep.user)
        refresh(candidate)
        (row,) = as_rep.get(TODAY).json()["data"]
        step = row["next_action"]
        assert step == {
            "verb": "promote",
            "label": "Promote",
            "method": "POST",
            "url": f"/api/candidates/{candidate.pk}/promote",
            "body": {},
            "needs": [],
        }
        assert as_rep.post(step["url"], step["body"]).status_code == 201

    def test_every_step_of_a_pursuit_works_as_it_is_offered(self, org, as_rep, rep):
        pursuit = open_pursuit(org, owner=rep.user)
        taken = []
        for _ in range(20):
            refresh(pursuit)
            rows = as_rep.get(TODAY).json()["data"]
            step = rows[0]["next_action"]
            taken.append(step["verb"])
            if step["verb"] == "log_call":
                break
            if step["method"] == "GET":
                for item in as_rep.get(step["url"]).json()["data"]:
                    if item["kind"] in step["verb"]:
                        as_rep.patch(
                            f"{step['url']}/{item['checklist_item_id']}",
                            {"is_done": True},
                            content_type="application/json",
                        )
            else:
                assert as_rep.post(step["url"], step["body"]).status_code in {200, 201}
        assert taken == ["start_pink", "complete_pink", "start_red", "submit", "complete_red", "log_call"]
        given = {"summary": "Asked for their answer", "direction": "outbound"}
        assert set(given) == set(step["needs"])
        assert as_rep.post(step["url"], {**step["body"], **given}).status_code == 201

    def test_is_not_offered_to_whom_it_is_refused(self, org, rep, colleague, viewer, manager):
        candidate = open_candidate(org, status="triaged", owner=rep.user)
        refresh(candidate)
        offered = {
            who.user.username: shown(org, actor=actor_of(who))[0].next_action is not None
            for who in (rep, colleague, viewer, manager)
        }
        assert offered == {"rita": True, "carl": False, "viktor": False, "maria": True}


class TestPolling:
    def test_unchanged_costs_one_indexed_row(self, org, as_viewer):
        fill(org, 3)
        first = as_viewer.get(TODAY)
        with counted_queries() as asked:
            again = as_viewer.get(TODAY, headers={"If-None-Match": first.headers["ETag"]})
        assert (again.status_code, again.content) == (304, b"")
        (read,) = [statement for statement in asked if "workstream_" in statement]
        assert 'FROM "workstream_todayversion"' in read
        assert again.headers["ETag"] == first.headers["ETag"]

    def test_a_change_is_an_answer(self, org, as_viewer):
        made = fill(org, 3)
        etag = as_viewer.get(TODAY).headers["ETag"]
        services.nurture_candidate(org=org, candidate_id=made[0].pk, actor=CLERK, at=LATER)
        refresh(made[0])
        assert as_viewer.get(TODAY, headers={"If-None-Match": etag}).status_code == 200

    def test_another_question_or_asker_is_an_answer(self, org, as_viewer, as_rep):
        fill(org, 3)
        etag = as_viewer.get(TODAY).headers["ETag"]
        assert as_viewer.get(f"{TODAY}?badge=red", headers={"If-None-Match": etag}).status_code == 200
        assert as_rep.get(TODAY, headers={"If-None-Match": etag}).status_code == 200

    def test_an_empty_panel_has_a_version_too(self, org, as_viewer):
        first = as_viewer.get(TODAY)
        assert first.json()["data"] == []
        assert as_viewer.get(TODAY, headers={"If-None-Match": first.headers["ETag"]}).status_code == 304


class TestIsolation:
    def test_every_organisation_has_its_own_panel(self, org, other_org, as_viewer, as_stranger):
        mine, theirs = fill(org, 2), fill(other_org, 1)
        assert listed(as_viewer.get(TODAY)) == [each.pk for each in mine]
        assert listed(as_stranger.get(TODAY)) == [each.pk for each in theirs]
        assert as_stranger.get(TODAY).json()["counts"]["badges"]["green"] == 1

    def test_a_strangers_item_cannot_be_put_off(self, org, as_stranger):
        (item,) = fill(org, 1)
        body = {"item_type": "candidate", "item_id": item.pk, "until": "2099-01-01T00:00:00Z"}
        with nothing_changes():
            assert as_stranger.post(SNOOZE, body).status_code == 404


class TestSnooze:
    UNTIL = "2099-01-01T00:00:00Z"

    def body(self, item: Any, until: str | None = UNTIL) -> dict[str, Any]:
        return {"item_type": item._meta.model_name, "item_id": item.pk, "until": until}

    def test_puts_an_item_off_and_brings_it_back(self, org, as_rep):
        first, second = fill(org, 2)
        before = version_of(org)
        answer = as_rep.post(SNOOZE, self.body(first))
        assert answer.status_code == 200
        assert answer.json() == {"item_type": "candidate", "item_id": first.pk, "snoozed_until": self.UNTIL}
        assert listed(as_rep.get(TODAY)) == [second.pk]
        assert as_rep.get(TODAY).json()["counts"]["badges"]["green"] == 1
        assert version_of(org) == before + 1
        event = newest_event(org, "today.snoozed")
        assert (event.item_type, event.item_id) == ("candidate", first.pk)
        assert event.payload["until"].startswith("2099-01-01T00:00:00")

        assert as_rep.post(SNOOZE, self.body(first, None)).status_code == 200
        assert listed(as_rep.get(TODAY)) == [first.pk, second.pk]
        assert newest_event(org, "today.snoozed").payload["until"] is None

    def test_the_same_again_changes_nothing(self, org, as_rep):
        (item,) = fill(org, 1)
        as_rep.post(SNOOZE, self.body(item))
        with nothing_changes():
            assert as_rep.post(SNOOZE, self.body(item)).status_code == 200

    def test_a_time_in_the_past_is_refused(self, org, as_rep):
        (item,) = fill(org, 1)
        with nothing_changes():
            answer = as_rep.post(SNOOZE, self.body(item, "2020-01-01T00:00:00Z"))
        assert (answer.status_code, answer.json()["fields"].keys()) == (400, {"until"})

    def test_an_item_of_a_colleague_is_refused(self, org, as_rep, colleague):
        (item,) = fill(org, 1, owner=colleague.user)
        with nothing_changes():
            assert as_rep.post(SNOOZE, self.body(item)).status_code == 403

    def test_managers_may_for_everybody_and_viewers_for_nobody(self, org, as_manager, as_viewer, colleague):
        (item,) = fill(org, 1, owner=colleague.user)
        assert as_viewer.post(SNOOZE, self.body(item)).status_code == 403
        assert as_manager.post(SNOOZE, self.body(item)).status_code == 200

    def test_what_is_not_on_the_panel_cannot_be_put_off(self, org, as_rep):
        candidate = open_candidate(org)
        assert as_rep.post(SNOOZE, self.body(candidate)).status_code == 404

    @pytest.mark.parametrize(
        "wrong", [{"item_type": "signal"}, {"item_id": 0}, {"until": "soon"}, {"until": ...}, {"days": 3}]
    )
    def test_a_malformed_body_is_refused(self, org, as_rep, wrong):
        (item,) = fill(org, 1)
        body = {key: value for key, value in {**self.body(item), **wrong}.items() if value is not ...}
        assert as_rep.post(SNOOZE, body).status_code == 400

    def test_items_return_by_themselves(self, org, other_org, as_viewer):
        first, second, third = fill(org, 3)
        (theirs,) = fill(other_org, 1)
        soon, late = datetime.now(UTC) + timedelta(hours=1), datetime.now(UTC) + timedelta(days=9)
        for item, until in ((first, soon), (second, late), (theirs, soon)):
            services.snooze_item(org=item.org, item_type="candidate", item_id=item.pk, until=until, actor=CLERK, at=AT)
        assert listed(as_viewer.get(TODAY)) == [third.pk]
        assert end_snoozes() == 0
        past = datetime.now(UTC) - timedelta(seconds=1)
        TodayItem.all_orgs.filter(snoozed_until=soon).update(snoozed_until=past)
        etag = as_viewer.get(TODAY).headers["ETag"]

        assert end_snoozes() == 2

        assert listed(as_viewer.get(TODAY, headers={"If-None-Match": etag})) == [first.pk, third.pk]
        assert row_of(theirs).snoozed_until is None
        assert row_of(second).snoozed_until == late
        with org_scope(org):
            assert list(today_version(org).counts) == counted(org)
        assert end_snoozes() == 0
