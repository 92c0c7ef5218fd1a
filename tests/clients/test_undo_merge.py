"""An undone merge leaves every table as it was, except for what was changed since, which is listed."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from flowledger.clients.models import Client, ConflictStatus, Contact, IdentityConflict, IdentityKey, MergedRow
from flowledger.clients.services import (
    create_contact,
    merge_clients,
    merge_contacts,
    undo_merge,
    update_client,
    update_contact,
)
from flowledger.errors import Conflict, NotFound, PermissionRefused
from flowledger.outbox.drain import drain_all
from flowledger.outbox.models import WorkEvent
from flowledger.tenancy.actors import Actor, Role
from flowledger.tenancy.models import Organization
from flowledger.tenancy.scope import org_scope
from tests.clients.merge_world import (
    AT,
    CLERK,
    LATER,
    PANEL_VERSIONS,
    conflict,
    contents,
    moved_tables,
    rows_in,
    two_sides,
)
from tests.factories import ClientFactory, ContactFactory
from workstream import services as pipeline
from workstream.models import Candidate, Signal, Task, TodayItem

pytestmark = pytest.mark.django_db

MERGES = {"contact": merge_contacts, "client": merge_clients}
# What there is to move, so that the comparison compares something.
MOVED = {
    "contact": {
        *("clients.identitykey.contact", "workstream.activity.contact", "workstream.candidate.contact"),
        *("workstream.pursuit.contact", "workstream.signal.contact", "workstream.task.contact"),
        *("workstream.workitemlink.contact", "memory.atom.contact", "memory.atomlink.contact"),
    },
    "client": {
        *("clients.contact.client", "clients.identitykey.client", "clients.onboardingtask.client"),
        *("workstream.activity.client", "workstream.candidate.client", "workstream.engagement.client"),
        *("workstream.pursuit.client", "workstream.signal.client", "workstream.task.client"),
        *("workstream.workitemlink.client", "memory.atom.client", "memory.atomlink.client"),
    },
}


def merge(kind: str, survivor: Any, loser: Any, **more: Any) -> Any:
    where = {"org": survivor.org, "survivor_id": survivor.pk, "loser_id": loser.pk, "actor": CLERK, "at": LATER}
    return MERGES[kind](**{**where, **more})


def undo(record: Any, **more: Any) -> Any:
    return undo_merge(**{"org": record.org, "merge_id": record.pk, "actor": CLERK, "at": LATER, **more})


def kept(report: Any) -> set[tuple[str, int, str]]:
    return {(change.model, change.id, change.field) for change in report.kept}


def pair(org: Organization) -> tuple[Contact, Contact]:
    """Two people with addresses, phones and keys."""
    return tuple(  # type: ignore[return-value]
        create_contact(
            org=org,
            fields={"name": name, "email": f"{name}@acme.example", "phone": f"+4930123450{number}"},
            actor=CLERK,
            at=AT,
        )
        for number, name in enumerate(("ann", "anna"))
    )


class TestEveryTableIsAsItWas:
    @pytest.mark.parametrize("kind", ["contact", "client"])
    @pytest.mark.parametrize("takes_all", [False, True])
    def test_after_the_undo_at_once(self, org: Organization, kind: str, takes_all: bool) -> None:
        """Over all columns of every tenant table, versions and times included."""
        first, second = two_sides(org)
        survivor, loser = getattr(first, kind), getattr(second, kind)
        older = (
            ContactFactory(org=org, canonical=loser) if kind == "contact" else ClientFactory(org=org, canonical=loser)
        )
        conflict(org, survivor, loser)
        conflict(org, survivor, older)
        before = contents(org)
        assert (
            min(rows_in(before, f"workstream_{name}") for name in ("signal", "slaclock", "todayitem", "proposal")) >= 2
        )
        choices = dict.fromkeys(("name", "email", "phone"), "loser") if kind == "contact" else {"name": "loser"}

        record = merge(kind, survivor, loser, choices=choices if takes_all else {})
        assert set(record.moved) == MOVED[kind] | {f"clients.{kind}.canonical"}
        during = contents(org)
        assert moved_tables(before, during) == {
            "clients_identityconflict",
            f"clients_{kind}",
            *(label.rsplit(".", 1)[0].replace(".", "_") for label in MOVED[kind]),
        }
        report = undo(record)

        assert moved_tables(before, contents(org)) == set()
        assert (report.kept, report.kept_count) == ([], 0)
        assert report.returned == record.moved

    @pytest.mark.parametrize("kind", ["contact", "client"])
    def test_after_the_handlers_have_run(self, org: Organization, kind: str) -> None:
        """The Today panel was moved and moved back; only how often it was computed differs. Memory remembers both."""
        first, second = two_sides(org)
        before = contents(org, ignoring=PANEL_VERSIONS)
        record = merge(kind, getattr(first, kind), getattr(second, kind))
        drain_all()
        with org_scope(org):
            names = set(TodayItem.objects.for_org(org).values_list("client_name", flat=True))
        assert names == ({"Harbour Works"} if kind == "client" else {"Harbour Works", "Quayside Works"})
        undo(record)
        drain_all()
        moved = moved_tables(before, contents(org, ignoring=PANEL_VERSIONS))
        assert {table for table in moved if not table.startswith("memory_")} == set()

    def test_merging_again_and_undoing_again(self, org: Organization) -> None:
        ann, anna = pair(org)
        before = contents(org)
        for _ in range(3):
            undo(merge("contact", ann, anna))
            undo(merge("contact", anna, ann))
        assert moved_tables(before, contents(org)) == set()

    def test_chains_are_undone_backwards(self, org: Organization) -> None:
        ann, anna = pair(org)
        third = ContactFactory(org=org, name="Ann Lee")
        before = contents(org)
        one = merge("contact", anna, ann)
        between = contents(org)
        two = merge("contact", third, anna)
        with org_scope(org):
            assert set(
                Contact.objects.for_org(org).filter(pk__in=(ann.pk, anna.pk)).values_list("canonical", flat=True)
            ) == {third.pk}
        held = contents(org)
        with pytest.raises(Conflict, match=f"Undo merge {two.pk} first") as refusal:
            undo(one)
        assert refusal.value.details == {"merge_id": two.pk}
        assert moved_tables(held, contents(org)) == set()
        undo(two)
        assert moved_tables(between, contents(org)) == set()
        undo(one)
        assert moved_tables(before, contents(org)) == set()

    def test_a_later_merge_into_the_same_survivor_goes_first(self, org: Organization) -> None:
        ann, anna = pair(org)
        third = ContactFactory(org=org, name="Ann Lee")
        before = contents(org)
        one, two = merge("contact", ann, anna), merge("contact", ann, third)
        with pytest.raises(Conflict, match=f"Undo merge {two.pk} first"):
            undo(one)
        undo(two)
        undo(one)
        assert moved_tables(before, contents(org)) == set()

    def test_contacts_and_their_clients_in_either_order(self, org: Organization) -> None:
        """What both merges moved goes back with each; versions that both counted are not brought back."""
        first, second = two_sides(org)
        references = {
            Signal: ("contact_id", "client_id"),
            Candidate: ("contact_id", "client_id"),
            Contact: ("client_id",),
        }

        def naming() -> Any:
            with org_scope(org):
                return {
                    model: list(model.objects.for_org(org).order_by("pk").values_list("pk", *columns))
                    for model, columns in references.items()
                }

        before = naming()
        of_people, of_companies = (
            merge("contact", first.contact, second.contact),
            merge("client", first.client, second.client),
        )
        undo(of_people)
        undo(of_companies)
        assert naming() == before


class TestLaterEdits:
    def test_of_the_survivor_stay_and_are_listed(self, org: Organization) -> None:
        ann, anna = pair(org)
        record = merge("contact", ann, anna, choices={"name": "loser", "phone": "loser"})
        update_contact(org=org, contact_id=ann.pk, fields={"name": "Ann Lee", "title": "CTO"}, actor=CLERK, at=LATER)
        report = undo(record)
        with org_scope(org):
            row = Contact.objects.for_org(org).get(pk=ann.pk)
        assert (row.name, row.title, row.phone) == ("Ann Lee", "CTO", ann.phone)
        assert [(change.field, change.value, change.before) for change in report.kept] == [
            ("name", "Ann Lee", "ann"),
            ("title", "CTO", ""),
        ]

    def test_of_moved_rows_stay_and_are_listed(self, org: Organization) -> None:
        first, second = two_sides(org)
        record = merge("client", first.client, second.client)
        edited, renamed = second.candidates[0], second.candidates[1]
        pipeline.update_candidate(org=org, candidate_id=edited.pk, fields={"title": "Presses"}, actor=CLERK, at=LATER)
        third = ClientFactory(org=org, name="Third")
        pipeline.update_candidate(org=org, candidate_id=renamed.pk, fields={"client": third}, actor=CLERK, at=LATER)
        with org_scope(org):
            (task,) = Task.objects.for_org(org).filter(client=first.client, created_at__gte=second.client.created_at)
            deleted = task.pk
            task.delete()
            versions = dict(Candidate.objects.for_org(org).values_list("pk", "row_version"))
        report = undo(record)
        with org_scope(org):
            rows = Candidate.objects.for_org(org).in_bulk([edited.pk, renamed.pk])
        assert (rows[edited.pk].client_id, rows[edited.pk].title) == (second.client.pk, "Presses")
        assert rows[edited.pk].row_version == versions[edited.pk] + 1
        assert (rows[renamed.pk].client_id, rows[renamed.pk].row_version) == (third.pk, versions[renamed.pk])
        assert kept(report) == {
            ("workstream.candidate", edited.pk, "client_id"),
            ("workstream.candidate", renamed.pk, "client_id"),
            ("workstream.task", deleted, "client_id"),
        }
        assert report.kept_count == len(report.kept) == 3
        assert {change.reason for change in report.kept} == {
            "Deleted since.",
            "Names another since; it stays.",
            f"Changed since; it keeps the change and belongs to client {second.client.pk} again.",
        }
        assert report.merge.undo_report == report.as_dict()

    def test_what_came_since_stays_with_the_survivor(self, org: Organization) -> None:
        ann, anna = pair(org)
        record = merge("contact", ann, anna)
        received = pipeline.create_signal(
            org=org,
            fields={"source_type": "email", "snippet": "Hello", "contact_email": "anna@acme.example"},
            actor=CLERK,
            at=LATER,
        ).signal
        assert received.contact_id == ann.pk
        undo(record)
        with org_scope(org):
            assert Signal.objects.for_org(org).get(pk=received.pk).contact_id == ann.pk
            again = pipeline.create_signal(
                org=org,
                fields={"source_type": "email", "snippet": "Hello again", "contact_email": "anna@acme.example"},
                actor=CLERK,
                at=LATER,
            ).signal
        assert again.contact_id == anna.pk

    def test_an_address_that_a_third_has_by_now_stays_there(self, org: Organization) -> None:
        """The survivor took the loser's address and gave it up; somebody else uses it."""
        ann, anna = pair(org)
        record = merge("contact", ann, anna, choices={"email": "loser"})
        update_contact(org=org, contact_id=ann.pk, fields={"email": "lee@acme.example"}, actor=CLERK, at=LATER)
        third = create_contact(org=org, fields={"name": "Third", "email": "anna@acme.example"}, actor=CLERK, at=LATER)
        report = undo(record)
        with org_scope(org):
            rows = Contact.objects.for_org(org).in_bulk([ann.pk, anna.pk, third.pk])
        assert [rows[each.pk].email for each in (ann, anna, third)] == ["lee@acme.example", "", "anna@acme.example"]
        assert rows[anna.pk].canonical_id is None
        assert {("clients.contact", ann.pk, "email"), ("clients.contact", anna.pk, "email")} <= kept(report)

    def test_one_that_would_be_nobody_is_refused(self, org: Organization) -> None:
        ann, _ = pair(org)
        nameless = create_contact(org=org, fields={"email": "info@acme.example"}, actor=CLERK, at=AT)
        record = merge("contact", ann, nameless, choices={"email": "loser"})
        update_contact(org=org, contact_id=ann.pk, fields={"email": ""}, actor=CLERK, at=LATER)
        create_contact(org=org, fields={"name": "Third", "email": "info@acme.example"}, actor=CLERK, at=LATER)
        before = contents(org)
        with pytest.raises(Conflict, match=r"nothing but the address info@acme\.example"):
            undo(record)
        assert moved_tables(before, contents(org)) == set()

    def test_a_key_that_was_given_up_finds_the_loser_again(self, org: Organization) -> None:
        ann, anna = pair(org)
        record = merge("contact", ann, anna, choices={"email": "loser"})
        update_contact(org=org, contact_id=ann.pk, fields={"email": "lee@acme.example"}, actor=CLERK, at=LATER)
        undo(record)
        with org_scope(org):
            key = IdentityKey.objects.for_org(org).get(key_value="anna@acme.example")
        assert key.contact_id == anna.pk


class TestPairs:
    def test_that_the_merge_settled_are_open_again(self, org: Organization) -> None:
        ann, anna = pair(org)
        third = ContactFactory(org=org, name="Ann Lee")
        settled, other = conflict(org, ann, anna), conflict(org, ann, third)
        record = merge("contact", ann, anna)
        statuses = self._statuses(org)
        assert statuses == {settled.pk: ConflictStatus.MERGED, other.pk: ConflictStatus.OPEN}
        undo(record)
        assert set(self._statuses(org).values()) == {ConflictStatus.OPEN}

    @staticmethod
    def _statuses(org: Organization) -> dict[int, str]:
        with org_scope(org):
            return dict(IdentityConflict.objects.for_org(org).values_list("pk", "status"))


class TestRefusals:
    def test_twice(self, org: Organization) -> None:
        record = merge("contact", *pair(org))
        undo(record)
        before = contents(org)
        with pytest.raises(Conflict, match="undone already"):
            undo(record)
        assert moved_tables(before, contents(org)) == set()

    @pytest.mark.parametrize("role", [Role.VIEWER, Role.REP])
    def test_a_role_below_manager(self, org: Organization, actor_of: Any, role: Role) -> None:
        record = merge("contact", *pair(org))
        actor = actor_of(role)
        before = contents(org)
        with pytest.raises(PermissionRefused):
            undo(record, actor=actor)
        assert moved_tables(before, contents(org)) == set()

    def test_a_strangers_merge_and_one_of_the_other_kind(self, org: Organization, other_org: Organization) -> None:
        record = merge("contact", *pair(org))
        for changed in ({"org": other_org}, {"kind": "client"}, {"merge_id": record.pk + 1}):
            with pytest.raises(NotFound):
                undo(record, **changed)

    def test_events_tell_of_merge_and_undo(self, org: Organization, manager: Actor) -> None:
        ann, anna = pair(org)
        record = merge("contact", ann, anna, actor=manager)
        undo(record, actor=manager, at=LATER + timedelta(hours=1))
        with org_scope(org):
            events = WorkEvent.objects.for_org(org).filter(event_name__startswith="contact.merge").order_by("pk")
            facts = {"contact_id": ann.pk, "merged_contact_id": anna.pk, "merge_id": record.pk}
            assert [(each.event_name, each.item_id, each.payload) for each in events] == [
                ("contact.merged", ann.pk, facts),
                ("contact.merge_undone", ann.pk, facts),
            ]
            assert MergedRow.objects.for_org(org).filter(merge=record).count() == sum(record.moved.values())


def test_a_client_that_gave_up_what_it_took_keeps_what_it_has(org: Organization) -> None:
    one, two = ClientFactory(org=org, name="One", industry=""), ClientFactory(org=org, name="Two", industry="Steel")
    record = merge("client", one, two)
    update_client(org=org, client_id=one.pk, fields={"industry": "Iron"}, actor=CLERK, at=LATER)
    report = undo(record)
    with org_scope(org):
        assert Client.objects.for_org(org).get(pk=one.pk).industry == "Iron"
    assert [(change.field, change.value, change.before) for change in report.kept] == [("industry", "Iron", "")]
