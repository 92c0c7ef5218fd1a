"""Who runs the servers of a data directory, and the variables that lead to them."""

import fcntl
import json
import os
from dataclasses import dataclass, field
from pathlib import Path

from flowledger.embedded.places import data_directory

LOCK_NAME = "servers.lock"
STATE_NAME = "servers.json"


@dataclass(frozen=True)
class State:
    """What the owner of a data directory wrote when its servers were up."""

    pid: int
    environment: dict[str, str] = field(default_factory=dict)
    facts: dict[str, str] = field(default_factory=dict)


def read_state(data_dir: Path) -> State | None:
    """The state file's content, which outlives a killed owner; None when there is none."""
    try:
        content = json.loads((data_dir / STATE_NAME).read_text())
        return State(
            pid=int(content["pid"]), environment=dict(content["environment"]), facts=dict(content.get("facts", {}))
        )
    except (OSError, ValueError, KeyError, TypeError):
        return None


def discover(data_dir: Path) -> dict[str, str]:
    """The variables of the servers that run over this data directory; empty when none do."""
    try:
        descriptor = os.open(data_dir / LOCK_NAME, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return {}
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        state = read_state(data_dir)
        return state.environment if state else {}
    else:
        return {}
    finally:
        os.close(descriptor)


def environment() -> dict[str, str]:
    """The variables that the environment leaves open and this checkout's running servers answer.

    Empty when DATABASE_URL and REDIS_URL are set, or when nothing runs: the caller says what to do then
    (`NOT_RUNNING`).
    """
    open_names = {name for name in ("DATABASE_URL", "REDIS_URL") if not os.environ.get(name)}
    if not open_names:
        return {}
    found = discover(data_directory())
    if "REDIS_URL" in open_names and not os.environ.get("CACHE_URL"):
        open_names.add("CACHE_URL")
    return {name: value for name, value in found.items() if name in open_names}


NOT_RUNNING = (
    "No database: neither is DATABASE_URL set, nor do the embedded servers of this checkout run. Start them with "
    "`make run` (or `python -m flowledger.embedded servers`) in another terminal, or set DATABASE_URL and REDIS_URL."
)
