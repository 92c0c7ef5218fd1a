"""Use cases of signals: every one is kept, a repeat leaves a trail, nothing is overwritten."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.core.serializers.json import DjangoJSONEncoder
from django.db import IntegrityError, transaction

from flowledger.clients.services import resolve_identity
from flowledger.errors import InvalidInput
from flowledger.outbox.recording import record_event
from flowledger.tenancy.actors import Actor
from flowledger.tenancy.models import Organization
from flowledger.tenancy.permissions import authorize
from flowledger.tenancy.usecases import use_case
from workstream import clocks, events
from workstream.machines import SignalDisposition, require_legal
from workstream.models import Candidate, CandidateSignal, Signal, SignalDelivery, SignalPayload
from workstream.models.sla import SlaMetric

SIGNAL_FIELDS = frozenset(
    {
        "source_type",
        "source_ref",
        "ts",
        "snippet",
        "problem_phrase",
        "solution_hint",
        "urgency_score",
        "contact_email",
        "contact_phone",
        "contact_name",
        "company_name",
        "company_domain",
        "attributes",
        "owner",
    }
)
NATURAL_KEY = "signal_natural_key"


@dataclass(frozen=True)
class ReceivedSignal:
    """The signal of a natural key; `created` is false for a repeated delivery."""

    signal: Signal
    created: bool


@dataclass(frozen=True)
class RawPayload:
    """What came in, byte for byte."""

    body: bytes
    content_type: str = "application/json"

    @property
    def sha256(self) -> str:
        return hashlib.sha256(self.body).hexdigest()


def natural_key(*, source_type: str, source_ref: str, dedupe_key: str) -> str | None:
    """Source type and reference, else the caller's key, else none (pipeline.md, Signal)."""
    if source_ref:
        return f"{source_type}:{source_ref}"
    return dedupe_key or None


@use_case
def create_signal(
    *,
    org: Organization,
    fields: Mapping[str, Any],
    dedupe_key: str = "",
    payload: RawPayload | None = None,
    sender: str = "",
    actor: Actor,
    at: datetime,
) -> ReceivedSignal:
    """Keep a signal with its payload and resolve who it is from; a known natural key answers with the first one.

    Without a payload the fields themselves are kept as JSON. Raises PermissionRefused, InvalidInput.
    """
    authorize(actor, "create_signal")
    unknown = sorted(set(fields) - SIGNAL_FIELDS)
    if unknown:
        raise InvalidInput(
            f"A signal has no field {', '.join(unknown)}.", fields={name: ["Unknown field."] for name in unknown}
        )
    payload = payload or RawPayload(json.dumps(dict(fields), cls=_FieldEncoder, sort_keys=True).encode())
    key = natural_key(source_type=fields["source_type"], source_ref=fields.get("source_ref", ""), dedupe_key=dedupe_key)
    rows = Signal.objects.for_org(org)
    known = rows.filter(dedupe_key=key).order_by("pk").first() if key else None
    if known is None:
        try:
            with transaction.atomic():
                return ReceivedSignal(_receive(org, fields, key, payload, sender, actor, at), created=True)
        except IntegrityError as error:
            # Somebody else delivered the same key first: PostgreSQL made us wait for their commit.
            if NATURAL_KEY not in str(error):
                raise
            known = rows.get(dedupe_key=key)
    SignalDelivery(
        org=org, signal=known, received_at=at, sender=sender, payload_sha256=payload.sha256, is_repeat=True
    ).save()
    record_event(
        org=org,
        event=events.SignalRepeated(signal_id=known.pk, payload_sha256=payload.sha256),
        actor=actor,
        at=at,
    )
    return ReceivedSignal(known, created=False)


def _receive(
    org: Organization,
    fields: Mapping[str, Any],
    key: str | None,
    payload: RawPayload,
    sender: str,
    actor: Actor,
    at: datetime,
) -> Signal:
    signal = Signal(org=org, dedupe_key=key, **{"ts": at, **fields})
    identity = resolve_identity(
        org=org,
        email=signal.contact_email,
        phone=signal.contact_phone,
        name=signal.contact_name,
        company_name=signal.company_name,
        company_domain=signal.company_domain,
        actor=actor,
        at=at,
    )
    signal.contact_id, signal.client_id = identity.contact_id, identity.client_id
    signal.identity_resolution = identity.as_dict()
    signal.receive(actor=actor, at=at)
    signal.save()
    SignalPayload(
        org=org,
        signal=signal,
        body=payload.body,
        content_type=payload.content_type,
        sha256=payload.sha256,
        received_at=at,
    ).save()
    SignalDelivery(org=org, signal=signal, received_at=at, sender=sender, payload_sha256=payload.sha256).save()
    clocks.begin(signal, at=at)
    return signal


@use_case
def update_signal(
    *, org: Organization, signal_id: int, fields: Mapping[str, Any], actor: Actor, at: datetime
) -> Signal:
    """Change who works on a signal; what it said stays. Raises NotFound, PermissionRefused, InvalidInput."""
    signal: Signal = Signal.objects.for_org(org).locked().fetch(signal_id)
    authorize(actor, "edit_signal", signal)
    frozen = sorted(set(fields) - {"owner"})
    if frozen:
        raise InvalidInput(
            "A signal is kept as received; only its owner can change.",
            fields={name: ["This cannot change."] for name in frozen},
        )
    if "owner" in fields:
        signal.owner = fields["owner"]
        signal.save(update_fields=["owner"])
    return signal


@use_case
def link_signal(
    *, org: Organization, signal_id: int, candidate_id: int, reason: str = "", actor: Actor, at: datetime
) -> Signal:
    """Put a signal behind a candidate; linking the same pair again changes nothing.

    Raises NotFound for either, PermissionRefused, InvalidTransition for a rejected or merged signal.
    """
    candidate: Candidate = Candidate.objects.for_org(org).locked().fetch(candidate_id)
    signal: Signal = Signal.objects.for_org(org).locked().fetch(signal_id)
    authorize(actor, "link_signal", candidate)
    authorize(actor, "link_signal", signal)
    require_legal(signal, to=SignalDisposition.LINKED)
    if CandidateSignal.objects.for_org(org).filter(candidate=candidate, signal=signal).exists():
        return signal
    signal.link(candidate, actor=actor, at=at)
    signal.save()
    clocks.stop(signal, SlaMetric.TRIAGE, at=at, by="signal.linked", actor=actor)
    CandidateSignal(
        org=org, candidate=candidate, signal=signal, linked_by_id=actor.user_id, reason=reason, linked_at=at
    ).save()
    # What the candidate shows has changed: its signals, and perhaps who it is about.
    if candidate.client_id is None:
        candidate.client_id = signal.client_id
    if candidate.contact_id is None:
        candidate.contact_id = signal.contact_id
    candidate.save(update_fields=["client", "contact"])
    return signal


@use_case
def reject_signal(*, org: Organization, signal_id: int, reason: str, actor: Actor, at: datetime) -> Signal:
    """Put a signal aside with a reason; it stays in the ledger.

    Raises NotFound, PermissionRefused, InvalidTransition for a linked signal, InvalidInput for a blank reason.
    """
    signal: Signal = Signal.objects.for_org(org).locked().fetch(signal_id)
    authorize(actor, "reject_signal", signal)
    require_legal(signal, to=SignalDisposition.REJECTED)
    if not reason.strip():
        sentence = "Say why the signal is rejected."
        raise InvalidInput(sentence, fields={"reason": [sentence]})
    signal.reject(reason=reason.strip(), actor=actor, at=at)
    signal.save()
    clocks.cancel(signal, SlaMetric.TRIAGE, at=at, by="signal.rejected", actor=actor)
    return signal


class _FieldEncoder(DjangoJSONEncoder):
    """JSON of service fields: people by their id."""

    def default(self, o: Any) -> Any:
        return o.pk if hasattr(o, "pk") else super().default(o)
