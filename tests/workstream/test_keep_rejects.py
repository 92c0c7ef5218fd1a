"""What cannot become a signal is kept byte for byte, fixed, replayed or discarded; nothing that came in is lost."""

from __future__ import annotations

import base64
import json
from datetime import timedelta
from functools import partial
from typing import Any

import pytest

from flowledger.errors import InvalidInput, InvalidTransition, NotFound, PermissionRefused
from flowledger.outbox.models import WorkEvent
from flowledger.tenancy.scope import system_scope
from tests.client import ApiClient
from tests.queries import counted_queries
from tests.workstream.conftest import actor_of
from tests.workstream.factories import AT, CLERK
from tests.workstream.trail import at_once, events_of, newest_event, nothing_changes
from workstream import services
from workstream.models import Signal, SignalDelivery, SignalPayload
from workstream.models.intake import IntakeReject
from workstream.models.signals import Channel

BODY = b'{"source_type": "pigeon", "snippet": "Press stops", "contact_email": "ann@acme.example"}'
FIELDS = {"snippet": "Press stops", "contact_email": "ann@acme.example"}
LATER = AT + timedelta(hours=2)


def keep(org: Any, body: bytes = BODY, **changes: Any) -> IntakeReject:
    given: dict[str, Any] = {
        "channel": Channel.REST,
        "content_type": "application/json",
        "sender": "hook",
        "code": "validation_error",
        "reason": "source_type: not a valid choice",
        "errors": {"source_type": ["Not a valid choice."]},
        "fields": FIELDS,
        **changes,
    }
    return services.keep_reject(org=org, body=body, actor=CLERK, at=AT, **given)


@pytest.mark.django_db
class TestKeep:
    def test_keeps_bytes_reason_and_what_could_be_read(self, org):
        reject = keep(org)

        assert bytes(reject.body) == BODY
        assert (reject.status, reject.occurrences, reject.received_at) == ("open", 1, AT)
        assert reject.fields == FIELDS
        assert newest_event(org, "intake.rejected").payload == {
            "reject_id": reject.pk,
            "channel": "rest",
            "source_id": None,
            "code": "validation_error",
        }

    def test_the_same_bytes_while_open_are_counted(self, org):
        first = keep(org)
        again = services.keep_reject(
            org=org,
            channel=Channel.REST,
            body=BODY,
            content_type="",
            sender="",
            code="other",
            reason="Other",
            actor=CLERK,
            at=LATER,
        )

        assert (again.pk, again.occurrences, again.last_received_at) == (first.pk, 2, LATER)
        assert (again.reason, again.received_at) == (first.reason, AT)
        assert events_of_reject(again) == ["intake.rejected"]

    def test_another_channel_or_a_closed_one_is_another_reject(self, org):
        first = keep(org)
        assert keep(org, channel=Channel.BULK).pk != first.pk
        services.discard_reject(org=org, reject_id=first.pk, actor=CLERK, at=LATER)
        assert keep(org).pk != first.pk

    def test_what_cannot_be_stored_is_left_out_of_the_fields(self, org):
        reject = keep(org, reason="a\x00b\ud800", fields={"snippet": "a\x00", "company_name": "Acme", "mood": "good"})

        assert (reject.reason, reject.fields) == ("ab?", {"company_name": "Acme"})

    def test_a_viewer_is_refused(self, org, viewer):
        with nothing_changes(), pytest.raises(PermissionRefused):
            services.keep_reject(
                org=org,
                channel=Channel.REST,
                body=b"x",
                content_type="",
                sender="",
                code="c",
                reason="r",
                actor=actor_of(viewer),
                at=AT,
            )


@pytest.mark.django_db(transaction=True)
@pytest.mark.usefixtures("transactional_db")
class TestAtOnce:
    def test_ten_deliveries_of_the_same_bytes_are_one_reject(self, org):
        answers = at_once(*[partial(keep, org)] * 10)

        assert [each for each in answers if isinstance(each, Exception)] == []
        assert {each.pk for each in answers} == {answers[0].pk}
        with system_scope("tests"):
            assert IntakeReject.all_orgs.get(org=org).occurrences == 10
            assert WorkEvent.all_orgs.filter(org=org, event_name="intake.rejected").count() == 1

    def test_two_who_replay_the_same_reject_make_one_signal(self, org):
        reject = keep(org, fields={**FIELDS, "source_type": "api"})
        replay = partial(services.replay_reject, org=org, reject_id=reject.pk, actor=CLERK, at=LATER)
        answers = at_once(replay, replay)

        assert sorted(type(each).__name__ for each in answers) == ["InvalidTransition", "Replayed"]
        with system_scope("tests"):
            assert Signal.all_orgs.filter(org=org).count() == 1


@pytest.mark.django_db
class TestFixAndReplay:
    def test_fixed_fields_say_what_is_still_wrong(self, org):
        reject = keep(org)
        fixed = services.fix_reject(
            org=org, reject_id=reject.pk, fields={"urgency_score": 7, "contact_email": None}, actor=CLERK, at=LATER
        )

        assert fixed.fields == {"snippet": "Press stops", "urgency_score": 7}
        assert set(fixed.errors) == {"source_type", "urgency_score"}
        assert bytes(fixed.body) == BODY

    def test_replay_makes_a_signal_of_the_bytes_that_came(self, org):
        reject = keep(org)
        services.fix_reject(org=org, reject_id=reject.pk, fields={"source_type": "api"}, actor=CLERK, at=LATER)
        replayed = services.replay_reject(org=org, reject_id=reject.pk, actor=CLERK, at=LATER)

        signal = Signal.all_orgs.get(pk=replayed.signal_id)
        assert (signal.source_type, signal.snippet, signal.ts) == ("api", "Press stops", AT)
        assert bytes(SignalPayload.all_orgs.get(signal=signal).body) == BODY
        delivery = SignalDelivery.all_orgs.get(signal=signal)
        assert (delivery.channel, delivery.sender, delivery.received_at) == ("rest", "hook", LATER)
        reject = IntakeReject.all_orgs.get(pk=reject.pk)
        assert (reject.status, reject.signal_id, reject.closed_at) == ("replayed", signal.pk, LATER)
        assert events_of_reject(reject) == ["intake.rejected", "intake.replayed"]
        assert events_of(signal) == ["signal.created"]

    def test_replay_of_what_is_there_already_is_a_repeat_of_it(self, org):
        fields = {"source_type": "api", "source_ref": "crm-1"}
        signal = services.create_signal(org=org, fields=fields, actor=CLERK, at=AT).signal
        reject = keep(org, fields=fields)
        replayed = services.replay_reject(org=org, reject_id=reject.pk, actor=CLERK, at=LATER)

        assert (replayed.signal_id, replayed.is_repeat) == (signal.pk, True)
        assert events_of(signal) == ["signal.created", "signal.repeated"]

    def test_replay_of_what_is_still_wrong_is_refused_and_changes_nothing(self, org):
        reject = keep(org)
        with nothing_changes(), pytest.raises(InvalidInput) as refusal:
            services.replay_reject(org=org, reject_id=reject.pk, actor=CLERK, at=LATER)
        assert set(refusal.value.details["fields"]) == {"source_type"}

    def test_an_owner_must_be_a_member(self, org):
        reject = keep(org, fields={"source_type": "api", "owner_user_id": 999_999})
        with nothing_changes(), pytest.raises(InvalidInput, match="There is no member 999999"):
            services.replay_reject(org=org, reject_id=reject.pk, actor=CLERK, at=LATER)

    def test_many_at_once_each_for_itself(self, org):
        good = [keep(org, b"%d" % number, fields={"source_type": "api"}) for number in range(3)]
        bad = keep(org)
        ids = [good[2].pk, bad.pk, 999_999, good[0].pk, good[1].pk]
        results = services.replay_rejects(org=org, reject_ids=ids, actor=CLERK, at=LATER)

        assert [each.reject_id for each in results] == ids
        assert [type(each.error) for each in results] == [type(None), InvalidInput, NotFound, type(None), type(None)]
        assert Signal.all_orgs.filter(org=org).count() == 3
        assert IntakeReject.all_orgs.get(pk=bad.pk).status == "open"

    @pytest.mark.parametrize("verb", ["fix_reject", "replay_reject", "discard_reject"])
    def test_a_closed_one_is_left_alone(self, org, verb):
        reject = keep(org)
        services.discard_reject(org=org, reject_id=reject.pk, note="Spam", actor=CLERK, at=LATER)
        more = {"fields": {}} if verb == "fix_reject" else {}
        with nothing_changes(), pytest.raises(InvalidTransition):
            getattr(services, verb)(org=org, reject_id=reject.pk, actor=CLERK, at=LATER, **more)

    @pytest.mark.parametrize("verb", ["fix_reject", "replay_reject", "discard_reject"])
    def test_is_not_for_viewers_nor_strangers(self, org, other_org, viewer, verb):
        reject = keep(org, fields={"source_type": "api"})
        more = {"fields": {}} if verb == "fix_reject" else {}
        with nothing_changes(), pytest.raises(PermissionRefused):
            getattr(services, verb)(org=org, reject_id=reject.pk, actor=actor_of(viewer), at=LATER, **more)
        with nothing_changes(), pytest.raises(NotFound):
            getattr(services, verb)(org=other_org, reject_id=reject.pk, actor=CLERK, at=LATER, **more)


@pytest.mark.django_db
class TestSinglePosts:
    """POST /api/signals with a body that is no signal: refused as ever, and kept."""

    @pytest.mark.parametrize(
        ("body", "media_type", "status", "code"),
        [
            (BODY, "application/json", 400, "validation_error"),
            (b'{"snippet": ', "application/json", 400, "validation_error"),
            (b"\xff\x00", "application/json", 400, "validation_error"),
            (b"[]", "application/json", 400, "validation_error"),
            (b"<xml/>", "text/xml", 415, "unsupported_media_type"),
            (b"a=1", "multipart/form-data; boundary=x", 415, "unsupported_media_type"),
        ],
    )
    def test_are_kept_with_their_reason(self, as_rep: ApiClient, org, body, media_type, status, code):
        answer = as_rep.generic("POST", "/api/signals", body, media_type)

        assert (answer.status_code, answer.json()["code"]) == (status, code)
        reject = IntakeReject.all_orgs.get(pk=answer.json()["reject_id"])
        assert (bytes(reject.body), reject.channel, reject.code) == (body, "rest", code)
        assert (reject.reason, reject.sender) == (answer.json()["error"], "rita from 127.0.0.1")
        assert reject.errors == answer.json().get("fields", {})
        assert not Signal.all_orgs.exists()

    def test_what_could_be_read_is_where_fixing_begins(self, as_rep):
        answer = as_rep.generic("POST", "/api/signals", BODY, "application/json")

        reject = IntakeReject.all_orgs.get(pk=answer.json()["reject_id"])
        assert reject.fields == {**FIELDS, "source_type": "pigeon"}

    def test_the_answer_under_a_key_names_the_same_reject(self, as_rep):
        headers = {"Idempotency-Key": "k-1"}
        answers = [as_rep.post("/api/signals", {"mood": 1}, headers=headers) for _ in range(2)]

        assert answers[0].json() == answers[1].json()
        assert IntakeReject.all_orgs.get().occurrences == 1

    def test_nothing_is_kept_of_who_may_not_deliver(self, as_viewer):
        with nothing_changes():
            assert as_viewer.generic("POST", "/api/signals", b"junk", "application/json").status_code == 403
            assert ApiClient().generic("POST", "/api/signals", b"junk", "application/json").status_code == 401

    def test_nor_of_what_is_too_large(self, as_rep, settings):
        settings.DATA_UPLOAD_MAX_MEMORY_SIZE = 10
        with nothing_changes():
            assert as_rep.generic("POST", "/api/signals", BODY, "application/json").status_code == 413
            assert as_rep.generic("POST", "/api/signals", BODY, "text/xml").status_code == 415

    def test_an_empty_body_leaves_nothing_to_keep(self, as_rep):
        with nothing_changes():
            assert as_rep.generic("POST", "/api/signals", b"", "application/json").status_code == 400

    def test_other_refusals_are_as_they_were(self, as_rep, org):
        signal = services.create_signal(org=org, fields={"source_type": "api"}, actor=CLERK, at=AT).signal
        with nothing_changes():
            answer = as_rep.generic("PATCH", f"/api/signals/{signal.pk}", b"junk", "application/json")
        assert (answer.status_code, "reject_id" in answer.json()) == (400, False)


@pytest.mark.django_db
class TestOverRest:
    def test_the_list_filters_and_costs_the_same_for_many(self, as_rep, org):
        counts = []
        for number in (1, 10):
            for each in range(number):
                keep(org, b"%d-%d" % (number, each))
            with counted_queries() as statements:
                assert as_rep.get("/api/intake/rejects?status=open").status_code == 200
            counts.append(len(statements))
        assert counts[0] == counts[1]
        assert all('"body"' not in statement for statement in statements)
        assert as_rep.get("/api/intake/rejects?status=discarded").json()["data"] == []
        assert as_rep.get("/api/intake/rejects?channel=bulk").json()["data"] == []

    def test_one_shows_what_came_in(self, as_viewer, org):
        reject = keep(org)
        body = as_viewer.get(f"/api/intake/rejects/{reject.pk}").json()

        assert base64.b64decode(body["body_base64"]) == BODY
        assert (body["body_text"], body["fields"], body["errors"]) == (BODY.decode(), FIELDS, reject.errors)

    def test_fix_replay_and_the_signal(self, as_rep, org):
        reject = keep(org)
        path = f"/api/intake/rejects/{reject.pk}"
        refused = as_rep.post(f"{path}/replay")
        assert (refused.status_code, set(refused.json()["fields"])) == (400, {"source_type"})
        fixed = as_rep.patch(path, json.dumps({"fields": {"source_type": "api"}}), "application/json")
        assert (fixed.status_code, fixed.json()["errors"]) == (200, {})
        replayed = as_rep.post(f"{path}/replay").json()
        assert (replayed["ok"], Signal.all_orgs.get().pk) == (True, replayed["signal_id"])
        assert as_rep.get(path).json()["status"] == "replayed"
        assert as_rep.post(f"{path}/replay").status_code == 422

    def test_many(self, as_rep, org):
        ids = [keep(org, fields={"source_type": "api"}).pk, keep(org, b"2").pk, 999_999]
        answer = as_rep.post("/api/intake/rejects/replay", {"reject_ids": ids}).json()

        assert [each["ok"] for each in answer["results"]] == [True, False, False]
        assert [(each["error"] or {}).get("code") for each in answer["results"]] == [
            None,
            "validation_error",
            "not_found",
        ]

    def test_discard(self, as_rep, org):
        reject = keep(org)
        answer = as_rep.post(f"/api/intake/rejects/{reject.pk}/discard", {"note": "Spam"})

        assert (answer.json()["status"], answer.json()["note"]) == ("discarded", "Spam")
        assert events_of_reject(reject) == ["intake.rejected", "intake.discarded"]

    def test_a_field_that_no_signal_has_is_refused(self, as_rep, org):
        reject = keep(org)
        with nothing_changes():
            answer = as_rep.patch(
                f"/api/intake/rejects/{reject.pk}", json.dumps({"fields": {"mood": 1}}), "application/json"
            )
        assert (answer.status_code, set(answer.json()["fields"])) == (400, {"mood"})


def events_of_reject(reject: IntakeReject) -> list[str]:
    """Names of its events, oldest first."""
    rows = WorkEvent.all_orgs.filter(org_id=reject.org_id, item_type="intake_reject", item_id=reject.pk)
    return list(rows.order_by("pk").values_list("event_name", flat=True))
