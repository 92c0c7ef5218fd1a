"""State moves by verbs: a transition records its event and does nothing else, and nobody sets a state by hand."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from typing import Any

from tests.architecture.source import Module, called, decorators, dotted, modules, nodes, place, rooms

# Moves that the catalogue has no event for (spec, events.md): the next version tells of a voided proposal, and a
# cancelled task leaves the list. What a language model finds has events of its own; that it has read is bookkeeping.
WITHOUT_EVENT = {
    *("Proposal.void", "Task.cancel"),
    *("ExtractionJob.finish", "ExtractionJob.give_up", "ExtractionJob.ask_again"),
}
# A transition changes its own fields. What these do belongs to the service that calls it.
FORBIDDEN_IN_TRANSITIONS = {
    *("save", "delete", "refresh_from_db", "create", "bulk_create", "get_or_create"),
    *("filter", "exclude", "for_org", "select_for_update", "locked", "fetch"),
    *("now", "today", "utcnow"),
    *("send_mail", "queue_email", "delay", "apply_async"),
}


def state_fields() -> dict[str, set[str]]:
    """Class name → names of its state fields."""
    found: dict[str, set[str]] = {}
    for _, node in nodes(ast.ClassDef, rooms("models")):
        names = {
            target.id
            for statement in node.body
            if isinstance(statement, ast.Assign) and dotted(statement.value).startswith("FSM")
            for target in statement.targets
            if isinstance(target, ast.Name)
        }
        if names:
            found[node.name] = names
    return found


def transitions() -> Iterator[tuple[Module, ast.ClassDef, Any]]:
    for module, node in nodes(ast.ClassDef, rooms("models")):
        for function in node.body:
            if isinstance(function, ast.FunctionDef) and "transition" in decorators(function):
                yield module, node, function


def reachable(function: Any, within: ast.ClassDef) -> set[str]:
    """What a method calls, itself or through other methods of its class."""
    methods = {node.name: node for node in within.body if isinstance(node, ast.FunctionDef)}
    found: set[str] = set()
    waiting = [function]
    while waiting:
        names = called(waiting.pop()) - found
        found |= names
        waiting += [methods[name] for name in names if name in methods]
    return found


def test_there_are_machines():
    assert set(state_fields()) >= {"Signal", "Candidate", "Pursuit", "Proposal", "Task"}
    assert sum(1 for _ in transitions()) >= 15


def test_every_transition_records_an_event():
    silent = {
        f"{within.name}.{function.name}"
        for _, within, function in transitions()
        if "record" not in reachable(function, within)
    }

    assert silent == WITHOUT_EVENT


def test_a_transition_does_not_save_query_read_the_clock_or_reach_outside():
    busy = [
        f"{place(module, function)} {within.name}.{function.name}: {', '.join(sorted(forbidden))}"
        for module, within, function in transitions()
        if (forbidden := reachable(function, within) & FORBIDDEN_IN_TRANSITIONS)
    ]

    assert busy == []


def test_nobody_sets_a_state_by_hand():
    names = set().union(*state_fields().values())
    found = []
    for module, node in nodes((ast.Assign, ast.AugAssign, ast.AnnAssign, ast.Call), modules()):
        if isinstance(node, ast.Call):
            sets = dotted(node.func) in {"setattr", "object.__setattr__"} and len(node.args) == 3
            attribute = node.args[1].value if sets and isinstance(node.args[1], ast.Constant) else None
            assigned = {attribute} if attribute else set()
        else:
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            assigned = {part.attr for target in targets for part in ast.walk(target) if isinstance(part, ast.Attribute)}
        if assigned & names and not _is_own_plain_attribute(module, node):
            found.append(place(module, node))

    assert found == []


def test_no_row_is_born_in_a_later_state():
    """A constructor that names the state skips the machine, its event and its history."""
    fields = state_fields()
    found = [
        place(module, node)
        for module, node in nodes(ast.Call, modules())
        if (names := fields.get(dotted(node.func).rsplit(".", 1)[-1]))
        and names & {keyword.arg for keyword in node.keywords}
    ]

    assert found == []


def _is_own_plain_attribute(module: Module, node: Any) -> bool:
    """`self.status = …` in a class that has no machine, such as an exception with its HTTP status."""
    fields = state_fields()
    for owner in ast.walk(module.tree):
        if isinstance(owner, ast.ClassDef) and any(child is node for child in ast.walk(owner)):
            targets = node.targets if isinstance(node, ast.Assign) else []
            attributes = [part for target in targets for part in ast.walk(target) if isinstance(part, ast.Attribute)]
            on_self = attributes and all(dotted(attribute).startswith("self.") for attribute in attributes)
            return bool(on_self) and owner.name not in fields
    return False
