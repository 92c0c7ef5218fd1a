"""What somebody sent through a web form: any bytes in, inputs by name out, then signal fields and what is wrong."""

from __future__ import annotations

import io
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from email.message import Message
from typing import Any
from urllib.parse import unquote_to_bytes

from django.core.exceptions import SuspiciousOperation
from django.core.files.uploadhandler import FileUploadHandler, SkipFile
from django.http.multipartparser import MultiPartParser, MultiPartParserError  # noqa: TID251  reading bytes only
from django.utils.datastructures import MultiValueDict

from flowledger.api import strict_json
from flowledger.clients.normalising import email_address
from workstream.intake.fields import TEXT_LIMITS, clean_text, cut
from workstream.intake.options import FormField, WebFormOptions

MAX_FORM_BYTES = 256 * 1024
MOST_INPUTS = 200
MAX_INPUT = 20_000
MAX_TRACKING = 500
CONSENT = "consent"
SUBMISSION = "_submission"
_YES = frozenset({"1", "on", "true", "yes"})
_TRACKING = re.compile(r"(utm_[a-z_]{1,30}|gclid|fbclid|msclkid)", re.IGNORECASE)


class Unreadable(Exception):
    """The bytes are no form; `code` for programs, the sentence for people."""

    def __init__(self, code: str, sentence: str) -> None:
        self.code = code
        self.sentence = sentence
        super().__init__(sentence)


@dataclass(frozen=True)
class ReadForm:
    """A submission as signal fields; `errors` by input are for the person, who can send it again."""

    fields: dict[str, Any] = field(default_factory=dict)
    errors: dict[str, list[str]] = field(default_factory=dict)
    email: str = ""


def read_inputs(body: bytes, content_type: str) -> dict[str, str]:
    """The inputs by name; of several with one name the values are joined by a comma. Raises Unreadable."""
    header = Message()
    header["Content-Type"] = content_type.encode("ascii", "replace").decode() or "application/x-www-form-urlencoded"
    kind = header.get_content_type()
    if kind == "application/json" or kind.endswith("+json"):
        given = _of_json(body)
    elif kind == "multipart/form-data":
        given = _of_multipart(body, content_type)
    elif kind in {"application/x-www-form-urlencoded", "text/plain"}:
        # `text/plain` is both what a form can ask for and the header's default when it cannot be read.
        given = _of_urlencoded(body)
    else:
        raise Unreadable("unsupported_media_type", "Send the form as application/x-www-form-urlencoded or JSON.")
    if len(given) > MOST_INPUTS:
        raise Unreadable("too_many_inputs", f"A form has at most {MOST_INPUTS} inputs.")
    inputs: dict[str, list[str]] = {}
    for name, value in given:
        inputs.setdefault(clean_text(name)[:100], []).append(clean_text(value).strip())
    return {name: ", ".join(value for value in values if value) for name, values in inputs.items()}


def is_robot(options: WebFormOptions, inputs: Mapping[str, str]) -> bool:
    """Whether the input that people do not see was filled in."""
    return bool(inputs.get(options.honeypot))


def read_form(options: WebFormOptions, inputs: Mapping[str, str], *, form: str, page: str, at: datetime) -> ReadForm:
    """Signal fields of a submission: mapped inputs, all others under `attributes`, with consent and campaign.

    Texts that are longer than their field are cut there and kept whole among the attributes.
    """
    read = ReadForm(fields={"attributes": {"form": form}})
    attributes = read.fields["attributes"]
    emails = ""
    for each in options.fields:
        value = inputs.get(each.name, "")
        if fault := _fault_of(each, value):
            read.errors[each.name] = [fault]
            continue
        if each.kind == "email" and value:
            value = email_address(value) or value
        if each.target == "contact_email":
            emails = value
        _keep(read.fields, each, value)
    if options.consent_text:
        given = inputs.get(CONSENT, "").lower() in _YES
        if options.consent_is_required and not given:
            read.errors[CONSENT] = ["Please agree, or we may not answer you."]
        attributes["consent"] = {"given": given, "text": options.consent_text, "at": at.isoformat()}
    attributes |= dict(options.hidden)
    campaign = {name.lower(): value[:MAX_TRACKING] for name, value in inputs.items() if _TRACKING.fullmatch(name)}
    attributes |= {name: value for name, value in campaign.items() if value}
    if page:
        attributes["page"] = clean_text(page)[:MAX_TRACKING]
    return ReadForm(read.fields, read.errors, emails)


def _keep(fields: dict[str, Any], each: FormField, value: str) -> None:
    if each.kind == "checkbox":
        fields["attributes"][each.name] = value.lower() in _YES
    elif not value:
        return
    elif each.target:
        limit = TEXT_LIMITS[each.target]
        fields[each.target] = cut(value, limit)
        if len(value) > limit:
            fields["attributes"][each.name] = value
    else:
        fields["attributes"][each.name] = value


def _fault_of(each: FormField, value: str) -> str:
    """What the person has to mend, or blank."""
    if each.kind == "checkbox":
        return "Please tick this box." if each.is_required and value.lower() not in _YES else ""
    if not value:
        return "Please fill this in." if each.is_required else ""
    if len(value) > MAX_INPUT:
        return f"Please write at most {MAX_INPUT:,} characters."
    if each.kind == "select" and value not in each.choices:
        return "Please choose one of the options."
    if each.kind == "email" and email_address(value) is None:
        return "Please write a whole email address, for example ann@example.com."
    if each.target in {"contact_email", "contact_phone", "company_domain"} and len(value) > TEXT_LIMITS[each.target]:
        return f"Please write at most {TEXT_LIMITS[each.target]} characters."
    return ""


def _of_json(body: bytes) -> list[tuple[str, str]]:
    try:
        given = strict_json.read(body)
    except strict_json.Unusable as error:
        raise Unreadable("invalid_json", str(error)) from None
    if not isinstance(given, dict):
        raise Unreadable("invalid_json", "Send a JSON object whose members are the inputs.")
    pairs = []
    for name, value in given.items():
        for one in value if isinstance(value, list) else [value]:
            if isinstance(one, dict | list):
                raise Unreadable("invalid_json", f"The value of '{clean_text(name)[:60]}' is no text.")
            text = "" if one is None else str(one).lower() if isinstance(one, bool) else str(one)
            pairs.append((name, text))
    return pairs


def _of_urlencoded(body: bytes) -> list[tuple[str, str]]:
    """As `urllib.parse.parse_qsl`, which takes no bytes beyond ASCII behind the percent signs."""
    parts = body.split(b"&", MOST_INPUTS + 1)
    if len(parts) > MOST_INPUTS:
        raise Unreadable("too_many_inputs", f"A form has at most {MOST_INPUTS} inputs.")
    pairs = [part.replace(b"+", b" ").partition(b"=") for part in parts if part]
    return [(_decoded(unquote_to_bytes(name)), _decoded(unquote_to_bytes(value))) for name, _, value in pairs]


def _of_multipart(body: bytes, content_type: str) -> list[tuple[str, str]]:
    handler = _NoFiles()
    meta = {"CONTENT_TYPE": content_type, "CONTENT_LENGTH": len(body)}
    try:
        # Latin-1 keeps every byte, so that the characters can be told apart afterwards.
        inputs, _ = MultiPartParser(meta, io.BytesIO(body), [handler], "latin-1").parse()
    except (MultiPartParserError, SuspiciousOperation, ValueError, LookupError) as error:
        raise Unreadable("invalid_multipart", f"The form cannot be read: {clean_text(str(error))[:200]}") from None
    if handler.saw_file:
        raise Unreadable("file_refused", "This form takes no files; send the text alone.")
    named: MultiValueDict[str, str] = inputs
    return [
        (_decoded(name.encode("latin-1", "replace")), _decoded(value.encode("latin-1", "replace")))
        for name, values in named.lists()
        for value in values
    ]


def _decoded(raw: bytes) -> str:
    """UTF-8, as pages are today; what is not is read as Windows-1252, as old ones are."""
    try:
        return raw.decode()
    except UnicodeDecodeError:
        return raw.decode("cp1252", "replace")


class _NoFiles(FileUploadHandler):
    """Reads past every file. An input that was left empty is none."""

    saw_file = False

    def new_file(self, *args: Any, **kwargs: Any) -> None:
        self.saw_file = True
        raise SkipFile

    def receive_data_chunk(self, raw_data: bytes, start: int) -> None:
        return None

    def file_complete(self, file_size: int) -> None:
        return None
