"""What an operator does at the command line, across all organisations: look, retry, replay.

People of an organisation have `services` instead; whoever may run a command on the server needs no role.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from flowledger.errors import InvalidInput
from flowledger.outbox import health
from flowledger.outbox.events import is_known
from flowledger.outbox.letters import MOST_LETTERS, LetterResult, LettersResult, judge
from flowledger.outbox.registry import EVERY_EVENT, Handler, handlers
from flowledger.outbox.sql import operations as sql
from flowledger.outbox.sql.operations import Replay
from flowledger.outbox.wake import wake
from flowledger.tenancy.scope import system_scope


@dataclass(frozen=True)
class ReplayPreview:
    """How many events a replay would move by name, and how many of them other handlers would see for the first time."""

    events: dict[str, int]
    first_timers: dict[str, int]

    @property
    def total(self) -> int:
        return sum(self.events.values())


def status() -> dict[str, Any]:
    """Everything that is known about the outbox, as JSON values. Raises DatabaseError when the database is gone."""
    with system_scope("outbox status"):
        queue, dead, partitions = sql.queue(), sql.dead_by_handler(), sql.partitions()
    seen = health.heartbeats()
    lanes = {name: queue.by_event(lane) for name, lane in _LANE_NAMES.items()}
    return {
        "depth": queue.total(),
        "depth_is_estimate": queue.is_estimate,
        "oldest_age_s": round(queue.oldest_age, 3),
        "in_flight": queue.total("claimed"),
        "waiting_for_retry": queue.total("waiting"),
        "tried_alone": queue.total("crashed"),
        "events": [
            {"event_name": name, "depth": depth, **{lane: counts.get(name, 0) for lane, counts in lanes.items()}}
            for name, depth in sorted(queue.by_event().items())
        ],
        "dead_letters": [{"event_name": name, "handler": handler, "count": count} for name, handler, count in dead],
        "broker": seen.broker,
        "workers": [_shown(worker) for worker in seen.workers],
        "beat": _shown(seen.beat) if seen.beat else None,
        "partitions": [partition._asdict() for partition in partitions],
    }


_LANE_NAMES = {"in_flight": "claimed", "waiting_for_retry": "waiting", "tried_alone": "crashed"}


def _shown(seen: health.Seen) -> dict[str, Any]:
    return {"name": seen.name, "last_seen_at": seen.at.isoformat(), "is_alive": seen.is_alive}


# --- retry -------------------------------------------------------------------------------------------------------


def retry_named(event_ids: Sequence[int], *, by: str, at: datetime) -> LettersResult:
    """Retry these dead letters, in transactions of a thousand; those that are none are named."""
    wanted = list(dict.fromkeys(event_ids))
    results: list[LetterResult] = []
    for start in range(0, len(wanted), MOST_LETTERS):
        some = wanted[start : start + MOST_LETTERS]
        with system_scope("outbox retry"):
            judged = LettersResult(judge(some, sql.lock_letters(org_id=None, ids=some)))
            _retry(judged.done, by=by, at=at)
        results += judged.results
    return LettersResult(results)


def retry_chosen(*, org_id: int | None, event_name: str, handler: str, by: str, at: datetime) -> int:
    """Retry every dead letter of this choice, all of them without one; how many, in transactions of a thousand."""
    done, after = 0, 0
    while True:
        with system_scope("outbox retry"):
            ids = sql.pick_dead(org_id=org_id, event_name=event_name, handler=handler, after=after, limit=MOST_LETTERS)
            sql.lock_letters(org_id=org_id, ids=ids)
            done += _retry(ids, by=by, at=at)
        if len(ids) < MOST_LETTERS:
            return done
        after = ids[-1]


def _retry(ids: list[int], *, by: str, at: datetime) -> int:
    if not ids:
        return 0
    wake()
    return sql.retry_dead(org_id=None, ids=ids, by=by, at=at)


# --- replay ------------------------------------------------------------------------------------------------------


def planned_replay(
    handler: str,
    *,
    event_name: str = "",
    org_id: int | None = None,
    since: datetime | None = None,
    until: datetime | None = None,
) -> Replay:
    """The replay to preview and to run.

    Raises InvalidInput for a handler or an event that is not there, or when the handler does not want the event.
    """
    known = {each.name: each for each in handlers()}
    if handler not in known:
        raise InvalidInput(f"There is no handler '{handler}'. Known are: {', '.join(known)}.")
    if event_name and not is_known(event_name):
        raise InvalidInput(f"There is no event '{event_name}' in the catalogue; docs/events.md lists them.")
    if event_name and not _wants(known[handler], event_name):
        raise InvalidInput(
            f"The handler '{handler}' is not subscribed to '{event_name}', so it would not see it again."
        )
    if since and until and since >= until:
        raise InvalidInput("Nothing lies between --since and --until: the first must be the earlier one.")
    with system_scope("outbox replay"):
        started = sql.database_time()
    return Replay(handler, started, event_name=event_name, org_id=org_id, since=since, until=until)


def preview_replay(replay: Replay) -> ReplayPreview:
    """Count what a replay would do; changes nothing."""
    with system_scope("outbox replay"):
        events = sql.count_replay(replay)
        others = [
            sql.Subscription(name, each.name, each.outside)
            for name in events
            for each in handlers()
            if each.name != replay.handler and _wants(each, name)
        ]
        return ReplayPreview(events, sql.first_timers(replay, others))


def run_replay(replay: Replay, *, by: str, progress: Callable[[int], None] = lambda number: None) -> int:
    """Let the handler see processed events again: they lose its receipt and become pending; how many.

    In the order of writing, in transactions of a thousand. Other handlers keep their receipts and do not run. Events
    that are handled again meanwhile are not taken twice.
    """
    done, after = 0, 0
    while True:
        with system_scope("outbox replay"):
            ids = sql.replay_some(replay, after=after, limit=MOST_LETTERS, by=by)
            if ids:
                wake()
        done += len(ids)
        progress(done)
        if len(ids) < MOST_LETTERS:
            return done
        after = ids[-1]


def _wants(handler: Handler, event_name: str) -> bool:
    return event_name in handler.event_names or EVERY_EVENT in handler.event_names
