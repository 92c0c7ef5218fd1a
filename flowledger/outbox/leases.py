"""Keeping a claim alive while its worker works, from a thread with a database connection of its own."""

from __future__ import annotations

import threading
from collections.abc import Callable
from types import TracebackType
from typing import Self
from uuid import UUID

import structlog
from django.db import DatabaseError, connection

from flowledger.tenancy.scope import system_scope

log = structlog.get_logger(__name__)


class LeaseKeeper:
    """Renews the lease of one claim at intervals until it is left.

    A renewal that fails is tried again at the next interval: a lease that runs out meanwhile costs one more delivery,
    and the token keeps this worker from completing anything.
    """

    def __init__(self, renew: Callable[[UUID], int], *, token: UUID, seconds: float) -> None:
        self._renew = renew
        self._token = token
        self._seconds = seconds
        self._left = threading.Event()
        self._thread = threading.Thread(target=self._keep, name="outbox-lease", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._left.set()
        self._thread.join(timeout=self._seconds)

    def _keep(self) -> None:
        try:
            while not self._left.wait(self._seconds):
                try:
                    with system_scope("outbox lease renewal"):
                        self._renew(self._token)
                except DatabaseError as error:
                    log.warning("lease not renewed", token=str(self._token), error=str(error))
                    connection.close()
        finally:
            connection.close()
