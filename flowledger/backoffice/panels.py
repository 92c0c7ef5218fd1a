"""Panels that an app puts on the page of a row of an app below it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from django.http import HttpRequest


@dataclass(frozen=True)
class Panel:
    """A part of a page: the template finds `content` as `panel`."""

    template: str
    content: Any


MakePanel = Callable[[HttpRequest, Any], Panel | None]

_panels: dict[str, list[MakePanel]] = {}


def register_panel(label: str, make: MakePanel) -> None:
    """Show a panel on the page of every row of a model, named as in `workstream.Signal`.

    `make` is asked once for every page that is shown and may answer None for a row that it has nothing to say about.
    """
    _panels.setdefault(label.lower(), []).append(make)


def panels_of(request: HttpRequest, obj: Any) -> list[Panel]:
    """The registered panels of a row's page, in the order of registration."""
    found = (make(request, obj) for make in _panels.get(obj._meta.label_lower, ()))
    return [panel for panel in found if panel is not None]
