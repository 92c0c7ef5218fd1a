"""Long background work in turns: a batch of each piece, round after round, for as long as a worker may take."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from typing import TypeVar

from flowledger.outbox import shutdown
from flowledger.outbox.wake import nudge

T = TypeVar("T")


def work_in_turns(task: str, pieces: Iterable[T], step: Callable[[T], bool], *, seconds: float) -> int:
    """Do one batch of each piece by turns while `step` says that there may be more; answers how many had more.

    Ends after `seconds`, with a nudge for the task that goes on, and when the worker is asked to stop.
    """
    began, batches, going = time.monotonic(), 0, list(pieces)
    while going and not shutdown.requested():
        if time.monotonic() - began > seconds:
            nudge(task)
            break
        going = [piece for piece in going if step(piece)]
        batches += len(going)
    return batches
