"""What each kind of source can be told: the schemas of `IntakeSource.options`."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self
from urllib.parse import urlsplit

from pydantic import (
    AfterValidator,
    Field,
    SerializerFunctionWrapHandler,
    StringConstraints,
    TypeAdapter,
    ValidationError,
    model_serializer,
    model_validator,
)

from flowledger.configuration.registry import Rule, faults
from flowledger.errors import InvalidInput
from workstream.intake.json_mapping import FieldMapping, OptionalPath
from workstream.intake.mail_options import MailboxOptions, MailHookOptions
from workstream.intake.signatures import OptionalHeader, Verification

RESERVED = frozenset({"consent", "csrfmiddlewaretoken", "_submission"})
Line = Annotated[str, StringConstraints(max_length=200, pattern=r"^[^\x00-\x1f\x7f]*$")]
Text = Annotated[str, StringConstraints(max_length=5_000, pattern=r"^[^\x00]*$")]
InputName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z][A-Za-z0-9_-]{0,59}$")]


def _origin(text: str) -> str:
    """`https://www.example.com`, as browsers write it into the Origin header."""
    sentence = f"'{text}' is no origin; write scheme and host, for example https://www.example.com"
    try:
        parts = urlsplit(text.strip().lower())
        port = parts.port
    except ValueError:
        raise ValueError(sentence) from None
    if parts.scheme not in {"http", "https"} or not parts.hostname or parts.path not in {"", "/"}:
        raise ValueError(sentence)
    if parts.username or parts.query or parts.fragment or not re.fullmatch(r"[a-z0-9.:\[\]-]+", parts.netloc):
        raise ValueError(sentence)
    standard = {"http": 80, "https": 443}[parts.scheme]
    host = parts.netloc.rpartition(":")[0] if port == standard and parts.netloc.endswith(f":{port}") else parts.netloc
    return f"{parts.scheme}://{host}"


def _web_address(text: str) -> str:
    """Blank, or an absolute http(s) address."""
    if not text:
        return text
    try:
        parts = urlsplit(text)
    except ValueError:
        parts = urlsplit("")
    if parts.scheme not in {"http", "https"} or not parts.hostname or re.search(r"[\s\"'<>\\;,]", text):
        raise ValueError("Write a whole address that begins with https://")
    return text


Origin = Annotated[str, StringConstraints(max_length=300), AfterValidator(_origin)]
WebAddress = Annotated[str, StringConstraints(max_length=500), AfterValidator(_web_address)]


class FormField(Rule):
    """One input of a web form. `target` is the signal's field that it fills; blank keeps it among the attributes."""

    name: InputName
    label: Annotated[str, StringConstraints(min_length=1, max_length=200, pattern=r"^[^\x00-\x1f\x7f]*$")]
    kind: Literal["text", "email", "tel", "url", "textarea", "select", "checkbox"] = "text"
    target: Literal[
        "",
        "contact_name",
        "contact_email",
        "contact_phone",
        "company_name",
        "company_domain",
        "snippet",
        "problem_phrase",
        "solution_hint",
    ] = ""
    is_required: bool = False
    choices: Annotated[tuple[Line, ...], Field(max_length=100)] = ()
    placeholder: Line = ""

    @model_validator(mode="after")
    def _is_whole(self) -> Self:
        if self.name in RESERVED or self.name.lower().startswith("utm_"):
            raise ValueError(f"The name '{self.name}' is taken")
        if (self.kind == "select") != bool(self.choices):
            raise ValueError("A select needs choices, and nothing else has them")
        return self

    @model_serializer(mode="wrap")
    def _without_defaults(self, dump: SerializerFunctionWrapHandler) -> dict[str, Any]:
        usual = {name: each.default for name, each in type(self).model_fields.items()}
        return {name: value for name, value in dump(self).items() if getattr(self, name) != usual[name]}


def _usual_fields() -> tuple[FormField, ...]:
    return (
        FormField(name="name", label="Name", target="contact_name", is_required=True),
        FormField(name="email", label="Email", kind="email", target="contact_email", is_required=True),
        FormField(name="company", label="Company", target="company_name"),
        FormField(name="message", label="Message", kind="textarea", target="snippet"),
    )


class WebFormOptions(Rule):
    """A public form: what it asks, who may embed it, and what happens when it was sent."""

    title: Line = "Contact us"
    intro: Text = ""
    submit_label: Annotated[str, StringConstraints(min_length=1, max_length=60)] = "Send"
    fields: Annotated[tuple[FormField, ...], Field(min_length=1, max_length=40)] = Field(default_factory=_usual_fields)
    # Constant values kept among the attributes of every signal: a campaign, a product line.
    hidden: Annotated[dict[InputName, Line], Field(max_length=20)] = Field(default_factory=dict)
    # Pages of these origins may send the form; the hosted page always may.
    allowed_origins: Annotated[tuple[Origin, ...], Field(max_length=50)] = ()
    # An input that people do not see; what is filled in there was a robot.
    honeypot: InputName = "website_address"
    per_minute: Annotated[int, Field(ge=1, le=600)] = 20
    consent_text: Text = ""
    consent_is_required: bool = True
    double_opt_in: bool = False
    confirm_within_hours: Annotated[int, Field(ge=1, le=720)] = 48
    confirm_subject: Line = "Please confirm your message"
    thank_you: Annotated[str, StringConstraints(min_length=1, max_length=5_000, pattern=r"^[^\x00]*$")] = (
        "Thank you. We will be in touch soon."
    )
    redirect_url: WebAddress = ""

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        names = [field.name for field in self.fields]
        if twice := sorted({name for name in names if names.count(name) > 1}):
            raise ValueError(f"Given twice: {', '.join(twice)}")
        if self.honeypot in {*names, *RESERVED, *self.hidden}:
            raise ValueError(f"The honeypot needs a name of its own; '{self.honeypot}' is taken")
        if taken := sorted(set(self.hidden) & {*names, *RESERVED}):
            raise ValueError(f"Hidden values need names of their own: {', '.join(taken)}")
        targets = [field.target for field in self.fields if field.target]
        if twice := sorted({target for target in targets if targets.count(target) > 1}):
            raise ValueError(f"Two inputs cannot fill the same field: {', '.join(twice)}")
        if self.double_opt_in and not any(f.target == "contact_email" and f.is_required for f in self.fields):
            raise ValueError("Double opt-in needs a required input that fills contact_email")
        return self


class WebhookOptions(Rule):
    """A signed endpoint: how senders prove themselves, and how what they send becomes signals."""

    verification: Verification = Field(default_factory=Verification)
    mapping: FieldMapping = Field(default_factory=FieldMapping)
    # What tells one delivery from the next, where the scheme has no signed identifier of its own: a header, or a
    # JSONPath into the delivery. Without either, the same bytes are the same delivery.
    delivery_id_header: OptionalHeader = ""
    delivery_id_path: OptionalPath = ""


AnyOptions = WebFormOptions | WebhookOptions | MailboxOptions | MailHookOptions

# By SourceKind.
SCHEMAS: dict[str, type[AnyOptions]] = {
    "web_form": WebFormOptions,
    "webhook": WebhookOptions,
    "mail_hook": MailHookOptions,
    "mailbox": MailboxOptions,
}


def read_options(kind: str, document: object) -> Any:
    """The options of a source in their own type. Raises InvalidInput, fields by path (`options.fields.0.name`)."""
    if not isinstance(document, Mapping):
        sentence = "The options are a JSON object."
        raise InvalidInput(sentence, fields={"options": [sentence]})
    try:
        return TypeAdapter(SCHEMAS[kind]).validate_json(json.dumps(document, allow_nan=False), strict=True)
    except (TypeError, RecursionError, ValueError) as error:
        if not isinstance(error, ValidationError):
            sentence = "The options are no JSON."
            raise InvalidInput(sentence, fields={"options": [sentence]}) from None
        found = {f"options{path.removeprefix('value')}": sentences for path, sentences in faults(error).items()}
        path, sentences = next(iter(found.items()))
        raise InvalidInput(f"{path}: {sentences[0]}", fields=found) from None


def plain_options(options: AnyOptions) -> dict[str, Any]:
    """The JSON form with every default filled in: what is stored and shown."""
    stored: dict[str, Any] = options.model_dump(mode="json")
    return stored
