"""Rows of the stranger table for memory; see `endpoints.py`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from flowledger.tenancy.actors import Actor, Role
from tests.architecture.endpoints import Endpoint, World
from tests.memory import factories

SYSTEM = Actor.system("tests")
ATOM = "/api/memory/atoms/{atom}"


def _wish(world: World) -> dict[str, Any]:
    """Something to be remembered of a client of the home organisation."""
    about = {"entity_type": "client", "entity_id": world["client"].pk}
    return {**about, "atom_type": "preference", "content": "They prefer email."}


def _hold(world: World) -> dict[str, Any]:
    return {"entity_type": "client", "entity_id": world["client"].pk, "reason": "A case before the court."}


BUILDERS: dict[str, Callable[[World], Any]] = {
    "atom": lambda world: factories.AtomFactory(org=world.org, client=world["client"]),
    "pinned_atom": lambda world: factories.AtomFactory(org=world.org, client=world["client"], is_pinned=True),
    "archived_atom": lambda world: factories.AtomFactory(
        org=world.org, client=world["client"], state="archived", archived_at=world.at
    ),
    "atom_version": lambda world: factories.AtomVersionFactory(org=world.org, atom=world["atom"]),
    "atom_conflict": lambda world: factories.AtomConflictFactory(org=world.org),
    "memory_card": lambda world: factories.MemoryCardFactory(org=world.org, client=world["client"]),
    "card_mark": lambda world: factories.CardMarkFactory(org=world.org, client=world["client"]),
    "legal_hold": lambda world: factories.LegalHoldFactory(org=world.org, client=world["client"]),
    "redaction": lambda world: factories.RedactionFactory(org=world.org),
    "extraction_job": lambda world: factories.ExtractionJobFactory(org=world.org),
    "memory_ledger": lambda world: factories.MemoryLedgerFactory(org=world.org),
    "mail_thread": lambda world: factories.MailThreadFactory(org=world.org),
}


def _redaction(world: World) -> dict[str, Any]:
    return {"atom_id": world["atom"].pk, "reason": "It was private."}


def _erasure(world: World) -> dict[str, Any]:
    return {"contact_id": world["contact"].pk, "reason": "They asked for it."}


ENDPOINTS: list[Endpoint] = [
    Endpoint(
        "GET",
        "/api/memory/card",
        query=lambda world: f"entity_type=client&entity_id={world['client'].pk}",
        stranger=404,
    ),
    Endpoint("GET", "/api/memory/atoms"),
    Endpoint("POST", "/api/memory/atoms", 201, weakest=Role.REP, stranger=404, body=_wish),
    Endpoint("GET", ATOM),
    Endpoint("PATCH", ATOM, weakest=Role.REP, body={"content": "They want two machines.", "reason": "Misheard."}),
    Endpoint("GET", f"{ATOM}/versions", weakest=Role.ADMIN),
    Endpoint("POST", f"{ATOM}/pin", weakest=Role.REP, body={}),
    Endpoint("POST", "/api/memory/atoms/{pinned_atom}/unpin", weakest=Role.REP, body={}),
    Endpoint("POST", f"{ATOM}/archive", weakest=Role.MANAGER, body={}),
    Endpoint("POST", "/api/memory/atoms/{archived_atom}/restore", weakest=Role.MANAGER, body={}),
    Endpoint("GET", "/api/memory/conflicts"),
    Endpoint("POST", "/api/memory/conflicts/{atom_conflict}/resolve", weakest=Role.REP, body={"kept": "newer"}),
    Endpoint("GET", "/api/memory/holds", weakest=Role.ADMIN),
    Endpoint("POST", "/api/memory/holds", 201, weakest=Role.ADMIN, stranger=404, body=_hold),
    Endpoint("POST", "/api/memory/holds/{legal_hold}/release", weakest=Role.ADMIN, body={"reason": "It is settled."}),
    Endpoint("GET", "/api/memory/redactions", weakest=Role.MANAGER),
    Endpoint("POST", "/api/memory/redactions", 201, weakest=Role.MANAGER, stranger=404, body=_redaction),
    Endpoint("GET", "/api/memory/redactions/{redaction}", weakest=Role.MANAGER),
    Endpoint("GET", "/api/memory/erasures", weakest=Role.ADMIN),
    Endpoint("POST", "/api/memory/erasures", 201, weakest=Role.ADMIN, stranger=404, body=_erasure),
    Endpoint(
        "GET",
        "/api/memory/export",
        weakest=Role.ADMIN,
        query=lambda world: f"contact_id={world['contact'].pk}",
        stranger=404,
    ),
    Endpoint("GET", "/api/memory/health"),
    Endpoint("GET", "/api/memory/similar", query=lambda world: f"pursuit_id={world['pursuit'].pk}", stranger=404),
    Endpoint("GET", "/api/memory/patterns"),
    Endpoint("GET", "/api/memory/search", query=lambda world: "q=machines"),
]
