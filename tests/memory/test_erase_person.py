"""Erasing a person: no word of theirs and no mention of them is left anywhere, before any worker has run."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from flowledger.clients import services as clients
from flowledger.clients.models import Contact, MergeRecord
from flowledger.errors import Conflict, InvalidInput, NotFound, PermissionRefused
from flowledger.outbox.drain import drain_all
from flowledger.tenancy.scope import system_scope
from memory import services
from memory.services.redaction import DryRun
from tests.factories import ContactFactory
from tests.memory.canaries import rows_with
from tests.memory.canary_world import ADMIN, FIRST_MAIL, LATER, NAME, SECRET, Traces, leave_traces
from tests.memory.capturing import captured
from tests.workstream.conftest import actor_of
from tests.workstream.factories import CLERK
from tests.workstream.trail import nothing_changes
from workstream import services as pipeline
from workstream.models import Activity, Pursuit, Signal

pytestmark = pytest.mark.django_db
ERASED_AT = LATER + timedelta(days=1)


@pytest.fixture
def traces(org, rep) -> Traces:
    return leave_traces(org, user=rep.user)


def erase(traces: Traces, **more: Any) -> Any:
    given = {"org": traces.org, "contact_id": traces.contact.pk, "reason": "Asked for by the person", "actor": ADMIN}
    return services.erase_person(**{**given, "at": ERASED_AT, **more})


class TestErasePerson:
    def test_nothing_is_left_anywhere(self, traces):
        """In no column of any table, before any worker has run; and no worker brings anything back."""
        before = {**rows_with(SECRET), **rows_with(NAME)}
        assert len(before) > 20, "the traces are not where they are looked for"
        others = everything_of(traces.stranger)

        redaction = erase(traces)

        assert rows_with(SECRET) == {}
        assert rows_with(NAME) == {}
        assert redaction.atom_count > 5
        assert everything_of(traces.stranger) == others
        # The rows are there: only what they said is gone.
        assert Signal.all_orgs.filter(contact=traces.contact).count() == 2
        assert Pursuit.all_orgs.get(pk=traces.pursuit.pk).stage == traces.pursuit.stage
        contact = Contact.all_orgs.get(pk=traces.contact.pk)
        assert (contact.name, contact.email, contact.phone, contact.is_active) == ("Erased person", "", "", False)
        # What others said keeps all but the sentence that named the person.
        (call,) = Activity.all_orgs.filter(contact=traces.stranger)
        assert "Mira prefers to be called in the morning." in call.body
        self.comes_back_by_nothing(traces)

    def comes_back_by_nothing(self, traces: Traces) -> None:
        """Workers, every event again, the same email again, and undoing what the person was part of."""
        drain_all()
        captured(traces.org)
        again = pipeline.receive_mail(
            org=traces.org, source=None, raw=FIRST_MAIL, sender="from 192.0.2.1", actor=CLERK, at=ERASED_AT
        )
        assert (again.status, again.signal_id) == ("repeated", traces.signal.pk)
        drain_all()
        with system_scope("tests"):
            merge = MergeRecord.all_orgs.get(entity_type="contact")
        with pytest.raises(Conflict, match="erased"):
            clients.undo_merge(org=traces.org, merge_id=merge.pk, actor=CLERK, at=ERASED_AT)
        assert rows_with(SECRET) == {}
        assert rows_with(NAME) == {}

    def test_again_is_the_same_erasure(self, traces):
        first = erase(traces)
        with nothing_changes():
            assert erase(traces, reason="Once more").pk == first.pk

    def test_a_dry_run_counts_and_changes_nothing(self, traces):
        with nothing_changes():
            planned = erase(traces, dry_run=True)
        assert isinstance(planned, DryRun)

        done = erase(traces)

        assert planned.atom_count == done.atom_count
        # Of memory's own tables the atoms say how much it is. A row that is reached in two ways is counted twice.
        others = {table: number for table, number in done.touched.items() if not table.startswith("memory.")}
        assert len(others) > 10
        assert all(planned.touched[table] >= number for table, number in others.items())

    def test_who_else_is_in_the_database_is_not_touched(self, traces, other_org):
        """Another organisation knows the same person."""
        with system_scope("tests"):
            theirs = ContactFactory(org=other_org, name="Quillon Zanzibarius", email="quillon.zanzibarius@gmail.com")
        before = everything_of(theirs)

        erase(traces)

        assert rows_with(NAME) == {"clients_contact": 1}
        assert everything_of(theirs) == before


class TestRefusals:
    @pytest.fixture
    def contact(self, org):
        return ContactFactory(org=org)

    def test_only_an_administrator_erases(self, org, contact, manager):
        with nothing_changes(), pytest.raises(PermissionRefused):
            services.erase_person(
                org=org, contact_id=contact.pk, reason="Why not", actor=actor_of(manager), at=ERASED_AT
            )

    def test_it_needs_a_reason(self, org, contact):
        with nothing_changes(), pytest.raises(InvalidInput):
            services.erase_person(org=org, contact_id=contact.pk, reason=" ", actor=ADMIN, at=ERASED_AT)

    def test_a_strangers_contact_does_not_exist(self, other_org, contact):
        with nothing_changes(), pytest.raises(NotFound):
            services.erase_person(org=other_org, contact_id=contact.pk, reason="Why", actor=ADMIN, at=ERASED_AT)

    def test_a_tombstone_names_its_survivor(self, org, contact):
        double = ContactFactory(org=org)
        clients.merge_contacts(org=org, survivor_id=contact.pk, loser_id=double.pk, actor=CLERK, at=ERASED_AT)
        with nothing_changes(), pytest.raises(Conflict, match=f"merged into contact {contact.pk}"):
            services.erase_person(org=org, contact_id=double.pk, reason="Why", actor=ADMIN, at=ERASED_AT)

    def test_a_legal_hold_stands_in_the_way(self, org, contact):
        services.place_hold(
            org=org, entity_type="contact", entity_id=contact.pk, reason="A case", actor=CLERK, at=ERASED_AT
        )
        with nothing_changes(), pytest.raises(Conflict, match="legal hold"):
            services.erase_person(org=org, contact_id=contact.pk, reason="Why", actor=ADMIN, at=ERASED_AT)


def everything_of(contact: Contact) -> dict[str, Any]:
    """The columns of a contact as they are stored."""
    with system_scope("tests"):
        return dict(Contact.all_orgs.filter(pk=contact.pk).values()[0])
