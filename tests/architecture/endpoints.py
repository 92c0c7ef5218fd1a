"""The table of every endpoint and method, and what each kind of caller gets from it.

`test_strangers.py` compares it with the URL configuration, so an endpoint that nobody listed fails, and then calls
every row as every caller. Addresses name their rows by kind: `{api_key}` is a row of the home organisation, made
by the builder of that name. Apps add rows to ENDPOINTS and builders to BUILDERS below.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cached_property
from typing import Any

from django.urls import URLPattern, URLResolver, get_resolver

from flowledger.configuration.services import set_value
from flowledger.outbox.models import WorkEvent
from flowledger.tenancy.actors import Actor, Role
from flowledger.tenancy.models import ApiKey, Organization

CALLERS = ("anonymous", "stranger", "viewer", "rep", "manager", "admin", "key")


@dataclass(frozen=True)
class Endpoint:
    """One method of one address. `ok` is the answer to those who may, `weakest` the weakest role that may.

    `stranger` is an administrator of another organisation: 404 for addresses of a row, else what they get in their
    own organisation. `key` is an API key of an administrator without any fitting scope. `body` is sent as JSON; with
    a callable it is made from the world's rows, and so is `query`.
    """

    method: str
    path: str
    ok: int = 200
    weakest: Role = Role.VIEWER
    anonymous: int = 401
    stranger: int | None = None
    key: int = 403
    body: Mapping[str, Any] | Callable[[World], Mapping[str, Any]] | None = None
    query: str | Callable[[World], str] = ""
    overrides: Mapping[str, int] = field(default_factory=dict)

    @property
    def route(self) -> tuple[str, str]:
        """Method and address as the URL configuration knows them, without the names of parameters."""
        return self.method, _nameless(self.path)

    def expected(self, caller: str) -> int:
        """The status that the caller gets."""
        if caller in self.overrides:
            return self.overrides[caller]
        if caller == "anonymous":
            return self.anonymous
        if caller == "key":
            return self.key
        if caller == "stranger":
            return self.stranger if self.stranger is not None else 404 if "{" in self.path else self.ok
        return self.ok if Role(caller).at_least(self.weakest) else 403


def public(method: str, path: str, ok: int = 200, **more: Any) -> Endpoint:
    """An endpoint that answers everybody alike."""
    return Endpoint(method, path, ok, anonymous=ok, stranger=ok, key=ok, **more)


class World:
    """The rows of the home organisation, each made when an address or a body first names it."""

    def __init__(self, org: Organization) -> None:
        self.org = org
        self._made: dict[str, Any] = {}

    def __getitem__(self, kind: str) -> Any:
        if kind not in self._made:
            self._made[kind] = BUILDERS[kind](self)
        return self._made[kind]

    @cached_property
    def at(self) -> datetime:
        return datetime(2026, 3, 2, 9, tzinfo=UTC)

    def address(self, endpoint: Endpoint) -> str:
        """The endpoint's address with identifiers of this world's rows."""
        parts = [str(self[part[1:-1]].pk) if part.startswith("{") else part for part in endpoint.path.split("/")]
        query = endpoint.query(self) if callable(endpoint.query) else endpoint.query
        return "/".join(parts) + (f"?{query}" if query else "")


def _api_key(world: World) -> ApiKey:
    key: ApiKey = ApiKey.all_orgs.create(org=world.org, name="loader", role=Role.REP, scopes=["signals:write"])
    return key


def _dead_letter(world: World) -> WorkEvent:
    event: WorkEvent = WorkEvent.all_orgs.create(
        org=world.org,
        event_name="pursuit.won",
        item_type="pursuit",
        item_id=1,
        payload={"pursuit_id": 1, "value": "1.00", "currency": "EUR"},
        actor_kind="system",
        actor_label="tests",
        origin="api",
        occurred_at=world.at,
        dead_letter_at=world.at,
    )
    return event


BUILDERS: dict[str, Callable[[World], Any]] = {"api_key": _api_key, "dead_letter": _dead_letter}

_REASON = {"reason": "Sent twice."}


def _letters(world: World) -> Mapping[str, Any]:
    return {"dead_letter_ids": [world["dead_letter"].pk]}


_HOURS = {"rule_type": "sla_rule", "key": "untouched_hours", "reason": "We are slower."}


def _set_hours(world: World) -> Mapping[str, Any]:
    """Something to end, in the home organisation."""
    set_value(
        org=world.org,
        rule_type=_HOURS["rule_type"],
        key=_HOURS["key"],
        value=48,
        reason="We are slower.",
        actor=Actor.system("tests"),
        at=world.at,
    )
    return _HOURS


_KEY = {"name": "loader", "role": "rep", "scopes": ["signals:write"]}

ENDPOINTS: list[Endpoint] = [
    # The kernel's own
    public("POST", "/api/auth/token", 401, body={"username": "nobody", "password": "nothing"}),
    public("POST", "/api/auth/refresh", 401, body={"refresh": "nothing"}),
    public("POST", "/api/auth/logout", 401, body={"refresh": "nothing"}),
    public("GET", "/api/health"),
    public("GET", "/api/docs"),
    Endpoint("GET", "/api/me", key=200),
    Endpoint("GET", "/api/outbox/catalogue", key=200),
    Endpoint("GET", "/api/outbox/dead-letters", weakest=Role.MANAGER),
    Endpoint("POST", "/api/outbox/dead-letters/{dead_letter}/retry", weakest=Role.MANAGER),
    Endpoint("POST", "/api/outbox/dead-letters/{dead_letter}/discard", weakest=Role.MANAGER, body=_REASON),
    Endpoint("POST", "/api/outbox/dead-letters/{dead_letter}/redact", weakest=Role.MANAGER, body=_REASON),
    # A stranger's ids are refused one by one, in an answer that is 200.
    Endpoint("POST", "/api/outbox/dead-letters/retry", weakest=Role.MANAGER, body=_letters),
    Endpoint(
        "POST",
        "/api/outbox/dead-letters/discard",
        weakest=Role.MANAGER,
        body=lambda world: {**_letters(world), **_REASON},
    ),
    Endpoint("GET", "/api/workstream/config"),
    Endpoint("POST", "/api/workstream/config", 201, weakest=Role.ADMIN, body={**_HOURS, "value": 48}),
    Endpoint("GET", "/api/workstream/config/history"),
    Endpoint("GET", "/api/workstream/config/schema"),
    # A stranger's own organisation has nothing to end; version 0 is everybody's.
    Endpoint("POST", "/api/workstream/config/reset", 201, weakest=Role.ADMIN, stranger=409, body=_set_hours),
    Endpoint("POST", "/api/workstream/config/rollback", 201, weakest=Role.ADMIN, body={**_HOURS, "to_version": 0}),
    Endpoint("GET", "/api/api-keys", weakest=Role.ADMIN),
    Endpoint("POST", "/api/api-keys", 201, weakest=Role.ADMIN, body=_KEY),
    Endpoint("GET", "/api/api-keys/{api_key}", weakest=Role.ADMIN),
    Endpoint("DELETE", "/api/api-keys/{api_key}", weakest=Role.ADMIN),
    Endpoint("POST", "/api/api-keys/{api_key}/rotate", weakest=Role.ADMIN),
]


def routes() -> Iterator[tuple[str, str]]:
    """(method, nameless address) of everything under /api/ that the URL configuration answers."""
    for path, callback in _walk(get_resolver().url_patterns, "/"):
        if not path.startswith("/api/"):
            continue
        for method in _methods(callback):
            yield method, _nameless(path)


def _walk(patterns: list[Any], prefix: str) -> Iterator[tuple[str, Any]]:
    for entry in patterns:
        here = prefix + str(entry.pattern)
        if isinstance(entry, URLResolver):
            yield from _walk(entry.url_patterns, here)
        elif isinstance(entry, URLPattern) and not str(entry.pattern).startswith("^"):
            yield here, entry.callback


def _methods(callback: Any) -> list[str]:
    """Methods with a handler of their own; HEAD follows GET."""
    actions = getattr(callback, "actions", None)
    if actions:
        return [method.upper() for method in actions if method != "head"]
    view = getattr(callback, "cls", None) or getattr(callback, "view_class", None)
    if view is None:
        return ["GET"]
    return [name.upper() for name in ("get", "post", "put", "patch", "delete") if hasattr(view, name)]


def _nameless(path: str) -> str:
    """`/api/keys/<id:pk>` and `/api/keys/{api_key}` as `/api/keys/{}`."""
    return "/".join("{}" if part.startswith(("<", "{")) else part for part in path.split("/"))
