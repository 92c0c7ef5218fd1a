"""Outgoing email: queued in the transaction that wants it, sent after the commit, recorded before and after."""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from email.utils import parseaddr
from typing import TYPE_CHECKING

import structlog
from django.conf import settings
from django.core.exceptions import ValidationError
from django.core.mail import EmailMultiAlternatives, get_connection
from django.core.validators import validate_email

from flowledger.errors import InvalidInput
from flowledger.outbox import shutdown, sql
from flowledger.outbox.causes import current_cause
from flowledger.outbox.conf import OutboxSettings
from flowledger.outbox.leases import LeaseKeeper
from flowledger.outbox.models import OutgoingEmail
from flowledger.outbox.wake import wake_outgoing
from flowledger.tenancy.scope import org_scope, system_scope

if TYPE_CHECKING:
    from django.core.mail.backends.base import BaseEmailBackend

    from flowledger.tenancy.models import Organization

log = structlog.get_logger(__name__)


@dataclass
class SendResult:
    """What one round of sending did."""

    sent: int = 0
    failed: int = 0
    given_back: int = 0


def queue_email(
    *,
    org: Organization,
    key: str,
    to: Sequence[str],
    subject: str,
    body: str,
    html: str = "",
    from_email: str = "",
    reply_to: Sequence[str] = (),
) -> OutgoingEmail:
    """Queue a message in the current transaction; it is sent once that is committed.

    `key` is the natural key within the organisation, for example `proposal-42-sent`: the second message with the same
    key is not queued, the first is returned. Raises InvalidInput without a recipient or for a malformed address.
    """
    recipients = list(dict.fromkeys(address.strip() for address in to if address.strip()))
    if not recipients:
        raise InvalidInput("The message has no recipient.", fields={"to": ["Name at least one address."]})
    for address in [*recipients, *reply_to]:
        try:
            validate_email(address)
        except ValidationError:
            raise InvalidInput(
                f"'{address}' is no email address.", fields={"to": [f"'{address}' is no email address."]}
            ) from None
    cause = current_cause()
    with org_scope(org):
        rows = OutgoingEmail.objects.for_org(org)
        message = OutgoingEmail(
            org=org,
            key=key,
            to=recipients,
            # A line break in a header would let the text write headers of its own.
            subject=" ".join(subject.split())[:500],
            body=body,
            html=html,
            from_email=from_email,
            reply_to=list(reply_to),
            causation_id=cause.event_id if cause else None,
        )
        rows.bulk_create([message], ignore_conflicts=True)
        wake_outgoing()
        stored: OutgoingEmail = rows.get(key=key)
        return stored


def send_outgoing_emails() -> SendResult:
    """Send what is due, batch by batch, until nothing is or the worker shuts down.

    A batch is claimed and recorded as being sent before the first call; each message is recorded again after its own.
    Failures are retried like events and given up after the same number of attempts.
    """
    conf = OutboxSettings.read()
    result = SendResult()
    with system_scope("give back outgoing emails"):
        sql.give_back_expired_emails(lease_seconds=conf.lease_seconds, max_attempts=conf.max_attempts)
    while not shutdown.requested():
        token = uuid.uuid4()
        with system_scope("claim outgoing emails"):
            ids = sql.claim_emails(token=token, limit=conf.email_batch_size)
            messages = list(OutgoingEmail.all_orgs.filter(pk__in=ids).order_by("pk"))
        if not messages:
            break
        with LeaseKeeper(sql.renew_email_lease, token=token, seconds=conf.renew_seconds):
            _send_batch(messages, token, result)
    return result


def _send_batch(messages: list[OutgoingEmail], token: uuid.UUID, result: SendResult) -> None:
    untried = {message.pk for message in messages}
    transport = get_connection()
    try:
        for message in messages:
            if shutdown.requested():
                break
            untried.discard(message.pk)
            _send_one(message, token, transport, result)
    finally:
        transport.close()
        if untried:
            with system_scope("give back outgoing emails"):
                result.given_back += sql.give_back_emails(token=token, ids=sorted(untried))


def _send_one(message: OutgoingEmail, token: uuid.UUID, transport: BaseEmailBackend, result: SendResult) -> None:
    mail = compose(message, transport)
    try:
        mail.send()
    except Exception as error:  # noqa: BLE001  (any backend may stand behind Django's interface)
        text = f"{type(error).__name__}: {error}".replace("\x00", "\\x00")
        with system_scope("record outgoing email"):
            dead = sql.email_failed(
                email_id=message.pk, token=token, error=text, max_attempts=OutboxSettings.read().max_attempts
            )
        result.failed += 1
        report = log.error if dead else log.warning
        report("email given up" if dead else "email failed", email_id=message.pk, org_id=message.org_id, error=text)
        return
    with system_scope("record outgoing email"):
        recorded = sql.email_sent(email_id=message.pk, token=token, message_id=_provider_id(mail))
    result.sent += 1
    log.info("email sent", email_id=message.pk, org_id=message.org_id, key=message.key, fenced_out=not recorded)


def compose(message: OutgoingEmail, transport: BaseEmailBackend | None = None) -> EmailMultiAlternatives:
    """The message for Django's email API; every try has the same Message-ID and idempotency key."""
    mail = EmailMultiAlternatives(
        subject=message.subject,
        body=message.body,
        from_email=message.from_email or None,
        to=message.to,
        reply_to=message.reply_to or None,
        connection=transport,
        headers={"Message-ID": message_id(message), "X-Idempotency-Key": idempotency_key(message)},
    )
    if message.html:
        mail.attach_alternative(message.html, "text/html")
    return mail


def idempotency_key(message: OutgoingEmail) -> str:
    """The same for every try, different for every message of every organisation."""
    return f"{message.org_id}-{message.key}"


def message_id(message: OutgoingEmail) -> str:
    """A Message-ID derived from the idempotency key, under the sender's domain."""
    digest = hashlib.sha256(idempotency_key(message).encode()).hexdigest()[:32]
    _, sender = parseaddr(message.from_email or settings.DEFAULT_FROM_EMAIL)
    return f"<{digest}@{sender.rpartition('@')[2] or 'localhost'}>"


def _provider_id(mail: EmailMultiAlternatives) -> str:
    """What the provider calls the message (anymail tells), else its Message-ID."""
    status = getattr(mail, "anymail_status", None)
    given = getattr(status, "message_id", None)
    return str(given) if given else str(mail.extra_headers["Message-ID"])
