"""Structured logs: one line per fact, with request, organisation, event and worker ids wherever they are known."""

from __future__ import annotations

import os
import socket
from collections.abc import MutableMapping
from typing import Any

import structlog

_is_worker = False


def name_worker() -> None:
    """From now on every line of this process and of those it forks says which worker process wrote it."""
    global _is_worker
    _is_worker = True


def add_cause(logger: Any, method: str, line: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """A structlog processor: the event whose handler writes the line, looked up only when one is written.

    What the line or the context says by itself is kept. A correlation that began with a request is its request id.
    """
    # Here, because the settings read this module before Django's models can be imported.
    from flowledger.outbox.causes import current_cause

    cause = current_cause()
    if cause is not None:
        line.setdefault("event_id", cause.event_id)
        for name in ("event_name", "org_id"):
            if value := getattr(cause, name, None):
                line.setdefault(name, value)
        line.setdefault("correlation_id", cause.correlation_id)
        if cause.correlation_id and not cause.correlation_id.startswith("event-"):
            line.setdefault("request_id", cause.correlation_id)
    if cause is not None or _is_worker:
        line.setdefault("worker", f"{socket.gethostname()}:{os.getpid()}")
    return line


SHARED: list[Any] = [
    structlog.contextvars.merge_contextvars,
    add_cause,
    structlog.stdlib.add_log_level,
    structlog.stdlib.add_logger_name,
    structlog.processors.TimeStamper(fmt="iso", utc=True),
    structlog.processors.StackInfoRenderer(),
]


def configuration(*, level: str, as_json: bool) -> dict[str, Any]:
    """A `dictConfig` that renders structlog's and the standard library's records alike; configures structlog too."""
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *SHARED,
            structlog.stdlib.PositionalArgumentsFormatter(),
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )
    # Plain tracebacks: rich ones print local variables, which may hold secrets, and take half a second each.
    renderer: Any = (
        structlog.processors.JSONRenderer()
        if as_json
        else structlog.dev.ConsoleRenderer(colors=False, exception_formatter=structlog.dev.plain_traceback)
    )
    last = [structlog.processors.format_exc_info] if as_json else []
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {
            "structured": {
                "()": structlog.stdlib.ProcessorFormatter,
                "foreign_pre_chain": SHARED,
                "processors": [structlog.stdlib.ProcessorFormatter.remove_processors_meta, *last, renderer],
            },
        },
        "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "structured"}},
        "root": {"handlers": ["stderr"], "level": level},
        "loggers": {
            "django": {"handlers": [], "level": level, "propagate": True},
            "django.server": {"handlers": [], "level": level, "propagate": True},
            "tldextract": {"level": "WARNING"},
            # A line per tick would bury the lines per event.
            "celery.beat": {"level": "WARNING"},
            "celery.worker.strategy": {"level": "WARNING"},
            "celery.worker.request": {"level": "WARNING"},
            "celery.app.trace": {"level": "WARNING"},
        },
    }
