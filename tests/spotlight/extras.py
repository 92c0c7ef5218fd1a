"""Doing as if an optional package were not installed."""

from __future__ import annotations

import sys

import pytest

from spotlight import learning


def hide(monkeypatch: pytest.MonkeyPatch, package: str) -> None:
    """Importing the package or a part of it fails, and the rooms of learning that use it are yet to be imported."""
    for name in ("fitting", "proving"):
        monkeypatch.delitem(sys.modules, f"spotlight.learning.{name}", raising=False)
        monkeypatch.delattr(learning, name, raising=False)
    for name in [each for each in sys.modules if each.partition(".")[0] == package]:
        monkeypatch.setitem(sys.modules, name, None)
    monkeypatch.setitem(sys.modules, package, None)
