"""Who sent a webhook: verification schemes as data, checked over the raw body in constant time."""

from __future__ import annotations

import base64
import binascii
import hmac
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Annotated, Literal

from pydantic import Field, StringConstraints, model_validator

from flowledger.configuration.registry import Rule

HeaderName = Annotated[str, StringConstraints(max_length=100, pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]*$")]
OptionalHeader = Annotated[str, StringConstraints(max_length=100, pattern=r"^([A-Za-z0-9][A-Za-z0-9_-]*)?$")]
# What is signed: the raw body, and perhaps the texts of two headers around it.
_PARTS = re.compile(r"\{(body|timestamp|id)\}")
_STANDARD_SECRET = "whsec_"  # noqa: S105  the prefix by which secrets of Standard Webhooks are known
MOST_SIGNATURES = 10


class Scheme(StrEnum):
    """How a delivery proves who sent it; all but `hmac` are presets of known senders."""

    HMAC = "hmac"
    STANDARD_WEBHOOKS = "standard_webhooks"
    GITHUB = "github"
    STRIPE = "stripe"
    TOKEN = "token"  # noqa: S105  the name of a scheme


class Verification(Rule):
    """How the deliveries of a webhook are verified.

    `hmac` says everything itself. `standard_webhooks` (standardwebhooks.com), `github` and `stripe` need nothing
    more than the secret; `token` compares a header, after its prefix, with the secret.
    """

    scheme: Scheme = Scheme.STANDARD_WEBHOOKS
    algorithm: Literal["sha256", "sha1", "sha512"] = "sha256"
    encoding: Literal["hex", "base64"] = "hex"
    header: HeaderName = "X-Signature"
    prefix: Annotated[str, StringConstraints(max_length=40, pattern=r"^[\x20-\x7e]*$")] = ""
    signed: Annotated[str, StringConstraints(min_length=1, max_length=100, pattern=r"^[\x20-\x7e]+$")] = "{body}"
    timestamp_header: OptionalHeader = ""
    id_header: OptionalHeader = ""
    tolerance_seconds: Annotated[int, Field(ge=10, le=86_400)] = 300

    @model_validator(mode="after")
    def _is_whole(self) -> Verification:
        if self.scheme is not Scheme.HMAC:
            return self
        named = _PARTS.findall(self.signed)
        if named.count("body") != 1:
            raise ValueError("What is signed must hold {body} once, for example {timestamp}.{body}")
        if "timestamp" in named and not self.timestamp_header:
            raise ValueError("What is signed names {timestamp}; say in timestamp_header which header holds it")
        if "id" in named and not self.id_header:
            raise ValueError("What is signed names {id}; say in id_header which header holds it")
        if self.timestamp_header and "timestamp" not in named:
            raise ValueError("A timestamp that is not signed proves nothing; put {timestamp} into what is signed")
        return self


@dataclass(frozen=True)
class Proof:
    """The outcome: `reason` is blank when the delivery is genuine; `delivery_id` is the sender's own, or blank."""

    reason: str = ""
    delivery_id: str = ""

    @property
    def holds(self) -> bool:
        return not self.reason


def verify(
    verification: Verification, *, headers: Mapping[str, str], body: bytes, secrets: Sequence[str], at: datetime
) -> Proof:
    """Check a delivery against every secret that is good at present.

    `headers` by lower-case name. Never raises, whatever came in; nothing of a secret gets into the reason.
    """
    if not any(secrets):
        return Proof(
            "The source has no secret yet; enter the sender's, or rotate it and give the new one to the sender."
        )
    checks = {
        Scheme.HMAC: _hmac,
        Scheme.STANDARD_WEBHOOKS: _standard_webhooks,
        Scheme.GITHUB: _github,
        Scheme.STRIPE: _stripe,
        Scheme.TOKEN: _token,
    }
    return checks[verification.scheme](verification, headers, body, [each for each in secrets if each], at)


def secret_fault(verification: Verification, secret: str) -> str:
    """What is wrong with an entered secret, as a sentence; blank when it can be used."""
    if len(secret) < 8:
        return "A secret of less than 8 characters guards nothing."
    if verification.scheme is Scheme.STANDARD_WEBHOOKS and _standard_key(secret) is None:
        return "A secret of Standard Webhooks is 'whsec_' and then Base64."
    return ""


def _hmac(rule: Verification, headers: Mapping[str, str], body: bytes, secrets: Sequence[str], at: datetime) -> Proof:
    given = headers.get(rule.header.lower(), "").strip()
    if not given:
        return Proof(f"The header {rule.header} with the signature is missing.")
    if not given.startswith(rule.prefix):
        return Proof(f"The header {rule.header} does not begin with '{rule.prefix}'.")
    stamp = headers.get(rule.timestamp_header.lower(), "").strip() if rule.timestamp_header else ""
    if rule.timestamp_header and (late := _out_of_time(stamp, rule.timestamp_header, rule.tolerance_seconds, at)):
        return Proof(late)
    delivery_id = headers.get(rule.id_header.lower(), "").strip() if rule.id_header else ""
    if rule.id_header and not delivery_id:
        return Proof(f"The header {rule.id_header} with the delivery's identifier is missing.")
    content = _content(rule.signed, body=body, timestamp=stamp, identifier=delivery_id)
    signatures = [given.removeprefix(rule.prefix).strip()]
    keys = [secret.encode() for secret in secrets]
    if not _any_matches(signatures, keys, content, rule.algorithm, rule.encoding):
        return Proof(_MISMATCH)
    # An identifier that is not signed could be changed on the way; it then tells nothing apart.
    return Proof(delivery_id=delivery_id if "{id}" in rule.signed else "")


def _standard_webhooks(
    rule: Verification, headers: Mapping[str, str], body: bytes, secrets: Sequence[str], at: datetime
) -> Proof:
    """https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md"""
    delivery_id = headers.get("webhook-id", "").strip()
    stamp = headers.get("webhook-timestamp", "").strip()
    given = headers.get("webhook-signature", "")
    for name, text in (("webhook-id", delivery_id), ("webhook-timestamp", stamp), ("webhook-signature", given.strip())):
        if not text:
            return Proof(f"The header {name} is missing.")
    if late := _out_of_time(stamp, "webhook-timestamp", rule.tolerance_seconds, at):
        return Proof(late)
    signatures = [part[3:] for part in given.split()[:MOST_SIGNATURES] if part.startswith("v1,")]
    keys = [key for secret in secrets if (key := _standard_key(secret)) is not None]
    content = _content("{id}.{timestamp}.{body}", body=body, timestamp=stamp, identifier=delivery_id)
    if not _any_matches(signatures, keys, content, "sha256", "base64"):
        return Proof(_MISMATCH)
    return Proof(delivery_id=delivery_id)


def _github(rule: Verification, headers: Mapping[str, str], body: bytes, secrets: Sequence[str], at: datetime) -> Proof:
    """X-Hub-Signature-256 over the body; X-GitHub-Delivery is not signed, so it does not tell deliveries apart."""
    signed = rule.model_copy(update={"header": "X-Hub-Signature-256", "prefix": "sha256=", **_PLAIN})
    return _hmac(signed, headers, body, secrets, at)


def _stripe(rule: Verification, headers: Mapping[str, str], body: bytes, secrets: Sequence[str], at: datetime) -> Proof:
    """`Stripe-Signature: t=1492774577,v1=…,v1=…`; signed is `{timestamp}.{body}`."""
    given = headers.get("stripe-signature", "")
    if not given.strip():
        return Proof("The header Stripe-Signature is missing.")
    pairs = [part.strip().partition("=") for part in given.split(",")[: 2 * MOST_SIGNATURES]]
    stamp = next((text for name, _, text in pairs if name == "t"), "")
    if late := _out_of_time(stamp, "Stripe-Signature (t=)", rule.tolerance_seconds, at):
        return Proof(late)
    signatures = [text for name, _, text in pairs if name == "v1"][:MOST_SIGNATURES]
    content = _content("{timestamp}.{body}", body=body, timestamp=stamp, identifier="")
    if not _any_matches(signatures, [secret.encode() for secret in secrets], content, "sha256", "hex"):
        return Proof(_MISMATCH)
    return Proof()


def _token(rule: Verification, headers: Mapping[str, str], body: bytes, secrets: Sequence[str], at: datetime) -> Proof:
    given = headers.get(rule.header.lower(), "")
    if not given.strip():
        return Proof(f"The header {rule.header} with the token is missing.")
    if not given.startswith(rule.prefix):
        return Proof(f"The header {rule.header} does not begin with '{rule.prefix}'.")
    token = _bytes_of(given.removeprefix(rule.prefix).strip())
    matches = [hmac.compare_digest(token, secret.encode()) for secret in secrets]
    return Proof() if any(matches) else Proof("The token is not the source's secret.")


_MISMATCH = "The signature does not fit the body; compare the secret and the scheme with the sender's."
_PLAIN = {"algorithm": "sha256", "encoding": "hex", "signed": "{body}", "timestamp_header": "", "id_header": ""}


def _content(template: str, *, body: bytes, timestamp: str, identifier: str) -> bytes:
    values = {"body": body, "timestamp": _bytes_of(timestamp), "id": _bytes_of(identifier)}
    pieces = _PARTS.split(template)
    # Every second piece is the name of a part; what is put in is never read as template again.
    return b"".join(values[piece] if index % 2 else piece.encode() for index, piece in enumerate(pieces))


def _any_matches(
    signatures: Sequence[str], keys: Sequence[bytes], content: bytes, algorithm: str, encoding: str
) -> bool:
    """All are compared, so that the time taken tells nothing."""
    given = [raw for text in signatures if (raw := _decoded(text, encoding)) is not None]
    expected = [hmac.digest(key, content, algorithm) for key in keys]
    matches = [hmac.compare_digest(one, other) for one in given for other in expected]
    return any(matches)


def _decoded(text: str, encoding: str) -> bytes | None:
    try:
        return bytes.fromhex(text) if encoding == "hex" else base64.b64decode(text, validate=True)
    except (ValueError, binascii.Error):
        return None


def _standard_key(secret: str) -> bytes | None:
    try:
        key = base64.b64decode(secret.removeprefix(_STANDARD_SECRET), validate=True)
    except (ValueError, binascii.Error):
        return None
    return key if len(key) >= 8 else None


def _out_of_time(stamp: str, header: str, tolerance: int, at: datetime) -> str:
    """Why a timestamp (seconds since 1970) is not good, or blank."""
    if not re.fullmatch(r"[0-9]{1,12}", stamp):
        return f"{header} holds no time in seconds since 1970."
    apart = abs(at.timestamp() - int(stamp))
    if apart > tolerance:
        return (
            f"{header} is {apart:,.0f} seconds away from our clock, {tolerance:,} are allowed; a delivery is sent once "
            "and soon, and clocks are set by the network."
        )
    return ""


def _bytes_of(header: str) -> bytes:
    """The text of a header as it was on the wire: WSGI hands bytes over as Latin-1."""
    return header.encode("latin-1", "replace")
