"""`manage.py outbox status|retry|replay|prune`: the outbox of all organisations, for whoever runs the server."""

from __future__ import annotations

import json
from argparse import ArgumentTypeError
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, time
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import DatabaseError, InterfaceError
from django.utils.dateparse import parse_date, parse_datetime
from django.utils.timezone import now

from flowledger.errors import FlowLedgerError
from flowledger.outbox import operations, retention
from flowledger.outbox.conf import OutboxSettings
from flowledger.outbox.events import is_known
from flowledger.outbox.registry import handlers
from flowledger.tenancy.models import Organization
from flowledger.tenancy.scope import system_scope

BY = "manage.py outbox"


class Command(BaseCommand):
    help = "Look at the outbox, retry dead letters, replay processed events to a handler, archive old months."

    def add_arguments(self, parser: CommandParser) -> None:
        verbs = parser.add_subparsers(dest="verb", required=True, metavar="status | retry | replay | prune")

        status = verbs.add_parser("status", help="what waits, what is dead, who is alive, how large it is")
        status.add_argument("--json", action="store_true", help="the same as one JSON object")

        retry = verbs.add_parser("retry", help="deliver dead letters again, with a full set of attempts")
        retry.add_argument("ids", nargs="*", type=_key, metavar="ID", help="ids of events on the dead-letter list")
        retry.add_argument("--event", default="", metavar="NAME", help="all with this event name")
        retry.add_argument("--handler", default="", metavar="NAME", help="all in which this handler has not succeeded")
        retry.add_argument("--org", type=_key, metavar="ID", help="all of this organisation")
        retry.add_argument("--all", action="store_true", help="really all, of every organisation")

        replay = verbs.add_parser("replay", help="let one handler see events again that are processed already")
        replay.add_argument("--handler", required=True, metavar="NAME", help="who sees them again; nobody else does")
        replay.add_argument("--event", default="", metavar="NAME", help="only events with this name")
        replay.add_argument("--org", type=_key, metavar="ID", help="only events of this organisation")
        replay.add_argument("--since", type=_instant, metavar="TIME", help="only what was processed from then on")
        replay.add_argument("--until", type=_instant, metavar="TIME", help="only what was processed before then")
        replay.add_argument("--dry-run", action="store_true", help="count only")
        replay.add_argument(
            "--with-newer-handlers",
            action="store_true",
            help="also where handlers that were subscribed later would run, for the first time",
        )

        prune = verbs.add_parser("prune", help="archive months of processed events that are old enough, and drop them")
        prune.add_argument(
            "--months", type=int, metavar="N", help="keep so many whole months; default OUTBOX_RETENTION_MONTHS"
        )
        prune.add_argument("--dry-run", action="store_true", help="name the months only")

    def handle(self, *args: Any, verb: str, **options: Any) -> None:
        run = {"status": self._status, "retry": self._retry, "replay": self._replay, "prune": self._prune}[verb]
        try:
            run(options)
        except FlowLedgerError as error:
            raise CommandError(error.message) from error
        except (DatabaseError, InterfaceError) as error:
            raise CommandError(f"The database refused: {str(error).strip()} Look at DATABASE_URL.") from error

    # --- status ---

    def _status(self, options: dict[str, Any]) -> None:
        status = operations.status()
        if options["json"]:
            self.stdout.write(json.dumps(status, indent=2))
            return
        about = "about " if status["depth_is_estimate"] else ""
        self.stdout.write(
            f"Pending: {about}{status['depth']:,}, the oldest due for {_duration(status['oldest_age_s'])}; "
            f"{status['in_flight']:,} in flight, {status['waiting_for_retry']:,} waiting for a retry, "
            f"{status['tried_alone']:,} to be tried alone."
        )
        self._table(
            ("event", "pending", "in flight", "waiting", "alone"),
            [
                (row["event_name"], row["depth"], row["in_flight"], row["waiting_for_retry"], row["tried_alone"])
                for row in status["events"]
            ],
        )
        dead = status["dead_letters"]
        self.stdout.write("Dead letters:" if dead else "No dead letters.")
        self._table(
            ("event", "handler", "dead"),
            [(row["event_name"], row["handler"] or "(its worker died)", row["count"]) for row in dead],
        )
        self._alive(status)
        self.stdout.write("Partitions (rows as the planner estimates them):")
        self._table(
            ("partition", "rows", "size"),
            [
                (row["name"], "?" if row["rows"] is None else row["rows"], _size(row["bytes"]))
                for row in status["partitions"]
            ],
        )

    def _alive(self, status: dict[str, Any]) -> None:
        if not status["broker"]:
            self.stdout.write("Redis does not answer, so nobody can be seen. Look at REDIS_URL.")
            return
        live = [worker["name"] for worker in status["workers"] if worker["is_alive"]]
        self.stdout.write(f"Workers: {', '.join(live) if live else 'none'}.")
        for worker in status["workers"]:
            if not worker["is_alive"]:
                self.stdout.write(f"  {worker['name']} vanished; last seen {worker['last_seen_at']}.")
        beat = status["beat"]
        if beat is None:
            self.stdout.write("Beat: never seen.")
        else:
            self.stdout.write(f"Beat: {'alive' if beat['is_alive'] else 'gone'}, last seen {beat['last_seen_at']}.")

    def _table(self, heads: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
        if not rows:
            return
        texts = [[f"{cell:,}" if isinstance(cell, int) else str(cell) for cell in row] for row in rows]
        widths = [max(len(row[column]) for row in [heads, *texts]) for column in range(len(heads))]
        numeric = [all(not isinstance(row[column], str) for row in rows) for column in range(len(heads))]
        for row in [heads, *texts]:
            cells = (
                cell.rjust(width) if right else cell.ljust(width)
                for cell, width, right in zip(row, widths, numeric, strict=True)
            )
            self.stdout.write(f"  {'  '.join(cells).rstrip()}")

    # --- retry ---

    def _retry(self, options: dict[str, Any]) -> None:
        chosen = options["event"] or options["handler"] or options["org"] is not None
        ways = [bool(options["ids"]), bool(chosen), options["all"]]
        if sum(ways) != 1:
            raise CommandError(
                "Say which dead letters: their ids, or --event, --handler, --org (together they narrow), or --all."
            )
        if options["ids"]:
            result = operations.retry_named(options["ids"], by=BY, at=now())
            self.stdout.write(f"{len(result.done):,} delivered again.")
            for refused in result.refused:
                self.stderr.write(str(refused.refusal))
            if result.refused:
                raise CommandError(f"{len(result.refused):,} could not be retried; the others were.")
            return
        _require_event(options["event"])
        _require_handler(options["handler"])
        _require_organization(options["org"])
        done = operations.retry_chosen(
            org_id=options["org"], event_name=options["event"], handler=options["handler"], by=BY, at=now()
        )
        self.stdout.write(f"{done:,} delivered again." if done else "No dead letter fits.")

    # --- replay ---

    def _replay(self, options: dict[str, Any]) -> None:
        _require_organization(options["org"])
        replay = operations.planned_replay(
            options["handler"],
            event_name=options["event"],
            org_id=options["org"],
            since=options["since"],
            until=options["until"],
        )
        preview = operations.preview_replay(replay)
        for name, number in preview.events.items():
            self.stdout.write(f"  {name}: {number:,}")
        for name, number in preview.first_timers.items():
            self.stdout.write(f"  {number:,} of them were never seen by {name}, which would run as well.")
        self.stdout.write(f"{preview.total:,} events for {options['handler']}.")
        if options["dry_run"] or not preview.total:
            return
        if preview.first_timers and not options["with_newer_handlers"]:
            raise CommandError(
                "Nothing was changed: other handlers would run for the first time. Narrow it with --event, --since or "
                "--until, or say --with-newer-handlers."
            )
        done = operations.run_replay(replay, by=BY, progress=self._progress)
        self.stdout.write(f"{done:,} are pending again.")

    def _progress(self, done: int) -> None:
        if done and self.stderr.isatty():
            self.stderr.write(f"\r{done:,}", ending="")

    # --- prune ---

    def _prune(self, options: dict[str, Any]) -> None:
        months = OutboxSettings.read().retention_months if options["months"] is None else options["months"]
        if not months and options["months"] is None:
            raise CommandError(
                "Retention is off: everything is kept. Say --months N, or set OUTBOX_RETENTION_MONTHS for good."
            )
        if options["dry_run"]:
            due = retention.partitions_to_archive(months=months, at=now())
            self._list((partition.table for partition in due), "would be archived and dropped")
            return
        done = retention.archive_and_drop(months=months, at=now())
        for one in done:
            self.stdout.write(f"  {one.partition.table}: {one.events:,} events in {one.file}")
        self._list((one.partition.table for one in done), "archived and dropped")

    def _list(self, names: Iterable[str], what: str) -> None:
        found = list(names)
        self.stdout.write(f"{', '.join(found)} {what}." if found else "No month is old enough.")


def _key(text: str) -> int:
    if not (text.isascii() and text.isdigit() and 0 < int(text) < 2**63):
        raise ArgumentTypeError(f"'{text}' is no id; write a whole number.")
    return int(text)


def _instant(text: str) -> datetime:
    """A time in ISO 8601; without an offset it is UTC, a bare date is its first instant."""
    try:
        instant, day = parse_datetime(text), parse_date(text)
    except ValueError:
        instant, day = None, None
    if instant is None and day is not None:
        instant = datetime.combine(day, time.min, UTC)
    if instant is None:
        raise ArgumentTypeError(f"'{text}' is no time; write 2026-11-21 or 2026-11-21T14:30 (UTC).")
    return instant if instant.tzinfo else instant.replace(tzinfo=UTC)


def _require_event(name: str) -> None:
    if name and not is_known(name):
        raise CommandError(f"There is no event '{name}' in the catalogue; docs/events.md lists them.")


def _require_handler(name: str) -> None:
    names = [each.name for each in handlers()]
    if name and name not in names:
        raise CommandError(f"There is no handler '{name}'. Known are: {', '.join(names)}.")


def _require_organization(org_id: int | None) -> None:
    if org_id is None:
        return
    with system_scope("outbox command"):
        if not Organization.objects.filter(pk=org_id).exists():
            raise CommandError(f"There is no organisation {org_id}.")


def _duration(seconds: float) -> str:
    if seconds < 120:
        return f"{seconds:.1f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"


def _size(number: float) -> str:
    for unit in ("B", "kB", "MB", "GB"):
        if number < 1024:
            return f"{number:.0f} {unit}"
        number /= 1024
    return f"{number:.1f} TB"
