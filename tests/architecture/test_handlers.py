"""Handlers are found again by name for ever: each has one, made of its app and its function, and is registered."""

from __future__ import annotations

import ast
from typing import Any

from flowledger.outbox.events import event_type
from flowledger.outbox.registry import EVERY_EVENT, handlers
from tests.architecture.source import dotted, nodes, place, rooms


def declared() -> dict[str, str]:
    """Name given to @handler → app and function name."""
    found: dict[str, str] = {}
    for module, node in nodes(ast.FunctionDef, rooms("handlers")):
        for decorator in node.decorator_list:
            if isinstance(decorator, ast.Call) and dotted(decorator.func) == "handler":
                name: Any = next(keyword.value for keyword in decorator.keywords if keyword.arg == "name")
                assert name.value not in found, f"{place(module, node)}: {name.value} twice"
                found[name.value] = f"{module.app.rsplit('.', 1)[-1]}.{node.name}"
    return found


def test_every_handler_is_named_for_its_app_and_function():
    assert {name: function for name, function in declared().items() if name != function} == {}


def test_every_handler_is_registered():
    ours = {
        each.name
        for each in handlers()
        if each.run.__module__.startswith(("flowledger.", "workstream", "spotlight", "memory"))
    }

    assert ours == set(declared())


def test_every_handler_waits_for_events_that_exist():
    for each in handlers():
        for name in each.event_names - {EVERY_EVENT}:
            assert event_type(name).name == name


def test_events_are_declared_in_the_events_room_only():
    elsewhere = [
        place(module, node)
        for module, node in nodes(ast.ClassDef, rooms("models", "services", "handlers", "querysets", "admin", "api"))
        if any(dotted(decorator) == "event" for decorator in node.decorator_list)
    ]

    assert elsewhere == []
