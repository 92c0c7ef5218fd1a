"""Logging an activity on any item touches it: the last touch moves forward only, a signal's first is set once."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.utils.timezone import now

from flowledger.errors import InvalidInput, NotFound, PermissionRefused
from tests.workstream.conftest import actor_of
from tests.workstream.factories import (
    AT,
    CLERK,
    ClientFactory,
    ContactFactory,
    EngagementFactory,
    SignalFactory,
    open_candidate,
    open_pursuit,
)
from tests.workstream.trail import newest_event, nothing_changes
from workstream import services
from workstream.models import Activity, Candidate, Pursuit, Signal

pytestmark = pytest.mark.django_db

MAKERS = {
    "signal": lambda org: SignalFactory(org=org),
    "candidate": lambda org: open_candidate(org),
    "pursuit": lambda org: open_pursuit(org),
    "engagement": lambda org: EngagementFactory(org=org),
    "client": lambda org: ClientFactory(org=org),
    "contact": lambda org: ContactFactory(org=org),
}
HOUR = timedelta(hours=1)


def log(item: Any, **more: Any) -> Activity:
    arguments = {
        "org": item.org,
        "item_type": item._meta.model_name,
        "item_id": item.pk,
        "kind": "call",
        "summary": "Talked about the crane",
        "actor": CLERK,
        "at": AT + 10 * HOUR,
    }
    return services.log_activity(**{**arguments, **more})


class TestLogActivity:
    @pytest.mark.parametrize("item_type", MAKERS)
    def test_is_kept_on_any_item_with_one_event(self, org, rep, item_type):
        item = MAKERS[item_type](org)
        activity = log(item, direction="inbound", body="All of it", actor=actor_of(rep))

        stored = Activity.all_orgs.get(pk=activity.pk)
        assert (stored.item_type, stored.item_id) == (item_type, item.pk)
        assert (stored.kind, stored.direction, stored.summary, stored.body) == (
            "call",
            "inbound",
            "Talked about the crane",
            "All of it",
        )
        assert (stored.happened_at, stored.actor_id, stored.actor_label) == (AT + 10 * HOUR, rep.user_id, "rita")
        event = newest_event(org, "activity.logged")
        assert event.payload == {
            "activity_id": activity.pk,
            "subject_type": item_type,
            "subject_id": item.pk,
            "kind": "call",
            "direction": "inbound",
        }

    @pytest.mark.parametrize(
        ("change", "field"),
        [
            ({"kind": "dream"}, "kind"),
            ({"direction": "sideways"}, "direction"),
            ({"summary": "  "}, "summary"),
            ({"happened_at": AT + 11 * HOUR}, "happened_at"),
            ({"item_type": "proposal"}, "item_type"),
        ],
    )
    def test_what_does_not_fit_is_refused(self, org, change, field):
        candidate = open_candidate(org)
        with nothing_changes(), pytest.raises(InvalidInput) as refusal:
            log(candidate, **change)
        assert list(refusal.value.details["fields"]) == [field]

    def test_somebody_elses_item_is_refused(self, org, rep, colleague):
        candidate = open_candidate(org, owner=colleague.user)
        with nothing_changes(), pytest.raises(PermissionRefused):
            log(candidate, actor=actor_of(rep))

    def test_a_strangers_item_does_not_exist(self, org, other_org):
        candidate = open_candidate(other_org)
        with nothing_changes(), pytest.raises(NotFound):
            log(candidate, org=org)


class TestTouch:
    @pytest.mark.parametrize("make", [open_candidate, open_pursuit])
    def test_moves_forward_and_never_back(self, org, make):
        item: Candidate | Pursuit = make(org)

        def touched() -> Any:
            return type(item).all_orgs.get(pk=item.pk)

        log(item, happened_at=AT + 2 * HOUR)
        assert touched().last_touch_at == AT + 2 * HOUR
        assert touched().row_version == item.row_version + 1
        log(item, happened_at=AT + HOUR)
        assert touched().last_touch_at == AT + 2 * HOUR
        log(item, happened_at=AT + 3 * HOUR)
        assert touched().last_touch_at == AT + 3 * HOUR

    def test_the_first_touch_of_a_signal_is_set_once(self, org):
        signal = SignalFactory(org=org)
        for hours in (3, 1, 5):
            log(signal, happened_at=AT + hours * HOUR)
            assert Signal.all_orgs.get(pk=signal.pk).first_touch_at == AT + 3 * HOUR

    def test_clients_have_no_touch(self, org):
        client = ClientFactory(org=org)
        log(client)
        client.refresh_from_db()
        assert client.row_version == 1


class TestOverRest:
    @pytest.mark.parametrize("collection", ["signals", "candidates", "pursuits", "engagements"])
    def test_logs_and_lists_newest_first(self, org, as_rep, collection):
        item = MAKERS[collection.removesuffix("s")](org)
        path = f"/api/{collection}/{item.pk}/activities"
        first = as_rep.post(path, {"kind": "email", "direction": "outbound", "summary": "Sent the plan"})
        as_rep.post(path, {"summary": "Before", "happened_at": (now() - timedelta(days=1)).isoformat()})

        assert first.status_code == 201
        body = first.json()
        assert (body["item_type"], body["item_id"]) == (collection.removesuffix("s"), item.pk)
        assert (body["kind"], body["actor_label"], body["origin"]) == ("email", "rita", "api")
        listed = as_rep.get(path).json()["data"]
        assert [row["summary"] for row in listed] == ["Sent the plan", "Before"]
        assert listed[1]["kind"] == "note"

    @pytest.mark.parametrize("collection", ["clients", "contacts"])
    def test_notes_of_clients_and_contacts(self, org, as_rep, as_stranger, collection):
        item = MAKERS[collection.removesuffix("s")](org)
        path = f"/api/{collection}/{item.pk}/notes"
        answer = as_rep.post(path, {"summary": "Prefers mornings"})

        assert (answer.status_code, answer.json()["kind"]) == (201, "note")
        assert [row["summary"] for row in as_rep.get(path).json()["data"]] == ["Prefers mornings"]
        with nothing_changes():
            assert as_stranger.get(path).status_code == 404
            assert as_stranger.post(path, {"summary": "Mine"}).status_code == 404

    def test_touching_changes_the_etag(self, org, as_rep):
        candidate = open_candidate(org)
        path = f"/api/candidates/{candidate.pk}"
        before = as_rep.get(path)
        as_rep.post(f"{path}/activities", {"summary": "Call"})
        after = as_rep.get(path)

        assert after["ETag"] != before["ETag"]
        assert after.json()["last_touch_at"] > before.json()["last_touch_at"]

    @pytest.mark.parametrize(
        "body",
        [
            {},
            {"summary": ""},
            {"summary": "x" * 301},
            {"summary": "a", "kind": "dream"},
            {"summary": "a", "happened_at": "2100-01-01T00:00:00Z"},
        ],
    )
    def test_what_does_not_fit_is_refused(self, org, as_rep, body):
        candidate = open_candidate(org)
        with nothing_changes():
            answer = as_rep.post(f"/api/candidates/{candidate.pk}/activities", body)
        assert (answer.status_code, answer.json()["code"]) == (400, "validation_error")
