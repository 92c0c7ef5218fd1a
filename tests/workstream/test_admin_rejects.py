"""Rejects in the back office: fixed field by field, replayed, one or many, or discarded."""

from __future__ import annotations

from typing import Any

import pytest

from flowledger.tenancy.actors import Role
from flowledger.tenancy.scope import org_scope
from tests.workstream.back_office import address, buttons_on, events_of, press, said, save, stored
from tests.workstream.factories import AT, CLERK
from workstream import services
from workstream.models import Signal
from workstream.models.intake import IntakeReject
from workstream.models.signals import Channel


def keep(home: Any, body: bytes = b'{"snippet": "<b>Press</b>"}', **fields: Any) -> IntakeReject:
    with org_scope(home.org):
        return services.keep_reject(
            org=home.org,
            channel=Channel.BULK,
            body=body,
            content_type="application/json",
            sender="hook",
            code="validation_error",
            reason="source_type: This field is required.",
            errors={"source_type": ["This field is required."]},
            fields={"snippet": "<b>Press</b>", **fields},
            actor=CLERK,
            at=AT,
        )


@pytest.fixture
def reject(home):
    return keep(home)


class TestFix:
    def test_stores_what_was_changed_and_nothing_else(self, home, as_role, reject):
        link = address(IntakeReject, "change", reject.pk)
        answer = save(as_role(Role.REP), link, "intakereject_form", source_type="api", company_name="Acme", snippet="")

        assert answer.status_code == 200
        after = stored(reject)
        assert after["fields"] == {"source_type": "api", "company_name": "Acme"}
        assert (after["errors"], bytes(after["body"]), after["status"]) == ({}, b'{"snippet": "<b>Press</b>"}', "open")

    def test_still_wrong_values_are_kept_with_what_is_wrong(self, home, as_role, reject):
        link = address(IntakeReject, "change", reject.pk)
        save(as_role(Role.REP), link, "intakereject_form", urgency_score="7", attributes='{"budget": 5}')

        after = stored(reject)
        assert (after["fields"]["urgency_score"], after["fields"]["attributes"]) == ("7", {"budget": 5})
        assert set(after["errors"]) == {"source_type", "urgency_score"}

    def test_shows_what_came_in_as_text_only(self, as_role, reject):
        page = as_role(Role.VIEWER).get(address(IntakeReject, "change", reject.pk)).content.decode()
        assert "&lt;b&gt;Press&lt;/b&gt;" in page
        assert "<b>Press</b>" not in page

    def test_is_not_for_viewers(self, as_role, reject):
        client = as_role(Role.VIEWER)
        before = stored(reject)
        assert client.post(address(IntakeReject, "change", reject.pk), {"source_type": "api"}).status_code == 403
        assert buttons_on(client.get(address(IntakeReject, "change", reject.pk))) == set()
        assert stored(reject) == before


class TestReplay:
    def test_makes_it_a_signal_and_shows_it(self, home, as_role):
        reject = keep(home, source_type="api")
        answer = press(as_role(Role.REP), reject, "replay")

        assert "It is a signal now." in said(answer)
        with org_scope(home.org):
            signal = Signal.objects.for_org(home.org).get()
        assert (stored(reject)["status"], stored(reject)["signal_id"]) == ("replayed", signal.pk)
        assert address(Signal, "change", signal.pk) in answer.content.decode()
        assert buttons_on(answer) == set()

    def test_says_what_is_still_wrong(self, home, as_role, reject):
        answer = press(as_role(Role.REP), reject, "replay")

        assert "This field is required" in said(answer)
        assert stored(reject)["status"] == "open"
        assert "intake.replayed" not in events_of(home.org)

    def test_many_each_for_itself(self, home, as_role, reject):
        good = [keep(home, body, source_type="api") for body in (b"1", b"2")]
        answer = as_role(Role.REP).post(
            address(IntakeReject, "changelist"),
            {"action": "replay_selected", "_selected_action": [each.pk for each in [*good, reject]]},
            follow=True,
        )

        assert "2 became signals." in said(answer)
        assert "source_type" in said(answer)
        assert [stored(each)["status"] for each in [*good, reject]] == ["replayed", "replayed", "open"]


class TestDiscard:
    def test_keeps_the_row_with_the_note(self, as_role, reject):
        press(as_role(Role.REP), reject, "discard", note="Spam")

        assert (stored(reject)["status"], stored(reject)["note"]) == ("discarded", "Spam")

    def test_many(self, home, as_role, reject):
        other = keep(home, b"2")
        answer = as_role(Role.REP).post(
            address(IntakeReject, "changelist"),
            {"action": "discard_selected", "_selected_action": [reject.pk, other.pk]},
            follow=True,
        )

        assert "2 were discarded" in said(answer)
        assert {stored(each)["status"] for each in (reject, other)} == {"discarded"}


class TestSomebodyElses:
    def test_does_not_exist(self, browse, abroad, reject):
        client = browse(abroad.people[Role.ADMIN])
        before = stored(reject)
        assert client.get(address(IntakeReject, "change", reject.pk)).status_code in {302, 404}
        press(client, reject, "discard", follow=False, note="x")
        assert stored(reject) == before
