"""Telling every process of a worker that it is shutting down, so that drains stop between two events."""

from __future__ import annotations

import mmap

# Shared with the pool's children because they are forked after this import: Celery announces the shutdown in the
# main process only, and waits there for the children's running tasks.
_flag = mmap.mmap(-1, 1)


def request() -> None:
    """From now on drains finish the event in hand and give back the rest."""
    _flag[0] = 1


def requested() -> bool:
    """Whether this worker is shutting down."""
    return _flag[0] == 1


def withdraw() -> None:
    """Forget the request; for a worker that starts in the same process, and for tests."""
    _flag[0] = 0
