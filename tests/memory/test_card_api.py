"""`GET /api/memory/card`: its shape, its ETag, who gets what, and what is refused."""

from __future__ import annotations

import json
from datetime import timedelta

import pytest
from django.utils.timezone import now

from flowledger.tenancy.actors import Role
from memory.cards.composing import SUMMARY_BYTES
from memory.models import Audience, CardLook, MemoryLedger
from memory.services.cards import drop_cards
from tests.client import ApiClient, bearer
from tests.factories import ClientFactory
from tests.memory.card_rows import build_due, remember, stored_cards
from tests.memory.factories import MemoryLedgerFactory
from tests.queries import counted_queries
from tests.workstream.trail import nothing_changes


@pytest.fixture
def client(org):
    return ClientFactory(org=org)


def path_of(client):
    return f"/api/memory/card?entity_type=client&entity_id={client.pk}"


class TestAnswer:
    def test_says_everything_in_the_documented_form(self, client, as_rep):
        atom = remember(client.org, "They prefer email.", kind="preference", client=client, at=now())

        response = as_rep.get(path_of(client))

        body = response.json()
        assert response.status_code == 200
        assert (body["entity_type"], body["entity_id"], body["empty"], body["atom_count"]) == (
            "client",
            client.pk,
            False,
            1,
        )
        assert [line["atom_id"] for line in body["summary"]["preferences"]] == [atom.pk]
        assert body["top_atoms"][0]["score"] == pytest.approx(80, abs=0.1)
        assert body["top_atoms"][0]["source"]["source_type"] == "activity"
        assert body["since_last_look"] == {"looked_at": None, "new_count": 1, "new_atoms": []}
        assert response.headers["ETag"] == f"W/{body['etag']}"
        assert response.headers["Age"] == "0"
        assert response.headers["Cache-Control"] == "private, no-cache"

    def test_of_nothing_says_that_it_is_empty(self, client, as_viewer):
        body = as_viewer.get(path_of(client)).json()

        assert (body["empty"], body["stale"], body["top_atoms"], body["lessons"]) == (True, False, [], [])

    def test_stays_under_four_kilobytes_of_summary(self, client, as_rep):
        for kind in ("decision", "risk", "preference", "note", "status"):
            for number in range(9):
                remember(client.org, f"{'Üñïçödé 漢字 ' * 40}{number}", kind=kind, client=client, tags=["role"])

        summary = as_rep.get(path_of(client)).json()["summary"]

        assert all(summary.values())
        assert len(json.dumps(summary, ensure_ascii=False, separators=(",", ":")).encode()) <= SUMMARY_BYTES

    def test_a_card_that_waits_says_its_age(self, client, as_rep):
        at = now()
        remember(client.org, "They prefer email.", client=client, at=at - timedelta(seconds=90))
        build_due(at=at - timedelta(seconds=60))
        remember(client.org, "They prefer calls.", client=client, at=at)

        response = as_rep.get(path_of(client))

        assert response.json()["stale"] is True
        assert response.json()["atom_count"] == 1
        assert 60 <= int(response.headers["Age"]) <= 120

    def test_an_api_key_reads_and_looks_at_nothing(self, client, key_for):
        _, text = key_for(client.org, "memory:read", role=Role.VIEWER)

        assert ApiClient(f"Api-Key {text}").get(path_of(client)).json()["since_last_look"] is None
        assert not CardLook.all_orgs.exists()


class TestEtag:
    def test_who_has_it_already_gets_304_and_only_then(self, client, as_rep):
        remember(client.org, "They prefer email.", client=client, at=now())
        etag = as_rep.get(path_of(client)).headers["ETag"]

        known = as_rep.get(path_of(client), HTTP_IF_NONE_MATCH=etag)
        other = as_rep.get(path_of(client), HTTP_IF_NONE_MATCH='"card-other"')

        assert (known.status_code, known.content, known.headers["ETag"]) == (304, b"", etag)
        assert "Age" in known.headers
        assert other.status_code == 200

    def test_after_a_redaction_the_old_one_gets_a_new_card(self, client, as_rep):
        atom = remember(client.org, "The secret word is marzipan.", client=client, at=now())
        etag = as_rep.get(path_of(client)).headers["ETag"]
        drop_cards(client.org, [atom.pk])
        atom.delete()
        MemoryLedger.all_orgs.filter(org=client.org).update(epoch=1)

        response = as_rep.get(path_of(client), HTTP_IF_NONE_MATCH=etag)

        assert response.status_code == 200
        assert response.json()["empty"] is True
        assert "marzipan" not in response.content.decode()

    def test_differs_by_what_one_may_read(self, client, as_rep, as_manager):
        remember(client.org, "We may drop them.", client=client, audience=Audience.MANAGERS, at=now())
        mine, theirs = as_rep.get(path_of(client)), as_manager.get(path_of(client))

        assert mine.headers["ETag"] != theirs.headers["ETag"]
        assert (mine.json()["atom_count"], theirs.json()["atom_count"]) == (0, 1)
        assert "drop them" not in mine.content.decode()
        # A manager's ETag opens nothing for a representative.
        assert as_rep.get(path_of(client), HTTP_IF_NONE_MATCH=theirs.headers["ETag"]).status_code == 200

    def test_is_worth_nothing_to_a_stranger(self, client, as_rep, as_stranger):
        etag = as_rep.get(path_of(client)).headers["ETag"]

        with nothing_changes():
            assert as_stranger.get(path_of(client), HTTP_IF_NONE_MATCH=etag).status_code == 404
            assert ApiClient().get(path_of(client), HTTP_IF_NONE_MATCH=etag).status_code == 401


class TestRefusal:
    @pytest.mark.parametrize(
        ("query", "field"),
        [
            ("", "entity_type"),
            ("entity_type=client", "entity_id"),
            ("entity_type=client&entity_id=", "entity_id"),
            ("entity_type=client&entity_id=one", "entity_id"),
            ("entity_type=client&entity_id=0", "entity_id"),
            ("entity_type=client&entity_id=-1", "entity_id"),
            ("entity_type=client&entity_id=%C2%B2", "entity_id"),
            ("entity_type=client&entity_id=99999999999999999999", "entity_id"),
            ("entity_type=client&entity_id=9223372036854775808", "entity_id"),
            ("entity_type=task&entity_id=1", "entity_type"),
            ("entity_type=client%00&entity_id=1", "entity_type"),
            ("entity_type=client&entity_id=1&atom_type=note", "atom_type"),
        ],
    )
    def test_says_what_is_wrong(self, as_rep, query, field):
        response = as_rep.get(f"/api/memory/card?{query}")

        assert response.status_code == 400
        assert field in response.json()["fields"]

    def test_of_what_is_not_there(self, as_rep):
        assert as_rep.get("/api/memory/card?entity_type=pursuit&entity_id=4711").status_code == 404


class TestCost:
    def test_a_warm_card_costs_one_statement_and_a_cold_one_a_handful(self, client, as_rep):
        MemoryLedgerFactory(org=client.org)
        for number in range(30):
            remember(client.org, f"Note {number}.", client=client, at=now())

        with counted_queries() as cold:
            as_rep.get(path_of(client))
        with counted_queries() as warm:
            response = as_rep.get(path_of(client))

        assert response.json()["atom_count"] == 30
        assert len(stored_cards(client)) == 2
        # Besides the caller's membership; a cold one takes its mark as well.
        assert len(warm) == 1 + 1, "\n".join(warm)
        assert len(cold) == 1 + 10, "\n".join(cold)

    def test_a_members_token_is_enough(self, client, member_of):
        """A viewer reads cards, as everything else."""
        viewer = ApiClient(bearer(member_of(client.org, Role.VIEWER)))

        assert viewer.get(path_of(client)).status_code == 200
