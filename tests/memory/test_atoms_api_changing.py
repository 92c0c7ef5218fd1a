"""Writing, correcting, pinning, archiving and restoring over REST; conflicts and legal holds."""

from __future__ import annotations

from typing import Any

import pytest

from flowledger.tenancy.actors import Role
from memory.models import Atom, AtomVersion, MemoryLedger
from tests.client import ApiClient, bearer
from tests.factories import ClientFactory
from tests.memory.factories import AtomConflictFactory, AtomFactory, LegalHoldFactory
from tests.queries import counted_queries
from tests.workstream.factories import AT
from tests.workstream.trail import nothing_changes

pytestmark = pytest.mark.django_db
ATOMS = "/api/memory/atoms"
CONFLICTS = "/api/memory/conflicts"
HOLDS = "/api/memory/holds"
RIGHT = {"content": "They run four machines.", "reason": "Misheard."}


@pytest.fixture
def as_admin(org: Any, member_of: Any) -> ApiClient:
    return ApiClient(bearer(member_of(org, Role.ADMIN)))


def wish(client: Any, **more: Any) -> dict[str, Any]:
    about = {"entity_type": "client", "entity_id": client.pk}
    return {**about, "atom_type": "preference", "content": "Prefers email.", **more}


class TestWrite:
    def test_answers_the_atom_with_its_source_and_links(self, org, as_rep, rep):
        client = ClientFactory(org=org)
        answer = as_rep.post(ATOMS, wish(client, tags=["channel"], occurred_at="2026-03-01T08:00:00Z"))
        assert answer.status_code == 201, answer.content
        row = answer.json()
        assert (row["atom_type"], row["content"], row["author_user_id"]) == (
            "preference",
            "Prefers email.",
            rep.user_id,
        )
        assert (row["tags"], row["occurred_at"]) == (["channel"], "2026-03-01T08:00:00Z")
        assert row["sources"][0]["actor_label"] == "rita"
        assert row["links"] == [{"entity_type": "client", "entity_id": client.pk, "role": "subject"}]
        assert as_rep.get(f"{ATOMS}/{row['atom_id']}").json() == row

    def test_the_same_again_answers_the_first_one(self, org, as_rep):
        client = ClientFactory(org=org)
        first, again = as_rep.post(ATOMS, wish(client)), as_rep.post(ATOMS, wish(client, content="prefers EMAIL"))
        assert (first.status_code, again.status_code) == (201, 200)
        assert (again.json()["atom_id"], again.json()["seen_count"]) == (first.json()["atom_id"], 2)

    def test_a_repeated_request_writes_once(self, org, as_rep):
        client = ClientFactory(org=org)
        answers = [as_rep.post(ATOMS, wish(client), HTTP_IDEMPOTENCY_KEY="one") for _ in range(2)]
        assert [answer.status_code for answer in answers] == [201, 201]
        assert Atom.all_orgs.get().seen_count == 1

    @pytest.mark.parametrize(
        ("more", "field"),
        [
            ({"content": ""}, "content"),
            ({"atom_type": "rumour"}, "atom_type"),
            ({"entity_type": "invoice"}, "entity_type"),
            ({"entity_id": 0}, "entity_id"),
            ({"tags": "price"}, "tags"),
            ({"tags": ["x" * 51]}, "tags.0"),
            ({"valid_until": "2020-01-01T00:00:00Z"}, "valid_until"),
            ({"occurred_at": "2099-01-01T00:00:00Z"}, "occurred_at"),
            ({"kind": "note"}, "kind"),
            ({"is_pinned": True}, "is_pinned"),
        ],
    )
    def test_says_what_is_wrong(self, org, as_rep, more, field):
        client = ClientFactory(org=org)
        with nothing_changes(apart_from=(MemoryLedger,)):
            answer = as_rep.post(ATOMS, wish(client, **more))
        assert (answer.status_code, list(answer.json()["fields"])) == (400, [field])

    def test_refuses_an_entity_of_another_organisation(self, as_rep, other_org):
        answer = as_rep.post(ATOMS, wish(ClientFactory(org=other_org)))
        assert (answer.status_code, answer.json()["code"]) == (404, "not_found")


class TestCorrect:
    def test_with_the_version_that_was_read(self, org, as_rep):
        atom = AtomFactory(org=org)
        etag = as_rep.get(f"{ATOMS}/{atom.pk}")["ETag"]
        answer = as_rep.patch(f"{ATOMS}/{atom.pk}", RIGHT, "application/json", HTTP_IF_MATCH=etag)
        assert answer.status_code == 200, answer.content
        row = answer.json()
        assert (row["content"], row["version"], row["is_locked"]) == (RIGHT["content"], 2, True)
        assert answer["ETag"] != etag
        with nothing_changes():
            stale = as_rep.patch(f"{ATOMS}/{atom.pk}", RIGHT, "application/json", HTTP_IF_MATCH=etag)
        assert (stale.status_code, stale.json()["code"]) == (412, "stale")

    def test_with_a_version_in_the_body(self, org, as_rep):
        atom = AtomFactory(org=org)
        with nothing_changes(apart_from=(MemoryLedger,)):
            stale = as_rep.patch(f"{ATOMS}/{atom.pk}", {**RIGHT, "expected_version": 2}, "application/json")
        assert stale.status_code == 412
        answer = as_rep.patch(f"{ATOMS}/{atom.pk}", {**RIGHT, "expected_version": 1}, "application/json")
        assert (answer.status_code, AtomVersion.all_orgs.count()) == (200, 2)

    @pytest.mark.parametrize(
        ("given", "field"),
        [
            ({"reason": "So"}, "content"),
            ({"content": "Four."}, "reason"),
            ({**RIGHT, "because": "mood"}, "because"),
            ({**RIGHT, "valid_from": "2026-03-02T10:00:00Z"}, "valid_from"),
            ({**RIGHT, "state": "active"}, "state"),
        ],
    )
    def test_says_what_is_wrong(self, org, as_rep, given, field):
        atom = AtomFactory(org=org)
        with nothing_changes(apart_from=(MemoryLedger,)):
            answer = as_rep.patch(f"{ATOMS}/{atom.pk}", given, "application/json")
        assert (answer.status_code, list(answer.json()["fields"])) == (400, [field])

    def test_what_is_redacted_stays_so(self, org, as_rep):
        atom = AtomFactory(org=org, state="redacted", content="", redacted_at=AT)
        answer = as_rep.patch(f"{ATOMS}/{atom.pk}", RIGHT, "application/json")
        assert (answer.status_code, answer.json()["code"]) == (409, "conflict")


class TestVerbs:
    def test_each_answers_the_atom_as_it_is_then(self, org, as_manager):
        atom = AtomFactory(org=org)
        for verb, name, value in (
            ("pin", "is_pinned", True),
            ("unpin", "is_pinned", False),
            ("archive", "state", "archived"),
            ("restore", "state", "active"),
        ):
            answer = as_manager.post(f"{ATOMS}/{atom.pk}/{verb}")
            assert (answer.status_code, answer.json()[name]) == (200, value), verb

    def test_a_move_that_makes_no_sense_says_what_does(self, org, as_manager):
        atom = AtomFactory(org=org)
        answer = as_manager.post(f"{ATOMS}/{atom.pk}/restore")
        assert (answer.status_code, answer.json()["current_state"]) == (422, "active")


class TestConflicts:
    def test_shows_both_sides_and_takes_a_decision(self, org, as_rep):
        conflict = AtomConflictFactory(org=org)
        (row,) = as_rep.get(CONFLICTS).json()["data"]
        assert (row["older"]["content"], row["newer"]["content"]) == ("They prefer to be called.", "They prefer email.")
        answer = as_rep.post(f"{CONFLICTS}/{conflict.pk}/resolve", {"kept": "newer", "note": "Asked them"})
        assert answer.status_code == 200, answer.content
        assert (answer.json()["kept"], answer.json()["older"]["state"]) == ("newer", "superseded")
        assert as_rep.get(CONFLICTS).json()["data"] == []
        (decided,) = as_rep.get(f"{CONFLICTS}?status=resolved").json()["data"]
        assert decided["atom_conflict_id"] == conflict.pk

    def test_more_rows_cost_no_more_queries(self, org, as_rep):
        AtomConflictFactory(org=org)
        with counted_queries() as few:
            as_rep.get(CONFLICTS)
        for _ in range(4):
            AtomConflictFactory(org=org)
        with counted_queries() as many:
            assert len(as_rep.get(CONFLICTS).json()["data"]) == 5
        assert len(few) == len(many) == 4

    def test_what_contradicts_something_hidden_is_hidden(self, org, as_rep, as_manager):
        hidden = AtomFactory(org=org, audience="managers")
        conflict = AtomConflictFactory(org=org, newer=hidden)
        assert as_rep.get(CONFLICTS).json()["data"] == []
        assert as_rep.post(f"{CONFLICTS}/{conflict.pk}/resolve", {"kept": "older"}).status_code == 404
        assert len(as_manager.get(CONFLICTS).json()["data"]) == 1


class TestHolds:
    def test_are_placed_listed_and_released(self, org, as_admin):
        client = ClientFactory(org=org)
        about = {"entity_type": "client", "entity_id": client.pk}
        placed = as_admin.post(HOLDS, {**about, "reason": "A case"})
        assert placed.status_code == 201, placed.content
        LegalHoldFactory(org=org, released_at=AT)
        address = f"{HOLDS}/{placed.json()['legal_hold_id']}/release"
        assert len(as_admin.get(HOLDS).json()["data"]) == 2
        (row,) = as_admin.get(f"{HOLDS}?standing=true").json()["data"]
        assert {name: row[name] for name in about} == about
        (row,) = as_admin.get(f"{HOLDS}?entity_type=client&entity_id={client.pk}").json()["data"]
        assert row["legal_hold_id"] == placed.json()["legal_hold_id"]
        assert as_admin.post(address, {"reason": "Settled"}).json()["release_reason"] == "Settled"
        assert as_admin.post(address, {"reason": "Again"}).status_code == 409

    def test_more_rows_cost_no_more_queries(self, org, as_admin):
        LegalHoldFactory(org=org)
        with counted_queries() as few:
            as_admin.get(HOLDS)
        for _ in range(4):
            LegalHoldFactory(org=org)
        with counted_queries() as many:
            as_admin.get(HOLDS)
        assert len(few) == len(many) == 2
