"""Verification schemes, against the vectors that their authors published where there are any."""

from __future__ import annotations

import base64
import hashlib
import hmac
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workstream.intake.signatures import Proof, Scheme, Verification, secret_fault, verify

AT = datetime(2021, 2, 25, 12, 0, tzinfo=UTC)


def check(rule: dict[str, Any], headers: dict[str, str], body: bytes, *secrets: str, at: datetime = AT) -> Proof:
    lower = {name.lower(): value for name, value in headers.items()}
    return verify(Verification.model_validate_json(_json(rule)), headers=lower, body=body, secrets=secrets, at=at)


def _json(rule: dict[str, Any]) -> str:
    import json

    return json.dumps(rule)


class TestPublishedVectors:
    def test_standard_webhooks(self):
        """From the reference libraries of standardwebhooks.com."""
        headers = {
            "webhook-id": "msg_p5jXN8AQM9LWM0D4loKWxJek",
            "webhook-timestamp": "1614265330",
            "webhook-signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
        }
        at = datetime.fromtimestamp(1614265330, tz=UTC)
        proof = check({}, headers, b'{"test": 2432232314}', "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", at=at)
        assert proof == Proof(delivery_id="msg_p5jXN8AQM9LWM0D4loKWxJek")

    def test_github(self):
        """From "Validating webhook deliveries" in GitHub's documentation."""
        signature = "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17"
        headers = {"X-Hub-Signature-256": signature}
        assert check({"scheme": "github"}, headers, b"Hello, World!", "It's a Secret to Everybody").holds
        assert not check({"scheme": "github"}, headers, b"Hello, World?", "It's a Secret to Everybody").holds


class TestHmac:
    @pytest.mark.parametrize("algorithm", ["sha256", "sha1", "sha512"])
    @pytest.mark.parametrize("encoding", ["hex", "base64"])
    def test_every_algorithm_and_encoding(self, algorithm, encoding):
        digest = hmac.new(b"a secret", b"1614254400.body", algorithm).digest()
        text = digest.hex() if encoding == "hex" else base64.b64encode(digest).decode()
        rule = {
            "scheme": "hmac",
            "algorithm": algorithm,
            "encoding": encoding,
            "header": "X-Sig",
            "prefix": "v=",
            "signed": "{timestamp}.{body}",
            "timestamp_header": "X-Time",
        }
        headers = {"X-Sig": f"v={text}", "X-Time": "1614254400"}
        assert check(rule, headers, b"body", "a secret").holds
        assert not check(rule, headers, b"Body", "a secret").holds
        assert not check(rule, headers, b"body", "another").holds
        assert not check(rule, {**headers, "X-Time": "1614254401"}, b"body", "a secret").holds
        assert not check(rule, {**headers, "X-Sig": text}, b"body", "a secret").holds

    @pytest.mark.parametrize(("seconds", "holds"), [(0, True), (300, True), (-300, True), (301, False), (-301, False)])
    def test_a_time_is_good_within_the_tolerance_only(self, seconds, holds):
        rule = {"scheme": "hmac", "signed": "{timestamp}{body}", "timestamp_header": "X-Time"}
        headers = {"X-Time": "1614254400", "X-Signature": hmac.new(b"s", b"1614254400b", hashlib.sha256).hexdigest()}
        assert check(rule, headers, b"b", "s", at=AT + timedelta(seconds=seconds)).holds is holds

    def test_an_identifier_counts_when_it_is_signed(self):
        signature = hmac.new(b"s", b"7.b", hashlib.sha256).hexdigest()
        rule = {"scheme": "hmac", "signed": "{id}.{body}", "id_header": "X-Id"}
        assert check(rule, {"X-Id": "7", "X-Signature": signature}, b"b", "s") == Proof(delivery_id="7")
        plain = hmac.new(b"s", b"b", hashlib.sha256).hexdigest()
        unsigned = {"scheme": "hmac", "id_header": "X-Id"}
        assert check(unsigned, {"X-Id": "7", "X-Signature": plain}, b"b", "s") == Proof()

    def test_what_is_put_in_is_not_read_as_a_template(self):
        body = b"{timestamp}"
        signature = hmac.new(b"s", b"1614254400." + body, hashlib.sha256).hexdigest()
        rule = {"scheme": "hmac", "signed": "{timestamp}.{body}", "timestamp_header": "X-Time"}
        assert check(rule, {"X-Time": "1614254400", "X-Signature": signature}, body, "s").holds


class TestStripe:
    def test_one_of_several_signatures_is_enough(self):
        good = hmac.new(b"whsec_x", b"1614254400.{}", hashlib.sha256).hexdigest()
        header = {"Stripe-Signature": f"t=1614254400,v1={'0' * 64},v1={good},v0=zz"}
        assert check({"scheme": "stripe"}, header, b"{}", "whsec_x").holds
        assert not check({"scheme": "stripe"}, header, b"{}", "whsec_x", at=AT + timedelta(seconds=301)).holds
        old = {"Stripe-Signature": f"t=1614254400,v0={good}"}
        assert not check({"scheme": "stripe"}, old, b"{}", "whsec_x").holds


class TestToken:
    def test_is_compared_after_its_prefix(self):
        rule = {"scheme": "token", "header": "Authorization", "prefix": "Bearer "}
        assert check(rule, {"Authorization": "Bearer open sesame"}, b"", "open sesame").holds
        for wrong in ("open sesame", "Bearer open", "Bearer ", "", "Bearer öpen sesame"):
            assert not check(rule, {"Authorization": wrong}, b"", "open sesame").holds


class TestSecrets:
    @pytest.mark.parametrize("scheme", list(Scheme))
    def test_without_a_secret_nothing_holds(self, scheme):
        empty = hmac.new(b"", b"", hashlib.sha256).hexdigest()
        headers = {"X-Hub-Signature-256": f"sha256={empty}", "X-Signature": empty}
        assert "no secret yet" in check({"scheme": scheme}, headers, b"").reason
        assert "no secret yet" in check({"scheme": scheme}, headers, b"", "").reason

    def test_either_of_two_is_good(self):
        headers = {"X-Hub-Signature-256": "sha256=" + hmac.new(b"old", b"b", hashlib.sha256).hexdigest()}
        assert check({"scheme": "github"}, headers, b"b", "new", "old").holds
        assert not check({"scheme": "github"}, headers, b"b", "new").holds

    def test_reasons_tell_no_secret(self):
        headers = {"X-Hub-Signature-256": "sha256=00"}
        assert "sesame" not in check({"scheme": "github"}, headers, b"b", "open sesame").reason

    def test_faults_are_said(self):
        assert secret_fault(Verification(scheme=Scheme.GITHUB), "short") != ""
        assert secret_fault(Verification(scheme=Scheme.GITHUB), "long enough") == ""
        assert "Base64" in secret_fault(Verification(), "whsec_***********")


@given(
    scheme=st.sampled_from(list(Scheme)),
    headers=st.dictionaries(
        st.sampled_from(
            [
                "x-signature",
                "webhook-id",
                "webhook-timestamp",
                "webhook-signature",
                "stripe-signature",
                "x-hub-signature-256",
            ]
        ),
        st.text(st.characters(max_codepoint=255), max_size=60)
        | st.sampled_from(["t=1,v1=", "v1,", "v1,é", "sha256=", "1614254400", "²"]),
    ),
    body=st.binary(max_size=50),
)
def test_nothing_that_comes_in_raises_or_holds(scheme, headers, body):
    proof = verify(Verification(scheme=scheme), headers=headers, body=body, secrets=["whsec_aGVsbG8gd29ybGQ="], at=AT)
    assert not proof.holds
