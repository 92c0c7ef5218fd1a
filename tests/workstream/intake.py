"""Intake sources for tests, and what came of a delivery."""

from __future__ import annotations

import hashlib
import hmac
from typing import Any

from flowledger.tenancy.scope import system_scope
from tests.workstream.factories import AT, CLERK
from workstream import services
from workstream.models import FormSubmission, IntakeReject, IntakeSource, Signal, SignalDelivery, SignalPayload
from workstream.services.sources import KeptSource

SECRET = "a secret of good length"
GITHUB = {"verification": {"scheme": "github"}}


def make_source(org: Any, kind: str, options: Any = None, *, name: str = "Door", secret: str = "", **more: Any) -> Any:
    """A stored source, as its use case makes it."""
    return kept_source(org, kind, options, name=name, secret=secret, **more).source


def kept_source(
    org: Any, kind: str, options: Any = None, *, name: str = "Door", secret: str = "", **more: Any
) -> KeptSource:
    fields = {"kind": kind, "name": name, "options": options or {}, **more}
    return services.create_source(org=org, fields=fields, secret=secret, actor=CLERK, at=AT)


def web_form(org: Any, *, name: str = "Contact page", **options: Any) -> IntakeSource:
    source: IntakeSource = make_source(org, "web_form", {"per_minute": 600, **options}, name=name)
    return source


def webhook(org: Any, *, name: str = "Leads", **options: Any) -> IntakeSource:
    """Signed as GitHub does: by nothing but the body."""
    source: IntakeSource = make_source(org, "webhook", {**GITHUB, **options}, name=name, secret=SECRET)
    return source


def github_signature(body: bytes, secret: str = SECRET) -> str:
    return "sha256=" + hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()


def signals_of(org: Any) -> list[Signal]:
    return list(Signal.all_orgs.filter(org=org).order_by("pk"))


def payload_of(signal: Signal) -> SignalPayload:
    payload: SignalPayload = SignalPayload.all_orgs.get(signal=signal)
    return payload


def repeats_of(org: Any) -> int:
    return SignalDelivery.all_orgs.filter(org=org, is_repeat=True).count()


def rejects_of(org: Any) -> list[IntakeReject]:
    return list(IntakeReject.all_orgs.filter(org=org).order_by("pk"))


def trace_of(org: Any) -> tuple[int, int, int, int]:
    """Deliveries of signals, repeats, how often something was rejected, and submissions that wait for a click."""
    with system_scope("tests"):
        rejected = sum(IntakeReject.all_orgs.filter(org=org).values_list("occurrences", flat=True))
        return (
            SignalDelivery.all_orgs.filter(org=org, is_repeat=False).count(),
            repeats_of(org),
            rejected,
            FormSubmission.all_orgs.filter(org=org).count(),
        )
