"""The export of a person: all that is held, as JSON, and nothing of anybody else."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest

from flowledger.errors import NotFound, PermissionRefused
from flowledger.tenancy.scope import system_scope
from memory import services
from memory.machines import AtomState
from memory.models import Atom
from tests.factories import ContactFactory
from tests.memory.canary_world import ADMIN, LATER, Traces, leave_traces
from tests.workstream.conftest import actor_of
from tests.workstream.trail import nothing_changes

pytestmark = pytest.mark.django_db
ASKED_AT = LATER + timedelta(days=1)


@pytest.fixture
def traces(org, rep) -> Traces:
    return leave_traces(org, user=rep.user)


def export(traces: Traces, **more: Any) -> Any:
    given = {"org": traces.org, "contact_id": traces.contact.pk, "actor": ADMIN, "at": ASKED_AT, **more}
    return services.export_person(**given)


class TestExportPerson:
    def test_holds_what_every_table_holds(self, traces):
        with nothing_changes():
            found = export(traces)

        assert {
            "clients.contact",
            "clients.identitykey",
            "clients.mergerecord",
            "workstream.signal",
            "workstream.signalpayload",
            "workstream.activity",
            "workstream.task",
            "workstream.workitemlink",
            "workstream.pursuit",
            "workstream.notification",
            "workstream.importrow",
            "workstream.intakereject",
            "outbox.outgoingemail",
        } <= set(found.held)
        contacts = {row["id"] for row in found.held["clients.contact"]}
        assert traces.contact.pk in contacts
        assert traces.stranger.pk not in contacts
        (payload, *_) = found.held["workstream.signalpayload"]
        assert "We prefer the xylophant press." in payload["body"]

    def test_of_others_texts_only_what_names_the_person(self, traces):
        found = export(traces)
        call = next(row for row in found.held["workstream.activity"] if "Mira" in row.get("body", ""))
        assert set(call) == {"id", "body"}

    def test_holds_atoms_with_versions_and_sources(self, traces):
        found = export(traces)
        by_content = {atom["content"]: atom for atom in found.atoms}
        assert "Wants xylophant samples." in by_content
        assert all(atom["sources"] for atom in found.atoms)
        with system_scope("tests"):
            linked = set(Atom.all_orgs.filter(links__contact=traces.contact).values_list("pk", flat=True))
        assert linked <= {atom["atom_id"] for atom in found.atoms}

    def test_archived_atoms_are_part_of_it(self, traces):
        with system_scope("tests"):
            atom = Atom.all_orgs.get(content="Wants xylophant samples.")
        services.archive_atom(org=traces.org, atom_id=atom.pk, actor=ADMIN, at=ASKED_AT)
        states = {each["atom_id"]: each["state"] for each in export(traces).atoms}
        assert states[atom.pk] == AtomState.ARCHIVED

    def test_after_an_erasure_it_holds_no_text(self, traces):
        services.erase_person(
            org=traces.org, contact_id=traces.contact.pk, reason="Asked for", actor=ADMIN, at=ASKED_AT
        )
        found = export(traces)
        text = json.dumps([found.atoms, found.held], default=str).lower()
        assert "xylophant" not in text
        assert "zanzibarius" not in text
        assert all(atom["content"] == "" for atom in found.atoms)

    def test_a_tombstone_answers_with_its_survivor(self, traces):
        with system_scope("tests"):
            tombstone = traces.contact.merged.get()
        assert export(traces, contact_id=tombstone.pk).contact_id == traces.contact.pk


class TestExportApi:
    def test_is_json_for_administrators(self, traces, client_for):
        answer = client_for().get(f"/api/memory/export?contact_id={traces.contact.pk}")
        assert answer.status_code == 200
        body = answer.json()
        assert body["contact_id"] == traces.contact.pk
        assert body["held"]["clients.contact"][0]["email"] == traces.contact.email
        assert answer["Cache-Control"] == "no-store"

    @pytest.mark.parametrize("query", ["", "contact_id=x", "contact_id=0", "contact_id=1&more=2"])
    def test_a_malformed_question_says_what_is_wrong(self, org, client_for, query):
        assert client_for().get(f"/api/memory/export?{query}").status_code == 400


class TestRefusals:
    def test_only_an_administrator_exports(self, org, manager):
        contact = ContactFactory(org=org)
        with pytest.raises(PermissionRefused):
            services.export_person(org=org, contact_id=contact.pk, actor=actor_of(manager), at=ASKED_AT)

    def test_a_strangers_contact_does_not_exist(self, org, other_org):
        contact = ContactFactory(org=other_org)
        with pytest.raises(NotFound):
            services.export_person(org=org, contact_id=contact.pk, actor=ADMIN, at=ASKED_AT)
