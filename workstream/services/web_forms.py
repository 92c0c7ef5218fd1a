"""Use cases of public web forms: submissions become signals, at once or after a click in an email."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from django.template.loader import render_to_string

from flowledger.errors import InvalidInput, NotFound
from flowledger.outbox.emails import queue_email
from flowledger.tenancy.actors import Actor
from flowledger.tenancy.models import Organization
from flowledger.tenancy.permissions import authorize
from flowledger.tenancy.scope import org_scope
from flowledger.tenancy.usecases import use_case
from workstream.intake.fields import clean_text
from workstream.intake.form_reading import SUBMISSION, ReadForm, Unreadable, is_robot, read_form, read_inputs
from workstream.intake.options import WebFormOptions
from workstream.models.intake import FormSubmission, IntakeSource, SourceKind
from workstream.models.signals import Channel
from workstream.services.receiving import Incoming, receive_signals
from workstream.services.rejects import keep_reject
from workstream.services.sources import options_of
from workstream.services.webhooks import FULL_RETRY_SECONDS, IntakeFull, require_room

# Messages that ask one address to confirm, per form and day: a form must not flood somebody else's mailbox.
MOST_QUESTIONS = 5
# Open rejects of one kind that a form keeps: anybody may write to it.
MOST_KEPT = 1_000
HONEYPOT = "honeypot"


@dataclass(frozen=True)
class FormPost:
    """What was posted to a form: the raw body, the page it came from, and where a link to confirm begins."""

    body: bytes
    content_type: str
    sender: str = ""
    page: str = ""
    # `https://host/forms/<token>/confirm/`; the secret is put behind it.
    confirm_link: str = ""


@dataclass(frozen=True)
class FormTaken:
    """The submission is in; `asks` when the sender has to click a link first. A robot gets the same answer."""

    asks: bool = False


class Confirmation(StrEnum):
    """What became of a click."""

    CONFIRMED = "confirmed"
    EXPIRED = "expired"


class FormRefused(InvalidInput):
    """The person can mend it and send it again; what came is kept as a reject."""

    def __init__(self, message: str, *, fields: Mapping[str, list[str]], kept: Mapping[str, Any]) -> None:
        super().__init__(message, fields=fields)
        self._kept = kept

    def keep(self) -> None:
        keep_reject(**self._kept)


@use_case
def submit_form(*, org: Organization, source_id: int, post: FormPost, actor: Actor, at: datetime) -> FormTaken:
    """Take in a submission. With double opt-in it waits for a click in an email first.

    Raises NotFound, PermissionRefused, FormRefused with sentences by input after keeping what came, IntakeFull.
    """
    source = _form(org, source_id)
    authorize(actor, "create_signal")
    options: WebFormOptions = options_of(source)
    kept: dict[str, Any] = {
        "org": org,
        "channel": Channel.FORM,
        "source": source,
        "body": post.body,
        "content_type": clean_text(post.content_type)[:100],
        "sender": post.sender,
        "actor": actor,
        "at": at,
    }
    try:
        inputs = read_inputs(post.body, post.content_type)
    except Unreadable as error:
        require_room(org, source, code=error.code, at_most=MOST_KEPT)
        raise FormRefused(
            error.sentence,
            fields={"body": [error.sentence]},
            kept={**kept, "code": error.code, "reason": error.sentence},
        ) from None
    read = read_form(options, inputs, form=source.name, page=post.page, at=at)
    if is_robot(options, inputs):
        require_room(org, source, code=HONEYPOT, at_most=MOST_KEPT)
        reason = f"The input '{options.honeypot}', which people do not see, was filled in."
        keep_reject(**kept, code=HONEYPOT, reason=reason, fields=read.fields)
        return FormTaken(asks=options.double_opt_in)
    if read.errors:
        require_room(org, source, code="validation_error", at_most=MOST_KEPT)
        name, sentences = next(iter(read.errors.items()))
        raise FormRefused(
            f"{name}: {sentences[0]}",
            fields=read.errors,
            kept={
                **kept,
                "code": "validation_error",
                "reason": f"{name}: {sentences[0]}",
                "errors": read.errors,
                "fields": read.fields,
            },
        )
    if options.double_opt_in:
        _ask(org, source, options, post, read, at)
        return FormTaken(asks=True)
    receive_signals(
        org=org,
        items=[
            Incoming(
                read.fields, post.body, kept["content_type"], dedupe_key=_same_submission(source, inputs, post, at)
            )
        ],
        channel=Channel.FORM,
        source=source,
        sender=post.sender,
        actor=actor,
        at=at,
    )
    return FormTaken()


@use_case
def confirm_submission(*, org: Organization, source_id: int, secret: str, actor: Actor, at: datetime) -> Confirmation:
    """Make a signal of the submission that waits behind a secret; doing it twice changes nothing.

    Raises NotFound for an unknown secret, PermissionRefused.
    """
    source = _form(org, source_id)
    authorize(actor, "create_signal")
    rows = FormSubmission.objects.for_org(org).filter(source=source, token_sha256=_digest(secret))
    submission: FormSubmission | None = rows.locked().order_by("pk").first()
    if submission is None:
        raise NotFound("This link is not known; send the form once more to get another.")
    if submission.confirmed_at is not None:
        return Confirmation.CONFIRMED
    if at >= submission.expires_at:
        return Confirmation.EXPIRED
    fields = dict(submission.fields)
    fields["attributes"] = {**fields.get("attributes", {}), "confirmed_at": at.isoformat()}
    (outcome,) = receive_signals(
        org=org,
        items=[
            Incoming(
                {"ts": submission.received_at.isoformat(), **fields},
                bytes(submission.body),
                submission.content_type,
                dedupe_key=f"form:{source.pk}:submission:{submission.pk}",
            )
        ],
        channel=Channel.FORM,
        source=source,
        sender=submission.sender,
        actor=actor,
        at=at,
    )
    submission.confirmed_at, submission.signal_id = at, outcome.signal_id
    submission.save(update_fields=["confirmed_at", "signal"])
    return Confirmation.CONFIRMED


@use_case
def awaits_click(*, org: Organization, source_id: int, secret: str, actor: Actor, at: datetime) -> Confirmation | None:
    """How a link stands, for the page that it opens: None while it waits. Changes nothing.

    Raises NotFound, PermissionRefused.
    """
    authorize(actor, "create_signal")
    rows = FormSubmission.objects.for_org(org).filter(source_id=source_id, token_sha256=_digest(secret))
    found = rows.order_by("pk").values("confirmed_at", "expires_at").first()
    if found is None:
        raise NotFound("This link is not known; send the form once more to get another.")
    if found["confirmed_at"] is not None:
        return Confirmation.CONFIRMED
    return Confirmation.EXPIRED if at >= found["expires_at"] else None


def purge_submissions(*, org: Organization, at: datetime) -> int:
    """Forget submissions whose link ended before a time and was never used; answers how many."""
    with org_scope(org):
        rows = FormSubmission.objects.for_org(org).filter(confirmed_at__isnull=True, expires_at__lte=at)
        deleted, _ = rows.delete()
    return int(deleted)


def _form(org: Organization, source_id: int) -> IntakeSource:
    rows = IntakeSource.objects.for_org(org).active().filter(kind=SourceKind.WEB_FORM)
    source: IntakeSource = rows.fetch(source_id)
    return source


def _ask(
    org: Organization, source: IntakeSource, options: WebFormOptions, post: FormPost, read: ReadForm, at: datetime
) -> None:
    """Keep the submission and queue the email with its link; the same bytes again ask nobody again."""
    # Two at once of one form wait for each other, so that the same submission cannot ask twice.
    IntakeSource.objects.for_org(org).locked().fetch(source.pk)
    rows = FormSubmission.objects.for_org(org).filter(source=source, email=read.email)
    recent = list(rows.filter(received_at__gt=at - timedelta(days=1)).order_by("-pk")[:MOST_QUESTIONS])
    if any(each.confirmed_at is None and bytes(each.body) == post.body and at < each.expires_at for each in recent):
        return
    if len(recent) >= MOST_QUESTIONS:
        raise IntakeFull(
            "This address has been asked to confirm several times today; look for our message, also among spam.",
            retry_after=FULL_RETRY_SECONDS,
        )
    secret = secrets.token_urlsafe(32)
    submission = FormSubmission(
        org=org,
        source=source,
        body=post.body,
        content_type=clean_text(post.content_type)[:100],
        fields=read.fields,
        sender=post.sender,
        email=read.email,
        token_sha256=_digest(secret),
        received_at=at,
        expires_at=at + timedelta(hours=options.confirm_within_hours),
    )
    submission.save()
    context = {
        "org": org,
        "title": options.title,
        "link": f"{post.confirm_link}{secret}",
        "hours": options.confirm_within_hours,
    }
    queue_email(
        org=org,
        key=f"form-submission-{submission.pk}",
        to=[read.email],
        subject=options.confirm_subject or "Please confirm your message",
        # Nothing of what was typed: the form must not carry somebody's words to a stranger.
        body=render_to_string("emails/form_confirm.txt", context),
    )


def _same_submission(source: IntakeSource, inputs: Mapping[str, str], post: FormPost, at: datetime) -> str:
    """One key for a click that went twice. Who writes the same on another day means it; our own page numbers itself."""
    what = hashlib.sha256(post.body).hexdigest()
    if not inputs.get(SUBMISSION):
        what = f"{what} {at:%Y-%m-%d}"
    return f"form:{source.pk}:{hashlib.sha256(what.encode()).hexdigest()[:40]}"


def _digest(secret: str) -> str:
    return hashlib.sha256(secret.encode("utf-8", "replace")).hexdigest()
