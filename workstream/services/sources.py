"""Use cases of intake sources: configured ways in, their public addresses and their secrets."""

from __future__ import annotations

import base64
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, NoReturn

from django.db import IntegrityError, transaction

from flowledger.encryption import SecretUnreadable
from flowledger.errors import Conflict, InvalidInput, NotFound
from flowledger.tenancy.actors import Actor
from flowledger.tenancy.models import Organization
from flowledger.tenancy.permissions import authorize
from flowledger.tenancy.scope import org_scope
from flowledger.tenancy.usecases import use_case
from workstream.intake.mail_options import MailboxOptions
from workstream.intake.options import WebhookOptions, plain_options, read_options
from workstream.intake.signatures import Scheme, secret_fault
from workstream.models.intake import IntakeSource, SourceKind
from workstream.models.signals import SourceType

SOURCE_FIELDS = frozenset({"kind", "name", "source_type", "options", "is_active"})
MAX_SECRET = 500
MOST_SOURCES = 200
KEEP_PREVIOUS_HOURS = 24
MOST_KEEP_HOURS = 720
_TYPES = {
    SourceKind.WEB_FORM: SourceType.WEB_FORM,
    SourceKind.WEBHOOK: SourceType.WEBHOOK,
    SourceKind.MAIL_HOOK: SourceType.EMAIL,
    SourceKind.MAILBOX: SourceType.EMAIL,
}
# Providers that sign with a secret of their own making.
_PROVIDERS_SECRETS = frozenset({"mailgun", "mandrill", "resend"})
# What a stored password is given away to: with another of these it has to be entered again.
_MAILBOX_IDENTITY = ("host", "port", "security", "username")


@dataclass(frozen=True)
class KeptSource:
    """A stored source; `secret` is set when one was made for it, and is shown this once."""

    source: IntakeSource
    secret: str = ""


def source_by_token(token: str, *, kind: SourceKind | None = None) -> tuple[Organization, IntakeSource]:
    """The active source behind a public address, `<organisation>-<random>`, with its organisation.

    The look-up runs inside the scope of the organisation that the token names. Raises NotFound for one that is
    unknown, switched off, or of another kind.
    """
    org_id, _, rest = token.partition("-")
    if rest and token.isascii() and org_id.isdigit() and len(org_id) <= 18 and len(token) <= 60:
        with org_scope(int(org_id)):
            rows = IntakeSource.objects.for_org(int(org_id)).active().filter(token=token)
            if kind is not None:
                rows = rows.filter(kind=kind)
            source = rows.select_related("org").order_by("pk").first()
        if source is not None:
            return source.org, source
    raise NotFound("Nothing is taken in at this address; ask for the present one.")


@use_case
def create_source(
    *, org: Organization, fields: Mapping[str, Any], secret: str = "", actor: Actor, at: datetime
) -> KeptSource:
    """Add a way in. Where it needs a secret and none is given, one is made, if the sender can be told it.

    Raises PermissionRefused, InvalidInput for options that its kind does not have, Conflict on a taken name.
    """
    authorize(actor, "edit_sources")
    _require_known(fields)
    if fields.get("kind") not in SourceKind.values:
        _refuse("kind", f"Choose a kind: {', '.join(SourceKind.values)}.")
    if IntakeSource.objects.for_org(org).count() >= MOST_SOURCES:
        _refuse("kind", f"There are {MOST_SOURCES} sources already; delete one that is not used any more.")
    kind = SourceKind(fields["kind"])
    source = IntakeSource(org=org, kind=kind, source_type=_TYPES[kind], created_by_id=actor.user_id)
    source.token = f"{org.pk}-{secrets.token_urlsafe(24)}"
    _write(source, {"options": {}, **fields})
    made = "" if secret else _made_secret(source)
    _take_secret(source, secret or made)
    _save(source)
    return KeptSource(source, made)


@use_case
def update_source(
    *,
    org: Organization,
    source_id: int,
    fields: Mapping[str, Any],
    secret: str | None = None,
    actor: Actor,
    at: datetime,
) -> IntakeSource:
    """Change a way in; `options`, when given, take the place of all there are, and `secret` that of the present one.

    A mailbox that moves to another host or user needs its password again. Raises NotFound, PermissionRefused, and as
    `create_source`.
    """
    source: IntakeSource = IntakeSource.objects.for_org(org).locked().fetch(source_id)
    authorize(actor, "edit_sources")
    _require_known(fields)
    if fields.get("kind", source.kind) != source.kind:
        _refuse("kind", "A source stays of its kind; add another source instead.")
    before = dict(source.options)
    _write(source, fields)
    if secret:
        _take_secret(source, secret)
        source.previous_sealed_secret, source.previous_secret_until = "", None
    elif source.sealed_secret:
        _require_same_mailbox(source, before)
        _require_usable_secret(source)
    source.failed_at, source.failure = None, ""
    _save(source)
    return source


@use_case
def rotate_secret(
    *,
    org: Organization,
    source_id: int,
    secret: str = "",
    keep_hours: int = KEEP_PREVIOUS_HOURS,
    actor: Actor,
    at: datetime,
) -> KeptSource:
    """Put a new secret in force, given or made here; the one before stays good for so many hours.

    Raises NotFound, PermissionRefused, InvalidInput where a secret has to be entered and none is given.
    """
    source: IntakeSource = IntakeSource.objects.for_org(org).locked().fetch(source_id)
    authorize(actor, "edit_sources")
    if not 0 <= keep_hours <= MOST_KEEP_HOURS:
        _refuse("keep_hours", f"Give 0 to {MOST_KEEP_HOURS} hours; 0 ends the old secret at once.")
    made = "" if secret else _made_secret(source)
    if not secret and not made:
        _refuse("secret", "Enter the secret: it is not made here.")
    keeps = keep_hours > 0 and source.kind != SourceKind.MAILBOX
    source.previous_sealed_secret = source.sealed_secret if keeps else ""
    source.previous_secret_until = at + timedelta(hours=keep_hours) if keeps and source.sealed_secret else None
    _take_secret(source, secret or made)
    source.failed_at, source.failure = None, ""
    _save(source)
    return KeptSource(source, made)


@use_case
def delete_source(*, org: Organization, source_id: int, actor: Actor, at: datetime) -> None:
    """Delete a way in with the submissions that wait for a click; what came through it stays.

    Raises NotFound, PermissionRefused.
    """
    source: IntakeSource = IntakeSource.objects.for_org(org).select_for_update(of=("self",)).fetch(source_id)
    authorize(actor, "edit_sources")
    source.delete()


def options_of(source: IntakeSource) -> Any:
    """The options in the type of the source's kind. Raises InvalidInput for what an older release stored."""
    return read_options(source.kind, source.options)


def _write(source: IntakeSource, fields: Mapping[str, Any]) -> None:
    for name in ("name", "source_type", "is_active"):
        if name in fields:
            setattr(source, name, fields[name].strip() if isinstance(fields[name], str) else fields[name])
    if not source.name or not source.name.isprintable():
        _refuse("name", "A source needs a name, by which people know it.")
    if len(source.name) > 100:
        _refuse("name", "A name has at most 100 characters.")
    if source.source_type not in SourceType.values:
        _refuse("source_type", f"Choose a source type: {', '.join(SourceType.values)}.")
    if "options" in fields:
        source.options = plain_options(read_options(source.kind, fields["options"]))


def _made_secret(source: IntakeSource) -> str:
    """A new secret for the sender to be told; blank where the other side makes it, or none is needed."""
    if source.kind == SourceKind.WEBHOOK:
        options: WebhookOptions = options_of(source)
        if options.verification.scheme is Scheme.STANDARD_WEBHOOKS:
            return f"whsec_{base64.b64encode(secrets.token_bytes(32)).decode()}"
        # Stripe makes its own.
        return "" if options.verification.scheme is Scheme.STRIPE else secrets.token_urlsafe(32)
    if source.kind == SourceKind.MAIL_HOOK and source.options["provider"] not in _PROVIDERS_SECRETS:
        return secrets.token_urlsafe(32)
    return ""


def _take_secret(source: IntakeSource, secret: str) -> None:
    if not secret:
        return
    if source.kind == SourceKind.WEB_FORM:
        _refuse("secret", "A web form has no secret.")
    if len(secret) > MAX_SECRET or "\x00" in secret or not secret.strip():
        _refuse("secret", f"A secret has 1 to {MAX_SECRET} characters.")
    if source.kind == SourceKind.WEBHOOK and (fault := secret_fault(options_of(source).verification, secret)):
        _refuse("secret", fault)
    try:
        secret.encode()
    except UnicodeEncodeError:
        _refuse("secret", "The secret holds half of a character.")
    source.set_secret(secret)


def _require_same_mailbox(source: IntakeSource, before: Mapping[str, Any]) -> None:
    if source.kind != SourceKind.MAILBOX:
        return
    now_options: MailboxOptions = options_of(source)
    if any(before.get(name) != getattr(now_options, name) for name in _MAILBOX_IDENTITY):
        _refuse("secret", "The mailbox is another one now; enter its password too.")


def _require_usable_secret(source: IntakeSource) -> None:
    if source.kind != SourceKind.WEBHOOK:
        return
    try:
        fault = secret_fault(options_of(source).verification, source.secret)
    except SecretUnreadable as error:
        fault = str(error)
    if fault:
        _refuse("secret", f"The stored secret does not fit: {fault} Enter one that does.")


def _require_known(fields: Mapping[str, Any]) -> None:
    unknown = sorted(set(fields) - SOURCE_FIELDS)
    if unknown:
        raise InvalidInput(f"There is no field {', '.join(unknown)} to write.")


def _save(source: IntakeSource) -> None:
    try:
        with transaction.atomic():
            source.save()
    except IntegrityError as error:
        if "intake_source_name" not in str(error):
            raise
        sentence = f"There is a source named '{source.name}' already; choose another name."
        raise Conflict(sentence) from error


def _refuse(field: str, sentence: str) -> NoReturn:
    raise InvalidInput(sentence, fields={field: [sentence]})
