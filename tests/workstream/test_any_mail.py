"""Any bytes at a mail door: always a signal, a repeat or a stored reject, and never more than one of them."""

from __future__ import annotations

import base64
import time
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.client import ApiClient
from tests.workstream import messages as wild
from tests.workstream.factories import AT, CLERK
from tests.workstream.intake import make_source, trace_of
from tests.workstream.messages import message
from workstream import services
from workstream.intake.mail_html import html_to_text
from workstream.intake.mail_options import PROVIDERS
from workstream.intake.mail_reading import NoMessage, read_mail
from workstream.intake.mail_replies import forwarded_part, written_part

SECRET = "the-secret-of-this-source"
ONCE = settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
WILD = [
    *(wild.ISO_2022_JP, wild.MISLABELLED_1252, wild.UNKNOWN_CHARSET, wild.SPLIT_WORDS, wild.ATTACHMENTS, wild.BOUNCE),
    *(message(wild.OUTLOOK_REPLY), message(wild.FORWARD_TEXT, subject="Fwd: x"), wild.attached_forward()),
]
HEADER = st.sampled_from(
    [
        *("From", "To", "Reply-To", "Subject", "Date", "Message-ID", "References", "In-Reply-To", "Content-Type"),
        *("Content-Transfer-Encoding", "Content-Disposition", "MIME-Version", "Return-Path", "Auto-Submitted"),
    ]
)
VALUE = st.one_of(
    st.binary(max_size=60),
    st.text(max_size=60).map(lambda text: text.encode("utf-8", "surrogatepass")),
    st.sampled_from(
        [
            *(
                b"text/html; charset=utf-16",
                b"multipart/mixed; boundary=x",
                b"multipart/report; report-type=delivery-status",
            ),
            *(b"message/rfc822", b"text/plain; charset=base64", b"text/plain; charset=idna; format=flowed", b"base64"),
            *(
                b"quoted-printable",
                b"x-uuencode",
                b"=?utf-8?b?AAAA?=",
                b"=?x?q?=00?= <a@b.example>",
                b"<\x00@x>",
                b"<a@b>",
            ),
            *(b"attachment; filename*0*=utf-9''%ff; filename*1=\"", b"Thu, 0 Jan 99999 99:99:99 +9999", b"a@b.example"),
        ]
    ),
)
BUILT = st.builds(
    lambda headers, body: b"".join(name.encode() + b": " + value + b"\r\n" for name, value in headers) + b"\r\n" + body,
    st.lists(st.tuples(HEADER, VALUE), max_size=8),
    st.one_of(st.binary(max_size=300), st.just(b"--x\r\nContent-Type: message/rfc822\r\n\r\nFrom: a\r\n\r\n--x--")),
)


@st.composite
def spoiled(draw: Any) -> bytes:
    """A real message with some bytes replaced, cut out or doubled."""
    raw = bytearray(draw(st.sampled_from(WILD)))
    for _ in range(draw(st.integers(1, 6))):
        at = draw(st.integers(0, max(len(raw) - 1, 0)))
        length = draw(st.integers(0, 40))
        raw[at : at + length] = draw(st.one_of(st.binary(max_size=20), st.just(bytes(raw[at : at + 2 * length]))))
    return bytes(raw)


ANY = st.one_of(st.binary(max_size=400), BUILT, spoiled())


class TestReading:
    @given(raw=ANY)
    @settings(max_examples=400, deadline=None)
    def test_reads_or_says_why_not(self, raw):
        try:
            mail = read_mail(raw, region="DE")
        except NoMessage as error:
            assert str(error).endswith(".")
            return
        assert mail.key
        assert len(mail.message_id) <= 250
        assert len(mail.fields.get("snippet", "")) <= 1000
        for text in (mail.key, *mail.references, *(v for v in mail.fields.values() if isinstance(v, str))):
            assert "\x00" not in text
            text.encode()

    @given(text=st.text(max_size=2_000))
    @settings(max_examples=200, deadline=None)
    def test_any_text_and_html(self, text):
        written_part(text)
        forwarded_part(text, says_forward=True)
        html_to_text(text)

    @pytest.mark.parametrize(
        "text",
        [
            *("On a wrote\n" * 6_000, "> " * 30_000, " " * 60_000 + "x", "From: a\n" * 8_000, "Best regards\n" * 5_000),
            *(
                ("On 1 " * 50 + "\n") * 5_000,
                "Warning: external " * 3_500,
                "[ " * 30_000,
                ("On " + "wrote " * 40 + "\n") * 14,
            ),
            *("Disclaimer: a mail " * 200, "\n\n _" * 900, "_" * 60_000, "-- \n" * 15_000, "a@" * 30_000),
        ],
    )
    def test_no_text_takes_long(self, text):
        began = time.process_time()
        written_part(text)
        forwarded_part(text, says_forward=True)
        read_mail(message(text))

        assert time.process_time() - began < 5

    @pytest.mark.parametrize(
        "html", ["<div>" * 50_000, "<p" * 50_000, "<!--" * 50_000, "&#x" * 50_000, "<blockquote>a" * 20_000]
    )
    def test_no_html_takes_long(self, html):
        began = time.process_time()
        html_to_text(html)

        assert time.process_time() - began < 5


@pytest.mark.django_db
class TestReceiving:
    @given(raw=ANY)
    @ONCE
    def test_one_trace_each(self, org, raw):
        before = trace_of(org)
        outcome = services.receive_mail(org=org, source=None, raw=raw, actor=CLERK, at=AT)
        after = trace_of(org)

        grown = [new - old for new, old in zip(after, before, strict=True)]
        assert grown == {"created": [1, 0, 0, 0], "repeated": [0, 1, 0, 0], "rejected": [0, 0, 1, 0]}[outcome.status]
        assert (outcome.signal_id is None) == (outcome.status == "rejected")
        assert outcome.reason if outcome.status == "rejected" else True


@pytest.mark.django_db
@pytest.mark.parametrize(
    "provider", [provider for provider in PROVIDERS if provider not in {"mailgun", "mandrill", "resend"}]
)
class TestPosting:
    @given(
        body=st.one_of(
            ANY, st.binary(max_size=200), st.sampled_from([b"{}", b"[{}]", b'{"items": [{}]}', b'[{"msys": {}}]'])
        ),
        kind=st.sampled_from(
            [
                "application/json",
                "multipart/form-data; boundary=x",
                "multipart/form-data",
                "message/rfc822",
                "text/\xe9",
                "",
            ]
        ),
    )
    @settings(ONCE, max_examples=25)
    def test_never_a_failure_and_nothing_lost(self, org, provider, body, kind):
        source = self._source(org, provider)
        given_secret = f"Bearer {SECRET}" if provider == "raw" else _basic()
        before = trace_of(org)
        response = ApiClient().post(
            f"/api/in/mail/{source.token}", body, content_type=kind, HTTP_AUTHORIZATION=given_secret
        )

        assert response.status_code == 200, response.content
        counts = response.json()
        grown = [new - old for new, old in zip(trace_of(org), before, strict=True)]
        assert grown == [counts["created"], counts["repeated"], counts["rejected"], 0]
        if body and provider == "raw":
            assert sum(grown) == 1

    @staticmethod
    def _source(org: Any, provider: str) -> Any:
        from workstream.models import IntakeSource

        known = IntakeSource.all_orgs.filter(org=org, name=provider).first()
        return known or make_source(org, "mail_hook", {"provider": provider}, name=provider, secret=SECRET)


def _basic() -> str:
    return "Basic " + base64.b64encode(f"flowledger:{SECRET}".encode()).decode()
