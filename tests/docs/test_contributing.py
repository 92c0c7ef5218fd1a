"""The snippets of CONTRIBUTING.md parse, and name only what there is; the invented objection apart."""

from __future__ import annotations

import ast
import importlib
import importlib.util
import re
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).resolve().parents[2]
TEXT = (CHECKOUT / "CONTRIBUTING.md").read_text()
SNIPPETS = re.findall(r"^```python\n(.*?)^```", TEXT, re.DOTALL | re.MULTILINE)
# Where a name that a snippet uses without importing it comes from.
HOMES = {
    "OrgQuerySet": "flowledger.tenancy.querysets",
    "event": "flowledger.outbox.events",
    "use_case": "flowledger.tenancy.usecases",
    "authorize": "flowledger.tenancy.permissions",
    "register_verbs": "flowledger.tenancy.permissions",
    "require_legal": "workstream.machines",
    "InvalidInput": "flowledger.errors",
    "Organization": "flowledger.tenancy.models",
    "Role": "flowledger.tenancy.actors",
    "Delivery": "flowledger.outbox.registry",
    "handler": "flowledger.outbox.registry",
    "ActivityKind": "workstream.models.activities",
    "OrgSerializer": "flowledger.api.serializers",
    "Body": "flowledger.api.serializers",
    "OrgViewSet": "flowledger.api.viewsets",
    "ListModelMixin": "flowledger.api.mixins",
    "RetrieveModelMixin": "flowledger.api.mixins",
    "TransitionForm": "flowledger.backoffice.forms",
    "TransitionAdmin": "flowledger.backoffice.transition_admin",
    "TransitionButton": "flowledger.backoffice.transition_admin",
    "Menu": "flowledger.backoffice.navigation",
    "Group": "flowledger.backoffice.navigation",
}
MENTIONED = re.compile(r"`((?:docs|tests|workstream|flowledger)/[\w./-]+)`")


def is_invented(name: str) -> bool:
    return "objection" in name.lower()


@pytest.mark.parametrize("snippet", SNIPPETS, ids=lambda text: text.splitlines()[0][:40])
def test_parses_and_imports_what_exists(snippet: str):
    tree = ast.parse(snippet)
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module and node.module != "__future__":
            module = importlib.import_module(node.module)
            for alias in node.names:
                assert is_invented(alias.name) or hasattr(module, alias.name) or _is_module(node.module, alias.name)


def test_the_names_that_snippets_use_exist():
    used = {node.id for snippet in SNIPPETS for node in ast.walk(ast.parse(snippet)) if isinstance(node, ast.Name)}

    assert set(HOMES) <= used
    for name, home in HOMES.items():
        assert hasattr(importlib.import_module(home), name), name


def test_the_services_that_snippets_call_exist():
    from workstream import services

    called = {
        node.attr
        for snippet in SNIPPETS
        for node in ast.walk(ast.parse(snippet))
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "services"
    }

    assert {name for name in called if not is_invented(name)} <= set(services.__all__)


@pytest.mark.parametrize("page", ["CONTRIBUTING.md", "README.md", *(f"docs/{path}" for path in ("recipes/deploy.md",))])
def test_the_files_that_are_mentioned_exist(page: str):
    mentioned = MENTIONED.findall((CHECKOUT / page).read_text())

    assert [path for path in mentioned if not is_invented(path) and not (CHECKOUT / path).exists()] == []


def _is_module(package: str, name: str) -> bool:
    return importlib.util.find_spec(f"{package}.{name}") is not None
