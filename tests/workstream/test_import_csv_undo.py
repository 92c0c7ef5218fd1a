"""Taking an import back: creations and changes, except what was changed or used since, which is listed."""

from __future__ import annotations

import hashlib
from collections import Counter
from datetime import timedelta

import pytest
from django.apps import apps
from django.db import connection

from flowledger.clients import services as clients
from flowledger.clients.models import Client, Contact, IdentityKey
from flowledger.errors import InvalidTransition
from flowledger.outbox.drain import drain_all
from flowledger.outbox.models import WorkEvent
from tests.workstream.csv_imports import (
    AT,
    CLERK,
    counts,
    fresh,
    imported,
    kept,
    outcomes,
    start,
    text_of,
    undone,
    upload,
)
from workstream import services
from workstream.machines import ImportStatus
from workstream.models import (
    ImportChange,
    ItemTally,
    Signal,
    SignalDelivery,
    SignalPayload,
    SlaBreach,
    SlaClock,
)
from workstream.services.import_rows import Progress
from workstream.services.import_undo import undo_chunk

pytestmark = pytest.mark.django_db

# What tells of the import and of what happened, and outlives the undo.
TOLD = {"workstream.importrun", "workstream.importrow", "workstream.importchange", "outbox.workevent"}
BEFORE = AT - timedelta(days=1)
LATER = AT + timedelta(hours=1)


def contact(org, **fields):
    return clients.create_contact(org=org, fields=fields, actor=CLERK, at=BEFORE)


def contents(org) -> dict[str, str]:
    """A hash of every table of the pipeline and the directory, without the books about what happened.

    Left out are versions, stamps and how often a key was seen, which a restored row has more of.
    """
    found = {}
    for model in [*apps.get_app_config("workstream").get_models(), *apps.get_app_config("clients").get_models()]:
        label = model._meta.label_lower
        if label in TOLD or not model._meta.managed or label == "workstream.itemtally":
            continue
        names = {field.attname for field in model._meta.concrete_fields}
        names -= {"row_version", "updated_at", "occurrences", "last_seen"}
        columns = sorted(names)
        rows = model.objects.for_org(org).order_by("pk").values_list(*columns)
        found[label] = hashlib.sha256(repr(list(rows)).encode()).hexdigest()
    return found


class TestUndoSignals:
    def test_everything_is_as_before(self, org):
        services.ensure_default_rules(org=org, actor=CLERK, at=AT)
        known = contact(org, name="Known", email="known@old.example")
        services.create_signal(
            org=org, fields={"source_type": "note", "snippet": "There", "source_ref": "1"}, actor=CLERK, at=BEFORE
        )
        drain_all()
        before = contents(org)
        body = text_of(
            ["Email", "Phone", "Company", "Message"],
            [
                ["ann@acme.example", "+4930123456", "Acme", "One"],
                ["bob@acme.example", "", "Acme", "Two"],
                # Completes a contact and brings a key for one that was there.
                ["known@old.example", "+4930777777", "", "Three"],
            ],
        )
        run = imported(org, body, fires_rules=True)
        drain_all()
        known.refresh_from_db()
        assert known.phone == "+4930777777"
        assert IdentityKey.objects.for_org(org).filter(key_value="+4930777777", contact=known).exists()
        assert contents(org) != before

        run = undone(org, run)
        drain_all()

        assert run.status == ImportStatus.UNDONE
        assert kept(org, run) == []
        assert contents(org) == before
        assert outcomes(org, run) == ["undone"] * 3
        # Three signals, Ann, Bob, Acme and the contact that was completed, perhaps with a client of its own.
        assert (
            run.undone_count
            == ImportChange.objects.for_org(org)
            .filter(run=run)
            .exclude(model="clients.identitykey")
            .values("model", "item_id")
            .distinct()
            .count()
        )
        assert sum(ItemTally.objects.for_org(org).filter(item_type="signal").values_list("count", flat=True)) == 1

    def test_leaves_no_orphans(self, org):
        services.ensure_default_rules(org=org, actor=CLERK, at=AT)
        run = imported(
            org, text_of(["Email", "Message"], [[f"p{n}@c{n}.example", "Hi"] for n in range(20)]), fires_rules=True
        )
        for model in (SlaClock, SignalDelivery, SignalPayload, IdentityKey):
            assert model.objects.for_org(org).exists(), model
        undone(org, run)

        for model in (Signal, SlaClock, SlaBreach, SignalDelivery, SignalPayload, IdentityKey, Contact, Client):
            assert not model.objects.for_org(org).exists(), model

    def test_the_payload_door_is_closed_behind_it(self, org):
        run = imported(org, text_of(["Message"], [["One"]]))
        other = services.create_signal(org=org, fields={"source_type": "note", "snippet": "x"}, actor=CLERK, at=AT)
        undone(org, run)
        with connection.cursor() as cursor:
            cursor.execute("SELECT current_setting('flowledger.payload_door', true)")
            assert cursor.fetchone() in {("",), (None,)}
        assert SignalPayload.objects.for_org(org).get().signal_id == other.signal.pk

    def test_what_was_worked_with_is_kept_and_listed(self, org, manager):
        body = text_of(
            ["Email", "Message", "Company"], [[f"p{n}@c{n}.example", "Hi", f"Company {n}"] for n in range(6)]
        )
        run = imported(org, body)
        _untouched, linked, rejected, owned, touched, again = Signal.objects.for_org(org).order_by("pk")
        candidate = services.create_candidate(
            org=org, fields={"title": "Lead"}, signal_ids=[linked.pk], actor=CLERK, at=LATER
        )
        services.reject_signal(org=org, signal_id=rejected.pk, reason="Spam", actor=CLERK, at=LATER)
        services.update_signal(org=org, signal_id=owned.pk, fields={"owner": manager.user}, actor=CLERK, at=LATER)
        services.log_activity(
            org=org,
            item_type="signal",
            item_id=touched.pk,
            kind="note",
            summary="Called",
            actor=CLERK,
            at=LATER,
        )
        services.create_signal(
            org=org,
            fields={"source_type": "import", "snippet": "Hi"},
            dedupe_key=again.dedupe_key or "",
            actor=CLERK,
            at=LATER,
        )
        run = undone(org, run)

        assert set(Signal.objects.for_org(org).values_list("pk", flat=True)) == {
            *(linked.pk, rejected.pk, owned.pk, touched.pk, again.pk)
        }
        reasons = {pk: reason for model, pk, reason in kept(org, run) if model == "workstream.signal"}
        assert reasons[linked.pk] == "It is linked since."
        assert reasons[rejected.pk] == "It is rejected since."
        assert reasons[owned.pk] == "Somebody has taken it over since."
        assert reasons[touched.pk] == "Somebody has worked on it since."
        assert reasons[again.pk] == "It was delivered by others, too."
        people = {reason for model, _, reason in kept(org, run) if model == "clients.contact"}
        assert people == {"It is named by 1 signal.", "It is named by 1 candidate, 1 signal."}
        assert Contact.objects.for_org(org).count() == Client.objects.for_org(org).count() == 5
        assert outcomes(org, run) == ["undone", *["kept"] * 5]
        assert (run.undone_count, run.kept_count) == (3, 15)
        assert candidate.contact_id == linked.contact_id


class TestUndoRecords:
    def test_creations_and_changes_go_back(self, org):
        ann = contact(org, name="Ann", email="ann@old.example", phone="+4930123456", title="CTO")
        old = clients.create_client(org=org, fields={"name": "Old Company"}, actor=CLERK, at=AT)
        clients.update_contact(org=org, contact_id=ann.pk, fields={"client": old}, actor=CLERK, at=AT)
        before = contents(org)
        body = text_of(
            ["Contact ID", "Name", "Email", "Phone", "Position", "Company"],
            [
                [ann.pk, "Ann Arbor", "ann@new.example", "", "CEO", "New Company"],
                ["", "Bob", "bob@new.example", "+4930777777", "", "New Company"],
                [ann.pk, "Ann A. Arbor", "", "+4930555555", "", ""],
            ],
        )
        run = imported(org, body, kind="contacts", mode="upsert")
        assert counts(run) == (1, 2, 0, 0)
        ann.refresh_from_db()
        assert (ann.name, ann.email, ann.client.name) == ("Ann A. Arbor", "ann@new.example", "New Company")

        run = undone(org, run)

        assert kept(org, run) == []
        after = contents(org)
        # A key that went and came back is another row of the same content.
        del before["clients.identitykey"], after["clients.identitykey"]
        assert after == before
        keys = IdentityKey.objects.for_org(org).order_by("key_type").values_list("key_type", "key_value", "contact")
        assert [key for key in keys if key[0] in {"email", "phone"}] == [
            ("email", "ann@old.example", ann.pk),
            ("phone", "+4930123456", ann.pk),
        ]

    def test_a_field_that_was_changed_since_stays_and_is_listed(self, org):
        ann = contact(org, name="Ann", email="ann@acme.example", title="CTO")
        run = imported(
            org,
            text_of(["Email", "Name", "Position"], [["ann@acme.example", "Ann Arbor", "CEO"]]),
            kind="contacts",
            mode="update",
        )
        clients.update_contact(org=org, contact_id=ann.pk, fields={"title": "Chair"}, actor=CLERK, at=LATER)
        run = undone(org, run)

        ann.refresh_from_db()
        assert (ann.name, ann.title) == ("Ann", "Chair")
        assert kept(org, run) == [("clients.contact", ann.pk, "Changed since: title.")]
        assert (run.undone_count, run.kept_count) == (0, 1)

    def test_an_address_that_is_somebody_elses_by_now_stays(self, org):
        ann = contact(org, name="Ann", email="ann@old.example")
        run = imported(
            org,
            text_of(["Contact ID", "Name", "Email"], [[ann.pk, "Anna", "ann@new.example"]]),
            kind="contacts",
            mode="update",
        )
        other = contact(org, name="Other", email="ann@old.example")
        run = undone(org, run)

        ann.refresh_from_db()
        assert (ann.name, ann.email) == ("Ann", "ann@new.example")
        reason = f"ann@old.example already belongs to contact {other.pk}; merge the two or leave it out."
        assert kept(org, run) == [("clients.contact", ann.pk, reason)]

    def test_a_creation_that_was_changed_or_is_used_stays(self, org):
        body = text_of(
            ["Name", "Email", "Company"],
            [["Ann", "ann@a.example", "A Ltd"], ["Bob", "bob@b.example", "B Ltd"], ["Cid", "cid@c.example", "C Ltd"]],
        )
        run = imported(org, body, kind="contacts")
        ann, bob, _cid = Contact.objects.for_org(org).order_by("pk")
        clients.update_contact(org=org, contact_id=ann.pk, fields={"title": "CEO"}, actor=CLERK, at=LATER)
        # Storing it without a change is none.
        clients.update_contact(org=org, contact_id=_cid.pk, fields={"title": ""}, actor=CLERK, at=LATER)
        services.create_candidate(org=org, fields={"title": "Lead", "contact": bob}, actor=CLERK, at=LATER)
        run = undone(org, run)

        assert set(Contact.objects.for_org(org).values_list("pk", flat=True)) == {ann.pk, bob.pk}
        assert kept(org, run) == [
            ("clients.contact", ann.pk, "It was changed since: title."),
            ("clients.client", ann.client_id, "It is named by 1 contact."),
            ("clients.contact", bob.pk, "It is named by 1 candidate."),
            ("clients.client", bob.client_id, "It is named by 1 contact."),
        ]
        assert outcomes(org, run) == ["kept", "kept", "undone"]

    def test_clients_go_back(self, org):
        acme = clients.create_client(
            org=org, fields={"name": "Acme", "domain": "acme.example", "annual_revenue": 5}, actor=CLERK, at=AT
        )
        run = imported(
            org,
            text_of(
                ["Name", "Domain", "Revenue", "Country"],
                [["Acme Group", "acme.example", "7", "DE"], ["Bay", "", "", ""]],
            ),
            kind="clients",
            mode="upsert",
        )
        run = undone(org, run)

        acme.refresh_from_db()
        assert (acme.name, acme.annual_revenue, acme.country) == ("Acme", 5, "")
        assert list(Client.objects.for_org(org).values_list("pk", flat=True)) == [acme.pk]
        assert (run.undone_count, run.kept_count) == (2, 0)


class TestMachine:
    def test_a_running_import_is_cancelled_first(self, org):
        run = upload(org, text_of(["Message"], [["One"]]))
        start(org, run)
        with pytest.raises(InvalidTransition):
            services.undo_import(org=org, import_id=run.pk, actor=CLERK, at=AT)

    def test_goes_on_where_it_stopped(self, org):
        run = imported(org, text_of(["Message"], [[f"Sign {n}"] for n in range(1100)]))
        services.undo_import(org=org, import_id=run.pk, actor=CLERK, at=AT)
        assert undo_chunk(org=org, run_id=run.pk, at=AT) is Progress.MORE
        assert Signal.objects.for_org(org).count() == 600
        assert fresh(org, run).undone_count == 500
        while undo_chunk(org=org, run_id=run.pk, at=AT) is Progress.MORE:
            pass

        assert fresh(org, run).undone_count == 1100
        assert undo_chunk(org=org, run_id=run.pk, at=AT) is Progress.IDLE
        assert Counter(outcomes(org, run)) == {"undone": 1100}

    def test_undoing_twice_is_refused_and_the_events_tell(self, org):
        run = undone(org, imported(org, text_of(["Message"], [["One"]])))
        with pytest.raises(InvalidTransition):
            services.undo_import(org=org, import_id=run.pk, actor=CLERK, at=AT)
        names = WorkEvent.objects.for_org(org).filter(event_name__startswith="import.").order_by("pk")
        assert list(names.values_list("event_name", flat=True)) == [
            *("import.started", "import.finished", "import.undo_started", "import.undone"),
        ]

    def test_the_file_can_be_imported_again(self, org):
        body = text_of(["Message"], [["One"]])
        undone(org, imported(org, body))

        assert counts(imported(org, body)) == (1, 0, 0, 0)
