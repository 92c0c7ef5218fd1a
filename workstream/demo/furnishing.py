"""What the apps above add to the demonstration's company: they register it when they are loaded, as calls go down."""

from __future__ import annotations

from datetime import datetime
from typing import Protocol

from flowledger.tenancy.actors import Actor
from flowledger.tenancy.models import Organization


class Furnisher(Protocol):
    """Adds an app's data to the new company, as its manager and as history: nobody is emailed."""

    def __call__(self, *, org: Organization, manager: Actor, at: datetime) -> None: ...


_furnishers: list[Furnisher] = []


def furnish_with(furnisher: Furnisher) -> None:
    """Have the demonstration furnished by this function too; once, however often it is registered."""
    if furnisher not in _furnishers:
        _furnishers.append(furnisher)


def furnish(*, org: Organization, manager: Actor, at: datetime) -> None:
    """Let every app add its data."""
    for furnisher in _furnishers:
        furnisher(org=org, manager=manager, at=at)
