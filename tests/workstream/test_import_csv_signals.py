"""CSV rows that become signals: through the one way in, a bad row costing nothing, the same bytes creating nothing."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from decimal import Decimal

import pytest

from flowledger.clients.models import Client, Contact
from flowledger.errors import Conflict, InvalidInput, InvalidTransition
from flowledger.outbox.models import WorkEvent
from flowledger.tenancy.actors import Origin
from tests.workstream.csv_imports import (
    AT,
    CLERK,
    counts,
    errors,
    imported,
    outcomes,
    start,
    text_of,
    undone,
    upload,
    work,
)
from workstream import services
from workstream.machines import ImportStatus
from workstream.models import ImportRow, IntakeReject, Signal, SignalDelivery, SignalPayload, SlaClock

pytestmark = pytest.mark.django_db

HEADINGS = ["Name", "E-Mail", "Phone", "Company", "Website", "Message", "Date", "Lead ID", "Region"]
ANN = [
    *("Ann Arbor", "ann@acme.example", "+4930123456", "Acme GmbH", "https://www.acme.example"),
    *("We need a packing line", "31.12.2025 14:05", "L-1", "North"),
]
BOB = ["Bob Bay", "bob@acme.example", "", "Acme GmbH", "", "Call me", "2026-01-02", "L-2", ""]


class TestImportSignals:
    def test_rows_become_signals_with_their_senders(self, org):
        run = upload(org, text_of(HEADINGS, [ANN, BOB]))
        assert run.mapping == {
            "Name": "contact_name",
            "E-Mail": "contact_email",
            "Phone": "contact_phone",
            "Company": "company_name",
            "Website": "company_domain",
            "Message": "snippet",
            "Date": "ts",
            "Lead ID": "source_ref",
        }
        start(org, run, mapping={**run.mapping, "Region": "attributes.region"})
        run = work(org, run)

        assert (run.status, counts(run)) == (ImportStatus.DONE, (2, 0, 0, 0))
        ann, bob = Signal.objects.for_org(org).order_by("pk")
        assert (ann.contact_name, ann.contact_email, ann.source_type) == ("Ann Arbor", "ann@acme.example", "import")
        assert (ann.source_ref, ann.snippet, ann.attributes) == ("L-1", "We need a packing line", {"region": "North"})
        # Without a zone a time is the organisation's.
        assert ann.ts == datetime(2025, 12, 31, 14, 5, tzinfo=UTC)
        assert ann.client_id == bob.client_id == Client.objects.for_org(org).get().pk
        assert {ann.contact_id, bob.contact_id} == set(Contact.objects.for_org(org).values_list("pk", flat=True))
        payload = SignalPayload.objects.for_org(org).get(signal=ann)
        assert json.loads(bytes(payload.body)) == dict(zip(HEADINGS, ANN, strict=True))
        delivery = SignalDelivery.objects.for_org(org).get(signal=ann)
        assert (delivery.channel, delivery.sender) == ("csv", f"CSV import {run.pk}: leads.csv")
        rows = ImportRow.objects.for_org(org).filter(run=run).order_by("number")
        assert list(rows.values_list("item_id", flat=True)) == [ann.pk, bob.pk]

    def test_a_bad_row_costs_its_neighbours_nothing(self, org):
        body = text_of(
            ["Email", "Message", "When", "Urgency"],
            [
                ["a@acme.example", "One", "", "0.5"],
                ["b@acme.example", "x" * 1001, "", ""],
                ["c@acme.example", "Three", "03/04/2026", ""],
                ["d@acme.example", "Four", "", "75%"],
                ["e@acme.example", "Five", "", "11"],
                ["f@acme.example", "Six", "", "", "and", "more"],
            ],
        )
        run = imported(
            org,
            body,
            mapping={"Email": "contact_email", "Message": "snippet", "When": "ts", "Urgency": "urgency_score"},
        )

        assert counts(run) == (2, 0, 0, 4)
        assert outcomes(org, run) == ["created", "rejected", "rejected", "created", "rejected", "rejected"]
        found = errors(org, run)
        assert found[2] == {"snippet": ["Ensure this field has no more than 1000 characters."]}
        assert found[3] == {"ts": ["'03/04/2026' may be two days; write it as 2026-03-31."]}
        assert list(found[5]) == ["urgency_score"]
        assert "6 cells and the headings are 4" in found[6][""][0]
        urgencies = Signal.objects.for_org(org).order_by("pk").values_list("urgency_score", flat=True)
        assert list(urgencies) == [Decimal("0.50"), Decimal("0.75")]
        # Rows are kept with the import, not a second time as rejects.
        assert not IntakeReject.objects.for_org(org).exists()

    def test_the_same_bytes_again_create_nothing(self, org):
        body = text_of(["Email", "Message"], [["a@acme.example", "One"], ["a@acme.example", "One"]])
        first = imported(org, body)
        assert counts(first) == (2, 0, 0, 0)
        again = imported(org, body)

        assert counts(again) == (0, 0, 2, 0)
        assert Signal.objects.for_org(org).count() == 2
        assert SignalDelivery.objects.for_org(org).filter(is_repeat=True).count() == 2

    def test_a_reference_twice_in_a_file_is_one_signal(self, org):
        run = imported(org, text_of(["Lead ID", "Message"], [["7", "One"], ["7", "One more"], ["8", "Two"]]))

        assert outcomes(org, run) == ["created", "unchanged", "created"]
        assert list(Signal.objects.for_org(org).order_by("pk").values_list("snippet", flat=True)) == ["One", "Two"]

    @pytest.mark.parametrize(("fires_rules", "origin"), [(False, Origin.IMPORT), (True, Origin.SYSTEM)])
    def test_the_switch_decides_whether_rules_fire(self, org, fires_rules, origin):
        services.ensure_default_rules(org=org, actor=CLERK, at=AT)
        run = imported(org, text_of(["Email", "Message"], [["a@acme.example", "One"]]), fires_rules=fires_rules)

        events = WorkEvent.objects.for_org(org).filter(event_name__in=["signal.created", "identity.resolved"])
        assert set(events.values_list("origin", flat=True)) == {origin}
        finished = WorkEvent.objects.for_org(org).get(event_name="import.finished")
        assert (finished.origin, finished.payload["created"]) == (origin, 1)
        assert SlaClock.objects.for_org(org).filter(signal__isnull=False, stopped_at__isnull=True).exists()
        assert run.status == ImportStatus.DONE

    def test_a_long_file_goes_in_chunks(self, org):
        rows = [[f"p{n}@c{n % 7}.example", f"Sign {n}"] for n in range(1201)]
        run = imported(org, text_of(["Email", "Message"], rows))

        assert counts(run) == (1201, 0, 0, 0)
        assert Client.objects.for_org(org).count() == 7
        assert list(Signal.objects.for_org(org).order_by("pk").values_list("snippet", flat=True)) == [
            row[1] for row in rows
        ]


class TestMapping:
    def test_unknown_fields_and_columns_are_refused_with_what_there_is(self, org):
        run = upload(org, text_of(["Email", "Message"], [["a@acme.example", "One"]]))
        with pytest.raises(InvalidInput) as refused:
            services.change_import(
                org=org,
                import_id=run.pk,
                fields={"mapping": {"Email": "mail", "Fax": "snippet"}},
                actor=CLERK,
                at=AT,
            )
        sentences = " ".join(refused.value.details["fields"]["mapping"])
        assert "'mail' is no field; choose one of: snippet, contact_name" in sentences
        assert "The file has no such column; it has: Email, Message." in sentences
        run.refresh_from_db()
        assert run.mapping == {"Email": "contact_email", "Message": "snippet"}

    def test_a_field_is_one_column(self, org):
        run = upload(org, text_of(["Email", "E-mail 2"], [["a@acme.example", "b@acme.example"]]))
        with pytest.raises(InvalidInput, match="a field is one column"):
            start(org, run, mapping={"Email": "contact_email", "E-mail 2": "contact_email"})

    def test_nothing_is_changed_once_it_was_started(self, org):
        run = upload(org, text_of(["Email"], [["a@acme.example"]]))
        start(org, run)
        with pytest.raises(Conflict, match="upload the file again"):
            services.change_import(org=org, import_id=run.pk, fields={"mapping": {}}, actor=CLERK, at=AT)
        with pytest.raises(InvalidTransition):
            start(org, run)

    def test_signals_are_never_changed(self, org):
        run = upload(org, text_of(["Email"], [["a@acme.example"]]))
        with pytest.raises(InvalidInput, match="kept as received"):
            start(org, run, mode="upsert")


class TestPreview:
    def test_says_what_each_row_would_do_and_does_nothing(self, org):
        body = text_of(
            ["Name", "Email", "Company", "Message"],
            [["Ann", "ann@acme.example", "Acme", "x"], ["", "", "", "y" * 1001]],
        )
        run = upload(org, body)
        first, second = services.preview_import(org=org, import_id=run.pk, actor=CLERK, at=AT)

        assert (first.outcome, list(first.effects)) == (
            "created",
            ["Creates the contact Ann.", "Creates the client Acme."],
        )
        assert (second.outcome, list(second.errors)) == ("rejected", ["snippet"])
        assert not Signal.objects.for_org(org).exists()
        assert not Contact.objects.for_org(org).exists()
        assert not WorkEvent.objects.for_org(org).exists()
        run.refresh_from_db()
        assert run.status == ImportStatus.UPLOADED
        assert outcomes(org, run) == ["pending", "pending"]


class TestCancel:
    def test_keeps_what_was_imported_and_can_be_undone(self, org):
        from workstream.services.import_rows import import_chunk

        run = upload(org, text_of(["Email", "Message"], [[f"p{n}@acme.example", "Hi"] for n in range(700)]))
        start(org, run)
        import_chunk(org=org, run_id=run.pk, at=AT)
        run = services.cancel_import(org=org, import_id=run.pk, actor=CLERK, at=AT)

        assert (run.status, run.created_count) == (ImportStatus.CANCELLED, 500)
        assert work(org, run).created_count == 500
        run = undone(org, run)
        assert run.status == ImportStatus.UNDONE
        assert not Signal.objects.for_org(org).exists()
        assert not Contact.objects.for_org(org).exists()
        assert not Client.objects.for_org(org).exists()
