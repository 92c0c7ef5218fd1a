"""The review queue in the back office: reasons, one verb or many, the number in the menu."""

from __future__ import annotations

import pytest

from flowledger.tenancy.actors import Role
from flowledger.tenancy.scope import system_scope
from spotlight.models import RoutedSignal
from spotlight.services.reviews import accept_review
from spotlight.services.routing import route_signals
from tests.spotlight.scored_signals import HIGH, LOW, candidates_of, routed, scored
from tests.workstream.back_office import address, buttons_on, press, said, stored
from tests.workstream.factories import AT, CLERK
from workstream.models import Signal

pytestmark = pytest.mark.django_db


@pytest.fixture
def review(home):
    return waiting(home)


def waiting(home, band=LOW, **fields):
    with system_scope("tests"):
        signal = scored(home.org, band, **fields)
    route_signals(org=home.org, signal_ids=[signal.pk], actor=CLERK, at=AT)
    with system_scope("tests"):
        return routed(signal)


def queue(client, query=""):
    return client.get(address(RoutedSignal, "changelist") + query)


class TestQueue:
    def test_shows_what_waits_with_its_reason_and_signal(self, home, as_role):
        shown = waiting(home, company_name="Northwind", problem_phrase="Press <stops>")
        waiting(home, HIGH, company_name="Southwind")
        page = queue(as_role(Role.VIEWER))
        assert [row.pk for row in page.context["cl"].result_list] == [shown.pk]
        text = page.content.decode()
        assert address(Signal, "change", shown.signal_id) in text
        assert "Banks: 0.45, low match" in text
        assert "Press &lt;stops&gt;" in text
        assert "Southwind" not in text

    def test_the_menu_says_how_many_wait(self, home, as_role):
        def badge(client):
            items = [item for group in queue(client).context["sidebar_navigation"] for item in group["items"]]
            return next(item.get("badge") for item in items if item["title"] == "Signal review")

        client = as_role(Role.REP)
        assert badge(client) is None
        waiting(home), waiting(home)
        assert badge(client) == 2

    def test_a_decided_one_is_found_by_the_filter(self, home, as_role, review):
        accept_review(org=home.org, signal_id=review.signal_id, actor=CLERK, at=AT)
        client = as_role(Role.VIEWER)
        assert list(queue(client).context["cl"].result_list) == []
        assert [row.pk for row in queue(client, "?status=accepted").context["cl"].result_list] == [review.pk]


class TestOne:
    def test_accept_opens_a_candidate(self, home, as_role, review):
        answer = press(as_role(Role.REP), review, "accept")
        assert "It feeds a candidate now." in said(answer)
        with system_scope("tests"):
            (candidate,) = candidates_of(home.org)
        assert (stored(review)["review_status"], stored(review)["candidate_id"]) == ("accepted", candidate.pk)
        assert buttons_on(answer) == set()

    def test_dismiss_asks_why(self, home, as_role, review):
        client = as_role(Role.REP)
        assert client.get(address(review, "transition", review.pk, "dismiss")).status_code == 200
        press(client, review, "dismiss", note="Too small")
        assert (stored(review)["review_status"], stored(review)["decision_note"]) == ("dismissed", "Too small")
        with system_scope("tests"):
            assert candidates_of(home.org) == []

    def test_is_not_for_viewers(self, home, as_role, review):
        client = as_role(Role.VIEWER)
        before = stored(review)
        assert buttons_on(client.get(address(review, "change", review.pk))) == set()
        press(client, review, "accept")
        assert stored(review) == before


class TestMany:
    def choose(self, client, action, *reviews):
        values = {"action": action, "_selected_action": [review.pk for review in reviews]}
        return client.post(address(RoutedSignal, "changelist"), values, follow=True)

    def test_accept_each_for_itself(self, home, as_role, review):
        with system_scope("tests"):
            foreign_owner = home.people[Role.ADMIN]
        others = waiting(home, owner=foreign_owner)
        answer = self.choose(as_role(Role.REP), "accept_selected", review, others)
        assert "1 accepted" in said(answer)
        assert "belongs to somebody else" in said(answer)
        assert [stored(each)["review_status"] for each in (review, others)] == ["accepted", "waiting"]

    def test_dismiss(self, home, as_role, review):
        other = waiting(home)
        answer = self.choose(as_role(Role.REP), "dismiss_selected", review, other)
        assert "2 dismissed" in said(answer)
        assert {stored(each)["review_status"] for each in (review, other)} == {"dismissed"}

    def test_a_viewer_is_told_that_they_may_not(self, home, as_role, review):
        answer = self.choose(as_role(Role.VIEWER), "accept_selected", review)
        assert "accepted;" not in said(answer)
        assert stored(review)["review_status"] == "waiting"
