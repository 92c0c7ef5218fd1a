"""Dead letters by the many: which ones, and what became of each."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from flowledger.errors import Conflict, FlowLedgerError, NotFound
from flowledger.outbox.sql.operations import Letter

# As many as one transaction takes.
MOST_LETTERS = 1_000


@dataclass(frozen=True)
class Choice:
    """Which dead letters: these, or the first of those with an event name or a handler that has not succeeded."""

    event_ids: Sequence[int] = ()
    event_name: str = ""
    handler: str = ""


@dataclass(frozen=True)
class LetterResult:
    """What became of one of many; `refusal` is None when it was done."""

    event_id: int
    refusal: FlowLedgerError | None = None


@dataclass(frozen=True)
class LettersResult:
    """What became of each; `more` when the choice holds more than one call takes, so that it can be repeated."""

    results: list[LetterResult]
    more: bool = False

    @property
    def done(self) -> list[int]:
        """The events for which it was done."""
        return [result.event_id for result in self.results if result.refusal is None]

    @property
    def refused(self) -> list[LetterResult]:
        """The others, with the reason."""
        return [result for result in self.results if result.refusal is not None]


def judge(event_ids: Iterable[int], letters: Mapping[int, Letter]) -> list[LetterResult]:
    """Each event with the reason why it cannot be retried or discarded, if there is one."""
    return [LetterResult(event_id, _refusal(event_id, letters.get(event_id))) for event_id in event_ids]


def _refusal(event_id: int, letter: Letter | None) -> FlowLedgerError | None:
    if letter is None:
        return NotFound(f"There is no work event {event_id}.")
    if letter.is_discarded:
        return Conflict(f"Event {event_id} was discarded by {letter.discarded_by} already.")
    if not letter.is_dead:
        return Conflict(f"Event {event_id} is not on the dead-letter list; it may have been retried meanwhile.")
    return None
