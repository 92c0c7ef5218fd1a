"""Use cases of signals: every one is kept, a repeat leaves a trail, nothing is overwritten."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.core.serializers.json import DjangoJSONEncoder

from flowledger.errors import InvalidInput
from flowledger.tenancy.actors import Actor
from flowledger.tenancy.models import Organization
from flowledger.tenancy.permissions import authorize
from flowledger.tenancy.usecases import use_case
from workstream import clocks
from workstream.intake.fields import FIELD_NAMES, SignalFields
from workstream.machines import SignalDisposition, require_legal
from workstream.models import Candidate, CandidateSignal, Signal
from workstream.models.signals import Channel
from workstream.models.sla import SlaMetric
from workstream.services.ledger import Delivered, Entry, enter

# As read from a channel, with the person in the place of their id; keys are arguments of their own.
SIGNAL_FIELDS = {*FIELD_NAMES, "owner"} - {"owner_user_id", "dedupe_key", "contact_ref"}


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


@use_case
def create_signal(
    *,
    org: Organization,
    fields: Mapping[str, Any],
    dedupe_key: str = "",
    payload: RawPayload | None = None,
    sender: str = "",
    channel: Channel | None = None,
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
    given = dict(fields)
    owner = given.pop("owner", None)
    entry = Entry(
        SignalFields(**given, owner_user_id=owner.pk if owner is not None else None, dedupe_key=dedupe_key),
        payload.body,
        payload.content_type,
    )
    delivered = Delivered(channel=channel or "", sender=sender)
    (entered,) = enter(org=org, entries=[entry], delivered=delivered, actor=actor, at=at)
    signal = entered.signal or Signal.objects.for_org(org).get(pk=entered.signal_id)
    return ReceivedSignal(signal, created=not entered.is_repeat)


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
