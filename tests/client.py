"""A test client that holds every answer against the OpenAPI document: an undocumented answer fails the test."""

from __future__ import annotations

import json
import re
from functools import cache
from typing import Any

from django.test import Client
from openapi_schema_validator import OAS31Validator

from flowledger.api.tokens import RefreshToken
from flowledger.api.views.docs import openapi_text
from flowledger.tenancy.models import Membership

# Answered by the kernel for addresses and methods that no operation documents.
UNDOCUMENTED = {404: "NotFound", 405: "MethodNotAllowed", 401: "Unauthorized", 400: "ValidationError"}


def bearer(membership: Membership) -> str:
    """An access token as POST /api/auth/token issues it, without the cost of a password."""
    return f"Bearer {RefreshToken.for_membership(membership, family_id=0).access_token}"


class ApiClient(Client):
    """Speaks JSON with a credential and validates what comes back.

    `raise_request_exception=False` shows failures as 500.
    """

    def __init__(self, credential: str = "", **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.credential = credential

    def post(self, path: str, data: Any = None, content_type: str = "application/json", **extra: Any) -> Any:  # type: ignore[override]
        return super().post(path, data, content_type=content_type, **extra)

    def request(self, **request: Any) -> Any:
        if self.credential:
            request.setdefault("HTTP_AUTHORIZATION", self.credential)
        response = super().request(**request)
        validate(request.get("REQUEST_METHOD", "GET"), request["PATH_INFO"], response)
        return response


class Undocumented(AssertionError):
    """The server gave an answer that the document does not know."""


def validate(method: str, path: str, response: Any) -> None:
    """Raise Undocumented unless status, media type and body are what the document says. Other addresses pass."""
    if not path.startswith("/api/") or path in {"/api/docs"}:
        return
    where = f"{method} {path} → {response.status_code}"
    assert response.headers.get("X-Request-Id"), f"{where}: no X-Request-Id"
    operation = _operation("get" if method == "HEAD" else method.lower(), path)
    if operation is None:
        name = UNDOCUMENTED.get(response.status_code)
        if name is None:
            raise Undocumented(f"{where}: no such operation in the document")
        _validate_body({"$ref": f"#/components/schemas/{name}"}, response, where)
        return
    documented = operation["responses"].get(str(response.status_code))
    if documented is None:
        raise Undocumented(
            f"{where}: documented are {', '.join(operation['responses'])}; body {response.content[:500]!r}"
        )
    if "$ref" in documented:
        documented = _strict_document()["components"]["responses"][documented["$ref"].rsplit("/", 1)[1]]
    content = documented.get("content")
    if content is None or method == "HEAD":
        if response.content and method != "HEAD":
            raise Undocumented(f"{where}: a body where none is documented")
        return
    media_type = response.headers.get("Content-Type", "").split(";")[0]
    if media_type not in content:
        raise Undocumented(f"{where}: {media_type} instead of {', '.join(content)}")
    if media_type == "application/json":
        _validate_body(content[media_type]["schema"], response, where)


def _validate_body(schema: dict[str, Any], response: Any, where: str) -> None:
    try:
        body = json.loads(response.content)
    except ValueError:
        raise Undocumented(f"{where}: no JSON: {response.content[:200]!r}") from None
    errors = list(_validator(json.dumps(schema, sort_keys=True)).iter_errors(body))
    if errors:
        listed = "; ".join(
            f"{'/'.join(map(str, error.absolute_path)) or 'body'}: {error.message[:300]}" for error in errors[:5]
        )
        raise Undocumented(f"{where}: {listed}")


@cache
def _validator(schema: str) -> OAS31Validator:
    return OAS31Validator(
        {**json.loads(schema), "components": _strict_document()["components"]},
        format_checker=OAS31Validator.FORMAT_CHECKER,
    )


@cache
def _operations() -> list[tuple[re.Pattern[str], dict[str, Any]]]:
    """Addresses as patterns, the ones with fewer parameters first."""
    paths = sorted(_strict_document()["paths"].items(), key=lambda item: item[0].count("{"))
    return [(re.compile(re.sub(r"\{[^}]+\}", "[^/]+", re.sub(r"([.+])", r"\\\1", path))), item) for path, item in paths]


def _operation(method: str, path: str) -> dict[str, Any] | None:
    for pattern, item in _operations():
        if pattern.fullmatch(path) and method in item:
            operation: dict[str, Any] = item[method]
            return operation
    return None


@cache
def _strict_document() -> dict[str, Any]:
    """The document with every described object closed, so that an undocumented member fails as well."""
    document: dict[str, Any] = json.loads(openapi_text())
    _close(document["components"]["schemas"])
    _close(document["paths"])
    return document


def _close(node: Any) -> None:
    if isinstance(node, list):
        for child in node:
            _close(child)
    elif isinstance(node, dict):
        if node.get("type") == "object" and "properties" in node:
            node.setdefault("additionalProperties", False)
        for child in node.values():
            _close(child)
