"""Mail that providers post, each in the form that it documents, and what a mail server's pipe posts."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import time
from typing import Any
from urllib.parse import urlencode
from uuid import uuid4

import pytest
from django.test import Client, override_settings

from tests.client import ApiClient
from tests.workstream.factories import AT, CLERK
from tests.workstream.intake import make_source, payload_of, rejects_of, repeats_of, signals_of
from tests.workstream.messages import huge, message
from tests.workstream.trail import nothing_changes
from workstream import services
from workstream.api import mail_providers
from workstream.models import IntakeSource, Signal

pytestmark = pytest.mark.django_db

SECRET = "the-secret-of-this-source"
TAKEN = {"created": 1, "repeated": 0, "rejected": 0}
AGAIN = {"created": 0, "repeated": 1, "rejected": 0}
KEPT = {"created": 0, "repeated": 0, "rejected": 1}
RAW = message("Vierzig Stück, bitte.\n", sender="Jürgen Müller <jm@acme.example>")
HEADERS = [
    ["From", "Jürgen Müller <jm@acme.example>"],
    ["To", "sales@harbour.example"],
    ["Subject", "Pumps"],
    ["Date", "Tue, 03 Mar 2026 10:00:00 +0100"],
    ["Message-ID", "<one@acme.example>"],
    ["In-Reply-To", "<before@acme.example>"],
]
TEXT, HTML = "Vierzig Stück, bitte.\n", "<p>Vierzig Stück, bitte.</p>"


def hook(org: Any, provider: str, *, secret: str = SECRET, **options: Any) -> IntakeSource:
    source: IntakeSource = make_source(org, "mail_hook", {"provider": provider, **options}, name="Mail", secret=secret)
    return source


def post(source: IntakeSource, body: bytes, content_type: str, **headers: str) -> Any:
    return ApiClient().post(f"/api/in/mail/{source.token}", body, content_type=content_type, **headers)


def basic(secret: str = SECRET) -> dict[str, str]:
    return {"HTTP_AUTHORIZATION": "Basic " + base64.b64encode(f"flowledger:{secret}".encode()).decode()}


def form(fields: dict[str, str | bytes], files: dict[str, tuple[str, str, bytes]] | None = None) -> tuple[bytes, str]:
    """multipart/form-data as HTTP libraries write it."""
    mark = uuid4().hex
    parts = [
        f'--{mark}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n'.encode()
        + (value if isinstance(value, bytes) else value.encode())
        for name, value in fields.items()
    ]
    parts += [
        f'--{mark}\r\nContent-Disposition: form-data; name="{name}"; filename="{file}"\r\n'.encode()
        + f"Content-Type: {kind}\r\n\r\n".encode()
        + content
        for name, (file, kind, content) in (files or {}).items()
    ]
    return b"\r\n".join(parts) + f"\r\n--{mark}--\r\n".encode(), f"multipart/form-data; boundary={mark}"


def mailgun_signed(secret: str = SECRET, **fields: str | bytes) -> dict[str, str | bytes]:
    token, stamp = uuid4().hex, str(int(time.time()))
    signature = hmac.new(secret.encode(), f"{stamp}{token}".encode(), hashlib.sha256).hexdigest()
    return {**fields, "token": token, "timestamp": stamp, "signature": signature}


def the_signal(org: Any) -> Signal:
    (signal,) = signals_of(org)
    return signal


def assert_is_the_message(org: Any, *, name: str = "Jürgen Müller") -> Signal:
    signal = the_signal(org)
    assert (signal.contact_name, signal.contact_email) == (name, "jm@acme.example")
    assert signal.snippet.endswith("Vierzig Stück, bitte.")
    assert signal.source_ref == "one@acme.example"
    assert signal.ts.isoformat() == "2026-03-03T09:00:00+00:00"
    return signal


class TestRaw:
    def test_the_message_itself_with_the_secret(self, org):
        source = hook(org, "raw")
        bearer = {"HTTP_AUTHORIZATION": f"Bearer {SECRET}"}

        assert post(source, RAW, "message/rfc822", **bearer).json() == TAKEN
        assert post(source, RAW, "message/rfc822", **bearer).json() == AGAIN
        assert bytes(payload_of(assert_is_the_message(org)).body) == RAW
        assert repeats_of(org) == 1

    @pytest.mark.parametrize("given", ["", "Bearer ", "Bearer wrong", f"Basic {SECRET}", SECRET, "Bearer \xe9"])
    def test_without_the_secret_nothing_is_taken(self, org, given):
        source = hook(org, "raw")
        with nothing_changes():
            response = post(source, RAW, "message/rfc822", HTTP_AUTHORIZATION=given)

        assert response.status_code == 401
        assert response.json()["code"] == "authentication_failed"
        assert SECRET not in response.content.decode()

    def test_the_secret_before_is_good_for_a_while(self, org):
        source = hook(org, "raw")
        kept = services.rotate_secret(
            org=org, source_id=source.pk, secret="another one", actor=CLERK, at=AT.replace(year=2099)
        )

        assert kept.source.previous_secret_until is not None
        for secret in (SECRET, "another one"):
            assert post(source, RAW, "message/rfc822", HTTP_AUTHORIZATION=f"Bearer {secret}").status_code == 200

    def test_what_is_no_message_is_kept(self, org):
        source = hook(org, "raw")

        assert post(source, b"\x00\xff", "message/rfc822", HTTP_AUTHORIZATION=f"Bearer {SECRET}").json() == KEPT
        assert rejects_of(org)[0].code == "no_message"

    def test_larger_than_a_form_may_be(self, org):
        source = hook(org, "raw")

        assert post(source, huge(4), "message/rfc822", HTTP_AUTHORIZATION=f"Bearer {SECRET}").json() == TAKEN

    def test_too_large_is_413(self, org):
        source = hook(org, "raw")
        with override_settings(MAX_MAIL_BYTES=1_000), nothing_changes():
            response = post(source, huge(1), "message/rfc822", HTTP_AUTHORIZATION=f"Bearer {SECRET}")

        assert response.status_code == 413

    def test_unknown_and_switched_off_addresses_are_404(self, org):
        source = hook(org, "raw")
        services.update_source(org=org, source_id=source.pk, fields={"is_active": False}, actor=CLERK, at=AT)

        assert post(source, RAW, "message/rfc822").status_code == 404
        assert ApiClient().post("/api/in/mail/1-nothing", RAW, content_type="message/rfc822").status_code == 404

    def test_another_kind_of_source_is_404(self, org):
        form_source = make_source(org, "web_form")

        assert post(form_source, RAW, "message/rfc822").status_code == 404

    def test_providers_look_first(self, org):
        assert Client().head(f"/api/in/mail/{hook(org, 'mandrill').token}").status_code == 200
        assert Client().head("/api/in/mail/1-nothing").status_code == 404


class TestPostmark:
    # https://postmarkapp.com/developer/webhooks/inbound-webhook
    PARSED = {
        "From": "jm@acme.example",
        "FromName": "Jürgen Müller",
        "FromFull": {"Email": "jm@acme.example", "Name": "Jürgen Müller", "MailboxHash": ""},
        "To": "sales@harbour.example",
        "ToFull": [{"Email": "sales@harbour.example", "Name": "", "MailboxHash": ""}],
        "CcFull": [],
        "OriginalRecipient": "abc@inbound.postmarkapp.com",
        "Subject": "Pumps",
        "MessageID": "73e6d360-66eb-11e1-8e72-a8904824019b",
        "Date": "Tue, 03 Mar 2026 10:00:00 +0100",
        "TextBody": TEXT,
        "HtmlBody": HTML,
        "Headers": [
            {"Name": "Return-Path", "Value": "<jm@acme.example>"},
            {"Name": "Message-ID", "Value": "<one@acme.example>"},
            {"Name": "X-Spam-Status", "Value": "No"},
        ],
        "Attachments": [
            {"Name": "Übersicht.pdf", "Content": "JVBERi0xLjQK", "ContentType": "application/pdf", "ContentLength": 9}
        ],
    }

    def test_parsed(self, org):
        source = hook(org, "postmark")
        body = json.dumps(self.PARSED).encode()

        assert post(source, body, "application/json", **basic()).json() == TAKEN
        assert post(source, body, "application/json", **basic()).json() == AGAIN
        signal = assert_is_the_message(org)
        assert signal.attributes["attachments"] == [{"name": "Übersicht.pdf", "type": "application/pdf", "size": 9}]

    def test_raw(self, org):
        body = json.dumps({**self.PARSED, "RawEmail": RAW.decode()}).encode()

        assert post(hook(org, "postmark"), body, "application/json", **basic()).json() == TAKEN
        assert_is_the_message(org)

    def test_a_retry_without_an_identifier_is_a_repeat(self, org):
        source = hook(org, "postmark")
        body = json.dumps({**self.PARSED, "Headers": []}).encode()

        assert post(source, body, "application/json", **basic()).json() == TAKEN
        assert post(source, body, "application/json", **basic()).json() == AGAIN

    @pytest.mark.parametrize(
        "body",
        [
            b"",
            b"{",
            b"[]",
            b"null",
            b'{"RecordType": "Open"}',
            b'{"Attachments": [{}]}',
            b"[" * 100_000,
            b'{"Headers": 7}',
        ],
    )
    def test_what_is_not_documented_is_kept(self, org, body):
        response = post(hook(org, "postmark"), body, "application/json", **basic())

        assert (response.status_code, response.json()) == (200, KEPT)
        (reject,) = rejects_of(org)
        assert bytes(reject.body) == body
        assert reject.reason

    @pytest.mark.parametrize("headers", [{}, basic("wrong"), {"HTTP_AUTHORIZATION": "Basic !"}])
    def test_without_the_secret(self, org, headers):
        source = hook(org, "postmark")
        with nothing_changes():
            response = post(source, json.dumps(self.PARSED).encode(), "application/json", **headers)

        assert response.status_code == 401


class TestMailgun:
    # https://documentation.mailgun.com/docs/mailgun/user-manual/receive-forward-store/
    def test_raw(self, org):
        body, kind = form(mailgun_signed(**{"body-mime": RAW, "sender": "jm@acme.example", "recipient": "s@h.example"}))
        source = hook(org, "mailgun")

        assert post(source, body, kind).json() == TAKEN
        assert bytes(payload_of(assert_is_the_message(org)).body) == RAW

    def test_parsed_and_delivered_again(self, org):
        fields = {
            "message-headers": json.dumps(HEADERS),
            "body-plain": TEXT,
            "body-html": HTML,
            "attachment-count": "1",
        }
        files = {"attachment-1": ("plan.pdf", "application/pdf", b"%PDF\n")}
        source = hook(org, "mailgun")

        assert post(source, *form(mailgun_signed(**fields), files)).json() == TAKEN
        assert post(source, *form(mailgun_signed(**fields), files)).json() == AGAIN
        signal = assert_is_the_message(org)
        assert signal.attributes["attachments"] == [{"name": "plan.pdf", "type": "application/pdf", "size": 5}]

    def test_raw_larger_than_a_form_may_be(self, org):
        body, kind = form(mailgun_signed(**{"body-mime": huge(4)}))

        assert post(hook(org, "mailgun"), body, kind).json() == TAKEN

    @pytest.mark.parametrize("secret", ["", "wrong"])
    def test_a_bad_signature(self, org, secret):
        source = hook(org, "mailgun")
        body, kind = form(mailgun_signed(secret, **{"body-mime": RAW}))
        with nothing_changes():
            assert post(source, body, kind).status_code == 401

    def test_a_tracking_event_is_explained(self, org):
        fields = mailgun_signed(event="opened")
        body = urlencode({name: str(value) for name, value in fields.items()}).encode()

        assert post(hook(org, "mailgun"), body, "application/x-www-form-urlencoded").json() == KEPT
        assert "tracking" in rejects_of(org)[0].reason


class TestSendGrid:
    # https://www.twilio.com/docs/sendgrid/for-developers/parsing-email/setting-up-the-inbound-parse-webhook
    def test_raw(self, org):
        body, kind = form({"email": RAW, "envelope": '{"to":["s@h.example"],"from":"jm@acme.example"}'})

        assert post(hook(org, "sendgrid"), body, kind, **basic()).json() == TAKEN
        assert_is_the_message(org)

    def test_parsed_in_another_charset(self, org):
        head = "".join(f"{name}: {value}\n" for name, value in HEADERS)
        fields: dict[str, str | bytes] = {
            "headers": head,
            "text": TEXT.encode("iso-8859-1"),
            "charsets": '{"text":"iso-8859-1","subject":"UTF-8"}',
            "attachments": "0",
        }
        assert post(hook(org, "sendgrid"), *form(fields), **basic()).json() == TAKEN
        assert_is_the_message(org)


class TestMailjet:
    # https://dev.mailjet.com/email/guides/parse-api/
    def test_parsed(self, org):
        document = {
            "Sender": "jm@acme.example",
            "Recipient": "abc@parse-in1.mailjet.com",
            "From": "Jürgen Müller <jm@acme.example>",
            "Subject": "Pumps",
            "Headers": {**dict(HEADERS), "Received": ["by a.example", "by b.example"]},
            "Parts": [
                {"Headers": {"Content-Type": "text/plain; charset=UTF-8"}, "ContentRef": "Text-part"},
                {
                    "Headers": {
                        "Content-Type": 'application/pdf; name="plan.pdf"',
                        "Content-Disposition": 'attachment; filename="plan.pdf"',
                        "Content-Transfer-Encoding": "base64",
                    },
                    "ContentRef": "Attachment1",
                },
            ],
            "Text-part": TEXT,
            "Html-part": HTML,
            "Attachment1": "JVBERi0xLjQK",
            "SpamAssassinScore": "0.602",
        }
        assert post(hook(org, "mailjet"), json.dumps(document).encode(), "application/json", **basic()).json() == TAKEN
        signal = assert_is_the_message(org)
        assert signal.attributes["attachments"] == [{"name": "plan.pdf", "type": "application/pdf", "size": 9}]


class TestBrevo:
    # https://developers.brevo.com/docs/inbound-parse-webhooks
    def test_several_with_attachments_that_are_not_fetched(self, org):
        item = {
            "Uuid": ["c8f9c3a0-0000-4000-8000-000000000001"],
            "MessageId": "<one@acme.example>",
            "From": {"Name": "Jürgen Müller", "Address": "jm@acme.example"},
            "Headers": {**dict(HEADERS), "Received": ["by a.example", "by b.example"]},
            "RawTextBody": TEXT,
            "RawHtmlBody": HTML,
            "SpamScore": 1.2,
            "Attachments": [
                {
                    "Name": "plan.pdf",
                    "ContentType": "application/pdf",
                    "ContentLength": 32_000,
                    "ContentID": None,
                    "DownloadToken": "eyJmb28iOiJiYXIifQ",
                }
            ],
        }
        other = {**item, "Headers": {**item["Headers"], "Message-ID": "<two@acme.example>"}}  # type: ignore[dict-item]
        response = post(
            hook(org, "brevo"), json.dumps({"items": [item, other]}).encode(), "application/json", **basic()
        )

        assert response.json() == {"created": 2, "repeated": 0, "rejected": 0}
        signal = signals_of(org)[0]
        assert signal.attributes["attachments"] == [{"name": "plan.pdf", "type": "application/pdf", "size": 32_000}]


class TestSparkPost:
    # https://developers.sparkpost.com/api/relay-webhooks/
    @staticmethod
    def event(raw: bytes, *, encoded: bool) -> dict[str, Any]:
        content = base64.b64encode(raw).decode() if encoded else raw.decode()
        message_part = {"email_rfc822": content, "email_rfc822_is_base64": encoded, "subject": "Pumps"}
        return {
            "msys": {
                "relay_message": {
                    "content": message_part,
                    "friendly_from": "jm@acme.example",
                    "msg_from": "jm@acme.example",
                    "rcpt_to": "sales@harbour.example",
                    "protocol": "smtp",
                    "webhook_id": "4839201967643219",
                }
            }
        }

    @pytest.mark.parametrize("encoded", [True, False])
    def test_a_batch_with_a_ping(self, org, encoded):
        body = json.dumps([self.event(RAW, encoded=encoded), {"msys": {}}]).encode()

        assert post(hook(org, "sparkpost"), body, "application/json", **basic()).json() == TAKEN
        assert_is_the_message(org)

    def test_a_message_that_is_not_utf_8(self, org):
        raw = RAW.decode().replace("charset=utf-8", "charset=iso-8859-1").encode("iso-8859-1")
        body = json.dumps([self.event(raw, encoded=True)]).encode()

        assert post(hook(org, "sparkpost"), body, "application/json", **basic()).json() == TAKEN
        assert_is_the_message(org)


class TestMandrill:
    # https://mailchimp.com/developer/transactional/docs/inbound-email/
    URL = "https://sales.harbour.example/api/in/mail/x"

    def signed(self, events: Any, *, secret: str = SECRET) -> tuple[bytes, dict[str, str]]:
        fields = {"mandrill_events": json.dumps(events)}
        text = self.URL + "".join(name + value for name, value in sorted(fields.items()))
        signature = base64.b64encode(hmac.new(secret.encode(), text.encode(), hashlib.sha1).digest()).decode()
        return urlencode(fields).encode(), {"HTTP_X_MANDRILL_SIGNATURE": signature}

    def test_a_batch(self, org):
        inbound = {"event": "inbound", "ts": 1772442000, "msg": {"raw_msg": RAW.decode(), "email": "s@h.example"}}
        body, headers = self.signed([inbound])
        source = hook(org, "mandrill", public_url=self.URL)

        assert post(source, body, "application/x-www-form-urlencoded", **headers).json() == TAKEN
        assert_is_the_message(org)

    def test_its_own_test_is_answered(self, org):
        body, headers = self.signed([])
        source = hook(org, "mandrill", public_url=self.URL)

        response = post(source, body, "application/x-www-form-urlencoded", **headers)
        assert (response.status_code, response.json()["created"]) == (200, 0)

    def test_a_bad_signature(self, org):
        source = hook(org, "mandrill", public_url=self.URL)
        body, headers = self.signed([], secret="wrong")
        with nothing_changes():
            assert post(source, body, "application/x-www-form-urlencoded", **headers).status_code == 401


class TestResend:
    # https://resend.com/docs/dashboard/receiving/introduction: only where the message is, which its API tells
    KEY = base64.b64encode(b"a signing key of some length").decode()
    EVENT = {"type": "email.received", "created_at": "2026-03-03T09:00:00Z", "data": {"email_id": "56761188-7520"}}

    def signed(self, body: bytes, *, stamp: int | None = None) -> dict[str, str]:
        when = str(stamp if stamp is not None else int(time.time()))
        digest = hmac.new(base64.b64decode(self.KEY), b"msg_1." + when.encode() + b"." + body, hashlib.sha256).digest()
        signature = f"v1,{base64.b64encode(digest).decode()}"
        return {"HTTP_SVIX_ID": "msg_1", "HTTP_SVIX_TIMESTAMP": when, "HTTP_SVIX_SIGNATURE": signature}

    def test_asks_for_the_message(self, org, resend_api):
        source = hook(org, "resend", secret=f"whsec_{self.KEY} re_key")
        body = json.dumps(self.EVENT).encode()

        assert post(source, body, "application/json", **self.signed(body)).json() == TAKEN
        signal = assert_is_the_message(org)
        assert signal.attributes["attachments"] == [{"name": "plan.pdf", "type": "application/pdf", "size": 77}]
        assert resend_api == [("/emails/receiving/56761188-7520", "Bearer re_key")]

    def test_an_old_signature(self, org):
        source = hook(org, "resend", secret=f"whsec_{self.KEY} re_key")
        body = json.dumps(self.EVENT).encode()
        with nothing_changes():
            assert post(source, body, "application/json", **self.signed(body, stamp=1_700_000_000)).status_code == 401

    def test_nobody_answers(self, org, monkeypatch):
        monkeypatch.setattr(mail_providers, "RESEND_API", "http://127.0.0.1:9/")
        source = hook(org, "resend", secret=f"whsec_{self.KEY} re_key")
        body = json.dumps(self.EVENT).encode()
        with nothing_changes():
            response = post(source, body, "application/json", **self.signed(body))

        assert response.status_code == 503
        assert "re_key" not in response.content.decode()


@pytest.fixture
def resend_api(monkeypatch: pytest.MonkeyPatch) -> Any:
    """A local server that answers as the provider's API does."""
    import threading
    from http.server import BaseHTTPRequestHandler, HTTPServer

    asked: list[tuple[str, str]] = []
    answer = {
        "object": "email",
        "id": "56761188-7520",
        "to": ["sales@harbour.example"],
        "from": "Jürgen Müller <jm@acme.example>",
        "subject": "Pumps",
        "message_id": "<one@acme.example>",
        "headers": {"date": "Tue, 03 Mar 2026 10:00:00 +0100", "return-path": "jm@acme.example"},
        "text": TEXT,
        "html": HTML,
        "bcc": [],
        "cc": [],
        "reply_to": [],
        "attachments": [{"id": "a1", "filename": "plan.pdf", "content_type": "application/pdf", "size": 77}],
    }

    class Api(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append((self.path, self.headers["Authorization"]))
            body = json.dumps(answer).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *args: Any) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Api)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    monkeypatch.setattr(mail_providers, "RESEND_API", f"http://127.0.0.1:{server.server_port}/")
    yield asked
    server.shutdown()
