"""Rows of the stranger table for intake sources and the public doors behind them; see `endpoints.py`."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

from flowledger.tenancy.actors import Actor, Role
from tests.architecture.endpoints import Endpoint, World, public
from workstream import services
from workstream.models import IntakeSource

SYSTEM = Actor.system("tests")
MANAGER = Role.MANAGER
MAILBOX = {"host": "imap.example.com", "username": "sales@example.com"}


def _source(world: World, kind: str, name: str, options: Any = None) -> IntakeSource:
    fields = {"kind": kind, "name": name, "options": options or {}}
    return services.create_source(org=world.org, fields=fields, actor=SYSTEM, at=world.at).source


def _door(kind: str) -> Callable[[World], SimpleNamespace]:
    """The token of a source, where an address names it instead of the row."""
    return lambda world: SimpleNamespace(pk=_source(world, kind, f"Door {kind}").token)


BUILDERS: dict[str, Callable[[World], Any]] = {
    "web_form": lambda world: _source(world, "web_form", "Contact page"),
    "hook": lambda world: _source(world, "webhook", "Leads"),
    "mailbox": lambda world: _source(world, "mailbox", "Sales", MAILBOX),
    "form_token": _door("web_form"),
    "hook_token": _door("webhook"),
    "mail_token": _door("mail_hook"),
}

FORM = "/api/intake/sources/{web_form}"
ENDPOINTS: list[Endpoint] = [
    Endpoint("GET", "/api/intake/sources", weakest=MANAGER),
    Endpoint("POST", "/api/intake/sources", 201, weakest=MANAGER, body={"kind": "web_form", "name": "Landing page"}),
    Endpoint("GET", FORM, weakest=MANAGER),
    Endpoint("PATCH", FORM, weakest=MANAGER, body={"is_active": False}),
    Endpoint("DELETE", FORM, 204, weakest=MANAGER),
    Endpoint("GET", f"{FORM}/snippet", weakest=MANAGER),
    Endpoint("POST", f"{FORM}/test", weakest=MANAGER, body={"sample": {"name": "Ann", "email": "ann@quay.example"}}),
    Endpoint("POST", "/api/intake/sources/{hook}/rotate-secret", weakest=MANAGER),
    Endpoint("POST", "/api/intake/sources/{mailbox}/poll", weakest=MANAGER),
    public("POST", "/api/in/forms/{form_token}", body={"name": "Ann", "email": "ann@quay.example"}),
    # Nobody of these can sign.
    public("POST", "/api/in/webhooks/{hook_token}", 401, body={"snippet": "Forged"}),
    public("POST", "/api/in/mail/{mail_token}", 401, body={"snippet": "Forged"}),
]
