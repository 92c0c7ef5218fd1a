"""Facts about configuration."""

from __future__ import annotations

from dataclasses import dataclass

from flowledger.outbox.events import event


@event("config.changed", item="config_value")
@dataclass(frozen=True)
class ConfigChanged:
    """A rule of the organisation was changed, now or from a later moment on (`effective_from`).

    `change` is set, ended (back to the default), rolled_back or continued (the rest of a value that a shorter one
    interrupts). The value itself is in the row; `effective_to` is empty while no end is known.
    """

    config_value_id: int
    rule_type: str
    key: str
    version: int
    change: str
    effective_from: str
    effective_to: str | None
    reason: str


@event("config.took_effect", item="config_value")
@dataclass(frozen=True)
class ConfigTookEffect:
    """The time of a planned change of a rule has come: a version holds from now on, or has ended and the default holds.

    A change that holds at once is told of by `config.changed` alone. `effective_at` is the moment of the change.
    """

    config_value_id: int
    rule_type: str
    key: str
    version: int
    has_ended: bool
    effective_at: str
