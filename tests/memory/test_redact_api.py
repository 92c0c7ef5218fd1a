"""`/api/memory/redactions` and `/api/memory/erasures`: asked over HTTP, answered in the API's shapes."""

from __future__ import annotations

from datetime import timedelta

import pytest

from flowledger.tenancy.actors import Role
from memory.models import Atom, Redaction
from tests.factories import ContactFactory
from tests.memory.factories import AtomFactory, RedactionFactory
from tests.queries import counted_queries
from tests.workstream.factories import AT
from tests.workstream.trail import nothing_changes

pytestmark = pytest.mark.django_db
REDACTIONS = "/api/memory/redactions"
ERASURES = "/api/memory/erasures"


class TestRedactions:
    def test_redacts_an_atom(self, org, as_manager):
        atom = AtomFactory(org=org, content="Nobody's business.")
        answer = as_manager.post(REDACTIONS, {"atom_id": atom.pk, "action": "redact", "reason": "Asked for"})
        assert answer.status_code == 201, answer.content
        body = answer.json()
        assert (body["target"], body["atom_count"], body["reason"]) == ("atom", 1, "Asked for")
        assert body["named"] == {"atom_ids": [atom.pk]}
        assert body["erased_at"] is body["backups_until"] is None
        assert Atom.all_orgs.get(pk=atom.pk).content == ""

    def test_a_dry_run_answers_with_counts(self, org, as_manager):
        atom = AtomFactory(org=org)
        asked = {"atom_id": atom.pk, "reason": "Asked for", "dry_run": True}
        with nothing_changes():
            answer = as_manager.post(REDACTIONS, asked)
        assert answer.status_code == 200, answer.content
        assert answer.json()["atom_count"] == 1

    def test_corrects_an_atom(self, org, as_rep):
        atom = AtomFactory(org=org, content="They run three machines.")
        asked = {"atom_id": atom.pk, "action": "correct", "reason": "Misheard", "correction_content": "They run four."}
        answer = as_rep.post(REDACTIONS, asked)
        assert answer.status_code == 200, answer.content
        assert answer.json()["content"] == "They run four."
        assert not Redaction.all_orgs.exists()

    def test_a_representative_redacts_nothing(self, org, as_rep):
        atom = AtomFactory(org=org)
        with nothing_changes():
            assert as_rep.post(REDACTIONS, {"atom_id": atom.pk, "reason": "Asked for"}).status_code == 403

    @pytest.mark.parametrize(
        ("asked", "member"),
        [
            ({}, "atom_id"),
            ({"atom_id": 1, "entity": {"entity_type": "client", "entity_id": 1}}, "entity"),
            ({"entity": {"entity_type": "planet", "entity_id": 1}}, "entity_type"),
            ({"source": {"source_type": "planet", "source_id": 1}}, "source"),
            ({"source": {"source_type": "signal", "source_id": 1}, "action": "correct"}, "action"),
            ({"atom_id": 1, "action": "correct"}, "correction_content"),
            ({"atom_id": 1, "correction_content": "x"}, "correction_content"),
            ({"atom_id": 1, "reason": "  "}, "reason"),
            ({"atom_id": 1, "unknown": True}, "unknown"),
        ],
    )
    def test_bad_input_says_what_is_wrong(self, org, as_manager, asked, member):
        with nothing_changes():
            answer = as_manager.post(REDACTIONS, {"reason": "Asked for", **asked})
        assert answer.status_code == 400, answer.content
        assert any(name.startswith(member) for name in answer.json()["fields"]), answer.json()

    def test_the_list_is_for_managers(self, org, as_manager, as_rep):
        RedactionFactory(org=org)
        assert as_manager.get(REDACTIONS).json()["data"][0]["reason"]
        assert as_rep.get(REDACTIONS).status_code == 403

    def test_a_list_takes_as_many_queries_for_many_as_for_one(self, org, as_manager):
        RedactionFactory(org=org)
        with counted_queries() as one:
            as_manager.get(REDACTIONS)
        for _ in range(5):
            RedactionFactory(org=org)
        with counted_queries() as many:
            assert len(as_manager.get(REDACTIONS).json()["data"]) == 6
        assert len(many) == len(one) == 2

    def test_says_when_the_last_backup_goes(self, org, as_manager, settings):
        settings.MEMORY_BACKUP_DAYS = 10
        row = RedactionFactory(org=org, erased_at=AT)
        answer = as_manager.get(f"{REDACTIONS}/{row.pk}").json()
        assert answer["backups_until"] == (AT + timedelta(days=10)).isoformat().replace("+00:00", "Z")


class TestErasures:
    def test_erases_a_person(self, org, client_for):
        contact = ContactFactory(org=org, name="Ada Lovelace", email="ada@lovelace.example")
        answer = client_for(Role.ADMIN).post(ERASURES, {"contact_id": contact.pk, "reason": "Asked for"})
        assert answer.status_code == 201, answer.content
        assert answer.json()["named"] == {"contact_id": contact.pk, "merged_contact_ids": []}
        assert client_for(Role.ADMIN).get(ERASURES).json()["data"][0]["redaction_id"] == answer.json()["redaction_id"]
        contact.refresh_from_db()
        assert (contact.name, contact.email) == ("Erased person", "")

    def test_a_dry_run_answers_with_counts(self, org, client_for):
        contact = ContactFactory(org=org)
        with nothing_changes():
            answer = client_for(Role.ADMIN).post(
                ERASURES, {"contact_id": contact.pk, "reason": "Asked for", "dry_run": True}
            )
        assert answer.status_code == 200, answer.content
        assert answer.json()["touched"]["clients.contact"] == 1

    def test_is_refused_to_managers(self, org, as_manager):
        contact = ContactFactory(org=org)
        with nothing_changes():
            assert as_manager.post(ERASURES, {"contact_id": contact.pk, "reason": "Why"}).status_code == 403
