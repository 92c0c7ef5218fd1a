"""The database refuses to change or delete facts, whoever asks."""

import pytest
from django.db import IntegrityError, connection, transaction
from django.db.models.functions import Now

from flowledger.outbox.models import WorkEvent
from flowledger.tenancy.scope import org_scope, system_scope
from tests.outbox.parcels import again, change_delivery

FACTS = {
    "event_name": "parcel.lost",
    "item_type": "letter",
    "item_id": 99,
    "payload": {},
    "actor_kind": "user",
    "actor_id": 5,
    "actor_label": "somebody",
    "actor_user_id": 5,
    "origin": "import",
    "occurred_at": Now(),
    "recorded_at": Now(),
    "dedupe_key": "x",
    "correlation_id": "x",
    "causation_id": 1,
    "redacted_at": Now(),
}
DELIVERY = {
    "id", "available_at", "attempts", "crashes", "claimed_at", "claimed_by", "processed_at", "handled_by", "last_error",
    "dead_letter_at", "retried_at", "retried_by", "discarded_at", "discarded_by", "discard_reason", "org",
}  # fmt: skip


def open_door(name: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT set_config('flowledger.outbox_door', %s, true)", [name])


class TestFacts:
    def test_every_column_is_a_fact_or_delivery(self):
        assert {field.name for field in WorkEvent._meta.concrete_fields} == set(FACTS) | DELIVERY

    @pytest.mark.parametrize("column", FACTS)
    def test_a_fact_never_changes(self, send, column):
        event = send()
        before = again(event)
        with (
            system_scope("tests"),
            pytest.raises(IntegrityError, match="facts of a work event never change"),
            transaction.atomic(),
        ):
            WorkEvent.all_orgs.filter(pk=event.pk).update(**{column: FACTS[column]})
        assert again(event).__dict__ | {"_state": None} == before.__dict__ | {"_state": None}

    def test_an_event_cannot_move_to_another_organisation(self, send, other_org):
        event = send()
        with system_scope("tests"), pytest.raises(IntegrityError, match="never change"), transaction.atomic():
            WorkEvent.all_orgs.filter(pk=event.pk).update(org=other_org)

    def test_an_event_is_never_deleted(self, send, org):
        event = send()
        with org_scope(org), pytest.raises(IntegrityError, match="never deleted"), transaction.atomic():
            WorkEvent.objects.for_org(org).all().delete()
        assert again(event).pk == event.pk

    def test_delivery_moves_freely(self, send):
        event = send()
        change_delivery(event, attempts=3, last_error="x")
        assert again(event).attempts == 3


class TestDoors:
    def test_redaction_blanks_texts_and_says_so(self, send):
        event = send(note="secret")
        with system_scope("tests"):
            open_door("redaction")
            WorkEvent.all_orgs.filter(pk=event.pk).update(payload={"parcel_id": 1, "note": ""}, redacted_at=Now())
            open_door("")
        assert again(event).payload["note"] == ""
        assert again(event).redacted_at is not None

    @pytest.mark.parametrize("change", [{"payload": {}}, {"origin": "import", "redacted_at": Now()}])
    def test_redaction_without_saying_so_or_of_another_fact_is_refused(self, send, change):
        event = send()
        with system_scope("tests"), pytest.raises(IntegrityError, match="never change"), transaction.atomic():
            open_door("redaction")
            WorkEvent.all_orgs.filter(pk=event.pk).update(**change)
        assert again(event).payload == {"parcel_id": 1, "note": ""}

    def test_retention_deletes(self, send):
        event = send()
        with system_scope("tests"):
            open_door("retention")
            assert WorkEvent.all_orgs.filter(pk=event.pk).delete()[0] == 1
            open_door("")

    @pytest.mark.parametrize(("door", "statement"), [("redaction", "delete"), ("retention", "update")])
    def test_a_door_opens_for_its_purpose_only(self, send, door, statement):
        event = send()
        with system_scope("tests"), pytest.raises(IntegrityError), transaction.atomic():
            open_door(door)
            row = WorkEvent.all_orgs.filter(pk=event.pk)
            row.delete() if statement == "delete" else row.update(payload={}, redacted_at=Now())
        assert again(event).payload == {"parcel_id": 1, "note": ""}
