"""The application's own code as text and syntax trees; the architecture tests ask their questions here."""

from __future__ import annotations

import ast
import tomllib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path
from typing import Any

CHECKOUT = Path(__file__).resolve().parents[2]
PACKAGES = ("flowledger", "workstream", "spotlight", "memory")
# Rooms of an app that speak to people, programs and the clock.
INTERFACES = frozenset({"api", "admin", "tasks", "management", "views", "forms", "urls"})
# Whole apps that are nothing but interface.
INTERFACE_APPS = frozenset({"flowledger.api", "flowledger.backoffice", "flowledger.embedded"})


@dataclass(frozen=True)
class Module:
    """One file of the application."""

    path: Path

    @property
    def name(self) -> str:
        """Relative to the checkout, as findings cite it."""
        return self.path.relative_to(CHECKOUT).as_posix()

    @property
    def parts(self) -> tuple[str, ...]:
        return self.path.relative_to(CHECKOUT).with_suffix("").parts

    @cached_property
    def app(self) -> str:
        """`workstream`, `flowledger.tenancy`; `flowledger` for the project package's own files."""
        first, second, *_ = (*self.parts, "")
        if first == "flowledger" and (CHECKOUT / first / second).is_dir():
            return f"{first}.{second}"
        return first

    @cached_property
    def room(self) -> str:
        """The app's module or package that holds the file: models, services, admin, …"""
        depth = self.app.count(".") + 1
        return self.parts[depth] if len(self.parts) > depth else ""

    @property
    def is_interface(self) -> bool:
        return self.room in INTERFACES or self.app in INTERFACE_APPS

    @cached_property
    def tree(self) -> ast.Module:
        return ast.parse(self.path.read_text(), filename=self.name)


@cache
def modules() -> tuple[Module, ...]:
    """Every Python file of the application except migrations."""
    found = (path for package in PACKAGES for path in sorted((CHECKOUT / package).rglob("*.py")))
    return tuple(Module(path) for path in found if "migrations" not in path.parts)


def rooms(*names: str) -> Iterator[Module]:
    """The files of these rooms in every app."""
    return (module for module in modules() if module.room in names)


def nodes(kind: type[ast.AST] | tuple[type[ast.AST], ...], of: Iterable[Module]) -> Iterator[tuple[Module, Any]]:
    """Every node of a kind with its module."""
    for module in of:
        for node in ast.walk(module.tree):
            if isinstance(node, kind):
                yield module, node


def place(module: Module, node: Any) -> str:
    """How a finding is cited."""
    return f"{module.name}:{node.lineno}"


def dotted(node: ast.AST | None) -> str:
    """`a.b.c` of a name or attribute chain; calls and subscripts in between count as nothing."""
    if isinstance(node, ast.Attribute):
        before = dotted(node.value)
        return f"{before}.{node.attr}" if before else node.attr
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Call):
        return dotted(node.func)
    return ""


def called(node: ast.AST) -> set[str]:
    """The last names of everything that is called below a node."""
    return {dotted(call.func).rsplit(".", 1)[-1] for call in ast.walk(node) if isinstance(call, ast.Call)}


def decorators(node: Any) -> set[str]:
    return {dotted(decorator) for decorator in node.decorator_list}


@cache
def project() -> dict[str, Any]:
    """`pyproject.toml`."""
    return tomllib.loads((CHECKOUT / "pyproject.toml").read_text())
