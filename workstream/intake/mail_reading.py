"""One message (RFC 822) read: who it is from, what they wrote, what it answers, what is attached. Pure."""

from __future__ import annotations

import hashlib
from collections.abc import Collection
from dataclasses import dataclass, field
from datetime import datetime
from email.message import Message
from email.parser import BytesParser
from email.policy import compat32
from typing import Any

from flowledger.clients import normalising
from workstream.intake.fields import TEXT_LIMITS, cut
from workstream.intake.mail_automatic import automatic_kind, bounce_facts, returned_ids
from workstream.intake.mail_charsets import clean
from workstream.intake.mail_headers import (
    Person,
    header_text,
    is_forward_subject,
    message_ids,
    people,
    plain_name,
    raw_values,
    read_people,
    references,
    sent_at,
    subject_without_prefixes,
)
from workstream.intake.mail_parts import Parts, read_parts
from workstream.intake.mail_replies import Written, forwarded_part, written_part
from workstream.intake.mail_signatures import signature_company, signature_phone

MAX_SUBJECT = 300
MAX_LISTED = 20
# Bytes without any of these are no message, whatever the parser makes of them.
_HEADERS = ("From", "Sender", "Reply-To", "To", "Subject", "Date", "Message-ID", "Received", "Return-Path")
_ROBOTS = frozenset(
    {"noreply", "no-reply", "donotreply", "do-not-reply", "no_reply", "nobody", "wordpress", "webmaster", "website"}
)


class NoMessage(ValueError):
    """The bytes are no message; says why."""


@dataclass(frozen=True)
class ReadMail:
    """A message as the ledger wants it.

    `fields` are signal fields, cut to their limits. `message_id` is blank without one; `key` names the message either
    way. `references` are what it answers, the oldest first.
    """

    fields: dict[str, Any]
    key: str
    message_id: str = ""
    references: list[str] = field(default_factory=list)
    subject: str = ""
    sent_at: datetime | None = None
    automatic: str = ""


@dataclass(frozen=True)
class _Content:
    """Who a message is from and what they wrote; `forwarded_by` when somebody passed it on."""

    sender: Person
    written: Written
    subject: str
    forwarded_by: Person | None = None
    note: str = ""


def parse_message(raw: bytes) -> Message:
    """The message in the bytes. Raises NoMessage for bytes that are none."""
    if not raw.strip():
        raise NoMessage("There is nothing in it.")
    try:
        message = BytesParser(policy=compat32).parsebytes(raw)
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError) as error:
        raise NoMessage(f"It cannot be taken apart as a message ({type(error).__name__}).") from None
    if not any(name in message for name in _HEADERS):
        raise NoMessage("It has none of the headers of a message, such as From, Subject or Date.")
    return message


def read_mail(raw: bytes, *, region: str = "", own_domains: Collection[str] = ()) -> ReadMail:
    """Read a message. Phone numbers without a country code are of `region` (ISO 3166).

    Forwarded by somebody of `own_domains`, or by anybody where there are none, it is from its original sender. Raises
    NoMessage for bytes that are no message, or one with neither sender, subject nor text.
    """
    message = parse_message(raw)
    try:
        return _read(message, raw, region=region, own_domains=own_domains)
    except RecursionError:
        raise NoMessage("Its parts are nested too deeply to be read.") from None


def message_key(raw: bytes, message: Message | None = None) -> str:
    """What tells a message from every other: its Message-ID, or the SHA-256 of its bytes."""
    found = [] if message is None else message_ids(message, "Message-ID")
    return found[0] if found else f"sha256:{hashlib.sha256(raw).hexdigest()}"


def _read(message: Message, raw: bytes, *, region: str, own_domains: Collection[str]) -> ReadMail:
    parts = read_parts(message)
    subject = header_text(message, "Subject")
    found = message_ids(message, "Message-ID")
    kind, because = automatic_kind(message, parts, sender=_first(people(message, "From")).address, subject=subject)
    content = _content(message, parts, subject, own_domains)
    if not (content.sender.address or content.sender.name or subject or content.written.text or parts.attachments):
        raise NoMessage("It has neither sender, subject, text nor attachment.")
    bounce = bounce_facts(message, parts) if kind == "bounce" else {}
    is_person = kind not in {"bounce", "receipt"}
    fields = {
        "snippet": _snippet(content, subject),
        "contact_email": content.sender.address if is_person else "",
        "contact_name": cut(plain_name(content.sender.name), TEXT_LIMITS["contact_name"]) if is_person else "",
        "contact_phone": signature_phone(content.written.signature, region) if not kind else "",
        "company_name": signature_company(content.written.signature) if not kind else "",
        "attributes": _attributes(message, parts, content, subject)
        | ({"automatic": kind, "automatic_because": because} if kind else {})
        | ({"bounce": bounce} if bounce else {}),
    }
    answers = references(message)
    answers += [each for each in returned_ids(parts) if kind in {"bounce", "receipt"} and each not in answers]
    return ReadMail(
        fields={name: value for name, value in fields.items() if value},
        key=message_key(raw, message),
        message_id=found[0] if found else "",
        references=[each for each in answers if not found or each != found[0]],
        subject=subject_without_prefixes(subject)[:MAX_SUBJECT],
        sent_at=sent_at(message),
        automatic=kind,
    )


def _content(message: Message, parts: Parts, subject: str, own_domains: Collection[str]) -> _Content:
    """The message's own content, or the forwarded message's where somebody passed one on."""
    sender = _sender(message)
    text = parts.text
    if not own_domains or normalising.registrable_domain(sender.address) in own_domains:
        passed_on = _passed_on(sender, parts, text, subject)
        if passed_on is not None:
            return passed_on
    return _Content(sender, written_part(text), subject)


def _passed_on(sender: Person, parts: Parts, text: str, subject: str) -> _Content | None:
    says_forward = is_forward_subject(subject)
    inner = forwarded_part(text, says_forward=says_forward)
    if inner is not None:
        original = _first(read_people(inner.sender))
        if original.address and original.address != sender.address:
            note = written_part(inner.note).text if inner.note.strip() else ""
            return _Content(original, written_part(inner.text), inner.subject or subject, sender, note)
    if parts.messages and (says_forward or not text.strip()):
        attached = parts.messages[0]
        original = _sender(attached)
        if original.address and original.address != sender.address:
            written = written_part(read_parts(attached).text)
            note = written_part(text).text if text.strip() else ""
            return _Content(original, written, header_text(attached, "Subject") or subject, sender, note)
    return None


def _sender(message: Message) -> Person:
    """Whom an answer reaches: Reply-To before From, but not the address of a mailing list.

    A group that writes itself into From leaves the writer in a header of its own.
    """
    stated = _first(people(message, "From") or people(message, "Sender"))
    for name in ("X-Original-From", "X-Original-Sender", "X-Google-Original-From"):
        original = _first(people(message, name))
        if original.address and " via " in f" {stated.name.lower()} ":
            return original if original.name else Person(plain_name(stated.name), original.address)
    answers = [person for person in people(message, "Reply-To") if person.address]
    lists = " ".join([*raw_values(message, "List-Post"), *raw_values(message, "List-Id")]).lower()
    differs = len(answers) == 1 and answers[0].address != stated.address and answers[0].address not in lists
    if differs and not _is_newsletter(message):
        name = answers[0].name or ("" if _is_robot(stated.address) and not _is_via(stated.name) else stated.name)
        return Person(name, answers[0].address)
    return stated


def _is_newsletter(message: Message) -> bool:
    """A list that can be left answers to itself or its office, never to the writer."""
    return bool(raw_values(message, "List-Unsubscribe"))


def _is_robot(address: str) -> bool:
    return address.partition("@")[0] in _ROBOTS


def _is_via(name: str) -> bool:
    return plain_name(name) != name


def _first(found: list[Person]) -> Person:
    return next((person for person in found if person.address), found[0] if found else Person("", ""))


def _snippet(content: _Content, subject: str) -> str:
    """What they wrote; the subject stands for a message without words, and above the first of a conversation."""
    text = content.written.text
    title = subject_without_prefixes(content.subject) or subject_without_prefixes(subject)
    if not text:
        return cut(title, TEXT_LIMITS["snippet"])
    is_answer = content.written.has_quote and title != content.subject
    if title and not is_answer and not text.casefold().startswith(title.casefold()):
        text = f"{title}\n\n{text}"
    return _cut_at_word(text, TEXT_LIMITS["snippet"])


def _cut_at_word(text: str, limit: int) -> str:
    """The text in at most `limit` characters, cut at any kind of gap."""
    text = text.strip()
    if len(text) <= limit:
        return text
    head = text[: limit - 1]
    if not text[limit - 1].isspace():
        shortened = head.rsplit(None, 1)[0]
        head = shortened if len(shortened) > limit // 2 else head
    return f"{head.rstrip()}…"


def _attributes(message: Message, parts: Parts, content: _Content, subject: str) -> dict[str, Any]:
    """What else is known of the message, as JSON; keys without a value are left out."""
    stated = _first(people(message, "From"))
    facts: dict[str, Any] = {
        "subject": cut(subject, MAX_SUBJECT),
        "from": _shown(stated) if stated.address != content.sender.address else "",
        "to": _listed(people(message, "To")),
        "cc": _listed(people(message, "Cc")),
        "attachments": parts.attachments,
        "more_attachments": parts.more_attachments,
        "encrypted": parts.is_encrypted,
        "forwarded_by": _shown(content.forwarded_by) if content.forwarded_by else "",
        "forward_note": _cut_at_word(content.note, TEXT_LIMITS["snippet"]),
        "mailing_list": cut(header_text(message, "List-Id"), 200),
    }
    return {name: value for name, value in facts.items() if value}


def _listed(found: list[Person]) -> list[str]:
    return [person.address for person in found if person.address][:MAX_LISTED]


def _shown(person: Person) -> str:
    return clean(f"{person.name} <{person.address}>" if person.name else person.address)[:300]
