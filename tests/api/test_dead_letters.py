"""Dead letters over REST: listed, retried, discarded; and the catalogue."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from flowledger.outbox.models import HandlerFailure, WorkEvent
from flowledger.tenancy.actors import Role

pytestmark = pytest.mark.django_db
AT = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.fixture
def letter(org: Any) -> WorkEvent:
    event = WorkEvent.all_orgs.create(
        org=org,
        event_name="pursuit.won",
        item_type="pursuit",
        item_id=5,
        payload={"pursuit_id": 5},
        actor_kind="system",
        actor_label="tests",
        origin="api",
        occurred_at=AT,
        attempts=8,
        last_error="ValueError: no",
        dead_letter_at=AT,
    )
    HandlerFailure.all_orgs.create(
        org=org, event_id=event.pk, handler="app.react", attempt=8, error="ValueError: no", traceback="Traceback …"
    )
    return event


class TestDeadLetters:
    def test_are_listed_with_what_went_wrong(self, client_for, letter):
        (row,) = client_for(Role.MANAGER).get("/api/outbox/dead-letters").json()["data"]
        assert (row["dead_letter_id"], row["event_name"], row["item_id"]) == (letter.pk, "pursuit.won", 5)
        assert [(f["handler"], f["error"]) for f in row["failures"]] == [("app.react", "ValueError: no")]

    def test_retry_puts_it_back(self, client_for, letter):
        client = client_for(Role.MANAGER)
        answer = client.post(f"/api/outbox/dead-letters/{letter.pk}/retry")
        assert answer.status_code == 200
        assert answer.json()["dead_letter_at"] is None
        letter.refresh_from_db()
        assert (letter.dead_letter_at, letter.attempts) == (None, 0)
        assert client.get("/api/outbox/dead-letters").json()["data"] == []
        assert client.post(f"/api/outbox/dead-letters/{letter.pk}/retry").status_code == 409

    def test_discard_needs_a_reason_and_keeps_it(self, client_for, letter):
        client = client_for(Role.MANAGER)
        path = f"/api/outbox/dead-letters/{letter.pk}/discard"
        assert client.post(path).status_code == 400
        assert client.post(path, {"reason": "  "}).status_code == 400
        letter.refresh_from_db()
        assert letter.discarded_at is None
        assert client.post(path, {"reason": "Duplicate of 7."}).json()["discard_reason"] == "Duplicate of 7."
        letter.refresh_from_db()
        assert letter.discarded_at is not None

    @pytest.mark.parametrize("verb", ["retry", "discard"])
    def test_a_strangers_letter_does_not_exist(self, client_for, other_org, letter, verb):
        stranger = client_for(Role.ADMIN, of=other_org)
        assert stranger.get("/api/outbox/dead-letters").json()["data"] == []
        assert (
            stranger.post(
                f"/api/outbox/dead-letters/{letter.pk}/{verb}", {"reason": "x"} if verb == "discard" else {}
            ).status_code
            == 404
        )
        letter.refresh_from_db()
        assert letter.dead_letter_at == AT

    @pytest.mark.parametrize("role", [Role.VIEWER, Role.REP])
    def test_is_for_managers(self, client_for, letter, role):
        assert client_for(role).get("/api/outbox/dead-letters").status_code == 403
        assert client_for(role).post(f"/api/outbox/dead-letters/{letter.pk}/retry").status_code == 403


class TestCatalogue:
    def test_lists_every_event_with_its_schema(self, client_for):
        events = client_for(Role.VIEWER).get("/api/outbox/catalogue").json()["events"]
        assert all(event["name"].count(".") >= 1 and event["schema"]["type"] == "object" for event in events)
