"""The pages of re-scores: the list with its form, progress by conditional polling, stopping, refusals."""

from __future__ import annotations

import re

import pytest
from django.urls import reverse

from flowledger.tenancy.actors import Role
from spotlight.services.rescores import note_stall, rescore_batch
from tests.factories import ClientFactory
from tests.queries import counted_queries
from tests.spotlight.factories import RescoreRunFactory
from tests.spotlight.rescoring import fresh, profile, runs_of, signals, start, work
from tests.workstream.back_office import said
from tests.workstream.factories import AT

pytestmark = pytest.mark.django_db
LIST = reverse("admin:rescores")


@pytest.fixture(autouse=True)
def no_wake(settings):
    settings.OUTBOX_WAKE = False


@pytest.fixture
def manager(as_role):
    return as_role(Role.MANAGER)


def page(name, run):
    return reverse(f"admin:{name}", args=[run.pk])


def text_of(answer):
    return " ".join(re.sub(r"<[^>]*>", " ", answer.content.decode()).split())


class TestList:
    def test_shows_what_was_scored_anew_and_why(self, home, manager):
        spotlight = profile(home.org, name="Banks")
        signals(home.org, 2)
        done = work(home.org, start(home.org, spotlight=spotlight, reason="The profile was changed to version 2"))
        client = ClientFactory(org=home.org, name="Northwind")
        other = start(home.org, client=client, cause="client")
        answer = manager.get(LIST)
        order = re.findall(r'data-rescore="(\d+)"', answer.content.decode())
        assert order == [str(other.pk), str(done.pk)]
        text = text_of(answer)
        assert "Banks The profile was changed to version 2 2 of 2 2" in text
        assert "Its client or contact changed: Northwind" in text

    def test_a_manager_starts_one_of_a_profile_or_of_all(self, home, manager):
        spotlight = profile(home.org)
        answer = manager.post(reverse("admin:rescore_start"), {"spotlight": spotlight.pk}, follow=True)
        (run,) = runs_of(home.org)
        assert answer.redirect_chain == [(page("rescore", run), 302)]
        assert (run.spotlight_id, run.cause, run.started_by) == (spotlight.pk, "manual", home.people[Role.MANAGER])
        manager.post(reverse("admin:rescore_start"), {"spotlight": ""})
        assert [each.spotlight_id for each in runs_of(home.org)] == [spotlight.pk, None]

    @pytest.mark.parametrize("role", [Role.VIEWER, Role.REP])
    def test_others_look(self, home, as_role, role):
        browser = as_role(role)
        assert b'name="spotlight"' not in browser.get(LIST).content
        assert browser.post(reverse("admin:rescore_start"), {"spotlight": ""}).status_code == 403
        assert runs_of(home.org) == []

    def test_a_profile_that_is_not_there(self, home, manager, other_org):
        for wanted in ("x", "9" * 30, str(profile(other_org).pk)):
            assert manager.post(reverse("admin:rescore_start"), {"spotlight": wanted}).status_code == 404
        assert runs_of(home.org) == []

    def test_many_come_in_pages_and_cost_the_same(self, home, manager):
        RescoreRunFactory.create_batch(3, org=home.org)
        manager.get(LIST)
        with counted_queries() as few:
            manager.get(LIST)
        RescoreRunFactory.create_batch(52, org=home.org)
        with counted_queries() as many:
            first = manager.get(LIST).content.decode()
        assert len(few) == len(many)
        older = re.search(r'href="(\?before=\d+)"', first)[1]
        shown = [
            re.findall(r'data-rescore="(\d+)"', text) for text in (first, manager.get(LIST + older).content.decode())
        ]
        assert [len(ids) for ids in shown] == [50, 5]
        assert not set(shown[0]) & set(shown[1])


class TestProgress:
    def test_is_asked_for_while_it_runs_and_answered_when_it_moved(self, home, manager):
        spotlight = profile(home.org)
        signals(home.org, 4)
        run = start(home.org, spotlight=spotlight)
        rescore_batch(org=home.org, run_id=run.pk, at=AT, size=1)
        shown = manager.get(page("rescore", run))
        assert b'hx-get="' + page("rescore_progress", run).encode() in shown.content
        assert "1 of 4 items, 25 %; at the signals now" in text_of(shown)
        etag = re.search(r'data-etag="([^"]+)"', shown.content.decode().replace("&quot;", "'"))[1].replace("'", '"')

        same = manager.get(page("rescore_progress", run), headers={"If-None-Match": etag})
        assert (same.status_code, same.content) == (304, b"")
        work(home.org, run)
        moved = manager.get(page("rescore_progress", run), headers={"If-None-Match": etag})
        assert moved.status_code == 200
        assert b"hx-get" not in moved.content
        assert "Scored 4 Moved 4" in text_of(moved)

    def test_says_what_holds_it_up(self, home, manager):
        run = start(home.org, spotlight=profile(home.org))
        note_stall(org=home.org, run_id=run.pk, error=RuntimeError("no space left"))
        assert "It has stalled and is tried again: The database: no space left" in text_of(
            manager.get(page("rescore", run))
        )

    def test_can_be_stopped_once(self, home, manager):
        run = start(home.org, spotlight=profile(home.org))
        assert "was stopped" in said(manager.post(page("rescore_cancel", run), follow=True))
        assert fresh(home.org, run).status == "cancelled"
        assert "final" in said(manager.post(page("rescore_cancel", run), follow=True))

    def test_everybodys_not_by_a_representative(self, home, as_role):
        browser = as_role(Role.REP)
        run = start(home.org, spotlight=profile(home.org))
        assert b"Stop" not in browser.get(page("rescore", run)).content
        assert "manager" in said(browser.post(page("rescore_cancel", run), follow=True))
        assert fresh(home.org, run).status == "running"
        own = start(home.org, client=ClientFactory(org=home.org), cause="client")
        browser.post(page("rescore_cancel", own))
        assert fresh(home.org, own).status == "cancelled"

    def test_a_strangers_is_not_there(self, manager, other_org):
        theirs = start(other_org, spotlight=profile(other_org))
        for name in ("rescore", "rescore_progress"):
            assert manager.get(page(name, theirs)).status_code == 404
        assert manager.post(page("rescore_cancel", theirs)).status_code == 404
        assert fresh(other_org, theirs).status == "running"
