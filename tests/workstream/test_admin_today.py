"""The Today page of the back office: what it lists, how it is filtered, what its buttons do, what polling costs."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Any
from urllib.parse import urlsplit

import pytest
from django.test import Client
from django.urls import reverse
from django.utils.timezone import now

from flowledger.tenancy.actors import Role
from flowledger.tenancy.scope import org_scope
from tests.queries import counted_queries
from tests.workstream.back_office import events_of, said, stored
from tests.workstream.factories import CLERK, CandidateFactory, open_candidate, open_pursuit
from tests.workstream.panel import breach, refresh, row_of, warn
from workstream import services
from workstream.admin.today import PER_PAGE
from workstream.machines import PursuitStage
from workstream.models import Candidate, Pursuit
from workstream.models.sla import SlaMetric

TODAY = reverse("admin:index")
ROWS = reverse("admin:today_rows")
SNOOZE = reverse("admin:today_snooze")


@pytest.fixture(autouse=True)
def no_wake(settings: Any) -> None:
    settings.OUTBOX_WAKE = False


def listed(response: Any) -> list[str]:
    """What stands on the page, from the top."""
    return re.findall(r'data-item="([a-z]+-\d+)"', response.content.decode())


def key(item: Any) -> str:
    return f"{item._meta.model_name}-{item.pk}"


def a_triaged(home: Any, **fields: Any) -> Candidate:
    """A triaged candidate on the panel."""
    candidate = open_candidate(home.org, status="triaged", at=now() - timedelta(hours=1), **fields)
    refresh(candidate, at=now())
    return candidate


def a_pursuit(home: Any, **fields: Any) -> Pursuit:
    """A pursuit on the panel."""
    pursuit = open_pursuit(home.org, at=now() - timedelta(hours=1), **fields)
    refresh(pursuit, at=now())
    return pursuit


class TestThePage:
    def test_opens_the_back_office_and_ranks_a_breach_first(self, home, as_role):
        calm, late = a_triaged(home), a_pursuit(home)
        breach(late, SlaMetric.PROPOSAL, at=now() - timedelta(hours=3))
        refresh(late, at=now())
        response = as_role(Role.VIEWER).get(TODAY)
        assert listed(response) == [key(late), key(calm)]
        top = response.context["lines"][0]
        assert (top.row.badge, top.look) == ("red", "danger")
        assert top.why.startswith("Proposal overdue since")
        assert top.row.reasons[0].points == 100
        text = response.content.decode()
        for reason in top.row.reasons:
            assert reason.sentence in text
        assert reverse("admin:workstream_pursuit_change", args=[late.pk]) in text

    def test_the_overview_of_all_pages_is_still_there(self, home, as_role):
        response = as_role(Role.VIEWER).get(reverse("admin:overview"))
        assert "Signals" in response.content.decode()
        assert "groups" in response.context

    def test_shows_own_rows_only(self, home, abroad, as_role):
        mine, theirs = a_triaged(home), a_triaged(abroad)
        assert listed(as_role(Role.ADMIN).get(TODAY)) == [key(mine)]
        row = row_of(theirs)
        assert row.org_id == abroad.org.pk

    def test_without_items_says_what_to_do(self, home, as_role):
        text = as_role(Role.REP).get(TODAY).content.decode()
        assert "Nothing waits for you." in text
        assert "Triage new candidates" in text

    def test_with_filters_that_leave_nothing_offers_everything(self, home, as_role):
        a_triaged(home)
        text = as_role(Role.REP).get(TODAY, {"badge": "red"}).content.decode()
        assert "No item on the list is like that." in text
        assert "Show everything" in text


class TestFilters:
    @pytest.fixture
    def items(self, home):
        """By badge: a red pursuit of the representative, an amber candidate of the manager, a green one of nobody."""
        rep, manager = home.people[Role.REP], home.people[Role.MANAGER]
        red = a_pursuit(home, owner=rep, title="Packing line")
        breach(red, SlaMetric.PROPOSAL, at=now())
        amber = a_triaged(home, owner=manager, title="Milling cell")
        warn(amber, SlaMetric.TOUCH, at=now())
        with org_scope(home.org):
            green = a_triaged(home, title="Press brake")
            services.update_candidate(
                org=home.org, candidate_id=green.pk, fields={}, tags=["spring"], actor=CLERK, at=now()
            )
        refresh(red, amber, green, at=now())
        return {"red": red, "amber": amber, "green": green}

    @pytest.mark.parametrize(
        ("query", "expected"),
        [
            ({}, ["red", "amber", "green"]),
            ({"badge": "red"}, ["red"]),
            ({"badge": "amber"}, ["amber"]),
            ({"tier": "urgent"}, ["red"]),
            ({"owner": "me"}, ["red"]),
            ({"owner": "none"}, ["green"]),
            ({"tag": "Spring"}, ["green"]),
            ({"type": "candidate"}, ["amber", "green"]),
            ({"type": "pursuit"}, ["red"]),
            ({"q": "milling"}, ["amber"]),
            ({"q": "milling", "badge": "red"}, []),
            ({"badge": "purple", "tier": "x", "type": "signal", "owner": "-1"}, ["red", "amber", "green"]),
        ],
        ids=str,
    )
    def test_narrow_the_list_and_its_counts_alike(self, home, as_role, items, query, expected):
        response = as_role(Role.REP).get(TODAY, query)
        assert listed(response) == [key(items[name]) for name in expected]
        assert response.context["total"] == len(expected)

    def test_of_a_person(self, home, as_role, items):
        manager = home.people[Role.MANAGER]
        assert listed(as_role(Role.REP).get(TODAY, {"owner": manager.pk})) == [key(items["amber"])]

    def test_that_were_left_empty_go_out_of_the_address(self, home, as_role):
        response = as_role(Role.REP).get(TODAY, {"q": "", "owner": "me", "badge": "", "tag": ""})
        assert (response.status_code, response["Location"]) == (302, f"{TODAY}?owner=me")

    def test_chips_count_what_choosing_them_shows(self, home, as_role, items):
        client = as_role(Role.REP)
        chips = client.get(TODAY, {"type": "candidate"}).context["chips"]
        assert [chip["text"] for chip in chips] == ["red 0", "amber 1", "green 1"]
        for chip in chips:
            chosen = client.get(chip["link"])
            assert f"{chip['name']} {len(listed(chosen))}" == chip["text"]
            assert chosen.context["filters"] == {"type": "candidate", "badge": chip["name"]}

    def test_offer_own_people_and_tags_only(self, home, abroad, as_role, items):
        text = as_role(Role.REP).get(TODAY).content.decode()
        assert "spring" in text
        assert "birch" not in text.lower()


class TestPages:
    def test_go_on_where_the_last_one_ended(self, home, as_role):
        many = CandidateFactory.create_batch(PER_PAGE + 3, org=home.org, status="triaged")
        refresh(*many, at=now())
        client = as_role(Role.VIEWER)
        first = client.get(TODAY)
        assert (len(listed(first)), first.context["total"]) == (PER_PAGE, PER_PAGE + 3)
        second = client.get(first.context["next_link"])
        assert set(listed(first)) | set(listed(second)) == {key(item) for item in many}
        assert len(listed(second)) == 3
        assert second.context["next_link"] == ""
        assert second.context["first_link"] == TODAY

    @pytest.mark.parametrize("cursor", ["x", "bnVsbA", "WzFd"])
    def test_a_cursor_of_nobody_begins_at_the_top(self, home, as_role, cursor):
        response = as_role(Role.VIEWER).get(TODAY, {"cursor": cursor, "badge": "red"})
        assert (response.status_code, response["Location"]) == (302, f"{TODAY}?badge=red")


class TestNextAction:
    def test_of_a_candidate_asks_on_the_existing_page_and_returns(self, home, as_role):
        candidate = a_triaged(home)
        client = as_role(Role.MANAGER)
        line = client.get(TODAY, {"badge": "green"}).context["lines"][0]
        assert (line.action.label, line.action.posts) == ("Promote", False)
        asked = client.get(line.action.link)
        assert asked.status_code == 200
        assert asked.context["back"] == f"{TODAY}?badge=green"
        assert stored(candidate)["status"] == "triaged"

    def test_by_one_button_goes_through_the_service_and_returns_with_the_filters(self, home, as_role):
        pursuit = a_pursuit(home)
        client = as_role(Role.MANAGER)
        line = client.get(TODAY, {"type": "pursuit"}).context["lines"][0]
        assert (line.action.label, line.action.posts) == ("Start the pink review", True)
        response = client.post(line.action.link)
        assert (response.status_code, response["Location"]) == (302, f"{TODAY}?type=pursuit")
        assert stored(pursuit)["stage"] == PursuitStage.PINK
        assert "pursuit.stage_changed" in events_of(home.org)

    def test_is_no_button_for_who_may_not(self, home, as_role):
        a_pursuit(home, owner=home.people[Role.MANAGER])
        for role in (Role.VIEWER, Role.REP):
            line = as_role(role).get(TODAY).context["lines"][0]
            assert (line.action.label, line.action.posts, line.may_snooze) == ("Open", False, False)

    @pytest.mark.parametrize("elsewhere", ["https://evil.example/", "//evil.example/admin/", "/api/", "/admin//\\evil"])
    def test_returns_to_no_stranger(self, home, as_role, elsewhere):
        pursuit = a_pursuit(home)
        link = reverse("admin:workstream_pursuit_transition", args=[pursuit.pk, "pink"])
        response = as_role(Role.MANAGER).post(f"{link}?next={elsewhere}")
        assert urlsplit(response["Location"]).netloc == ""
        assert response["Location"].startswith("/admin/")


class TestSnooze:
    @pytest.mark.parametrize(("length", "days"), [("day", 1), ("week", 7)])
    def test_puts_an_item_off(self, home, as_role, length, days):
        candidate = a_triaged(home)
        before = now()
        response = as_role(Role.REP).post(
            f"{SNOOZE}?badge=green", {"item_type": "candidate", "item_id": candidate.pk, "for": length}, follow=True
        )
        assert response.redirect_chain[0][0] == f"{TODAY}?badge=green"
        assert "comes back on" in said(response)
        assert listed(response) == []
        until = row_of(candidate).snoozed_until
        assert before + timedelta(days=days) <= until <= now() + timedelta(days=days)

    def test_until_the_morning_of_a_day_where_the_organisation_is(self, home, as_role):
        home.org.timezone = "Asia/Tokyo"
        home.org.save()
        candidate = a_triaged(home)
        values = {"item_type": "candidate", "item_id": candidate.pk, "for": "date", "until": "2999-05-04"}
        as_role(Role.REP).post(SNOOZE, values)
        assert row_of(candidate).snoozed_until.isoformat() == "2999-05-03T15:00:00+00:00"

    @pytest.mark.parametrize("until", ["", "2001-01-01", "soon"])
    def test_needs_a_day_to_come(self, home, as_role, until):
        candidate = a_triaged(home)
        values = {"item_type": "candidate", "item_id": candidate.pk, "for": "date", "until": until}
        response = as_role(Role.REP).post(SNOOZE, values, follow=True)
        assert said(response)
        assert row_of(candidate).snoozed_until is None
        assert "today.snoozed" not in events_of(home.org)

    def test_is_refused_to_a_viewer_and_by_get(self, home, as_role):
        candidate = a_triaged(home)
        values = {"item_type": "candidate", "item_id": candidate.pk, "for": "day"}
        as_role(Role.VIEWER).post(SNOOZE, values)
        assert as_role(Role.REP).get(SNOOZE, values).status_code == 405
        assert row_of(candidate).snoozed_until is None

    def test_does_not_know_a_strangers_item(self, home, abroad, as_role):
        theirs = a_triaged(abroad)
        as_role(Role.ADMIN).post(SNOOZE, {"item_type": "candidate", "item_id": theirs.pk, "for": "day"})
        assert row_of(theirs).snoozed_until is None

    @pytest.mark.parametrize("item_id", ["", "x", "9" * 30])
    def test_of_an_impossible_item_is_404(self, home, as_role, item_id):
        assert as_role(Role.REP).post(SNOOZE, {"item_type": "candidate", "item_id": item_id}).status_code == 404

    def test_needs_a_csrf_token(self, home):
        candidate = a_triaged(home)
        client = Client(enforce_csrf_checks=True)
        client.force_login(home.people[Role.REP])
        values = {"item_type": "candidate", "item_id": candidate.pk, "for": "day"}
        assert client.post(SNOOZE, values).status_code == 403
        assert row_of(candidate).snoozed_until is None


class TestPolling:
    def test_an_unchanged_list_is_not_sent_again(self, home, as_role):
        a_triaged(home)
        client = as_role(Role.REP)
        etag = client.get(TODAY).context["etag"]
        again = client.get(ROWS, headers={"If-None-Match": etag})
        assert (again.status_code, again.content, again["ETag"]) == (304, b"", etag)

    def test_a_changed_list_is(self, home, as_role):
        candidate = a_triaged(home)
        client = as_role(Role.REP)
        etag = client.get(TODAY).context["etag"]
        warn(candidate, SlaMetric.TOUCH, at=now())
        refresh(candidate, at=now())
        again = client.get(ROWS, headers={"If-None-Match": etag})
        assert again.status_code == 200
        assert again["ETag"] != etag
        assert 'data-badge="amber"' in again.content.decode()
        assert "<html" not in again.content.decode()

    def test_another_question_or_person_has_another_version(self, home, as_role):
        a_triaged(home)
        etag = as_role(Role.REP).get(ROWS)["ETag"]
        others = {as_role(Role.REP).get(ROWS, {"badge": "green"})["ETag"], as_role(Role.MANAGER).get(ROWS)["ETag"]}
        assert len({etag, *others}) == 3

    def test_costs_one_statement_while_nothing_changes(self, home, as_role):
        a_triaged(home)
        client = as_role(Role.REP)
        etag = client.get(ROWS)["ETag"]
        with counted_queries() as statements:
            client.get(ROWS, headers={"If-None-Match": etag})
        own = [sql for sql in statements if "workstream_" in sql]
        assert len(own) == 1, own


class TestCost:
    def test_is_the_same_for_few_rows_and_many(self, home, as_role):
        client = as_role(Role.REP)

        def asked() -> int:
            with counted_queries() as statements:
                assert client.get(TODAY).status_code == 200
            return len(statements)

        refresh(*CandidateFactory.create_batch(2, org=home.org, status="triaged"), at=now())
        client.get(TODAY)
        few = asked()
        refresh(*CandidateFactory.create_batch(45, org=home.org, status="triaged"), at=now())
        assert len(listed(client.get(TODAY))) == 47
        many = asked()
        assert (few, many) == (13, 13)
