"""Rows of the stranger table for CSV imports; see `endpoints.py`."""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import Any

from flowledger.tenancy.actors import Actor, Role
from tests.architecture.endpoints import Endpoint, World
from workstream import services
from workstream.models import ImportRun
from workstream.services.import_rows import import_chunk

SYSTEM = Actor.system("tests")
MANAGER = Role.MANAGER


def _upload(world: World) -> ImportRun:
    file = io.BytesIO(b"Email,Message\nann@acme.example,Hello\n")
    run: ImportRun = services.create_import(
        org=world.org, kind="signals", file_name="leads.csv", file=file, actor=SYSTEM, at=world.at
    )
    return run


def _imported(world: World) -> ImportRun:
    run = services.start_import(org=world.org, import_id=_upload(world).pk, actor=SYSTEM, at=world.at)
    import_chunk(org=world.org, run_id=run.pk, at=world.at)
    return run


BUILDERS: dict[str, Callable[[World], Any]] = {"upload": _upload, "imported": _imported}

ENDPOINTS: list[Endpoint] = [
    Endpoint("GET", "/api/signals/import", weakest=MANAGER),
    # What those who may upload are told without a file.
    Endpoint("POST", "/api/signals/import", 400, weakest=MANAGER, body={}),
    Endpoint("GET", "/api/signals/import/{upload}", weakest=MANAGER),
    Endpoint("PATCH", "/api/signals/import/{upload}", weakest=MANAGER, body={"fires_rules": True}),
    Endpoint("GET", "/api/signals/import/{upload}/preview", weakest=MANAGER),
    Endpoint("POST", "/api/signals/import/{upload}/start", weakest=MANAGER),
    Endpoint("POST", "/api/signals/import/{upload}/cancel", weakest=MANAGER),
    Endpoint("GET", "/api/signals/import/{upload}/errors", weakest=MANAGER),
    Endpoint("POST", "/api/signals/import/{imported}/undo", weakest=MANAGER),
    Endpoint("GET", "/api/signals/import/{imported}/kept", weakest=MANAGER),
]
