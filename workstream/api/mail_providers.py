"""What mail providers post, verified and read by anymail's own views, as messages (RFC 822).

Every provider's view is made with the source's secret instead of the installation's settings. Where the provider
posts the message itself, its bytes are taken as they are; where it posts parts, anymail puts them together again.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime, timedelta
from email.message import Message
from email.parser import BytesHeaderParser
from email.policy import HTTP, default
from typing import Any, NamedTuple

import requests
from anymail.exceptions import AnymailError, AnymailWebhookValidationFailure
from anymail.inbound import AnymailInboundMessage
from anymail.webhooks.base import AnymailBaseWebhookView
from anymail.webhooks.brevo import BrevoInboundWebhookView
from anymail.webhooks.mailgun import MailgunInboundWebhookView
from anymail.webhooks.mailjet import MailjetInboundWebhookView
from anymail.webhooks.mandrill import MandrillCombinedWebhookView
from anymail.webhooks.postmark import PostmarkInboundWebhookView
from anymail.webhooks.resend import ResendInboundWebhookView
from anymail.webhooks.sendgrid import SendGridInboundWebhookView
from anymail.webhooks.sparkpost import SparkPostInboundWebhookView
from django.core.exceptions import ImproperlyConfigured
from django.core.files.uploadedfile import SimpleUploadedFile
from django.http import HttpRequest, QueryDict
from django.utils.crypto import constant_time_compare
from django.utils.datastructures import MultiValueDict

from flowledger.errors import FlowLedgerError, Unavailable
from workstream.intake.mail_options import MailHookOptions

USER = "flowledger"
MAX_FIELDS = 1_000
# A signed request is refused when its time is further away than this.
TOLERANCE = timedelta(minutes=5)
RESEND_API = "https://api.resend.com/"
# Of what a provider is asked for: the connection, and each silence.
ASK_SECONDS = (5, 20)
# What anymail's readers raise on bodies that are not what the provider documents.
UNREADABLE = (
    AnymailError,
    ValueError,
    LookupError,
    TypeError,
    AttributeError,
    AssertionError,
    OverflowError,
    RecursionError,
    ImproperlyConfigured,
)


class SenderRefused(FlowLedgerError):
    """The sender did not prove to know the secret."""

    status = 401
    code = "authentication_failed"


class Unreadable(Exception):
    """The provider's body is not what it documents; the sentence is for staff."""


class _Provider(NamedTuple):
    """How a provider's view is made with one secret, and where in its form the message itself stands."""

    view: Callable[[str, MailHookOptions], AnymailBaseWebhookView]
    raw_field: str = ""


def posted_messages(
    request: HttpRequest, body: bytes, *, options: MailHookOptions, secrets: Sequence[str], at: datetime
) -> list[bytes]:
    """The messages in a provider's request. None in its tests and pings.

    Raises SenderRefused when none of the secrets fits, Unreadable for a body that the provider does not document,
    Unavailable when it cannot be asked for the message: Resend posts only where that is. Never inside a transaction.
    """
    if options.provider == "raw":
        _require_bearer(request, secrets)
        return [body] if body else []
    provider = _PROVIDERS[options.provider]
    form = _hand_over(request, body)
    view = _verified(request, provider, options, secrets, at)
    try:
        events = view.parse_events(request)
    except requests.RequestException:
        raise Unavailable(f"{view.esp_name} could not be asked for the message; deliver it again.") from None
    except UNREADABLE as error:
        said = str(error) if isinstance(error, AnymailError | ImproperlyConfigured) else type(error).__name__
        raise Unreadable(f"{view.esp_name} posted something that is not documented: {said}"[:400]) from None
    if provider.raw_field and (raw := form.get(provider.raw_field)):
        return [raw]
    messages = [event.message for event in events if getattr(event, "message", None) is not None]
    return [_as_bytes(message) for message in messages]


def _verified(
    request: HttpRequest, provider: _Provider, options: MailHookOptions, secrets: Sequence[str], at: datetime
) -> Any:
    """The view whose secret fits."""
    for secret in secrets:
        try:
            view: Any = provider.view(secret, options)
            view.at = at
            view.run_validators(request)
        except (AnymailWebhookValidationFailure, ValueError, LookupError, TypeError, AttributeError):
            continue
        return view
    raise SenderRefused(
        "The sender is not proven: the user name and password in the address, or the signature, are missing or wrong."
    )


def _require_bearer(request: HttpRequest, secrets: Sequence[str]) -> None:
    kind, _, given = request.headers.get("Authorization", "").partition(" ")
    good = [secret for secret in secrets if constant_time_compare(given.strip(), secret)]
    if kind.lower() != "bearer" or not good:
        raise SenderRefused("The sender is not proven: send the source's secret as a bearer token.")


def _as_bytes(message: Message) -> bytes:
    """A message that was put together from parts, in the same bytes each time. Raises Unreadable."""
    digest = hashlib.sha256()
    containers: list[Message] = []
    try:
        for part in message.walk():
            if part.get_content_maintype() == "multipart":
                containers.append(part)
            elif not part.is_multipart():
                digest.update(str(part.get_payload()).encode("utf-8", "replace"))
        for number, part in enumerate(containers):
            if part.get_boundary() is None:
                part.set_boundary(f"=={digest.hexdigest()[:32]}.{number}==")
        # Providers post headers as text; they may stay so.
        return message.as_bytes(policy=default.clone(utf8=True))
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError) as error:
        raise Unreadable(f"The posted parts do not make a message ({type(error).__name__}).") from None


# --- the request as anymail reads it ------------------------------------------------------------------------------


def _hand_over(request: HttpRequest, body: bytes) -> dict[str, bytes]:
    """Give the request its body and form; answers with the form's text fields as bytes.

    Django bounds forms by the size of usual ones (DATA_UPLOAD_MAX_MEMORY_SIZE), and raw messages are fields of forms;
    the door has bounded the body already.
    """
    held: Any = request
    held._body = body
    held._read_started = True
    fields: dict[str, bytes] = {}
    post, files = QueryDict(mutable=True, encoding="utf-8"), MultiValueDict[str, SimpleUploadedFile]()
    if request.content_type == "multipart/form-data":
        for name, file_name, kind, content in _form_parts(request.META.get("CONTENT_TYPE", ""), body):
            if file_name is None:
                fields[name] = content
                post.appendlist(name, content.decode("utf-8", "replace"))
            else:
                files.appendlist(name, SimpleUploadedFile(file_name or "file", content, kind))
    elif request.content_type == "application/x-www-form-urlencoded":
        try:
            post = QueryDict(body, encoding="utf-8")
        except ValueError:  # more fields than Django takes, or broken ones
            post = QueryDict(encoding="utf-8")
        fields = {name: str(post[name]).encode() for name in post if post.getlist(name)}
    held._post, held._files = post, files
    return fields


def _form_parts(content_type: str, body: bytes) -> Iterator[tuple[str, str | None, str, bytes]]:
    """Name, file name (None for a text field), type and bytes of every part of multipart/form-data."""
    parser = BytesHeaderParser(policy=HTTP)
    boundary = Message()
    boundary["Content-Type"] = content_type
    mark = boundary.get_boundary()
    if not mark or len(mark) > 200:
        return
    pieces = (b"\r\n" + body).split(b"\r\n--" + mark.encode("latin-1", "replace"), MAX_FIELDS)
    for piece in pieces[1:]:
        if piece.startswith(b"--"):
            return
        head, gap, content = piece.lstrip(b" \t").removeprefix(b"\r\n").partition(b"\r\n\r\n")
        if not gap:
            continue
        try:
            headers: Any = parser.parsebytes(head + b"\r\n\r\n")
            name = headers.get_param("name", header="content-disposition")
            file_name = headers.get_filename()
            kind = headers.get_content_type()
        except (ValueError, LookupError, TypeError, AttributeError):
            continue
        if isinstance(name, str) and name:
            yield name, file_name, kind, content


# --- the views ----------------------------------------------------------------------------------------------------


def _by_password(view: type[AnymailBaseWebhookView]) -> Callable[[str, MailHookOptions], AnymailBaseWebhookView]:
    """Providers that prove themselves by the user name and password in the address."""
    return lambda secret, options: view(webhook_secret=[f"{USER}:{secret}"])


class _SendGrid(SendGridInboundWebhookView):
    def __init__(self, **kwargs: Any) -> None:
        # Past the warning that anymail has no SendGrid account to test with.
        AnymailBaseWebhookView.__init__(self, **kwargs)


class _SparkPost(SparkPostInboundWebhookView):
    def esp_to_anymail_event(self, event_class: str, event: Any, raw_event: Any) -> Any:
        """Encoded messages need not be UTF-8, which anymail takes them for."""
        content = event.get("content", {}) if event_class == "relay_message" else {}
        if content.get("email_rfc822_is_base64"):
            raw = base64.b64decode(content["email_rfc822"])
            content |= {"email_rfc822_is_base64": False, "email_rfc822": ""}
            found = super().esp_to_anymail_event(event_class, event, raw_event)
            found.message = AnymailInboundMessage.parse_raw_mime_bytes(raw)
            return found
        return super().esp_to_anymail_event(event_class, event, raw_event)


def _listed(*, kind: Any, name: Any, content_id: Any, size: Any) -> AnymailInboundMessage:
    """An attachment that stays with the provider: its name, type, and size (RFC 2183, 2.7) without the bytes."""
    part = AnymailInboundMessage.construct_attachment(
        content_type=str(kind or "application/octet-stream"), content=b"", filename=name, content_id=content_id
    )
    if isinstance(size, int) and size >= 0:
        part.set_param("size", str(size), header="Content-Disposition")
    return part


class _Brevo(BrevoInboundWebhookView):
    def _fetch_attachment(self, attachment: Any) -> Any:
        """An attachment is listed, not read, so that there is no reason to ask for it."""
        return _listed(
            kind=attachment.get("ContentType"),
            name=attachment.get("Name"),
            content_id=attachment.get("ContentID"),
            size=attachment.get("ContentLength"),
        )


class _Resend(ResendInboundWebhookView):
    """Signs as Svix does, without its library; asks the API with time-outs."""

    at: datetime
    signing_secret = ""

    def validate_request(self, request: HttpRequest) -> None:
        """Standard Webhooks: HMAC-SHA256 over id, time and body with the decoded secret."""
        identity, stamp = request.headers.get("svix-id", ""), request.headers.get("svix-timestamp", "")
        key = base64.b64decode(self.signing_secret.removeprefix("whsec_"))
        signed = f"{identity}.{stamp}.".encode() + request.body
        expected = base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()
        given = [each.partition(",")[2] for each in request.headers.get("svix-signature", "").split()]
        is_recent = abs(self.at.timestamp() - int(stamp)) <= TOLERANCE.total_seconds()
        if not (identity and is_recent and any(constant_time_compare(each, expected) for each in given)):
            raise AnymailWebhookValidationFailure("The signature does not fit")

    def _fetch_inbound_email(self, email_id: str) -> Any:
        if not isinstance(email_id, str) or not email_id.replace("-", "").isalnum():
            raise ValueError("email_id")
        answer = requests.get(
            f"{self.api_url}emails/receiving/{email_id}",
            headers={"Authorization": f"Bearer {self.api_key}"},
            timeout=ASK_SECONDS,
        )
        answer.raise_for_status()
        # The files themselves are not fetched: they are listed, and the message has its text here.
        data = json.loads(answer.content)
        headers = data.get("headers") or {}
        listed = headers.items() if isinstance(headers, dict) else ((each["name"], each["value"]) for each in headers)
        message = AnymailInboundMessage.construct(
            headers=[
                (name, each) for name, values in listed for each in (values if isinstance(values, list) else [values])
            ],
            text=data.get("text"),
            html=data.get("html"),
            attachments=[
                _listed(
                    kind=each.get("content_type"),
                    name=each.get("filename"),
                    content_id=each.get("content_id"),
                    size=each.get("size"),
                )
                for each in data.get("attachments") or []
            ],
        )
        for name, value in (
            ("From", data.get("from")),
            ("To", ", ".join(data.get("to") or [])),
            ("Subject", data.get("subject")),
            ("Message-ID", data.get("message_id")),
            ("Reply-To", ", ".join(data.get("reply_to") or [])),
        ):
            if value and name not in message:
                message[name] = value
        return message


def _mandrill(secret: str, options: MailHookOptions) -> AnymailBaseWebhookView:
    url = {"webhook_url": options.public_url} if options.public_url else {}
    return MandrillCombinedWebhookView(webhook_key=secret, webhook_secret=[], **url)


def _resend(secret: str, options: MailHookOptions) -> AnymailBaseWebhookView:
    signing, _, key = secret.partition(" ")
    view = _Resend(inbound_secret=None, api_key=key.strip(), api_url=RESEND_API, webhook_secret=[])
    view.signing_secret = signing
    return view


_PROVIDERS: dict[str, _Provider] = {
    "postmark": _Provider(_by_password(PostmarkInboundWebhookView)),
    "mailgun": _Provider(
        lambda secret, options: MailgunInboundWebhookView(webhook_signing_key=secret, webhook_secret=[], api_key=None),
        raw_field="body-mime",
    ),
    "sendgrid": _Provider(_by_password(_SendGrid), raw_field="email"),
    "mailjet": _Provider(_by_password(MailjetInboundWebhookView)),
    "brevo": _Provider(
        lambda secret, options: _Brevo(webhook_secret=[f"{USER}:{secret}"], api_key="", api_url="https://localhost/")
    ),
    "sparkpost": _Provider(_by_password(_SparkPost)),
    "mandrill": _Provider(_mandrill),
    "resend": _Provider(_resend),
}
