"""Dead letters over REST: listed, retried, discarded and redacted, one or many; and the catalogue."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from flowledger.outbox.models import HandlerFailure, WorkEvent
from flowledger.tenancy.actors import Role
from flowledger.tenancy.models import Organization
from tests.queries import counted_queries

pytestmark = pytest.mark.django_db
AT = datetime(2026, 1, 1, tzinfo=UTC)
LIST = "/api/outbox/dead-letters"


def make_letter(org: Organization, *, handler: str = "app.react") -> WorkEvent:
    event: WorkEvent = WorkEvent.all_orgs.create(
        org=org,
        event_name="pursuit.won",
        item_type="pursuit",
        item_id=5,
        payload={"pursuit_id": 5, "value": "12.00", "currency": "EUR"},
        actor_kind="system",
        actor_label="tests",
        origin="api",
        occurred_at=AT,
        attempts=8,
        last_error="ValueError: no",
        dead_letter_at=AT,
    )
    HandlerFailure.all_orgs.create(
        org=org, event_id=event.pk, handler=handler, attempt=8, error="ValueError: no", traceback="Traceback …"
    )
    return event


@pytest.fixture
def letter(org: Organization) -> WorkEvent:
    return make_letter(org)


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

    def test_the_list_costs_the_same_whatever_its_length(self, client_for, org):
        client = client_for(Role.MANAGER)
        asked = []
        for number in (3, 12):
            for _ in range(number):
                make_letter(org)
            with counted_queries() as statements:
                assert len(client.get(LIST, {"limit": 200}).json()["data"]) >= number
            asked.append(len(statements))
        assert asked == [2, 2], "the member, and the rows with their failures"

    def test_are_found_by_a_handler_that_has_not_succeeded(self, client_for, org):
        failed, cured = make_letter(org), make_letter(org)
        make_letter(org, handler="app.other")
        WorkEvent.all_orgs.filter(pk=cured.pk).update(handled_by=["app.react"])
        client = client_for(Role.MANAGER)
        found = client.get(LIST, {"handler": "app.react"}).json()["data"]
        assert [row["dead_letter_id"] for row in found] == [failed.pk]
        assert len(client.get(LIST, {"handler": "app.react,app.other"}).json()["data"]) == 2

    @pytest.mark.parametrize("verb", ["retry", "discard", "redact"])
    def test_a_strangers_letter_does_not_exist(self, client_for, other_org, letter, verb):
        stranger = client_for(Role.ADMIN, of=other_org)
        assert stranger.get("/api/outbox/dead-letters").json()["data"] == []
        assert (
            stranger.post(
                f"/api/outbox/dead-letters/{letter.pk}/{verb}", {} if verb == "retry" else {"reason": "x"}
            ).status_code
            == 404
        )
        letter.refresh_from_db()
        assert letter.dead_letter_at == AT

    @pytest.mark.parametrize("role", [Role.VIEWER, Role.REP])
    def test_is_for_managers(self, client_for, letter, role):
        assert client_for(role).get("/api/outbox/dead-letters").status_code == 403
        assert client_for(role).post(f"/api/outbox/dead-letters/{letter.pk}/retry").status_code == 403


class TestMany:
    def test_a_result_for_each(self, client_for, org, other_org):
        first, second, theirs = make_letter(org), make_letter(org), make_letter(other_org)
        client = client_for(Role.MANAGER)
        client.post(f"{LIST}/{second.pk}/retry")
        answer = client.post(f"{LIST}/retry", {"dead_letter_ids": [first.pk, second.pk, theirs.pk]})
        assert answer.status_code == 200
        body = answer.json()
        assert (body["done"], body["refused"], body["more"]) == (1, 2, False)
        assert [(row["dead_letter_id"], row["done"], row["code"]) for row in body["results"]] == [
            (first.pk, True, None),
            (second.pk, False, "conflict"),
            (theirs.pk, False, "not_found"),
        ]
        theirs.refresh_from_db()
        assert theirs.dead_letter_at == AT

    def test_by_handler_or_name(self, client_for, org):
        react, other = make_letter(org), make_letter(org, handler="app.other")
        client = client_for(Role.MANAGER)
        body = client.post(f"{LIST}/retry", {"handler": "app.react"}).json()
        assert [row["dead_letter_id"] for row in body["results"]] == [react.pk]
        body = client.post(f"{LIST}/discard", {"event_name": "pursuit.won", "reason": "Sent by hand."}).json()
        assert [row["dead_letter_id"] for row in body["results"]] == [other.pk]
        other.refresh_from_db()
        assert other.discard_reason == "Sent by hand."
        assert client.get(LIST).json()["data"] == []

    @pytest.mark.parametrize(
        "body",
        [
            {},
            {"dead_letter_ids": []},
            {"dead_letter_ids": [0]},
            {"dead_letter_ids": ["x"]},
            {"dead_letter_ids": [1], "handler": "app.react"},
            {"dead_letter_ids": list(range(1, 1_002))},
            {"handlers": "app.react"},
        ],
        ids=["nothing", "no ids", "no id", "text", "both", "too many", "misspelt"],
    )
    @pytest.mark.parametrize("verb", ["retry", "discard"])
    def test_an_unclear_choice_is_refused(self, client_for, letter, verb, body):
        reason = {"reason": "x"} if verb == "discard" else {}
        answer = client_for(Role.MANAGER).post(f"{LIST}/{verb}", {**body, **reason})
        assert (answer.status_code, answer.json()["code"]) == (400, "validation_error")
        letter.refresh_from_db()
        assert (letter.dead_letter_at, letter.discarded_at) == (AT, None)

    def test_discarding_needs_a_reason(self, client_for, letter):
        answer = client_for(Role.MANAGER).post(f"{LIST}/discard", {"dead_letter_ids": [letter.pk]})
        assert answer.json()["fields"].keys() == {"reason"}
        letter.refresh_from_db()
        assert letter.discarded_at is None

    def test_a_repeated_request_repeats_the_answer(self, client_for, letter):
        client = client_for(Role.MANAGER)
        body = {"dead_letter_ids": [letter.pk]}
        answers = [client.post(f"{LIST}/retry", body, headers={"Idempotency-Key": "once"}) for _ in range(2)]
        assert [answer.json()["done"] for answer in answers] == [1, 1]

    @pytest.mark.parametrize("verb", ["retry", "discard"])
    def test_is_for_managers(self, client_for, letter, verb):
        body = {"dead_letter_ids": [letter.pk], **({"reason": "x"} if verb == "discard" else {})}
        assert client_for(Role.REP).post(f"{LIST}/{verb}", body).status_code == 403
        letter.refresh_from_db()
        assert (letter.dead_letter_at, letter.discarded_at) == (AT, None)


class TestRedact:
    def test_blanks_texts_for_good(self, client_for, letter):
        client = client_for(Role.MANAGER)
        assert client.post(f"{LIST}/{letter.pk}/redact").status_code == 400
        answer = client.post(f"{LIST}/{letter.pk}/redact", {"reason": "A person asked."})
        assert answer.status_code == 200
        assert answer.json()["payload"] == {"pursuit_id": 5, "value": "[redacted]", "currency": "[redacted]"}
        (failure,) = answer.json()["failures"]
        assert (failure["error"], failure["traceback"]) == ("ValueError: [redacted]", "[redacted]")
        assert client.post(f"{LIST}/{letter.pk}/redact", {"reason": "Again."}).status_code == 409

    def test_is_for_managers(self, client_for, letter):
        assert client_for(Role.REP).post(f"{LIST}/{letter.pk}/redact", {"reason": "x"}).status_code == 403
        letter.refresh_from_db()
        assert letter.redacted_at is None


class TestCatalogue:
    def test_lists_every_event_with_its_schema(self, client_for):
        events = client_for(Role.VIEWER).get("/api/outbox/catalogue").json()["events"]
        assert all(event["name"].count(".") >= 1 and event["schema"]["type"] == "object" for event in events)
