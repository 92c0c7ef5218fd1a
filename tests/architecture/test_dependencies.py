"""Every dependency has its sentence, and every lock says exactly what to install and nothing about where from."""

from __future__ import annotations

import re

import pytest

from tests.architecture.source import CHECKOUT, project

NAME = re.compile(r"^[A-Za-z0-9][A-Za-z0-9._-]*")
LISTED = re.compile(r"^\| `([A-Za-z0-9._-]+)` \| (.+) \|$", re.MULTILINE)
LOCKS = ("requirements.lock", "requirements-dev.lock")


def normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def declared() -> set[str]:
    table = project()["project"]
    lines = [*table["dependencies"], *(line for extra in table["optional-dependencies"].values() for line in extra)]
    return {normal(match[0]) for line in lines if (match := NAME.match(line))}


def entries(lock: str) -> list[str]:
    """One text per pinned requirement, continuation lines joined."""
    text = (CHECKOUT / lock).read_text().replace("\\\n", " ")
    return [line for line in text.splitlines() if line.strip() and not line.lstrip().startswith("#")]


def test_every_direct_dependency_is_explained():
    listed = {
        normal(name): reason for name, reason in LISTED.findall((CHECKOUT / "docs" / "dependencies.md").read_text())
    }

    assert set(listed) == declared()
    assert [name for name, reason in listed.items() if not reason.endswith(".")] == []


@pytest.mark.parametrize("lock", LOCKS)
def test_a_lock_names_no_index(lock: str):
    text = (CHECKOUT / lock).read_text()

    assert re.findall(r"https?://|--(?:extra-)?index-url|--find-links|--trusted-host", text) == []


@pytest.mark.parametrize("lock", LOCKS)
def test_a_lock_pins_everything_with_hashes(lock: str):
    loose = [entry[:60] for entry in entries(lock) if not re.match(r"\S+==\S+", entry) or "--hash=sha256:" not in entry]

    assert loose == []


@pytest.mark.parametrize("lock", LOCKS)
def test_a_lock_holds_every_direct_dependency(lock: str):
    table = project()["project"]
    lines = [*table["dependencies"]]
    if lock == "requirements-dev.lock":
        lines += table["optional-dependencies"]["dev"]
    wanted = {normal(NAME.match(line)[0]) for line in lines}  # type: ignore[index]
    pinned = {normal(NAME.match(entry)[0]) for entry in entries(lock)}  # type: ignore[index]

    assert wanted - pinned == set()


def test_both_locks_agree():
    pins = [
        {normal(NAME.match(entry)[0]): entry.split("==")[1].split()[0] for entry in entries(lock)}  # type: ignore[index]
        for lock in LOCKS
    ]
    runtime, development = pins

    assert {name: version for name, version in runtime.items() if development.get(name) != version} == {}
