"""How many events a claim may take: as many as are handled in a moment, so that nobody waits long behind another's."""

from __future__ import annotations

BATCH_SECONDS = 0.03
_FIRST_BATCH = 20


class Pace:
    """The size of a batch, learned from the batches before."""

    def __init__(self) -> None:
        self.restart()

    def restart(self) -> None:
        """Begin anew with small batches."""
        self._events_per_batch = float(_FIRST_BATCH)

    def limit(self, *, at_most: int) -> int:
        """The number of events to claim next."""
        return max(1, min(at_most, int(self._events_per_batch)))

    def learn(self, events: int, seconds: float) -> None:
        """So many events took their handlers so long.

        A slowdown is followed at once, a speedup by doubling: one fast batch may have been luck. What a batch costs
        besides its handlers does not count: smaller batches would only make more of it.
        """
        fitting = events * BATCH_SECONDS / max(seconds, 1e-6)
        self._events_per_batch = max(1.0, min(fitting, 2 * self._events_per_batch))


# Of the process: its next drain goes on at this pace.
pace = Pace()
