"""Recording: row and events are one write."""

from collections.abc import Iterator
from datetime import datetime
from typing import Any

import pytest
from django.apps.registry import Apps
from django.db import IntegrityError, connection, models, transaction
from django.test.utils import CaptureQueriesContext

from flowledger.outbox.causes import bind_correlation, caused_by
from flowledger.outbox.events import EventRefused
from flowledger.outbox.models import WorkEvent
from flowledger.outbox.recording import RecordingModel, bulk_record, record_event
from flowledger.tenancy.actors import Actor, Origin
from flowledger.tenancy.constraints import RowSecurity
from flowledger.tenancy.models import Organization
from flowledger.tenancy.scope import org_scope, system_scope
from tests.outbox.parcels import AT, CLERK, MANAGER, Following, ParcelLost, ParcelSent


class Parcel(RecordingModel):
    """A row with events; its table lives as long as the test session."""

    org = models.ForeignKey(
        Organization, on_delete=models.PROTECT, related_name="+", db_index=False, db_constraint=False
    )
    label = models.CharField(max_length=20, unique=True)

    class Meta(RecordingModel.Meta):
        app_label = "parcels"
        apps = Apps()
        constraints = [RowSecurity(name="parcel_row_security")]


@pytest.fixture(scope="session")
def parcel_table(django_db_setup: None, django_db_blocker: Any) -> Iterator[None]:
    with django_db_blocker.unblock(), connection.schema_editor() as editor:
        editor.create_model(Parcel)
    yield
    with django_db_blocker.unblock(), connection.schema_editor() as editor:
        editor.delete_model(Parcel)


@pytest.fixture
def parcel(org: Organization, parcel_table: None) -> Parcel:
    with org_scope(org):
        row = Parcel(org=org, label="a")
        row.save()
        return row


def stored() -> list[WorkEvent]:
    with system_scope("tests"):
        return list(WorkEvent.all_orgs.order_by("pk"))


def send(row: Parcel, **options: Any) -> None:
    row.record(ParcelSent(parcel_id=row.pk), actor=MANAGER, at=AT, **options)


class TestSave:
    def test_stores_the_row_and_its_events_with_every_fact(self, org, parcel):
        before = datetime.now(AT.tzinfo)
        with bind_correlation("request-1"), org_scope(org):
            send(parcel, dedupe_key="k")
            parcel.record(ParcelLost(parcel_id=parcel.pk), actor=CLERK, at=AT)
            parcel.label = "b"
            parcel.save(update_fields=["label"])
        sent, lost = stored()
        assert (sent.event_name, sent.item_type, sent.item_id) == ("parcel.sent", "parcel", parcel.pk)
        assert sent.payload == {"parcel_id": parcel.pk, "note": ""}
        assert (sent.actor_kind, sent.actor_label, sent.origin) == ("system", "Maria", "system")
        assert (sent.occurred_at, sent.dedupe_key, sent.correlation_id) == (AT, "k", "request-1")
        assert sent.causation_id is None
        assert abs((sent.recorded_at - before).total_seconds()) < 60
        assert (lost.event_name, lost.org_id) == ("parcel.lost", org.pk)
        with org_scope(org):
            assert Parcel.all_orgs.get(pk=parcel.pk).label == "b"
        assert parcel.queued_events == ()

    def test_adds_one_statement_whatever_the_number_of_events(self, org, parcel):
        with org_scope(org):
            for _ in range(3):
                send(parcel)
            with CaptureQueriesContext(
                connection,
            ) as queries:
                parcel.save(update_fields=["label"])
        assert [query["sql"].split()[0] for query in queries] == ["UPDATE", "INSERT"]
        assert len(stored()) == 3

    def test_an_event_may_need_the_key_that_the_save_gives(self, org, parcel_table):
        row = Parcel(org=org, label="new")
        row.record(lambda saved: ParcelSent(parcel_id=saved.pk), actor=CLERK, at=AT)
        with org_scope(org):
            row.save()
        assert [event.item_id for event in stored()] == [row.pk]

    def test_without_the_row_there_is_no_event(self, org, parcel):
        twin = Parcel(org=org, label=parcel.label)
        twin.record(lambda saved: ParcelSent(parcel_id=saved.pk), actor=CLERK, at=AT)
        with org_scope(org), pytest.raises(IntegrityError), transaction.atomic():
            twin.save()
        assert stored() == []

    def test_without_the_event_there_is_no_row(self, org, parcel):
        parcel.label = "changed"
        parcel.record(ParcelSent(parcel_id="x"), actor=CLERK, at=AT)  # type: ignore[arg-type]
        with org_scope(org), pytest.raises(EventRefused), transaction.atomic():
            parcel.save()
        with org_scope(org):
            assert Parcel.all_orgs.get(pk=parcel.pk).label == "a"
        assert stored() == []

    def test_a_second_event_with_the_same_key_is_not_written_and_the_row_is(self, org, other_org, parcel):
        with org_scope(org):
            send(parcel, dedupe_key="once")
            parcel.save()
            send(parcel, dedupe_key="once")
            parcel.record(ParcelLost(parcel_id=parcel.pk), actor=CLERK, at=AT, dedupe_key="once")
            parcel.label = "c"
            parcel.save()
            assert Parcel.all_orgs.get(pk=parcel.pk).label == "c"
        with org_scope(other_org):
            assert record_event(org=other_org, event=ParcelSent(1), actor=CLERK, at=AT, dedupe_key="once")
        assert [(event.org_id, event.event_name) for event in stored()] == [
            (org.pk, "parcel.sent"),
            (org.pk, "parcel.lost"),
            (other_org.pk, "parcel.sent"),
        ]

    def test_deleting_a_row_with_unsaved_events_is_refused(self, org, parcel):
        send(parcel)
        with org_scope(org):
            with pytest.raises(EventRefused, match="not saved"):
                parcel.delete()
            assert Parcel.all_orgs.filter(pk=parcel.pk).exists()
            parcel.save()
            parcel.delete()
        assert len(stored()) == 1

    def test_an_undeclared_event_is_refused_at_once(self, parcel):
        with pytest.raises(EventRefused):
            parcel.record(object(), actor=CLERK, at=AT)
        assert parcel.queued_events == ()

    def test_a_time_without_zone_is_refused(self, org, parcel):
        parcel.record(ParcelSent(1), actor=CLERK, at=AT.replace(tzinfo=None))
        with org_scope(org), pytest.raises(EventRefused, match="no time zone"), transaction.atomic():
            parcel.save()
        assert stored() == []


class TestBulkRecord:
    def test_writes_the_events_of_many_rows_in_one_statement_and_in_order(self, org, parcel_table):
        with org_scope(org):
            rows = Parcel.objects.for_org(org).bulk_create([Parcel(org=org, label=str(n)) for n in range(50)])
            for row in rows:
                send(row)
            with CaptureQueriesContext(connection) as queries:
                assert bulk_record(rows) == 50
            assert bulk_record(rows) == 0
        assert len(queries) == 1
        assert [event.item_id for event in stored()] == [row.pk for row in rows]

    def test_a_row_that_was_not_saved_is_refused(self, org):
        row = Parcel(org=org, label="x")
        row.record(lambda saved: ParcelSent(parcel_id=saved.pk), actor=CLERK, at=AT)
        with org_scope(org), pytest.raises(EventRefused, match="not saved yet"):
            bulk_record([row])
        assert stored() == []


class TestRecordEvent:
    def test_answers_whether_the_event_was_new(self, org):
        with org_scope(org):
            assert record_event(org=org, event=ParcelSent(1), actor=CLERK, at=AT, dedupe_key="d") is True
            assert record_event(org=org, event=ParcelSent(1), actor=CLERK, at=AT, dedupe_key="d") is False
        assert len(stored()) == 1

    def test_another_organisations_event_cannot_be_written(self, org, other_org):
        with org_scope(org), pytest.raises(Exception, match="row-level security"), transaction.atomic():
            record_event(org=other_org, event=ParcelSent(1), actor=CLERK, at=AT)
        assert stored() == []

    def test_what_a_handler_records_names_its_cause(self, org):
        with caused_by(Following(41, "request-9", Origin.USER)), org_scope(org):
            record_event(org=org, event=ParcelSent(1), actor=CLERK, at=AT)
        (event,) = stored()
        assert (event.causation_id, event.correlation_id, event.origin) == (41, "request-9", "system")

    def test_what_follows_from_an_import_is_import(self, org):
        with caused_by(Following(41, "c", Origin.IMPORT)), org_scope(org):
            record_event(org=org, event=ParcelSent(1), actor=Actor.system("reaction"), at=AT)
        assert [event.origin for event in stored()] == ["import"]
