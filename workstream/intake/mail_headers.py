"""Headers of messages as the wild writes them: encoded words, raw bytes, broken addresses, odd dates, identifiers."""

from __future__ import annotations

import hashlib
import re
from datetime import UTC, datetime
from email.errors import HeaderParseError
from email.header import decode_header
from email.message import Message
from email.utils import collapse_rfc2231_value, getaddresses, parsedate_to_datetime
from typing import NamedTuple

from flowledger.clients import normalising
from workstream.intake.mail_charsets import clean, decode_text

MAX_HEADER = 20_000
MAX_MESSAGE_ID = 250
# A thread longer than this is named by its first message and its latest ones.
MAX_REFERENCES = 100
EARLIEST = datetime(1990, 1, 1, tzinfo=UTC)

_ADDRESS = re.compile(r"[^\s<>()\[\],;:\"@]{1,64}@[^\s<>()\[\],;:\"@]{1,253}")
_MAILTO = re.compile(r"\s?\[mailto:([^\[\]\s]{1,320})\]", re.IGNORECASE)
_BRACKETED = re.compile(r"<([^<>\s]{1,1000})>")
_BARE_ID = re.compile(r"[^<>\s,;\"]{1,900}@[^<>\s,;\"]{1,900}")
_ENCODED = re.compile(r"=\?[^?\s]{1,60}\?[bBqQ]\?[^?]{0,20000}\?=")
# What mailing lists and groups do to a name: "'Jane Roe' via Sales".
_VIA = re.compile(r"^'?(?P<name>.+?)'?\s+(?:via|über|par l'intermédiaire de)\s+.+$", re.IGNORECASE)
_PREFIX = re.compile(
    r"^\s*(?:\[(?:external|extern|ext)\]\s*"
    r"|(?:re|aw|antw|antwort|sv|vs|ref|rif|odp|res|r|fwd|fw|wg|tr|rv|i|enc|doorst|vl|pd|vb|转发|回复|答复|返信|転送)"
    r"(?:\[\d+\]|\(\d+\))?\s*[:：]\s*)+",
    re.IGNORECASE,
)
_FORWARD = re.compile(r"^\s*(?:fwd|fw|wg|tr|rv|enc|doorst|vl|pd|vb|i|转发|転送)\s*[:：]", re.IGNORECASE)


class Person(NamedTuple):
    """A name and an address, either of them may be blank."""

    name: str
    address: str


def header_text(message: Message, name: str) -> str:
    """The first header of a name, decoded to one line; blank without one."""
    return next(iter(header_texts(message, name)), "")


def header_texts(message: Message, name: str) -> list[str]:
    """Every header of a name, decoded."""
    return [decode_value(value) for value in raw_values(message, name)]


def raw_values(message: Message, name: str) -> list[str]:
    """The headers of a name in one line each, bytes beyond ASCII read as text, encoded words left as they are."""
    wanted = name.lower()
    return [_unfolded(value) for header, value in message.raw_items() if header.lower() == wanted]


def decode_value(value: str) -> str:
    """A header's value with its encoded words read (RFC 2047), also where they were cut inside a character."""
    value = _unfolded(value)
    if "=?" in value:
        # A blank inside an encoded word is against the rules and common.
        value = _ENCODED.sub(lambda found: found.group().replace(" ", "_"), value)
        try:
            parts = decode_header(value)
        except (HeaderParseError, ValueError, LookupError):
            parts = [(value, None)]
        value = "".join(
            part if isinstance(part, str) else decode_text(part, charset or "") if charset else part.decode("latin-1")
            for part, charset in parts
        )
    return re.sub(r"\s+", " ", clean(value)).strip()


def _unfolded(value: object) -> str:
    """One line of a header as it came, raw bytes beyond ASCII (surrogates in Python's reading) decoded."""
    text = str(value)[:MAX_HEADER]
    if not text.isascii():
        try:
            raw = text.encode("utf-8", "surrogateescape")
        except UnicodeEncodeError:
            raw = text.encode("utf-8", "replace")
        text = decode_text(raw)
    return re.sub(r"\s*[\r\n]+\s*", " ", text).strip()


def people(message: Message, *names: str) -> list[Person]:
    """Everybody named in the address headers, in order, with addresses in their stored form.

    Somebody whose address is none is left out, unless there is a name.
    """
    found: list[Person] = []
    for name in names:
        for value in raw_values(message, name):
            found += read_people(value)
    return found


def read_people(value: str) -> list[Person]:
    """The people of one header's value, or of such a line in a forwarded text."""
    # Outlook's way in quoted texts: `Jane Roe [mailto:jane@acme.example]`.
    value = _MAILTO.sub(" " if "<" in value else r" <\1>", value[:MAX_HEADER])
    try:
        pairs = getaddresses([value])
    except (ValueError, IndexError, TypeError):
        pairs = []
    found = [person for name, text in pairs if any(person := _person(name, text))]
    if "@" not in value and not any(person.address for person in found):
        name = decode_value(value).strip("\"'<> ")
        return [Person(name[:200], "")] if name else []
    if not any(person.address for person in found):
        # Whatever stands around it, what looks like an address is meant as one.
        decoded = decode_value(value)
        for match in _ADDRESS.finditer(decoded):
            if address := normalising.email_address(match.group().strip("'.")):
                name = decoded[: match.start()].strip(" <\"'([,;:")
                found = [Person(name[:200], address)]
                break
    return found


def _person(name: str, text: str) -> Person:
    address = normalising.email_address(text.strip("<>'\" ")) or ""
    name = decode_value(name).strip("\"'<> ")
    if name and normalising.email_address(name) is not None:
        name = ""  # programs that know no name repeat the address
    return Person(name[:200], address)


def plain_name(name: str) -> str:
    """A person's name without what lists put around it, and in reading order where it was a directory's."""
    if found := _VIA.match(name):
        name = found["name"].strip("'\" ")
    # `Roe, Jane` and `Roe, Jane (Acme)`: two short halves around one comma are family name first.
    bare = re.sub(r"\s*[(\[][^()\[\]]*[)\]]\s*$", "", name)
    family, comma, given = bare.partition(",")
    if comma and 0 < len(family.split()) <= 2 and 0 < len(given.split()) <= 2 and "," not in given:
        return f"{given.strip()} {family.strip()}"
    return bare.strip() or name.strip()


def message_ids(message: Message, *names: str) -> list[str]:
    """The identifiers of headers such as References, in order, each once."""
    found: list[str] = []
    for name in names:
        for value in raw_values(message, name):
            found += _BRACKETED.findall(value) or _BARE_ID.findall(value)
    return list(dict.fromkeys(filter(None, map(stored_id, found))))


def references(message: Message) -> list[str]:
    """What a message answers, the oldest first: References, then In-Reply-To, as far as they are identifiers."""
    found = message_ids(message, "References", "In-Reply-To")
    return found if len(found) <= MAX_REFERENCES else [found[0], *found[1 - MAX_REFERENCES :]]


def stored_id(text: str) -> str:
    """An identifier as it is kept: without brackets; longer ones as their SHA-256."""
    identifier = clean(text).strip().strip("<>").strip()
    if len(identifier) <= MAX_MESSAGE_ID:
        return identifier
    return f"sha256:{hashlib.sha256(identifier.encode()).hexdigest()}"


def sent_at(message: Message) -> datetime | None:
    """The Date header in UTC; None when there is none, or one that cannot be."""
    for value in raw_values(message, "Date"):
        try:
            moment = parsedate_to_datetime(re.sub(r"\([^)]*\)", "", value))
        except (ValueError, TypeError, IndexError, OverflowError):
            continue
        try:
            moment = moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
        except (OverflowError, ValueError):
            continue
        if moment >= EARLIEST:
            return moment
    return None


def subject_without_prefixes(subject: str) -> str:
    """`Re: AW: [EXTERNAL] Fwd: Pumps` → `Pumps`."""
    return _PREFIX.sub("", subject[:2_000]).strip()


def is_forward_subject(subject: str) -> bool:
    """Whether the subject says that the message was forwarded."""
    return _FORWARD.match(subject) is not None


def parameter(message: Message, name: str, header: str) -> str:
    """A parameter of a header, decoded by RFC 2231, and by RFC 2047 for those who do that."""
    found = raw_values(message, header)
    if not found:
        return ""
    # Alone and decoded: Python replaces what a header holds beyond ASCII before it looks for parameters.
    alone = Message()
    alone[header] = _unfolded(found[0])
    try:
        value = alone.get_param(name, header=header)
        text = "" if value is None else collapse_rfc2231_value(value)
    except (ValueError, LookupError, TypeError, UnicodeError):
        return ""
    return decode_value(text)
