"""Use cases of signed webhooks: a delivery is verified, mapped and received, and what cannot be is kept."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, ClassVar
from urllib.parse import parse_qs

from flowledger.api import strict_json
from flowledger.encryption import SecretUnreadable
from flowledger.errors import FlowLedgerError, Unavailable
from flowledger.tenancy.actors import Actor
from flowledger.tenancy.models import Organization
from flowledger.tenancy.permissions import authorize
from flowledger.tenancy.usecases import use_case
from workstream.intake.fields import FieldErrors, SignalFields, clean_text, read_parsed_fields
from workstream.intake.json_mapping import Mapped, Unmapped, find, map_delivery
from workstream.intake.options import WebhookOptions
from workstream.intake.signatures import verify
from workstream.models.intake import IntakeReject, IntakeSource, SourceKind
from workstream.models.signals import Channel
from workstream.services.receiving import Incoming, Outcome, receive_signals
from workstream.services.rejects import keep_reject
from workstream.services.sources import options_of

MAX_DELIVERY_BYTES = 1024 * 1024
# Of one source, waiting to be looked at: beyond it nothing more is stored for whoever has only the address.
MOST_UNPROVEN = 200
BAD_SIGNATURE = "bad_signature"
FULL_RETRY_SECONDS = 3_600
MAX_HEADER = 200


@dataclass(frozen=True)
class Delivery:
    """What was posted to a webhook: the raw body, its headers by lower-case name, and from where it came."""

    body: bytes
    content_type: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)
    sender: str = ""


class IntakeFull(FlowLedgerError):
    """So much waits to be looked at that nothing more is stored for this sender."""

    status: ClassVar[int] = 429
    code: ClassVar[str] = "throttled"


class SignatureRefused(FlowLedgerError):
    """A delivery whose sender is not proven. It is kept as a reject all the same: perhaps the secret is wrong here."""

    status: ClassVar[int] = 401
    code: ClassVar[str] = "authentication_failed"

    def __init__(self, message: str, *, kept: Mapping[str, Any]) -> None:
        super().__init__(message)
        self._kept = kept

    def keep(self) -> None:
        keep_reject(**self._kept)


@use_case
def receive_webhook(
    *, org: Organization, source_id: int, delivery: Delivery, actor: Actor, at: datetime
) -> list[Outcome]:
    """Take in one delivery: an outcome for every item of it; one that cannot be read is one reject.

    A delivery that came before, by the sender's identifier or else by its bytes, leaves repeats. Raises NotFound,
    PermissionRefused, SignatureRefused after keeping the delivery, IntakeFull when too many of those wait already,
    Unavailable when the secret cannot be read here.
    """
    source = _webhook(org, source_id)
    authorize(actor, "create_signal")
    options: WebhookOptions = options_of(source)
    try:
        secrets = source.secrets(at=at)
    except SecretUnreadable:
        raise Unavailable("The secret of this address cannot be read at present; the operator has to look.") from None
    proof = verify(options.verification, headers=delivery.headers, body=delivery.body, secrets=secrets, at=at)
    if not proof.holds:
        require_room(org, source, code=BAD_SIGNATURE, at_most=MOST_UNPROVEN)
        kept = _rejection(source, delivery, proof.reason, options)
        raise SignatureRefused(proof.reason, kept={**kept, "org": org, "actor": actor, "at": at})
    return receive_signals(
        org=org,
        items=_items(source, options, delivery, proof.delivery_id),
        channel=Channel.WEBHOOK,
        source=source,
        sender=delivery.sender,
        actor=actor,
        at=at,
    )


def require_room(org: Organization, source: IntakeSource, *, at_most: int, code: str) -> None:
    """Raise IntakeFull when so many rejects of a source and code are open already. What is good still gets in."""
    rows = IntakeReject.objects.for_org(org).open().filter(source=source, code=code)
    if rows.order_by()[:at_most].count() >= at_most:
        raise IntakeFull(
            "Too much from here waits to be looked at already; nothing more is taken until somebody did.",
            retry_after=FULL_RETRY_SECONDS,
        )


def _webhook(org: Organization, source_id: int) -> IntakeSource:
    rows = IntakeSource.objects.for_org(org).active().filter(kind=SourceKind.WEBHOOK)
    source: IntakeSource = rows.fetch(source_id)
    return source


def _items(source: IntakeSource, options: WebhookOptions, delivery: Delivery, proven_id: str) -> list[Incoming]:
    """Every item of the delivery as it goes into the core; one item with the reason when it cannot be read."""
    content_type = clean_text(delivery.content_type)[:100]
    try:
        document = document_of(delivery.body, delivery.content_type)
        mapped = map_for(source, options, document)
    except strict_json.Unusable as error:
        return [Incoming({}, delivery.body, content_type, code="unreadable", reason=str(error))]
    except Unmapped as error:
        return [Incoming({}, delivery.body, content_type, code="unmapped", reason=str(error))]
    key = _delivery_key(options, delivery, document, proven_id)
    if len(mapped) == 1:
        return [_incoming(source, mapped[0], delivery.body, content_type, f"{key}")]
    return [
        _incoming(
            source, each, json.dumps(each.item, ensure_ascii=False).encode(), "application/json", f"{key}/{place}"
        )
        for place, each in enumerate(mapped)
    ]


def _incoming(source: IntakeSource, each: Mapped, body: bytes, content_type: str, key: str) -> Incoming:
    found = fields_of(each, source.source_type)
    # Hashed: a sender's identifier may be of any length and hold anything.
    dedupe_key = f"webhook:{source.pk}:{hashlib.sha256(key.encode('utf-8', 'replace')).hexdigest()[:40]}"
    if isinstance(found, SignalFields):
        return Incoming(found, body, content_type, dedupe_key=dedupe_key)
    name, sentences = next(iter(found.items()))
    return Incoming(
        each.fields,
        body,
        content_type,
        dedupe_key=dedupe_key,
        code="validation_error",
        reason=f"{name}: {sentences[0]}",
        errors=found,
    )


def fields_of(each: Mapped, source_type: str) -> SignalFields | dict[str, list[str]]:
    """The valid fields of an item, or its errors by field."""
    errors = dict(each.errors)
    if not each.fields and not errors:
        return {"mapping": ["None of the fields that the mapping names is in this item."]}
    try:
        fields = read_parsed_fields(each.fields, default_source_type=source_type)
    except FieldErrors as refusal:
        return {**refusal.errors, **errors}
    return errors or fields


def map_for(source: IntakeSource, options: WebhookOptions, document: Any) -> list[Mapped]:
    """The items of a delivery, each reference named for its source: two senders may both have a number 1.

    Raises Unmapped.
    """
    mapped = map_delivery(options.mapping, document)
    for each in mapped:
        reference = str(each.fields.get("source_ref", "")).strip()
        if reference:
            each.fields["source_ref"] = f"{source.pk}/{reference}"
    return mapped


def document_of(body: bytes, content_type: str) -> Any:
    """The delivery as JSON; a posted form becomes an object of texts. Raises Unusable."""
    if content_type.partition(";")[0].strip().lower() != "application/x-www-form-urlencoded":
        return strict_json.read(body)
    try:
        given = parse_qs(body.decode(), keep_blank_values=True, strict_parsing=True, max_num_fields=500)
    except ValueError as error:
        raise strict_json.Unusable(f"The body is no form: {clean_text(str(error))[:200]}.") from None
    document = {name: values[0] if len(values) == 1 else values for name, values in given.items()}
    strict_json.require_storable(document)
    return document


def _delivery_key(options: WebhookOptions, delivery: Delivery, document: Any, proven_id: str) -> str:
    """What is the same for the same delivery and for no other."""
    if proven_id:
        return f"id {proven_id}"
    if options.delivery_id_header and (given := delivery.headers.get(options.delivery_id_header.lower(), "").strip()):
        return f"id {given}"
    if options.delivery_id_path:
        try:
            found = find(options.delivery_id_path, document, limit=1)
        except Unmapped:
            found = []
        if found and isinstance(found[0], str | int) and str(found[0]).strip():
            return f"id {found[0]}"
    return f"sha256 {hashlib.sha256(delivery.body).hexdigest()}"


def _rejection(source: IntakeSource, delivery: Delivery, reason: str, options: WebhookOptions) -> dict[str, Any]:
    """What is kept of a delivery that proves nothing: its bytes, and where it is one item also what it says."""
    fields: Mapping[str, Any] = {}
    try:
        mapped = map_for(source, options, document_of(delivery.body, delivery.content_type))
    except (Unmapped, strict_json.Unusable):
        mapped = []
    if len(mapped) == 1:
        fields = mapped[0].fields
    return {
        "channel": Channel.WEBHOOK,
        "source": source,
        "body": delivery.body,
        "content_type": clean_text(delivery.content_type)[:100],
        "sender": delivery.sender,
        "code": BAD_SIGNATURE,
        "reason": reason,
        "fields": fields,
    }
