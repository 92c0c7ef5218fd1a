"""The flat root stays flat, rooms stay small, and nothing is called after having no subject."""

from __future__ import annotations

import subprocess

import pytest

from tests.architecture.source import CHECKOUT, modules

ROOT = {
    *(".ci", ".editorconfig", ".env.example", ".gitignore", ".pre-commit-config.yaml"),
    *("CHANGELOG.md", "CONTRIBUTING.md", "README.md"),
    *("Makefile", "Procfile", "manage.py", "pyproject.toml", "requirements-dev.lock", "requirements.lock"),
    *("docs", "flowledger", "memory", "spotlight", "templates", "tests", "workstream"),
}
PROJECT_PACKAGE = {
    *(
        "__init__.py",
        "asgi.py",
        "celery.py",
        "encryption.py",
        "errors.py",
        "logs.py",
        "outgoing.py",
        "settings.py",
        "sqlviews.py",
        "urls.py",
        "wsgi.py",
    ),
    *("api", "assistants", "automation", "backoffice", "clients", "configuration", "embedded", "outbox", "tenancy"),
    "webhooks",
}
LONGEST_ROOM = 450
SUBJECTLESS = {"utils", "util", "helpers", "helper", "misc", "common", "shared", "base_utils"}


def tracked() -> list[str]:
    """What git knows or would take; the ignored leavings of a checkout are nobody's business."""
    listing = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"],
        cwd=CHECKOUT,
        capture_output=True,
        text=True,
        check=False,
    )
    if listing.returncode:
        pytest.skip("not a git checkout")
    return [name for name in listing.stdout.split("\0") if name and (CHECKOUT / name).exists()]


def test_the_root_holds_what_the_readme_maps():
    assert {name.split("/")[0] for name in tracked()} - ROOT == set()


def test_the_project_package_holds_configuration_and_kernel_apps():
    found = {name.split("/")[1] for name in tracked() if name.startswith("flowledger/")}

    assert found - PROJECT_PACKAGE == set()


def test_a_long_room_becomes_a_package():
    lengths = {module.name: len(module.path.read_text().splitlines()) for module in modules()}

    assert {name: lines for name, lines in lengths.items() if lines > LONGEST_ROOM} == {}


def test_every_module_is_named_for_a_subject():
    assert [module.name for module in modules() if SUBJECTLESS & set(module.parts)] == []


def test_every_module_says_its_job():
    silent = [
        module.name
        for module in modules()
        if module.path.stat().st_size and not (module.tree.body and module.path.read_text().lstrip().startswith('"""'))
    ]

    assert silent == []
