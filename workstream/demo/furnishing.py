"""What the apps above add to the demonstration's company: they register it when they are loaded, as calls go down."""

from __future__ import annotations

from datetime import datetime
from typing import Protocol

from flowledger.tenancy.actors import Actor
from flowledger.tenancy.models import Organization


class Furnisher(Protocol):
    """Adds an app's data to the new company, as its manager and as history: nobody is emailed."""

    def __call__(self, *, org: Organization, manager: Actor, at: datetime) -> None: ...


class Teller(Protocol):
    """Says in a line what an app above makes of a deal that was just played; "" for nothing."""

    def __call__(self, *, org: Organization, pursuit_id: int, actor: Actor, at: datetime) -> str: ...


_furnishers: list[Furnisher] = []
_tellers: list[Teller] = []


def furnish_with(furnisher: Furnisher) -> None:
    """Have the demonstration furnished by this function too; once, however often it is registered."""
    if furnisher not in _furnishers:
        _furnishers.append(furnisher)


def furnish(*, org: Organization, manager: Actor, at: datetime) -> None:
    """Let every app add its data."""
    for furnisher in _furnishers:
        furnisher(org=org, manager=manager, at=at)


def tell_with(teller: Teller) -> None:
    """Have the deal that was played told by this function too; once, however often it is registered."""
    if teller not in _tellers:
        _tellers.append(teller)


def told(*, org: Organization, pursuit_id: int, actor: Actor, at: datetime) -> str:
    """What the apps above say of a deal."""
    lines = [teller(org=org, pursuit_id=pursuit_id, actor=actor, at=at) for teller in _tellers]
    return "; ".join(line for line in lines if line)
