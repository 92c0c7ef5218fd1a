"""Email as signals: one message (RFC 822) from whatever door becomes a signal in its conversation."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from django.db import DataError, IntegrityError

from flowledger.errors import FlowLedgerError, InvalidInput
from flowledger.tenancy.actors import Actor
from flowledger.tenancy.models import Organization
from flowledger.tenancy.permissions import authorize
from flowledger.tenancy.usecases import use_case
from workstream.intake.fields import EARLIEST_YEAR, FieldErrors, SignalFields, read_parsed_fields
from workstream.intake.mail_headers import header_text, people, sent_at
from workstream.intake.mail_reading import NoMessage, ReadMail, parse_message, read_mail
from workstream.intake.sealed_keys import SEALED, with_sealed
from workstream.models.intake import IntakeSource
from workstream.models.signals import Channel, Signal, SignalPayload, SourceType
from workstream.services.mail_threads import place_message
from workstream.services.receiving import Incoming, Outcome, receive_signals
from workstream.services.rejects import keep_reject

CONTENT_TYPE = "message/rfc822"
# Clocks of senders go wrong; a message is not from later than this after it came.
CLOCK_TOLERANCE = timedelta(minutes=10)
# What one broken message may raise besides refusals.
BROKEN = (InvalidInput, DataError, IntegrityError, ValueError, LookupError, TypeError, AttributeError, RecursionError)
# How much of the natural key two messages with the same Message-ID share.
_SHARED_ID = 180


@use_case
def receive_mail(
    *,
    org: Organization,
    source: IntakeSource | None,
    raw: bytes,
    whole_size: int | None = None,
    sender: str = "",
    actor: Actor,
    at: datetime,
) -> Outcome:
    """Keep a message as a signal and put it into its conversation.

    Its Message-ID is its reference; the same message again, through this door or another, leaves a repeat. A message
    without one is known by its bytes. What is no message is a stored reject. A different message under a Message-ID
    that its sender used before is a signal of its own. `whole_size` says how long the message is of which `raw` is only
    the beginning. Raises PermissionRefused.
    """
    authorize(actor, "create_signal")
    mail: ReadMail | None = None
    source_type = source.source_type if source is not None else SourceType.EMAIL
    try:
        mail = read_mail(raw, region=org.default_region, own_domains=_own_domains(source))
        if whole_size is not None and whole_size > len(raw):
            mail.fields.setdefault("attributes", {})["cut_from_bytes"] = whole_size
        item = Incoming(
            fields=_fields(org, mail, raw, source_type=source_type, at=at), body=raw, content_type=CONTENT_TYPE
        )
    except NoMessage as error:
        reason = f"This is no message. {error}"
        item = Incoming(fields={}, body=raw, content_type=CONTENT_TYPE, code="no_message", reason=reason)
    except FieldErrors as error:
        item = Incoming(
            fields=error.readable,
            body=raw,
            content_type=CONTENT_TYPE,
            code="validation_error",
            reason=error.sentence,
            errors=error.errors,
        )
    (outcome,) = receive_signals(
        org=org, items=[item], channel=Channel.EMAIL, source=source, sender=sender, actor=actor, at=at
    )
    if mail is not None and outcome.signal_id is not None and not _is_erased(org, outcome):
        place_message(
            org=org,
            message_id=mail.key,
            references=mail.references,
            subject=mail.subject,
            sent_at=mail.sent_at,
            signal_id=outcome.signal_id,
        )
    return outcome


def take_mail(
    *, org: Organization, source: IntakeSource, raw: bytes, sender: str = "", actor: Actor, at: datetime
) -> Outcome:
    """As `receive_mail`; a message that breaks it in whatever way is kept as a reject. A use case of its own each."""
    try:
        return receive_mail(org=org, source=source, raw=raw, sender=sender, actor=actor, at=at)
    except BROKEN as error:
        return keep_broken(org=org, source=source, raw=raw, error=error, sender=sender, actor=actor, at=at)


def keep_broken(
    *, org: Organization, source: IntakeSource, raw: bytes, error: Exception, sender: str, actor: Actor, at: datetime
) -> Outcome:
    """Keep a message that could not be stored as a signal, with what stood against it."""
    said = f": {error}" if isinstance(error, FlowLedgerError) else f" ({type(error).__name__})."
    reason = f"The message could not be stored{said}"[:500]
    reject = keep_reject(
        org=org,
        channel=Channel.EMAIL,
        source=source,
        body=raw,
        content_type=CONTENT_TYPE,
        sender=sender,
        code="broken_message",
        reason=reason,
        actor=actor,
        at=at,
    )
    return Outcome("rejected", reject_id=reject.pk, code="broken_message", reason=reason)


def is_known_mail(*, org: Organization, source: IntakeSource, raw: bytes) -> bool:
    """Whether the ledger has exactly this message already, of which then nothing needs to be noted."""
    try:
        mail = read_mail(raw, region=org.default_region, own_domains=_own_domains(source))
        fields = _fields(org, mail, raw, source_type=source.source_type, at=mail.sent_at)
    except (NoMessage, FieldErrors):
        return False
    forms = with_sealed(org.pk, [fields.natural_key] if fields.natural_key else [])
    return bool(Signal.objects.for_org(org).filter(dedupe_key__in=list(forms)).exists())


def _is_erased(org: Organization, outcome: Outcome) -> bool:
    """Whether this is a repeat of a message whose sender was erased: its place in a conversation is gone for good."""
    rows = Signal.objects.for_org(org).filter(pk=outcome.signal_id, dedupe_key__startswith=SEALED)
    return outcome.status == "repeated" and bool(rows.exists())


def _own_domains(source: IntakeSource | None) -> list[str]:
    found: Any = source.options.get("own_domains", []) if source is not None else []
    return [str(domain) for domain in found]


def _fields(org: Organization, mail: ReadMail, raw: bytes, *, source_type: str, at: datetime | None) -> SignalFields:
    given: dict[str, Any] = {**mail.fields, "source_type": source_type}
    if mail.sent_at is not None and mail.sent_at.year >= EARLIEST_YEAR:
        is_possible = at is None or mail.sent_at <= at + CLOCK_TOLERANCE
        given["ts"] = mail.sent_at if is_possible else None
    if mail.message_id:
        given["source_ref"] = _reference(org, mail, raw, source_type)
    else:
        given["dedupe_key"] = f"email:{mail.key}"
    return read_parsed_fields(given, default_source_type=source_type)


def _reference(org: Organization, mail: ReadMail, raw: bytes, source_type: str) -> str:
    """The Message-ID; with a mark of its own where another message came under the same one before.

    Some senders number their messages badly. Their next message is not a repeat of the first, and must not be lost.
    """
    rows = SignalPayload.objects.for_org(org).filter(signal__dedupe_key=f"{source_type}:{mail.message_id}")
    known = rows.values_list("body", flat=True).order_by("pk").first()
    # An empty one was redacted: which message it was is not known any more, and it must not come back.
    if not known or bytes(known) == raw or _is_same(bytes(known), raw):
        return mail.message_id
    stamp = mail.sent_at.isoformat() if mail.sent_at is not None else mail.fields.get("contact_email", "")
    return f"{mail.message_id[:_SHARED_ID]}#{stamp}"[:250]


def _is_same(first: bytes, second: bytes) -> bool:
    """Whether two messages with one Message-ID are one, on ways that changed their headers: sender and time agree."""
    try:
        one, other = parse_message(first), parse_message(second)
    except NoMessage:
        return False
    if sent_at(one) is not None or sent_at(other) is not None:
        return sent_at(one) == sent_at(other)
    return people(one, "From") == people(other, "From") and header_text(one, "Subject") == header_text(other, "Subject")
