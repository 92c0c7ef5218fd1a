"""`manage.py demo [--file CSV]`: the main job end to end on real input, step by step with its time."""

from __future__ import annotations

import logging
import time
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils import timezone

from flowledger.errors import FlowLedgerError
from flowledger.outbox.drain import drain_all
from flowledger.outbox.health import services_health
from workstream.demo.organization import ensure_demo_organization, member_actor
from workstream.demo.playing import SIGNALS, Step, play


class Command(BaseCommand):
    help = (
        "Play the main job in the demo organisation: signals from a CSV file become a candidate, a pursuit, a proposal "
        "and an engagement. Prints what happened and how long each step took."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--file",
            type=Path,
            metavar="CSV",
            help=f"signals, one per line (default: {SIGNALS.name} of the application)",
        )
        parser.add_argument("--force", action="store_true", help="also in production; it sends emails")

    def handle(self, *args: Any, **options: Any) -> None:
        if settings.PRODUCTION and not options["force"]:
            raise CommandError("The demo writes invented data and sends emails; use --force to play it in production.")
        # What is handled here would be logged between the lines of the table.
        logging.getLogger("flowledger").setLevel(logging.WARNING)
        started = time.perf_counter()
        given: Path | None = options["file"]
        # The built-in file is played again and again; references of a given file stay as they are.
        run = "" if given else format(int(timezone.now().timestamp()), "x")
        try:
            self._prepare()
            demo = ensure_demo_organization(at=timezone.now())
            rep = member_actor(demo.org, "demo-rep")
            for step in play(org=demo.org, path=given or SIGNALS, rep=rep, run=run, clock=timezone.now):
                self._print(step)
        except FlowLedgerError as error:
            raise CommandError(error.message) from error
        self._print(Step("in all", time.perf_counter() - started, "done"))

    def _prepare(self) -> None:
        """The organisation to play in; on a fresh database its data is made and delivered first."""
        started = time.perf_counter()
        demo = ensure_demo_organization(at=timezone.now())
        if not demo.created:
            return
        self._print(Step("prepare", time.perf_counter() - started, f"made {demo.org.name} with its data"))
        if not services_health()["workers"]:
            started = time.perf_counter()
            result = drain_all()
            self._print(
                Step("handlers", time.perf_counter() - started, f"{result.handled:,} events of its data handled")
            )

    def _print(self, step: Step) -> None:
        took = "" if step.seconds is None else f"{step.seconds * 1000:,.1f} ms"
        self.stdout.write(f"{step.name:<12} {took:>12}  {step.happened}")
