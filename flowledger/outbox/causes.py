"""What led to the events being recorded now: a request, or an event whose handler is running."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass

from flowledger.tenancy.actors import Origin


@dataclass(frozen=True)
class Cause:
    """The event whose handler runs: its followers carry its correlation, and its origin when it was an import."""

    event_id: int
    correlation_id: str
    origin: Origin


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


@contextmanager
def caused_by(cause: Cause) -> Iterator[None]:
    """Mark every event recorded inside as a consequence; the drain does it around each handler."""
    token = _cause.set(cause)
    try:
        yield
    finally:
        _cause.reset(token)


def current_cause() -> Cause | None:
    """The event whose handler is running, if any."""
    return _cause.get()


def current_correlation() -> str:
    """The bound request id, or ""."""
    return _correlation.get()
