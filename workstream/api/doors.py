"""What the public doors of intake share: bodies within a limit, origins, limits per source, and taking in a form."""

from __future__ import annotations

from urllib.parse import urlsplit

from django.conf import settings
from django.http import HttpRequest
from django.urls import reverse
from django.utils.timezone import now
from rest_framework.request import Request

from flowledger.api import throttling
from flowledger.api.throttling import Limit
from flowledger.errors import PermissionRefused, TooLarge
from flowledger.tenancy.actors import Actor, Origin
from flowledger.tenancy.models import Organization
from workstream.intake.form_reading import MAX_FORM_BYTES
from workstream.intake.options import WebFormOptions
from workstream.models.intake import IntakeSource
from workstream.services import web_forms
from workstream.services.web_forms import FormPost, FormTaken


def read_body(request: HttpRequest, limit: int) -> bytes:
    """The raw body. Raises TooLarge (413) without reading more than the limit."""
    raw: bytes = request.read(limit + 1)
    if len(raw) > limit:
        raise TooLarge(f"The body is larger than {limit:,} bytes.", max_bytes=limit)
    return raw


def headers_of(request: HttpRequest) -> dict[str, str]:
    """The headers by lower-case name."""
    return {name.lower(): value for name, value in request.headers.items()}


def sender_of(request: HttpRequest | Request) -> str:
    """From which address it came, as far as trusted proxies tell."""
    return f"from {throttling.address_of(request)}"[:200]  # type: ignore[arg-type]


def source_actor(source: IntakeSource) -> Actor:
    """Who enters what came through a source: the source itself, as the record names it."""
    return Actor.system(f"{source.get_kind_display().lower()} {source.name}", origin=Origin.API)


def require_source_within(source: IntakeSource) -> None:
    """Count a request to a source. Raises Throttled (429)."""
    throttling.require_within([Limit(f"source:{source.token}", settings.API_THROTTLES["source"])])


def require_form_within(request: HttpRequest | Request, source: IntakeSource, options: WebFormOptions) -> None:
    """Count a submission of a form from an address, by the form's own limit. Raises Throttled (429)."""
    address = throttling.address_of(request)  # type: ignore[arg-type]
    throttling.require_within([Limit(f"form:{source.token}:{address}", options.per_minute)])


def require_origin(request: HttpRequest, options: WebFormOptions) -> str:
    """The origin of the page that sends, blank when the browser says none. Raises PermissionRefused for others."""
    origin = request.headers.get("Origin", "").strip().lower()
    if origin and origin not in {own_origin(request), *options.allowed_origins}:
        raise PermissionRefused("Pages of this origin may not send the form; its owner has to allow it.")
    return origin


def own_origin(request: HttpRequest) -> str:
    """The origin of the hosted page."""
    parts = urlsplit(request.build_absolute_uri("/"))
    return f"{parts.scheme}://{parts.netloc}".lower()


def form_address(request: HttpRequest, source: IntakeSource) -> str:
    """The absolute address of the hosted page, which also takes submissions."""
    return request.build_absolute_uri(reverse("form-page", args=[source.token]))


# The doors by kind; a mailbox is polled and has none.
_DOORS = {"web_form": "forms", "webhook": "webhooks", "mail_hook": "mail"}


def address_of_source(request: HttpRequest | Request, source: IntakeSource) -> str:
    """The absolute address that a source is posted to; blank where there is none."""
    name = _DOORS.get(source.kind)
    return str(request.build_absolute_uri(f"/api/in/{name}/{source.token}")) if name else ""


def take_form(request: HttpRequest, org: Organization, source: IntakeSource, body: bytes) -> FormTaken:
    """Hand a submission to its use case."""
    post = FormPost(
        body=body,
        content_type=request.headers.get("Content-Type", ""),
        sender=sender_of(request),
        page=request.headers.get("Referer", ""),
        confirm_link=f"{form_address(request, source)}/confirm/",
    )
    return web_forms.submit_form(org=org, source_id=source.pk, post=post, actor=source_actor(source), at=now())


def read_form_body(request: HttpRequest) -> bytes:
    """A submission's bytes. Raises TooLarge."""
    return read_body(request, MAX_FORM_BYTES)
