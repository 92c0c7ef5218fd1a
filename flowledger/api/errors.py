"""The one error shape: `{"error": sentence, "code": machine word, …}` for every refusal and every failure."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import structlog
from django.core import exceptions as django_errors
from django.core.signals import got_request_exception
from django.db import DatabaseError, InterfaceError, OperationalError
from django.db.models import ProtectedError, RestrictedError
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from rest_framework import exceptions as drf_errors
from rest_framework.response import Response

from flowledger.errors import Conflict, FlowLedgerError, InvalidInput, NotFound, TooLarge, Unavailable

log = structlog.get_logger(__name__)

RETRY_SECONDS = 5

# Statuses that the kernel answers outside of FlowLedgerError, with their machine words.
CODES = {
    400: "validation_error",
    401: "authentication_failed",
    403: "permission_denied",
    404: "not_found",
    405: "method_not_allowed",
    406: "not_acceptable",
    409: "conflict",
    413: "too_large",
    415: "unsupported_media_type",
    429: "throttled",
    500: "internal_error",
    503: "unavailable",
}
SENTENCES = {
    400: "The request is malformed.",
    403: "This is not allowed.",
    404: "There is nothing at this address.",
    405: "This address does not answer that method.",
    413: "The request is larger than this server accepts.",
    500: "Something went wrong on our side; nothing was changed. Quote the X-Request-Id when you report it.",
    503: "A part of the service is not reachable; nothing was changed. Try again shortly.",
}


def exception_handler(exc: Exception, context: Mapping[str, Any]) -> Response:
    """DRF's EXCEPTION_HANDLER: answers every exception, so that none leaves a view as a page or a trace."""
    headers: dict[str, str] = {}
    if auth_header := getattr(exc, "auth_header", None):
        headers["WWW-Authenticate"] = auth_header
    status, body = describe(exc)
    if isinstance(exc, drf_errors.Throttled):
        headers["Retry-After"] = str(body["retry_after"])
    elif status == 503:
        headers["Retry-After"] = str(RETRY_SECONDS)
    elif status == 401:
        headers.setdefault("WWW-Authenticate", 'Bearer realm="api"')
    if status >= 500:
        _report(exc, context, status)
    response = Response(body, status=status, headers=headers)
    # Read by OrgAPIView: the transaction cannot or must not be committed.
    undo = status >= 500 or isinstance(exc, DatabaseError) or getattr(exc, "undo", False)
    response.undo = undo  # type: ignore[attr-defined]
    return response


def describe(exc: Exception) -> tuple[int, dict[str, Any]]:
    """Status and body for an exception."""
    if isinstance(exc, FlowLedgerError):
        return exc.status, exc.as_dict()
    if isinstance(exc, drf_errors.ValidationError):
        return _invalid(flat_fields(exc.detail))
    if isinstance(exc, drf_errors.ParseError):
        return _invalid({"body": [str(exc.detail)]})
    if isinstance(exc, drf_errors.Throttled):
        seconds = max(1, math.ceil(getattr(exc, "wait", None) or 1))
        sentence = f"Too many requests; try again in {seconds} second{'s' if seconds > 1 else ''}."
        return 429, {"error": sentence, "code": CODES[429], "retry_after": seconds}
    if isinstance(exc, drf_errors.NotAuthenticated):
        return 401, {"error": "Sign in first: send an access token or an API key.", "code": "not_authenticated"}
    if isinstance(exc, drf_errors.APIException):
        status = exc.status_code
        return status, {"error": str(exc.detail), "code": CODES.get(status, "error")}
    if isinstance(exc, DatabaseError | InterfaceError):
        return _from_database(exc)
    return _from_django(exc)


def _from_django(exc: Exception) -> tuple[int, dict[str, Any]]:
    if isinstance(exc, ProtectedError | RestrictedError):
        return _refusal(Conflict("Other rows still depend on this one."))
    if isinstance(exc, django_errors.ObjectDoesNotExist):
        return _refusal(NotFound("There is no such row in this organisation."))
    if isinstance(exc, Http404):
        return _refusal(NotFound(SENTENCES[404]))
    if isinstance(exc, django_errors.ValidationError):
        fields = exc.message_dict if hasattr(exc, "error_dict") else {"non_field_errors": exc.messages}
        return _invalid(fields)
    if isinstance(exc, django_errors.PermissionDenied):
        return 403, {"error": str(exc) or SENTENCES[403], "code": CODES[403]}
    if isinstance(exc, django_errors.RequestDataTooBig | django_errors.TooManyFieldsSent):
        return _refusal(TooLarge(SENTENCES[413]))
    if isinstance(exc, django_errors.BadRequest | django_errors.SuspiciousOperation):
        return _invalid({"request": [str(exc) or SENTENCES[400]]})
    return 500, {"error": SENTENCES[500], "code": CODES[500]}


def _from_database(exc: DatabaseError | InterfaceError) -> tuple[int, dict[str, Any]]:
    """What the database refused, by SQLSTATE; whatever the transaction held is rolled back with it."""
    cause = exc.__cause__
    sqlstate = getattr(cause, "sqlstate", None) or ""
    if sqlstate in {"40001", "40P01", "55P03"}:
        return _refusal(Conflict("Somebody else is changing the same thing at this moment; try again."))
    if sqlstate in {"23505", "23P01"}:
        return _refusal(Conflict("This already exists, or was created at the same moment."))
    if sqlstate == "23503":
        return _refusal(Conflict("Something that this refers to does not exist, or something still refers to it."))
    if sqlstate in {"23514", "23502"} or sqlstate.startswith("22"):
        diagnosis = getattr(cause, "diag", None)
        field = getattr(diagnosis, "column_name", None) or "non_field_errors"
        rule = getattr(diagnosis, "constraint_name", None)
        sentence = f"This breaks the rule {rule}." if rule else "A value is out of range or of the wrong kind."
        log.warning("database_refused_input", sqlstate=sqlstate, constraint=rule, column=field)
        return _invalid({field: [sentence]})
    if isinstance(exc, OperationalError | InterfaceError) or sqlstate.startswith(("08", "53", "57")):
        return _refusal(Unavailable(SENTENCES[503]))
    return 500, {"error": SENTENCES[500], "code": CODES[500]}


def _refusal(error: FlowLedgerError) -> tuple[int, dict[str, Any]]:
    return error.status, error.as_dict()


def _invalid(fields: Mapping[str, list[str]]) -> tuple[int, dict[str, Any]]:
    """400 with a sentence that already says what is wrong, for callers that show nothing else."""
    first, sentences = next(iter(fields.items()), ("request", [SENTENCES[400]]))
    named = "" if first in {"non_field_errors", "body", "request"} else f"{first}: "
    more = f" (and {len(fields) - 1} more)" if len(fields) > 1 else ""
    sentence = str(sentences[0]) if sentences else SENTENCES[400]
    return _refusal(InvalidInput(f"{named}{sentence}{more}", fields=fields))


def flat_fields(detail: Any, prefix: str = "") -> dict[str, list[str]]:
    """DRF's nested error detail as one level: `{"items.0.name": ["…"]}`."""
    if isinstance(detail, Mapping):
        fields: dict[str, list[str]] = {}
        for name, inner in detail.items():
            fields.update(flat_fields(inner, _dotted(prefix, str(name))))
        return fields
    if isinstance(detail, list | tuple):
        if all(not isinstance(inner, Mapping | list | tuple) for inner in detail):
            return {prefix or "non_field_errors": [str(inner) for inner in detail]}
        fields = {}
        for index, inner in enumerate(detail):
            if inner:
                fields.update(flat_fields(inner, _dotted(prefix, str(index))))
        return fields
    return {prefix or "non_field_errors": [str(detail)]}


def _dotted(prefix: str, name: str) -> str:
    return f"{prefix}.{name}" if prefix else name


def _report(exc: Exception, context: Mapping[str, Any], status: int) -> None:
    """The trace goes to the log, and to whatever listens to Django's signal; never to the caller."""
    log.error("request_failed", status=status, exc_info=exc)
    request = context.get("request")
    if status == 500 and request is not None:
        got_request_exception.send(sender=context.get("view").__class__, request=request)


def plain_error(status: int, sentence: str | None = None) -> JsonResponse:
    """The error shape outside of DRF: handlers of the URL configuration and middleware."""
    body: dict[str, Any] = {
        "error": sentence or SENTENCES.get(status, SENTENCES[400 if status < 500 else 500]),
        "code": CODES.get(status, "error"),
    }
    if status == 400:
        body["fields"] = {}
    return JsonResponse(body, status=status)


def is_api_path(path: str) -> bool:
    """Whether answers under the path are JSON, errors included."""
    return path.startswith("/api/") or path in {"/api", "/openapi.json", "/healthz"}


def not_found(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
    """The catch-all behind every API route, so that a wrong address gets JSON even with DEBUG."""
    return plain_error(404)
