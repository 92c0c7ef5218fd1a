"""Rows of the stranger table for what comes in: bulk, rejects and ingest health; see `endpoints.py`."""

from __future__ import annotations

from typing import Any

from flowledger.tenancy.actors import Actor, Role
from tests.architecture.endpoints import Endpoint, World
from workstream import services
from workstream.models.intake import IntakeReject
from workstream.models.signals import Channel

REP = Role.REP


def _reject(world: World) -> IntakeReject:
    """One that only has to be replayed."""
    return services.keep_reject(
        org=world.org,
        channel=Channel.REST,
        body=b"{}",
        content_type="application/json",
        sender="tests",
        code="validation_error",
        reason="source_type: This field is required.",
        fields={"source_type": "note"},
        actor=Actor.system("tests"),
        at=world.at,
    )


def _rejects(world: World) -> dict[str, Any]:
    return {"reject_ids": [world["reject"].pk]}


BUILDERS = {"reject": _reject}
ENDPOINTS = [
    Endpoint("POST", "/api/signals/bulk", weakest=REP, body={"source_type": "note"}),
    Endpoint("GET", "/api/intake/health"),
    Endpoint("GET", "/api/intake/rejects"),
    Endpoint("GET", "/api/intake/rejects/{reject}"),
    Endpoint("PATCH", "/api/intake/rejects/{reject}", weakest=REP, body={"fields": {"source_type": "call"}}),
    Endpoint("POST", "/api/intake/rejects/{reject}/replay", weakest=REP),
    Endpoint("POST", "/api/intake/rejects/{reject}/discard", weakest=REP, body={"note": "Spam"}),
    # A stranger's ids are refused one by one, in an answer that is 200.
    Endpoint("POST", "/api/intake/rejects/replay", weakest=REP, body=_rejects),
]
