"""Dead letters are retried, discarded and redacted by managers; events and emails are read, never edited."""

from __future__ import annotations

import re

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils.timezone import now

from flowledger.outbox.letters import MOST_LETTERS
from flowledger.outbox.models import HandlerFailure, OutgoingEmail, WorkEvent
from flowledger.tenancy.actors import Role
from flowledger.tenancy.scope import org_scope, system_scope
from tests.backoffice.rows import make_row

LIST = "/admin/outbox/workevent/"


@pytest.fixture(autouse=True)
def no_wake(settings):
    settings.OUTBOX_WAKE = False


def kill(event, *, handler="app.react"):
    """Put an event on the dead-letter list, with the failure of a handler."""
    with system_scope("tests"):
        WorkEvent.all_orgs.filter(pk=event.pk).update(
            dead_letter_at=now(), attempts=8, last_error=f"{handler}: ValueError: no route"
        )
        HandlerFailure.all_orgs.create(
            org_id=event.org_id,
            event_id=event.pk,
            handler=handler,
            attempt=8,
            error="ValueError: no <route>",
            traceback="Traceback: line 7",
        )
    return event


@pytest.fixture
def dead_letter(home):
    return kill(make_row(WorkEvent, home.org))


def again(event):
    with org_scope(event.org_id):
        return WorkEvent.objects.for_org(event.org_id).get(pk=event.pk)


class TestDeadLetters:
    def test_are_found_by_filter(self, home, dead_letter, as_role):
        make_row(WorkEvent, home.org)
        shown = as_role(Role.MANAGER).get(LIST, {"delivery": "dead"}).context["cl"].result_list
        assert [event.pk for event in shown] == [dead_letter.pk]

    def test_are_found_by_the_handler_that_failed(self, home, dead_letter, as_role):
        kill(make_row(WorkEvent, home.org), handler="app.other")
        shown = as_role(Role.MANAGER).get(LIST, {"handler": "app.react"}).context["cl"].result_list
        assert [event.pk for event in shown] == [dead_letter.pk]

    def test_show_error_traceback_handler_and_payload(self, dead_letter, as_role):
        client = as_role(Role.MANAGER)
        assert "app.react: ValueError: no route" in client.get(LIST, {"delivery": "dead"}).content.decode()
        page = client.get(f"{LIST}{dead_letter.pk}/change/").content.decode()
        assert "<b>app.react</b>, attempt 8: ValueError: no &lt;route&gt;" in page
        assert "Traceback: line 7" in page
        assert "&quot;test_id&quot;" in page

    def test_the_list_costs_the_same_whatever_its_length(self, home, as_role):
        client = as_role(Role.MANAGER)
        asked = []
        for number in (3, 12):
            for _ in range(number):
                kill(make_row(WorkEvent, home.org))
            with CaptureQueriesContext(connection) as captured:
                assert client.get(LIST, {"delivery": "dead"}).status_code == 200
            asked.append(sum('FROM "outbox_' in query["sql"] for query in captured.captured_queries))
        assert asked == [1, 1]

    def test_are_retried(self, dead_letter, as_role):
        client = as_role(Role.MANAGER)
        assert "Retry" in client.get(f"{LIST}{dead_letter.pk}/change/").content.decode()
        response = client.post(f"{LIST}{dead_letter.pk}/transition/retry/", follow=True)
        assert "delivered again" in response.content.decode()
        assert (again(dead_letter).dead_letter_at, again(dead_letter).attempts) == (None, 0)

    def test_are_discarded_with_a_reason(self, dead_letter, as_role):
        client = as_role(Role.MANAGER)
        link = f"{LIST}{dead_letter.pk}/transition/discard/"
        assert client.get(link).status_code == 200
        assert client.post(link, {"reason": "Sent by hand."})["Location"] == f"{LIST}{dead_letter.pk}/change/"
        assert again(dead_letter).discard_reason == "Sent by hand."

    @pytest.mark.parametrize("reason", ["", "   "])
    def test_are_not_discarded_without_a_reason(self, dead_letter, as_role, reason):
        client = as_role(Role.MANAGER)
        response = client.post(f"{LIST}{dead_letter.pk}/transition/discard/", {"reason": reason})
        assert response.status_code == 400
        assert "reason" in response.context["errors"]
        assert again(dead_letter).discarded_at is None

    def test_are_not_touched_below_manager(self, dead_letter, as_role):
        assert as_role(Role.REP).post(f"{LIST}{dead_letter.pk}/transition/retry/").status_code == 404
        assert again(dead_letter).dead_letter_at is not None

    def test_several_are_retried_with_one_line_per_refusal(self, home, dead_letter, as_role):
        alive = make_row(WorkEvent, home.org)
        response = as_role(Role.MANAGER).post(
            LIST, {"action": "retry_selected", "_selected_action": [dead_letter.pk, alive.pk]}, follow=True
        )
        page = response.content.decode()
        assert "Retry: 1 done." in page
        assert "Retry: 1 not possible." in page
        assert f"Event {alive.pk} is not on the dead-letter list" in page
        assert again(dead_letter).dead_letter_at is None

    def test_of_another_organization_cannot_be_selected(self, home, abroad, dead_letter, as_role):
        theirs = kill(make_row(WorkEvent, abroad.org))
        client = as_role(Role.MANAGER)
        client.post(LIST, {"action": "retry_selected", "_selected_action": [theirs.pk]})
        forged = {"action": "discard_selected", "_selected_action": [dead_letter.pk], "event_ids": str(theirs.pk)}
        page = client.post(LIST, {**forged, "reason": "forged"}, follow=True).content.decode()
        assert f"There is no work event {theirs.pk}." in page
        assert again(theirs).dead_letter_at is not None
        assert (again(theirs).discarded_at, again(dead_letter).discarded_at) == (None, None)


class TestDiscardSelected:
    def select(self, client, *events, where="?delivery=dead", **more):
        """Choose the action on the list; the answer is the question for the reason."""
        ids = [event.pk for event in events]
        return client.post(f"{LIST}{where}", {"action": "discard_selected", "_selected_action": ids, **more})

    def hidden(self, page):
        """What the form would send besides the reason."""
        found = re.findall(r'<input type="hidden" name="(\w+)" value="([^"]*)">', page)
        return {name: value for name, value in found if name != "csrfmiddlewaretoken"}

    def test_asks_for_the_reason_and_discards_all(self, home, dead_letter, as_role):
        other, alive = kill(make_row(WorkEvent, home.org)), make_row(WorkEvent, home.org)
        client = as_role(Role.MANAGER)
        asked = self.select(client, dead_letter, other)
        assert asked.status_code == 200
        assert "Discard 2 events" in asked.content.decode()
        assert again(dead_letter).discarded_at is None
        # What dies while the question is open is not discarded unseen.
        kill(alive)
        answer = {**self.hidden(asked.content.decode()), "reason": "Sent by hand."}
        done = client.post(f"{LIST}?delivery=dead", answer, follow=True)
        assert "Discard: 2 done." in done.content.decode()
        assert [again(event).discard_reason for event in (dead_letter, other, alive)] == ["Sent by hand."] * 2 + [""]

    @pytest.mark.parametrize("reason", ["", "   "])
    def test_without_a_reason_asks_again(self, dead_letter, as_role, reason):
        client = as_role(Role.MANAGER)
        hidden = self.hidden(self.select(client, dead_letter).content.decode())
        again_asked = client.post(LIST, {**hidden, "reason": reason})
        assert again_asked.status_code == 400
        assert "reason" in again_asked.context["errors"]
        assert self.hidden(again_asked.content.decode()) == hidden
        assert again(dead_letter).discarded_at is None

    def test_names_those_that_are_not_dead(self, home, dead_letter, as_role):
        alive = make_row(WorkEvent, home.org)
        client = as_role(Role.MANAGER)
        hidden = self.hidden(self.select(client, dead_letter, alive, where="").content.decode())
        page = client.post(LIST, {**hidden, "reason": "Sent by hand."}, follow=True).content.decode()
        assert "Discard: 1 done." in page
        assert f"Event {alive.pk} is not on the dead-letter list" in page
        assert again(alive).discarded_at is None

    def test_all_of_the_list_are_at_most_a_thousand(self, home, dead_letter, as_role, monkeypatch):
        events = [dead_letter, *(kill(make_row(WorkEvent, home.org)) for _ in range(2))]
        monkeypatch.setattr("flowledger.backoffice.admin.outbox.MOST_LETTERS", 2)
        page = self.select(as_role(Role.MANAGER), dead_letter, select_across="1").content.decode()
        assert "Discard 2 events" in page
        assert self.hidden(page)["event_ids"] == f"{events[0].pk},{events[1].pk}"
        assert MOST_LETTERS == 1_000

    @pytest.mark.parametrize("action", ["retry_selected", "discard_selected"])
    def test_needs_a_post_with_a_token(self, home, dead_letter, action):
        client = Client(enforce_csrf_checks=True)
        client.force_login(home.people[Role.MANAGER])
        values = {"action": action, "_selected_action": dead_letter.pk, "event_ids": dead_letter.pk, "reason": "x"}
        assert client.post(LIST, values).status_code == 403
        client.get(LIST, values)
        assert again(dead_letter).dead_letter_at is not None
        assert again(dead_letter).discarded_at is None

    @pytest.mark.parametrize("action", ["retry_selected", "discard_selected"])
    def test_is_not_for_representatives(self, dead_letter, as_role, action):
        values = {"action": action, "_selected_action": dead_letter.pk, "event_ids": dead_letter.pk, "reason": "x"}
        assert as_role(Role.REP).post(LIST, values).status_code == 403
        assert again(dead_letter).dead_letter_at is not None
        assert again(dead_letter).discarded_at is None


class TestRedact:
    def test_blanks_the_payload_with_a_reason(self, dead_letter, as_role):
        client = as_role(Role.MANAGER)
        link = f"{LIST}{dead_letter.pk}/transition/redact/"
        assert "blanked for good" in client.get(link).content.decode()
        assert client.post(link, {"reason": ""}).status_code == 400
        assert again(dead_letter).redacted_at is None
        page = client.post(link, {"reason": "A person asked."}, follow=True).content.decode()
        assert "The texts of the event are blanked." in page
        assert "Traceback: line 7" not in page
        assert again(dead_letter).redacted_at is not None
        assert link not in page

    def test_is_not_offered_while_an_event_is_delivered(self, home, as_role):
        pending = make_row(WorkEvent, home.org)
        link = f"{LIST}{pending.pk}/transition/redact/"
        client = as_role(Role.MANAGER)
        assert link not in client.get(f"{LIST}{pending.pk}/change/").content.decode()
        assert "still being delivered" in client.post(link, {"reason": "x"}, follow=True).content.decode()
        assert again(pending).redacted_at is None


class TestReading:
    @pytest.mark.parametrize("model", [WorkEvent, OutgoingEmail])
    def test_nothing_is_written_by_form(self, home, as_role, model):
        row = make_row(model, home.org)
        client = as_role(Role.ADMIN)
        link = f"/admin/outbox/{model._meta.model_name}/"
        assert client.get(f"{link}add/").status_code == 403
        assert client.post(f"{link}{row.pk}/change/", {"subject": "other"}).status_code == 403
        assert client.post(f"{link}{row.pk}/delete/", {"post": "yes"}).status_code == 403

    @pytest.mark.parametrize("delivery", ["pending", "handled", "dead", "discarded", "nonsense"])
    def test_every_state_of_delivery_can_be_asked_for(self, home, as_role, delivery):
        make_row(WorkEvent, home.org)
        shown = as_role(Role.MANAGER).get(LIST, {"delivery": delivery}).context["cl"].result_list
        assert len(shown) == (1 if delivery in {"pending", "nonsense"} else 0)
