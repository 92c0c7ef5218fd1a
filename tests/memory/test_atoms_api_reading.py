"""`/api/memory/atoms`: lists with their filters, one atom with where it comes from, and what it said before."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from flowledger.tenancy.actors import Role
from memory import services
from memory.models import MemoryLedger
from memory.services.ledger import hash_text, ledger_of
from tests.client import ApiClient, bearer
from tests.factories import ClientFactory, ContactFactory
from tests.memory.factories import AtomFactory, AtomLinkFactory, AtomSourceFactory
from tests.queries import counted_queries
from tests.workstream.factories import AT, CLERK, ProposalFactory

pytestmark = pytest.mark.django_db
ATOMS = "/api/memory/atoms"
DAY = timedelta(days=1)


@pytest.fixture
def as_admin(org: Any, member_of: Any) -> ApiClient:
    return ApiClient(bearer(member_of(org, Role.ADMIN)))


def listed(client: ApiClient, query: str = "") -> list[int]:
    answer = client.get(f"{ATOMS}{query}")
    assert answer.status_code == 200, answer.content
    return [row["atom_id"] for row in answer.json()["data"]]


class TestList:
    def test_shows_what_is_active_the_newest_first(self, org, as_viewer):
        old, new = AtomFactory(org=org), AtomFactory(org=org, occurred_at=AT + DAY)
        for state in ("archived", "superseded"):
            AtomFactory(org=org, state=state)
        AtomFactory(org=org, state="redacted", content="", redacted_at=AT)
        assert listed(as_viewer) == [new.pk, old.pk]

    def test_says_what_is_known_and_where_it_comes_from(self, org, as_viewer):
        contact = ContactFactory(org=org)
        atom = AtomFactory(org=org, contact=contact, kind="preference", tags=["channel"], confidence="0.80")
        (row,) = as_viewer.get(ATOMS).json()["data"]
        expected = {
            "entity_type": "contact",
            "entity_id": contact.pk,
            "atom_type": "preference",
            "content": atom.content,
            "tags": ["channel"],
            "confidence": 0.8,
            "base_score": 80,
            "occurred_at": "2026-03-02T09:00:00Z",
            "superseded_by_id": None,
            "is_redacted": False,
            "content_hash": atom.content_hash,
            "version": 1,
        }
        assert {name: row[name] for name in expected} == expected
        (source,) = row["sources"]
        assert (source["system"], source["source_type"], source["extractor"]) == ("flowledger", "activity", "tests")

    @pytest.mark.parametrize(
        ("query", "number"),
        [
            ("?atom_type=risk", 1),
            ("?atom_type=risk,preference", 2),
            ("?tag=price", 1),
            ("?tag=price&tag=channel", 2),
            ("?tag=nothing", 0),
            ("?pinned=true", 1),
            ("?state=archived", 1),
            ("?state=active,archived", 5),
            ("?since=2026-03-03", 1),
            ("?until=2026-03-03", 3),
            ("?audience=everyone", 4),
        ],
    )
    def test_filters(self, org, as_viewer, query, number):
        AtomFactory(org=org, kind="risk", tags=["price"])
        AtomFactory(org=org, kind="preference", tags=["channel"])
        AtomFactory(org=org, is_pinned=True)
        AtomFactory(org=org, occurred_at=AT + DAY)
        AtomFactory(org=org, state="archived")
        assert len(listed(as_viewer, query)) == number

    def test_an_entity_shows_what_is_said_of_what_belongs_to_it(self, org, as_viewer):
        client, proposal = ClientFactory(org=org), ProposalFactory(org=org)
        about = AtomFactory(org=org, client=client, occurred_at=AT + DAY)
        below = AtomFactory(org=org, proposal=proposal, through=[client])
        AtomFactory(org=org)
        assert listed(as_viewer, f"?entity_type=client&entity_id={client.pk}") == [about.pk, below.pk]
        assert listed(as_viewer, f"?entity_type=proposal&entity_id={proposal.pk}") == [below.pk]

    def test_shows_who_wrote_something(self, org, as_viewer, rep):
        mine = AtomFactory(org=org, author=rep.user)
        AtomFactory(org=org)
        assert listed(as_viewer, f"?author_id={rep.user_id}") == [mine.pk]

    def test_an_audience_reads_what_is_for_it(self, org, as_viewer, as_rep, as_manager, rep):
        all_of = AtomFactory(org=org, occurred_at=AT)
        bosses = AtomFactory(org=org, audience="managers", occurred_at=AT + DAY)
        own = AtomFactory(org=org, audience="author", author=rep.user, occurred_at=AT + 2 * DAY)
        nobodys = AtomFactory(org=org, audience="author", author=None)
        assert listed(as_viewer) == [all_of.pk]
        assert listed(as_rep) == [own.pk, all_of.pk]
        assert listed(as_manager) == [bosses.pk, all_of.pk]
        assert listed(as_rep, "?audience=managers") == []
        for client in (as_viewer, as_rep, as_manager):
            assert client.get(f"{ATOMS}/{nobodys.pk}").status_code == 404

    @pytest.mark.parametrize(
        ("query", "field"),
        [
            ("?entity_type=client", "entity_id"),
            ("?entity_id=7", "entity_type"),
            ("?entity_type=invoice&entity_id=7", "entity_type"),
            ("?entity_type=client&entity_id=x", "entity_id"),
            ("?atom_type=rumour", "atom_type"),
            ("?state=gone", "state"),
            ("?since=yesterday", "since"),
            ("?kinds=risk", "kinds"),
        ],
    )
    def test_a_question_that_means_nothing_is_refused(self, as_viewer, query, field):
        answer = as_viewer.get(f"{ATOMS}{query}")
        assert (answer.status_code, list(answer.json()["fields"])) == (400, [field])

    def test_more_rows_cost_no_more_queries(self, org, as_viewer):
        AtomFactory(org=org)
        with counted_queries() as few:
            listed(as_viewer)
        for _ in range(5):
            AtomSourceFactory(org=org, atom=AtomFactory(org=org))
        with counted_queries() as many:
            assert len(listed(as_viewer)) == 6
        assert len(few) == len(many) == 3

    def test_a_strangers_atoms_are_nowhere(self, org, as_viewer, as_stranger):
        client = ClientFactory(org=org)
        atom = AtomFactory(org=org, client=client)
        assert listed(as_viewer) == [atom.pk]
        assert listed(as_stranger, f"?entity_type=client&entity_id={client.pk}") == []
        for address in (f"{ATOMS}/{atom.pk}", f"{ATOMS}/{atom.pk}/versions"):
            assert as_stranger.get(address).status_code == 404


class TestDetail:
    def test_names_all_that_it_is_visible_from(self, org, as_viewer):
        client, contact = ClientFactory(org=org), ContactFactory(org=org)
        atom = AtomFactory(org=org, contact=contact, through=[client])
        row = as_viewer.get(f"{ATOMS}/{atom.pk}").json()
        assert row["links"] == [
            {"entity_type": "contact", "entity_id": contact.pk, "role": "subject"},
            {"entity_type": "client", "entity_id": client.pk, "role": "through"},
        ]

    def test_is_answered_once_until_it_changes(self, org, as_viewer):
        atom = AtomFactory(org=org)
        etag = as_viewer.get(f"{ATOMS}/{atom.pk}")["ETag"]

        def known() -> int:
            return as_viewer.get(f"{ATOMS}/{atom.pk}", HTTP_IF_NONE_MATCH=etag).status_code

        assert known() == 304
        AtomLinkFactory(org=org, atom=atom, contact=ContactFactory(org=org), role="mention")
        assert known() == 200
        etag = as_viewer.get(f"{ATOMS}/{atom.pk}")["ETag"]
        AtomSourceFactory(org=org, atom=atom)
        assert known() == 200
        etag = as_viewer.get(f"{ATOMS}/{atom.pk}")["ETag"]
        assert known() == 304
        # A redaction anywhere in the organisation ends every answer that was kept.
        MemoryLedger.all_orgs.filter(org=org).update(epoch=1)
        assert known() == 200

    def test_what_is_redacted_is_a_tombstone(self, org, as_viewer):
        atom = AtomFactory(org=org, state="redacted", content="", redacted_at=AT)
        row = as_viewer.get(f"{ATOMS}/{atom.pk}").json()
        assert (row["content"], row["is_redacted"], row["redacted_at"]) == ("", True, "2026-03-02T09:00:00Z")

    def test_as_of_a_moment_it_says_what_held_then(self, org, as_viewer):
        atom = AtomFactory(org=org, content="Three seats.", content_hash=hash_text(ledger_of(org), "Three seats."))
        keys: dict[str, Any] = {"org": org, "atom_id": atom.pk, "reason": "They grew", "actor": CLERK}
        services.correct_atom(**keys, content="Five seats.", because="change", valid_from=AT + 5 * DAY, at=AT + 9 * DAY)

        def asked(moment: str) -> Any:
            return as_viewer.get(f"{ATOMS}/{atom.pk}?as_of={moment}")

        then = asked("2026-03-06T00:00:00Z").json()
        assert (then["content"], then["version"], then["valid_from"]) == ("Three seats.", 1, "2026-03-02T09:00:00Z")
        assert then["valid_until"] == "2026-03-07T09:00:00Z"
        assert asked("2026-03-08").json()["content"] == "Five seats."
        assert (asked("2026-03-01").status_code, asked("2026-03-01").json()["code"]) == (404, "not_found")
        assert (asked("then").status_code, list(asked("then").json()["fields"])) == (400, ["as_of"])


class TestVersions:
    def test_auditors_see_what_it_said_before(self, org, as_admin):
        atom = AtomFactory(org=org, content="Three.", content_hash=hash_text(ledger_of(org), "Three."))
        keys: dict[str, Any] = {"org": org, "atom_id": atom.pk, "actor": CLERK, "at": AT}
        services.correct_atom(**keys, content="Four.", reason="Misheard")
        answer = as_admin.get(f"{ATOMS}/{atom.pk}/versions").json()
        assert [(row["version"], row["content"], row["because"]) for row in answer["data"]] == [
            (1, "Three.", "written"),
            (2, "Four.", "error"),
        ]
        assert (answer["is_whole"], answer["broken"]) == (True, [])
        assert "Three." not in str(as_admin.get(f"{ATOMS}/{atom.pk}").json())

    def test_nobody_else_does(self, org, as_manager, as_rep):
        atom = AtomFactory(org=org)
        for client in (as_manager, as_rep):
            assert client.get(f"{ATOMS}/{atom.pk}/versions").status_code == 403
