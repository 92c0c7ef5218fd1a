"""What could not become a signal: kept byte for byte, fixed, replayed or discarded."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from flowledger.api.strict_json import Unusable, require_storable
from flowledger.errors import FlowLedgerError, InvalidInput
from flowledger.outbox.recording import record_events
from flowledger.tenancy.actors import Actor
from flowledger.tenancy.models import Membership, Organization
from flowledger.tenancy.permissions import authorize
from flowledger.tenancy.usecases import use_case
from workstream import events
from workstream.intake.fields import FIELD_NAMES, FieldErrors, SignalFields, read_fields
from workstream.machines import RejectStatus, require_legal
from workstream.models.intake import IntakeReject, IntakeSource
from workstream.models.signals import Channel
from workstream.services import ledger
from workstream.services.ledger import Delivered, Entered, Entry
from workstream.sql import rejects as sql

MAX_REPLAYED = 500


@dataclass(frozen=True)
class Refused:
    """What came in, why it cannot be a signal, and what could be read of it."""

    body: bytes
    content_type: str
    code: str
    reason: str
    errors: Mapping[str, list[str]] = field(default_factory=dict)
    fields: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Replayed:
    """What became of a reject that was replayed: the signal, or the refusal with what is still wrong."""

    reject_id: int
    signal_id: int | None = None
    is_repeat: bool = False
    error: FlowLedgerError | None = None


def keep_many(
    *, org: Organization, refused: Sequence[Refused], delivered: Delivered, actor: Actor, at: datetime
) -> list[int]:
    """Store rejects, an id for each, in two statements; part of the use case that receives them.

    The same bytes through the same channel and source are one row while it is open.
    """
    if not refused:
        return []
    hashes = [hashlib.sha256(each.body).hexdigest() for each in refused]
    rows: dict[str, sql.NewReject] = {}
    for sha256, each in zip(hashes, refused, strict=True):
        if sha256 in rows:
            rows[sha256] = rows[sha256]._replace(occurrences=rows[sha256].occurrences + 1)
            continue
        rows[sha256] = sql.NewReject(
            sha256=sha256,
            body=each.body,
            content_type=_storable(each.content_type, 100),
            occurrences=1,
            code=each.code,
            reason=_storable(each.reason, 500) or "It could not be read.",
            errors=json.dumps({_storable(name, 100): list(said) for name, said in each.errors.items()}),
            fields=json.dumps(_storable_fields(each.fields), default=str),
        )
    kept = sql.keep(
        org_id=org.pk,
        channel=delivered.channel,
        source_id=delivered.source.pk if delivered.source is not None else None,
        sender=_storable(delivered.sender, 200),
        at=at,
        rejects=list(rows.values()),
    )
    ids = {each.sha256: each.id for each in kept}
    facts = [
        (
            org.pk,
            events.IntakeRejected(
                reject_id=each.id,
                channel=delivered.channel,
                source_id=delivered.source.pk if delivered.source is not None else None,
                code=rows[each.sha256].code,
            ),
        )
        for each in sorted(kept)
        if each.is_new
    ]
    record_events(facts=facts, actor=actor, at=at)
    return [ids[sha256] for sha256 in hashes]


@use_case
def keep_reject(
    *,
    org: Organization,
    channel: Channel,
    source: IntakeSource | None = None,
    body: bytes,
    content_type: str,
    sender: str,
    code: str,
    reason: str,
    errors: Mapping[str, list[str]] | None = None,
    fields: Mapping[str, Any] | None = None,
    actor: Actor,
    at: datetime,
) -> IntakeReject:
    """Keep one thing that could not become a signal, with the reason; the same bytes while open are counted.

    `fields` is what could be read, as raw signal fields: where fixing begins. Raises PermissionRefused.
    """
    authorize(actor, "create_signal")
    (pk,) = keep_many(
        org=org,
        refused=[Refused(body, content_type, code, reason, errors or {}, fields or {})],
        delivered=Delivered(channel=channel, source=source, sender=sender),
        actor=actor,
        at=at,
    )
    reject: IntakeReject = IntakeReject.objects.for_org(org).get(pk=pk)
    return reject


@use_case
def fix_reject(
    *, org: Organization, reject_id: int, fields: Mapping[str, Any], actor: Actor, at: datetime
) -> IntakeReject:
    """Set fields of an open reject, None takes one away; the bytes stay. What is still wrong is said anew.

    Raises NotFound, PermissionRefused, InvalidTransition for a closed reject, InvalidInput for a field that no signal
    has or a value that cannot be stored.
    """
    reject: IntakeReject = IntakeReject.objects.for_org(org).locked().select_related("source").fetch(reject_id)
    authorize(actor, "fix_reject")
    require_legal(reject, to=RejectStatus.REPLAYED)
    unknown = sorted(set(fields) - set(FIELD_NAMES))
    if unknown:
        raise InvalidInput(
            f"A signal has no field {', '.join(unknown)}.", fields={name: ["Unknown field."] for name in unknown}
        )
    try:
        require_storable(dict(fields))
    except Unusable as error:
        raise InvalidInput(str(error), fields={"fields": [str(error)]}) from None
    merged = {**reject.fields, **fields}
    reject.fields = {name: value for name, value in merged.items() if value is not None}
    try:
        _checked(org, reject)
    except FieldErrors as error:
        reject.errors = error.errors
    else:
        reject.errors = {}
    reject.save(update_fields=["fields", "errors"])
    return reject


@use_case
def replay_reject(*, org: Organization, reject_id: int, actor: Actor, at: datetime) -> Replayed:
    """Enter an open reject into the ledger by its fields as they are now, with the bytes as they came.

    One whose natural key is known becomes a repeat of that signal. Without a time it happened when it was received.
    Raises NotFound, PermissionRefused, InvalidTransition for a closed one, InvalidInput with what is still wrong.
    """
    reject: IntakeReject = IntakeReject.objects.for_org(org).locked().select_related("source").fetch(reject_id)
    authorize(actor, "replay_reject")
    require_legal(reject, to=RejectStatus.REPLAYED)
    try:
        fields = _checked(org, reject)
    except FieldErrors as error:
        raise InvalidInput(error.sentence, fields=error.errors) from None
    entered = _enter(org, reject, fields, actor, at)
    reject.errors = {}
    reject.replay(entered.signal_id, actor=actor, at=at)
    reject.save()
    return Replayed(reject.pk, entered.signal_id, entered.is_repeat)


@use_case
def replay_rejects(*, org: Organization, reject_ids: Sequence[int], actor: Actor, at: datetime) -> list[Replayed]:
    """Replay several, each by the use case that replays one: a result for every id, in the order given.

    Raises InvalidInput for more than MAX_REPLAYED.
    """
    if len(reject_ids) > MAX_REPLAYED:
        sentence = f"At most {MAX_REPLAYED} can be replayed at once."
        raise InvalidInput(sentence, fields={"reject_ids": [sentence]})
    # In the order in which receiving locks them.
    rows = IntakeReject.objects.for_org(org).filter(pk__in=reject_ids).order_by("sha256", "pk")
    known = list(rows.values_list("pk", flat=True))
    missing = sorted(set(reject_ids) - set(known))
    results: dict[int, Replayed] = {}
    for reject_id in [*known, *missing]:
        try:
            results[reject_id] = replay_reject(org=org, reject_id=reject_id, actor=actor, at=at)
        except FlowLedgerError as refusal:
            results[reject_id] = Replayed(reject_id, error=refusal)
    return [results[reject_id] for reject_id in reject_ids]


@use_case
def discard_reject(*, org: Organization, reject_id: int, note: str = "", actor: Actor, at: datetime) -> IntakeReject:
    """Put an open reject aside for good; the row and its bytes stay.

    Raises NotFound, PermissionRefused, InvalidTransition for a closed one.
    """
    reject: IntakeReject = IntakeReject.objects.for_org(org).locked().fetch(reject_id)
    authorize(actor, "discard_reject")
    require_legal(reject, to=RejectStatus.DISCARDED)
    reject.discard(note=note.strip()[:500], actor=actor, at=at)
    reject.save()
    return reject


def _checked(org: Organization, reject: IntakeReject) -> SignalFields:
    """The reject's fields, valid. Raises FieldErrors."""
    default = reject.source.source_type if reject.source is not None else ""
    fields = read_fields(reject.fields, default_source_type=default)
    owner = fields.owner_user_id
    if owner is not None:
        members = Membership.objects.for_org(org).filter(user_id=owner, is_active=True, user__is_active=True)
        if not members.exists():
            raise FieldErrors({"owner_user_id": [f"There is no member {owner}."]})
    return fields


def _enter(org: Organization, reject: IntakeReject, fields: SignalFields, actor: Actor, at: datetime) -> Entered:
    (entered,) = ledger.enter(
        org=org,
        entries=[Entry(replace(fields, ts=fields.ts or reject.received_at), bytes(reject.body), reject.content_type)],
        delivered=Delivered(channel=reject.channel, source=reject.source, sender=reject.sender),
        actor=actor,
        at=at,
    )
    return entered


def _storable(text: str, limit: int) -> str:
    return text.replace("\x00", "").encode("utf-8", "replace").decode()[:limit]


def _storable_fields(fields: Mapping[str, Any]) -> dict[str, Any]:
    """Of what could be read, the fields that a signal has and a column of JSON can hold."""
    kept = {}
    for name, value in fields.items():
        if name not in FIELD_NAMES:
            continue
        try:
            require_storable(value)
        except Unusable:
            continue
        kept[name] = value
    return kept
