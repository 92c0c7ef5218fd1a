"""Services are use cases: keyword-only, in their organisation's scope, for a named actor, at a given time."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from functools import cache
from typing import Any

import pytest

from tests.architecture.source import Module, called, decorators, nodes, place, rooms

# Public functions of services that are no use case of one organisation by themselves, and why.
NO_USE_CASE = {
    "flowledger/tenancy/services.py": {
        "bootstrap_organization": "makes the organisation",
        "organizations_of": "lists a person's organisations before one is chosen",
        "touch_api_key": "bookkeeping of authentication, which has no actor yet",
    },
    "flowledger/api/services.py": {
        "sign_in": "finds out who and for which organisation",
        "refresh_session": "the token names the organisation",
        "sign_out": "the token names the organisation",
    },
    "flowledger/clients/services/merging.py": {
        "preview_merge": "changes nothing, so it happens at no time",
    },
    "flowledger/clients/services/resolution.py": {
        "resolve_identities": "part of the transaction that writes the signals; its locks last until that ends",
        "resolve_identity": "part of the transaction that writes the signal; its locks last until that ends",
    },
    "spotlight/services/scoring.py": {
        "evaluate_data": "changes nothing, so it happens at no time",
    },
}
# Use cases that no actor asks for: the clock does.
UNASKED = {"resume_candidate": "the sweep brings held candidates back when their time has come"}


def service_modules() -> list[Module]:
    return list(rooms("services"))


@cache
def exported(app: str) -> set[str] | None:
    """What a services package offers; None where the app's services are one module."""
    for module in rooms("services"):
        if module.app == app and module.path.name == "__init__.py":
            for node in module.tree.body:
                if isinstance(node, ast.Assign) and getattr(node.targets[0], "id", "") == "__all__":
                    return set(ast.literal_eval(node.value))
    return None


def functions() -> Iterator[tuple[Module, Any]]:
    for module in service_modules():
        for node in module.tree.body:
            if isinstance(node, ast.FunctionDef):
                yield module, node


def use_cases() -> Iterator[tuple[Module, Any]]:
    """Public functions: those a package exports, all of a single module; without the named exceptions."""
    for module, node in functions():
        offered = exported(module.app)
        public = node.name in offered if offered is not None else not node.name.startswith("_")
        if public and node.name not in NO_USE_CASE.get(module.name, {}):
            yield module, node


def test_there_are_use_cases():
    assert len(list(use_cases())) >= 40


def test_the_exceptions_exist():
    names = {(module.name, node.name) for module, node in functions()}

    assert {(path, name) for path, group in NO_USE_CASE.items() for name in group} <= names


def test_every_use_case_runs_in_scope_and_transaction():
    bare = [place(module, node) for module, node in use_cases() if "use_case" not in decorators(node)]

    assert bare == []


def test_what_runs_as_a_use_case_is_offered_as_one():
    offered = {(module.name, node.name) for module, node in use_cases()}
    hidden = [
        f"{place(module, node)} {node.name}"
        for module, node in functions()
        if "use_case" in decorators(node) and (module.name, node.name) not in offered
    ]

    assert hidden == []


@pytest.mark.parametrize("argument", ["org", "actor", "at"])
def test_every_use_case_is_told(argument: str):
    missing = [
        f"{place(module, node)} {node.name}"
        for module, node in use_cases()
        if argument not in {arg.arg for arg in node.args.kwonlyargs}
    ]

    assert missing == []


def test_arguments_are_named_by_the_caller():
    positional = [
        f"{place(module, node)} {node.name}"
        for module, node in use_cases()
        if node.args.args or node.args.posonlyargs or node.args.vararg
    ]

    assert positional == []


def test_every_use_case_says_what_it_does():
    silent = [f"{place(module, node)} {node.name}" for module, node in use_cases() if not ast.get_docstring(node)]

    assert silent == []


def test_every_use_case_authorises_its_actor():
    """By itself, through a private function of the app's services, or by handing the work to another use case."""
    bodies: dict[tuple[str, str], Any] = {(module.app, node.name): node for module, node in functions()}
    careless = []
    for module, node in use_cases():
        seen: set[str] = set()
        waiting = [node]
        while waiting:
            names = called(waiting.pop()) - seen
            seen |= names
            waiting += [bodies[module.app, name] for name in names if (module.app, name) in bodies]
        if "authorize" not in seen:
            careless.append(node.name)

    assert set(careless) == set(UNASKED)


def test_services_raise_refusals_and_never_answer_http():
    found = [
        place(module, node)
        for module, node in nodes(ast.ImportFrom, service_modules())
        if (node.module or "").split(".")[0] == "rest_framework" or (node.module or "").startswith("django.http")
    ]

    assert found == []
