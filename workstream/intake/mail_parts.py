"""The parts of a message: the text that is read, what is attached, and messages inside it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from email.message import Message
from typing import Any

from workstream.intake.mail_charsets import clean, decode_text
from workstream.intake.mail_headers import decode_value, header_text, parameter
from workstream.intake.mail_html import html_to_text

# A message has hundreds of parts only to do harm.
MAX_PARTS = 500
MAX_DEPTH = 20
MAX_ATTACHMENTS = 50
MAX_TEXT_BYTES = 2_000_000
# Texts shorter than this beside much longer HTML only say that there is HTML.
STUB = 40


@dataclass
class Parts:
    """What a message consists of."""

    plain: list[str] = field(default_factory=list)
    html: list[str] = field(default_factory=list)
    attachments: list[dict[str, Any]] = field(default_factory=list)
    messages: list[Message] = field(default_factory=list)
    reports: list[Message] = field(default_factory=list)
    more_attachments: int = 0
    is_encrypted: bool = False

    @property
    def text(self) -> str:
        """The plain text, or the HTML's where there is none or next to none."""
        plain = "\n".join(self.plain).strip()
        if self.html and len(plain) < STUB:
            html = html_to_text("\n".join(self.html))
            if len(html) > 2 * len(plain):
                return html
        return plain


def read_parts(message: Message) -> Parts:
    """Sort the parts of a message; what lies inside attached messages stays theirs."""
    parts = Parts()
    for part in _leaves(message):
        kind = part.get_content_type()
        disposition = _disposition(part)
        if kind == "message/rfc822" or (kind == "message/global" and part.is_multipart()):
            inner = _inner(part)
            if inner is not None:
                parts.messages.append(inner)
            _list(parts, part, inner=inner)
        elif kind == "message/delivery-status" or kind == "message/disposition-notification":
            parts.reports.append(part)
        elif kind in {"text/plain", "text/html"} and disposition != "attachment" and not _file_name(part):
            text = _text(part)
            (parts.html if kind == "text/html" else parts.plain).append(text)
        elif kind == "text/rfc822-headers":
            parts.reports.append(part)
        elif kind in {"application/pgp-signature", "application/pkcs7-signature", "application/x-pkcs7-signature"}:
            continue
        else:
            if kind in {"application/pgp-encrypted", "application/pkcs7-mime", "application/x-pkcs7-mime"}:
                parts.is_encrypted = True
            _list(parts, part, is_inline=disposition == "inline" or (not disposition and "Content-ID" in part))
    return parts


def payload_bytes(part: Message) -> bytes:
    """The decoded bytes of a part; of a broken encoding what can be read."""
    try:
        payload: Any = part.get_payload(decode=True)
    except (ValueError, LookupError, TypeError, AttributeError):
        payload = None
    if payload is None:
        plain: Any = part.get_payload()
        return plain.encode("utf-8", "surrogateescape") if isinstance(plain, str) else b""
    return bytes(payload)


def _leaves(message: Message) -> Iterator[Message]:
    """The parts that hold something, in reading order, without descending into attached messages."""
    waiting: list[tuple[Message, int]] = [(message, 0)]
    seen = 0
    while waiting and seen < MAX_PARTS:
        part, depth = waiting.pop(0)
        seen += 1
        inner: Any = part.get_payload() if part.is_multipart() else None
        if part.get_content_maintype() == "message" or not isinstance(inner, list):
            yield part
        elif depth < MAX_DEPTH:
            waiting[:0] = [(each, depth + 1) for each in inner if isinstance(each, Message)]


def _text(part: Message) -> str:
    """A text part, decoded; soft line breaks of format=flowed joined (RFC 3676)."""
    data = payload_bytes(part)[:MAX_TEXT_BYTES]
    text = clean(decode_text(data, parameter(part, "charset", "content-type")))
    if parameter(part, "format", "content-type").lower() == "flowed":
        text = _unflowed(text, delsp=parameter(part, "delsp", "content-type").lower() == "yes")
    return text


def _unflowed(text: str, *, delsp: bool) -> str:
    """Lines that end in a blank go on in the next of the same depth; the line of a signature never does."""
    joined: list[str] = []
    goes_on, depth = False, 0
    for line in text.split("\n"):
        mark = re.match(r">*", line)
        level = mark.end() if mark else 0
        content = line[level:].removeprefix(" ")
        flows = content.endswith(" ") and content != "-- "
        shown = content[:-1] if flows and delsp else content
        if goes_on and level == depth and content != "-- ":
            joined[-1] += shown
        else:
            joined.append(f"{'>' * level}{' ' if level else ''}{shown}")
        goes_on, depth = flows, level
    return "\n".join(joined)


def _list(parts: Parts, part: Message, *, inner: Message | None = None, is_inline: bool = False) -> None:
    if len(parts.attachments) >= MAX_ATTACHMENTS:
        parts.more_attachments += 1
        return
    name = _file_name(part)
    if not name and inner is not None:
        name = f"{header_text(inner, 'Subject')[:100] or 'message'}.eml"
    try:
        size = len(inner.as_bytes()) if inner is not None else len(payload_bytes(part))
    except (ValueError, LookupError, TypeError, AttributeError):
        size = 0
    stated = parameter(part, "size", "content-disposition")
    if size == 0 and stated.isascii() and stated.isdigit():
        size = int(stated[:12])
    entry: dict[str, Any] = {"name": name[:255], "type": part.get_content_type()[:100], "size": size}
    if is_inline:
        entry["inline"] = True
    parts.attachments.append(entry)


def _inner(part: Message) -> Message | None:
    payload: Any = part.get_payload()
    if isinstance(payload, list) and payload and isinstance(payload[0], Message):
        return payload[0]
    return None


def _file_name(part: Message) -> str:
    """The name of a file without any path, from either of the two headers that may hold it."""
    name = parameter(part, "filename", "content-disposition") or parameter(part, "name", "content-type")
    return re.split(r"[\\/]", clean(name).replace("\n", " ").strip())[-1].strip()


def _disposition(part: Message) -> str:
    value = str(part.get("Content-Disposition", ""))
    return decode_value(value).partition(";")[0].strip().lower()
