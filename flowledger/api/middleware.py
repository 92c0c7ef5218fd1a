"""Request ids from the first byte to the last log line, and the net that keeps HTML errors out of the API."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from uuid import uuid4

import structlog
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.utils.cache import patch_cache_control

from flowledger.api.errors import is_api_path, plain_error
from flowledger.outbox.causes import bind_correlation

log = structlog.get_logger("flowledger.requests")

ACCEPTED = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:/+=-]{0,99}")
HEADER = "X-Request-Id"

GetResponse = Callable[[HttpRequest], HttpResponse]


class RequestIdMiddleware:
    """Accept or create X-Request-Id, bind it to logs and to the events of this request, return it."""

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        given = request.headers.get(HEADER, "")
        request_id = given if ACCEPTED.fullmatch(given) else uuid4().hex
        request.request_id = request_id  # type: ignore[attr-defined]
        began = time.perf_counter()
        # Cleared here and not at the end: Django writes a line of its own about refusals after the last middleware.
        structlog.contextvars.clear_contextvars()
        structlog.contextvars.bind_contextvars(request_id=request_id)
        with bind_correlation(request_id):
            response = self.get_response(request)
        log.info(
            "request",
            method=request.method,
            path=request.path,
            status=response.status_code,
            ms=round((time.perf_counter() - began) * 1000, 1),
        )
        response[HEADER] = request_id
        if request.method == "HEAD" and not response.streaming:
            response.content = b""
        return response


class ErrorShapeMiddleware:
    """Whatever refuses a request before or around the views (hosts, sizes, a debug page) answers in the error shape."""

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        response = self.get_response(request)
        is_json = response.headers.get("Content-Type", "").startswith(("application/json", "application/vnd.oai"))
        if response.status_code >= 400 and not is_json and is_api_path(request.path):
            shaped = plain_error(response.status_code)
            patch_cache_control(shaped, no_store=True)
            return shaped
        return response
