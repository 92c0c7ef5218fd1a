"""What led to the events being recorded now: a request, or an event whose handler is running."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Protocol

from flowledger.tenancy.actors import Origin


class Cause(Protocol):
    """The event whose handler runs: its followers carry its correlation, and its origin when it was an import."""

    @property
    def event_id(self) -> int: ...
    @property
    def event_name(self) -> str: ...
    @property
    def org_id(self) -> int: ...
    @property
    def correlation_id(self) -> str: ...
    @property
    def origin(self) -> Origin: ...


_correlation: ContextVar[str] = ContextVar("flowledger_correlation", default="")
_cause: ContextVar[Cause | None] = ContextVar("flowledger_cause", default=None)


@contextmanager
def bind_correlation(request_id: str) -> Iterator[None]:
    """Give every event recorded inside this correlation id; interfaces do it once per request."""
    token = _correlation.set(request_id)
    try:
        yield
    finally:
        _correlation.reset(token)


class caused_by:  # noqa: N801  (used like a function; a generator would cost more than many a handler)
    """Mark every event recorded inside as a consequence; the drain does it around each handler of single events."""

    __slots__ = ("_cause", "_token")

    def __init__(self, cause: Cause) -> None:
        self._cause = cause

    def __enter__(self) -> None:
        self._token = _cause.set(self._cause)

    def __exit__(self, *args: object) -> None:
        _cause.reset(self._token)


def current_cause() -> Cause | None:
    """The event whose handler is running, if any."""
    return _cause.get()


def current_correlation() -> str:
    """The bound request id, or ""."""
    return _correlation.get()
