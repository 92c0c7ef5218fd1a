"""The OpenAPI document: what the kernel adds to every operation, so that each answer the server gives is in it."""

from __future__ import annotations

from typing import Any

from drf_spectacular.openapi import AutoSchema
from drf_spectacular.plumbing import build_basic_type
from drf_spectacular.utils import Direction

from flowledger.api.base import OrgAPIView
from flowledger.api.errors import CODES, is_api_path
from flowledger.api.filters import filter_parameters
from flowledger.api.pagination import PAGINATION_SCHEMA
from flowledger.api.viewsets import MAX_SEARCH, OrgViewSet, ordering_columns

CRUD = ("list", "retrieve", "create", "update", "partial_update", "destroy")


def _error(code: str | list[str], properties: dict[str, Any] | None = None) -> dict[str, Any]:
    codes = [code] if isinstance(code, str) else code
    return {
        "type": "object",
        "required": ["error", "code", *(properties or {})],
        "properties": {
            "error": {"type": "string", "description": "One sentence that says what to do."},
            "code": {"type": "string", "enum": codes},
            **(properties or {}),
        },
        "additionalProperties": True,
    }


_TEXTS = {"type": "array", "items": {"type": "string"}}

ERROR_SCHEMAS: dict[str, Any] = {
    "ValidationError": _error(
        "validation_error",
        {"fields": {"type": "object", "additionalProperties": _TEXTS, "description": "Sentences by field."}},
    ),
    "Unauthorized": _error(["not_authenticated", "authentication_failed"]),
    "Forbidden": _error("permission_denied"),
    "NotFound": _error("not_found"),
    "MethodNotAllowed": _error("method_not_allowed"),
    "Conflict": _error("conflict"),
    "GateBlocked": _error(
        "gate_blocked",
        {
            "gate": {"type": "string"},
            "missing_items": {"type": "array", "items": {}, "description": "Every unmet requirement."},
            "required_items": {"type": "array", "items": {}, "description": "Everything that the gate asks for."},
        },
    ),
    "Stale": {
        **_error("stale"),
        "properties": {**_error("stale")["properties"], "current_etag": {"type": "string"}},
    },
    "TooLarge": {
        **_error("too_large"),
        "properties": {**_error("too_large")["properties"], "max_bytes": {"type": "integer"}},
    },
    "UnsupportedMediaType": _error("unsupported_media_type"),
    "InvalidTransition": _error(
        "invalid_transition",
        {
            "state_machine": {"type": "string"},
            "current_state": {"type": "string"},
            "attempted_state": {"type": "string"},
            "allowed_transitions": _TEXTS,
        },
    ),
    "Throttled": _error("throttled", {"retry_after": {"type": "integer", "minimum": 1}}),
    "InternalError": _error("internal_error"),
    "Unavailable": _error("unavailable"),
}
COMPONENTS: dict[str, Any] = {**ERROR_SCHEMAS, "Pagination": PAGINATION_SCHEMA}

BY_STATUS: dict[int, tuple[str, ...]] = {
    400: ("ValidationError",),
    401: ("Unauthorized",),
    403: ("Forbidden",),
    404: ("NotFound",),
    409: ("Conflict", "GateBlocked"),
    412: ("Stale",),
    413: ("TooLarge",),
    415: ("UnsupportedMediaType",),
    422: ("InvalidTransition",),
    429: ("Throttled",),
    500: ("InternalError",),
    503: ("Unavailable",),
}
assert set(CODES) >= {400, 401, 404, 429, 500, 503}

HEADERS: dict[str, Any] = {
    "RequestId": {"description": "Quote it when you report a problem.", "schema": {"type": "string"}},
    "RetryAfter": {"description": "Seconds to wait.", "schema": {"type": "integer"}},
    "ETag": {"description": "Version of the object.", "schema": {"type": "string"}},
    "IdempotencyReplayed": {
        "description": "`true` when this is the stored answer to an earlier request with the same key.",
        "schema": {"type": "string", "const": "true"},
    },
}


def _header(name: str) -> dict[str, str]:
    return {"$ref": f"#/components/headers/{name}"}


def _error_response(status: int) -> dict[str, Any]:
    refs = [{"$ref": f"#/components/schemas/{name}"} for name in BY_STATUS[status]]
    headers = {"X-Request-Id": _header("RequestId")}
    if status in {429, 503}:
        headers["Retry-After"] = _header("RetryAfter")
    return {
        "description": " or ".join(BY_STATUS[status]),
        "headers": headers,
        "content": {"application/json": {"schema": refs[0] if len(refs) == 1 else {"oneOf": refs}}},
    }


RESPONSES: dict[str, Any] = {"Or".join(names): _error_response(status) for status, names in BY_STATUS.items()}


def _header_parameter(name: str, description: str) -> dict[str, Any]:
    return {"name": name, "in": "header", "schema": {"type": "string"}, "description": description}


class KernelSchema(AutoSchema):
    """Adds parameters, headers and error answers to what drf-spectacular finds."""

    def get_operation_id(self) -> str:
        """`candidates_list`, `candidates_promote`, `auth_token`: the address and the action's own name."""
        words = [word.replace("-", "_") for word in self._tokenize_path()]
        action = getattr(self.view, "action", None)
        if action in CRUD:
            return "_".join([*words, action])
        if action:
            if self._addresses_row():
                words = words[: self.path.removeprefix("/api/").split("/{")[0].count("/") + 1]
            else:
                words = words[: -(getattr(self.view, action).url_path.count("/") + 1)]
            return "_".join([*words, action])
        methods = [name for name in ("get", "post", "put", "patch", "delete") if hasattr(self.view, name)]
        return "_".join([*words, self.method.lower()] if len(methods) > 1 else words)

    def get_request_serializer(self) -> Any:
        """The body class of the action; a verb without one takes no body."""
        if isinstance(self.view, OrgAPIView):
            return self.view.get_body_class()
        return super().get_request_serializer()

    def get_filter_backends(self) -> list[Any]:
        """Filters are documented below; the kernel does not use DRF's backends."""
        return []

    def _is_versioned_read(self) -> bool:
        action = getattr(self.view, "action", None) or self.method.lower()
        return self.method == "GET" and action in getattr(self.view, "versioned_reads", ())

    def _addresses_row(self) -> bool:
        return "{" in self.path

    def _get_parameters(self) -> list[dict[str, Any]]:
        parameters: list[dict[str, Any]] = super()._get_parameters()
        if isinstance(self.view, OrgAPIView):
            parameters += self._kernel_parameters()
        named = {(parameter["in"], parameter["name"]): parameter for parameter in parameters}
        return sorted(named.values(), key=lambda parameter: (parameter["in"] == "header", parameter["name"]))

    def _kernel_parameters(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = [
            {
                "name": "org_id",
                "in": "query",
                "schema": build_basic_type(int),
                "description": "For compatibility; must be the organisation of the credential.",
            },
            _header_parameter("X-Request-Id", "Accepted and returned; created if absent."),
        ]
        if isinstance(self.view, OrgViewSet) and getattr(self.view, "action", "") == "list":
            found += self._list_parameters(self.view)
        if self._is_versioned_read():
            found.append(
                _header_parameter("If-None-Match", "ETag that you have; the answer is 304 while it is current.")
            )
        if self.method != "GET" and self._addresses_row():
            found.append(_header_parameter("If-Match", "ETag that you decided on; the answer is 412 when it is stale."))
        if self.method == "POST" and getattr(self.view, "idempotent", False):
            found.append(_header_parameter("Idempotency-Key", "Repeating the request with it repeats the answer only."))
        return found

    @staticmethod
    def _list_parameters(view: OrgViewSet) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = []
        if view.filterset_class:
            found += filter_parameters(view.filterset_class)
        if columns := ordering_columns(view):
            choices = [sign + name for name in columns for sign in ("", "-")]
            found.append(
                {
                    "name": "ordering",
                    "in": "query",
                    "schema": {"type": "array", "items": {"type": "string", "enum": choices}},
                    "style": "form",
                    "explode": False,
                    "description": "Columns, most important first; a leading - reverses.",
                }
            )
        if view.search:
            found.append(
                {
                    "name": "q",
                    "in": "query",
                    "schema": {"type": "string", "maxLength": MAX_SEARCH},
                    "description": "Search.",
                }
            )
        return found

    def _get_response_bodies(self, direction: Direction = "response") -> dict[str, Any]:
        responses: dict[str, Any] = super()._get_response_bodies(direction)
        for status, response in responses.items():
            headers = response.setdefault("headers", {})
            headers["X-Request-Id"] = _header("RequestId")
            if self._is_versioned_read() or (
                isinstance(self.view, OrgViewSet)
                and getattr(self.view, "action", "") != "list"
                and self.method != "DELETE"
            ):
                headers["ETag"] = _header("ETag")
            if self.method == "POST" and getattr(self.view, "idempotent", False) and status < "300":
                headers["Idempotency-Replayed"] = _header("IdempotencyReplayed")
        if self._is_versioned_read():
            responses["304"] = {
                "description": "You have the current version.",
                "headers": {"ETag": _header("ETag"), "X-Request-Id": _header("RequestId")},
            }
        for code in self._error_statuses():
            responses.setdefault(str(code), {"$ref": f"#/components/responses/{'Or'.join(BY_STATUS[code])}"})
        return dict(sorted(responses.items()))

    def _error_statuses(self) -> list[int]:
        """Every refusal and failure that this operation can answer with."""
        extra: list[int] = list(getattr(self.view, "more_statuses", ()))
        if not isinstance(self.view, OrgAPIView):
            return [429, 500, 503, *extra, *([400, 413, 415] if self.method == "POST" else [])]
        found = [400, 401, 403, 429, 500, 503, *extra]
        if self._addresses_row():
            found.append(404)
        if self.method != "GET":
            found += [404, 409, 413, 415, 422]
            if self._addresses_row():
                found.append(412)
        return sorted(set(found))

    def _map_basic_serializer(self, serializer: Any, direction: str) -> dict[str, Any]:
        """Answers hold every field that they name (but for `sometimes_absent`); bodies hold no other, and org_id."""
        schema: dict[str, Any] = super()._map_basic_serializer(serializer, direction)
        properties = schema.get("properties")
        if properties and direction == "response":
            optional = getattr(serializer, "sometimes_absent", ())
            schema["required"] = sorted(name for name in properties if name not in optional)
        elif properties:
            properties.setdefault("org_id", {"type": "integer"})
            schema["additionalProperties"] = False
        return schema


def only_api_paths(endpoints: list[tuple[Any, ...]]) -> list[tuple[Any, ...]]:
    """Preprocessing hook: the document is about the API, without its own pages and the catch-all."""
    return [endpoint for endpoint in endpoints if is_api_path(endpoint[0]) and endpoint[0] != "/openapi.json"]


def add_error_components(result: dict[str, Any], generator: Any, request: Any, public: bool) -> dict[str, Any]:
    """Postprocessing hook: the schemas, responses and headers that the kernel's answers refer to."""
    components = result.setdefault("components", {})
    for section, entries in (("schemas", COMPONENTS), ("responses", RESPONSES), ("headers", HEADERS)):
        components.setdefault(section, {}).update(entries)
    return result
