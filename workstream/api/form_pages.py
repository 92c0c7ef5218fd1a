"""`/forms/{token}`: the hosted page of a web form, what follows it, and the link that confirms. No script is needed."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from functools import wraps
from urllib.parse import urlsplit

from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import path, reverse
from django.utils.timezone import now
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_http_methods
from rest_framework.exceptions import Throttled

from flowledger.api import throttling
from flowledger.errors import FlowLedgerError
from flowledger.tenancy.models import Organization
from workstream.api.doors import (
    read_form_body,
    require_form_within,
    require_origin,
    require_source_within,
    source_actor,
    take_form,
)
from workstream.intake import form_html
from workstream.intake.form_reading import SUBMISSION, Unreadable, read_inputs
from workstream.intake.options import WebFormOptions
from workstream.models.intake import IntakeSource, SourceKind
from workstream.services import web_forms
from workstream.services.sources import options_of, source_by_token
from workstream.services.web_forms import Confirmation, FormRefused

View = Callable[..., HttpResponse]
SENT, ASKED = "sent", "asked"
_EXPIRED = "This link was good for a limited time, which has passed. Please send the form once more."


def _page(*methods: str) -> Callable[[View], View]:
    """A public page: within the address's limit, its refusals as pages, never cached, never a place for scripts."""

    def decorate(view: View) -> View:
        @csrf_exempt
        @require_http_methods([*methods])
        @wraps(view)
        def answered(request: HttpRequest, **kwargs: str) -> HttpResponse:
            try:
                throttling.require_within([throttling.address_limit(request)])  # type: ignore[arg-type]
                response = view(request, **kwargs)
            except Throttled as error:
                wait = str(max(1, round(getattr(error, "wait", None) or 1)))
                response = HttpResponse(
                    form_html.message(title="Please wait", sentence="Too much came from your address; try again soon."),
                    status=429,
                    headers={"Retry-After": wait},
                )
            except FlowLedgerError as error:
                title = "Not found" if error.status == 404 else "This did not work"
                response = HttpResponse(form_html.message(title=title, sentence=error.message), status=error.status)
                if "retry_after" in error.details:
                    response["Retry-After"] = str(error.details["retry_after"])
            response["Cache-Control"] = "no-store"
            if "Content-Security-Policy" not in response:
                response["Content-Security-Policy"] = _policy(None)
            return response

        return answered

    return decorate


@_page("GET", "HEAD", "POST")
def form_page(request: HttpRequest, token: str) -> HttpResponse:
    """The form; a POST sends it and goes on to the next page."""
    org, source = source_by_token(token, kind=SourceKind.WEB_FORM)
    options = options_of(source)
    if request.method != "POST":
        return _form(request, org, source, options, status=200)
    require_origin(request, options)
    require_source_within(source)
    require_form_within(request, source, options)
    body = read_form_body(request)
    try:
        taken = take_form(request, org, source, body)
    except FormRefused as refusal:
        return _form(request, org, source, options, status=400, body=body, refusal=refusal)
    if options.redirect_url and not taken.asks:
        return _see_other(options.redirect_url)
    return _see_other(reverse("form-done", args=[token, ASKED if taken.asks else SENT]))


@_page("GET", "HEAD")
def done_page(request: HttpRequest, token: str, outcome: str) -> HttpResponse:
    """What the person reads afterwards."""
    org, source = source_by_token(token, kind=SourceKind.WEB_FORM)
    options = options_of(source)
    sentence = options.thank_you
    if outcome == ASKED:
        sentence = "We have sent you an email. Please open it and follow its link, so that we know that it is you."
    html = form_html.message(title=options.title, sentence=sentence, organization=org.name)
    return _framed(HttpResponse(html), options)


@_page("GET", "HEAD", "POST")
def confirm_page(request: HttpRequest, token: str, secret: str) -> HttpResponse:
    """Where the link of the email leads. Programs that look at every link only open it; the button confirms."""
    org, source = source_by_token(token, kind=SourceKind.WEB_FORM)
    options: WebFormOptions = options_of(source)
    if request.method == "POST":
        found: Confirmation | None = web_forms.confirm_submission(
            org=org, source_id=source.pk, secret=secret, actor=source_actor(source), at=now()
        )
    else:
        found = web_forms.awaits_click(
            org=org, source_id=source.pk, secret=secret, actor=source_actor(source), at=now()
        )
    if found is Confirmation.EXPIRED:
        return HttpResponse(
            form_html.message(title=options.title, sentence=_EXPIRED, organization=org.name), status=410
        )
    if found is Confirmation.CONFIRMED:
        if options.redirect_url and request.method == "POST":
            return _see_other(options.redirect_url)
        html = form_html.message(title=options.title, sentence=options.thank_you, organization=org.name)
        return _framed(HttpResponse(html), options)
    html = form_html.message(
        title=options.title,
        sentence="One more click, and your message is on its way.",
        organization=org.name,
        action=request.path,
        button="Confirm",
    )
    return _framed(HttpResponse(html), options)


def _form(
    request: HttpRequest,
    org: Organization,
    source: IntakeSource,
    options: WebFormOptions,
    *,
    status: int,
    body: bytes = b"",
    refusal: FormRefused | None = None,
) -> HttpResponse:
    try:
        values = read_inputs(body, request.headers.get("Content-Type", "")) if body else {}
    except Unreadable:
        values = {}
    html = form_html.page(
        options,
        action=request.path,
        organization=org.name,
        values=values,
        errors=refusal.details["fields"] if refusal else {},
        sentence="Please look at what is marked below."
        if refusal and "body" not in refusal.details["fields"]
        else (refusal.message if refusal else ""),
        submission=values.get(SUBMISSION, "") or secrets.token_urlsafe(16),
    )
    return _framed(HttpResponse(html, status=status), options)


def _framed(response: HttpResponse, options: WebFormOptions) -> HttpResponse:
    """Pages of the allowed origins may show it in a frame; others may not."""
    response["Content-Security-Policy"] = _policy(options)
    if options.allowed_origins:
        response.xframe_options_exempt = True
    return response


def _policy(options: WebFormOptions | None) -> str:
    frames, targets = ["'self'"], ["'self'"]
    if options is not None:
        frames += options.allowed_origins
        parts = urlsplit(options.redirect_url)
        # Browsers hold redirects after a form to the same list.
        targets += [f"{parts.scheme}://{parts.netloc}"] if options.redirect_url else []
    return (
        "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; "
        f"form-action {' '.join(targets)}; frame-ancestors {' '.join(frames)}"
    )


def _see_other(address: str) -> HttpResponseRedirect:
    """To a page that can be loaded again without sending anything again."""
    response = HttpResponseRedirect(address)
    response.status_code = 303
    return response


urlpatterns = [
    path("<str:token>", form_page, name="form-page"),
    path("<str:token>/confirm/<str:secret>", confirm_page, name="form-confirm"),
    path("<str:token>/done/<str:outcome>", done_page, name="form-done"),
]
