"""Any bytes and headers at the public doors: a signal, a repeat, a stored reject or a refusal, never a failure."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import urlencode

import pytest
from django.test import Client
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.workstream.intake import github_signature, kept_source, trace_of, web_form, webhook

pytestmark = pytest.mark.django_db

ANYTHING = settings(
    max_examples=60,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow, HealthCheck.data_too_large],
)
# What WSGI hands over: bytes as Latin-1, without line breaks.
HEADER = st.text(st.characters(max_codepoint=255, exclude_categories=("Cc",)), max_size=80)
LEAF = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=30)
    | st.sampled_from(
        ["ann@harbour.example", "\x00", "\ud800", "x" * 5000, "1772442000", "9" * 400, "2026-03-02", "NaN"]
    )
)
KEYS = st.sampled_from(
    ["leads", "id", "email", "note", "at", "tags", "site", "score", "contact_email", "ts"]
) | st.text(max_size=10)
JSON = st.recursive(
    LEAF, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(KEYS, inner, max_size=5), max_leaves=12
)
LEADS = st.fixed_dictionaries({"leads": st.lists(st.dictionaries(KEYS, JSON, max_size=6), max_size=4)})
BODY = st.binary(max_size=200) | (JSON | LEADS).map(lambda value: json.dumps(value).encode())
CONTENT_TYPE = HEADER | st.sampled_from(
    [
        "application/json",
        "application/x-www-form-urlencoded",
        "multipart/form-data; boundary=b",
        "multipart/form-data",
        "text/plain; charset=utf-7",
        "application/json; charset=nonsense",
        "",
    ]
)
MAPPING = {
    "items": "leads[*]",
    "fields": {
        "source_ref": {"paths": ["id"]},
        "contact_email": {"paths": ["$..email"], "transforms": ["first", "lower"]},
        "snippet": {"paths": ["note", "$[?@.tags==true]"], "join": "\n"},
        "company_domain": {"paths": ["site"], "transforms": ["domain"]},
        "urgency_score": {"paths": ["score"]},
        "ts": {"paths": ["at"], "date_format": "unix"},
        "attributes.whole": {"paths": ["$"]},
        "attributes.delivery": {"paths": ["leads[0].at"], "of": "delivery", "date_format": "%d.%m.%Y"},
    },
}
INPUT = st.text(max_size=40) | st.sampled_from(["Ann", "ann@harbour.example", "yes", "\x00", "x" * 30_000])
INPUTS = st.dictionaries(
    st.sampled_from(["name", "email", "message", "consent", "utm_source", "website_address", "_submission"])
    | st.text(max_size=8),
    INPUT,
    max_size=8,
)


def multipart(inputs: dict[str, str]) -> bytes:
    parts = [
        f'--b\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'.encode("utf-8", "replace")
        for name, value in inputs.items()
    ]
    return b"".join(parts) + b"--b--\r\n"


FORM_BODY = (
    st.binary(max_size=200)
    | INPUTS.map(lambda inputs: urlencode(inputs, errors="replace").encode())
    | INPUTS.map(lambda inputs: json.dumps(inputs).encode())
    | INPUTS.map(multipart)
    | JSON.map(lambda value: json.dumps(value).encode())
)


def grown(org: Any, before: tuple[int, int, int, int]) -> tuple[int, ...]:
    return tuple(after - earlier for after, earlier in zip(trace_of(org), before, strict=True))


class TestWebhook:
    @ANYTHING
    @given(body=BODY, content_type=CONTENT_TYPE, accept=HEADER, delivery=HEADER)
    def test_a_signed_delivery_becomes_something(self, org, body, content_type, accept, delivery):
        source = getattr(org, "hook", None) or webhook(org, mapping=MAPPING, delivery_id_header="X-Delivery")
        org.hook = source
        before = trace_of(org)
        answer = Client().generic(
            "POST",
            f"/api/in/webhooks/{source.token}",
            body,
            content_type=content_type,
            HTTP_X_HUB_SIGNATURE_256=github_signature(body),
            HTTP_ACCEPT=accept,
            HTTP_X_DELIVERY=delivery,
        )

        assert answer.status_code == 200, answer.content
        counted = answer.json()
        assert grown(org, before) == (counted["created"], counted["repeated"], counted["rejected"], 0)
        assert sum(counted.values()) >= 1

    @ANYTHING
    @given(
        body=BODY,
        scheme=st.sampled_from(["standard_webhooks", "github", "stripe", "token", "hmac"]),
        headers=st.dictionaries(
            st.sampled_from(
                [
                    "HTTP_WEBHOOK_ID",
                    "HTTP_WEBHOOK_TIMESTAMP",
                    "HTTP_WEBHOOK_SIGNATURE",
                    "HTTP_STRIPE_SIGNATURE",
                    "HTTP_X_HUB_SIGNATURE_256",
                    "HTTP_X_SIGNATURE",
                    "HTTP_X_STAMP",
                    "HTTP_AUTHORIZATION",
                ]
            ),
            HEADER | st.sampled_from(["1772442000", "t=1,v1=00", "v1,AAAA", "sha256=00", "sha256=é"]),
        ),
    )
    def test_whoever_cannot_sign_is_refused_and_kept(self, org, body, scheme, headers):
        more = {"signed": "{timestamp}.{body}", "timestamp_header": "X-Stamp"} if scheme == "hmac" else {}
        hooks = org.__dict__.setdefault("hooks", {})
        if scheme not in hooks:
            secret = "whsec_aGVsbG8gd29ybGQ=" if scheme == "stripe" else ""
            options = {"verification": {"scheme": scheme, **more}}
            hooks[scheme] = kept_source(org, "webhook", options, name=scheme, secret=secret).source
        before = trace_of(org)
        answer = Client().generic("POST", f"/api/in/webhooks/{hooks[scheme].token}", body, **headers)

        assert answer.status_code == 401, answer.content
        assert grown(org, before) == (0, 0, 1, 0)

    @ANYTHING
    @given(token=st.text(max_size=70), body=st.binary(max_size=20))
    def test_an_unknown_address_is_not_found(self, org, token, body):
        before = trace_of(org)
        for door in ("forms", "webhooks"):
            path = f"/api/in/{door}/{token.replace('/', '')}"
            assert Client().generic("POST", path, body).status_code in {404, 405}
        assert grown(org, before) == (0, 0, 0, 0)


class TestForm:
    @ANYTHING
    @given(body=FORM_BODY, content_type=CONTENT_TYPE, referer=HEADER, opt_in=st.booleans())
    def test_a_submission_becomes_something(self, org, body, content_type, referer, opt_in):
        forms = org.__dict__.setdefault("forms", {})
        if opt_in not in forms:
            options = {"consent_text": "Write to me", "consent_is_required": False, "double_opt_in": opt_in}
            forms[opt_in] = web_form(org, name=f"Form {opt_in}", **options)
        before = trace_of(org)
        path = f"/api/in/forms/{forms[opt_in].token}"
        answer = Client().generic("POST", path, body, content_type=content_type, HTTP_REFERER=referer)

        created, repeated, rejected, waiting = grown(org, before)
        if answer.status_code == 400:
            assert (created, repeated, rejected, waiting) == (0, 0, 1, 0)
            assert answer.json()["fields"]
        elif answer.status_code == 200:
            # A submission that waits for the click already is the one that is there.
            assert created + repeated + rejected + waiting == 1 or (opt_in and waiting == 0)
        else:
            assert answer.status_code == 429, answer.content
            assert (created, repeated, rejected, waiting) == (0, 0, 0, 0)

    @ANYTHING
    @given(body=FORM_BODY, content_type=CONTENT_TYPE, origin=HEADER, secret=st.text(max_size=20))
    def test_the_hosted_pages_answer_with_a_page(self, org, body, content_type, origin, secret):
        source = getattr(org, "page", None) or web_form(org, double_opt_in=True)
        org.page = source
        page = f"/forms/{source.token}"
        sent = Client().generic("POST", page, body, content_type=content_type, HTTP_ORIGIN=origin)
        assert sent.status_code in {303, 400, 403, 429}, sent.content
        confirmed = Client().generic("POST", f"{page}/confirm/{secret.replace('/', '')}", body)
        assert confirmed.status_code in {404, 405}
