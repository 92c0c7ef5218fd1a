"""Rows of the stranger table for merges and pairs to be decided; see `endpoints.py`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from flowledger.clients.models import Client, Contact, IdentityConflict, MergeRecord
from flowledger.clients.services import merge_clients, merge_contacts
from flowledger.tenancy.actors import Actor, Role
from tests.architecture.endpoints import Endpoint, World

SYSTEM = Actor.system("tests")
MODELS: dict[str, Any] = {"contact": Contact, "client": Client}
MERGES: dict[str, Callable[..., MergeRecord]] = {"contact": merge_contacts, "client": merge_clients}


def _two(kind: str) -> Callable[[World], Mapping[str, Any]]:
    """The body of a merge of two rows of the home organisation."""

    def body(world: World) -> Mapping[str, Any]:
        survivor, loser = (MODELS[kind].all_orgs.create(org=world.org, name=name) for name in ("Ann", "Anna"))
        return {"survivor_id": survivor.pk, "loser_id": loser.pk}

    return body


def _merged(kind: str) -> Callable[[World], MergeRecord]:
    return lambda world: MERGES[kind](org=world.org, **_two(kind)(world), actor=SYSTEM, at=world.at)


def _conflict(world: World) -> IdentityConflict:
    first, second = (Contact.all_orgs.create(org=world.org, name=name) for name in ("Ann", "Anna"))
    pair: IdentityConflict = IdentityConflict.all_orgs.create(
        org=world.org,
        kind="suggestion",
        contact=first,
        other_contact=second,
        score="0.75",
        first_seen=world.at,
        last_seen=world.at,
    )
    return pair


BUILDERS: dict[str, Callable[[World], Any]] = {
    "contact_merge": _merged("contact"),
    "client_merge": _merged("client"),
    "conflict": _conflict,
}


def _merging(kind: str) -> list[Endpoint]:
    below = f"/api/{kind}s"
    more: dict[str, Any] = {"weakest": Role.MANAGER, "body": _two(kind), "stranger": 404}
    return [
        Endpoint("POST", f"{below}/merge", 201, **more),
        Endpoint("POST", f"{below}/merge/preview", **more),
        Endpoint("GET", f"{below}/merges"),
        Endpoint("GET", f"{below}/merges/{{{kind}_merge}}"),
        Endpoint("POST", f"{below}/merges/{{{kind}_merge}}/undo", weakest=Role.MANAGER),
    ]


ENDPOINTS: list[Endpoint] = [
    *_merging("contact"),
    *_merging("client"),
    Endpoint("GET", "/api/identity/conflicts"),
    Endpoint("GET", "/api/identity/conflicts/{conflict}"),
    Endpoint("POST", "/api/identity/conflicts/{conflict}/resolve", weakest=Role.REP, body={"resolution": "keep_apart"}),
]
