"""Dead letters are retried and discarded by managers; events and emails are read, never edited."""

from __future__ import annotations

import pytest
from django.utils.timezone import now

from flowledger.outbox.models import OutgoingEmail, WorkEvent
from flowledger.tenancy.actors import Role
from flowledger.tenancy.scope import org_scope, system_scope
from tests.backoffice.rows import make_row

LIST = "/admin/outbox/workevent/"


@pytest.fixture(autouse=True)
def no_wake(settings):
    settings.OUTBOX_WAKE = False


@pytest.fixture
def dead_letter(home):
    event = make_row(WorkEvent, home.org)
    with system_scope("tests"):
        WorkEvent.all_orgs.filter(pk=event.pk).update(dead_letter_at=now(), attempts=8, last_error="no route")
    return event


def again(event):
    with org_scope(event.org_id):
        return WorkEvent.objects.for_org(event.org_id).get(pk=event.pk)


class TestDeadLetters:
    def test_are_found_by_filter(self, home, dead_letter, as_role):
        make_row(WorkEvent, home.org)
        shown = as_role(Role.MANAGER).get(LIST, {"delivery": "dead"}).context["cl"].result_list
        assert [event.pk for event in shown] == [dead_letter.pk]

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

    def test_of_another_organization_cannot_be_selected(self, abroad, as_role):
        theirs = make_row(WorkEvent, abroad.org)
        with system_scope("tests"):
            WorkEvent.all_orgs.filter(pk=theirs.pk).update(dead_letter_at=now())
        as_role(Role.MANAGER).post(LIST, {"action": "retry_selected", "_selected_action": [theirs.pk]})
        assert again(theirs).dead_letter_at is not None


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
