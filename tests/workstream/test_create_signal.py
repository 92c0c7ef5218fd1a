"""Every signal is kept as received, once per natural key, and linked to whom it is from."""

from __future__ import annotations

import hashlib
import json
from datetime import timedelta
from functools import partial
from typing import Any

import pytest
from django.db import DatabaseError, connection, transaction

from flowledger.clients.models import Client, Contact
from flowledger.errors import InvalidInput, PermissionRefused
from flowledger.outbox.models import WorkEvent
from flowledger.tenancy.actors import Actor, Role
from flowledger.tenancy.models import Organization
from flowledger.tenancy.scope import system_scope
from tests.client import ApiClient
from tests.workstream.conftest import actor_of
from tests.workstream.factories import AT, CLERK
from tests.workstream.trail import at_once, events_of, newest_event, nothing_changes
from workstream import services
from workstream.models import Signal, SignalDelivery, SignalPayload
from workstream.models.intake import IntakeReject
from workstream.services.signals import RawPayload

FORM = {
    "source_type": "web_form",
    "source_ref": "form-17",
    "snippet": "Our press stops twice a day.",
    "contact_email": "Ann.Lee@Acme.example",
    "contact_name": "Ann Lee",
    "company_name": "Acme",
}


def deliver(org: Organization, *, actor: Actor = CLERK, **changes: Any) -> services.ReceivedSignal:
    return services.create_signal(org=org, fields={**FORM, **changes}, actor=actor, at=AT)


@pytest.mark.django_db
class TestCreateSignal:
    def test_keeps_the_signal_and_records_one_event(self, org):
        received = deliver(org)

        assert received.created
        signal = Signal.all_orgs.get(pk=received.signal.pk)
        assert (signal.disposition, signal.dedupe_key, signal.ts) == ("new", "web_form:form-17", AT)
        assert signal.contact_email == "Ann.Lee@Acme.example"
        assert events_of(signal) == ["signal.created"]
        assert newest_event(org, "signal.created").payload == {
            "signal_id": signal.pk,
            "source_type": "web_form",
            "contact_id": signal.contact_id,
            "client_id": signal.client_id,
        }

    def test_keeps_the_payload_byte_for_byte(self, org):
        body = b'{"snippet":  "as it came" }'
        received = services.create_signal(
            org=org, fields=FORM, payload=RawPayload(body, "application/json"), sender="hook", actor=CLERK, at=AT
        )

        payload = SignalPayload.all_orgs.get(signal=received.signal)
        assert bytes(payload.body) == body
        assert payload.sha256 == hashlib.sha256(body).hexdigest()
        delivery = SignalDelivery.all_orgs.get(signal=received.signal)
        assert (delivery.sender, delivery.is_repeat, delivery.received_at) == ("hook", False, AT)
        assert delivery.payload_sha256 == payload.sha256

    def test_without_a_payload_the_fields_are_kept(self, org):
        received = deliver(org, attributes={"budget": 5})

        kept = json.loads(bytes(SignalPayload.all_orgs.get(signal=received.signal).body))
        assert kept == {**FORM, "attributes": {"budget": 5}}

    def test_links_the_sender(self, org):
        signal = deliver(org).signal

        contact = Contact.all_orgs.get(pk=signal.contact_id)
        assert (contact.email, contact.name, contact.client_id) == ("ann.lee@acme.example", "Ann Lee", signal.client_id)
        assert Client.all_orgs.get(pk=signal.client_id).name == "Acme"
        assert signal.identity_resolution["status"] == "created"
        assert signal.identity_resolution["contact_id"] == contact.pk

    def test_a_new_message_of_a_known_sender_is_a_new_signal_of_the_same_contact(self, org):
        first = deliver(org).signal
        second = deliver(org, source_ref="form-18", contact_email="ann.lee@acme.example")

        assert second.created
        assert second.signal.pk != first.pk
        assert (second.signal.contact_id, second.signal.client_id) == (first.contact_id, first.client_id)
        assert second.signal.identity_resolution["status"] == "linked"
        assert (Contact.all_orgs.filter(org=org).count(), Client.all_orgs.filter(org=org).count()) == (1, 1)

    def test_a_signal_that_names_nobody_is_kept(self, org):
        signal = services.create_signal(
            org=org, fields={"source_type": "note", "snippet": "Heard at the fair"}, actor=CLERK, at=AT
        ).signal

        assert (signal.contact_id, signal.client_id, signal.dedupe_key) == (None, None, None)
        assert signal.identity_resolution["status"] == "unresolved"

    def test_an_unknown_field_is_refused(self, org):
        with nothing_changes(), pytest.raises(InvalidInput) as refusal:
            deliver(org, mood="good")
        assert refusal.value.details["fields"] == {"mood": ["Unknown field."]}

    def test_a_viewer_is_refused(self, org, viewer):
        with nothing_changes(), pytest.raises(PermissionRefused):
            deliver(org, actor=actor_of(viewer))


@pytest.mark.django_db
class TestNaturalKey:
    def test_a_repeat_answers_with_the_first_and_grows_its_trail(self, org):
        first = deliver(org)
        again = services.create_signal(
            org=org,
            fields={**FORM, "snippet": "Changed on the way"},
            payload=RawPayload(b"second"),
            sender="mirror",
            actor=CLERK,
            at=AT + timedelta(minutes=5),
        )

        assert (again.created, again.signal.pk) == (False, first.signal.pk)
        assert Signal.all_orgs.get(org=org).snippet == FORM["snippet"]
        repeat = SignalDelivery.all_orgs.get(signal=first.signal, is_repeat=True)
        assert (repeat.sender, repeat.received_at) == ("mirror", AT + timedelta(minutes=5))
        assert repeat.payload_sha256 == hashlib.sha256(b"second").hexdigest()
        assert events_of(first.signal) == ["signal.created", "signal.repeated"]
        assert newest_event(org, "signal.repeated").payload["payload_sha256"] == repeat.payload_sha256
        assert SignalPayload.all_orgs.filter(org=org).count() == 1

    def test_the_source_reference_comes_before_the_callers_key(self, org):
        deliver(org)
        again = services.create_signal(org=org, fields=FORM, dedupe_key="another", actor=CLERK, at=AT)

        assert not again.created

    def test_the_callers_key_counts_without_a_reference(self, org):
        fields = {**FORM, "source_ref": ""}
        first = services.create_signal(org=org, fields=fields, dedupe_key="lead-9", actor=CLERK, at=AT)
        again = services.create_signal(org=org, fields=fields, dedupe_key="lead-9", actor=CLERK, at=AT)

        assert (first.signal.dedupe_key, again.created) == ("lead-9", False)

    def test_without_any_key_every_delivery_is_a_signal(self, org):
        fields = {**FORM, "source_ref": ""}
        received = [services.create_signal(org=org, fields=fields, actor=CLERK, at=AT) for _ in range(2)]

        assert [each.created for each in received] == [True, True]

    def test_one_reference_of_two_channels_is_two_signals(self, org):
        assert deliver(org).created
        assert deliver(org, source_type="email").created

    def test_another_organisation_has_keys_of_its_own(self, org, other_org):
        assert deliver(org).created
        assert deliver(other_org).created


@pytest.mark.django_db(transaction=True)
@pytest.mark.usefixtures("transactional_db")
class TestConcurrentDeliveries:
    def test_ten_deliveries_of_one_key_are_one_signal(self, org):
        answers = at_once(*[partial(deliver, org)] * 10)

        assert [each for each in answers if isinstance(each, Exception)] == []
        assert sorted(each.created for each in answers) == [False] * 9 + [True]
        assert len({each.signal.pk for each in answers}) == 1
        with system_scope("tests"):
            signal = Signal.all_orgs.get(org=org)
            assert SignalDelivery.all_orgs.filter(signal=signal).count() == 10
            assert sorted(events_of(signal)) == ["signal.created"] + ["signal.repeated"] * 9
            assert Contact.all_orgs.filter(org=org).count() == 1


@pytest.mark.django_db
class TestKeptForGood:
    @pytest.mark.parametrize("change", ["body = '\\x00'", "sha256 = repeat('0', 64)", "received_at = now()"])
    def test_the_database_refuses_to_change_a_payload(self, org, change):
        deliver(org)
        with nothing_changes(), pytest.raises(DatabaseError, match="kept as received"):
            _execute(f"UPDATE workstream_signalpayload SET {change} WHERE org_id = %s", org.pk)

    def test_the_database_refuses_to_delete_a_payload_but_through_its_door(self, org):
        deliver(org)
        with nothing_changes(), pytest.raises(DatabaseError, match="kept as received"):
            _execute("DELETE FROM workstream_signalpayload WHERE org_id = %s", org.pk)
        with transaction.atomic():
            _execute("SELECT set_config('flowledger.payload_door', 'open', true)")
            _execute("DELETE FROM workstream_signalpayload WHERE org_id = %s", org.pk)
        assert not SignalPayload.all_orgs.filter(org=org).exists()


def _execute(statement: str, *params: Any) -> None:
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(statement, params)


@pytest.mark.django_db
class TestOverRest:
    def test_answers_201_with_who_it_is_from(self, as_rep: ApiClient, org):
        answer = as_rep.post("/api/signals", {**FORM, "urgency_score": 0.75, "attributes": {"budget": 40000}})

        assert answer.status_code == 201
        body = answer.json()
        assert body["org_id"] == org.pk
        assert (body["disposition"], body["urgency_score"], body["attributes"]) == ("new", 0.75, {"budget": 40000})
        assert body["identity_resolution"]["status"] == "created"
        assert body["identity_resolution"]["contact_id"] == body["contact_id"]
        assert body["first_touch_at"] is None
        assert answer["ETag"]

    def test_a_repeat_answers_200_with_the_first(self, as_rep):
        first = as_rep.post("/api/signals", FORM)
        again = as_rep.post("/api/signals", {**FORM, "snippet": "Once more"})

        assert (first.status_code, again.status_code) == (201, 200)
        assert again.json() == first.json()
        assert again.json()["snippet"] == FORM["snippet"]

    def test_keeps_the_bytes_of_the_request(self, as_rep):
        raw = b'{ "source_type":"note",  "snippet" : "as typed" }'
        answer = as_rep.generic("POST", "/api/signals", raw, "application/json; charset=utf-8")

        payload = SignalPayload.all_orgs.get(signal_id=answer.json()["signal_id"])
        assert (bytes(payload.body), payload.sha256) == (raw, hashlib.sha256(raw).hexdigest())
        assert payload.content_type == "application/json; charset=utf-8"
        assert SignalDelivery.all_orgs.get(signal_id=payload.signal_id).sender == "rita from 127.0.0.1"

    @pytest.mark.parametrize(
        ("change", "field"),
        [
            ({"snippet": "x" * 1001}, "snippet"),
            ({"problem_phrase": "x" * 301}, "problem_phrase"),
            ({"source_type": "pigeon"}, "source_type"),
            ({"urgency_score": 1.01}, "urgency_score"),
            ({"attributes": ["a"]}, "attributes"),
            ({"owner_user_id": 999_999}, "owner_user_id"),
            ({"disposition": "linked"}, "disposition"),
            ({"contact_id": 1}, "contact_id"),
            ({"mood": "good"}, "mood"),
        ],
    )
    def test_what_does_not_fit_is_refused(self, as_rep, change, field):
        with nothing_changes(apart_from=(IntakeReject, WorkEvent)):
            answer = as_rep.post("/api/signals", {**FORM, **change})
        assert (answer.status_code, answer.json()["code"]) == (400, "validation_error")
        assert set(answer.json()["fields"]) == {field}
        assert IntakeReject.all_orgs.get().pk == answer.json()["reject_id"]
        assert [event.event_name for event in WorkEvent.all_orgs.all()] == ["intake.rejected"]

    def test_a_snippet_of_1000_characters_is_kept(self, as_rep):
        assert as_rep.post("/api/signals", {**FORM, "snippet": "x" * 1000}).status_code == 201

    def test_a_viewer_is_refused(self, as_viewer):
        with nothing_changes():
            assert as_viewer.post("/api/signals", FORM).status_code == 403

    def test_a_key_needs_the_scope(self, client_for):
        assert client_for(["signals:write"]).post("/api/signals", FORM).status_code == 201
        assert client_for(["workstream:write"]).post("/api/signals", FORM).status_code == 403
        assert WorkEvent.all_orgs.filter(event_name="signal.created").count() == 1

    def test_a_strangers_signal_does_not_exist(self, as_stranger, org):
        signal = deliver(org).signal
        assert as_stranger.get(f"/api/signals/{signal.pk}").status_code == 404
        assert as_stranger.get("/api/signals").json()["data"] == []

    def test_the_list_is_newest_first(self, as_rep, org):
        late, early = (
            deliver(org, source_ref=str(hours), ts=AT - timedelta(hours=hours)).signal.pk for hours in (1, 2)
        )
        middle = deliver(org, source_ref="90", ts=AT - timedelta(minutes=90)).signal.pk

        for path in ("/api/signals", "/api/workstream/signals"):
            assert [row["signal_id"] for row in as_rep.get(path).json()["data"]] == [late, middle, early]

    def test_the_list_filters_and_searches(self, client_for, org):
        one = deliver(org).signal
        two = deliver(org, source_ref="2", source_type="email", snippet="Crane wanted").signal
        client = client_for(Role.VIEWER)

        def found(query: str) -> list[int]:
            return [row["signal_id"] for row in client.get(f"/api/signals?{query}").json()["data"]]

        assert found("source_type=email") == [two.pk]
        assert sorted(found("source_type=email,web_form")) == [one.pk, two.pk]
        assert found("dedupe_key=web_form:form-17") == [one.pk]
        assert found(f"contact_id={one.contact_id}&disposition=rejected") == []
        assert found("q=crane") == [two.pk]
        assert client.get("/api/signals?colour=red").status_code == 400
