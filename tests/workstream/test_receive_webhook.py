"""Signed webhooks: who may deliver, what a delivery becomes, and what is kept of those that cannot."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.test import override_settings
from django.utils.timezone import now

from tests.client import ApiClient
from tests.workstream.factories import AT, CLERK
from tests.workstream.intake import (
    SECRET,
    github_signature,
    kept_source,
    make_source,
    payload_of,
    rejects_of,
    repeats_of,
    signals_of,
    webhook,
)
from tests.workstream.trail import newest_event, nothing_changes
from workstream import services
from workstream.models import IntakeReject, IntakeSource
from workstream.services import webhooks
from workstream.services.webhooks import Delivery

pytestmark = pytest.mark.django_db

LEADS = {
    "mapping": {
        "items": "leads[*]",
        "fields": {
            "source_ref": {"paths": ["id"]},
            "contact_name": {"paths": ["first", "last"], "transforms": ["trim"]},
            "contact_email": {"paths": ["email", "mail"], "transforms": ["first", "trim", "lower"]},
            "company_domain": {"paths": ["site"], "transforms": ["domain"]},
            "snippet": {"paths": ["note"], "default": "Asked for a call"},
            "ts": {"paths": ["at"], "date_format": "unix"},
            "attributes.campaign": {"paths": ["campaign"], "of": "delivery"},
            "attributes.channel": {"constant": "ads"},
            "attributes.tags": {"paths": ["tags"]},
        },
    }
}
LEAD = {
    "id": "L-1",
    "first": " Ann ",
    "last": "Archer",
    "email": " Ann@Harbour.Example ",
    "site": "https://www.harbour.example/about",
    "note": "We need quotes faster",
    "at": 1772442000,
    "tags": ["hot", "eu"],
}


def deliver(source: IntakeSource, document: Any, *, secret: str = SECRET, **headers: str) -> Any:
    body = document if isinstance(document, bytes) else json.dumps(document).encode()
    signed = {"HTTP_X_HUB_SIGNATURE_256": github_signature(body, secret), **headers}
    return ApiClient().post(f"/api/in/webhooks/{source.token}", body, **signed)


def counts(answer: Any) -> tuple[int, int, int]:
    assert answer.status_code == 200, answer.content
    found = answer.json()
    return found["created"], found["repeated"], found["rejected"]


class TestMapping:
    def test_makes_a_signal_of_every_item(self, org):
        source = webhook(org, **LEADS)
        answer = deliver(source, {"campaign": "Spring", "leads": [LEAD, {"id": "L-2", "mail": "bo@quay.example"}]})

        assert counts(answer) == (2, 0, 0)
        first, second = signals_of(org)
        assert (first.source_type, first.source_ref, first.dedupe_key) == (
            "webhook",
            f"{source.pk}/L-1",
            f"webhook:{source.pk}/L-1",
        )
        assert (first.contact_name, first.contact_email) == ("Ann Archer", "ann@harbour.example")
        assert (first.company_domain, first.snippet) == ("harbour.example", "We need quotes faster")
        assert first.ts == datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
        assert first.attributes == {"campaign": "Spring", "channel": "ads", "tags": ["hot", "eu"]}
        assert (second.contact_email, second.snippet) == ("bo@quay.example", "Asked for a call")
        assert first.contact_id is not None
        assert first.client_id is not None

    def test_keeps_the_delivery_of_one_item_byte_for_byte_and_of_many_each_item(self, org):
        source = webhook(org, **LEADS)
        one = json.dumps({"leads": [LEAD]}, indent=3).encode()
        deliver(source, one)
        deliver(source, {"leads": [{**LEAD, "id": "L-2"}, {**LEAD, "id": "L-3"}]})

        first, second, third = (bytes(payload_of(signal).body) for signal in signals_of(org))
        assert first == one
        assert [json.loads(second)["id"], json.loads(third)["id"]] == ["L-2", "L-3"]

    def test_a_bad_item_costs_its_neighbours_nothing(self, org):
        source = webhook(org, **LEADS)
        answer = deliver(source, {"leads": [LEAD, {**LEAD, "id": "L-2", "at": "yesterday"}, {**LEAD, "id": "L-3"}]})

        assert counts(answer) == (2, 0, 1)
        assert [signal.source_ref for signal in signals_of(org)] == [f"{source.pk}/L-1", f"{source.pk}/L-3"]
        (reject,) = rejects_of(org)
        assert (reject.code, reject.source, reject.channel) == ("validation_error", source, "webhook")
        assert reject.errors == {"ts": ["'yesterday' is no time written as unix."]}
        assert reject.fields["source_ref"] == f"{source.pk}/L-2"
        assert json.loads(bytes(reject.body))["id"] == "L-2"

    def test_a_reject_is_fixed_and_replayed(self, org):
        source = webhook(org, **LEADS)
        deliver(source, {"leads": [{**LEAD, "at": "yesterday"}]})
        (reject,) = rejects_of(org)
        services.replay_reject(org=org, reject_id=reject.pk, actor=CLERK, at=AT)

        (signal,) = signals_of(org)
        assert (signal.source_ref, signal.contact_email) == (f"{source.pk}/L-1", "ann@harbour.example")

    def test_without_rules_members_are_taken_by_the_names_of_fields(self, org):
        source = webhook(org)
        assert counts(deliver(source, [{"contact_email": "a@quay.example", "urgency_score": 0.5, "other": 1}])) == (
            1,
            0,
            0,
        )

        (signal,) = signals_of(org)
        assert (signal.contact_email, float(signal.urgency_score)) == ("a@quay.example", 0.5)

    def test_reads_a_posted_form_as_an_object(self, org):
        source = webhook(
            org, mapping={"fields": {"contact_email": {"paths": ["From"]}, "snippet": {"paths": ["Body"]}}}
        )
        body = b"From=ann%40harbour.example&Body=Call+me"
        answer = ApiClient().post(
            f"/api/in/webhooks/{source.token}",
            body,
            content_type="application/x-www-form-urlencoded",
            HTTP_X_HUB_SIGNATURE_256=github_signature(body),
        )

        assert counts(answer) == (1, 0, 0)
        assert [(signal.contact_email, signal.snippet) for signal in signals_of(org)] == [
            ("ann@harbour.example", "Call me")
        ]

    def test_cuts_a_long_text_instead_of_refusing_it(self, org):
        source = webhook(org)
        deliver(source, {"snippet": "long words " * 200})

        (signal,) = signals_of(org)
        assert len(signal.snippet) <= 1000
        assert signal.snippet.endswith("…")

    @pytest.mark.parametrize(
        ("body", "code", "reason"),
        [
            (b"not json", "unreadable", "The body is not valid JSON"),
            (b"", "unreadable", "The body is not valid JSON"),
            (b'{"leads": []}', "unmapped", "Nothing is found at"),
            (b'{"leads": "none"}', "validation_error", "mapping: None of the fields"),
            (b"[" * 100_000, "unreadable", "nested deeper than 32"),
            (b'{"leads": [{"email": "\\u0000"}]}', "unreadable", "NUL"),
            (json.dumps({"leads": [1] * 501}).encode(), "unmapped", "more than 500 items"),
            (json.dumps({"leads": [{"email": {"a": 1}}]}).encode(), "validation_error", "The value is an object"),
        ],
    )
    def test_keeps_what_it_cannot_read(self, org, body, code, reason):
        source = webhook(org, mapping={"items": "leads", "fields": {"contact_email": {"paths": ["email"]}}})
        assert counts(deliver(source, body)) == (0, 0, 1)

        (reject,) = rejects_of(org)
        assert (reject.code, bytes(reject.body)) == (code, body)
        assert reason in reject.reason
        assert newest_event(org, "intake.rejected").payload == {
            "reject_id": reject.pk,
            "channel": "webhook",
            "source_id": source.pk,
            "code": code,
        }
        assert signals_of(org) == []


class TestRepeats:
    def test_the_same_bytes_again_are_a_repeat(self, org):
        source = webhook(org)
        assert counts(deliver(source, {"snippet": "One"})) == (1, 0, 0)
        assert counts(deliver(source, {"snippet": "One"})) == (0, 1, 0)
        assert counts(deliver(source, {"snippet": "Two"})) == (1, 0, 0)
        assert repeats_of(org) == 1

    def test_items_of_one_delivery_do_not_repeat_each_other(self, org):
        source = webhook(org)
        assert counts(deliver(source, [{"snippet": "Same"}, {"snippet": "Same"}])) == (2, 0, 0)
        assert counts(deliver(source, [{"snippet": "Same"}, {"snippet": "Same"}])) == (0, 2, 0)

    def test_the_senders_identifier_in_a_header_or_the_body_tells_deliveries_apart(self, org):
        by_header = webhook(org, delivery_id_header="X-Delivery")
        assert counts(deliver(by_header, {"snippet": "One"}, HTTP_X_DELIVERY="1")) == (1, 0, 0)
        assert counts(deliver(by_header, {"snippet": "One"}, HTTP_X_DELIVERY="2")) == (1, 0, 0)
        assert counts(deliver(by_header, {"snippet": "Changed"}, HTTP_X_DELIVERY="2")) == (0, 1, 0)

        by_path = webhook(org, name="Other", delivery_id_path="event.id")
        assert counts(deliver(by_path, {"event": {"id": 7}, "snippet": "One"})) == (1, 0, 0)
        assert counts(deliver(by_path, {"event": {"id": 7}, "snippet": "One", "try": 2})) == (0, 1, 0)

    def test_two_senders_may_both_have_a_number_one(self, org):
        for name in ("Leads", "Other"):
            assert counts(deliver(webhook(org, name=name), {"source_ref": 1, "snippet": name})) == (1, 0, 0)

    def test_another_sources_delivery_is_another(self, org):
        assert counts(deliver(webhook(org), {"snippet": "One"})) == (1, 0, 0)
        assert counts(deliver(webhook(org, name="Other"), {"snippet": "One"})) == (1, 0, 0)


class TestSignatures:
    def test_a_wrong_signature_is_refused_and_the_delivery_kept(self, org):
        source = webhook(org)
        answer = deliver(source, {"snippet": "Forged"}, secret="another secret")

        assert (answer.status_code, answer.json()["code"]) == (401, "authentication_failed")
        assert signals_of(org) == []
        (reject,) = rejects_of(org)
        assert (reject.code, reject.occurrences, reject.fields) == ("bad_signature", 1, {"snippet": "Forged"})
        assert SECRET not in answer.content.decode()
        assert github_signature(bytes(reject.body)) not in answer.content.decode() + reject.reason

    def test_the_same_forgery_again_is_counted(self, org):
        source = webhook(org)
        for _ in range(3):
            assert deliver(source, {"snippet": "Forged"}, secret="another secret").status_code == 401
        assert [reject.occurrences for reject in rejects_of(org)] == [3]

    def test_forgeries_fill_nothing_and_good_deliveries_still_get_in(self, org, monkeypatch):
        monkeypatch.setattr(webhooks, "MOST_UNPROVEN", 2)
        source = webhook(org)
        statuses = [deliver(source, {"n": n}, secret="another secret") for n in range(4)]

        assert [answer.status_code for answer in statuses] == [401, 401, 429, 429]
        assert statuses[-1].headers["Retry-After"] == "3600"
        assert len(rejects_of(org)) == 2
        assert counts(deliver(source, {"snippet": "Good"})) == (1, 0, 0)

    def test_two_secrets_are_good_after_a_rotation_until_the_time_is_over(self, org):
        source = webhook(org)
        kept = services.rotate_secret(org=org, source_id=source.pk, keep_hours=1, actor=CLERK, at=AT)
        assert kept.secret

        def try_with(secret: str, at: datetime, text: str) -> list[str]:
            body = json.dumps({"snippet": text}).encode()
            delivery = Delivery(body, headers={"x-hub-signature-256": github_signature(body, secret)})
            try:
                outcomes = services.receive_webhook(org=org, source_id=source.pk, delivery=delivery, actor=CLERK, at=at)
            except webhooks.SignatureRefused:
                return ["refused"]
            return [outcome.status for outcome in outcomes]

        assert try_with(SECRET, AT + timedelta(minutes=59), "a") == ["created"]
        assert try_with(kept.secret, AT + timedelta(minutes=59), "b") == ["created"]
        assert try_with(SECRET, AT + timedelta(minutes=60), "c") == ["refused"]
        assert try_with(kept.secret, AT + timedelta(minutes=60), "d") == ["created"]

    @override_settings(ENCRYPTION_KEYS=["another key than the secret was written with"])
    def _unreadable(self, source: IntakeSource) -> Any:
        return deliver(source, {"snippet": "One"})

    def test_a_secret_that_cannot_be_read_is_our_fault_and_the_sender_tries_again(self, org):
        source = webhook(org)
        assert self._unreadable(source).status_code == 503
        assert rejects_of(org) == []
        assert counts(deliver(source, {"snippet": "One"})) == (1, 0, 0)


class TestStandardWebhooks:
    def sign(self, secret: str, body: bytes, *, at: datetime, identifier: str = "msg_1") -> dict[str, str]:
        stamp = str(int(at.timestamp()))
        key = base64.b64decode(secret.removeprefix("whsec_"))
        content = f"{identifier}.{stamp}.".encode() + body
        signature = base64.b64encode(hmac.new(key, content, hashlib.sha256).digest()).decode()
        return {
            "HTTP_WEBHOOK_ID": identifier,
            "HTTP_WEBHOOK_TIMESTAMP": stamp,
            "HTTP_WEBHOOK_SIGNATURE": f"v1a,ignored v1,{signature}",
        }

    def test_a_made_secret_verifies_and_the_identifier_makes_repeats(self, org):
        kept = kept_source(org, "webhook")
        body = b'{"snippet": "One"}'
        path = f"/api/in/webhooks/{kept.source.token}"
        first = ApiClient().post(path, body, **self.sign(kept.secret, body, at=now()))
        later = b'{"snippet": "One", "attempt": 2}'
        again = ApiClient().post(path, later, **self.sign(kept.secret, later, at=now()))

        assert (counts(first), counts(again)) == ((1, 0, 0), (0, 1, 0))

    def test_an_old_delivery_is_refused(self, org):
        kept = kept_source(org, "webhook")
        body = b'{"snippet": "One"}'
        headers = self.sign(kept.secret, body, at=now() - timedelta(minutes=6))
        answer = ApiClient().post(f"/api/in/webhooks/{kept.source.token}", body, **headers)

        assert answer.status_code == 401
        assert "seconds away from our clock" in answer.json()["error"]
        assert [reject.code for reject in rejects_of(org)] == ["bad_signature"]


class TestDoor:
    @pytest.mark.parametrize("token", ["nothing", "1-nothing", "999999999999-x", "1-" + "x" * 400, "%00", "٣-x"])
    def test_an_unknown_address_takes_nothing(self, org, token):
        with nothing_changes():
            answer = ApiClient().post(f"/api/in/webhooks/{token}", b"{}")
        assert answer.status_code == 404

    def test_a_source_that_is_off_or_of_another_kind_takes_nothing(self, org):
        off = make_source(org, "webhook", name="Off", is_active=False)
        form = make_source(org, "web_form", name="Form")
        with nothing_changes():
            assert ApiClient().post(f"/api/in/webhooks/{off.token}", b"{}").status_code == 404
            assert ApiClient().post(f"/api/in/webhooks/{form.token}", b"{}").status_code == 404

    def test_a_body_beyond_the_limit_is_refused(self, org):
        source = webhook(org)
        with nothing_changes():
            answer = deliver(source, b" " * (webhooks.MAX_DELIVERY_BYTES + 1))
        assert (answer.status_code, answer.json()["max_bytes"]) == (413, webhooks.MAX_DELIVERY_BYTES)

    def test_is_limited_per_source(self, org, settings):
        settings.API_THROTTLES = {**settings.API_THROTTLES, "source": 2}
        source = webhook(org)
        answers = [deliver(source, {"snippet": str(n)}) for n in range(3)]

        assert [answer.status_code for answer in answers] == [200, 200, 429]
        assert int(answers[2].headers["Retry-After"]) >= 1
        assert len(signals_of(org)) == 2
        assert not IntakeReject.all_orgs.filter(org=org).exists()

    def test_a_strangers_organisation_stays_empty(self, org, other_org):
        source = webhook(org)
        deliver(source, {"snippet": "Ours"})
        assert signals_of(other_org) == []
        assert [signal.org_id for signal in signals_of(org)] == [org.pk]
