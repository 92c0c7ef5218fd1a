"""Messages that no person wrote to us: bounces, automatic replies, receipts, newsletters."""

from __future__ import annotations

import re
from email.message import Message
from typing import Any

from flowledger.clients import normalising
from workstream.intake.mail_headers import header_text, message_ids, raw_values
from workstream.intake.mail_parts import Parts, payload_bytes

_BOUNCE_SENDER = re.compile(r"^(?:mailer-daemon|postmaster|mail-daemon|maildaemon|bounces?)@", re.IGNORECASE)
_BOUNCE_SUBJECT = re.compile(
    r"undeliver|delivery (?:status notification|has failed|failure|failed|incomplete)|mail delivery (?:failed|system)"
    r"|returned mail|failure notice|message not delivered|unzustellbar|nicht zugestellt|non remis"
    r"|no se (?:ha podido|pudo) entregar"
    r"|non recapitabil|onbestelbaar|配信できませんでした|退信",
    re.IGNORECASE,
)
_AUTO_SUBJECT = re.compile(
    r"^\s*(?:auto(?:matic)?[- ]?(?:reply|response)|out of (?:the )?office|abwesen(?:d|heit)|automatische antwort"
    r"|réponse automatique|absence du bureau|respuesta automática|risposta automatica|automatisch antwoord|autosvar"
    r"|automatické odpověď|automatyczna odpowiedź|自動応答|自动回复)",
    re.IGNORECASE,
)
MAX_RECIPIENTS = 20


def automatic_kind(message: Message, parts: Parts, *, sender: str, subject: str) -> tuple[str, str]:
    """What kind of automatic message it is and what says so; two blanks for a message of a person.

    Kinds: `bounce`, `receipt`, `auto_reply`, `generated`, `bulk`.
    """
    report = _report_type(message)
    if report == "delivery-status" or any(
        each.get_content_type() == "message/delivery-status" for each in parts.reports
    ):
        return "bounce", "multipart/report; report-type=delivery-status"
    if report == "disposition-notification":
        return "receipt", "multipart/report; report-type=disposition-notification"
    if raw_values(message, "X-Failed-Recipients"):
        return "bounce", "X-Failed-Recipients"
    is_empty_path = any(value.strip() in {"<>", ""} for value in raw_values(message, "Return-Path"))
    if _BOUNCE_SUBJECT.search(subject) and (is_empty_path or _BOUNCE_SENDER.match(sender)):
        return "bounce", "the subject and the sender"
    submitted = header_text(message, "Auto-Submitted").partition(";")[0].strip().lower()
    if submitted and submitted != "no":
        kind = "auto_reply" if submitted == "auto-replied" else "generated"
        return kind, f"Auto-Submitted: {submitted}"[:100]
    for name in ("X-Autoreply", "X-Autorespond", "X-Auto-Reply-From"):
        if header_text(message, name).lower() not in {"", "no"}:
            return "auto_reply", name
    precedence = header_text(message, "Precedence").lower()
    if precedence == "auto_reply":
        return "auto_reply", "Precedence: auto_reply"
    if _AUTO_SUBJECT.match(subject):
        return "auto_reply", "the subject"
    if precedence in {"bulk", "junk", "list"}:
        return "bulk", f"Precedence: {precedence}"
    if raw_values(message, "List-Unsubscribe"):
        return "bulk", "List-Unsubscribe"
    return "", ""


def bounce_facts(message: Message, parts: Parts) -> dict[str, Any]:
    """Who was not reached, and why, of a bounce: recipients, status code, the server's words (RFC 3464)."""
    recipients: list[str] = []
    facts: dict[str, Any] = {}
    for block in _status_blocks(parts):
        for name in ("Final-Recipient", "Original-Recipient"):
            value = header_text(block, name)
            address = normalising.email_address(value.rpartition(";")[2])
            if address is not None and address not in recipients:
                recipients.append(address)
        for name, key in (("Action", "action"), ("Status", "status"), ("Diagnostic-Code", "diagnostic")):
            if key not in facts and (value := header_text(block, name)):
                facts[key] = value[:300]
    for value in raw_values(message, "X-Failed-Recipients"):
        for text in value.split(","):
            address = normalising.email_address(text)
            if address is not None and address not in recipients:
                recipients.append(address)
    return {"recipients": recipients[:MAX_RECIPIENTS], **facts}


def returned_ids(parts: Parts) -> list[str]:
    """The Message-ID of what a report is about: our message, which a bounce or receipt belongs to."""
    found: list[str] = []
    for inner in parts.messages:
        found += message_ids(inner, "Message-ID")
    for part in parts.reports:
        if part.get_content_type() == "text/rfc822-headers":
            text = payload_bytes(part)[:100_000].decode("utf-8", "replace")
            found += re.findall(r"^message-id:\s*<([^<>\s]{1,250})>", text, re.IGNORECASE | re.MULTILINE)
        elif part.get_content_type() == "message/disposition-notification":
            for block in _blocks(part):
                found += message_ids(block, "Original-Message-ID")
    return list(dict.fromkeys(found))


def _report_type(message: Message) -> str:
    if message.get_content_type() != "multipart/report":
        return ""
    value = message.get_param("report-type", "", header="content-type")
    return str(value).lower() if isinstance(value, str) else ""


def _status_blocks(parts: Parts) -> list[Message]:
    return [
        block
        for part in parts.reports
        if part.get_content_type() == "message/delivery-status"
        for block in _blocks(part)
    ]


def _blocks(part: Message) -> list[Message]:
    payload: Any = part.get_payload()
    return [each for each in payload if isinstance(each, Message)] if isinstance(payload, list) else []
