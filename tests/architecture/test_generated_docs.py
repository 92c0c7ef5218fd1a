"""The event catalogue and the state diagrams in docs/ say what the code says."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from tests.architecture.source import CHECKOUT


@pytest.mark.parametrize("command", ["write_catalogue", "write_state_diagrams"])
def test_is_current(command: str):
    """In a process of its own: other tests declare events in this one."""
    run = subprocess.run(
        [sys.executable, "manage.py", command, "--check"],
        cwd=CHECKOUT,
        env=dict(os.environ),
        capture_output=True,
        text=True,
        check=False,
    )

    assert run.returncode == 0, run.stdout + run.stderr
