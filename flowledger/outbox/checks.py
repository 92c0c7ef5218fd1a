"""System checks of the outbox: what is subscribed to must exist."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from django.apps import AppConfig
from django.core.checks import CheckMessage, Error, register

from flowledger.outbox.events import is_known
from flowledger.outbox.registry import EVERY_EVENT, handlers


@register()
def handlers_know_their_events(app_configs: Sequence[AppConfig] | None, **kwargs: Any) -> Iterable[CheckMessage]:
    """Refuse a handler of an event that nobody declares: it would wait for ever (outbox.E001)."""
    return [
        Error(f"Handler '{handler.name}' is subscribed to the unknown event '{name}'.", id="outbox.E001")
        for handler in handlers()
        for name in sorted(handler.event_names)
        if name != EVERY_EVENT and not is_known(name)
    ]
